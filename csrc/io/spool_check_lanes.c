#include "spool_check_own.h"

/* A lane on its way through its packs. */
struct lane {
	uint32_t number;
	struct mw_span account;
	struct mw_spool_row row;
	bool is_known; /* row can be believed */
	bool is_first; /* no pack yet */
	bool is_sure;  /* `next` and `bytes` can be believed: the pack before was whole */
	uint64_t next; /* number of the message that should come */
	uint64_t bytes;
	struct mw_verify_counts counts;
};

static void find_in_lane(struct mw_check *c, enum mw_finding finding, const struct lane *l, uint64_t first,
			 uint64_t end, const char *what)
{
	mw_check_find_messages(c, finding, l->is_known ? l->account : mw_check_no_account(), l->number, first,
			       end, what);
}

static void add(struct mw_verify_counts *to, const struct mw_verify_counts *more)
{
	to->accepted += more->accepted;
	to->moved += more->moved;
	to->delivered += more->delivered;
	to->dead += more->dead;
	to->queued += more->queued;
	to->queued_bytes += more->queued_bytes;
	to->packs += more->packs;
}

/* Reads the lane's row; the numbers of rows have no gap. */
static void begin_lane(struct mw_check *c, struct lane *l, const MDB_val *key, const MDB_val *value)
{
	uint64_t unused;
	uint32_t number, expected = (uint32_t)c->sums.lanes;
	mw_spool_key_read(key, &number, &unused);
	*l = (struct lane){.number = number, .is_first = true};
	if (key->mv_size != 4)
		mw_check_find(c, MW_FINDING_LANE, mw_check_no_account(),
			      "a lane has a key of %zu bytes instead of 4", key->mv_size);
	else if (number != expected)
		mw_check_find(c, MW_FINDING_LANE, mw_check_no_account(), "lane %u is missing", expected);
	c->sums.lanes = (uint64_t)number + 1;
	if (value->mv_size >= sizeof l->row && value->mv_size - sizeof l->row <= MW_ACCOUNT_MAX) {
		memcpy(&l->row, value->mv_data, sizeof l->row);
		l->account = (struct mw_span){(const uint8_t *)value->mv_data + sizeof l->row,
					      value->mv_size - sizeof l->row};
		l->is_known = l->row.sum == mw_spool_row_sum(&l->row, l->account);
	}
	if (!l->is_known) {
		mw_check_find(c, MW_FINDING_LANE, mw_check_no_account(),
			      "lane %u: its row is damaged; whose it is can't be told", number);
		return;
	}
	if (l->row.dead + l->row.moved > l->row.head)
		mw_check_find(c, MW_FINDING_LANE, l->account, "lane %u: %llu dead messages of %llu settled",
			      number, (unsigned long long)(l->row.dead + l->row.moved),
			      (unsigned long long)l->row.head);
	l->is_sure = true;
	l->next = l->row.head;
	l->bytes = l->row.head_bytes;
}

/* The messages of the first pack that are settled: how many bytes they are. False if the pack is damaged. */
static bool settled_bytes(struct mw_span value, uint64_t count, uint64_t *bytes)
{
	struct mw_pack pack;
	struct mw_span message;
	int64_t tag;
	*bytes = 0;
	if (count == 0)
		return true; /* whatever the rest is: a pack in pieces holds one message */
	if (!mw_pack_open(value, &pack))
		return false;
	for (; count > 0 && mw_pack_next(&pack, &message, &tag); count--)
		*bytes += message.len;
	return count == 0;
}

/* The first pack holds the head: part of it may be settled. */
static void first_pack(struct mw_check *c, struct lane *l, uint64_t first, const struct mw_pack_head *h,
		       struct mw_span value)
{
	uint64_t gone = l->row.head - first, gone_bytes;
	if (settled_bytes(value, gone, &gone_bytes) && h->bytes_before + gone_bytes != l->bytes)
		find_in_lane(c, MW_FINDING_BYTES, l, first, first + h->count,
			     "the row counts other bytes before them");
	if (h->count - gone > 0) {
		l->counts.queued += h->count - gone;
		l->counts.queued_bytes += h->bytes - (gone_bytes < h->bytes ? gone_bytes : h->bytes);
	}
}

static void next_pack(struct mw_check *c, struct lane *l, uint64_t first, struct mw_span value)
{
	struct mw_pack_head h;
	c->total += value.len;
	if (!mw_pack_head(value, &h)) {
		/* How many are in it says the next one, if there is one; the bodies are looked at later, but
		 * not of what has no head. */
		mw_check_find(c, MW_FINDING_PACK, l->is_known ? l->account : mw_check_no_account(),
			      "lane %u: the pack of message %llu and those behind it is damaged", l->number,
			      (unsigned long long)first);
		l->is_sure = l->is_first = false;
		return;
	}
	uint64_t end = first + h.count;
	l->counts.packs++;
	if (l->is_known && end <= l->row.head) {
		find_in_lane(c, MW_FINDING_SETTLED, l, first, end, "settled, and still there");
		return;
	}
	if (l->is_sure && first > l->next)
		find_in_lane(c, MW_FINDING_GAP, l, l->next, first, "missing");
	if (l->is_sure && first < l->next && !(l->is_first && l->is_known))
		find_in_lane(c, MW_FINDING_OVERLAP, l, first, l->next, "in two packs");
	if (l->is_first && l->is_known && first <= l->row.head) {
		first_pack(c, l, first, &h, value);
	} else {
		if (l->is_sure && first == l->next && h.bytes_before != l->bytes)
			find_in_lane(c, MW_FINDING_BYTES, l, first, end,
				     "the pack before says that there are other bytes before them");
		l->counts.queued += h.count;
		l->counts.queued_bytes += h.bytes;
	}
	l->is_first = false;
	l->is_sure = true;
	l->next = end;
	l->bytes = h.bytes_before + h.bytes;
}

/* What the lane's numbers come to. */
static void end_lane(struct mw_check *c, struct lane *l)
{
	if (!l->is_known)
		return;
	l->counts.accepted = l->next - l->row.moved;
	l->counts.moved = l->row.moved;
	l->counts.dead = l->row.dead;
	l->counts.delivered = l->row.head - l->row.dead - l->row.moved;
	add(&c->sums.counts, &l->counts);
	const struct mw_verify_record r = {
	    .kind = MW_VERIFY_LANE,
	    .partition = c->sums.partition,
	    .lane = l->number,
	    .is_balanced = l->counts.accepted == l->counts.delivered + l->counts.dead + l->counts.queued,
	    .counts = l->counts,
	    .account = l->account};
	mw_verify_write(c->out, &r);
}

/* Packs of lanes that have no row, up to lane `until`; the cursor is then at the first beyond. */
static int stray_packs(struct mw_check *c, MDB_cursor *packs, int rc, uint64_t until, MDB_val *key,
		       MDB_val *value)
{
	while (rc == 0) {
		uint32_t lane;
		uint64_t first;
		mw_spool_key_read(key, &lane, &first);
		if (key->mv_size == sizeof(struct mw_spool_key) && lane >= until)
			return 0;
		/* Whether a piece is one too many is seen when the packs are put together. */
		if (key->mv_size != sizeof(struct mw_spool_key) && key->mv_size != MW_PIECE_KEY_LEN)
			mw_check_find(c, MW_FINDING_STRAY, mw_check_no_account(),
				      "a pack has a key of %zu bytes instead of 12", key->mv_size);
		else if (key->mv_size == MW_PIECE_KEY_LEN)
			c->total += value->mv_size;
		else
			mw_check_find(c, MW_FINDING_STRAY, mw_check_no_account(),
				      "lane %u is not known, and has a pack of message %llu", lane,
				      (unsigned long long)first);
		rc = mdb_cursor_get(packs, key, value, MDB_NEXT);
	}
	return rc;
}

static int check_numbers(struct mw_check *c, MDB_cursor *rows, MDB_cursor *packs)
{
	MDB_val row_key, row, key, value;
	struct lane l;
	int rc, pack_rc = mdb_cursor_get(packs, &key, &value, MDB_FIRST);
	while ((rc = mdb_cursor_get(rows, &row_key, &row, MDB_NEXT)) == 0) {
		begin_lane(c, &l, &row_key, &row);
		pack_rc = stray_packs(c, packs, pack_rc, l.number, &key, &value);
		while (pack_rc == 0) {
			uint32_t lane;
			uint64_t first;
			mw_spool_key_read(&key, &lane, &first);
			if (lane != l.number ||
			    (key.mv_size != sizeof(struct mw_spool_key) && key.mv_size != MW_PIECE_KEY_LEN))
				break;
			if (key.mv_size == MW_PIECE_KEY_LEN)
				c->total += value.mv_size;
			else
				next_pack(c, &l, first, mw_spool_span(&value));
			pack_rc = mdb_cursor_get(packs, &key, &value, MDB_NEXT);
		}
		end_lane(c, &l);
	}
	if (rc != MDB_NOTFOUND)
		return rc;
	rc = stray_packs(c, packs, pack_rc, UINT64_MAX, &key, &value);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void check_total(struct mw_check *c)
{
	struct mw_spool_total t;
	struct mw_verify_counts *n = &c->sums.counts;
	if (mw_check_meta(c, "total", &t, sizeof t) != 0 || t.sum != mw_spool_total_sum(&t)) {
		mw_check_find(c, MW_FINDING_META, mw_check_no_account(),
			      "the count of what was accepted is damaged");
		return;
	}
	if (t.messages != n->accepted + n->moved)
		mw_check_find(c, MW_FINDING_TOTAL, mw_check_no_account(),
			      "%llu messages were accepted, the lanes tell of %llu",
			      (unsigned long long)t.messages, (unsigned long long)(n->accepted + n->moved));
	n->accepted = t.messages - n->moved;
}

int mw_check_lanes(struct mw_check *c)
{
	MDB_cursor *rows, *packs;
	int rc = mdb_cursor_open(c->txn, c->lanes, &rows);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(c->txn, c->messages, &packs);
	if (rc == 0) {
		rc = check_numbers(c, rows, packs);
		mdb_cursor_close(packs);
	}
	mdb_cursor_close(rows);
	if (rc == 0)
		check_total(c);
	return rc;
}
