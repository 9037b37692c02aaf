/* inflate.c -- moonweir.inflate: compressed bodies.
 *
 *     local body, message, code = require("moonweir.inflate").inflate("gzip", bytes)     -- or "deflate"
 *
 * A module of its own, so that the library does not need zlib.
 */
#include "../io/inflate.h"

#include "../core/limits.h"
#include "compat.h"

#define MWL_INFLATE "moonweir.inflate"

static int buf_gc(lua_State *L)
{
	mw_buf_deinit(luaL_checkudata(L, 1, MWL_INFLATE));
	return 0;
}

/* inflate(coding, bytes) -> bytes | nil, message, code */
static int inflate(lua_State *L)
{
	static const char *const codings[] = {"gzip", "deflate", NULL};
	enum mw_coding coding = (enum mw_coding)luaL_checkoption(L, 1, NULL, codings);
	size_t len;
	const char *bytes = luaL_checklstring(L, 2, &len);
	struct mw_buf *out = mwl_newuserdata_plain(L, sizeof *out);
	mw_buf_init(out, MW_EVENT_MAX + 65536); /* and a step more, in which it is found too large */
	luaL_getmetatable(L, MWL_INFLATE);
	lua_setmetatable(L, -2);
	struct mw_error e = {0};
	if (mw_inflate(coding, (struct mw_span){(const uint8_t *)bytes, len}, out, &e) != MW_OK) {
		lua_pushnil(L);
		lua_pushstring(L, e.detail);
		lua_pushstring(L, mw_err_word(e.code));
		return 3;
	}
	lua_pushlstring(L, (const char *)out->data, out->len);
	mw_buf_deinit(out);
	return 1;
}

__attribute__((visibility("default"))) int luaopen_moonweir_inflate(lua_State *L);

int luaopen_moonweir_inflate(lua_State *L)
{
	luaL_newmetatable(L, MWL_INFLATE);
	lua_pushcfunction(L, buf_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	lua_pushcfunction(L, inflate);
	lua_setfield(L, -2, "inflate");
	return 1;
}
