/* inflate.c -- moonweir.inflate: compressed bodies.
 *
 *     local body, message, code = require("moonweir.inflate").inflate("gzip", bytes)     -- or "deflate"
 *
 * A module of its own, so that the library does not need zlib.
 */
#include "../io/inflate.h"

#include "../core/limits.h"
#include "scratch.h"

#define MWL_INFLATE "moonweir.inflate"

/* inflate(coding, bytes) -> bytes | nil, message, code */
static int inflate(lua_State *L)
{
	static const char *const codings[] = {"gzip", "deflate", NULL};
	enum mw_coding coding = (enum mw_coding)luaL_checkoption(L, 1, NULL, codings);
	size_t len;
	const char *bytes = luaL_checklstring(L, 2, &len);
	/* A step more than is let through, in which it is found too large. */
	struct mw_buf *out = mwl_scratch_new(L, MWL_INFLATE, MW_EVENT_MAX + 65536);
	struct mw_error e = {0};
	enum mw_err err = mw_inflate(coding, (struct mw_span){(const uint8_t *)bytes, len}, out, &e);
	return mwl_scratch_answer(L, out, err, &e);
}

__attribute__((visibility("default"))) int luaopen_moonweir_inflate(lua_State *L);

int luaopen_moonweir_inflate(lua_State *L)
{
	mwl_scratch_open(L, MWL_INFLATE);
	lua_newtable(L);
	lua_pushcfunction(L, inflate);
	lua_setfield(L, -2, "inflate");
	return 1;
}
