/* roll.c -- who is known, as a list in memory: what a mapper of fixtures is given in place of a store.
 *
 *     local known = core.roll { { account = "acme", kind = "email", id = "ann@example.com", user = "u1" } }
 *     core.mapper(map, { identities = known })
 *
 * Facts as identities.c has them, without a time: of two about one id the later in the list counts. */
#include "mwl.h"

#include <string.h>

struct fact {
	enum mw_identity_kind kind;
	bool is_fallback; /* `user` is an anonymousId */
	struct mw_span account, id, user;
};

/* The uservalue keeps the texts, in a table that nobody else has. */
struct mwl_roll {
	size_t count;
	struct fact facts[];
};

struct mwl_roll *mwl_test_roll(lua_State *L, int index)
{
	return luaL_testudata(L, index, MWL_ROLL);
}

static bool same(struct mw_span a, struct mw_span b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

void mwl_roll_find(const struct mwl_roll *r, struct mw_span account, enum mw_identity_kind kind,
		   struct mw_span id, struct mw_identity_found *found)
{
	uint8_t room[MW_IDENTITY_MAX], other[MW_IDENTITY_MAX];
	struct mw_span plain = mw_identity_plain(kind, id, room);
	*found = (struct mw_identity_found){{NULL, 0}, false};
	for (size_t i = r->count; i > 0 && plain.len > 0; i--) {
		const struct fact *f = &r->facts[i - 1];
		if (f->kind == kind && same(f->account, account) &&
		    same(mw_identity_plain(kind, f->id, other), plain)) {
			*found = (struct mw_identity_found){f->user, f->is_fallback};
			return;
		}
	}
}

/* The field of the fact on top of the stack, kept in the table at 3. */
static struct mw_span text_of(lua_State *L, const char *name)
{
	size_t len;
	lua_getfield(L, -1, name);
	const char *text = lua_tolstring(L, -1, &len);
	if (!text)
		luaL_error(L, "a fact's %s is a text, not a %s", name, luaL_typename(L, -1));
	lua_rawseti(L, 3, (int)lua_rawlen(L, 3) + 1);
	return (struct mw_span){(const uint8_t *)text, len};
}

static struct fact check_fact(lua_State *L)
{
	struct fact f = {.kind = MW_IDENTITY_USER};
	luaL_checktype(L, -1, LUA_TTABLE);
	f.account = text_of(L, "account");
	f.id = text_of(L, "id");
	f.user = text_of(L, "user");
	if (!mw_identity_kind_named(text_of(L, "kind"), &f.kind))
		luaL_error(L, "a fact's kind is email, phone, anonymous_id, tool_id or user_id");
	lua_getfield(L, -1, "fallback");
	f.is_fallback = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return f;
}

/* core.roll(facts) */
static int new_roll(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	size_t count = lua_rawlen(L, 1);
	luaL_argcheck(L, count <= 65536, 1, "at most 65536 facts");
	lua_settop(L, 1);
	struct mwl_roll *r = mwl_newuserdata(L, sizeof *r + count * sizeof *r->facts);
	r->count = 0;
	luaL_getmetatable(L, MWL_ROLL);
	lua_setmetatable(L, 2);
	lua_newtable(L);
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(L, 1, (int)i + 1);
		r->facts[i] = check_fact(L);
		lua_pop(L, 1);
	}
	r->count = count;
	mwl_setuservalue(L, 2);
	return 1;
}

void mwl_open_roll(lua_State *L)
{
	luaL_newmetatable(L, MWL_ROLL);
	lua_pop(L, 1);
	lua_pushcfunction(L, new_roll);
	lua_setfield(L, -2, "roll");
}
