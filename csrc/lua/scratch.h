/* scratch.h -- the buffer of a function that makes one text of another, for modules that have nothing else.
 *
 *     struct mw_buf *out = mwl_scratch_new(L, "moonweir.xml", MW_EVENT_MAX);
 *     return mwl_scratch_answer(L, out, mw_xml_to_json(text, out, &e), &e);
 *
 * It is a userdata: whatever Lua raises meanwhile, it is freed.
 */
#ifndef MWL_SCRATCH_H
#define MWL_SCRATCH_H

#include "../core/buf.h"
#include "../core/err.h"
#include "compat.h"

static inline int mwl_scratch_gc(lua_State *L)
{
	mw_buf_deinit(lua_touserdata(L, 1));
	return 0;
}

/* Once, before the first is made. */
static inline void mwl_scratch_open(lua_State *L, const char *type)
{
	luaL_newmetatable(L, type);
	lua_pushcfunction(L, mwl_scratch_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}

/* Pushed. */
static inline struct mw_buf *mwl_scratch_new(lua_State *L, const char *type, size_t max)
{
	struct mw_buf *out = mwl_newuserdata_plain(L, sizeof *out);
	mw_buf_init(out, max);
	luaL_getmetatable(L, type);
	lua_setmetatable(L, -2);
	return out;
}

/* Pushes what is in it, or nil, message, code; returns how many. */
static inline int mwl_scratch_answer(lua_State *L, struct mw_buf *out, enum mw_err err,
				     const struct mw_error *e)
{
	if (err != MW_OK) {
		lua_pushnil(L);
		lua_pushstring(L, e->detail);
		lua_pushstring(L, mw_err_word(e->code));
		return 3;
	}
	lua_pushlstring(L, (const char *)out->data, out->len);
	mw_buf_deinit(out);
	return 1;
}

#endif
