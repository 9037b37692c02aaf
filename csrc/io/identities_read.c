#include "identities_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Accounts have numbers in rows, and names for people. */
struct names {
	struct mw_span *at; /* by number */
	size_t count;
};

static int read_names(const struct mw_identities *d, MDB_txn *txn, struct names *n)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_stat stat;
	int answer = mdb_stat(txn, d->accounts, &stat);
	if (answer != 0)
		return answer;
	*n = (struct names){calloc(stat.ms_entries + 1, sizeof *n->at), stat.ms_entries + 1};
	if (!n->at)
		return ENOMEM;
	answer = mdb_cursor_open(txn, d->accounts, &cursor);
	if (answer != 0)
		return answer;
	while ((answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		uint64_t number = value.mv_size == MW_IDENTITY_ACCOUNT_LEN ? mw_le_get(value.mv_data, 4) : 0;
		if (number < n->count) /* texts of the map: good until the transaction ends */
			n->at[number] = (struct mw_span){key.mv_data, key.mv_size};
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

/* Tells a row if it says anything. True: go on. */
static bool tell_row(const struct mw_identities *d, struct mw_span account, const struct mw_node *key,
		     const struct mw_identity_row *r, mw_identity_tell *tell, void *context,
		     struct mw_identity_skipped *skipped)
{
	uint8_t room[2 + 2 * MW_IDENTITY_MAX];
	struct mw_identity_told told = {
	    .account = account, .kind = r->kind, .is_fallback = r->is_fallback, .at = r->at, .key = *key};
	if (r->is_void) {
		skipped->voids++;
		return true;
	}
	if (!account.at || !mw_identity_row_read(d->secret, r, room, &told.user, &told.id)) {
		skipped->damaged++;
		return true;
	}
	return tell(context, &told);
}

static int each_row(struct mw_identities *d, MDB_txn *txn, struct mw_span account,
		    const struct mw_node *after, mw_identity_tell *tell, void *context,
		    struct mw_identity_skipped *skipped, const struct names *names)
{
	MDB_cursor *cursor;
	struct mw_identity_account wanted = {0};
	int answer = 0;
	if (account.at)
		answer = mw_identities_account(d, txn, account, &wanted);
	if (answer == 0)
		answer = mdb_cursor_open(txn, d->rows, &cursor);
	if (answer != 0)
		return answer == MDB_NOTFOUND ? 0 : answer;
	MDB_val key = {0, NULL}, value;
	if (after) {
		key = mw_node_value(after);
		answer = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		if (answer == 0 && memcmp(key.mv_data, after->bytes, MW_NODE_LEN) == 0)
			answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	} else {
		answer = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	}
	for (bool more = true; answer == 0 && more;) {
		struct mw_identity_row r;
		struct mw_node node = mw_node_at(key.mv_data);
		if (key.mv_size != MW_NODE_LEN ||
		    !mw_identity_row_unpack((struct mw_span){value.mv_data, value.mv_size}, &node, &r))
			skipped->damaged++;
		else if (!account.at || r.account == wanted.number)
			more = tell_row(
			    d, r.account < names->count ? names->at[r.account] : (struct mw_span){NULL, 0},
			    &node, &r, tell, context, skipped);
		if (more)
			answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static enum mw_err ended(const struct mw_identities *d, int answer, struct mw_error *e)
{
	if (answer == 0)
		return MW_OK;
	return answer == MDB_CORRUPTED ? mw_identities_damaged(e) : mw_state_fail(d->state, answer, e);
}

enum mw_err mw_identities_each(struct mw_identities *d, struct mw_span account, const struct mw_node *after,
			       mw_identity_tell *tell, void *context, struct mw_identity_skipped *skipped,
			       struct mw_error *e)
{
	MDB_txn *txn;
	struct names names = {NULL, 0};
	*skipped = (struct mw_identity_skipped){0};
	enum mw_err err = mw_state_read(d->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = read_names(d, txn, &names);
	if (answer == 0)
		answer = each_row(d, txn, account, after, tell, context, skipped, &names);
	mw_state_read_end(d->state, txn);
	free(names.at);
	return ended(d, answer, e);
}

/* Whose ids point at `node` now. */
static int each_of(struct mw_identities *d, MDB_txn *txn, struct mw_span account, const struct mw_node *node,
		   mw_identity_tell *tell, void *context)
{
	MDB_cursor *cursor;
	struct mw_identity_skipped skipped = {0};
	int answer = mdb_cursor_open(txn, d->of, &cursor);
	if (answer != 0)
		return answer;
	MDB_val at = mw_node_value(node), value;
	answer = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
	for (bool more = true; answer == 0 && more;) {
		if (at.mv_size != 2 * MW_NODE_LEN || memcmp(at.mv_data, node->bytes, MW_NODE_LEN) != 0)
			break;
		struct mw_identity_row r;
		struct mw_node key = mw_node_at((const uint8_t *)at.mv_data + MW_NODE_LEN);
		answer = mw_identities_row(d, txn, &key, &r);
		if (answer == 0 && memcmp(r.node.bytes, node->bytes, MW_NODE_LEN) == 0)
			more = tell_row(d, account, &key, &r, tell, context, &skipped);
		if (answer == 0 || answer == MDB_NOTFOUND)
			answer = mdb_cursor_get(cursor, &at, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

enum mw_err mw_identities_show(struct mw_identities *d, struct mw_span account, struct mw_span user,
			       mw_identity_tell *tell, void *context, int64_t *forgotten_at,
			       struct mw_error *e)
{
	MDB_txn *txn;
	struct mw_tombstone t;
	*forgotten_at = INT64_MIN;
	if (account.len == 0 || account.len > MW_ACCOUNT_MAX || user.len == 0 || user.len > MW_IDENTITY_MAX)
		return MW_OK;
	struct mw_node node = mw_identity_key(d->secret, account, MW_IDENTITY_USER, false, user);
	enum mw_err err = mw_state_read(d->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = mw_identities_tombstone(d, txn, &node, &t);
	*forgotten_at = t.until;
	if (answer == 0 || answer == MDB_NOTFOUND)
		answer = each_of(d, txn, account, &node, tell, context);
	mw_state_read_end(d->state, txn);
	return ended(d, answer, e);
}

/* ---- dropping an account */

enum { DROP_MAX = 20000, DATABASES = 4 };

struct drop {
	struct mw_identities *d;
	struct mw_span name;
	struct mw_identity_account account;
	int database;                /* the one at hand */
	uint8_t at[2 * MW_NODE_LEN]; /* and where to go on in it */
	size_t at_len;
	uint64_t removed;
};

static uint32_t account_of(int database, MDB_val value)
{
	static const size_t offset[DATABASES] = {4, 9, 8, 0}; /* row, evidence, tombstone, aliased */
	const uint8_t *at = value.mv_data;
	return value.mv_size >= offset[database] + 4 ? (uint32_t)mw_le_get(at + offset[database], 4) : 0;
}

/* Some of one database. `*more`: there may be others, from next->at on. */
static int drop_some(const struct drop *p, MDB_txn *txn, MDB_dbi dbi, struct drop *next, bool *more)
{
	MDB_cursor *cursor;
	MDB_val key = {p->at_len, (void *)(uintptr_t)p->at}, value;
	int answer = mdb_cursor_open(txn, dbi, &cursor);
	if (answer != 0)
		return answer;
	answer = mdb_cursor_get(cursor, &key, &value, p->at_len > 0 ? MDB_SET_RANGE : MDB_FIRST);
	for (int i = 0; answer == 0 && i < DROP_MAX; i++) {
		if (account_of(p->database, value) == p->account.number) {
			answer = mdb_cursor_del(cursor, 0);
			next->removed += dbi != p->d->aliased; /* which say nothing of their own */
		}
		if (answer == 0)
			answer = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	*more = answer == 0;
	if (*more && key.mv_size <= sizeof next->at) {
		next->at_len = key.mv_size;
		memcpy(next->at, key.mv_data, key.mv_size);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static enum mw_err drop_step(MDB_txn *txn, void *context, struct mw_error *e)
{
	struct drop *p = context, next = *p;
	const MDB_dbi databases[DATABASES] = {p->d->rows, p->d->of, p->d->forgotten, p->d->aliased};
	bool more = false;
	int answer = drop_some(p, txn, databases[p->database], &next, &more);
	if (answer == 0 && !more) {
		next.database++;
		next.at_len = 0;
	}
	if (answer == 0 && next.database == DATABASES) {
		uint8_t bytes[MW_IDENTITY_ACCOUNT_LEN] = {0}; /* its number stays its own */
		mw_le_put(bytes, p->account.number, 4);
		MDB_val key = {p->name.len, (void *)(uintptr_t)p->name.at}, value = {sizeof bytes, bytes};
		answer = mdb_put(txn, p->d->accounts, &key, &value, 0);
	}
	if (answer == 0)
		*p = next;
	return ended(p->d, answer, e);
}

enum mw_err mw_identities_drop(struct mw_identities *d, struct mw_span account, uint64_t *removed,
			       struct mw_error *e)
{
	MDB_txn *txn;
	struct drop p = {.d = d, .name = account};
	*removed = 0;
	int answer = MDB_NOTFOUND;
	if (account.len > 0 && account.len <= MW_ACCOUNT_MAX) {
		enum mw_err err = mw_state_read(d->state, &txn, e);
		if (err != MW_OK)
			return err;
		answer = mw_identities_account(d, txn, account, &p.account);
		mw_state_read_end(d->state, txn);
	}
	if (answer == MDB_NOTFOUND)
		return mw_error_set(e, MW_NO_ACCOUNT, 0, "nothing is known of account \"%.*s\"",
				    account.len > 64 ? 64 : (int)account.len, (const char *)account.at);
	enum mw_err err = ended(d, answer, e);
	while (err == MW_OK && p.database < DATABASES)
		err = mw_state_write(d->state, drop_step, &p, e);
	*removed = p.removed;
	return err;
}
