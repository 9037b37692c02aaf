/* members.h -- members of the table on top of the stack, one function a type. Bytes are copied. */
#ifndef MWL_MEMBERS_H
#define MWL_MEMBERS_H

#include "../core/buf.h"
#include "compat.h"

static inline void mwl_set_count(lua_State *L, const char *name, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, name);
}

static inline void mwl_set_integer(lua_State *L, const char *name, int64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, name);
}

static inline void mwl_set_flag(lua_State *L, const char *name, bool value)
{
	lua_pushboolean(L, value);
	lua_setfield(L, -2, name);
}

static inline void mwl_set_string(lua_State *L, const char *name, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}

static inline void mwl_set_text(lua_State *L, const char *name, const void *text, size_t len)
{
	lua_pushlstring(L, text, len);
	lua_setfield(L, -2, name);
}

static inline void mwl_set_span(lua_State *L, const char *name, struct mw_span text)
{
	mwl_set_text(L, name, text.len > 0 ? (const char *)text.at : "", text.len);
}

/* An empty text is absent. */
static inline void mwl_set_nonempty(lua_State *L, const char *name, struct mw_span text)
{
	if (text.len > 0)
		mwl_set_span(L, name, text);
}

#endif
