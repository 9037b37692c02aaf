/* vault.c -- the accounts of a store: core.vault(spool, options), vault:set, show, list, pause, resume,
 * remove.
 *
 *     local v = core.vault("spool", { master_key_file = "/etc/acme/master-key" })
 *     v:set("acme", { write_key_file = "key", endpoint = "eu" })
 *     v:show("acme").last                                           -- "a1b2"
 *
 * No key ever comes out. One that is read from a file, a pipe or the terminal does not become a Lua string,
 * which nobody could wipe.
 */
#include "vault.h"

#include "../io/master_key.h"
#include "scratch.h"
#include "secret.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#define MWL_VAULT "moonweir.vault"
#define MWL_NAMES "moonweir.vault.names"

/* A key with what editors and shells put around it. */
enum { KEY_FILE_MAX = 1024, NAMES_MAX = 1 << 30 };

struct mwl_vault *mwl_check_vault(lua_State *L)
{
	struct mwl_vault *v = luaL_checkudata(L, 1, MWL_VAULT);
	if (!v->vault)
		luaL_error(L, "this vault is closed");
	return v;
}

static int vault_close(lua_State *L)
{
	struct mwl_vault *v = luaL_checkudata(L, 1, MWL_VAULT);
	mw_vault_close(v->vault);
	mw_state_close(v->state);
	sodium_free(v->typed); /* wipes */
	*v = (struct mwl_vault){0};
	return 0;
}

const char *mwl_opt_text(lua_State *L, int index, const char *name, size_t *len)
{
	lua_getfield(L, index, name);
	if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "%s must be a string", name);
	const char *text = lua_tolstring(L, -1, len);
	lua_pop(L, 1);
	return text;
}

static bool has_store(const char *spool)
{
	char path[PATH_MAX];
	return snprintf(path, sizeof path, "%s/state/data.mdb", spool) < (int)sizeof path &&
	       (access(path, F_OK) == 0 || errno != ENOENT);
}

/* core.vault(spool, { master_key_file =, existing = }) -> vault | nil, message, code. `existing`: a store
 * that is not there is an error instead of a new one. */
static int vault_new(lua_State *L)
{
	const char *spool = luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TTABLE);
	const char *master = mwl_opt_text(L, 2, "master_key_file", NULL);
	lua_getfield(L, 2, "existing");
	bool existing = lua_toboolean(L, -1);
	struct mwl_vault *v = mwl_newuserdata_plain(L, sizeof *v);
	*v = (struct mwl_vault){0};
	luaL_getmetatable(L, MWL_VAULT);
	lua_setmetatable(L, -2);
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = MW_OK;
	if (existing && !has_store(spool))
		err = mw_error_set(&e, MW_IO, 0, "%.140s: there are no accounts here; is the path right?",
				   spool);
	if (err == MW_OK)
		err = mw_state_open(spool, 0, &v->state, &e);
	if (err == MW_OK)
		err = mw_vault_open(v->state, master, &v->vault, &e);
	return err == MW_OK ? 1 : mwl_fail(L, &e);
}

/* core.new_master_key(path) -> true | nil, message, code */
static int new_master_key(lua_State *L)
{
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_master_key_create(luaL_checkstring(L, 1), &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushboolean(L, 1);
	return 1;
}

/* core.master_key_id(path | nil) -> 8 hex digits | false: there is none | nil, message, code */
static int master_key_id(lua_State *L)
{
	const char *path = luaL_optstring(L, 1, NULL);
	struct mw_master_key key;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_master_key_load(&key, path, &e) != MW_OK)
		return mwl_fail(L, &e);
	char id[MW_KID_TEXT];
	mw_kid_text(key.kid, id);
	bool is_there = key.bytes != NULL;
	mw_master_key_wipe(&key); /* before Lua is asked for memory */
	if (is_there)
		lua_pushstring(L, id);
	else
		lua_pushboolean(L, 0);
	return 1;
}

int mwl_answer(lua_State *L, const struct mw_error *e)
{
	if (e->code != MW_OK)
		return mwl_fail(L, e);
	lua_pushboolean(L, 1);
	return 1;
}

/* vault:set(account, { write_key =, write_key_file =, endpoint =, label =, oauth =, prompt = }) -> true |
 * nil, message, code. What is absent stays as it was. write_key_file "-" is standard input, `prompt` what a
 * terminal is asked with. */
static int vault_set(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_span account = mwl_check_account(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	struct mw_account_change c = {0};
	c.write_key.at = (const uint8_t *)mwl_opt_text(L, 3, "write_key", &c.write_key.len);
	c.endpoint.at = (const uint8_t *)mwl_opt_text(L, 3, "endpoint", &c.endpoint.len);
	c.label.at = (const uint8_t *)mwl_opt_text(L, 3, "label", &c.label.len);
	c.app.at = (const uint8_t *)mwl_opt_text(L, 3, "oauth", &c.app.len);
	const char *file = mwl_opt_text(L, 3, "write_key_file", NULL);
	const char *prompt = mwl_opt_text(L, 3, "prompt", NULL);
	if (c.write_key.at && file)
		luaL_error(L, "give write_key or write_key_file, not both");
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = MW_OK;
	if (file)
		err = mwl_secret_read(file, prompt ? prompt : "write key: ", "write key", KEY_FILE_MAX,
				      &v->typed, &c.write_key, &e);
	if (err == MW_OK)
		(void)mw_vault_set(v->vault, account, &c, &e);
	sodium_free(v->typed); /* wipes */
	v->typed = NULL;
	return mwl_answer(L, &e);
}

typedef enum mw_err change_state(struct mw_vault *v, struct mw_span account, struct mw_error *e);

static int change(lua_State *L, change_state *call)
{
	struct mw_error e;
	mw_error_clear(&e);
	struct mwl_vault *v = mwl_check_vault(L);
	(void)call(v->vault, mwl_check_account(L, 2), &e);
	return mwl_answer(L, &e);
}

static int vault_pause(lua_State *L)
{
	return change(L, mw_vault_pause);
}

static int vault_resume(lua_State *L)
{
	return change(L, mw_vault_resume);
}

static int vault_remove(lua_State *L)
{
	return change(L, mw_vault_remove);
}

/* An account with its texts: nothing of Lua's is called while the store is being read. */
struct told {
	struct mw_account_info info;
	size_t endpoint_len, label_len, app_len;
	uint8_t endpoint[MW_ENDPOINT_URL_MAX], label[MW_LABEL_MAX], app[MW_APP_NAME_MAX];
};

static void keep(void *context, const struct mw_account_info *info)
{
	struct told *t = context;
	t->info = *info;
	t->endpoint_len = info->endpoint.len;
	t->label_len = info->label.len;
	t->app_len = info->app.len;
	if (t->endpoint_len > 0)
		memcpy(t->endpoint, info->endpoint.at, t->endpoint_len);
	if (t->label_len > 0)
		memcpy(t->label, info->label.at, t->label_len);
	if (t->app_len > 0)
		memcpy(t->app, info->app.at, t->app_len);
}

static void push_told(lua_State *L, struct mw_span account, const struct told *t)
{
	const struct mw_account_info *i = &t->info;
	lua_createtable(L, 0, 11);
	mwl_set_span(L, "account", account);
	mwl_set_string(L, "state", i->damaged ? "damaged" : i->paused ? "paused" : "active");
	if (i->damaged)
		return;
	mwl_set_flag(L, "has_key", i->has_key);
	mwl_set_string(L, "last", i->last);
	if (t->endpoint_len > 0)
		mwl_set_text(L, "endpoint", t->endpoint, t->endpoint_len);
	if (t->label_len > 0)
		mwl_set_text(L, "label", t->label, t->label_len);
	if (t->app_len > 0)
		mwl_set_text(L, "oauth", t->app, t->app_len);
	mwl_set_string(L, "master_key", i->kid);
	mwl_set_flag(L, "other_master_key", i->foreign);
	mwl_set_count(L, "revision", i->revision);
	lua_pushnumber(L, (lua_Number)i->updated_at / 1000);
	lua_setfield(L, -2, "updated_at");
}

static enum mw_err tell(lua_State *L, struct mw_vault *v, struct mw_span account, struct mw_error *e)
{
	struct told t = {.info = {.damaged = true}};
	enum mw_err err = mw_vault_show(v, account, keep, &t, e);
	if (err == MW_OK || err == MW_CORRUPT)
		push_told(L, account, &t);
	return err;
}

/* vault:show(account) -> table | nil, message, code */
static int vault_show(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	return tell(L, v->vault, mwl_check_account(L, 2), &e) == MW_OK ? 1 : mwl_fail(L, &e);
}

static void ignore(void *context, const struct mw_account_info *info)
{
	(void)context, (void)info;
}

/* vault:has(account) -> is it set up and whole? What show tells, without a table: asked at each request */
static int vault_has(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = mw_vault_show(v->vault, mwl_check_account(L, 2), ignore, NULL, &e);
	lua_pushboolean(L, err == MW_OK);
	return 1;
}

struct mwl_names mwl_names_start(lua_State *L)
{
	return (struct mwl_names){mwl_scratch_new(L, MWL_NAMES, NAMES_MAX), MW_OK};
}

void mwl_names_add(struct mwl_names *n, struct mw_span name)
{
	if (n->err == MW_OK)
		n->err = mw_buf_append_byte(n->buf, (char)name.len);
	if (n->err == MW_OK)
		n->err = mw_buf_append_span(n->buf, name);
}

int mwl_names_tell(lua_State *L, const struct mwl_names *names, mwl_tell *tell_one, struct mw_error *e)
{
	if (e->code != MW_OK)
		return mwl_fail(L, e);
	if (names->err != MW_OK)
		return mwl_fail_code(L, names->err);
	lua_newtable(L);
	int count = 0;
	for (size_t at = 0; at < names->buf->len;) {
		struct mw_span name = {names->buf->data + at + 1, names->buf->data[at]};
		/* Each time, for making a table may run a finalizer that closes it. */
		enum mw_err err = tell_one(L, mwl_check_vault(L)->vault, name, e);
		at += 1 + name.len;
		if (err == MW_NO_ACCOUNT) /* gone by now */
			continue;
		if (err != MW_OK && err != MW_CORRUPT)
			return mwl_fail(L, e);
		lua_rawseti(L, -2, ++count);
	}
	mw_buf_deinit(names->buf);
	return 1;
}

static void keep_name(void *context, const struct mw_account_info *info)
{
	mwl_names_add(context, info->account);
}

/* vault:list() -> accounts by name, each as show() gives it | nil, message, code. A damaged one has `account`
 * and `state` only. */
static int vault_list(lua_State *L)
{
	lua_settop(L, 1);
	struct mwl_names names = mwl_names_start(L);
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	(void)mw_vault_each(v->vault, keep_name, &names, &e);
	return mwl_names_tell(L, &names, tell, &e);
}

/* vault:has_master_key() */
static int vault_has_master_key(lua_State *L)
{
	lua_pushboolean(L, mw_vault_has_master_key(mwl_check_vault(L)->vault));
	return 1;
}

void mwl_open_vault(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"set", vault_set},
	    {"pause", vault_pause},
	    {"resume", vault_resume},
	    {"remove", vault_remove},
	    {"show", vault_show},
	    {"has", vault_has},
	    {"list", vault_list},
	    {"close", vault_close},
	    {"has_master_key", vault_has_master_key},
	    {NULL, NULL},
	};
	mwl_scratch_open(L, MWL_NAMES);
	luaL_newmetatable(L, MWL_VAULT);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	mwl_open_vault_apps(L);
	mwl_open_vault_copy(L);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, vault_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, vault_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, vault_new);
	lua_setfield(L, -2, "vault");
	lua_pushcfunction(L, new_master_key);
	lua_setfield(L, -2, "new_master_key");
	lua_pushcfunction(L, master_key_id);
	lua_setfield(L, -2, "master_key_id");
}
