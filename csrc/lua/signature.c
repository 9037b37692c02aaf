/* signature.c -- core.signature, core.equal, core.binary and core.timestamp: what checking a webhook needs of
 * C.
 *
 *     core.signature("hmac-sha256", { secret, old_secret }, { timestamp, ".", body },
 *                    { core.binary("hex", text) })
 *
 * What the secret makes of the pieces never becomes a Lua value: texts of Lua are interned, and stay.
 */
#include "../io/signature.h"
#include "../core/binary_text.h"
#include "../core/timestamp.h"
#include "mwl.h"

enum { LIST_MAX = 32 };

struct list {
	struct mw_span at[LIST_MAX];
	size_t count;
};

/* The spans are good as long as the table is. */
static void check_list(lua_State *L, int index, struct list *list)
{
	luaL_checktype(L, index, LUA_TTABLE);
	list->count = lua_rawlen(L, index);
	luaL_argcheck(L, list->count <= LIST_MAX, index, "at most 32 texts");
	for (size_t i = 0; i < list->count; i++) {
		lua_rawgeti(L, index, (int)i + 1);
		luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index, "a list of texts");
		list->at[i] = mwl_check_span(L, -1);
		lua_pop(L, 1);
	}
}

/* core.signature(kind, keys, pieces, signatures) -> boolean | nil, message, code
 * Every key is tried with every signature, whether or not one fits. */
static int signature(lua_State *L)
{
	enum mw_signature_kind kind;
	struct list keys, pieces, signatures;
	luaL_argcheck(L, mw_signature_kind_named(mwl_check_span(L, 1), &kind), 1,
		      "no such kind of signature");
	check_list(L, 2, &keys);
	check_list(L, 3, &pieces);
	check_list(L, 4, &signatures);
	unsigned found = 0;
	for (size_t i = 0; i < keys.count; i++) {
		struct mw_error e = {0};
		bool is_genuine;
		if (mw_signature_check(kind, keys.at[i], pieces.at, pieces.count, signatures.at,
				       signatures.count, &is_genuine, &e) != MW_OK)
			return mwl_fail(L, &e);
		found |= is_genuine;
	}
	lua_pushboolean(L, found != 0);
	return 1;
}

/* core.equal(text, texts) -> is it one of them? All are looked at. */
static int equal(lua_State *L)
{
	struct mw_span text = mwl_check_span(L, 1);
	struct list list;
	check_list(L, 2, &list);
	unsigned found = 0;
	for (size_t i = 0; i < list.count; i++) {
		struct mw_error e = {0};
		bool is_equal;
		if (mw_signature_equal(text, list.at[i], &is_equal, &e) != MW_OK)
			return mwl_fail(L, &e);
		found |= is_equal;
	}
	lua_pushboolean(L, found != 0);
	return 1;
}

/* core.binary(form, text) -> bytes | nil. Forms: "hex", "HEX", "base64", "base64url". */
static int binary(lua_State *L)
{
	enum mw_binary_text form = (enum mw_binary_text)0;
	luaL_argcheck(L, mw_binary_text_named(mwl_check_span(L, 1), &form), 1, "no such form");
	struct mw_span text = mwl_check_span(L, 2);
	size_t len;
	uint8_t *room = mwl_newuserdata_plain(L, text.len + 1);
	if (mw_binary_text_read(form, text, room, &len))
		lua_pushlstring(L, (const char *)room, len);
	else
		lua_pushnil(L);
	return 1;
}

/* core.timestamp(text) -> ms since 1970 | nil: a date, or Unix time in text. */
static int timestamp(lua_State *L)
{
	int64_t ms;
	if (mw_timestamp_parse(mwl_check_span(L, 1), &ms))
		lua_pushinteger(L, (lua_Integer)ms);
	else
		lua_pushnil(L);
	return 1;
}

void mwl_open_signature(lua_State *L)
{
	lua_pushcfunction(L, signature);
	lua_setfield(L, -2, "signature");
	lua_pushcfunction(L, equal);
	lua_setfield(L, -2, "equal");
	lua_pushcfunction(L, binary);
	lua_setfield(L, -2, "binary");
	lua_pushcfunction(L, timestamp);
	lua_setfield(L, -2, "timestamp");
}
