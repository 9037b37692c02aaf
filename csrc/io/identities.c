#include "identities_own.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* No account is named so. */
static const uint8_t kid_name[] = {0, 'k', 'e', 'y'};

void mw_le_put(uint8_t *at, uint64_t value, int len)
{
	for (int i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

uint64_t mw_le_get(const uint8_t *at, int len)
{
	uint64_t value = 0;
	for (int i = 0; i < len; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

enum mw_err mw_identities_damaged(struct mw_error *e)
{
	return mw_error_set(e, MW_CORRUPT, 0,
			    "the identity store: a record is damaged; restore state/ from a backup, or drop "
			    "the account's identities and import them again");
}

/* ---- opening */

static enum mw_err other_key(const struct mw_identities *d, const uint8_t *theirs, struct mw_error *e)
{
	char begun[MW_KID_TEXT], given[MW_KID_TEXT];
	mw_kid_text(theirs, begun);
	mw_kid_text(d->kid, given);
	return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
			    "the identity store was begun with master key %s, and this one is %s; give that "
			    "one; or export the identities with it, drop them, and import them again",
			    begun, given);
}

static MDB_val kid_key(void)
{
	return (MDB_val){sizeof kid_name, (void *)(uintptr_t)kid_name};
}

/* Then any master key will do. */
static int is_empty(const struct mw_identities *d, MDB_txn *txn, bool *empty)
{
	const MDB_dbi all[] = {d->rows, d->of, d->forgotten};
	MDB_stat stat;
	int answer = 0;
	*empty = true;
	for (size_t i = 0; i < sizeof all / sizeof *all && answer == 0; i++) {
		answer = mdb_stat(txn, all[i], &stat);
		*empty = *empty && answer == 0 && stat.ms_entries == 0;
	}
	return answer;
}

static enum mw_err read_kid(const struct mw_identities *d, MDB_txn *txn, bool *found, struct mw_error *e)
{
	MDB_val key = kid_key(), value;
	int answer = mdb_get(txn, d->accounts, &key, &value);
	*found = answer == 0;
	if (answer == MDB_NOTFOUND)
		return MW_OK;
	if (answer != 0)
		return mw_state_fail(d->state, answer, e);
	if (value.mv_size != MW_KID_LEN)
		return mw_identities_damaged(e);
	if (memcmp(value.mv_data, d->kid, MW_KID_LEN) == 0)
		return MW_OK;
	bool empty;
	answer = is_empty(d, txn, &empty);
	*found = false;
	if (answer != 0)
		return mw_state_fail(d->state, answer, e);
	return empty ? MW_OK : other_key(d, value.mv_data, e);
}

static enum mw_err write_kid(MDB_txn *txn, void *context, struct mw_error *e)
{
	struct mw_identities *d = context;
	bool found;
	enum mw_err err = read_kid(d, txn, &found, e);
	if (err != MW_OK || found)
		return err;
	MDB_val key = kid_key(), value = {MW_KID_LEN, d->kid};
	int answer = mdb_put(txn, d->accounts, &key, &value, 0);
	return answer == 0 ? MW_OK : mw_state_fail(d->state, answer, e);
}

/* Opening a store that was begun already waits for no writer and no disk. */
static enum mw_err check_kid(struct mw_identities *d, struct mw_error *e)
{
	MDB_txn *txn;
	bool found;
	enum mw_err err = mw_state_read(d->state, &txn, e);
	if (err != MW_OK)
		return err;
	err = read_kid(d, txn, &found, e);
	mw_state_read_end(d->state, txn);
	return err != MW_OK || found ? err : mw_state_write(d->state, write_kid, d, e);
}

static enum mw_err load_secret(struct mw_identities *d, const char *path, struct mw_error *e)
{
	struct mw_master_key master;
	enum mw_err err = mw_master_key_load(&master, path, e);
	if (err != MW_OK)
		return err;
	if (!master.bytes)
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    "the identity store is encrypted, and no master key was given");
	d->secret = sodium_malloc(sizeof *d->secret);
	if (d->secret) {
		mw_identity_secret_derive(d->secret, &master);
		mw_master_key_keep_from_children(d->secret, sizeof *d->secret);
		sodium_mprotect_readonly(d->secret);
		memcpy(d->kid, master.kid, MW_KID_LEN);
	} else {
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no locked memory for the identity store's key");
	}
	mw_master_key_wipe(&master);
	return err;
}

enum mw_err mw_identities_open(struct mw_state *s, const char *master_key_file, size_t records_max,
			       struct mw_identities **out, struct mw_error *e)
{
	if (sodium_init() < 0)
		return mw_error_set(e, MW_NO_MEMORY, 0, "libsodium can't be used here");
	struct mw_identities *d = calloc(1, sizeof *d);
	if (!d)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the identity store");
	d->state = s;
	d->records_max = records_max > 0 ? records_max : MW_IDENTITIES_MAX;
	enum mw_err err = load_secret(d, master_key_file, e);
	if (err == MW_OK)
		err = mw_state_database(s, "identities", &d->rows, e);
	if (err == MW_OK)
		err = mw_state_database(s, "identities_of", &d->of, e);
	if (err == MW_OK)
		err = mw_state_database(s, "identities_forgotten", &d->forgotten, e);
	if (err == MW_OK)
		err = mw_state_database(s, "identities_aliased", &d->aliased, e);
	if (err == MW_OK)
		err = mw_state_database(s, "identities_accounts", &d->accounts, e);
	if (err == MW_OK)
		err = check_kid(d, e);
	if (err != MW_OK) {
		mw_identities_close(d);
		return err;
	}
	*out = d;
	return MW_OK;
}

void mw_identities_close(struct mw_identities *d)
{
	if (!d)
		return;
	/* As with the vault's: a child has no such memory. */
	if (d->secret && !mw_state_is_forked(d->state))
		sodium_free(d->secret);
	free(d);
}

/* ---- records */

int mw_identities_row(const struct mw_identities *d, MDB_txn *txn, const struct mw_node *key,
		      struct mw_identity_row *r)
{
	MDB_val k = mw_node_value(key), value;
	int answer = mdb_get(txn, d->rows, &k, &value);
	if (answer == 0 && !mw_identity_row_unpack((struct mw_span){value.mv_data, value.mv_size}, key, r))
		answer = MDB_CORRUPTED;
	if (answer != 0)
		*r = (struct mw_identity_row){.is_void = true};
	return answer;
}

int mw_identities_tombstone(const struct mw_identities *d, MDB_txn *txn, const struct mw_node *node,
			    struct mw_tombstone *t)
{
	MDB_val k = mw_node_value(node), value;
	*t = (struct mw_tombstone){.until = INT64_MIN};
	int answer = mdb_get(txn, d->forgotten, &k, &value);
	if (answer == 0 && value.mv_size != MW_TOMBSTONE_LEN)
		answer = MDB_CORRUPTED;
	if (answer == 0) {
		t->until = (int64_t)mw_le_get(value.mv_data, 8);
		t->account = (uint32_t)mw_le_get((const uint8_t *)value.mv_data + 8, 4);
	}
	return answer;
}

int mw_identities_account(const struct mw_identities *d, MDB_txn *txn, struct mw_span name,
			  struct mw_identity_account *a)
{
	MDB_val k = {name.len, (void *)(uintptr_t)name.at}, value;
	*a = (struct mw_identity_account){0};
	int answer = mdb_get(txn, d->accounts, &k, &value);
	if (answer == 0 && value.mv_size != MW_IDENTITY_ACCOUNT_LEN)
		answer = MDB_CORRUPTED;
	if (answer == 0) {
		a->number = (uint32_t)mw_le_get(value.mv_data, 4);
		a->records = mw_le_get((const uint8_t *)value.mv_data + 4, 8);
	}
	return answer;
}

bool mw_evidence_read(MDB_val v, struct mw_evidence *evidence)
{
	const uint8_t *at = v.mv_data;
	if (v.mv_size != MW_EVIDENCE_LEN || at[8] >= MW_IDENTITY_KINDS)
		return false;
	*evidence = (struct mw_evidence){
	    .since = (int64_t)mw_le_get(at, 8),
	    .kind = (enum mw_identity_kind)at[8],
	    .account = (uint32_t)mw_le_get(at + 9, 4),
	};
	return true;
}

/* ---- finding */

struct way {
	struct mw_node nodes[MW_ALIASES_MAX + 1];
	struct mw_identity_row rows[MW_ALIASES_MAX + 1]; /* rows[i] leads to nodes[i] */
	int steps;
};

/* rows[from ..] go round in a circle; which of them was said last? */
static int latest(const struct way *w, int from)
{
	int best = from;
	for (int i = from + 1; i <= w->steps; i++) {
		const struct mw_identity_row *a = &w->rows[i], *b = &w->rows[best];
		if (a->at > b->at ||
		    (a->at == b->at && memcmp(a->node.bytes, b->node.bytes, MW_NODE_LEN) > 0))
			best = i;
	}
	return best;
}

/* The row that says who else a user is. */
static int alias_of(const struct mw_identities *d, MDB_txn *txn, const struct mw_node *user,
		    struct mw_identity_row *r)
{
	MDB_val key = mw_node_value(user), value;
	int answer = mdb_get(txn, d->aliased, &key, &value);
	return answer == 0 ? mw_identities_row(d, txn, user, r) : answer;
}

/* From `row`, which leads to a user, along the aliases of that user; `row` is then the one that leads to the
 * last of them. */
static int follow(const struct mw_identities *d, MDB_txn *txn, struct mw_identity_row *row)
{
	struct mw_identity_row next;
	int answer = alias_of(d, txn, &row->node, &next);
	if (answer == MDB_NOTFOUND || (answer == 0 && next.is_void))
		return 0; /* the usual case */
	struct way w;
	w.rows[0] = *row;
	w.nodes[0] = row->node;
	for (w.steps = 1; answer == 0 && !next.is_void; w.steps++) {
		w.rows[w.steps] = next;
		w.nodes[w.steps] = next.node;
		for (int i = 0; i < w.steps; i++) {
			if (memcmp(w.nodes[i].bytes, next.node.bytes, MW_NODE_LEN) == 0) {
				*row = w.rows[latest(&w, i + 1)];
				return 0;
			}
		}
		*row = next;
		if (w.steps == MW_ALIASES_MAX)
			return 0;
		answer = alias_of(d, txn, &w.nodes[w.steps], &next);
	}
	return answer == MDB_NOTFOUND ? 0 : answer;
}

/* The row that says who it is; MDB_NOTFOUND: none does. `row` has the anonymousId then, if there is one. */
static int search(const struct mw_identities *d, MDB_txn *txn, struct mw_span account,
		  enum mw_identity_kind kind, struct mw_span id, struct mw_identity_row *row)
{
	struct mw_node key = mw_identity_key(d->secret, account, kind, false, id);
	int answer = mw_identities_row(d, txn, &key, row);
	if (answer == 0 && !row->is_void)
		return follow(d, txn, row);
	if ((answer != 0 && answer != MDB_NOTFOUND) || kind == MW_IDENTITY_USER ||
	    kind == MW_IDENTITY_ANONYMOUS)
		return answer == 0 ? MDB_NOTFOUND : answer;
	struct mw_identity_row known;
	key = mw_identity_key(d->secret, account, kind, true, id);
	answer = mw_identities_row(d, txn, &key, row);
	if (answer != 0 || row->is_void)
		return answer == 0 ? MDB_NOTFOUND : answer;
	answer = mw_identities_row(d, txn, &row->node, &known);
	if (answer != 0 || known.is_void)
		return answer == 0 ? MDB_NOTFOUND : answer;
	*row = known;
	return follow(d, txn, row);
}

static enum mw_err tell_found(const struct mw_identities *d, const struct mw_identity_row *row,
			      uint8_t room[MW_IDENTITY_MAX], struct mw_identity_found *found,
			      struct mw_error *e)
{
	uint8_t text[2 + 2 * MW_IDENTITY_MAX];
	struct mw_span user;
	if (!mw_identity_row_read(d->secret, row, text, &user, NULL))
		return mw_identities_damaged(e);
	memcpy(room, user.at, user.len);
	*found = (struct mw_identity_found){{room, user.len}, row->is_fallback};
	return MW_OK;
}

enum mw_err mw_identities_find(struct mw_identities *d, struct mw_span account, enum mw_identity_kind kind,
			       struct mw_span id, uint8_t room[MW_IDENTITY_MAX],
			       struct mw_identity_found *found, struct mw_error *e)
{
	MDB_txn *txn;
	struct mw_identity_row row;
	uint8_t plain[MW_IDENTITY_MAX];
	*found = (struct mw_identity_found){{NULL, 0}, false};
	id = mw_identity_plain(kind, id, plain);
	if (id.len == 0 || account.len == 0 || account.len > MW_ACCOUNT_MAX)
		return MW_OK;
	enum mw_err err = mw_state_read(d->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = search(d, txn, account, kind, id, &row);
	if (answer == 0 || (answer == MDB_NOTFOUND && !row.is_void))
		err = tell_found(d, &row, room, found, e);
	else if (answer != MDB_NOTFOUND)
		err = answer == MDB_CORRUPTED ? mw_identities_damaged(e) : mw_state_fail(d->state, answer, e);
	mw_state_read_end(d->state, txn);
	return err;
}
