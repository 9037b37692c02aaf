/* xml.c -- moonweir.xml: XML bodies as JSON.
 *
 *     local json, message, code = require("moonweir.xml").to_json(text)
 *
 * A module of its own, so that the library does not need expat. Loading it is all it takes for mappers to
 * take XML: they find the reader in the registry.
 */
#include "../io/xml.h"

#include "../core/limits.h"
#include "scratch.h"
#include "xml_reader.h"

static const struct mwl_xml_reader reader = {mw_xml_to_json};

#define MWL_XML "moonweir.xml"

/* to_json(text) -> JSON | nil, message, code */
static int to_json(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct mw_buf *out = mwl_scratch_new(L, MWL_XML, MW_EVENT_MAX);
	struct mw_error e = {0};
	enum mw_err err = mw_xml_to_json((struct mw_span){(const uint8_t *)text, len}, out, &e);
	return mwl_scratch_answer(L, out, err, &e);
}

__attribute__((visibility("default"))) int luaopen_moonweir_xml(lua_State *L);

int luaopen_moonweir_xml(lua_State *L)
{
	mwl_scratch_open(L, MWL_XML);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&reader);
	lua_setfield(L, LUA_REGISTRYINDEX, MWL_XML_READER);
	lua_newtable(L);
	lua_pushcfunction(L, to_json);
	lua_setfield(L, -2, "to_json");
	return 1;
}
