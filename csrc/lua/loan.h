/* loan.h -- a function's working memory, kept in its upvalue from call to call and lent to one of them at a
 * time: garbage that is collected in the middle of a call may have finalizers that call the same function.
 *
 *     struct decoder *d = mwl_loan_take(L, push_decoder);      pushed
 *     ...
 *     mwl_loan_return(L, 2);                                   from where it was pushed
 *
 * Whoever comes while it is lent gets memory of its own. If the call raises it is garbage, and the next one
 * makes some anew.
 */
#ifndef MWL_LOAN_H
#define MWL_LOAN_H

#include "compat.h"

/* `push` pushes a new one, a userdata. */
static inline void *mwl_loan_take(lua_State *L, void (*push)(lua_State *L))
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushnil(L);
	lua_replace(L, lua_upvalueindex(1));
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		push(L);
	}
	return lua_touserdata(L, -1);
}

static inline void mwl_loan_return(lua_State *L, int index)
{
	lua_pushvalue(L, index);
	lua_replace(L, lua_upvalueindex(1));
}

#endif
