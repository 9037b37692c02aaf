/* encode.c -- core.encode, and what tells it arrays from objects: core.array and cjson's sentinels. */
#include "../core/limits.h"
#include "mwl.h"

#define MWL_ENCODER "moonweir.encoder"

/* An encoder that once held more than this gives its memory back. */
enum { ENCODER_KEEP = 256 * 1024 };

static int encoder_gc(lua_State *L)
{
	mw_buf_deinit(luaL_checkudata(L, 1, MWL_ENCODER));
	return 0;
}

/* core.encode(value) -> JSON text | nil, message, code */
static int encode(lua_State *L)
{
	struct mw_buf *out = lua_touserdata(L, lua_upvalueindex(1));
	struct mw_error e = {0};
	luaL_checkany(L, 1);
	mw_buf_clear(out);
	if (mwl_table_write(L, 1, out, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushlstring(L, (const char *)out->data, out->len);
	if (out->cap > ENCODER_KEEP) {
		mw_buf_deinit(out);
		mw_buf_init(out, MW_EVENT_MAX);
	}
	return 1;
}

/* core.array([table]) -> the same table, which is [] even when it is empty */
static int array(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, 0);
		lua_newtable(L);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	luaL_getmetatable(L, MWL_ARRAY);
	if (lua_getmetatable(L, 1)) {
		luaL_argcheck(L, lua_rawequal(L, 2, 3), 1, "the table has a metatable of its own");
		lua_pop(L, 1);
	}
	lua_setmetatable(L, 1);
	return 1;
}

/* core.sentinels(cjson or nil): remember how this cjson writes its empty arrays. Builds differ in which they
 * have. */
static int sentinels(lua_State *L)
{
	static const char *const names[] = {"empty_array", "array_mt", "empty_array_mt"};
	if (lua_isnoneornil(L, 1))
		return 0;
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		lua_pushstring(L, names[i]);
		lua_rawget(L, 1);
		lua_setfield(L, -2, names[i]);
	}
	lua_setfield(L, LUA_REGISTRYINDEX, MWL_SENTINELS);
	return 0;
}

void mwl_open_encode(lua_State *L)
{
	luaL_newmetatable(L, MWL_ARRAY);
	lua_pushliteral(L, "an array");
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
	static const luaL_Reg functions[] = {
	    {"array", array},
	    {"sentinels", sentinels},
	    {NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
	luaL_newmetatable(L, MWL_ENCODER);
	lua_pushcfunction(L, encoder_gc);
	lua_setfield(L, -2, "__gc");
	mw_buf_init(mwl_newuserdata_plain(L, sizeof(struct mw_buf)), MW_EVENT_MAX);
	lua_insert(L, -2);
	lua_setmetatable(L, -2);
	lua_pushcclosure(L, encode, 1);
	lua_setfield(L, -2, "encode");
}
