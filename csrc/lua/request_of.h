/* request_of.h -- how a userdata of another module gives a mapper a request as it lies in memory, without a
 * string of its body or a table of its headers: its metatable has a pointer to this under MWL_REQUEST_OF. It
 * is good as long as the Lua state; what is read, until the request is answered. */
#ifndef MWL_REQUEST_OF_H
#define MWL_REQUEST_OF_H

#include "../core/expr.h"
#include "compat.h"

#define MWL_REQUEST_OF "moonweir.request_of.1" /* another number with another struct */

/* Both raise if the userdata at `index` is a request that was answered. */
struct mwl_request_of {
	struct mw_span (*body)(lua_State *L, int index);
	size_t (*headers)(lua_State *L, int index, struct mw_header *out,
			  size_t max); /* how many; at most max */
};

/* NULL: the value at `index` is no such thing. */
static inline const struct mwl_request_of *mwl_request_of(lua_State *L, int index)
{
	if (lua_type(L, index) != LUA_TUSERDATA || !luaL_getmetafield(L, index, MWL_REQUEST_OF))
		return NULL;
	const struct mwl_request_of *of = (const struct mwl_request_of *)lua_touserdata(L, -1);
	lua_pop(L, 1);
	return of;
}

#endif
