/* compat.h -- one C source for Lua 5.4 and LuaJIT (5.1 ABI). The only file that looks at the version.
 *
 * LuaJIT calls itself 5.1 but has luaL_setfuncs, luaL_testudata and lua_copy already; what is
 * missing from it is defined here under the name that 5.4 uses.
 */
#ifndef MWL_COMPAT_H
#define MWL_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM >= 504
#define MWL_HAS_INTEGERS               1
#define mwl_newuserdata(L, size)       lua_newuserdatauv((L), (size), 1)
#define mwl_newuserdata_plain(L, size) lua_newuserdatauv((L), (size), 0) /* has no uservalue */
#define mwl_setuservalue(L, i)         lua_setiuservalue((L), (i), 1)
#define mwl_getuservalue(L, i)         lua_getiuservalue((L), (i), 1)
/* f(context) under protection: what it raises is left on the stack. Making the call allocates nothing outside
 * of it. */
static inline int mwl_cpcall(lua_State *L, lua_CFunction f, void *context)
{
	lua_pushcfunction(L, f);
	lua_pushlightuserdata(L, context);
	return lua_pcall(L, 1, 0, 0);
}
#else
#define MWL_HAS_INTEGERS               0
#define mwl_cpcall(L, f, context)      lua_cpcall((L), (f), (context))
#define mwl_newuserdata(L, size)       lua_newuserdata((L), (size))
#define mwl_newuserdata_plain(L, size) lua_newuserdata((L), (size))
/* 5.1 keeps a table of its own behind each userdata: its "environment". */
#define mwl_setuservalue(L, i)         lua_setfenv((L), (i))
#define mwl_getuservalue(L, i)         lua_getfenv((L), (i))
#define lua_rawlen(L, i)               lua_objlen((L), (i))
#define lua_absindex(L, i)             ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)
#define lua_isinteger(L, i)            0 /* doubles only: see mwl_exact_integer */
#ifndef LUA_OK
#define LUA_OK 0
#endif
#endif

#endif
