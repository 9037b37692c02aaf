/* link.c -- what links to the settings page need of C: core.link_key, core.claims, core.base64url,
 * core.from_base64url, core.random_id, core.sha256.
 *
 *     local key = core.link_key("/etc/acme/link-key")
 *     key:sign("text")                                        -- 43 characters
 *     key:is_genuine("text", mac)
 *     local claims = core.claims("spool")
 *     claims:take("link 7f3a", until_, now)                   -- true the first time; seconds since 1970
 *     claims:holds("link 7f3a", now)                          -- was it taken, anywhere?
 */
#include "../io/claims.h"
#include "../io/link_key.h"
#include "mwl.h"

#include <sodium.h>

#define MWL_LINK_KEY "moonweir.link_key"
#define MWL_CLAIMS   "moonweir.claims"

struct mwl_link_key {
	struct mw_link_key *key; /* NULL: closed */
};

struct mwl_claims {
	struct mw_state *state;
	struct mw_claims *claims; /* NULL: closed */
};

/* core.link_key([path]) -> key | nil, message, code */
static int link_key_new(lua_State *L)
{
	const char *path = luaL_optstring(L, 1, NULL);
	struct mwl_link_key *k = mwl_newuserdata_plain(L, sizeof *k);
	k->key = NULL;
	luaL_getmetatable(L, MWL_LINK_KEY);
	lua_setmetatable(L, -2);
	struct mw_error e;
	mw_error_clear(&e);
	return mw_link_key_open(path, &k->key, &e) == MW_OK ? 1 : mwl_fail(L, &e);
}

static struct mw_link_key *check_key(lua_State *L)
{
	struct mwl_link_key *k = luaL_checkudata(L, 1, MWL_LINK_KEY);
	if (!k->key)
		luaL_error(L, "this link key is closed");
	return k->key;
}

static int link_key_close(lua_State *L)
{
	struct mwl_link_key *k = luaL_checkudata(L, 1, MWL_LINK_KEY);
	mw_link_key_close(k->key);
	k->key = NULL;
	return 0;
}

/* key:sign(text) -> mac | nil, message, "forked" */
static int link_key_sign(lua_State *L)
{
	char mac[MW_MAC_TEXT_LEN + 1];
	enum mw_err err = mw_link_key_sign(check_key(L), mwl_check_span(L, 2), mac);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_pushstring(L, mac);
	return 1;
}

/* key:is_genuine(text, mac) */
static int link_key_is_genuine(lua_State *L)
{
	lua_pushboolean(L, mw_link_key_is_genuine(check_key(L), mwl_check_span(L, 2), mwl_check_span(L, 3)));
	return 1;
}

/* core.claims(spool) -> claims | nil, message, code */
static int claims_new(lua_State *L)
{
	const char *spool = luaL_checkstring(L, 1);
	struct mwl_claims *c = mwl_newuserdata_plain(L, sizeof *c);
	*c = (struct mwl_claims){0};
	luaL_getmetatable(L, MWL_CLAIMS);
	lua_setmetatable(L, -2);
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = mw_state_open(spool, 0, &c->state, &e);
	if (err == MW_OK)
		err = mw_claims_open(c->state, &c->claims, &e);
	return err == MW_OK ? 1 : mwl_fail(L, &e);
}

static int claims_close(lua_State *L)
{
	struct mwl_claims *c = luaL_checkudata(L, 1, MWL_CLAIMS);
	mw_claims_close(c->claims);
	mw_state_close(c->state);
	*c = (struct mwl_claims){0};
	return 0;
}

static int64_t check_ms(lua_State *L, int index)
{
	lua_Number seconds = luaL_checknumber(L, index);
	luaL_argcheck(L, seconds >= 0 && seconds < 1e12, index, "seconds since 1970");
	return (int64_t)(seconds * 1000);
}

static struct mw_claims *check_claims(lua_State *L)
{
	struct mwl_claims *c = luaL_checkudata(L, 1, MWL_CLAIMS);
	if (!c->claims)
		luaL_error(L, "these claims are closed");
	return c->claims;
}

/* claims:take(name, until, now) -> boolean | nil, message, code. Seconds since 1970. */
static int claims_take(lua_State *L)
{
	struct mw_claims *c = check_claims(L);
	struct mw_span name = mwl_check_span(L, 2);
	int64_t until = check_ms(L, 3), now = check_ms(L, 4);
	struct mw_error e;
	mw_error_clear(&e);
	bool taken;
	if (mw_claims_take(c, name, until, now, &taken, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushboolean(L, taken);
	return 1;
}

/* claims:holds(name, now) -> boolean | nil, message, code */
static int claims_holds(lua_State *L)
{
	struct mw_claims *c = check_claims(L);
	struct mw_span name = mwl_check_span(L, 2);
	int64_t now = check_ms(L, 3);
	struct mw_error e;
	mw_error_clear(&e);
	bool holds;
	if (mw_claims_holds(c, name, now, &holds, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushboolean(L, holds);
	return 1;
}

enum { VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

/* core.base64url(bytes) -> text, without padding */
static int base64url(lua_State *L)
{
	struct mw_span bytes = mwl_check_span(L, 1);
	luaL_argcheck(L, bytes.len <= 1 << 20, 1, "at most 1 MiB");
	size_t size = sodium_base64_encoded_len(bytes.len, VARIANT);
	char *text = mwl_newuserdata_plain(L, size);
	sodium_bin2base64(text, size, bytes.at, bytes.len, VARIANT);
	lua_pushlstring(L, text, size - 1);
	return 1;
}

/* core.from_base64url(text) -> bytes | nil, in the one spelling that base64url gives */
static int from_base64url(lua_State *L)
{
	struct mw_span text = mwl_check_span(L, 1);
	uint8_t *bytes = mwl_newuserdata_plain(L, text.len + 1);
	const char *end;
	size_t len;
	if (sodium_base642bin(bytes, text.len + 1, (const char *)text.at, text.len, NULL, &len, &end,
			      VARIANT) == 0 &&
	    end == (const char *)text.at + text.len)
		lua_pushlstring(L, (const char *)bytes, len);
	else
		lua_pushnil(L);
	return 1;
}

/* core.sha256(bytes) -> 32 bytes */
static int sha256(lua_State *L)
{
	uint8_t digest[32];
	struct mw_span bytes = mwl_check_span(L, 1);
	mwl_sha256(bytes.at, bytes.len, digest);
	lua_pushlstring(L, (const char *)digest, sizeof digest);
	return 1;
}

/* core.random_id() -> 22 characters that nobody can guess */
static int random_id(lua_State *L)
{
	uint8_t bytes[16];
	char text[23];
	mwl_random(NULL, bytes);
	sodium_bin2base64(text, sizeof text, bytes, sizeof bytes, VARIANT);
	lua_pushstring(L, text);
	return 1;
}

static void add_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close)
{
	luaL_newmetatable(L, name);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
}

void mwl_open_link(lua_State *L)
{
	static const luaL_Reg key_methods[] = {
	    {"sign", link_key_sign},
	    {"is_genuine", link_key_is_genuine},
	    {"close", link_key_close},
	    {NULL, NULL},
	};
	static const luaL_Reg claim_methods[] = {
	    {"take", claims_take}, {"holds", claims_holds}, {"close", claims_close}, {NULL, NULL}};
	static const luaL_Reg functions[] = {
	    {"link_key", link_key_new},
	    {"claims", claims_new},
	    {"base64url", base64url},
	    {"from_base64url", from_base64url},
	    {"random_id", random_id},
	    {"sha256", sha256},
	    {NULL, NULL},
	};
	add_class(L, MWL_LINK_KEY, key_methods, link_key_close);
	add_class(L, MWL_CLAIMS, claim_methods, claims_close);
	luaL_setfuncs(L, functions, 0);
}
