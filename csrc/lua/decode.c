/* decode.c -- JSON to Lua values: core.decode, and what a script's function gets of a finished piece of JSON.
 *
 * Objects are tables, arrays tables with core.array's metatable (so that an empty one stays an array when it
 * is sent), null is core.null, numbers as digits.c says. Of two members with one name the last counts.
 */
#include "loan.h"
#include "mwl.h"

struct decoder {
	struct mw_json doc;
	struct mw_buf text; /* of strings, escapes undone */
};

#define MWL_DECODER "moonweir.decoder"

static int decoder_gc(lua_State *L)
{
	struct decoder *d = luaL_checkudata(L, 1, MWL_DECODER);
	mw_json_deinit(&d->doc);
	mw_buf_deinit(&d->text);
	return 0;
}

/* Nesting is bounded by MW_JSON_DEPTH_MAX, so this may call itself. */
void mwl_decode_push(lua_State *L, const struct mw_json *doc, uint32_t node, struct mw_buf *text)
{
	const struct mw_json_node *n = &doc->nodes[node];
	uint32_t end = n->next;
	luaL_checkstack(L, 4, "JSON nested too deep");
	switch ((enum mw_json_type)n->type) {
	case MW_JSON_NULL:
		lua_pushlightuserdata(L, NULL);
		break;
	case MW_JSON_FALSE:
	case MW_JSON_TRUE:
		lua_pushboolean(L, n->type == MW_JSON_TRUE);
		break;
	case MW_JSON_NUMBER:
		mwl_number_push(L, mw_json_raw(doc, node));
		break;
	case MW_JSON_STRING:
	case MW_JSON_KEY:
		mwl_string_push(L, doc, node, text);
		break;
	case MW_JSON_ARRAY:
		lua_createtable(L, (int)n->aux, 0);
		luaL_getmetatable(L, MWL_ARRAY);
		lua_setmetatable(L, -2);
		uint32_t child = node + 1;
		for (int i = 1; child < end; i++, child = mw_json_after(doc, child)) {
			mwl_decode_push(L, doc, child, text);
			lua_rawseti(L, -2, i);
		}
		break;
	case MW_JSON_OBJECT:
		lua_newtable(L);
		for (uint32_t key = node + 1; key < end; key = mw_json_after(doc, key + 1)) {
			mwl_string_push(L, doc, key, text);
			mwl_decode_push(L, doc, key + 1, text);
			lua_rawset(L, -3);
		}
		break;
	}
}

static void push_decoder(lua_State *L)
{
	struct decoder *d = mwl_newuserdata_plain(L, sizeof *d);
	mw_json_init(&d->doc);
	mw_buf_init(&d->text, MW_EVENT_MAX);
	luaL_getmetatable(L, MWL_DECODER);
	lua_setmetatable(L, -2);
}

/* core.decode(text) -> value | nil, message, code */
static int decode(lua_State *L)
{
	struct mw_span text = mwl_check_span(L, 1);
	struct mw_error e = {0};
	lua_settop(L, 1);
	struct decoder *d = mwl_loan_take(L, push_decoder);
	int results = 1;
	if (mw_json_read(&d->doc, text.at, text.len, &e) == MW_OK)
		mwl_decode_push(L, &d->doc, 0, &d->text);
	else
		results = mwl_fail(L, &e);
	mwl_loan_return(L, 2);
	return results;
}

void mwl_open_decode(lua_State *L)
{
	luaL_newmetatable(L, MWL_DECODER);
	lua_pushcfunction(L, decoder_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	push_decoder(L);
	lua_pushcclosure(L, decode, 1);
	lua_setfield(L, -2, "decode");
}
