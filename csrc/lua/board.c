/* board.c -- core.board(path): what a spool's process shows of itself, as one table.
 *
 * The counters are named as in client:stats(), and are the same ones.
 */
#include "../io/board.h"
#include "mwl.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Looks so old are another boot's: CLOCK_MONOTONIC begins anew with each. */
static lua_Number age_of(const struct mw_board_head *head)
{
	int64_t age = mwl_now_monotonic() - head->written_ms;
	return age < 0 ? HUGE_VAL : (lua_Number)age / 1000;
}

static void set_seconds(lua_State *L, const char *name, int64_t ms)
{
	if (ms < 0)
		return;
	lua_pushnumber(L, (lua_Number)ms / 1000);
	lua_setfield(L, -2, name);
}

static void set_head(lua_State *L, const struct mw_board_head *head)
{
	mwl_set_count(L, "number", head->number);
	mwl_set_count(L, "pid", (uint64_t)head->pid);
	mwl_set_flag(L, "own", head->pid == (int64_t)getpid());
	mwl_set_flag(L, "exists", head->pid > 0 && (kill((pid_t)head->pid, 0) == 0 || errno == EPERM));
	lua_pushnumber(L, age_of(head));
	lua_setfield(L, -2, "age");
	set_seconds(L, "written", head->written_ms);
	set_seconds(L, "started_at", head->started_wall_ms);
	set_seconds(L, "written_at", head->written_wall_ms);
}

static void set_totals(lua_State *L, const struct mw_board_totals *t)
{
	mwl_set_count(L, "accepted", t->accepted);
	mwl_set_count(L, "delivered", t->delivered);
	mwl_set_count(L, "dead", t->dead);
	mwl_set_count(L, "queued", t->queued);
	mwl_set_count(L, "in_flight", t->in_flight);
	mwl_set_count(L, "queued_bytes", t->queued_bytes);
	mwl_set_count(L, "held", t->held);
	mwl_set_count(L, "requests", t->requests);
	mwl_set_count(L, "answers", t->answers);
	mwl_set_count(L, "retries", t->retries);
	mwl_set_count(L, "splits", t->splits);
	mwl_set_count(L, "bytes_sent", t->bytes_sent);
	mwl_set_count(L, "lanes", t->lanes);
	mwl_set_count(L, "lanes_parked", t->lanes_parked);
	mwl_set_count(L, "lanes_backing_off", t->lanes_backing_off);
	mwl_set_count(L, "lanes_awaiting_token", t->lanes_held);
	mwl_set_count(L, "token_requests", t->token_requests);
	mwl_set_count(L, "commits", t->commits);
	mwl_set_count(L, "disk_bytes", t->disk_bytes);
	mwl_set_count(L, "disk_max", t->disk_max);
	set_seconds(L, "oldest", t->oldest_ms);
	set_seconds(L, "gate_closed_for", t->gate_ms);
	lua_pushnumber(L, (lua_Number)t->rate_milli / 1000);
	lua_setfield(L, -2, "rate");
	lua_pushnumber(L, (lua_Number)t->commit_us_max / 1e6);
	lua_setfield(L, -2, "commit_max");
	mwl_set_flag(L, "closed", t->closed != 0);
}

static void push_lane(lua_State *L, const struct mw_board_lane *lane)
{
	lua_createtable(L, 0, 12);
	lua_pushlstring(L, lane->account, lane->account_len);
	lua_setfield(L, -2, "account");
	mwl_set_string(L, "state", mwl_lane_state_word(lane->state));
	mwl_set_count(L, "delivered", lane->delivered);
	mwl_set_count(L, "dead", lane->dead);
	mwl_set_count(L, "queued", lane->queued);
	mwl_set_count(L, "in_flight", lane->in_flight);
	mwl_set_count(L, "attempts", lane->attempts);
	mwl_set_flag(L, "backing_off", (lane->flags & MW_BOARD_BACKING_OFF) != 0);
	mwl_set_flag(L, "awaits_token", (lane->flags & MW_BOARD_AWAITS_TOKEN) != 0);
	lua_pushinteger(L, lane->last_status);
	lua_setfield(L, -2, "last_status");
	set_seconds(L, "due_in", lane->due_in_ms);
	set_seconds(L, "delivered_ago", (int64_t)lane->delivered_s * 1000 - 1000);
	if (lane->last_error[0])
		mwl_set_string(L, "last_error", lane->last_error);
}

/* core.board(path [, account]) -> { pid =, own =, age =, exists =, accepted =, ..., lanes_shown = {...} } |
 * nil, message, code. Of all lanes, or of the account's. */
static int core_board(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	size_t len = 0;
	const char *account = luaL_optlstring(L, 2, NULL, &len);
	lua_settop(L, 2);
	/* Lua's, so that an error on the way frees it. */
	struct mw_board_copy *copy = mwl_newuserdata_plain(L, sizeof *copy);
	struct mw_error e = {.code = MW_OK};
	if (mw_board_read(path, copy, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_createtable(L, 0, 40);
	set_head(L, &copy->head);
	set_totals(L, &copy->totals);
	lua_createtable(L, account ? 1 : (int)copy->head.lane_count, 0);
	for (size_t i = 0, shown = 0; i < copy->head.lane_count; i++) {
		const struct mw_board_lane *lane = &copy->lanes[i];
		if (account && (lane->account_len != len || memcmp(lane->account, account, len) != 0))
			continue;
		push_lane(L, lane);
		lua_rawseti(L, -2, (int)++shown);
	}
	lua_setfield(L, -2, "lanes_shown");
	return 1;
}

void mwl_open_board(lua_State *L)
{
	lua_pushcfunction(L, core_board);
	lua_setfield(L, -2, "board");
}
