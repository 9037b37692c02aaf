/* identities.c -- who is known by which address or id: core.identities(spool, options), store:teach, find,
 * show, page, drop; and core.identify, which a script's functions ask.
 *
 *     local store = core.identities("spool", { master_key_file = "/etc/acme/master-key" })
 *     store:teach { { account = "acme", kind = "email", id = "ann@example.com", user = "u1",
 *                     at = 1763935080000 } }
 *     store:find("acme", "email", "Ann@Example.com")     -- "u1"
 */
#include "identities.h"

#include "scratch.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define MWL_PAGE "moonweir.identities.page"

enum { FACTS_MAX = 65536, PAGE_MAX = 1000, PAGE_BYTES_MAX = 16 * 1024 * 1024 };

struct mwl_identities *mwl_check_identities(lua_State *L, int index)
{
	return luaL_checkudata(L, index, MWL_IDENTITIES);
}

enum mw_err mwl_identities_find(struct mwl_identities *d, struct mw_span account, enum mw_identity_kind kind,
				struct mw_span id, struct mw_identity_found *found, struct mw_error *e)
{
	*found = (struct mw_identity_found){{NULL, 0}, false};
	return d->store ? mw_identities_find(d->store, account, kind, id, d->room, found, e) : MW_OK;
}

struct mwl_identities *mwl_check_open_identities(lua_State *L)
{
	struct mwl_identities *d = mwl_check_identities(L, 1);
	if (!d->store)
		luaL_error(L, "this identity store is closed");
	return d;
}

static enum mw_identity_kind check_kind(lua_State *L, int index)
{
	enum mw_identity_kind kind = (enum mw_identity_kind)0;
	struct mw_span word = mwl_check_span(L, index);
	if (!mw_identity_kind_named(word, &kind))
		luaL_error(L, "no kind of identity \"%s\": email, phone, anonymous_id, tool_id or user_id",
			   lua_tostring(L, index));
	return kind;
}

static int identities_close(lua_State *L)
{
	struct mwl_identities *d = mwl_check_identities(L, 1);
	mw_identities_close(d->store);
	mw_state_close(d->state);
	d->store = NULL;
	d->state = NULL;
	return 0;
}

static bool has_store(const char *spool)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/state/data.mdb", spool) < (int)sizeof path &&
	       (access(path, F_OK) == 0 || errno != ENOENT);
}

/* core.identities(spool, { master_key_file =, records_max =, existing = }) -> store | nil, message, code.
 * `existing`: a store that is not there is an error instead of a new one. */
static int identities_new(lua_State *L)
{
	const char *spool = luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	lua_getfield(L, 2, "master_key_file");
	const char *master = luaL_optstring(L, 3, NULL);
	lua_getfield(L, 2, "records_max");
	lua_Number max = luaL_optnumber(L, 4, 0);
	lua_getfield(L, 2, "existing");
	bool existing = lua_toboolean(L, 5);
	luaL_argcheck(L, max >= 0 && max <= 1e15, 2, "records_max: a number of records");
	struct mwl_identities *d = mwl_newuserdata_plain(L, sizeof *d);
	memset(d, 0, sizeof *d);
	luaL_getmetatable(L, MWL_IDENTITIES);
	lua_setmetatable(L, -2);
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = MW_OK;
	if (existing && !has_store(spool))
		err = mw_error_set(&e, MW_IO, 0, "%.140s: there is no store here; is the path right?", spool);
	if (err == MW_OK)
		err = mw_state_open(spool, 0, &d->state, &e);
	if (err == MW_OK)
		err = mw_identities_open(d->state, master, (size_t)max, &d->store, &e);
	return err == MW_OK ? 1 : mwl_fail(L, &e);
}

/* ---- teaching */

/* A text of the table on top of the stack, which keeps it alive. */
static struct mw_span field(lua_State *L, const char *name, bool is_needed)
{
	lua_getfield(L, -1, name);
	if (lua_type(L, -1) != LUA_TSTRING && (is_needed || !lua_isnil(L, -1)))
		luaL_error(L, "a fact's %s must be a string", name);
	struct mw_span text = {NULL, 0};
	if (!lua_isnil(L, -1))
		text = mwl_check_span(L, -1);
	lua_pop(L, 1);
	return text;
}

static bool flag(lua_State *L, const char *name)
{
	lua_getfield(L, -1, name);
	bool set = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return set;
}

struct mw_identity_fact mwl_check_fact(lua_State *L)
{
	struct mw_identity_fact f = {.kind = MW_IDENTITY_USER};
	luaL_checktype(L, -1, LUA_TTABLE);
	f.account = field(L, "account", true);
	f.user = field(L, "user", true);
	f.forget = flag(L, "forget");
	f.is_fallback = flag(L, "fallback");
	if (f.account.len == 0 || f.account.len > MW_ACCOUNT_MAX)
		luaL_error(L, "an account is named by 1 to 255 bytes");
	if (!f.forget) {
		lua_getfield(L, -1, "kind");
		f.kind = check_kind(L, -1);
		lua_pop(L, 1);
		f.id = field(L, "id", true);
	}
	lua_getfield(L, -1, "at");
	lua_Number at = luaL_checknumber(L, -1);
	if (!(fabs(at) <= 9007199254740992.0))
		luaL_error(L, "a fact's at is ms since 1970");
	f.at = (int64_t)at;
	lua_pop(L, 1);
	return f;
}

static void push_tally(lua_State *L, const struct mw_identity_tally *t)
{
	lua_createtable(L, 0, 6);
	mwl_set_count(L, "learned", t->learned);
	mwl_set_count(L, "known", t->known);
	mwl_set_count(L, "void", t->void_);
	mwl_set_count(L, "forgotten", t->forgotten);
	mwl_set_count(L, "unusable", t->unusable);
	mwl_set_count(L, "full", t->full);
}

/* store:teach { { account =, kind =, id =, user =, at =, fallback = }, { account =, user =, at =, forget =
 * true } }
 * -> tally | nil, message, code. On the disk when it returns; `at` is ms since 1970. */
static int identities_teach(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TTABLE);
	size_t count = lua_rawlen(L, 2);
	luaL_argcheck(L, count <= FACTS_MAX, 2, "at most 65536 facts at once");
	/* Lua's, and the facts' texts are alive in the table. */
	struct mw_identity_fact *facts = mwl_newuserdata_plain(L, (count ? count : 1) * sizeof *facts);
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(L, 2, (int)i + 1);
		facts[i] = mwl_check_fact(L);
		lua_pop(L, 1);
	}
	struct mwl_identities *d = mwl_check_open_identities(L);
	struct mw_identity_tally tally = {0};
	struct mw_error e;
	mw_error_clear(&e);
	if (count > 0 && mw_identities_teach(d->store, facts, count, &tally, &e) != MW_OK)
		return mwl_fail(L, &e);
	push_tally(L, &tally);
	return 1;
}

/* ---- asking */

/* user id | nil | nil, nil, nil, anonymousId */
static int push_found(lua_State *L, const struct mw_identity_found *found)
{
	if (!found->text.at) {
		lua_pushnil(L);
		return 1;
	}
	if (!found->is_anonymous) {
		lua_pushlstring(L, (const char *)found->text.at, found->text.len);
		return 1;
	}
	lua_pushnil(L);
	lua_pushnil(L);
	lua_pushnil(L);
	lua_pushlstring(L, (const char *)found->text.at, found->text.len);
	return 4;
}

/* store:find(account, kind, id) -> user id | nil; nil, message, code; nil, nil, nil, the anonymousId that is
 * known instead */
static int identities_find(lua_State *L)
{
	struct mwl_identities *d = mwl_check_open_identities(L);
	uint8_t room[MW_IDENTITY_MAX];
	struct mw_identity_found found;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_identities_find(d->store, mwl_check_account(L, 2), check_kind(L, 3), mwl_check_span(L, 4),
			       room, &found, &e) != MW_OK)
		return mwl_fail(L, &e);
	return push_found(L, &found);
}

/* core.identify(kind, id), in a script's function: user id | nil, or nil and the anonymousId. */
static int identify(lua_State *L)
{
	struct mwl_script *s = mwl_views_script(mwl_views_of(L));
	struct mw_identity_found found;
	struct mw_error e;
	enum mw_identity_kind kind = check_kind(L, 1);
	if (!s)
		return luaL_error(L, "identity.lookup is for the functions of a mapping script");
	if (lua_isnoneornil(L, 2) || mwl_is_null(L, 2)) { /* absent in, absent out */
		lua_pushnil(L);
		return 1;
	}
	mw_error_clear(&e);
	struct mw_span id = mwl_digits_get(L, 2);
	if (!id.at)
		id = mwl_check_span(L, 2);
	if (mw_mapper_identify(s->asks, kind, id, &found, &e) != MW_OK)
		return luaL_error(L, "identity.lookup: %s", e.detail[0] ? e.detail : mw_err_sentence(e.code));
	int results = push_found(L, &found);
	if (results == 4) { /* to a script nothing fails */
		lua_replace(L, -3);
		lua_pop(L, 1);
		return 2;
	}
	return results;
}

/* ---- telling */

struct page {
	struct mw_buf *buf;
	size_t left;
	enum mw_err err;
	struct mw_node last;
	bool has_last;
};

struct told {
	size_t account_len, id_len, user_len;
	enum mw_identity_kind kind;
	bool is_fallback;
	int64_t at;
};

/* Nothing of Lua's is called while the store is being read. */
static bool keep(void *context, const struct mw_identity_told *t)
{
	struct page *p = context;
	struct told head = {t->account.len, t->id.len, t->user.len, t->kind, t->is_fallback, t->at};
	if ((p->err = mw_buf_append(p->buf, &head, sizeof head)) == MW_OK &&
	    (p->err = mw_buf_append_span(p->buf, t->account)) == MW_OK &&
	    (p->err = mw_buf_append_span(p->buf, t->id)) == MW_OK)
		p->err = mw_buf_append_span(p->buf, t->user);
	p->last = t->key;
	p->has_last = true;
	return p->err == MW_OK && --p->left > 0;
}

static void set_text(lua_State *L, const char *name, const uint8_t **at, size_t len)
{
	mwl_set_text(L, name, *at, len);
	*at += len;
}

static void push_page(lua_State *L, const struct mw_buf *b)
{
	lua_newtable(L);
	const uint8_t *at = b->data;
	for (int i = 1; at && at < b->data + b->len; i++) {
		struct told t;
		memcpy(&t, at, sizeof t);
		at += sizeof t;
		lua_createtable(L, 0, 6);
		set_text(L, "account", &at, t.account_len);
		set_text(L, "id", &at, t.id_len);
		set_text(L, "user", &at, t.user_len);
		mwl_set_string(L, "kind", mw_identity_word(t.kind));
		mwl_set_flag(L, "fallback", t.is_fallback);
		lua_pushnumber(L, (lua_Number)t.at);
		lua_setfield(L, -2, "at");
		lua_rawseti(L, -2, i);
	}
}

/* store:page(account or nil, after or nil) -> { { account =, kind =, id =, user =, at =, fallback = }, ... },
 * what to pass as `after` for the next page or nil, how many were damaged | nil, message, code */
static int identities_page(lua_State *L)
{
	lua_settop(L, 3);
	struct mw_buf *told = mwl_scratch_new(L, MWL_PAGE, PAGE_BYTES_MAX);
	struct mwl_identities *d = mwl_check_open_identities(L);
	struct mw_span account = {NULL, 0};
	struct mw_node after;
	size_t len = 0;
	if (!lua_isnoneornil(L, 2))
		account = mwl_check_account(L, 2);
	const char *behind = luaL_optlstring(L, 3, NULL, &len);
	luaL_argcheck(L, !behind || len == sizeof after.bytes, 3, "what the last page gave");
	if (behind)
		memcpy(after.bytes, behind, len);
	struct page p = {.buf = told, .left = PAGE_MAX};
	struct mw_identity_skipped skipped;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_identities_each(d->store, account, behind ? &after : NULL, keep, &p, &skipped, &e) != MW_OK)
		return mwl_fail(L, &e);
	if (p.err != MW_OK)
		return mwl_fail_code(L, p.err);
	push_page(L, told);
	if (p.left == 0)
		lua_pushlstring(L, (const char *)p.last.bytes, sizeof p.last.bytes);
	else
		lua_pushnil(L);
	lua_pushnumber(L, (lua_Number)skipped.damaged);
	return 3;
}

/* store:show(account, user) -> list as a page is, at most 1,000; when the user was last forgotten, ms since
 * 1970, or nil | nil, message, code */
static int identities_show(lua_State *L)
{
	lua_settop(L, 3);
	struct page p = {.buf = mwl_scratch_new(L, MWL_PAGE, PAGE_BYTES_MAX), .left = PAGE_MAX};
	struct mwl_identities *d = mwl_check_open_identities(L);
	int64_t forgotten_at;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_identities_show(d->store, mwl_check_account(L, 2), mwl_check_span(L, 3), keep, &p,
			       &forgotten_at, &e) != MW_OK)
		return mwl_fail(L, &e);
	if (p.err != MW_OK)
		return mwl_fail_code(L, p.err);
	push_page(L, p.buf);
	if (forgotten_at == INT64_MIN)
		return 1;
	lua_pushnumber(L, (lua_Number)forgotten_at);
	return 2;
}

/* store:drop(account) -> how many records are gone | nil, message, code */
static int identities_drop(lua_State *L)
{
	struct mwl_identities *d = mwl_check_open_identities(L);
	uint64_t removed;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_identities_drop(d->store, mwl_check_account(L, 2), &removed, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushnumber(L, (lua_Number)removed);
	return 1;
}

void mwl_open_identities(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"teach", identities_teach},
	    {"find", identities_find},
	    {"page", identities_page},
	    {"show", identities_show},
	    {"drop", identities_drop},
	    {"close", identities_close},
	    {NULL, NULL},
	};
	mwl_scratch_open(L, MWL_PAGE);
	luaL_newmetatable(L, MWL_IDENTITIES);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	mwl_open_identities_fact(L);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, identities_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, identities_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, identities_new);
	lua_setfield(L, -2, "identities");
	lua_pushcfunction(L, identify);
	lua_setfield(L, -2, "identify");
}
