/* Every step here can be taken in any order and more than once, and the store comes out the same. That is
 * what evidence is for: a row holds only the latest user of an id, but what is voided later may hang on one
 * that was there before. */
#include "identities_own.h"

#include <errno.h>
#include <string.h>

/* A node to be forgotten, in the list of those that are still to be done. */
struct condemned {
	struct mw_node node;
	int64_t until;
};

struct lesson {
	struct mw_identities *d;
	const struct mw_identity_fact *facts;
	size_t count;
	struct mw_identity_tally tally;
	/* of the fact at hand */
	struct mw_span account;
	struct mw_identity_account counts;
	bool counts_changed;
	/* while nodes are forgotten */
	struct mw_buf condemned;
};

static enum mw_err fail(const struct lesson *l, int answer, struct mw_error *e)
{
	return answer == MDB_CORRUPTED ? mw_identities_damaged(e) : mw_state_fail(l->d->state, answer, e);
}

/* ---- records */

static int put_account(struct lesson *l, MDB_txn *txn)
{
	uint8_t bytes[MW_IDENTITY_ACCOUNT_LEN];
	if (!l->counts_changed)
		return 0;
	mw_le_put(bytes, l->counts.number, 4);
	mw_le_put(bytes + 4, l->counts.records, 8);
	MDB_val key = {l->account.len, (void *)(uintptr_t)l->account.at}, value = {sizeof bytes, bytes};
	l->counts_changed = false;
	return mdb_put(txn, l->d->accounts, &key, &value, 0);
}

/* The facts that follow are this account's. Numbers are given in the order of appearance: accounts are never
 * taken out, and the first record is the master key's kid. */
static int change_account(struct lesson *l, MDB_txn *txn, struct mw_span account)
{
	if (l->account.at && l->account.len == account.len &&
	    memcmp(l->account.at, account.at, account.len) == 0)
		return 0;
	int answer = put_account(l, txn);
	if (answer != 0)
		return answer;
	l->account = account;
	answer = mw_identities_account(l->d, txn, account, &l->counts);
	if (answer != MDB_NOTFOUND)
		return answer;
	MDB_stat stat;
	answer = mdb_stat(txn, l->d->accounts, &stat);
	l->counts = (struct mw_identity_account){.number = (uint32_t)stat.ms_entries};
	return answer;
}

static void count(struct lesson *l, int records)
{
	l->counts.records += (uint64_t)records;
	l->counts_changed = true;
}

static int put_tombstone(struct lesson *l, MDB_txn *txn, const struct mw_node *node, int64_t until)
{
	uint8_t bytes[MW_TOMBSTONE_LEN];
	mw_le_put(bytes, (uint64_t)until, 8);
	mw_le_put(bytes + 8, l->counts.number, 4);
	MDB_val key = mw_node_value(node), value = {sizeof bytes, bytes};
	return mdb_put(txn, l->d->forgotten, &key, &value, 0);
}

static int put_row(struct lesson *l, MDB_txn *txn, const struct mw_node *key, const struct mw_identity_row *r,
		   struct mw_span user, struct mw_span id)
{
	uint8_t bytes[MW_IDENTITY_ROW_MAX];
	MDB_val k = mw_node_value(key), value = {0, bytes};
	value.mv_size = mw_identity_row_pack(l->d->secret, key, r, user, id, bytes);
	int answer = mdb_put(txn, l->d->rows, &k, &value, 0);
	if (answer != 0 || r->kind != MW_IDENTITY_USER)
		return answer;
	value.mv_size = MW_ALIASED_LEN;
	mw_le_put(bytes, r->account, MW_ALIASED_LEN);
	return mdb_put(txn, l->d->aliased, &k, &value, 0);
}

enum { PAIR_LEN = 2 * MW_NODE_LEN };

static void pair(uint8_t out[PAIR_LEN], const struct mw_node *node, const struct mw_node *key)
{
	memcpy(out, node->bytes, MW_NODE_LEN);
	memcpy(out + MW_NODE_LEN, key->bytes, MW_NODE_LEN);
}

static int get_evidence(const struct lesson *l, MDB_txn *txn, uint8_t at[PAIR_LEN], struct mw_evidence *v)
{
	MDB_val key = {PAIR_LEN, at}, value;
	int answer = mdb_get(txn, l->d->of, &key, &value);
	return answer == 0 && !mw_evidence_read(value, v) ? MDB_CORRUPTED : answer;
}

static int put_evidence(const struct lesson *l, MDB_txn *txn, uint8_t at[PAIR_LEN],
			const struct mw_evidence *v)
{
	uint8_t bytes[MW_EVIDENCE_LEN];
	mw_le_put(bytes, (uint64_t)v->since, 8);
	bytes[8] = (uint8_t)v->kind;
	mw_le_put(bytes + 9, v->account, 4);
	MDB_val key = {PAIR_LEN, at}, value = {sizeof bytes, bytes};
	return mdb_put(txn, l->d->of, &key, &value, 0);
}

/* ---- forgetting */

/* A user, or an id that can be pointed at as one. */
static bool is_node(enum mw_identity_kind kind)
{
	return kind == MW_IDENTITY_USER || kind == MW_IDENTITY_ANONYMOUS;
}

static int condemn(struct lesson *l, const struct mw_node *node, int64_t until)
{
	struct condemned c = {*node, until};
	return mw_buf_append(&l->condemned, &c, sizeof c) == MW_OK ? 0 : ENOMEM;
}

/* The row of `key` is void if what it says was said of `c` by then. */
static int void_row(struct lesson *l, MDB_txn *txn, const struct condemned *c, const struct mw_node *key)
{
	struct mw_identity_row r;
	int answer = mw_identities_row(l->d, txn, key, &r);
	if (answer != 0)
		return answer == MDB_NOTFOUND ? 0 : answer;
	if (r.is_void || r.at > c->until || memcmp(r.node.bytes, c->node.bytes, MW_NODE_LEN) != 0)
		return 0;
	l->tally.forgotten++;
	r.is_void = true;
	return put_row(l, txn, key, &r, (struct mw_span){NULL, 0}, (struct mw_span){NULL, 0});
}

/* All that was said of `c` by then. The evidence stays, hashes that name nobody: a later delete is to reach
 * as far. */
static int void_rows(struct lesson *l, MDB_txn *txn, const struct condemned *c)
{
	MDB_cursor *cursor;
	int answer = mdb_cursor_open(txn, l->d->of, &cursor);
	if (answer != 0)
		return answer;
	MDB_val at = mw_node_value(&c->node), value;
	answer = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
	while (answer == 0 && at.mv_size == PAIR_LEN && memcmp(at.mv_data, c->node.bytes, MW_NODE_LEN) == 0) {
		struct mw_evidence v;
		struct mw_node key = mw_node_at((const uint8_t *)at.mv_data + MW_NODE_LEN);
		if (!mw_evidence_read(value, &v)) {
			answer = MDB_CORRUPTED;
			break;
		}
		if (v.since <= c->until) {
			answer = void_row(l, txn, c, &key);
			if (answer == 0 && is_node(v.kind))
				answer = condemn(l, &key, c->until);
		}
		if (answer == 0)
			answer = mdb_cursor_get(cursor, &at, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

/* `node`, and all that were said to be it by another name. Ends in circles too: whoever is forgotten already
 * is not looked at again. */
static int forget(struct lesson *l, MDB_txn *txn, const struct mw_node *node, int64_t until)
{
	mw_buf_clear(&l->condemned);
	int answer = condemn(l, node, until);
	while (answer == 0 && l->condemned.len > 0) {
		struct condemned c;
		struct mw_tombstone t;
		l->condemned.len -= sizeof c;
		memcpy(&c, l->condemned.data + l->condemned.len, sizeof c);
		answer = mw_identities_tombstone(l->d, txn, &c.node, &t);
		if (answer == MDB_NOTFOUND)
			count(l, 1);
		else if (answer != 0)
			break;
		answer = 0;
		if (t.until >= c.until)
			continue;
		answer = put_tombstone(l, txn, &c.node, c.until);
		if (answer == 0)
			answer = void_rows(l, txn, &c);
	}
	return answer;
}

/* ---- learning */

/* What was there, and what a fact would make of it. */
struct change {
	struct mw_node key, node;
	uint8_t pair[PAIR_LEN];
	struct mw_identity_row row;
	struct mw_evidence evidence;
	struct mw_tombstone tombstone; /* of the user */
	bool has_row, has_evidence;
};

static int look(const struct lesson *l, MDB_txn *txn, const struct mw_identity_fact *f, struct mw_span id,
		struct change *c)
{
	c->key = mw_identity_key(l->d->secret, f->account, f->kind, f->is_fallback, id);
	c->node = mw_identity_key(l->d->secret, f->account,
				  f->is_fallback ? MW_IDENTITY_ANONYMOUS : MW_IDENTITY_USER, false, f->user);
	pair(c->pair, &c->node, &c->key);
	int answer = mw_identities_row(l->d, txn, &c->key, &c->row);
	c->has_row = answer == 0;
	if (answer == 0 || answer == MDB_NOTFOUND)
		answer = get_evidence(l, txn, c->pair, &c->evidence);
	c->has_evidence = answer == 0;
	if (answer == 0 || answer == MDB_NOTFOUND)
		answer = mw_identities_tombstone(l->d, txn, &c->node, &c->tombstone);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static bool is_later(const struct mw_identity_fact *f, const struct change *c)
{
	if (!c->has_row || f->at != c->row.at)
		return !c->has_row || f->at > c->row.at;
	return memcmp(c->node.bytes, c->row.node.bytes, MW_NODE_LEN) > 0;
}

static int note_evidence(struct lesson *l, MDB_txn *txn, const struct mw_identity_fact *f, struct change *c)
{
	if (c->has_evidence && c->evidence.since <= f->at)
		return 0;
	count(l, !c->has_evidence);
	struct mw_evidence v = {f->at, f->kind, l->counts.number};
	return put_evidence(l, txn, c->pair, &v);
}

static int learn(struct lesson *l, MDB_txn *txn, const struct mw_identity_fact *f, struct mw_span id)
{
	struct change c;
	int answer = look(l, txn, f, id, &c);
	if (answer != 0)
		return answer;
	int more = !c.has_row + !c.has_evidence;
	if (more > 0 && l->counts.records + (uint64_t)more > l->d->records_max) {
		l->tally.full++;
		return 0;
	}
	bool is_void = c.tombstone.until >= f->at;
	answer = note_evidence(l, txn, f, &c);
	if (answer == 0 && is_void && is_node(f->kind) && !f->is_fallback)
		answer = forget(l, txn, &c.key, c.tombstone.until);
	if (answer != 0)
		return answer;
	if (is_void)
		l->tally.void_++;
	else if (is_later(f, &c))
		l->tally.learned++;
	else
		l->tally.known++;
	if (!is_later(f, &c))
		return 0;
	count(l, !c.has_row);
	struct mw_identity_row r = {
	    .kind = f->kind,
	    .is_fallback = f->is_fallback,
	    .account = l->counts.number,
	    .at = f->at,
	    .node = c.node,
	};
	return put_row(l, txn, &c.key, &r, is_void ? (struct mw_span){NULL, 0} : f->user, id);
}

static int take(struct lesson *l, MDB_txn *txn, const struct mw_identity_fact *f)
{
	uint8_t plain[MW_IDENTITY_MAX];
	struct mw_span id = f->forget ? f->user : mw_identity_plain(f->kind, f->id, plain);
	if (id.len == 0 || f->user.len == 0 || f->user.len > MW_IDENTITY_MAX ||
	    (!f->forget && f->kind == MW_IDENTITY_USER && id.len == f->user.len &&
	     memcmp(id.at, f->user.at, id.len) == 0)) {
		l->tally.unusable++;
		return 0;
	}
	int answer = change_account(l, txn, f->account);
	if (answer != 0)
		return answer;
	if (!f->forget)
		return learn(l, txn, f, id);
	struct mw_node node = mw_identity_key(l->d->secret, f->account, MW_IDENTITY_USER, false, f->user);
	return forget(l, txn, &node, f->at);
}

static enum mw_err teach(MDB_txn *txn, void *context, struct mw_error *e)
{
	struct lesson *l = context;
	l->tally = (struct mw_identity_tally){0};
	l->account.at = NULL;
	l->counts_changed = false;
	int answer = 0;
	for (size_t i = 0; i < l->count && answer == 0; i++)
		answer = take(l, txn, &l->facts[i]);
	if (answer == 0)
		answer = put_account(l, txn);
	return answer == 0 ? MW_OK : fail(l, answer, e);
}

enum mw_err mw_identities_teach(struct mw_identities *d, const struct mw_identity_fact *facts, size_t n,
				struct mw_identity_tally *tally, struct mw_error *e)
{
	struct lesson l = {.d = d, .facts = facts, .count = n};
	mw_buf_init(&l.condemned, SIZE_MAX);
	enum mw_err err = mw_state_write(d->state, teach, &l, e);
	mw_buf_deinit(&l.condemned);
	*tally = err == MW_OK ? l.tally : (struct mw_identity_tally){0};
	return err;
}
