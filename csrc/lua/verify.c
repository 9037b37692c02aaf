/* verify.c -- core.verify(dir [, options]): a look at a spool, as one table.
 *
 * Options: accounts = true lists the lanes too; progress = function(done, total, partition) is called a few
 * times a second with bytes. What it raises ends the look and goes on to the caller.
 */
#include "../io/spool_verify.h"
#include "mwl.h"

#define VERIFY "moonweir.verify"

struct verify {
	struct mw_verify *v;
};

static int verify_gc(lua_State *L)
{
	struct verify *box = luaL_checkudata(L, 1, VERIFY);
	mw_verify_close(box->v);
	box->v = NULL;
	return 0;
}

static void set_counts(lua_State *L, const struct mw_verify_counts *c)
{
	mwl_set_count(L, "accepted", c->accepted);
	mwl_set_count(L, "delivered", c->delivered);
	mwl_set_count(L, "dead", c->dead);
	mwl_set_count(L, "queued", c->queued);
	mwl_set_count(L, "queued_bytes", c->queued_bytes);
	mwl_set_count(L, "packs", c->packs);
}

static void push_lane(lua_State *L, const struct mw_verify_record *r)
{
	lua_newtable(L);
	mwl_set_count(L, "partition", r->partition);
	mwl_set_count(L, "lane", r->lane);
	mwl_set_span(L, "account", r->account);
	set_counts(L, &r->counts);
	mwl_set_flag(L, "balanced", r->is_balanced != 0);
}

static void push_finding(lua_State *L, const struct mw_verify_record *r)
{
	lua_newtable(L);
	mwl_set_count(L, "partition", r->partition);
	mwl_set_string(L, "code", mw_finding_word(r->finding));
	mwl_set_nonempty(L, "account", r->account);
	mwl_set_span(L, "message", r->text);
	mwl_set_string(L, "advice", mw_finding_advice(r->finding));
}

static void push_partition(lua_State *L, const struct mw_verify_record *r)
{
	lua_newtable(L);
	mwl_set_count(L, "partition", r->partition);
	if (r->owner > 0)
		mwl_set_count(L, "owner", (uint64_t)r->owner);
	set_counts(L, &r->counts);
	mwl_set_count(L, "lanes", r->lanes);
	mwl_set_count(L, "letters", r->letters);
	mwl_set_count(L, "findings", r->findings);
	mwl_set_flag(L, "balanced", r->is_balanced != 0);
}

/* Appends the value on top to the result's list of this name. */
static void append(lua_State *L, int result, const char *name)
{
	lua_getfield(L, result, name);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
	lua_pop(L, 2);
}

static void call_progress(lua_State *L, int options, const struct mw_verify_record *r)
{
	lua_getfield(L, options, "progress");
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		return;
	}
	lua_pushinteger(L, (lua_Integer)r->done);
	lua_pushinteger(L, (lua_Integer)r->total);
	lua_pushinteger(L, (lua_Integer)r->partition);
	lua_call(L, 3, 0);
}

/* core.verify(dir [, options]) -> { ok =, partitions = {...}, findings = {...}, accounts = {...} or nil } */
static int core_verify(lua_State *L)
{
	enum { OPTIONS = 2, BOX, RESULT };
	const char *dir = luaL_checkstring(L, 1);
	struct mw_verify_record r;
	struct mw_error e = {.code = MW_OK};
	if (lua_isnoneornil(L, OPTIONS)) {
		lua_settop(L, 1);
		lua_newtable(L);
	}
	luaL_checktype(L, OPTIONS, LUA_TTABLE);
	lua_settop(L, OPTIONS);
	lua_getfield(L, OPTIONS, "accounts");
	bool with_lanes = lua_toboolean(L, -1);
	lua_pop(L, 1);
	struct verify *box = mwl_newuserdata_plain(L, sizeof *box);
	box->v = NULL;
	luaL_setmetatable(L, VERIFY);
	lua_newtable(L);
	lua_newtable(L);
	lua_setfield(L, RESULT, "partitions");
	lua_newtable(L);
	lua_setfield(L, RESULT, "findings");
	if (with_lanes) {
		lua_newtable(L);
		lua_setfield(L, RESULT, "accounts");
	}
	bool is_ok = true;
	enum mw_err err = mw_verify_open(dir, &box->v, &e);
	while (err == MW_OK && (err = mw_verify_next(box->v, &r, &e)) == MW_OK && r.kind != MW_VERIFY_END) {
		switch (r.kind) {
		case MW_VERIFY_LANE:
			is_ok = is_ok && r.is_balanced;
			if (with_lanes) {
				push_lane(L, &r);
				append(L, RESULT, "accounts");
			}
			break;
		case MW_VERIFY_FINDING:
			is_ok = false;
			push_finding(L, &r);
			append(L, RESULT, "findings");
			break;
		case MW_VERIFY_PARTITION:
			is_ok = is_ok && r.is_balanced;
			push_partition(L, &r);
			append(L, RESULT, "partitions");
			break;
		case MW_VERIFY_PROGRESS:
			call_progress(L, OPTIONS, &r);
			break;
		case MW_VERIFY_END:
			break;
		}
	}
	mw_verify_close(box->v);
	box->v = NULL;
	if (err != MW_OK)
		return mwl_fail(L, &e);
	lua_pushboolean(L, is_ok);
	lua_setfield(L, RESULT, "ok");
	lua_settop(L, RESULT);
	return 1;
}

void mwl_open_verify(lua_State *L)
{
	luaL_newmetatable(L, VERIFY);
	lua_pushcfunction(L, verify_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	lua_pushcfunction(L, core_verify);
	lua_setfield(L, -2, "verify");
}
