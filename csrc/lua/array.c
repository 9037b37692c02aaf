/* array.c -- what tells an array from an object where a table alone does not: core.array, and how cjson does
 * it.
 *
 *     core.array {}             []    by its metatable, which core.decode gives to arrays, too
 *     cjson.empty_array         []    a light userdata
 *     cjson.empty_array_mt      [] as long as the table is empty
 *     cjson.array_mt            an array whatever is in it
 *
 * Builds of cjson differ in which of these they have.
 */
#include "mwl.h"

/* In the registry: a table of cjson's empty_array, array_mt and empty_array_mt, as far as it has them. */
#define MWL_SENTINELS "moonweir.sentinels"

enum mwl_array mwl_array_by_metatable(lua_State *L)
{
	enum mwl_array array = MWL_ARRAY_UNSAID;
	int metatable = lua_gettop(L);
	luaL_getmetatable(L, MWL_ARRAY);
	if (lua_rawequal(L, -1, metatable)) {
		array = MWL_ARRAY_ALWAYS;
		goto done;
	}
	lua_getfield(L, LUA_REGISTRYINDEX, MWL_SENTINELS);
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "array_mt");
		lua_getfield(L, -2, "empty_array_mt");
		if (lua_rawequal(L, -2, metatable))
			array = MWL_ARRAY_ALWAYS;
		else if (lua_rawequal(L, -1, metatable))
			array = MWL_ARRAY_IF_EMPTY;
	}
done:
	lua_settop(L, metatable);
	return array;
}

bool mwl_array_is_empty(lua_State *L, int index)
{
	bool is_empty = false;
	int top = lua_gettop(L);
	lua_getfield(L, LUA_REGISTRYINDEX, MWL_SENTINELS);
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "empty_array");
		is_empty = lua_rawequal(L, -1, index);
	}
	lua_settop(L, top);
	return is_empty;
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

/* core.sentinels(cjson or nil): remember how this cjson tells arrays from objects. */
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

void mwl_open_array(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"array", array},
	    {"sentinels", sentinels},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_ARRAY);
	lua_pushliteral(L, "an array");
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
	luaL_setfuncs(L, functions, 0);
}
