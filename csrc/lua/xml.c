/* xml.c -- moonweir.xml: XML bodies as JSON.
 *
 *     local json, message, code = require("moonweir.xml").to_json(text)
 *
 * A module of its own, so that the library does not need expat. Loading it is all it takes for mappers to
 * take XML: they find the reader in the registry.
 */
#include "../io/xml.h"

#include "../core/limits.h"
#include "compat.h"
#include "xml_reader.h"

static const struct mwl_xml_reader reader = {mw_xml_to_json};

#define MWL_XML "moonweir.xml"

static int buf_gc(lua_State *L)
{
	mw_buf_deinit(luaL_checkudata(L, 1, MWL_XML));
	return 0;
}

/* to_json(text) -> JSON | nil, message, code */
static int to_json(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct mw_buf *out = mwl_newuserdata_plain(L, sizeof *out);
	mw_buf_init(out, MW_EVENT_MAX);
	luaL_getmetatable(L, MWL_XML);
	lua_setmetatable(L, -2);
	struct mw_error e = {0};
	if (mw_xml_to_json((struct mw_span){(const uint8_t *)text, len}, out, &e) != MW_OK) {
		lua_pushnil(L);
		lua_pushstring(L, e.detail);
		lua_pushstring(L, mw_err_word(e.code));
		return 3;
	}
	lua_pushlstring(L, (const char *)out->data, out->len);
	mw_buf_deinit(out);
	return 1;
}

__attribute__((visibility("default"))) int luaopen_moonweir_xml(lua_State *L);

int luaopen_moonweir_xml(lua_State *L)
{
	luaL_newmetatable(L, MWL_XML);
	lua_pushcfunction(L, buf_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushlightuserdata(L, (void *)(uintptr_t)&reader);
	lua_setfield(L, LUA_REGISTRYINDEX, MWL_XML_READER);
	lua_newtable(L);
	lua_pushcfunction(L, to_json);
	lua_setfield(L, -2, "to_json");
	return 1;
}
