#include "spool_check.h"

#include "spool_own.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	PATH_ROOM = 4096,
	SNAPSHOT_BYTES =
	    64 << 20, /* read of one snapshot at most: a tenth of a second, if the disk is slow */
	PROGRESS_MS = 100,
};

struct check {
	FILE *out;
	struct mw_verify_record sums; /* the partition's, to be */
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta, lanes, messages, dead;
	int64_t told; /* progress, when */
	uint64_t snapshot_bytes;
	uint64_t done, total;
	struct mw_buf joined; /* the pack at hand, if it is in pieces: what is there of it */
	struct mw_spool_key joined_key;
	uint32_t joined_size; /* what its head says; 0: there is none at hand */
};

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

/* ---- telling */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 4, 5))) static void find(struct check *c, enum mw_finding finding,
						       struct mw_span account, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (c->sums.findings++ >= MW_FINDINGS_MAX)
		return;
	const struct mw_verify_record r = {.kind = MW_VERIFY_FINDING,
					   .finding = finding,
					   .partition = c->sums.partition,
					   .account = account,
					   .text = mw_spool_text(text)};
	mw_verify_write(c->out, &r);
	fflush(c->out); /* the next page may be one that crashes */
}

static void find_in_lane(struct check *c, enum mw_finding finding, const struct lane *l, uint64_t first,
			 uint64_t end, const char *what)
{
	find(c, finding, l->is_known ? l->account : (struct mw_span){NULL, 0},
	     "lane %u: messages %llu to %llu: %s", l->number, (unsigned long long)first,
	     (unsigned long long)(end > first ? end - 1 : first), what);
}

static void tell_progress(struct check *c)
{
	int64_t now = now_ms();
	if (now - c->told < PROGRESS_MS)
		return;
	c->told = now;
	const struct mw_verify_record r = {.kind = MW_VERIFY_PROGRESS,
					   .partition = c->sums.partition,
					   .done = c->done < c->total ? c->done : c->total,
					   .total = c->total};
	mw_verify_write(c->out, &r);
	fflush(c->out);
}

/* ---- the first look: numbers */

static struct mw_span no_account(void)
{
	return (struct mw_span){NULL, 0};
}

static int get_meta(struct check *c, const char *name, void *value, size_t len)
{
	MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v;
	int rc = mdb_get(c->txn, c->meta, &k, &v);
	if (rc == 0 && v.mv_size != len)
		rc = MDB_NOTFOUND;
	if (rc == 0)
		memcpy(value, v.mv_data, len);
	return rc;
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
static void begin_lane(struct check *c, struct lane *l, const MDB_val *key, const MDB_val *value)
{
	uint64_t unused;
	uint32_t number, expected = (uint32_t)c->sums.lanes;
	mw_spool_key_read(key, &number, &unused);
	*l = (struct lane){.number = number, .is_first = true};
	if (key->mv_size != 4)
		find(c, MW_FINDING_LANE, no_account(), "a lane has a key of %zu bytes instead of 4",
		     key->mv_size);
	else if (number != expected)
		find(c, MW_FINDING_LANE, no_account(), "lane %u is missing", expected);
	c->sums.lanes = (uint64_t)number + 1;
	if (value->mv_size >= sizeof l->row && value->mv_size - sizeof l->row <= MW_ACCOUNT_MAX) {
		memcpy(&l->row, value->mv_data, sizeof l->row);
		l->account = (struct mw_span){(const uint8_t *)value->mv_data + sizeof l->row,
					      value->mv_size - sizeof l->row};
		l->is_known = l->row.sum == mw_spool_row_sum(&l->row, l->account);
	}
	if (!l->is_known) {
		find(c, MW_FINDING_LANE, no_account(),
		     "lane %u: its row is damaged; whose it is can't be told", number);
		return;
	}
	if (l->row.dead + l->row.moved > l->row.head)
		find(c, MW_FINDING_LANE, l->account, "lane %u: %llu dead messages of %llu settled", number,
		     (unsigned long long)(l->row.dead + l->row.moved), (unsigned long long)l->row.head);
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
	for (; count > 0 && mw_pack_next(&pack, &message, &tag) && pack.at <= pack.end; count--)
		*bytes += message.len;
	return count == 0;
}

/* The first pack holds the head: part of it may be settled. */
static void first_pack(struct check *c, struct lane *l, uint64_t first, const struct mw_pack_head *h,
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

static void next_pack(struct check *c, struct lane *l, uint64_t first, struct mw_span value)
{
	struct mw_pack_head h;
	c->total += value.len;
	if (!mw_pack_head(value, &h)) {
		/* How many are in it says the next one, if there is one; the bodies are looked at later, but
		 * not of what has no head. */
		find(c, MW_FINDING_PACK, l->is_known ? l->account : no_account(),
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
static void end_lane(struct check *c, struct lane *l)
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
static int stray_packs(struct check *c, MDB_cursor *packs, int rc, uint64_t until, MDB_val *key,
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
			find(c, MW_FINDING_STRAY, no_account(), "a pack has a key of %zu bytes instead of 12",
			     key->mv_size);
		else if (key->mv_size == MW_PIECE_KEY_LEN)
			c->total += value->mv_size;
		else
			find(c, MW_FINDING_STRAY, no_account(),
			     "lane %u is not known, and has a pack of message %llu", lane,
			     (unsigned long long)first);
		rc = mdb_cursor_get(packs, key, value, MDB_NEXT);
	}
	return rc;
}

static int check_numbers(struct check *c, MDB_cursor *rows, MDB_cursor *packs)
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

static void check_total(struct check *c)
{
	struct mw_spool_total t;
	struct mw_verify_counts *n = &c->sums.counts;
	if (get_meta(c, "total", &t, sizeof t) != 0 || t.sum != mw_spool_total_sum(&t)) {
		find(c, MW_FINDING_META, no_account(), "the count of what was accepted is damaged");
		return;
	}
	if (t.messages != n->accepted + n->moved)
		find(c, MW_FINDING_TOTAL, no_account(), "%llu messages were accepted, the lanes tell of %llu",
		     (unsigned long long)t.messages, (unsigned long long)(n->accepted + n->moved));
	n->accepted = t.messages - n->moved;
}

/* ---- the second look: bytes */

static void check_whole_pack(struct check *c, const struct mw_spool_key *at, struct mw_span value)
{
	const MDB_val key = {sizeof at->bytes, (void *)(uintptr_t)at->bytes};
	uint64_t first, bytes = 0;
	uint32_t count = 0;
	struct lane l = {0};
	struct mw_pack pack;
	struct mw_pack_head h;
	struct mw_span message;
	int64_t tag;
	mw_spool_key_read(&key, &l.number, &first);
	if (!mw_pack_head(value, &h))
		return; /* told */
	if (!mw_pack_open(value, &pack)) {
		find_in_lane(c, MW_FINDING_PACK, &l, first, first + h.count, "damaged");
		return;
	}
	while (pack.at < pack.end && mw_pack_next(&pack, &message, &tag) && pack.at <= pack.end) {
		bytes += message.len;
		count++;
	}
	if (pack.at != pack.end || count != h.count || bytes != h.bytes)
		find_in_lane(c, MW_FINDING_PACK, &l, first, first + h.count,
			     "the pack does not hold what its head says");
}

/* What is at hand is complete, or there are no more pieces of it. */
static void end_pieces(struct check *c)
{
	if (c->joined_size > 0)
		check_whole_pack(c, &c->joined_key, mw_buf_span(&c->joined));
	c->joined_size = 0;
}

static void check_piece(struct check *c, const MDB_val *key, const MDB_val *value)
{
	struct mw_pack_head h;
	struct mw_spool_key at;
	if (key->mv_size < sizeof at)
		return; /* told */
	memcpy(&at, key->mv_data, sizeof at);
	if (key->mv_size == sizeof at) {
		end_pieces(c);
		if (!mw_pack_head(mw_spool_span(value), &h) || h.size == value->mv_size) {
			check_whole_pack(c, &at, mw_spool_span(value));
			return;
		}
		c->joined_key = at;
		c->joined_size = h.size;
		mw_buf_clear(&c->joined);
	} else if (c->joined_size == 0 || memcmp(&at, &c->joined_key, sizeof at) != 0) {
		find(c, MW_FINDING_STRAY, no_account(), "a piece of a pack is there without the rest");
		return;
	}
	if (mw_buf_append_span(&c->joined, mw_spool_span(value)) != MW_OK)
		abort(); /* the parent tells */
	if (c->joined.len >= c->joined_size)
		end_pieces(c);
}

static void check_letter(struct check *c, const MDB_val *key, const MDB_val *value)
{
	struct mw_dead_letter letter;
	c->sums.letters++;
	if (key->mv_size == 8 && mw_dead_letter_read(mw_spool_span(value), &letter))
		return;
	unsigned long long number = 0;
	for (size_t i = 0; i < key->mv_size && i < 8; i++)
		number = number << 8 | ((const uint8_t *)key->mv_data)[i];
	find(c, MW_FINDING_LETTER, no_account(), "dead letter %llu is damaged", number);
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
static int renew(struct check *c, MDB_cursor *cursor, const struct place *p, MDB_val *key, MDB_val *value)
{
	c->snapshot_bytes = 0;
	mdb_txn_reset(c->txn);
	int rc = mdb_txn_renew(c->txn);
	if (rc == 0)
		rc = mdb_cursor_renew(c->txn, cursor);
	*key = (MDB_val){p->len, (void *)(uintptr_t)p->bytes};
	if (rc == 0)
		rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (rc == 0 && key->mv_size == p->len && memcmp(key->mv_data, p->bytes, p->len) == 0)
		rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return rc;
}

/* Every entry of a database, with a new snapshot now and then. */
static int check_each(struct check *c, MDB_dbi db,
		      void (*one)(struct check *, const MDB_val *, const MDB_val *))
{
	struct place place = {.len = 0};
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(c->txn, db, &cursor);
	if (rc != 0)
		return rc;
	MDB_val key, value;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	while (rc == 0) {
		if (!advance(&place, &key)) {
			rc = MDB_CORRUPTED;
			break;
		}
		one(c, &key, &value);
		c->done += key.mv_size + value.mv_size;
		c->snapshot_bytes += key.mv_size + value.mv_size;
		tell_progress(c);
		/* Not between the pieces of a pack: in another snapshot the rest may be gone. */
		if (c->snapshot_bytes < SNAPSHOT_BYTES || c->joined_size > 0)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		else
			rc = renew(c, cursor, &place, &key, &value);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- the partition */

static int open_snapshot(struct check *c, const char *path)
{
	int rc = mdb_env_create(&c->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(c->env, 8);
	if (rc == 0)
		rc = mdb_env_open(c->env, path, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc != 0)
		return rc;
	rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn);
	if (rc == MDB_MAP_RESIZED) { /* the owner, in the moment between */
		rc = mdb_env_set_mapsize(c->env, 0);
		if (rc == 0)
			rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn);
	}
	return rc;
}

/* True if all databases are there; a partition that nothing was ever written to has none and no findings. */
static bool open_databases(struct check *c)
{
	const struct {
		const char *name;
		MDB_dbi *db;
	} databases[] = {
	    {"meta", &c->meta}, {"lanes", &c->lanes}, {"messages", &c->messages}, {"dead", &c->dead}};
	size_t missing = 0, count = sizeof databases / sizeof *databases;
	MDB_stat stat;
	MDB_dbi root;
	const char *name = "";
	for (size_t i = 0; i < count; i++)
		if (mdb_dbi_open(c->txn, databases[i].name, 0, databases[i].db) != 0) {
			name = databases[i].name;
			missing++;
		}
	if (missing == 0)
		return true;
	bool is_new = missing == count && mdb_dbi_open(c->txn, NULL, 0, &root) == 0 &&
		      mdb_stat(c->txn, root, &stat) == 0 && stat.ms_entries == 0;
	if (!is_new)
		find(c, MW_FINDING_CRASH, no_account(), "its database '%s' is missing or can't be opened",
		     name);
	return false;
}

/* False if what follows can't be understood. */
static bool check_meta(struct check *c)
{
	uint32_t format;
	uint8_t seen_key[16];
	if (get_meta(c, "format", &format, sizeof format) != 0) {
		find(c, MW_FINDING_META, no_account(), "its format is not told any more");
	} else if (format > MW_SPOOL_FORMAT) {
		find(c, MW_FINDING_FORMAT, no_account(),
		     "has format %u, this Moonweir knows formats up to %d", format, MW_SPOOL_FORMAT);
		return false;
	}
	if (get_meta(c, "seen_key", seen_key, sizeof seen_key) != 0)
		find(c, MW_FINDING_META, no_account(), "the key of its list of known ids is lost");
	return true;
}

static int check_all(struct check *c)
{
	MDB_cursor *rows, *packs;
	int rc = mdb_cursor_open(c->txn, c->lanes, &rows);
	if (rc == 0)
		rc = mdb_cursor_open(c->txn, c->messages, &packs);
	if (rc == 0)
		rc = check_numbers(c, rows, packs);
	if (rc != 0)
		return rc;
	check_total(c);
	mdb_cursor_close(rows);
	mdb_cursor_close(packs);
	mdb_txn_reset(c->txn);
	rc = mdb_txn_renew(c->txn);
	if (rc == 0)
		rc = check_each(c, c->messages, check_piece);
	end_pieces(c);
	if (rc == 0)
		rc = check_each(c, c->dead, check_letter);
	return rc;
}

static pid_t owner_of(const char *path)
{
	char file[PATH_ROOM];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	snprintf(file, sizeof file, "%.4080s/owner", path);
	int fd = open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool is_owned = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (fd >= 0)
		close(fd);
	return is_owned ? lock.l_pid : 0;
}

void mw_spool_check(const char *path, uint32_t partition, FILE *out)
{
	struct check c = {.out = out, .told = now_ms()};
	mw_buf_init(&c.joined, UINT32_MAX);
	c.sums = (struct mw_verify_record){
	    .kind = MW_VERIFY_PARTITION, .partition = partition, .owner = owner_of(path)};
	int rc = open_snapshot(&c, path);
	if (rc == 0 && open_databases(&c)) {
		/* Handles outlive their transaction only if it is committed. */
		rc = mdb_txn_commit(c.txn);
		c.txn = NULL;
		if (rc == 0)
			rc = mdb_txn_begin(c.env, NULL, MDB_RDONLY, &c.txn);
		if (rc == 0 && check_meta(&c))
			rc = check_all(&c);
	}
	if (rc != 0)
		find(&c, MW_FINDING_CRASH, no_account(), "can't be read: %s", mdb_strerror(rc));
	const struct mw_verify_counts *n = &c.sums.counts;
	c.sums.is_balanced = n->accepted == n->delivered + n->dead + n->queued;
	mw_verify_write(out, &c.sums);
	if (c.txn)
		mdb_txn_abort(c.txn);
	if (c.env)
		mdb_env_close(c.env);
	mw_buf_deinit(&c.joined);
}
