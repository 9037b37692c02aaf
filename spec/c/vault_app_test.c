#include "../../csrc/io/vault_app.h"
#include "rsa_fixture.h"
#include "vault_fixture.h"

#include <lmdb.h>

static enum mw_err set_app_with(struct fixture *f, const char *app, const char *client, const char *key_id,
				const char *pem, const char *scope, const char *server)
{
	struct mw_app_change c = {.client_id = span(client),
				  .key_id = span(key_id),
				  .private_key = span(pem),
				  .scope = span(scope),
				  .token_server = span(server)};
	mw_error_clear(&error);
	return mw_vault_app_set(f->v, span(app), &c, &error);
}

static enum mw_err set_app(struct fixture *f, const char *app, unsigned key)
{
	char pem[PEM_ROOM];
	return set_app_with(f, app, "client", "kid", pem_of(rsa_key(2048, key), PKCS8, pem), NULL, NULL);
}

static enum mw_err use(struct fixture *f, const char *account, const char *app)
{
	struct mw_account_change c = {.write_key = MW_SPAN("key-0123456789"), .app = span(app)};
	mw_error_clear(&error);
	return mw_vault_set(f->v, span(account), &c, &error);
}

/* The app's key signs as the key of this number does. */
static bool signs_as(struct fixture *f, const char *app, unsigned number)
{
	struct mw_app *a;
	struct mw_rsa_key k;
	char pem[PEM_ROOM];
	mw_error_clear(&error);
	if (mw_vault_app_get(f->v, span(app), &a, &error) != MW_OK)
		return false;
	bool same = mw_rsa_key_read(span(pem_of(rsa_key(2048, number), PKCS1, pem)), &k, &error) == MW_OK &&
		    k.len == a->der_len && memcmp(k.der, a->der, k.len) == 0;
	mw_rsa_key_free(&k);
	mw_app_free(a);
	return same;
}

struct app_shown {
	struct mw_app_info info;
	char client_id[200], key_id[200], scope[300], server[600];
	int count;
};

static void keep_app(void *context, const struct mw_app_info *info)
{
	struct app_shown *k = context;
	k->info = *info;
	copy(k->client_id, info->client_id);
	copy(k->key_id, info->key_id);
	copy(k->scope, info->scope);
	copy(k->server, info->token_server);
	k->count++;
}

static bool show_app(struct fixture *f, const char *app, struct app_shown *k)
{
	*k = (struct app_shown){0};
	return mw_vault_app_show(f->v, span(app), keep_app, k, &error) == MW_OK && k->count == 1;
}

TEST(an_app_is_kept_and_shown_without_its_key)
{
	struct fixture f;
	struct app_shown k;
	CHECK(start(&f, "kept", master(0)) && set_app(&f, "segment.1", 0) == MW_OK);
	CHECK(show_app(&f, "segment.1", &k) && !k.info.damaged && !k.info.foreign && k.info.bits == 2048);
	CHECK(!strcmp(k.client_id, "client") && !strcmp(k.key_id, "kid") && !strcmp(k.scope, MW_APP_SCOPE) &&
	      !strcmp(k.server, "") && strlen(k.info.fingerprint) == 16 && k.info.revision == 1);
	CHECK(signs_as(&f, "segment.1", 0) && !signs_as(&f, "segment.1", 1));
	stop(&f);
	CHECK(start(&f, "kept", master(0)) && signs_as(&f, "segment.1", 0));
	stop(&f);
}

TEST(what_is_not_given_stays_as_it_was)
{
	struct fixture f;
	struct app_shown k;
	char pem[PEM_ROOM];
	CHECK(start(&f, "stays", master(0)) && set_app(&f, "a", 0) == MW_OK);
	CHECK(set_app_with(&f, "a", NULL, "kid-2", NULL, NULL, NULL) == MW_OK && signs_as(&f, "a", 0));
	CHECK(set_app_with(&f, "a", NULL, NULL, NULL, "public_api:read_write", "eu") == MW_OK);
	CHECK(set_app_with(&f, "a", NULL, NULL, pem_of(rsa_key(2048, 1), PKCS1, pem), NULL, NULL) == MW_OK);
	CHECK(show_app(&f, "a", &k) && !strcmp(k.client_id, "client") && !strcmp(k.key_id, "kid-2") &&
	      !strcmp(k.scope, "public_api:read_write") && !strcmp(k.server, "eu") && k.info.revision == 4);
	CHECK(signs_as(&f, "a", 1));
	bool own;
	struct mw_token_server server;
	CHECK(mw_vault_app_server(f.v, MW_SPAN("a"), &own, &server, &error) == MW_OK && own &&
	      !strcmp(server.url, "https://oauth2.eu1.segmentapis.com/token"));
	CHECK(set_app_with(&f, "a", NULL, NULL, NULL, NULL, "") == MW_OK);
	CHECK(mw_vault_app_server(f.v, MW_SPAN("a"), &own, &server, &error) == MW_OK && !own);
	stop(&f);
}

TEST(bad_parts_are_refused_when_they_are_saved)
{
	struct fixture f;
	struct app_shown k;
	char pem[PEM_ROOM], weak[PEM_ROOM];
	EVP_PKEY *small = rsa_key(1024, 0);
	pem_of(rsa_key(2048, 0), PKCS8, pem);
	pem_of(small, PKCS8, weak);
	EVP_PKEY_free(small);
	CHECK(start(&f, "bad", master(0)));
	CHECK(set_app_with(&f, "a", "c", "k", NULL, NULL, NULL) == MW_INVALID &&
	      strstr(error.detail, "is new"));
	CHECK(set_app_with(&f, "a", "c", "k", weak, NULL, NULL) == MW_BAD_KEY &&
	      strstr(error.detail, "1024 bits"));
	CHECK(set_app_with(&f, "a", "c c", "k", pem, NULL, NULL) == MW_INVALID);
	CHECK(set_app_with(&f, "a", "c", "", pem, NULL, NULL) == MW_INVALID);
	CHECK(set_app_with(&f, "a", "c", "k", pem, " ", NULL) == MW_INVALID);
	CHECK(set_app_with(&f, "a", "c", "k", pem, NULL, "http://example.com") == MW_BAD_ENDPOINT);
	CHECK(set_app_with(&f, "a b", "c", "k", pem, NULL, NULL) == MW_INVALID);
	CHECK(set_app_with(&f, "", "c", "k", pem, NULL, NULL) == MW_INVALID);
	CHECK(!show_app(&f, "a", &k) && error.code == MW_NO_ACCOUNT);
	CHECK(use(&f, "acme", "a") == MW_NO_ACCOUNT && strstr(error.detail, "there is no OAuth app \"a\""));
	stop(&f);
	CHECK(start(&f, "bad", NULL) && set_app(&f, "a", 0) == MW_BAD_MASTER_KEY);
	stop(&f);
}

TEST(an_account_has_an_app_or_none)
{
	struct fixture f;
	struct mw_key key;
	struct shown k;
	CHECK(start(&f, "accounts", master(0)) && set_app(&f, "one", 0) == MW_OK &&
	      set_app(&f, "two", 1) == MW_OK);
	CHECK(use(&f, "acme", "one") == MW_OK && get(&f, "acme", &key) == MW_OK && !strcmp(got_app, "one"));
	CHECK(use(&f, "acme", "two") == MW_OK && get(&f, "acme", &key) == MW_OK && !strcmp(got_app, "two"));
	CHECK(set(&f, "acme", NULL, "eu", "Acme") == MW_OK && get(&f, "acme", &key) == MW_OK &&
	      !strcmp(got_app, "two") && !strcmp(got_endpoint.batch_url, eu));
	CHECK(show(&f, "acme", &k) && k.info.app.len == 3);
	CHECK(use(&f, "acme", "") == MW_OK && get(&f, "acme", &key) == MW_OK && !strcmp(got_app, ""));
	CHECK(holds(&f, "acme", "key-0123456789", eu));
	stop(&f);
}

TEST(an_app_in_use_is_not_removed)
{
	struct fixture f;
	CHECK(start(&f, "remove", master(0)) && set_app(&f, "one", 0) == MW_OK);
	CHECK(use(&f, "acme", "one") == MW_OK && use(&f, "beta", "one") == MW_OK);
	CHECK(mw_vault_app_remove(f.v, MW_SPAN("one"), &error) == MW_INVALID &&
	      strstr(error.detail, "2 accounts send with it, \"acme\" for one"));
	CHECK(use(&f, "acme", "") == MW_OK && mw_vault_remove(f.v, MW_SPAN("beta"), &error) == MW_OK);
	CHECK(mw_vault_app_remove(f.v, MW_SPAN("one"), &error) == MW_OK);
	CHECK(mw_vault_app_remove(f.v, MW_SPAN("one"), &error) == MW_NO_ACCOUNT);
	stop(&f);
}

static char named[200];

static void note_app(void *context, struct mw_span app, uint64_t revision)
{
	(void)context;
	snprintf(named + strlen(named), sizeof named - strlen(named), "%.*s:%d ", (int)app.len,
		 (const char *)app.at, (int)revision);
}

TEST(changed_apps_are_named)
{
	struct fixture f;
	CHECK(start(&f, "changes", master(0)) && set_app(&f, "one", 0) == MW_OK &&
	      set_app(&f, "two", 0) == MW_OK);
	uint64_t revision;
	CHECK(mw_vault_revision(f.v, &revision, &error) == MW_OK && revision == 2);
	named[0] = '\0';
	CHECK(mw_vault_app_changes(f.v, 0, note_app, NULL, &error) == MW_OK &&
	      !strcmp(named, "one:1 two:2 "));
	named[0] = '\0';
	CHECK(set_app(&f, "one", 1) == MW_OK &&
	      mw_vault_app_changes(f.v, revision, note_app, NULL, &error) == MW_OK &&
	      !strcmp(named, "one:3 "));
	stop(&f);
}

TEST(another_master_key_opens_nothing_and_may_replace_all)
{
	struct fixture f;
	struct app_shown k;
	CHECK(start(&f, "foreign", master(0)) && set_app(&f, "a", 0) == MW_OK &&
	      use(&f, "acme", "a") == MW_OK);
	stop(&f);
	CHECK(start(&f, "foreign", master(1)) && show_app(&f, "a", &k) && k.info.foreign);
	CHECK(!signs_as(&f, "a", 0) && error.code == MW_BAD_MASTER_KEY);
	CHECK(set_app_with(&f, "a", NULL, "k2", NULL, NULL, NULL) == MW_BAD_MASTER_KEY);
	/* An app that nobody vouches for is not kept by saving key and endpoint. */
	CHECK(set(&f, "acme", "key-0123456789", "eu", NULL) == MW_BAD_MASTER_KEY);
	CHECK(set_app(&f, "a", 1) == MW_OK && error.code == MW_OK && signs_as(&f, "a", 1));
	struct mw_account_change all = {
	    .write_key = MW_SPAN("key-0123456789"), .endpoint = MW_SPAN("eu"), .app = MW_SPAN("a")};
	CHECK(mw_vault_set(f.v, MW_SPAN("acme"), &all, &error) == MW_OK &&
	      holds(&f, "acme", "key-0123456789", eu));
	stop(&f);
}

/* Whoever can write to the file, with a right check and all. */
TEST(no_part_of_an_app_can_be_exchanged)
{
	struct mw_master_key k;
	struct mw_app_row r = {.client_id = MW_SPAN("client"),
			       .key_id = MW_SPAN("kid"),
			       .scope = MW_SPAN("scope"),
			       .token_server = MW_SPAN("https://a.example")},
			  forged;
	uint8_t sealed[MW_APP_SEALED_MAX], row[MW_APP_ROW_MAX], der[MW_RSA_DER_MAX];
	size_t len;
	CHECK(mw_master_key_load(&k, master(0), &error) == MW_OK);
	mw_app_row_seal(&r, MW_SPAN("app"), MW_SPAN("private"), &k, sealed);
	CHECK(mw_app_row_open(&r, MW_SPAN("app"), &k, der, &len) && len == 7 &&
	      memcmp(der, "private", 7) == 0);
	CHECK(!mw_app_row_open(&r, MW_SPAN("apq"), &k, der, &len));
	forged = r, forged.client_id = MW_SPAN("clienu");
	CHECK(!mw_app_row_open(&forged, MW_SPAN("app"), &k, der, &len));
	forged = r, forged.key_id = MW_SPAN("kie");
	CHECK(!mw_app_row_open(&forged, MW_SPAN("app"), &k, der, &len));
	forged = r, forged.scope = MW_SPAN("other");
	CHECK(!mw_app_row_open(&forged, MW_SPAN("app"), &k, der, &len));
	forged = r, forged.token_server = MW_SPAN("https://b.example");
	CHECK(!mw_app_row_open(&forged, MW_SPAN("app"), &k, der, &len));
	len = mw_app_row_pack(&r, MW_SPAN("app"), row);
	CHECK(mw_app_row_unpack((struct mw_span){row, len}, MW_SPAN("app"), &forged) &&
	      !mw_app_row_unpack((struct mw_span){row, len}, MW_SPAN("apq"), &forged));
	for (size_t i = 0; i < len; i++) {
		row[i] ^= 1;
		CHECK(!mw_app_row_unpack((struct mw_span){row, len}, MW_SPAN("app"), &forged));
		row[i] ^= 1;
	}
	for (size_t i = 0; i < len; i++)
		CHECK(!mw_app_row_unpack((struct mw_span){row, i}, MW_SPAN("app"), &forged));
	mw_master_key_wipe(&k);
}

TEST(an_account_can_be_given_no_other_app)
{
	struct mw_master_key k;
	struct mw_key key = {.len = 3, .text = "key"};
	struct mw_account_row r = {.endpoint = MW_SPAN("eu"), .app = MW_SPAN("one")}, got;
	uint8_t sealed[MW_SEALED_MAX], row[MW_ACCOUNT_ROW_MAX];
	CHECK(mw_master_key_load(&k, master(0), &error) == MW_OK);
	mw_account_row_seal(&r, MW_SPAN("acme"), &key, &k, sealed);
	size_t len = mw_account_row_pack(&r, MW_SPAN("acme"), row);
	CHECK(row[0] == 2 && mw_account_row_unpack((struct mw_span){row, len}, MW_SPAN("acme"), &got) &&
	      mw_span_is(got.app, "one") && mw_account_row_open(&got, MW_SPAN("acme"), &k, &key));
	r.app = MW_SPAN("two");
	CHECK(!mw_account_row_open(&r, MW_SPAN("acme"), &k, &key));
	r.app = MW_SPAN("");
	CHECK(!mw_account_row_open(&r, MW_SPAN("acme"), &k, &key));
	/* Without an app a row is what it always was. */
	key.len = 3;
	memcpy(key.text, "key", 3);
	mw_account_row_seal(&r, MW_SPAN("acme"), &key, &k, sealed);
	CHECK(mw_account_row_pack(&r, MW_SPAN("acme"), row) > 0 && row[0] == 1 && row[3] == 0);
	mw_master_key_wipe(&k);
}

/* Made before there were apps: an account in layout 1, and no database of apps. */
TEST(an_older_store_is_read_and_gets_apps)
{
	struct fixture f;
	CHECK(start(&f, "older", master(0)) && set(&f, "acme", "key-0123456789", "eu", "Acme") == MW_OK);
	stop(&f);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi apps;
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0 &&
	      mdb_env_open(env, folder_path("older/state"), 0, 0600) == 0 &&
	      mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, "oauth_apps", 0, &apps) == 0 &&
	      mdb_drop(txn, apps, 1) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
	CHECK(start(&f, "older", master(0)) && holds(&f, "acme", "key-0123456789", eu) && !*got_app);
	CHECK(set_app(&f, "one", 0) == MW_OK && use(&f, "acme", "one") == MW_OK);
	stop(&f);
}

static bool file_holds(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(folder_path(name), "rb");
	static uint8_t all[4 << 20];
	size_t n = f ? fread(all, 1, sizeof all, f) : 0;
	if (f)
		fclose(f);
	return memmem(all, n, bytes, len) != NULL;
}

TEST(no_private_key_is_in_the_file)
{
	struct fixture f;
	struct mw_rsa_key k;
	char pem[PEM_ROOM];
	CHECK(start(&f, "file", master(0)) && set_app(&f, "app-name-in-clear", 0) == MW_OK);
	CHECK(mw_rsa_key_read(span(pem_of(rsa_key(2048, 0), PKCS8, pem)), &k, &error) == MW_OK);
	stop(&f);
	CHECK(file_holds("file/state/data.mdb", "app-name-in-clear", 17));
	for (size_t at = 300; at + 32 < k.len; at += 32) /* behind the public half */
		CHECK(!file_holds("file/state/data.mdb", k.der + at, 32));
	mw_rsa_key_free(&k);
}

int main(void)
{
	folder();
	RUN(an_app_is_kept_and_shown_without_its_key);
	RUN(what_is_not_given_stays_as_it_was);
	RUN(bad_parts_are_refused_when_they_are_saved);
	RUN(an_account_has_an_app_or_none);
	RUN(an_app_in_use_is_not_removed);
	RUN(changed_apps_are_named);
	RUN(another_master_key_opens_nothing_and_may_replace_all);
	RUN(no_part_of_an_app_can_be_exchanged);
	RUN(an_account_can_be_given_no_other_app);
	RUN(an_older_store_is_read_and_gets_apps);
	RUN(no_private_key_is_in_the_file);
	return CHECK_END();
}
