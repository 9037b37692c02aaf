#include "vault_own.h"

#include <sodium.h>

static enum mw_err fetch(const struct mw_vault *v, struct mw_span account, struct mw_span bytes,
			 struct mw_key *key, struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1],
			 bool *paused, struct mw_error *e)
{
	struct mw_account_row r;
	if (!mw_account_row_unpack(bytes, account, &r))
		return mw_vault_damaged(account, e);
	*paused = r.paused;
	memcpy(app, r.app.at, r.app.len);
	app[r.app.len] = '\0';
	enum mw_err err = mw_vault_open_row(v, account, &r, key, e);
	if (err == MW_OK && key->len == 0)
		err = mw_error_set(e, MW_BAD_KEY, 0, MW_ACCOUNT_NAMED ": no write key was set yet",
				   MW_ACCOUNT_NAME(account));
	if (err == MW_OK && r.endpoint.len > 0)
		err = mw_endpoint_parse(r.endpoint, endpoint, e);
	return err;
}

/* A row into `value`, which is good until the end of `txn`. */
static enum mw_err find(const struct mw_vault *v, MDB_txn *txn, struct mw_span account, MDB_val *value,
			struct mw_error *e)
{
	MDB_val name = mw_value_of(account);
	if (account.len == 0 || account.len > MW_ACCOUNT_MAX)
		return mw_vault_no_account(account, e);
	int answer = mdb_get(txn, v->accounts, &name, value);
	if (answer == MDB_NOTFOUND)
		return mw_vault_no_account(account, e);
	return answer == 0 ? MW_OK : mw_state_fail(v->state, answer, e);
}

enum mw_err mw_vault_get(struct mw_vault *v, struct mw_span account, struct mw_key *key,
			 struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1], bool *paused,
			 struct mw_error *e)
{
	MDB_txn *txn;
	MDB_val value;
	key->len = 0;
	app[0] = '\0';
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	err = find(v, txn, account, &value, e);
	if (err == MW_OK)
		err = fetch(v, account, mw_span_of(value), key, endpoint, app, paused, e);
	mw_state_read_end(v->state, txn);
	if (err != MW_OK)
		sodium_memzero(key, sizeof *key);
	return err;
}

static void tell_row(const struct mw_vault *v, struct mw_span account, struct mw_span bytes,
		     mw_account_told *tell, void *context)
{
	struct mw_account_row r;
	struct mw_account_info info = {.account = account};
	if (mw_account_row_unpack(bytes, account, &r)) {
		info.paused = r.paused;
		info.has_key = r.sealed.len > MW_SEAL_NONCE + MW_SEAL_TAG;
		info.foreign = v->master.bytes && memcmp(r.kid, v->master.kid, MW_KID_LEN) != 0;
		memcpy(info.last, r.last, sizeof info.last);
		mw_kid_text(r.kid, info.kid);
		info.endpoint = r.endpoint;
		info.label = r.label;
		info.app = r.app;
		info.revision = r.revision;
		info.updated_at = r.updated_at;
	} else {
		info.damaged = true;
	}
	tell(context, &info);
}

enum mw_err mw_vault_show(struct mw_vault *v, struct mw_span account, mw_account_told *tell, void *context,
			  struct mw_error *e)
{
	MDB_txn *txn;
	MDB_val value;
	struct mw_account_row r;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	err = find(v, txn, account, &value, e);
	if (err == MW_OK && !mw_account_row_unpack(mw_span_of(value), account, &r))
		err = mw_vault_damaged(account, e);
	if (err == MW_OK)
		tell_row(v, account, mw_span_of(value), tell, context);
	mw_state_read_end(v->state, txn);
	return err;
}

enum mw_err mw_vault_walk(struct mw_vault *v, MDB_dbi db, mw_vault_row *each, void *context,
			  struct mw_error *e)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val name, value;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = mdb_cursor_open(txn, db, &cursor);
	if (answer == 0) {
		while ((answer = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == 0)
			each(v, mw_span_of(name), mw_span_of(value), context);
		mdb_cursor_close(cursor);
	}
	mw_state_read_end(v->state, txn);
	return answer == MDB_NOTFOUND ? MW_OK : mw_state_fail(v->state, answer, e);
}

struct telling {
	mw_account_told *tell;
	void *context;
};

static void tell_each(const struct mw_vault *v, struct mw_span account, struct mw_span row, void *context)
{
	const struct telling *t = context;
	tell_row(v, account, row, t->tell, t->context);
}

enum mw_err mw_vault_each(struct mw_vault *v, mw_account_told *tell, void *context, struct mw_error *e)
{
	struct telling t = {tell, context};
	return mw_vault_walk(v, v->accounts, tell_each, &t, e);
}

enum mw_err mw_vault_revision(struct mw_vault *v, uint64_t *revision, struct mw_error *e)
{
	MDB_txn *txn;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = mw_vault_read_counter(v, txn, revision);
	mw_state_read_end(v->state, txn);
	return answer == 0 ? MW_OK : mw_state_fail(v->state, answer, e);
}

/* Names what stands behind `skip` bytes of each value whose key is above `after`. */
static int walk(MDB_txn *txn, MDB_dbi dbi, uint64_t after, size_t skip, mw_account_changed *changed,
		void *context)
{
	MDB_cursor *cursor;
	uint8_t first[MW_REVISION_LEN];
	mw_revision_put(first, after + 1);
	MDB_val key = {MW_REVISION_LEN, first}, value;
	int answer = mdb_cursor_open(txn, dbi, &cursor);
	if (answer != 0)
		return answer;
	answer = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (answer == 0) {
		struct mw_span name = mw_span_of(value);
		if (name.len > skip)
			changed(context, (struct mw_span){name.at + skip, name.len - skip});
		answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

enum mw_err mw_vault_changes(struct mw_vault *v, uint64_t *revision, mw_account_changed *changed,
			     void *context, struct mw_error *e)
{
	MDB_txn *txn;
	uint64_t latest = 0;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = mw_vault_read_counter(v, txn, &latest);
	if (answer == 0 && latest > *revision) {
		answer = walk(txn, v->by_revision, *revision, 0, changed, context);
		if (answer == 0)
			answer = walk(txn, v->removed, *revision, MW_REMOVED_AT_LEN, changed, context);
	}
	mw_state_read_end(v->state, txn);
	if (answer != 0)
		return mw_state_fail(v->state, answer, e);
	*revision = latest;
	return MW_OK;
}
