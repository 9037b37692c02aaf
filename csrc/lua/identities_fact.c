/* identities_fact.c -- store:seal and store:unseal: facts for other hosts (io/identities_fact.h). */
#include "../io/identities_fact.h"

#include "identities.h"

/* store:seal(fact) -> name, sealed | nil: it says nothing that can be kept */
static int seal(lua_State *L)
{
	struct mwl_identities *d = mwl_check_open_identities(L);
	lua_settop(L, 2);
	struct mw_identity_fact f = mwl_check_fact(L);
	uint8_t name[MW_FACT_NAME_LEN], sealed[MW_FACT_SEALED_MAX];
	size_t len = mw_identities_seal(d->store, &f, name, sealed);
	if (len == 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushlstring(L, (const char *)name, sizeof name);
	lua_pushlstring(L, (const char *)sealed, len);
	return 2;
}

static void set_span(lua_State *L, const char *name, struct mw_span text)
{
	lua_pushlstring(L, (const char *)text.at, text.len);
	lua_setfield(L, -2, name);
}

/* store:unseal(name, sealed) -> fact without `at` | nil: not one of this master key's */
static int unseal(lua_State *L)
{
	struct mwl_identities *d = mwl_check_open_identities(L);
	struct mw_span name = mwl_check_span(L, 2), sealed = mwl_check_span(L, 3);
	struct mw_identity_fact f;
	uint8_t room[MW_FACT_TEXT_MAX];
	if (name.len != MW_FACT_NAME_LEN || !mw_identities_unseal(d->store, name.at, sealed, room, &f)) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 7);
	set_span(L, "account", f.account);
	set_span(L, "user", f.user);
	lua_pushboolean(L, f.forget);
	lua_setfield(L, -2, "forget");
	lua_pushboolean(L, f.is_fallback);
	lua_setfield(L, -2, "fallback");
	if (!f.forget) {
		set_span(L, "id", f.id);
		lua_pushstring(L, mw_identity_word(f.kind));
		lua_setfield(L, -2, "kind");
	}
	return 1;
}

void mwl_open_identities_fact(lua_State *L)
{
	static const luaL_Reg methods[] = {{"seal", seal}, {"unseal", unseal}, {NULL, NULL}};
	luaL_setfuncs(L, methods, 0);
}
