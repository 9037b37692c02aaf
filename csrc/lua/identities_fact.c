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
	mwl_set_span(L, "account", f.account);
	mwl_set_span(L, "user", f.user);
	mwl_set_flag(L, "forget", f.forget);
	mwl_set_flag(L, "fallback", f.is_fallback);
	if (!f.forget) {
		mwl_set_span(L, "id", f.id);
		mwl_set_string(L, "kind", mw_identity_word(f.kind));
	}
	return 1;
}

void mwl_open_identities_fact(lua_State *L)
{
	static const luaL_Reg methods[] = {{"seal", seal}, {"unseal", unseal}, {NULL, NULL}};
	luaL_setfuncs(L, methods, 0);
}
