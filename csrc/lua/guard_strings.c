/* guard_strings.c -- the methods that all strings share: while a script runs, the sandbox's.
 *
 * ("x"):upper() finds its method in the metatable of strings. The registry keeps { that metatable, "__index",
 * the sandbox's functions, the host's }; all four are there from the start, so that nothing is allocated when
 * a script begins or ends.
 */
#include "mwl.h"

#define MWL_STRINGS "moonweir.strings"

enum { STRINGS_METATABLE = 1, STRINGS_FIELD, STRINGS_SCRIPT, STRINGS_HOST };

bool mwl_guard_strings_enter(lua_State *L)
{
	int top = lua_gettop(L);
	bool swapped = false;
	lua_getfield(L, LUA_REGISTRYINDEX, MWL_STRINGS);
	if (lua_istable(L, top + 1)) {
		lua_rawgeti(L, top + 1, STRINGS_METATABLE);
		lua_rawgeti(L, top + 1, STRINGS_SCRIPT);
		lua_rawgeti(L, top + 1, STRINGS_FIELD);
		lua_rawget(L, top + 2);
		swapped = !lua_rawequal(L, top + 3, top + 4); /* else an outer guard did it */
		if (swapped) {
			lua_rawseti(L, top + 1, STRINGS_HOST);
			lua_rawgeti(L, top + 1, STRINGS_FIELD);
			lua_insert(L, top + 3);
			lua_rawset(L, top + 2);
		}
	}
	lua_settop(L, top);
	return swapped;
}

void mwl_guard_strings_leave(lua_State *L)
{
	int top = lua_gettop(L);
	lua_getfield(L, LUA_REGISTRYINDEX, MWL_STRINGS);
	lua_rawgeti(L, top + 1, STRINGS_METATABLE);
	lua_rawgeti(L, top + 1, STRINGS_FIELD);
	lua_rawgeti(L, top + 1, STRINGS_HOST);
	lua_rawset(L, top + 2);
	lua_settop(L, top);
}

/* core.guard_strings(functions): what ("x"):upper() and the like find while a script runs */
static int guard_strings(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushliteral(L, "");
	if (!lua_getmetatable(L, 2))
		return luaL_error(L, "strings have no metatable here");
	lua_createtable(L, 4, 0); /* at 4 */
	lua_pushvalue(L, 3);
	lua_rawseti(L, 4, STRINGS_METATABLE);
	lua_pushliteral(L, "__index");
	lua_rawseti(L, 4, STRINGS_FIELD);
	lua_pushvalue(L, 1);
	lua_rawseti(L, 4, STRINGS_SCRIPT);
	lua_getfield(L, 3, "__index");
	if (lua_isnil(L, -1))
		return luaL_error(L, "strings have no methods here");
	lua_rawseti(L, 4, STRINGS_HOST);
	lua_setfield(L, LUA_REGISTRYINDEX, MWL_STRINGS);
	return 0;
}

void mwl_open_guard_strings(lua_State *L)
{
	lua_pushcfunction(L, guard_strings);
	lua_setfield(L, -2, "guard_strings");
}
