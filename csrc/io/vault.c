#include "../core/utf8.h"
#include "vault_own.h"

#include <sodium.h>
#include <stdlib.h>
#include <time.h>

/* How long a removal is told, and how many that are older are forgotten with each new one. */
static const int64_t REMOVED_MS = 24 * 3600 * (int64_t)1000;
enum { FORGET_MAX = 16 };

int64_t mw_vault_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum mw_err mw_vault_open(struct mw_state *s, const char *master_key_file, struct mw_vault **out,
			  struct mw_error *e)
{
	if (sodium_init() < 0)
		return mw_error_set(e, MW_NO_MEMORY, 0, "libsodium can't be used here");
	struct mw_vault *v = calloc(1, sizeof *v);
	if (!v)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the vault");
	v->state = s;
	enum mw_err err = mw_state_database(s, "accounts", &v->accounts, e);
	if (err == MW_OK)
		err = mw_state_database(s, "accounts_by_revision", &v->by_revision, e);
	if (err == MW_OK)
		err = mw_state_database(s, "accounts_removed", &v->removed, e);
	if (err == MW_OK)
		err = mw_state_database(s, "oauth_apps", &v->apps, e);
	if (err == MW_OK)
		err = mw_master_key_load(&v->master, master_key_file, e);
	if (err != MW_OK) {
		mw_vault_close(v);
		return err;
	}
	*out = v;
	return MW_OK;
}

void mw_vault_close(struct mw_vault *v)
{
	if (!v)
		return;
	/* In a child the key is zeros already, and so is the canary that libsodium would look at. */
	if (!mw_state_is_forked(v->state))
		mw_master_key_wipe(&v->master);
	free(v);
}

bool mw_vault_has_master_key(const struct mw_vault *v)
{
	return v->master.bytes != NULL;
}

enum mw_err mw_vault_no_account(struct mw_span account, struct mw_error *e)
{
	return mw_error_set(e, MW_NO_ACCOUNT, 0, "there is no " MW_ACCOUNT_NAMED, MW_ACCOUNT_NAME(account));
}

enum mw_err mw_vault_damaged(struct mw_span account, struct mw_error *e)
{
	return mw_error_set(e, MW_CORRUPT, 0,
			    MW_ACCOUNT_NAMED
			    ": damaged or tampered with; set its write key and endpoint again",
			    MW_ACCOUNT_NAME(account));
}

static enum mw_err check_name(struct mw_span account, struct mw_error *e)
{
	if (account.len == 0 || account.len > MW_ACCOUNT_MAX)
		return mw_error_set(e, MW_INVALID, 0, "an account is named by 1 to %d bytes", MW_ACCOUNT_MAX);
	if (mw_utf8_valid(account.at, account.len) != account.len)
		return mw_error_set(e, MW_INVALID, 0, "the account's name is not UTF-8");
	return MW_OK;
}

static enum mw_err check_change(const struct mw_account_change *c, struct mw_error *e)
{
	struct mw_endpoint ignored;
	enum mw_err err = MW_OK;
	if (c->write_key.at)
		err = mw_key_check(c->write_key, e);
	if (err == MW_OK && c->endpoint.len >= MW_ENDPOINT_URL_MAX)
		err = mw_error_set(e, MW_BAD_ENDPOINT, 0, "an endpoint has at most %d characters",
				   MW_ENDPOINT_URL_MAX - 1);
	if (err == MW_OK && c->endpoint.len > 0)
		err = mw_endpoint_parse(c->endpoint, &ignored, e);
	if (err == MW_OK && c->app.len > 0)
		err = mw_vault_app_name_check(c->app, e);
	if (err == MW_OK && c->label.len > MW_LABEL_MAX)
		err = mw_error_set(e, MW_INVALID, 0, "a label has at most %d bytes", MW_LABEL_MAX);
	if (err == MW_OK && c->label.len > 0 && mw_utf8_valid(c->label.at, c->label.len) != c->label.len)
		err = mw_error_set(e, MW_INVALID, 0, "the label is not UTF-8");
	return err;
}

enum mw_err mw_vault_open_row(const struct mw_vault *v, struct mw_span account,
			      const struct mw_account_row *r, struct mw_key *key, struct mw_error *e)
{
	char theirs[MW_KID_TEXT], ours[MW_KID_TEXT];
	if (!v->master.bytes)
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    MW_ACCOUNT_NAMED ": no master key was given to open its write key with",
				    MW_ACCOUNT_NAME(account));
	if (memcmp(r->kid, v->master.kid, MW_KID_LEN) != 0) {
		mw_kid_text(r->kid, theirs);
		mw_kid_text(v->master.kid, ours);
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    MW_ACCOUNT_NAMED
				    ": sealed with master key %s, and this one is %s; give that one, or "
				    "set write key and endpoint again",
				    MW_ACCOUNT_NAME(account), theirs, ours);
	}
	return mw_account_row_open(r, account, &v->master, key) ? MW_OK : mw_vault_damaged(account, e);
}

enum what { SET, PAUSE, RESUME, REMOVE };

struct edit {
	const struct mw_vault *v;
	struct mw_span account;
	enum what what;
	const struct mw_account_change *change;
	int64_t now;
};

void mw_revision_put(uint8_t key[MW_REVISION_LEN], uint64_t revision)
{
	for (int i = 0; i < MW_REVISION_LEN; i++)
		key[i] = (uint8_t)(revision >> (8 * (MW_REVISION_LEN - 1 - i)));
}

uint64_t mw_revision_get(MDB_val v)
{
	uint64_t revision = 0;
	for (size_t i = 0; i < MW_REVISION_LEN && i < v.mv_size; i++)
		revision = revision << 8 | ((const uint8_t *)v.mv_data)[i];
	return revision;
}

int mw_vault_read_counter(const struct mw_vault *v, MDB_txn *txn, uint64_t *revision)
{
	uint8_t zero[MW_REVISION_LEN] = {0};
	MDB_val key = {MW_REVISION_LEN, zero}, value;
	int answer = mdb_get(txn, v->by_revision, &key, &value);
	*revision = answer == 0 ? mw_revision_get(value) : 0;
	return answer == MDB_NOTFOUND ? 0 : answer;
}

int mw_vault_next_revision(const struct mw_vault *v, MDB_txn *txn, uint64_t *revision)
{
	int answer = mw_vault_read_counter(v, txn, revision);
	uint8_t zero[MW_REVISION_LEN] = {0}, next[MW_REVISION_LEN];
	mw_revision_put(next, ++*revision);
	MDB_val key = {MW_REVISION_LEN, zero}, value = {MW_REVISION_LEN, next};
	return answer == 0 ? mdb_put(txn, v->by_revision, &key, &value, 0) : answer;
}

int mw_vault_forget_revision(const struct mw_vault *v, MDB_txn *txn, uint64_t revision)
{
	uint8_t bytes[MW_REVISION_LEN];
	mw_revision_put(bytes, revision);
	MDB_val key = {MW_REVISION_LEN, bytes};
	int answer = mdb_del(txn, v->by_revision, &key, NULL);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static int64_t removed_when(MDB_val v)
{
	uint64_t when = 0;
	for (size_t i = 0; i < MW_REMOVED_AT_LEN && i < v.mv_size; i++)
		when |= (uint64_t)((const uint8_t *)v.mv_data)[i] << (8 * i);
	return (int64_t)when;
}

static int forget_old_removals(const struct mw_vault *v, MDB_txn *txn, int64_t now)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int answer = mdb_cursor_open(txn, v->removed, &cursor);
	if (answer != 0)
		return answer;
	for (int i = 0; i < FORGET_MAX; i++) {
		answer = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		if (answer != 0 || removed_when(value) > now - REMOVED_MS)
			break;
		answer = mdb_cursor_del(cursor, 0);
		if (answer != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

int mw_vault_note_removal(const struct mw_vault *v, MDB_txn *txn, struct mw_span account, uint64_t revision,
			  int64_t now)
{
	uint8_t bytes[MW_REVISION_LEN], what[MW_REMOVED_AT_LEN + MW_ACCOUNT_MAX];
	mw_revision_put(bytes, revision);
	for (int i = 0; i < MW_REMOVED_AT_LEN; i++)
		what[i] = (uint8_t)((uint64_t)now >> (8 * i));
	memcpy(what + MW_REMOVED_AT_LEN, account.at, account.len);
	MDB_val key = {MW_REVISION_LEN, bytes}, value = {MW_REMOVED_AT_LEN + account.len, what},
		name = mw_value_of(account);
	int answer = mdb_del(txn, v->accounts, &name, NULL);
	if (answer == 0)
		answer = forget_old_removals(v, txn, now);
	return answer == 0 ? mdb_put(txn, v->removed, &key, &value, 0) : answer;
}

int mw_vault_put_row(const struct mw_vault *v, MDB_txn *txn, struct mw_span account, struct mw_span row,
		     uint64_t revision)
{
	uint8_t bytes[MW_REVISION_LEN];
	MDB_val name = mw_value_of(account), value = mw_value_of(row), key = {MW_REVISION_LEN, bytes};
	mw_revision_put(bytes, revision);
	int answer = mdb_put(txn, v->accounts, &name, &value, 0);
	return answer == 0 ? mdb_put(txn, v->by_revision, &key, &name, 0) : answer;
}

static int put_row(const struct edit *d, MDB_txn *txn, const struct mw_account_row *r)
{
	uint8_t bytes[MW_ACCOUNT_ROW_MAX];
	struct mw_span row = {bytes, mw_account_row_pack(r, d->account, bytes)};
	return mw_vault_put_row(d->v, txn, d->account, row, r->revision);
}

/* Applies a change to `r`. What is sealed is sealed anew if key or endpoint change; what the change leaves as
 * it was is taken from the old seal, which must open: an endpoint that somebody forged is not adopted. */
static enum mw_err apply(const struct edit *d, bool usable, struct mw_account_row *r,
			 uint8_t room[MW_SEALED_MAX], struct mw_error *e)
{
	const struct mw_account_change *c = d->change;
	if (c->label.at)
		r->label = c->label;
	if (!c->write_key.at && !c->endpoint.at && !c->app.at && usable)
		return MW_OK;
	if (!d->v->master.bytes)
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    MW_ACCOUNT_NAMED
				    ": no master key was given to seal its write key and endpoint with",
				    MW_ACCOUNT_NAME(d->account));
	struct mw_key key = {0};
	enum mw_err err = MW_OK;
	/* An app that somebody forged is not adopted either. */
	if (usable && !(c->write_key.at && c->endpoint.at && (c->app.at || r->app.len == 0)))
		err = mw_vault_open_row(d->v, d->account, r, &key, e);
	if (err == MW_OK) {
		if (c->write_key.at) {
			memcpy(key.text, c->write_key.at, c->write_key.len);
			key.len = c->write_key.len;
		}
		if (c->endpoint.at)
			r->endpoint = c->endpoint;
		if (c->app.at)
			r->app = c->app;
		mw_account_row_seal(r, d->account, &key, &d->v->master, room);
	}
	sodium_memzero(&key, sizeof key);
	return err;
}

/* The account's row as it is, in `room`: what the map shows is good only until the first write. */
static int read_old(const struct edit *d, MDB_txn *txn, uint8_t room[MW_ACCOUNT_ROW_MAX],
		    struct mw_account_row *r, bool *usable)
{
	MDB_val name = mw_value_of(d->account), value;
	int answer = mdb_get(txn, d->v->accounts, &name, &value);
	*usable = answer == 0 && value.mv_size <= MW_ACCOUNT_ROW_MAX;
	if (*usable) {
		memcpy(room, value.mv_data, value.mv_size);
		*usable = mw_account_row_unpack((struct mw_span){room, value.mv_size}, d->account, r);
	}
	return answer;
}

static enum mw_err edit(MDB_txn *txn, void *context, struct mw_error *e)
{
	const struct edit *d = context;
	struct mw_account_row r = {0};
	uint8_t old[MW_ACCOUNT_ROW_MAX], sealed[MW_SEALED_MAX];
	bool usable;
	int answer = read_old(d, txn, old, &r, &usable);
	bool found = answer != MDB_NOTFOUND;
	if (found && answer != 0)
		return mw_state_fail(d->v->state, answer, e);
	if (!found && d->what != SET)
		return mw_vault_no_account(d->account, e);
	bool whole = d->what == SET && d->change->write_key.at && d->change->endpoint.at;
	if (found && !usable && d->what != REMOVE && !whole)
		return mw_vault_damaged(d->account, e);
	uint64_t before = r.revision;
	enum mw_err err = d->what == SET && d->change->app.len > 0
			      ? mw_vault_app_exists(d->v, txn, d->change->app, e)
			      : MW_OK;
	if (err == MW_OK && d->what == SET)
		err = apply(d, usable, &r, sealed, e);
	if (err != MW_OK)
		return err;
	if (d->what == PAUSE || d->what == RESUME)
		r.paused = d->what == PAUSE;
	r.updated_at = d->now;
	answer = before > 0 ? mw_vault_forget_revision(d->v, txn, before) : 0;
	if (answer == 0)
		answer = mw_vault_next_revision(d->v, txn, &r.revision);
	if (answer == 0)
		answer = d->what == REMOVE ? mw_vault_note_removal(d->v, txn, d->account, r.revision, d->now)
					   : put_row(d, txn, &r);
	return answer == 0 ? MW_OK : mw_state_fail(d->v->state, answer, e);
}

static enum mw_err change(struct mw_vault *v, struct mw_span account, enum what what,
			  const struct mw_account_change *c, struct mw_error *e)
{
	struct edit d = {.v = v, .account = account, .what = what, .change = c, .now = mw_vault_now_ms()};
	enum mw_err err = check_name(account, e);
	if (err == MW_OK && c)
		err = check_change(c, e);
	return err == MW_OK ? mw_state_write(v->state, edit, &d, e) : err;
}

enum mw_err mw_vault_set(struct mw_vault *v, struct mw_span account, const struct mw_account_change *c,
			 struct mw_error *e)
{
	return change(v, account, SET, c, e);
}

enum mw_err mw_vault_pause(struct mw_vault *v, struct mw_span account, struct mw_error *e)
{
	return change(v, account, PAUSE, NULL, e);
}

enum mw_err mw_vault_resume(struct mw_vault *v, struct mw_span account, struct mw_error *e)
{
	return change(v, account, RESUME, NULL, e);
}

enum mw_err mw_vault_remove(struct mw_vault *v, struct mw_span account, struct mw_error *e)
{
	return change(v, account, REMOVE, NULL, e);
}
