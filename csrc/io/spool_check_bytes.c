#include "spool_check_own.h"

#include <stdlib.h>

/* Read of one snapshot at most: a tenth of a second, if the disk is slow. */
enum { SNAPSHOT_BYTES = 64 << 20 };

/* On its way through a database. */
struct walk {
	struct mw_check *c;
	uint64_t snapshot_bytes;
	struct mw_buf joined; /* the pack at hand, if it is in pieces: what is there of it */
	struct mw_spool_key joined_key;
	uint32_t joined_size; /* what its head says; 0: there is none at hand */
};

static void check_whole_pack(struct walk *w, const struct mw_spool_key *at, struct mw_span value)
{
	const MDB_val key = {sizeof at->bytes, (void *)(uintptr_t)at->bytes};
	uint64_t first, bytes = 0;
	uint32_t lane, count = 0;
	struct mw_pack pack;
	struct mw_pack_head h;
	struct mw_span message;
	int64_t tag;
	mw_spool_key_read(&key, &lane, &first);
	if (!mw_pack_head(value, &h))
		return; /* told */
	if (!mw_pack_open(value, &pack)) {
		mw_check_find_messages(w->c, MW_FINDING_PACK, mw_check_no_account(), lane, first,
				       first + h.count, "damaged");
		return;
	}
	while (mw_pack_next(&pack, &message, &tag)) {
		bytes += message.len;
		count++;
	}
	if (pack.at != pack.end || count != h.count || bytes != h.bytes)
		mw_check_find_messages(w->c, MW_FINDING_PACK, mw_check_no_account(), lane, first,
				       first + h.count, "the pack does not hold what its head says");
}

/* What is at hand is complete, or there are no more pieces of it. */
static void end_pieces(struct walk *w)
{
	if (w->joined_size > 0)
		check_whole_pack(w, &w->joined_key, mw_buf_span(&w->joined));
	w->joined_size = 0;
}

static void check_piece(struct walk *w, const MDB_val *key, const MDB_val *value)
{
	struct mw_pack_head h;
	struct mw_spool_key at;
	if (key->mv_size < sizeof at)
		return; /* told */
	memcpy(&at, key->mv_data, sizeof at);
	if (key->mv_size == sizeof at) {
		end_pieces(w);
		if (!mw_pack_head(mw_spool_span(value), &h) || h.size == value->mv_size) {
			check_whole_pack(w, &at, mw_spool_span(value));
			return;
		}
		w->joined_key = at;
		w->joined_size = h.size;
		mw_buf_clear(&w->joined);
	} else if (w->joined_size == 0 || memcmp(&at, &w->joined_key, sizeof at) != 0) {
		mw_check_find(w->c, MW_FINDING_STRAY, mw_check_no_account(),
			      "a piece of a pack is there without the rest");
		return;
	}
	if (mw_buf_append_span(&w->joined, mw_spool_span(value)) != MW_OK)
		abort(); /* the parent tells */
	if (w->joined.len >= w->joined_size)
		end_pieces(w);
}

static void check_letter(struct walk *w, const MDB_val *key, const MDB_val *value)
{
	struct mw_dead_letter letter;
	w->c->sums.letters++;
	if (key->mv_size == 8 && mw_dead_letter_read(mw_spool_span(value), &letter))
		return;
	unsigned long long number = 0;
	for (size_t i = 0; i < key->mv_size && i < 8; i++)
		number = number << 8 | ((const uint8_t *)key->mv_data)[i];
	mw_check_find(w->c, MW_FINDING_LETTER, mw_check_no_account(), "dead letter %llu is damaged", number);
}

/* The key, kept for when its page is gone. */
struct place {
	uint8_t bytes[512]; /* as long as LMDB lets a key be */
	size_t len;
};

/* Moves on to `key`. False if that is not behind: the tree is damaged, and a walk over it might never end. */
static bool advance(struct place *p, const MDB_val *key)
{
	size_t len = key->mv_size < p->len ? key->mv_size : p->len;
	int order = key->mv_size > sizeof p->bytes ? -1 : memcmp(key->mv_data, p->bytes, len);
	if (order < 0 || (order == 0 && key->mv_size <= p->len))
		return false;
	memcpy(p->bytes, key->mv_data, key->mv_size);
	p->len = key->mv_size;
	return true;
}

/* The entry behind the place, in a new snapshot. */
static int renew(struct walk *w, MDB_cursor *cursor, const struct place *p, MDB_val *key, MDB_val *value)
{
	w->snapshot_bytes = 0;
	mdb_txn_reset(w->c->txn);
	int rc = mdb_txn_renew(w->c->txn);
	if (rc == 0)
		rc = mdb_cursor_renew(w->c->txn, cursor);
	*key = (MDB_val){p->len, (void *)(uintptr_t)p->bytes};
	if (rc == 0)
		rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (rc == 0 && key->mv_size == p->len && memcmp(key->mv_data, p->bytes, p->len) == 0)
		rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return rc;
}

/* Every entry of a database, with a new snapshot now and then. */
static int check_each(struct walk *w, MDB_dbi db,
		      void (*one)(struct walk *, const MDB_val *, const MDB_val *))
{
	struct place place = {.len = 0};
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(w->c->txn, db, &cursor);
	if (rc != 0)
		return rc;
	MDB_val key, value;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	while (rc == 0) {
		if (!advance(&place, &key)) {
			rc = MDB_CORRUPTED;
			break;
		}
		one(w, &key, &value);
		w->c->done += key.mv_size + value.mv_size;
		w->snapshot_bytes += key.mv_size + value.mv_size;
		mw_check_progress(w->c);
		/* Not between the pieces of a pack: in another snapshot the rest may be gone. */
		if (w->snapshot_bytes < SNAPSHOT_BYTES || w->joined_size > 0)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		else
			rc = renew(w, cursor, &place, &key, &value);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int mw_check_bytes(struct mw_check *c)
{
	struct walk w = {.c = c};
	mw_buf_init(&w.joined, UINT32_MAX);
	mdb_txn_reset(c->txn);
	int rc = mdb_txn_renew(c->txn);
	if (rc == 0)
		rc = check_each(&w, c->messages, check_piece);
	end_pieces(&w);
	if (rc == 0)
		rc = check_each(&w, c->dead, check_letter);
	mw_buf_deinit(&w.joined);
	return rc;
}
