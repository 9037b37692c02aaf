/* vault_app.c -- the OAuth apps of a store: vault:set_app, show_app, list_apps, remove_app.
 *
 *     v:set_app("segment", { client_id = "2aB...", key_id = "kid", private_key_file = "key.pem" })
 *     v:show_app("segment").fingerprint                          -- of the public key: "9f3c..."
 *
 * No private key ever comes out.
 */
#include "secret.h"
#include "vault.h"

#include <sodium.h>

/* vault:set_app(name, { client_id =, key_id =, private_key =, private_key_file =, scope =, token_server = })
 * -> true | nil, message, code. What is absent stays as it was. private_key_file "-" is standard input. */
static int vault_set_app(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_span app = mwl_check_span(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	struct mw_app_change c = {0};
	c.client_id.at = (const uint8_t *)mwl_opt_text(L, 3, "client_id", &c.client_id.len);
	c.key_id.at = (const uint8_t *)mwl_opt_text(L, 3, "key_id", &c.key_id.len);
	c.private_key.at = (const uint8_t *)mwl_opt_text(L, 3, "private_key", &c.private_key.len);
	c.scope.at = (const uint8_t *)mwl_opt_text(L, 3, "scope", &c.scope.len);
	c.token_server.at = (const uint8_t *)mwl_opt_text(L, 3, "token_server", &c.token_server.len);
	const char *file = mwl_opt_text(L, 3, "private_key_file", NULL);
	if (c.private_key.at && file)
		luaL_error(L, "give private_key or private_key_file, not both");
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = MW_OK;
	if (file)
		err = mwl_secret_read(file, "private key: ", "private key in PEM", MW_RSA_PEM_MAX, &v->typed,
				      &c.private_key, &e);
	if (err == MW_OK)
		(void)mw_vault_app_set(v->vault, app, &c, &e);
	sodium_free(v->typed); /* wipes */
	v->typed = NULL;
	return mwl_answer(L, &e);
}

/* vault:remove_app(name) -> true | nil, message, code */
static int vault_remove_app(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	(void)mw_vault_app_remove(v->vault, mwl_check_span(L, 2), &e);
	return mwl_answer(L, &e);
}

/* An app with its texts: nothing of Lua's is called while the store is being read. */
struct told {
	struct mw_app_info info;
	char client_id[MW_OAUTH_ID_MAX], key_id[MW_OAUTH_ID_MAX], scope[MW_OAUTH_SCOPE_MAX],
	    token_server[MW_ENDPOINT_URL_MAX];
};

static void keep_text(char *to, struct mw_span s)
{
	if (s.len > 0)
		memcpy(to, s.at, s.len);
}

static void keep(void *context, const struct mw_app_info *info)
{
	struct told *t = context;
	t->info = *info;
	keep_text(t->client_id, info->client_id);
	keep_text(t->key_id, info->key_id);
	keep_text(t->scope, info->scope);
	keep_text(t->token_server, info->token_server);
}

static void push_told(lua_State *L, struct mw_span app, const struct told *t)
{
	const struct mw_app_info *i = &t->info;
	lua_createtable(L, 0, 11);
	mwl_set_span(L, "app", app);
	mwl_set_flag(L, "damaged", i->damaged);
	if (i->damaged)
		return;
	mwl_set_text(L, "client_id", t->client_id, i->client_id.len);
	mwl_set_text(L, "key_id", t->key_id, i->key_id.len);
	mwl_set_text(L, "scope", t->scope, i->scope.len);
	if (i->token_server.len > 0)
		mwl_set_text(L, "token_server", t->token_server, i->token_server.len);
	mwl_set_count(L, "bits", i->bits);
	mwl_set_string(L, "fingerprint", i->fingerprint);
	mwl_set_string(L, "master_key", i->kid);
	mwl_set_flag(L, "other_master_key", i->foreign);
	mwl_set_count(L, "revision", i->revision);
	lua_pushnumber(L, (lua_Number)i->updated_at / 1000);
	lua_setfield(L, -2, "updated_at");
}

static enum mw_err tell(lua_State *L, struct mw_vault *v, struct mw_span app, struct mw_error *e)
{
	struct told t = {.info = {.damaged = true}};
	enum mw_err err = mw_vault_app_show(v, app, keep, &t, e);
	if (err == MW_OK || err == MW_CORRUPT)
		push_told(L, app, &t);
	return err;
}

/* vault:show_app(name) -> table | nil, message, code */
static int vault_show_app(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	return tell(L, v->vault, mwl_check_span(L, 2), &e) == MW_OK ? 1 : mwl_fail(L, &e);
}

static void keep_name(void *context, const struct mw_app_info *info)
{
	mwl_names_add(context, info->app);
}

/* vault:list_apps() -> apps by name, each as show_app() gives it | nil, message, code. A damaged one has
 * `app` and `damaged` only. */
static int vault_list_apps(lua_State *L)
{
	lua_settop(L, 1);
	struct mwl_names names = mwl_names_start(L);
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	(void)mw_vault_app_each(v->vault, keep_name, &names, &e);
	return mwl_names_tell(L, &names, tell, &e);
}

void mwl_open_vault_apps(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"set_app", vault_set_app},
	    {"remove_app", vault_remove_app},
	    {"show_app", vault_show_app},
	    {"list_apps", vault_list_apps},
	    {NULL, NULL},
	};
	luaL_setfuncs(L, methods, 0);
}
