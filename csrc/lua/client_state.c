/* client_state.c -- what a client tells of itself: reports of single messages, counters, the state of each
 * lane. */
#include "client.h"

static const char *const outcome_words[] = {
    [MW_OUTCOME_DELIVERED] = "delivered",
    [MW_OUTCOME_DEAD] = "dead",
    [MW_OUTCOME_PARKED] = "parked",
    [MW_OUTCOME_WITHDRAWN] = "withdrawn",
};

/* The report that `poll_build` is to make a table of. */
struct poll_state {
	lua_State *L;
	const struct mw_report *report;
	size_t lost;
};

/* stack: list, struct poll_state */
static int poll_build(lua_State *L)
{
	const struct mw_report *r = ((const struct poll_state *)lua_touserdata(L, 2))->report;
	lua_createtable(L, 0, 6);
	mwl_set_nonempty(L, "account", r->account);
	mwl_set_nonempty(L, "answer", r->answer);
	mwl_set_nonempty(L, "message", r->message);
	mwl_set_integer(L, "tag", r->tag);
	lua_pushinteger(L, r->status);
	lua_setfield(L, -2, "status");
	mwl_set_string(L, "outcome", outcome_words[r->outcome]);
	lua_rawseti(L, 1, (int)lua_rawlen(L, 1) + 1);
	return 0;
}

enum { POLL_LIST = 3, POLL_STATE, POLL_BUILD };

/* An error of Lua's (out of memory) must not cross the engine, so it is caught here and the report is lost
 * with it. Copies what is on the stack: that allocates nothing. */
static void poll_each(void *context, const struct mw_report *r)
{
	struct poll_state *p = context;
	p->report = r;
	lua_pushvalue(p->L, POLL_BUILD);
	lua_pushvalue(p->L, POLL_LIST);
	lua_pushvalue(p->L, POLL_STATE);
	if (lua_pcall(p->L, 2, 0, 0) != LUA_OK) {
		lua_pop(p->L, 1);
		p->lost++;
	}
}

/* At POLL_LIST a new list, for at most *max reports: those that are asked for at 2, else `usual`. False: the
 * client is another process's. */
static bool poll_list(lua_State *L, const struct mwl_client *c, lua_Integer usual, size_t *max)
{
	int64_t asked = usual;
	luaL_argcheck(L,
		      lua_isnoneornil(L, 2) ||
			  (lua_type(L, 2) == LUA_TNUMBER && mwl_exact_integer(L, 2, &asked) && asked >= 0),
		      2, "how many reports at most, a whole number");
	*max = (size_t)asked;
	if (c->engine && mw_engine_is_forked(c->engine))
		return false;
	lua_settop(L, 2);
	luaL_checkstack(L, 8, NULL);
	lua_newtable(L);
	return true;
}

/* client:poll([max]) -> list of { account, outcome, status, tag, answer, message } */
static int client_poll(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	size_t max;
	if (!poll_list(L, c, 1000, &max))
		return mwl_fail_code(L, MW_FORKED);
	struct poll_state *p = mwl_newuserdata(L, sizeof *p);
	*p = (struct poll_state){.L = L};
	lua_pushcfunction(L, poll_build);
	if (c->engine)
		mw_engine_poll(c->engine, max, poll_each, p);
	c->reports_lost += p->lost;
	lua_settop(L, POLL_LIST);
	return 1;
}

/* What `settle_each` collects. */
struct settled {
	struct poll_state poll; /* first: poll_each gets it */
	struct mw_buf tags;     /* int64_t each, of delivered messages */
};

/* A delivered message is its tag and nothing else: no table is made of it. */
static void settle_each(void *context, const struct mw_report *r)
{
	struct settled *s = context;
	if (r->outcome == MW_OUTCOME_DELIVERED && mw_buf_append(&s->tags, &r->tag, sizeof r->tag) == MW_OK)
		return;
	poll_each(&s->poll, r);
}

/* stack: tags as bytes in a struct settled -> list of tags */
static int push_tags(lua_State *L)
{
	const struct settled *s = lua_touserdata(L, 1);
	int count = (int)(s->tags.len / sizeof(int64_t));
	lua_createtable(L, count, 0);
	for (int i = 0; i < count; i++) {
		int64_t tag;
		memcpy(&tag, s->tags.data + (size_t)i * sizeof tag, sizeof tag);
		lua_pushinteger(L, (lua_Integer)tag);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* client:settled([max]) -> the tags of delivered messages, and poll's list of all other reports */
static int client_settled(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	size_t max;
	if (!poll_list(L, c, MW_REPORTS_MAX, &max))
		return mwl_fail_code(L, MW_FORKED);
	struct settled *s = mwl_newuserdata(L, sizeof *s);
	*s = (struct settled){.poll = {.L = L}};
	mw_buf_init(&s->tags, SIZE_MAX);
	lua_pushcfunction(L, poll_build);
	lua_pushcfunction(L, push_tags); /* behind POLL_BUILD */
	lua_pushvalue(L, POLL_STATE);
	if (c->engine)
		mw_engine_poll(c->engine, max, settle_each, s);
	c->reports_lost += s->poll.lost;
	size_t count = s->tags.len / sizeof(int64_t);
	int status = lua_pcall(L, 1, 1, 0);
	mw_buf_deinit(&s->tags);
	if (status != LUA_OK) {
		c->reports_lost += count;
		return lua_error(L);
	}
	lua_pushvalue(L, POLL_LIST);
	return 2;
}

/* client:withdraw() -> how many messages of parked and paused accounts are given back, each with a report
 * "withdrawn" */
static int client_withdraw(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	lua_pushinteger(L, c->engine ? (lua_Integer)mw_engine_withdraw(c->engine) : 0);
	return 1;
}

/* Seconds since then, absent if there is none. */
static void set_age(lua_State *L, const char *name, int64_t now, int64_t since)
{
	if (since < 0)
		return;
	lua_pushnumber(L, (lua_Number)(now > since ? now - since : 0) / 1000);
	lua_setfield(L, -2, name);
}

/* { sum = seconds, { at_most = seconds, count = }, ... }, the last without a bound */
static void push_commit_times(lua_State *L, const struct mw_histogram *h)
{
	lua_createtable(L, MW_HISTOGRAM_BUCKETS, 1);
	lua_pushnumber(L, (lua_Number)h->sum / 1e6);
	lua_setfield(L, -2, "sum");
	for (int i = 0; i < MW_HISTOGRAM_BUCKETS; i++) {
		lua_createtable(L, 0, 2);
		mwl_set_count(L, "count", h->counts[i]);
		if (i < MW_HISTOGRAM_BUCKETS - 1) {
			lua_pushnumber(L, MW_HISTOGRAM_FIRST * (lua_Number)(1 << i) / 1e6);
			lua_setfield(L, -2, "at_most");
		}
		lua_rawseti(L, -2, i + 1);
	}
}

static int client_stats(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	struct mw_engine_stats s;
	if (!c->engine)
		return mwl_fail_code(L, MW_CLOSED);
	enum mw_err err = mw_engine_stats(c->engine, &s);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_createtable(L, 0, 40);
	mwl_set_count(L, "accepted", s.weir.counts.accepted);
	mwl_set_count(L, "delivered", s.weir.counts.delivered);
	mwl_set_count(L, "dead", s.weir.counts.dead);
	mwl_set_count(L, "queued", s.weir.counts.queued);
	mwl_set_count(L, "in_flight", s.weir.counts.in_flight);
	mwl_set_count(L, "queued_bytes", s.weir.queued_bytes);
	mwl_set_count(L, "held", s.weir.held);
	mwl_set_count(L, "requests", s.weir.requests);
	mwl_set_count(L, "answers", s.weir.answers);
	mwl_set_count(L, "retries", s.weir.retries);
	mwl_set_count(L, "splits", s.weir.splits);
	mwl_set_count(L, "bytes_sent", s.weir.bytes_sent);
	mwl_set_count(L, "lanes", s.weir.lanes);
	mwl_set_count(L, "lanes_parked", s.weir.lanes_parked);
	mwl_set_count(L, "lanes_backing_off", s.weir.lanes_backing_off);
	mwl_set_count(L, "lanes_failing", s.weir.lanes_failing);
	mwl_set_count(L, "lanes_without_token", s.lanes_tokenless);
	mwl_set_count(L, "lanes_awaiting_token", s.weir.lanes_held);
	mwl_set_count(L, "token_requests", s.token_requests);
	mwl_set_count(L, "commits", s.spool.commits);
	mwl_set_count(L, "repeats", s.spool.repeats);
	mwl_set_count(L, "ids", s.spool.seen);
	mwl_set_count(L, "ids_dropped", s.spool.seen_dropped);
	mwl_set_count(L, "damaged", s.spool.damaged);
	mwl_set_count(L, "disk_bytes", s.spool.disk_bytes);
	mwl_set_count(L, "letters", s.spool.letters);
	mwl_set_count(L, "letter_bytes", s.spool.letter_bytes);
	mwl_set_count(L, "letters_lost", s.spool.letters_lost);
	mwl_set_count(L, "dead_dropped", s.spool.dead_dropped);
	mwl_set_count(L, "reports_lost", s.reports_lost + c->reports_lost);
	mwl_set_count(L, "events", c->tally.events);
	mwl_set_count(L, "ignored", c->tally.ignored);
	mwl_set_count(L, "unmatched", c->tally.unmatched);
	mwl_set_count(L, "failed", c->tally.failed);
	mwl_set_count(L, "throttled", s.throttled);
	mwl_set_count(L, "disk_max", s.spool.disk_max);
	int64_t now = mwl_now_monotonic();
	set_age(L, "oldest", now, s.weir.oldest);
	set_age(L, "oldest_due", now, s.weir.oldest_due);
	if (s.token_trouble[0])
		mwl_set_string(L, "token_trouble", s.token_trouble);
	push_commit_times(L, &s.commits);
	lua_setfield(L, -2, "commit_times");
	lua_pushnumber(L, (lua_Number)s.gate_ms / 1000);
	lua_setfield(L, -2, "gate_closed_for");
	mwl_set_count(L, "permits_missed", s.turns_missed);
	if (s.unleased_ms > 0) {
		lua_pushnumber(L, (lua_Number)s.unleased_ms / 1000);
		lua_setfield(L, -2, "unpermitted_for");
		mwl_set_string(L, "permit_trouble", s.lease_trouble);
	}
	return 1;
}

const char *mwl_lane_state_word(uint32_t state)
{
	static const char *const words[] = {
	    [MW_LANE_EMPTY] = "empty",   [MW_LANE_WAITING] = "waiting", [MW_LANE_READY] = "ready",
	    [MW_LANE_FLYING] = "flying", [MW_LANE_PARKED] = "parked",   [MW_LANE_PAUSED] = "paused",
	};
	return state < sizeof words / sizeof *words ? words[state] : "unknown";
}

static void push_lane(lua_State *L, const struct mw_engine_lane *lane)
{
	lua_createtable(L, 0, 18);
	lua_pushlstring(L, lane->account, lane->account_len);
	lua_setfield(L, -2, "account");
	mwl_set_string(L, "state", mwl_lane_state_word((uint32_t)lane->state));
	mwl_set_count(L, "accepted", lane->counts.accepted);
	mwl_set_count(L, "delivered", lane->counts.delivered);
	mwl_set_count(L, "dead", lane->counts.dead);
	mwl_set_count(L, "queued", lane->counts.queued);
	mwl_set_count(L, "in_flight", lane->counts.in_flight);
	mwl_set_count(L, "queued_bytes", lane->queued_bytes);
	mwl_set_count(L, "requests", lane->requests);
	mwl_set_count(L, "bytes_sent", lane->bytes_sent);
	mwl_set_count(L, "attempts", lane->attempts);
	lua_pushinteger(L, lane->last_status);
	lua_setfield(L, -2, "last_status");
	mwl_set_flag(L, "awaits_token", lane->awaits_token);
	mwl_set_flag(L, "has_app", lane->has_app);
	lua_pushnumber(L, (lua_Number)lane->due_in_ms / 1000);
	lua_setfield(L, -2, "due_in");
	if (lane->delivered_ms >= 0) {
		lua_pushnumber(L, (lua_Number)lane->delivered_ms / 1000);
		lua_setfield(L, -2, "delivered_ago");
	}
	if (lane->last_error[0])
		mwl_set_string(L, "last_error", lane->last_error);
}

static struct mwl_client *check_engine(lua_State *L, enum mw_err *err)
{
	struct mwl_client *c = mwl_client_check(L);
	*err = !c->engine ? MW_CLOSED : mw_engine_is_forked(c->engine) ? MW_FORKED : MW_OK;
	return c;
}

/* client:lanes([max]) -> list of all lanes, or of the busiest: { account, state, accepted, delivered, dead,
 * queued, in_flight, ... } */
static int client_lanes(lua_State *L)
{
	enum mw_err err;
	struct mwl_client *c = check_engine(L, &err);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	size_t room = mw_engine_lanes(c->engine, NULL, 0);
	lua_Number max = luaL_optnumber(L, 2, (lua_Number)room);
	luaL_argcheck(L, max >= 0, 2, "how many, from 0 up");
	if (max < (lua_Number)room)
		room = (size_t)max;
	/* Lua owns the copy, so an error on the way frees it. */
	struct mw_engine_lane *lanes = mwl_newuserdata(L, (room ? room : 1) * sizeof *lanes);
	size_t count = mw_engine_lanes(c->engine, lanes, room);
	if (count > room)
		count = room;
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		push_lane(L, &lanes[i]);
		lua_rawseti(L, -2, (int)i + 1);
	}
	return 1;
}

/* client:lane(account) -> the same of one; nil without a message if nothing ever came for it */
static int client_lane(lua_State *L)
{
	enum mw_err err;
	struct mwl_client *c = check_engine(L, &err);
	struct mw_span account = mwl_check_span(L, 2);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	struct mw_engine_lane lane;
	if (mw_engine_lane(c->engine, account, &lane))
		push_lane(L, &lane);
	else
		lua_pushnil(L);
	return 1;
}

/* client:review() -> the userdata that its messages are checked by, or nil */
static int client_review(lua_State *L)
{
	mwl_client_check(L);
	mwl_getuservalue(L, 1);
	lua_rawgeti(L, -1, MWL_CLIENT_REVIEW);
	return 1;
}

void mwl_client_state_methods(lua_State *L)
{
	static const luaL_Reg methods[] = {{"poll", client_poll},         {"stats", client_stats},
					   {"lanes", client_lanes},       {"lane", client_lane},
					   {"review", client_review},     {"settled", client_settled},
					   {"withdraw", client_withdraw}, {NULL, NULL}};
	luaL_setfuncs(L, methods, 0);
}
