#include "spool_own.h"

/* A walk over a lane's messages, oldest first. Ends where a message should be and can't be read. */
struct walk {
	struct mw_spool *spool;
	MDB_cursor *cursor;
	struct mw_pack pack;
	uint64_t number; /* of the next message */
	uint64_t end;    /* behind the lane's last */
	uint32_t lane;
	size_t looked_at; /* bytes */
};

/* When a pack came. If the wall clock was set back since, it has come just now: it would wait for that hour
 * to return. */
static int64_t since_of(const struct mw_spool *s, const struct mw_pack *pack)
{
	int64_t since = pack->head.since - s->clock_ahead;
	return since < s->now ? since : s->now;
}

/* The cursor's pack, if it is one of the lane's. */
static bool at_pack(const struct walk *k, MDB_val *key, uint64_t *first)
{
	uint32_t lane;
	mw_spool_key_read(key, &lane, first);
	return lane == k->lane && *first < k->end;
}

/* Makes the cursor's pack the current one, if it is whole and holds message k->number. */
static bool open_pack(struct walk *k, MDB_val *key, MDB_val *value)
{
	uint64_t first;
	k->looked_at += value->mv_size;
	if (!at_pack(k, key, &first) || first > k->number ||
	    !mw_pack_open(mw_pieces_join(k->cursor, value, &k->spool->joined), &k->pack) ||
	    k->number - first >= k->pack.head.count) {
		k->pack = (struct mw_pack){.at = NULL};
		return false;
	}
	struct mw_span message;
	int64_t tag;
	for (uint64_t i = first; i < k->number; i++)
		mw_pack_next(&k->pack, &message, &tag);
	return true;
}

/* Nothing to read is an empty pack: the walk then ends at once. */
static void begin(struct walk *k, struct mw_spool *s, const struct mw_lane *lane)
{
	const struct mw_spool_lane *l = &s->lanes[lane->number];
	struct mw_spool_key at = mw_spool_key(lane->number, l->head);
	MDB_val key = {sizeof at.bytes, at.bytes}, value;
	*k = (struct walk){.spool = s, .number = l->head, .end = l->tail, .lane = lane->number};
	/* LMDB itself is at its end. What can't be looked at is not damaged: nothing more is to be written.
	 */
	if (mdb_txn_renew(s->reader) != 0 || mdb_cursor_renew(s->reader, s->cursor) != 0) {
		s->is_broken = true;
		return;
	}
	k->cursor = s->cursor;
	/* The pack that begins with this message, else the one before, which holds it. */
	int rc = mw_pieces_seek(k->cursor, &key, &value, MDB_SET_RANGE);
	uint64_t first;
	if (rc == MDB_NOTFOUND)
		rc = mw_pieces_seek(k->cursor, &key, &value, MDB_LAST);
	else if (rc == 0 && !(at_pack(k, &key, &first) && first == k->number))
		rc = mw_pieces_seek(k->cursor, &key, &value, MDB_PREV);
	if (rc == 0)
		open_pack(k, &key, &value);
}

static void finish(struct walk *k)
{
	mdb_txn_reset(k->spool->reader);
	mw_spool_look(k->spool, k->looked_at);
}

static bool next(struct walk *k, struct mw_span *message, int64_t *tag)
{
	if (k->number == k->end || !k->cursor)
		return false;
	while (!mw_pack_next(&k->pack, message, tag)) {
		MDB_val key, value;
		if (k->pack.at == NULL || mw_pieces_seek(k->cursor, &key, &value, MDB_NEXT) != 0 ||
		    !open_pack(k, &key, &value))
			return false;
	}
	k->number++;
	return true;
}

/* Where the lane can be read again: the first whole pack behind the damage, else the lane's end. */
static void skip_damage(struct walk *k, struct mw_batch *out)
{
	struct mw_spool_lane *l = &k->spool->lanes[k->lane];
	struct mw_spool_key at = mw_spool_key(k->lane, l->head + 1);
	MDB_val key = {sizeof at.bytes, at.bytes}, value;
	uint64_t bytes = l->tail_bytes, number = l->tail, first;
	struct mw_pack pack;
	int rc = mw_pieces_seek(k->cursor, &key, &value, MDB_SET_RANGE);
	for (; rc == 0 && at_pack(k, &key, &first); rc = mw_pieces_seek(k->cursor, &key, &value, MDB_NEXT)) {
		if (!mw_pack_open(mw_pieces_join(k->cursor, &value, &k->spool->joined), &pack))
			continue;
		number = first;
		bytes = pack.head.bytes_before;
		out->since_next = since_of(k->spool, &pack);
		break;
	}
	/* LMDB itself could not go on: nothing more is to be written, so that what can't be read now is still
	 * there for the next start. */
	if (rc != 0 && rc != MDB_NOTFOUND)
		k->spool->is_broken = true;
	uint64_t count = number - l->head;
	if (count > UINT32_MAX)
		count = UINT32_MAX;
	*out = (struct mw_batch){.count = (uint32_t)count,
				 .bytes = (size_t)(bytes - l->head_bytes + count - 1),
				 .since_next = number == l->tail ? -1 : out->since_next,
				 .is_damaged = true};
}

/* Is the request what was put together last? While it is in flight, which messages are its lane's oldest does
 * not change. */
static bool is_together(const struct mw_spool *s, const struct mw_request *r)
{
	return s->together.lane == r->lane && s->together.head == s->lanes[r->lane->number].head &&
	       s->together.count == r->count && s->batch.len == r->bytes;
}

/* Puts the batch together on the way: each pack is looked at once, and whoever measures nearly always reads
 * next. Without memory for that it only measures. */
static void measure(void *context, const struct mw_lane *lane, size_t bytes_max, uint32_t count_max,
		    struct mw_batch *out)
{
	struct mw_spool *s = context;
	struct walk k;
	struct mw_span message;
	int64_t tag;
	enum mw_err err = MW_OK;
	*out = (struct mw_batch){.since_next = -1};
	mw_buf_clear(&s->batch);
	begin(&k, s, lane);
	while (next(&k, &message, &tag)) {
		size_t bytes = out->bytes + (out->count > 0) + message.len;
		out->since_next = since_of(s, &k.pack);
		if (out->count == count_max || (out->count > 0 && bytes > bytes_max))
			break;
		if (err == MW_OK && out->count > 0)
			err = mw_buf_append_byte(&s->batch, ',');
		if (err == MW_OK)
			err = mw_buf_append_span(&s->batch, message);
		out->bytes = bytes;
		out->count++;
	}
	s->together = (struct mw_spool_batch){
	    .lane = err == MW_OK ? lane : NULL, .head = s->lanes[lane->number].head, .count = out->count};
	if (!k.cursor)
		out->count = 1; /* mw_spool_read says that it can't be had */
	else if (out->count == 0)
		skip_damage(&k, out);
	else if (s->lanes[lane->number].head + out->count == k.end)
		out->since_next = -1;
	finish(&k);
}

enum mw_err mw_spool_read(struct mw_spool *s, const struct mw_request *r, struct mw_buf *out)
{
	struct mw_batch again;
	if (!is_together(s, r))
		measure(s, r->lane, r->bytes, r->count, &again);
	if (!is_together(s, r))
		return s->together.lane ? MW_CORRUPT : MW_NO_MEMORY;
	const struct mw_buf batch = s->batch;
	s->batch = *out;
	*out = batch;
	s->together.lane = NULL;
	return MW_OK;
}

static void bury(struct mw_spool *s, const struct mw_report *r, uint32_t count)
{
	bool damaged = r->status == MW_STATUS_DAMAGED;
	const struct mw_dead_letter letter = {
	    .at = mw_spool_wall(),
	    .tag = r->tag,
	    .status = r->status > 0 ? r->status : 0,
	    .attempts = damaged ? r->attempts : r->attempts + 1,
	    .count = count,
	    .account = r->account,
	    .code = mw_spool_text(damaged ? mw_err_word(MW_CORRUPT) : "refused"),
	    .reason =
		mw_spool_text(damaged ? "the disk has changed these messages since they were written" : ""),
	    .answer = {r->answer.at,
		       r->answer.len < MW_SPOOL_ANSWER_MAX ? r->answer.len : MW_SPOOL_ANSWER_MAX},
	    .message = r->message,
	};
	mw_spool_bury(s, &letter);
}

/* Tell of one message, and keep it if it is dead. */
static void tell(struct mw_spool *s, const struct mw_report *r, uint32_t count)
{
	if (r->outcome == MW_OUTCOME_DEAD)
		bury(s, r, count);
	if (s->config.report.call && (r->outcome == MW_OUTCOME_DEAD || s->config.report_delivered))
		s->config.report.call(s->config.report.context, r);
}

/* The lane's row is behind. */
static void mark_settled(struct mw_spool *s, uint32_t number)
{
	if (!s->lanes[number].is_settled)
		s->settled[s->settled_count++] = number;
	s->lanes[number].is_settled = true;
}

/* Messages that can't be read: one letter for all of them. */
static void tell_damage(struct mw_spool *s, const struct mw_lane *lane, uint32_t count)
{
	static const struct mw_answer damaged = {.status = MW_STATUS_DAMAGED, .retry_after_ms = -1};
	struct mw_report r = mw_report_on(lane, (struct mw_span){NULL, 0}, 0, MW_OUTCOME_DEAD, &damaged);
	tell(s, &r, count);
	s->stats.damaged += count;
}

/* The lane's oldest messages, one by one. */
static void tell_each(struct mw_spool *s, const struct mw_lane *lane, uint32_t count, enum mw_outcome outcome,
		      const struct mw_answer *a)
{
	struct walk k;
	struct mw_span message;
	int64_t tag;
	uint32_t told = 0;
	begin(&k, s, lane);
	for (; told < count && next(&k, &message, &tag); told++) {
		struct mw_report r = mw_report_on(lane, message, tag, outcome, a);
		tell(s, &r, 1);
	}
	finish(&k);
	/* The disk has changed them since they were sent. */
	if (told < count && outcome == MW_OUTCOME_DEAD)
		tell_damage(s, lane, count - told);
}

static void settle(void *context, const struct mw_lane *lane, uint32_t count, uint64_t bytes,
		   enum mw_outcome outcome, const struct mw_answer *a)
{
	struct mw_spool *s = context;
	struct mw_spool_lane *l = &s->lanes[lane->number];
	if (a->status == MW_STATUS_DAMAGED)
		tell_damage(s, lane, count);
	else if (outcome == MW_OUTCOME_DEAD || s->config.report_delivered)
		tell_each(s, lane, count, outcome, a);
	l->head += count;
	l->head_bytes += bytes;
	l->dead += outcome == MW_OUTCOME_DEAD ? count : 0;
	mark_settled(s, lane->number);
}

struct mw_store mw_spool_store(struct mw_spool *s)
{
	return (struct mw_store){measure, settle, s};
}

/* The lane's oldest messages, as parcels. */
static void copy_lane(struct mw_spool *s, const struct mw_lane *lane, size_t bytes_max, struct mw_outbox *box)
{
	struct walk k;
	struct mw_spool_lane *l = &s->lanes[lane->number];
	struct mw_span message;
	int64_t tag;
	begin(&k, s, lane);
	while (box->bytes.len < bytes_max && next(&k, &message, &tag)) {
		const struct mw_parcel p = {.account = mw_lane_account(lane), .message = message, .tag = tag};
		if (mw_outbox_add(box, &p) != MW_OK)
			break;
		l->copied++;
		l->copied_bytes += message.len;
	}
	finish(&k);
}

/* The lane's oldest messages can't be read any more: those behind them shall not wait for them. False if they
 * can. */
static bool bury_damage(struct mw_spool *s, const struct mw_lane *lane)
{
	static const struct mw_answer damaged = {.status = MW_STATUS_DAMAGED, .retry_after_ms = -1};
	struct mw_batch batch;
	measure(s, lane, 1, 1, &batch);
	if (batch.is_damaged)
		settle(s, lane, batch.count, batch.bytes - (batch.count - 1), MW_OUTCOME_DEAD, &damaged);
	return batch.is_damaged;
}

static void copy_letters(struct mw_spool *s, size_t bytes_max, struct mw_outbox *box)
{
	MDB_cursor *dead;
	MDB_val key, value;
	if (mdb_txn_renew(s->reader) != 0)
		return;
	if (mdb_cursor_open(s->reader, s->dead, &dead) == 0) {
		while (box->bytes.len < bytes_max && mdb_cursor_get(dead, &key, &value, MDB_NEXT) == 0) {
			const struct mw_parcel p = {.message = mw_spool_span(&value), .kind = MW_PARCEL_DEAD};
			if (mw_outbox_add(box, &p) != MW_OK)
				break;
			s->dead_copied = mw_spool_letter_number(&key) + 1;
		}
		mdb_cursor_close(dead);
	}
	mdb_txn_reset(s->reader);
}

void mw_spool_copy(struct mw_spool *s, const struct mw_weir *w, size_t bytes_max, struct mw_outbox *box)
{
	const struct mw_lane *lane;
	for (size_t position = 0; (lane = mw_weir_each(w, &position)) && box->bytes.len < bytes_max;) {
		const struct mw_spool_lane *l = &s->lanes[lane->number];
		do
			if (l->head < l->tail)
				copy_lane(s, lane, bytes_max, box);
		while (l->head < l->tail && l->copied == 0 && bury_damage(s, lane));
	}
	copy_letters(s, bytes_max, box);
}

enum mw_err mw_spool_drop_copied(struct mw_spool *s, int64_t now, struct mw_error *e)
{
	for (uint32_t i = 0; i < s->rows; i++) {
		struct mw_spool_lane *l = &s->lanes[i];
		if (l->copied == 0)
			continue;
		l->head += l->copied;
		l->head_bytes += l->copied_bytes;
		l->moved += l->copied;
		l->copied = 0;
		l->copied_bytes = 0;
		mark_settled(s, i);
	}
	enum mw_err err = mw_spool_commit(s, now, e);
	s->dead_copied = 0;
	return err;
}
