#include "spool_own.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
	DEAD_SWEEP = 16, /* dead letters that a commit may drop, and two more for each one added */
	TREE_DEPTH = 2,  /* pages that a lane's place takes to find, beyond those that all lanes share */
};

/* ---- plan */

static bool plan_room(struct mw_spool *s, size_t count)
{
	if (count <= s->plan_room)
		return true;
	struct mw_spool_plan *plan = realloc(s->plan, count * sizeof *plan);
	if (!plan)
		return false;
	s->plan = plan;
	s->plan_room = count;
	return true;
}

static bool touch(struct mw_spool *s, struct mw_lane *lane)
{
	if (s->touched_count == s->touched_room) {
		uint32_t room = s->touched_room ? 2 * s->touched_room : 64;
		struct mw_lane **touched = realloc(s->touched, room * sizeof(struct mw_lane *));
		if (!touched)
			return false;
		s->touched = touched;
		s->touched_room = room;
	}
	s->touched[s->touched_count++] = lane;
	return true;
}

static void forget_plan(struct mw_spool *s)
{
	for (uint32_t i = 0; i < s->touched_count; i++)
		s->lanes[s->touched[i]->number].plan_first = MW_SPOOL_NONE;
	s->touched_count = 0;
	s->box = NULL;
}

/* Parcel number i joins its lane's chain. */
static bool chain(struct mw_spool *s, struct mw_weir *w, const struct mw_parcel *p, uint32_t i)
{
	struct mw_lane *lane = mw_weir_open_lane(w, p->account);
	struct mw_spool_lane *l = lane ? mw_spool_lane(s, lane) : NULL;
	if (!l || (l->plan_first == MW_SPOOL_NONE && !touch(s, lane)))
		return false;
	s->plan[i] = (struct mw_spool_plan){.message = p->message,
					    .tag = p->tag,
					    .next = MW_SPOOL_NONE,
					    .is_repeatable = p->kind == MW_PARCEL_REPEATABLE};
	if (l->plan_first == MW_SPOOL_NONE)
		l->plan_first = i;
	else
		s->plan[l->plan_last].next = i;
	l->plan_last = i;
	return true;
}

enum mw_err mw_spool_plan(struct mw_spool *s, struct mw_weir *w, const struct mw_outbox *box)
{
	struct mw_parcel p;
	uint32_t i = 0;
	bool fits = box->count < MW_SPOOL_NONE && plan_room(s, box->count);
	for (size_t position = 0; fits && mw_outbox_next(box, &position, &p);)
		fits = p.kind == MW_PARCEL_DEAD || chain(s, w, &p, i++);
	if (!fits) {
		forget_plan(s);
		return MW_NO_MEMORY;
	}
	s->box = box;
	return MW_OK;
}

bool mw_spool_is_planned(const struct mw_spool *s)
{
	return s->box != NULL;
}

/* ---- the pieces of a transaction; each returns what LMDB said */

static int put(MDB_txn *txn, MDB_dbi db, const void *key, size_t key_len, const void *value, size_t value_len)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {value_len, (void *)(uintptr_t)value};
	return mdb_put(txn, db, &k, &v, 0);
}

static int put_row(struct mw_spool *s, MDB_txn *txn, uint32_t number)
{
	const struct mw_spool_lane *l = &s->lanes[number];
	const struct mw_span name = mw_lane_account(l->lane);
	struct {
		struct mw_spool_row row;
		uint8_t name[MW_ACCOUNT_MAX];
	} value = {.row = {.head = l->head, .head_bytes = l->head_bytes, .dead = l->dead, .moved = l->moved}};
	uint8_t key[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
			  (uint8_t)number};
	if (name.len > 0)
		memcpy(value.name, name.at, name.len);
	value.row.sum = mw_spool_row_sum(&value.row, name);
	return put(txn, s->lane_rows, key, sizeof key, &value, sizeof value.row + name.len);
}

/* Planned messages whose ids are looked up together. */
struct look {
	struct mw_seen_id ids[MW_SEEN_LOOK];
	struct mw_spool_plan *plan[MW_SEEN_LOOK];
	unsigned count;
};

static int look_up(struct mw_spool *s, struct look *l)
{
	bool is_known[MW_SEEN_LOOK];
	int rc = l->count > 0 ? mw_seen_look(s->seen, l->ids, l->count, is_known) : 0;
	for (unsigned i = 0; i < l->count && rc == 0; i++)
		l->plan[i]->is_repeat = is_known[i];
	l->count = 0;
	return rc;
}

/* Which of the planned messages are repeats. */
static int find_repeats(struct mw_spool *s, MDB_txn *txn, int64_t now_wall)
{
	struct look look = {.count = 0};
	int rc = mw_seen_begin(s->seen, txn, mw_spool_seconds(now_wall), s->box->count);
	for (uint32_t t = 0; rc == 0 && t < s->touched_count; t++) {
		struct mw_span account = mw_lane_account(s->touched[t]);
		for (uint32_t i = s->lanes[s->touched[t]->number].plan_first; rc == 0 && i != MW_SPOOL_NONE;
		     i = s->plan[i].next) {
			struct mw_spool_plan *p = &s->plan[i];
			p->is_repeat = false;
			if (!p->is_repeatable || !mw_seen_id(s->seen, account, mw_message_id_of(p->message),
							     &look.ids[look.count]))
				continue;
			look.plan[look.count++] = p;
			if (look.count == MW_SEEN_LOOK)
				rc = look_up(s, &look);
		}
	}
	if (rc == 0)
		rc = look_up(s, &look);
	return rc != 0 ? rc : mw_seen_end(s->seen);
}

/* From `from` in a chain, as many as go into one pack; returns the first behind them. */
static uint32_t fill(const struct mw_spool *s, uint32_t from, size_t *size)
{
	uint32_t count = 0;
	*size = sizeof(struct mw_pack_head);
	for (; from != MW_SPOOL_NONE; from = s->plan[from].next) {
		size_t more = mw_pack_record_size(s->plan[from].message.len);
		if (s->plan[from].is_repeat)
			continue;
		if (count > 0 && *size + more > MW_PACK_MAX)
			break;
		*size += more;
		count++;
	}
	if (count == 0)
		*size = 0;
	return from;
}

static int put_pack(struct mw_spool *s, MDB_cursor *messages, const struct mw_lane *lane, uint32_t from,
		    uint32_t to, size_t size, int64_t now)
{
	struct mw_spool_lane *l = &s->lanes[lane->number];
	struct mw_spool_key at = mw_spool_key(lane->number, l->tail + l->plan_count);
	MDB_val key = {sizeof at.bytes, at.bytes}, value = {size, NULL};
	int rc;
	mw_buf_clear(&s->joined);
	if (size <= MW_PIECE_MAX)
		rc = mdb_cursor_put(messages, &key, &value, MDB_RESERVE | MDB_NOOVERWRITE);
	else
		rc = mw_buf_reserve(&s->joined, size) == MW_OK ? 0 : ENOMEM;
	if (rc != 0)
		return rc;
	struct mw_pack_writer w;
	mw_pack_begin(&w, size <= MW_PIECE_MAX ? value.mv_data : s->joined.data,
		      l->tail_bytes + l->plan_bytes, now + s->clock_ahead);
	for (; from != to; from = s->plan[from].next)
		if (!s->plan[from].is_repeat)
			mw_pack_add(&w, s->plan[from].message, s->plan[from].tag);
	mw_pack_end(&w);
	if (size > MW_PIECE_MAX)
		rc = mw_pieces_put(messages, &key, s->joined.data, size);
	l->plan_count += w.head.count;
	l->plan_bytes += w.head.bytes;
	return rc;
}

static int put_letters(struct mw_spool *s, MDB_txn *txn, const struct mw_outbox *box, uint64_t *number)
{
	struct mw_parcel p;
	size_t left = box->letters; /* nearly always 0: not a walk for nothing */
	int rc = 0;
	for (size_t position = 0; rc == 0 && left > 0 && mw_outbox_next(box, &position, &p);) {
		if (p.kind != MW_PARCEL_DEAD)
			continue;
		struct mw_spool_key key = mw_spool_key(0, (*number)++);
		rc = put(txn, s->dead, key.bytes + 4, 8, p.message.at, p.message.len);
		left--;
	}
	return rc;
}

static uint64_t room_of(const MDB_stat *stat)
{
	return (uint64_t)(stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages) *
	       stat->ms_psize;
}

/* Drops the oldest letters that are too old or too many: a few, so that no commit takes long. */
static int drop_letters(struct mw_spool *s, MDB_txn *txn, size_t max, int64_t now_wall, uint64_t *dropped)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_stat stat;
	int rc = mdb_cursor_open(txn, s->dead, &cursor);
	for (; rc == 0 && max > 0; max--) {
		rc = mdb_stat(txn, s->dead, &stat);
		if (rc == 0)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		if (rc != 0)
			break;
		/* Of one that is damaged its time may be anything: it is not reckoned with. */
		bool is_old = s->config.dead_ms > 0 &&
			      mw_dead_letter_at(mw_spool_span(&value)) < now_wall - s->config.dead_ms;
		/* The newest stays, however large it is: somebody may want to know. */
		if (!is_old && (room_of(&stat) <= s->dead_bytes_max || stat.ms_entries == 1))
			return 0;
		rc = mdb_cursor_del(cursor, 0);
		*dropped += rc == 0;
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Letters are numbered on for ever, so the next number outlives them. */
static int finish_letters(struct mw_spool *s, MDB_txn *txn, uint64_t number, int64_t now_wall,
			  struct mw_spool_stats *stats)
{
	MDB_stat stat;
	int rc = 0;
	if (number != s->next_dead)
		rc = put(txn, s->meta, "next_dead", strlen("next_dead"), &number, sizeof number);
	if (rc == 0)
		rc = drop_letters(s, txn, DEAD_SWEEP + 2 * (size_t)(number - s->next_dead), now_wall,
				  &stats->dead_dropped);
	if (rc == 0)
		rc = mdb_stat(txn, s->dead, &stat);
	if (rc != 0)
		return rc;
	stats->letters = stat.ms_entries;
	stats->letter_bytes = room_of(&stat);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = (*(struct mw_lane *const *)a)->number, y = (*(struct mw_lane *const *)b)->number;
	return (x > y) - (x < y);
}

/* Behind the last lane that is to have a row. */
static uint32_t lanes_planned(const struct mw_spool *s)
{
	uint32_t last = s->touched_count > 0 ? s->touched[s->touched_count - 1]->number + 1 : 0;
	return last > s->rows ? last : s->rows;
}

static int put_plan(struct mw_spool *s, MDB_txn *txn, MDB_cursor *messages, int64_t now, uint64_t *number,
		    struct mw_spool_total *total)
{
	static const char name[] = "total";
	int rc = s->seen ? find_repeats(s, txn, now + s->clock_ahead) : 0;
	if (s->touched_count > 1)
		qsort(s->touched, s->touched_count, sizeof(struct mw_lane *), by_number);
	/* Without a gap: a lane's number is its place in the weir, which finds them in this order again. */
	for (uint32_t i = s->rows; rc == 0 && i < lanes_planned(s); i++)
		rc = put_row(s, txn, i);
	for (uint32_t t = 0; rc == 0 && t < s->touched_count; t++) {
		const struct mw_lane *lane = s->touched[t];
		struct mw_spool_lane *l = &s->lanes[lane->number];
		l->plan_count = 0;
		l->plan_bytes = 0;
		for (uint32_t i = l->plan_first; rc == 0 && i != MW_SPOOL_NONE;) {
			size_t size;
			uint32_t to = fill(s, i, &size);
			if (size > 0)
				rc = put_pack(s, messages, lane, i, to, size, now);
			i = to;
		}
		total->messages += l->plan_count;
		total->bytes += l->plan_bytes;
	}
	total->sum = mw_spool_total_sum(total);
	if (rc == 0)
		rc = put(txn, s->meta, name, sizeof name - 1, total, sizeof *total);
	return rc != 0 ? rc : put_letters(s, txn, s->box, number);
}

/* Drops the packs whose messages are all settled: those before the one that holds the head. None of them is
 * looked at. The newest goes first: in a page LMDB puts new rows before older ones, and moves what is before
 * one that it removes. */
static int drop_packs(struct mw_spool *s, MDB_cursor *messages, uint32_t number)
{
	const struct mw_spool_lane *l = &s->lanes[number];
	struct mw_spool_key at = mw_spool_key(number, l->head);
	MDB_val key = {sizeof at.bytes, at.bytes}, value;
	uint32_t lane = number;
	uint64_t first = 0;
	int rc = mw_pieces_seek(messages, &key, &value, MDB_SET_RANGE);
	MDB_cursor_op back = rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV;
	if (rc == 0)
		mw_spool_key_read(&key, &lane, &first);
	bool is_first = rc == 0 && lane == number && first == l->head;
	if ((rc == 0 || rc == MDB_NOTFOUND) && l->head < l->tail && !is_first) {
		rc = mw_pieces_seek(messages, &key, &value, back);
		back = MDB_PREV;
	}
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(messages, &key, &value, back);
	while (rc == 0) {
		mw_spool_key_read(&key, &lane, &first);
		if (lane != number)
			return 0;
		/* LMDB looks at the page's own head. */
		mw_spool_look(s, 0);
		rc = mdb_cursor_del(messages, 0);
		if (rc == 0)
			rc = mdb_cursor_get(messages, &key, &value, MDB_PREV);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Letters that another partition has now. */
static int drop_copied_letters(struct mw_spool *s, MDB_txn *txn)
{
	MDB_cursor *dead;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, s->dead, &dead);
	if (rc == 0)
		rc = mdb_cursor_get(dead, &key, &value, MDB_FIRST);
	while (rc == 0 && mw_spool_letter_number(&key) < s->dead_copied &&
	       (rc = mdb_cursor_del(dead, 0)) == 0)
		rc = mdb_cursor_get(dead, &key, &value, MDB_NEXT);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_settled(struct mw_spool *s, MDB_txn *txn, MDB_cursor *messages, uint64_t *number)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < s->settled_count; i++) {
		rc = drop_packs(s, messages, s->settled[i]);
		if (rc == 0)
			rc = put_row(s, txn, s->settled[i]);
	}
	if (rc == 0 && s->dead_copied > 0)
		rc = drop_copied_letters(s, txn);
	return rc != 0 ? rc : put_letters(s, txn, &s->dying, number);
}

/* ---- commit */

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum mw_err write_all(struct mw_spool *s, bool with_plan, int64_t now, struct mw_error *e)
{
	MDB_txn *txn;
	MDB_cursor *messages; /* ends with the transaction */
	struct mw_spool_total total = s->total;
	uint64_t number = s->next_dead;
	struct mw_spool_stats stats = s->stats;
	int64_t start = now_us();
	int dead_readers;
	/* Another process that died while it looked at the spool (verify, for one) would keep every page from
	 * being used again, and the file would grow for ever. */
	int rc = mdb_reader_check(s->env, &dead_readers);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc != 0)
		return mw_spool_fail(e, rc, "no transaction");
	rc = mdb_cursor_open(txn, s->messages, &messages);
	bool has_looked =
	    rc == 0 && with_plan && s->seen; /* at known ids, which takes it back if this fails */
	if (rc == 0 && with_plan)
		rc = put_plan(s, txn, messages, now, &number, &total);
	if (rc == 0)
		rc = put_settled(s, txn, messages, &number);
	if (rc == 0)
		rc = finish_letters(s, txn, number, now + s->clock_ahead, &stats);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (has_looked)
		mw_seen_done(s->seen, rc == 0);
	if (rc != 0)
		return mw_spool_fail(e, rc, "not written");
	s->next_dead = number;
	s->total = total;
	s->stats = stats;
	s->stats.commits++;
	uint64_t us = (uint64_t)(now_us() - start);
	if (us > s->stats.commit_us_max)
		s->stats.commit_us_max = us;
	return MW_OK;
}

/* What was settled is on disk. */
static void forget_settled(struct mw_spool *s)
{
	for (uint32_t i = 0; i < s->settled_count; i++)
		s->lanes[s->settled[i]].is_settled = false;
	s->settled_count = 0;
	mw_outbox_clear(&s->dying);
}

bool mw_spool_has_settled(const struct mw_spool *s)
{
	return s->settled_count > 0 || s->dying.count > 0;
}

enum mw_err mw_spool_commit(struct mw_spool *s, int64_t now, struct mw_error *e)
{
	if (s->is_broken)
		return mw_error_set(e, MW_IO, 0,
				    "the spool's disk has failed; see to it, then open the spool again");
	s->now = now;
	mw_spool_spend(s, s->dying.bytes.len + s->dying.count * s->page);
	bool full = s->box && !mw_spool_has_room(s);
	enum mw_err err = full ? MW_FULL : write_all(s, s->box != NULL, now, e);
	if (err == MW_FULL && s->box) {
		full = true;
		err = mw_spool_has_settled(s) ? write_all(s, false, now, e) : MW_OK;
	}
	if (err == MW_IO || err == MW_CORRUPT)
		s->is_broken = true;
	if (err != MW_OK)
		return err;
	mw_spool_look(s, (s->touched_count + s->settled_count) * s->page * TREE_DEPTH);
	forget_settled(s);
	mw_spool_reserve(s);
	s->stats.disk_bytes = mw_spool_file_used(s);
	if (full && s->has_no_space)
		return mw_error_set(e, MW_FULL, 0, "the disk that the spool is on is full");
	if (full)
		return mw_error_set(e, MW_FULL, 0, "the spool holds as much as it may (disk_bytes: %llu MiB)",
				    (unsigned long long)(s->disk_max >> 20));
	return MW_OK;
}

void mw_spool_apply(struct mw_spool *s, struct mw_weir *w, int64_t now)
{
	s->rows = lanes_planned(s);
	for (uint32_t t = 0; t < s->touched_count; t++) {
		struct mw_lane *lane = s->touched[t];
		struct mw_spool_lane *l = &s->lanes[lane->number];
		for (uint32_t i = l->plan_first; i != MW_SPOOL_NONE; i = s->plan[i].next)
			s->stats.repeats += s->plan[i].is_repeat;
		l->tail += l->plan_count;
		l->tail_bytes += l->plan_bytes;
		if (l->plan_count > 0)
			mw_weir_push(w, lane, l->plan_count, l->plan_bytes, now);
	}
	forget_plan(s);
}
