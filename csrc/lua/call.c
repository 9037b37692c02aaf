/* call.c -- source.track "Name" { } in a function entry, which makes one for each message.
 *
 * moonweir/call.lua decides what a call is; here is only its quick way: the first half was made before and is
 * `ready`, the second is a table, and a new call of both is to be made. It is a list, { name, payload },
 * because one is made and read in half the time of a table with names.
 */
#include "mwl.h"

enum { METATABLE = 1, OTHERWISE, READY, NAME };

/* (first, payload, ...) -> call */
static int call_of_both(lua_State *L)
{
	bool ready = false;
	if (lua_type(L, 1) == LUA_TTABLE && lua_type(L, 2) == LUA_TTABLE) {
		lua_pushvalue(L, lua_upvalueindex(READY));
		lua_rawget(L, 1);
		ready = lua_toboolean(L, -1);
		lua_pop(L, 1);
	}
	if (!ready) {
		lua_pushvalue(L, lua_upvalueindex(OTHERWISE));
		lua_insert(L, 1);
		lua_call(L, lua_gettop(L) - 1, 1);
		return 1;
	}
	lua_settop(L, 2);
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, lua_upvalueindex(NAME));
	lua_rawget(L, 1);
	lua_rawseti(L, 3, MWL_READY_NAME);
	lua_pushvalue(L, 2);
	lua_rawseti(L, 3, MWL_READY_PAYLOAD);
	lua_pushvalue(L, lua_upvalueindex(METATABLE));
	lua_setmetatable(L, 3);
	return 1;
}

/* core.call_of_both(metatable, otherwise): the __call of calls. `otherwise` does what there is no quick way
 * for.
 */
static int new_call_of_both(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushliteral(L, "ready");
	lua_pushliteral(L, "name");
	lua_pushcclosure(L, call_of_both, NAME);
	return 1;
}

/* core.call_metatable(): that of all calls. However often the module is loaded it is the same one, so that
 * scripts that are there already go on making calls. */
static int call_metatable(lua_State *L)
{
	luaL_newmetatable(L, MWL_CALL);
	return 1;
}

void mwl_open_call(lua_State *L)
{
	lua_pushcfunction(L, new_call_of_both);
	lua_setfield(L, -2, "call_of_both");
	lua_pushcfunction(L, call_metatable);
	lua_setfield(L, -2, "call_metatable");
}
