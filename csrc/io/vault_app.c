#include "vault_app.h"

#include "secret_heap.h"
#include "vault_own.h"

#include <sodium.h>
#include <stdio.h>

#define APP_NAMED "OAuth app \"%.*s\""

static enum mw_err no_app(struct mw_span app, struct mw_error *e)
{
	return mw_error_set(e, MW_NO_ACCOUNT, 0, "there is no " APP_NAMED, MW_ACCOUNT_NAME(app));
}

static enum mw_err damaged(struct mw_span app, struct mw_error *e)
{
	return mw_error_set(e, MW_CORRUPT, 0, APP_NAMED ": damaged or tampered with; set all of it again",
			    MW_ACCOUNT_NAME(app));
}

enum mw_err mw_vault_app_name_check(struct mw_span app, struct mw_error *e)
{
	bool fits = app.len > 0 && app.len <= MW_APP_NAME_MAX;
	for (size_t i = 0; fits && i < app.len; i++) {
		uint8_t c = app.at[i];
		fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		       (c != 0 && strchr("._-", c));
	}
	return fits ? MW_OK
		    : mw_error_set(e, MW_INVALID, 0,
				   "an OAuth app is named by 1 to %d letters, digits, '.', '_' and '-'",
				   MW_APP_NAME_MAX);
}

/* LMDB's answer, `value` good until the end of `txn`; a name that no app has is not found. */
static int look_up(const struct mw_vault *v, MDB_txn *txn, struct mw_span app, MDB_val *value)
{
	MDB_val name = mw_value_of(app);
	return app.len == 0 || app.len > MW_APP_NAME_MAX ? MDB_NOTFOUND : mdb_get(txn, v->apps, &name, value);
}

enum mw_err mw_vault_app_exists(const struct mw_vault *v, MDB_txn *txn, struct mw_span app,
				struct mw_error *e)
{
	MDB_val value;
	int answer = look_up(v, txn, app, &value);
	if (answer == MDB_NOTFOUND)
		return no_app(app, e);
	return answer == 0 ? MW_OK : mw_state_fail(v->state, answer, e);
}

static enum mw_err find(const struct mw_vault *v, MDB_txn *txn, struct mw_span app, struct mw_app_row *r,
			struct mw_error *e)
{
	MDB_val value;
	int answer = look_up(v, txn, app, &value);
	if (answer == MDB_NOTFOUND)
		return no_app(app, e);
	if (answer != 0)
		return mw_state_fail(v->state, answer, e);
	return mw_app_row_unpack(mw_span_of(value), app, r) ? MW_OK : damaged(app, e);
}

static enum mw_err open_row(const struct mw_vault *v, struct mw_span app, const struct mw_app_row *r,
			    uint8_t der[MW_RSA_DER_MAX], size_t *len, struct mw_error *e)
{
	char theirs[MW_KID_TEXT], ours[MW_KID_TEXT];
	if (!v->master.bytes)
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    APP_NAMED ": no master key was given to open its private key with",
				    MW_ACCOUNT_NAME(app));
	if (memcmp(r->kid, v->master.kid, MW_KID_LEN) != 0) {
		mw_kid_text(r->kid, theirs);
		mw_kid_text(v->master.kid, ours);
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    APP_NAMED
				    ": sealed with master key %s, and this one is %s; give that one, or "
				    "set all of the app again",
				    MW_ACCOUNT_NAME(app), theirs, ours);
	}
	return mw_app_row_open(r, app, &v->master, der, len) ? MW_OK : damaged(app, e);
}

static enum mw_err check_change(const struct mw_app_change *c, struct mw_error *e)
{
	struct mw_token_server ignored;
	enum mw_err err = MW_OK;
	if (c->client_id.at)
		err = mw_oauth_id_check("client id", c->client_id, e);
	if (err == MW_OK && c->key_id.at)
		err = mw_oauth_id_check("key id", c->key_id, e);
	if (err == MW_OK && c->scope.at)
		err = mw_oauth_scope_check(c->scope, e);
	if (err == MW_OK && c->token_server.len >= MW_ENDPOINT_URL_MAX)
		err = mw_error_set(e, MW_BAD_ENDPOINT, 0, "an endpoint has at most %d characters",
				   MW_ENDPOINT_URL_MAX - 1);
	if (err == MW_OK && c->token_server.len > 0)
		err = mw_token_server_parse(c->token_server, &ignored, e);
	return err;
}

struct edit {
	struct mw_vault *v;
	struct mw_span app;
	const struct mw_app_change *change; /* NULL: remove */
	const struct mw_rsa_key *key;       /* NULL: it stays */
	int64_t now;
	uint8_t *der; /* room for the key that stays */
};

/* What is not changed is taken from the old seal, which must open, as an account's. */
static enum mw_err apply(const struct edit *d, bool found, struct mw_app_row *r,
			 uint8_t room[MW_APP_SEALED_MAX], struct mw_error *e)
{
	const struct mw_app_change *c = d->change;
	bool whole = c->client_id.at && c->key_id.at && d->key;
	struct mw_span der =
	    d->key ? (struct mw_span){d->key->der, d->key->len} : (struct mw_span){d->der, 0};
	if (!found && !whole)
		return mw_error_set(e, MW_INVALID, 0,
				    APP_NAMED ": is new, and needs a client id, a key id and a private key",
				    MW_ACCOUNT_NAME(d->app));
	if (!d->v->master.bytes)
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    APP_NAMED ": no master key was given to seal its private key with",
				    MW_ACCOUNT_NAME(d->app));
	if (!whole || (found && !(c->scope.at && c->token_server.at))) {
		size_t len = 0;
		enum mw_err err = open_row(d->v, d->app, r, d->der, &len, e);
		/* Given whole, it replaces what can't be opened, its lesser parts with the usual ones. */
		if (err != MW_OK && !whole)
			return err;
		if (err != MW_OK) {
			mw_error_clear(e);
			*r = (struct mw_app_row){.revision = r->revision};
		}
		if (!d->key)
			der.len = len;
	}
	if (d->key) {
		r->bits = d->key->bits;
		memcpy(r->fingerprint, d->key->fingerprint, MW_FINGERPRINT_LEN);
	}
	r->client_id = c->client_id.at ? c->client_id : r->client_id;
	r->key_id = c->key_id.at ? c->key_id : r->key_id;
	r->scope = c->scope.at ? c->scope : r->scope.len > 0 ? r->scope : MW_SPAN(MW_APP_SCOPE);
	r->token_server = c->token_server.at ? c->token_server : r->token_server;
	mw_app_row_seal(r, d->app, der, &d->v->master, room);
	return MW_OK;
}

static enum mw_err set_step(MDB_txn *txn, void *context, struct mw_error *e)
{
	const struct edit *d = context;
	uint8_t old[MW_APP_ROW_MAX], row[MW_APP_ROW_MAX], sealed[MW_APP_SEALED_MAX];
	struct mw_app_row r = {0};
	MDB_val value, name = mw_value_of(d->app);
	int answer = look_up(d->v, txn, d->app, &value);
	bool found = answer == 0;
	if (!found && answer != MDB_NOTFOUND)
		return mw_state_fail(d->v->state, answer, e);
	if (found) {
		bool usable = value.mv_size <= sizeof old;
		if (usable)
			memcpy(old, value.mv_data, value.mv_size);
		if (!usable || !mw_app_row_unpack((struct mw_span){old, value.mv_size}, d->app, &r)) {
			if (!(d->change->client_id.at && d->change->key_id.at && d->key))
				return damaged(d->app, e);
			found = false;
			r = (struct mw_app_row){0};
		}
	}
	enum mw_err err = apply(d, found, &r, sealed, e);
	if (err != MW_OK)
		return err;
	r.updated_at = d->now;
	answer = mw_vault_next_revision(d->v, txn, &r.revision);
	value = (MDB_val){answer == 0 ? mw_app_row_pack(&r, d->app, row) : 0, row};
	if (answer == 0)
		answer = mdb_put(txn, d->v->apps, &name, &value, 0);
	return answer == 0 ? MW_OK : mw_state_fail(d->v->state, answer, e);
}

/* Accounts that send with this app, and the name of one, cut to `room`. LMDB's answer. */
static int count_users(const struct edit *d, MDB_txn *txn, size_t *count, char one[65])
{
	MDB_cursor *cursor;
	MDB_val name, value;
	int answer = mdb_cursor_open(txn, d->v->accounts, &cursor);
	if (answer != 0)
		return answer;
	*count = 0;
	while ((answer = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == 0) {
		struct mw_account_row r;
		if (!mw_account_row_unpack(mw_span_of(value), mw_span_of(name), &r) ||
		    r.app.len != d->app.len || memcmp(r.app.at, d->app.at, r.app.len) != 0)
			continue;
		if ((*count)++ == 0)
			snprintf(one, 65, "%.*s", MW_ACCOUNT_NAME(mw_span_of(name)));
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static enum mw_err remove_step(MDB_txn *txn, void *context, struct mw_error *e)
{
	const struct edit *d = context;
	MDB_val name = mw_value_of(d->app);
	uint64_t revision;
	size_t users;
	char one[65];
	enum mw_err err = mw_vault_app_exists(d->v, txn, d->app, e);
	if (err != MW_OK)
		return err;
	int answer = count_users(d, txn, &users, one);
	if (answer == 0 && users > 0)
		return mw_error_set(e, MW_INVALID, 0,
				    APP_NAMED
				    ": %zu account%s with it, \"%s\" for one; give %s another app, or Basic",
				    MW_ACCOUNT_NAME(d->app), users, users == 1 ? " sends" : "s send", one,
				    users == 1 ? "it" : "them");
	if (answer == 0)
		answer = mdb_del(txn, d->v->apps, &name, NULL);
	if (answer == 0)
		answer = mw_vault_next_revision(d->v, txn, &revision);
	return answer == 0 ? MW_OK : mw_state_fail(d->v->state, answer, e);
}

enum mw_err mw_vault_app_set(struct mw_vault *v, struct mw_span app, const struct mw_app_change *c,
			     struct mw_error *e)
{
	struct mw_rsa_key key = {0};
	struct edit d = {.v = v, .app = app, .change = c, .now = mw_vault_now_ms()};
	enum mw_err err = mw_vault_app_name_check(app, e);
	if (err == MW_OK)
		err = check_change(c, e);
	if (err == MW_OK && c->private_key.at) {
		err = mw_rsa_key_read(c->private_key, &key, e);
		d.key = &key;
	}
	if (err == MW_OK && !(d.der = mw_secret_malloc(MW_RSA_DER_MAX)))
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the private key");
	if (err == MW_OK)
		err = mw_state_write(v->state, set_step, &d, e);
	mw_secret_free(d.der);
	mw_rsa_key_free(&key);
	return err;
}

enum mw_err mw_vault_app_remove(struct mw_vault *v, struct mw_span app, struct mw_error *e)
{
	struct edit d = {.v = v, .app = app};
	return mw_state_write(v->state, remove_step, &d, e);
}

static enum mw_err copy_app(const struct mw_vault *v, struct mw_span app, const struct mw_app_row *r,
			    struct mw_app *out, struct mw_error *e)
{
	*out = (struct mw_app){.revision = r->revision,
			       .client_id_len = r->client_id.len,
			       .key_id_len = r->key_id.len,
			       .scope_len = r->scope.len,
			       .has_token_server = r->token_server.len > 0};
	memcpy(out->client_id, r->client_id.at, r->client_id.len);
	memcpy(out->key_id, r->key_id.at, r->key_id.len);
	memcpy(out->scope, r->scope.at, r->scope.len);
	enum mw_err err = open_row(v, app, r, out->der, &out->der_len, e);
	if (err == MW_OK && out->has_token_server)
		err = mw_token_server_parse(r->token_server, &out->token_server, e);
	return err;
}

enum mw_err mw_vault_app_get(struct mw_vault *v, struct mw_span app, struct mw_app **out, struct mw_error *e)
{
	MDB_txn *txn;
	struct mw_app_row r;
	*out = NULL;
	struct mw_app *a = mw_secret_malloc(sizeof *a);
	if (!a)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the OAuth app");
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err == MW_OK) {
		err = find(v, txn, app, &r, e);
		if (err == MW_OK)
			err = copy_app(v, app, &r, a, e);
		mw_state_read_end(v->state, txn);
	}
	if (err == MW_OK)
		*out = a;
	else
		mw_app_free(a);
	return err;
}

void mw_app_free(struct mw_app *a)
{
	mw_secret_free(a);
}

enum mw_err mw_vault_app_server(struct mw_vault *v, struct mw_span app, bool *own,
				struct mw_token_server *out, struct mw_error *e)
{
	MDB_txn *txn;
	struct mw_app_row r;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	err = find(v, txn, app, &r, e);
	*own = err == MW_OK && r.token_server.len > 0;
	if (*own)
		err = mw_token_server_parse(r.token_server, out, e);
	mw_state_read_end(v->state, txn);
	return err;
}

static void tell_row(const struct mw_vault *v, struct mw_span app, struct mw_span bytes, mw_app_told *tell,
		     void *context)
{
	struct mw_app_row r;
	struct mw_app_info info = {.app = app, .damaged = true};
	if (mw_app_row_unpack(bytes, app, &r)) {
		info = (struct mw_app_info){.app = app,
					    .foreign = v->master.bytes &&
						       memcmp(r.kid, v->master.kid, MW_KID_LEN) != 0,
					    .bits = r.bits,
					    .client_id = r.client_id,
					    .key_id = r.key_id,
					    .scope = r.scope,
					    .token_server = r.token_server,
					    .revision = r.revision,
					    .updated_at = r.updated_at};
		mw_kid_text(r.kid, info.kid);
		sodium_bin2hex(info.fingerprint, sizeof info.fingerprint, r.fingerprint, MW_FINGERPRINT_LEN);
	}
	tell(context, &info);
}

enum mw_err mw_vault_app_show(struct mw_vault *v, struct mw_span app, mw_app_told *tell, void *context,
			      struct mw_error *e)
{
	MDB_txn *txn;
	MDB_val value;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	struct mw_app_row r;
	err = find(v, txn, app, &r, e);
	if (err == MW_OK && look_up(v, txn, app, &value) == 0)
		tell_row(v, app, mw_span_of(value), tell, context);
	mw_state_read_end(v->state, txn);
	return err;
}

struct telling {
	mw_app_told *tell;
	void *context;
};

static void tell_each(const struct mw_vault *v, struct mw_span app, struct mw_span row, void *context)
{
	const struct telling *t = context;
	tell_row(v, app, row, t->tell, t->context);
}

enum mw_err mw_vault_app_each(struct mw_vault *v, mw_app_told *tell, void *context, struct mw_error *e)
{
	struct telling t = {tell, context};
	return mw_vault_walk(v, v->apps, tell_each, &t, e);
}

struct watching {
	uint64_t revision;
	mw_app_changed *changed;
	void *context;
};

static void name_changed(const struct mw_vault *v, struct mw_span app, struct mw_span row, void *context)
{
	struct mw_app_row r;
	const struct watching *w = context;
	(void)v;
	if (mw_app_row_unpack(row, app, &r) && r.revision > w->revision)
		w->changed(w->context, app, r.revision);
}

enum mw_err mw_vault_app_changes(struct mw_vault *v, uint64_t revision, mw_app_changed *changed,
				 void *context, struct mw_error *e)
{
	struct watching w = {revision, changed, context};
	return mw_vault_walk(v, v->apps, name_changed, &w, e);
}
