#include "claims.h"

#include <lmdb.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Looked at beside a new row. With one row in eight ended, as many go as come. */
enum { NAME_LEN = 16, SWEEP = 8 };

struct mw_claims {
	struct mw_state *state;
	MDB_dbi dbi; /* hash of the name -> int64_t until */
};

struct take {
	const struct mw_claims *claims;
	uint8_t name[NAME_LEN];
	int64_t until;
	int64_t now;
	bool taken;
};

enum mw_err mw_claims_open(struct mw_state *s, struct mw_claims **out, struct mw_error *e)
{
	if (sodium_init() < 0)
		return mw_error_set(e, MW_NO_MEMORY, 0, "libsodium can't be used here");
	struct mw_claims *c = calloc(1, sizeof *c);
	if (!c)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for claims");
	c->state = s;
	enum mw_err err = mw_state_database(s, "claims", &c->dbi, e);
	if (err != MW_OK) {
		free(c);
		return err;
	}
	*out = c;
	return MW_OK;
}

void mw_claims_close(struct mw_claims *c)
{
	free(c);
}

/* A row of another length ends at once: it is none of ours. */
static int64_t end_of(MDB_val row)
{
	int64_t until = INT64_MIN;
	if (row.mv_size == sizeof until)
		memcpy(&until, row.mv_data, sizeof until);
	return until;
}

static int sweep(const struct take *t, MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key = {NAME_LEN, (void *)(uintptr_t)t->name}, row;
	int answer = mdb_cursor_open(txn, t->claims->dbi, &cursor);
	if (answer != 0)
		return answer;
	answer = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
	for (int i = 0; answer == 0 && i < SWEEP; i++) {
		if (end_of(row) <= t->now)
			answer = mdb_cursor_del(cursor, 0);
		if (answer == 0)
			answer = mdb_cursor_get(cursor, &key, &row, MDB_NEXT);
		if (answer == MDB_NOTFOUND && i + 1 < SWEEP)
			answer = mdb_cursor_get(cursor, &key, &row, MDB_FIRST);
	}
	mdb_cursor_close(cursor);
	return answer == MDB_NOTFOUND ? 0 : answer;
}

static enum mw_err step(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	struct take *t = context;
	MDB_val key = {NAME_LEN, t->name}, row;
	t->taken = false;
	int answer = mdb_get(txn, t->claims->dbi, &key, &row);
	if (answer == 0 && end_of(row) > t->now)
		return MW_OK;
	row = (MDB_val){sizeof t->until, &t->until};
	if (answer == 0 || answer == MDB_NOTFOUND)
		answer = mdb_put(txn, t->claims->dbi, &key, &row, 0);
	if (answer == 0)
		answer = sweep(t, txn);
	if (answer != 0)
		return mw_state_fail(t->claims->state, answer, e);
	t->taken = true;
	return MW_OK;
}

static void hash_name(uint8_t hash[NAME_LEN], struct mw_span name)
{
	crypto_generichash(hash, NAME_LEN, name.at, name.len, NULL, 0);
}

enum mw_err mw_claims_take(struct mw_claims *c, struct mw_span name, int64_t until, int64_t now, bool *taken,
			   struct mw_error *e)
{
	struct take t = {.claims = c, .until = until, .now = now};
	hash_name(t.name, name);
	enum mw_err err = mw_state_write(c->state, step, &t, e);
	*taken = err == MW_OK && t.taken;
	return err;
}

enum mw_err mw_claims_holds(struct mw_claims *c, struct mw_span name, int64_t now, bool *holds,
			    struct mw_error *e)
{
	uint8_t hash[NAME_LEN];
	MDB_txn *txn;
	MDB_val key = {NAME_LEN, hash}, row;
	*holds = false;
	enum mw_err err = mw_state_read(c->state, &txn, e);
	if (err != MW_OK)
		return err;
	hash_name(hash, name);
	int answer = mdb_get(txn, c->dbi, &key, &row);
	*holds = answer == 0 && end_of(row) > now;
	mw_state_read_end(c->state, txn);
	return answer == 0 || answer == MDB_NOTFOUND ? MW_OK : mw_state_fail(c->state, answer, e);
}
