/* review.c -- messages against Segment's Spec, judged by a Lua function once for each kind of them.
 *
 *     review = core.review(judge, strict)
 *     judge(message) -> verdict [, why]
 *     review:counts() -> { messages =, judged =, unjudged =, failed =, shapes =, [verdict] = messages, ... }
 *
 * A verdict is a number of the judge's for what is wrong (0: nothing), `why` the reason not to send it.
 *
 * A review is given to core.mapper and core.client. The judge runs in the middle of a mapping, so nothing of
 * it may be felt there: the script's limits and string methods are set aside, no garbage is collected (a
 * finalizer could call whoever is waiting), and what it raises is counted as `failed`; `why` tells the last
 * of those.
 */
#include "mwl.h"

#include <stdio.h>

struct judging {
	struct mwl_review *r;
	struct mw_span message;
	lua_Integer verdict;
	bool refused;
	struct mw_error *e;
};

/* The judge's own text may be longer than an error's; what is cut off is its end. */
static void keep_why(lua_State *L, int index, struct mw_error *e)
{
	size_t len;
	const char *text = lua_tolstring(L, index, &len);
	mw_error_set(e, MW_SPEC, 0, "%.*s", (int)(len < sizeof e->detail ? len : sizeof e->detail - 1), text);
}

/* stack: struct judging; may raise */
static int enter(lua_State *L)
{
	struct judging *j = lua_touserdata(L, 1);
	struct mwl_review *r = j->r;
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	if (mw_json_read(&r->doc, j->message.at, j->message.len, NULL) != MW_OK)
		return luaL_error(L, "%s", mw_err_sentence(MW_NO_MEMORY));
	lua_rawgeti(L, LUA_REGISTRYINDEX, r->judge);
	mwl_decode_push(L, &r->doc, 0, &r->text);
	lua_call(L, 1, 2);
	j->verdict = lua_tointeger(L, -2);
	if (j->verdict < 0 || j->verdict >= MW_VERDICTS_MAX)
		return luaL_error(L, "a verdict is a number from 0 to %d", MW_VERDICTS_MAX - 1);
	j->refused = lua_type(L, -1) == LUA_TSTRING;
	if (j->refused)
		keep_why(L, -1, j->e);
	return 0;
}

/* What it raised is on top of the stack. Only a strict source can't do without a verdict. */
static enum mw_err failed(lua_State *L, struct mwl_review *r, struct mw_error *e)
{
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text";
	r->failed++;
	snprintf(r->why, sizeof r->why, "%s", text);
	lua_pop(L, 1);
	if (!r->review.is_strict)
		return MW_OK;
	return mw_error_set(e, MW_SPEC, 0, "the check itself failed: %.180s", r->why);
}

enum mw_err mwl_review_judge(lua_State *L, struct mwl_review *r, uint64_t shape, struct mw_span message,
			     struct mw_error *e)
{
	struct mwl_pause pause;
	struct judging j = {.r = r, .message = message, .e = e};
	mwl_guard_pause(L, &pause);
	bool collects = lua_gc(L, LUA_GCISRUNNING, 0);
	lua_gc(L, LUA_GCSTOP, 0);
	int status = mwl_cpcall(L, enter, &j);
	enum mw_err err = status == LUA_OK ? MW_OK : failed(L, r, e);
	if (collects)
		lua_gc(L, LUA_GCRESTART, 0);
	mwl_guard_resume(L, &pause);
	if (status != LUA_OK)
		return err;
	mw_review_learn(&r->review, shape, (uint32_t)j.verdict, j.refused);
	return j.refused ? MW_SPEC : MW_OK;
}

enum mw_err mwl_review_message(lua_State *L, struct mwl_review *r, const struct mw_message *m,
			       struct mw_span message, struct mw_error *e)
{
	if (!r)
		return MW_OK;
	uint64_t shape = mw_message_shape(m);
	if (mw_review_look(&r->review, shape) == MW_REVIEW_PASS)
		return MW_OK;
	return mwl_review_judge(L, r, shape, message, e);
}

struct mwl_review *mwl_opt_review(lua_State *L, int index)
{
	return lua_isnoneornil(L, index) ? NULL : luaL_checkudata(L, index, MWL_REVIEW);
}

static int review_counts(lua_State *L)
{
	const struct mwl_review *r = luaL_checkudata(L, 1, MWL_REVIEW);
	lua_createtable(L, 0, 8);
	mwl_set_count(L, "messages", r->review.messages);
	mwl_set_count(L, "judged", r->review.judged);
	mwl_set_count(L, "unjudged", r->review.unjudged);
	mwl_set_count(L, "failed", r->failed);
	mwl_set_count(L, "shapes", r->review.shapes);
	if (r->why[0])
		mwl_set_string(L, "why", r->why);
	for (int i = 0; i < MW_VERDICTS_MAX; i++) {
		if (r->review.met[i] == 0)
			continue;
		lua_pushinteger(L, (lua_Integer)r->review.met[i]);
		lua_rawseti(L, -2, i);
	}
	return 1;
}

static int review_gc(lua_State *L)
{
	struct mwl_review *r = luaL_checkudata(L, 1, MWL_REVIEW);
	mw_json_deinit(&r->doc);
	mw_buf_deinit(&r->text);
	luaL_unref(L, LUA_REGISTRYINDEX, r->judge);
	r->judge = LUA_NOREF;
	return 0;
}

static int new_review(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	bool is_strict = lua_toboolean(L, 2);
	lua_settop(L, 1);
	struct mwl_review *r = mwl_newuserdata_plain(L, sizeof *r);
	memset(r, 0, sizeof *r);
	r->judge = LUA_NOREF;
	mw_review_init(&r->review, is_strict);
	mw_json_init(&r->doc);
	mw_buf_init(&r->text, MW_EVENT_MAX);
	luaL_getmetatable(L, MWL_REVIEW);
	lua_setmetatable(L, -2);
	lua_pushvalue(L, 1);
	r->judge = luaL_ref(L, LUA_REGISTRYINDEX);
	return 1;
}

void mwl_open_review(lua_State *L)
{
	luaL_newmetatable(L, MWL_REVIEW);
	lua_pushcfunction(L, review_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	lua_pushcfunction(L, review_counts);
	lua_setfield(L, -2, "counts");
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, new_review);
	lua_setfield(L, -2, "review");
	lua_pushinteger(L, MW_VERDICTS_MAX);
	lua_setfield(L, -2, "verdicts_max");
}
