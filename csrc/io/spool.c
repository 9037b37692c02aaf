#include "spool_own.h"

#include "../core/checksum.h"
#include "directory.h"
#include "env_files.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum {
	LOOK_MAX = 8 * 1024 * 1024, /* bytes of the map that may stay in memory, about */
	RESERVE_SHARE = 8,          /* of disk_max, kept for settling beyond it */
	SEEN_SHARE = 8,             /* of disk_max, at most, for known ids */
};

int64_t mw_spool_wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct mw_spool_key mw_spool_key(uint32_t lane, uint64_t number)
{
	struct mw_spool_key key;
	for (int i = 0; i < 4; i++)
		key.bytes[i] = (uint8_t)(lane >> (24 - 8 * i));
	for (int i = 0; i < 8; i++)
		key.bytes[4 + i] = (uint8_t)(number >> (56 - 8 * i));
	return key;
}

void mw_spool_key_read(const MDB_val *key, uint32_t *lane, uint64_t *number)
{
	const uint8_t *at = key->mv_data;
	*lane = 0;
	*number = 0;
	for (size_t i = 0; i < 4 && i < key->mv_size; i++)
		*lane = *lane << 8 | at[i];
	for (size_t i = 4; i < 12 && i < key->mv_size; i++)
		*number = *number << 8 | at[i];
}

uint64_t mw_spool_letter_number(const MDB_val *key)
{
	const uint8_t *at = key->mv_data;
	uint64_t number = 0;
	for (size_t i = 0; i < 8 && i < key->mv_size; i++)
		number = number << 8 | at[i];
	return number;
}

uint64_t mw_spool_row_sum(const struct mw_spool_row *row, struct mw_span name)
{
	uint64_t sum = mw_checksum((const uint8_t *)row, offsetof(struct mw_spool_row, sum));
	return mw_checksum_step(sum, mw_checksum(name.at, name.len));
}

uint64_t mw_spool_total_sum(const struct mw_spool_total *t)
{
	return mw_checksum((const uint8_t *)t, offsetof(struct mw_spool_total, sum));
}

enum mw_err mw_spool_fail(struct mw_error *e, int rc, const char *what)
{
	enum mw_err err = rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT                    ? MW_FULL
			  : rc == ENOMEM                                                        ? MW_NO_MEMORY
			  : rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ? MW_CORRUPT
												: MW_IO;
	if (err == MW_CORRUPT)
		return mw_error_set(e, err, 0, "spool: %s: damaged (%s); `moonweir verify` tells what to do",
				    what, mdb_strerror(rc));
	return mw_error_set(e, err, 0, "spool: %s: %s", what, mdb_strerror(rc));
}

struct mw_spool_lane *mw_spool_lane(struct mw_spool *s, const struct mw_lane *lane)
{
	if (lane->number >= s->lane_room) {
		uint32_t room = lane->number + lane->number / 2 + 16;
		struct mw_spool_lane *lanes = realloc(s->lanes, room * sizeof *lanes);
		if (!lanes)
			return NULL;
		s->lanes = lanes;
		/* Each lane can be among the settled once. */
		uint32_t *settled = realloc(s->settled, room * sizeof *settled);
		if (!settled)
			return NULL;
		s->settled = settled;
		for (uint32_t i = s->lane_room; i < room; i++)
			s->lanes[i] = (struct mw_spool_lane){.plan_first = MW_SPOOL_NONE};
		s->lane_room = room;
	}
	s->lanes[lane->number].lane = lane;
	return &s->lanes[lane->number];
}

void mw_spool_bury(struct mw_spool *s, const struct mw_dead_letter *letter)
{
	struct mw_outbox_mark mark = mw_outbox_mark(&s->dying);
	enum mw_err err = mw_outbox_begin(&s->dying, letter->account, letter->tag, MW_PARCEL_DEAD);
	if (err == MW_OK)
		err = mw_dead_letter_write(&s->dying.bytes, letter);
	if (err == MW_OK)
		err = mw_outbox_end(&s->dying, mark);
	if (err != MW_OK) {
		mw_outbox_rollback(&s->dying, mark);
		s->stats.letters_lost++;
	}
}

/* ---- open */

static int put_meta(MDB_txn *txn, MDB_dbi meta, const char *name, const void *value, size_t len)
{
	MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v = {len, (void *)(uintptr_t)value};
	return mdb_put(txn, meta, &k, &v, 0);
}

static bool get_meta(MDB_txn *txn, MDB_dbi meta, const char *name, void *value, size_t len)
{
	MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v;
	if (mdb_get(txn, meta, &k, &v) != 0 || v.mv_size != len)
		return false;
	memcpy(value, v.mv_data, len);
	return true;
}

/* Each opening writes something. What is seen of the last commit may never have come to the disk, if that
 * failed: its pages are in memory as if they had. With a commit on top that does not matter any more, and
 * only then what is seen may be built on. */
static int count_opening(struct mw_spool *s, MDB_txn *txn)
{
	uint64_t openings = 0;
	get_meta(txn, s->meta, "openings", &openings, sizeof openings);
	openings++;
	return put_meta(txn, s->meta, "openings", &openings, sizeof openings);
}

/* Checks the format or, in a new partition, writes it. */
static enum mw_err check_format(struct mw_spool *s, MDB_txn *txn, struct mw_error *e)
{
	uint32_t format = 0;
	if (get_meta(txn, s->meta, "format", &format, sizeof format)) {
		if (format > MW_SPOOL_FORMAT)
			return mw_error_set(e, MW_VERSION, 0, MW_SPOOL_NEWER, format, MW_SPOOL_FORMAT);
		/* Nothing is decided by the total: `moonweir verify` tells if it is damaged. */
		if (!get_meta(txn, s->meta, "total", &s->total, sizeof s->total))
			s->total = (struct mw_spool_total){0};
		if (get_meta(txn, s->meta, "seen_key", s->seen_key, sizeof s->seen_key))
			return MW_OK;
		return mw_error_set(e, MW_CORRUPT, 0, "the spool has lost the key of its list of known ids");
	}
	format = MW_SPOOL_FORMAT;
	randombytes_buf(s->seen_key, sizeof s->seen_key);
	s->total.sum = mw_spool_total_sum(&s->total);
	int rc = put_meta(txn, s->meta, "format", &format, sizeof format);
	if (rc == 0)
		rc = put_meta(txn, s->meta, "seen_key", s->seen_key, sizeof s->seen_key);
	if (rc == 0)
		rc = put_meta(txn, s->meta, "total", &s->total, sizeof s->total);
	return rc == 0 ? MW_OK : mw_spool_fail(e, rc, "not written");
}

static enum mw_err open_databases(struct mw_spool *s, MDB_txn *txn, struct mw_error *e)
{
	const struct {
		const char *name;
		MDB_dbi *db;
	} databases[] = {
	    {"meta", &s->meta}, {"lanes", &s->lane_rows}, {"messages", &s->messages}, {"dead", &s->dead}};
	for (size_t i = 0; i < sizeof databases / sizeof *databases; i++) {
		int rc = mdb_dbi_open(txn, databases[i].name, MDB_CREATE, databases[i].db);
		if (rc != 0)
			return mw_spool_fail(e, rc, databases[i].name);
		if (i == 0) {
			enum mw_err err = check_format(s, txn, e);
			if (err != MW_OK)
				return err;
		}
	}
	/* Not the last one's and one: whoever has written down the number of a letter that is gone must not
	 * find another under it. */
	get_meta(txn, s->meta, "next_dead", &s->next_dead, sizeof s->next_dead);
	return MW_OK;
}

static enum mw_err open_seen(struct mw_spool *s, MDB_txn *txn, struct mw_error *e)
{
	const uint64_t most = s->disk_max / SEEN_SHARE / MW_SEEN_BYTES;
	const uint64_t asked = s->config.repeats_max ? s->config.repeats_max : MW_REPEATS_MAX;
	if (s->config.repeats_ms <= 0)
		return MW_OK;
	struct mw_seen_config config = {.window_s = mw_spool_seconds(s->config.repeats_ms + 999),
					.max = asked < most ? asked : most};
	memcpy(config.key, s->seen_key, sizeof config.key);
	int rc = mw_seen_open(&config, txn, mw_spool_seconds(mw_spool_wall()), &s->seen);
	return rc == 0 ? MW_OK : mw_spool_fail(e, rc, "known ids");
}

/* What was settled must find room even if the file is larger than it may be by now: disk_max was lowered. */
static int settle_map(struct mw_spool *s)
{
	MDB_envinfo info;
	MDB_stat stat;
	int fd;
	mdb_env_info(s->env, &info);
	mdb_env_stat(s->env, &stat);
	s->page = stat.ms_psize;
	uint64_t least = ((uint64_t)info.me_last_pgno + 1) * s->page + s->disk_max / RESERVE_SHARE;
	int rc = info.me_mapsize < least ? mdb_env_set_mapsize(s->env, least) : 0;
	/* Only now: setting its size moves it. */
	if (rc == 0 && mdb_env_get_fd(s->env, &fd) == 0)
		s->map = mw_env_map_find(fd);
	return rc;
}

static enum mw_err open_environment(struct mw_spool *s, const char *path, struct mw_error *e)
{
	int dead_readers;
	MDB_txn *txn;
	int rc = mw_env_files_make(path, false);
	if (rc == 0)
		rc = mdb_env_create(&s->env);
	if (rc != 0)
		return mw_spool_fail(e, rc, path);
	mdb_env_set_maxdbs(s->env, MW_SPOOL_DATABASES);
	rc = mdb_env_set_mapsize(s->env, s->disk_max + s->disk_max / RESERVE_SHARE);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, MW_SPOOL_ENV_FLAGS, 0600);
	if (rc == 0)
		mw_env_files_lengthen(s->env);
	if (rc == 0)
		rc = settle_map(s);
	if (rc == 0)
		rc = mw_env_files_settle(s->env);
	if (rc == 0)
		rc = mdb_reader_check(s->env, &dead_readers);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc != 0)
		return mw_spool_fail(e, rc, path);
	enum mw_err err = open_databases(s, txn, e);
	if (err == MW_OK)
		err = open_seen(s, txn, e);
	if (err != MW_OK) {
		mdb_txn_abort(txn);
		return err;
	}
	rc = count_opening(s, txn);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader);
	if (rc == 0)
		rc = mdb_cursor_open(s->reader, s->messages, &s->cursor);
	if (rc != 0)
		return mw_spool_fail(e, rc, path);
	mdb_txn_reset(s->reader);
	return MW_OK;
}

void mw_spool_look(struct mw_spool *s, size_t bytes)
{
	/* The path to what was looked at, too. */
	s->looked_at += bytes + s->page;
	if (s->looked_at < LOOK_MAX)
		return;
	mw_env_map_let_go(&s->map);
	s->looked_at = 0;
}

static uint64_t dead_bytes_default(uint64_t disk_max)
{
	uint64_t share = disk_max / MW_DEAD_SHARE;
	return share < MW_DEAD_BYTES_DEFAULT ? share : MW_DEAD_BYTES_DEFAULT;
}

enum mw_err mw_spool_open(const struct mw_spool_config *config, int64_t now, struct mw_spool **out,
			  struct mw_error *e)
{
	struct mw_partition partition;
	enum mw_err err = mw_directory_open(config->dir, e);
	if (err != MW_OK)
		return err;
	mw_partition_enter();
	err = mw_partition_take(&partition, config->dir, e);
	if (err == MW_OK)
		return mw_spool_open_partition(config, &partition, now, out, e);
	mw_partition_leave();
	return err;
}

enum mw_err mw_spool_open_partition(const struct mw_spool_config *config,
				    const struct mw_partition *partition, int64_t now, struct mw_spool **out,
				    struct mw_error *e)
{
	struct mw_spool *s = calloc(1, sizeof *s);
	if (!s) {
		struct mw_partition taken = *partition;
		mw_partition_release(&taken);
		mw_partition_leave();
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the spool");
	}
	s->config = *config;
	s->config.dir = NULL;
	s->partition = *partition;
	s->stats.partition = partition->number;
	s->disk_max = config->disk_max ? config->disk_max : MW_DISK_DEFAULT;
	if (s->disk_max < MW_DISK_MIN)
		s->disk_max = MW_DISK_MIN;
	s->dead_bytes_max = config->dead_bytes ? config->dead_bytes : dead_bytes_default(s->disk_max);
	/* Letters are written to the reserve too, which must not be all theirs. */
	if (s->dead_bytes_max > s->disk_max / (RESERVE_SHARE + 1))
		s->dead_bytes_max = s->disk_max / (RESERVE_SHARE + 1);
	s->stats.disk_max = s->disk_max;
	s->clock_ahead = mw_spool_wall() - now;
	s->now = now;
	mw_outbox_init(&s->dying, SIZE_MAX);
	mw_buf_init(&s->joined, SIZE_MAX);
	mw_buf_init(&s->batch, SIZE_MAX);
	enum mw_err err =
	    sodium_init() < 0 ? mw_error_set(e, MW_IO, 0, "libsodium found no source of randomness") : MW_OK;
	/* Memory that is short later must not look like a damaged disk. */
	if (err == MW_OK && mw_buf_reserve(&s->joined, sizeof(struct mw_pack_head) +
							   mw_pack_record_size(MW_MESSAGE_MAX)) != MW_OK)
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the spool");
	if (err == MW_OK)
		err = open_environment(s, s->partition.path, e);
	if (err == MW_OK)
		mw_partition_share(&s->partition, s);
	mw_partition_leave();
	if (err != MW_OK) {
		mw_spool_close(s);
		return err;
	}
	*out = s;
	return MW_OK;
}

void mw_spool_close(struct mw_spool *s)
{
	if (!s)
		return;
	mw_partition_enter();
	if (s->cursor)
		mdb_cursor_close(s->cursor);
	if (s->reader)
		mdb_txn_abort(s->reader);
	if (s->env)
		mdb_env_close(s->env);
	mw_partition_release(&s->partition);
	mw_seen_close(s->seen);
	mw_partition_leave();
	mw_outbox_deinit(&s->dying);
	mw_buf_deinit(&s->joined);
	mw_buf_deinit(&s->batch);
	free(s->lanes);
	free(s->plan);
	free(s->touched);
	free(s->settled);
	free(s);
}

/* ---- restore */

/* The lane's newest and oldest packs say how much is queued. MW_CORRUPT if the newest can't be read: then
 * nobody knows how many messages there were. */
static enum mw_err restore_queue(struct mw_spool *s, MDB_cursor *messages, uint32_t number, int64_t *since,
				 struct mw_error *e)
{
	struct mw_spool_lane *l = &s->lanes[number];
	struct mw_spool_key at = mw_spool_key(number + 1, 0);
	MDB_val key = {sizeof at.bytes, at.bytes}, value;
	struct mw_pack_head newest, oldest;
	uint32_t lane;
	uint64_t first;
	l->tail = l->head;
	l->tail_bytes = l->head_bytes;
	int rc = mdb_cursor_get(messages, &key, &value, MDB_SET_RANGE);
	rc = mw_pieces_seek(messages, &key, &value, rc == 0 ? MDB_PREV : MDB_LAST);
	if (rc == MDB_NOTFOUND)
		return MW_OK;
	if (rc != 0)
		return mw_spool_fail(e, rc, "not read");
	mw_spool_key_read(&key, &lane, &first);
	if (lane != number)
		return MW_OK;
	if (!mw_pack_head(mw_spool_span(&value), &newest))
		return mw_error_set(
		    e, MW_CORRUPT, 0,
		    "the spool's newest pack of lane %u is damaged; `moonweir verify` tells more", number);
	/* Settled, and still there: it takes up room and is no more than that. */
	if (first + newest.count <= l->head)
		return MW_OK;
	l->tail = first + newest.count;
	l->tail_bytes = newest.bytes_before + newest.bytes;
	at = mw_spool_key(number, 0);
	key = (MDB_val){sizeof at.bytes, at.bytes};
	rc = mw_pieces_seek(messages, &key, &value, MDB_SET_RANGE);
	*since = (rc == 0 && mw_pack_head(mw_spool_span(&value), &oldest) ? oldest.since : newest.since) -
		 s->clock_ahead;
	return MW_OK;
}

static enum mw_err restore_lane(struct mw_spool *s, struct mw_weir *w, MDB_cursor *messages,
				const MDB_val *key, const MDB_val *value, int64_t now, struct mw_error *e)
{
	struct mw_spool_row row;
	uint64_t unused;
	uint32_t number;
	mw_spool_key_read(key, &number, &unused);
	struct mw_span name = {(const uint8_t *)value->mv_data + sizeof row, value->mv_size - sizeof row};
	if (value->mv_size < sizeof row || name.len > MW_ACCOUNT_MAX)
		return mw_error_set(e, MW_CORRUPT, 0, "the spool's lane %u is damaged", number);
	memcpy(&row, value->mv_data, sizeof row);
	if (row.sum != mw_spool_row_sum(&row, name))
		return mw_error_set(e, MW_CORRUPT, 0, "the spool's lane %u is damaged", number);
	struct mw_lane *lane = mw_weir_open_lane(w, name);
	struct mw_spool_lane *l = lane ? mw_spool_lane(s, lane) : NULL;
	if (!l)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the spool's lanes");
	if (lane->number != number)
		return mw_error_set(e, MW_CORRUPT, 0, "the spool's lane %u is not where it should be",
				    number);
	l->head = row.head;
	l->head_bytes = row.head_bytes;
	l->dead = row.dead;
	l->moved = row.moved;
	s->rows = number + 1;
	int64_t since = now;
	enum mw_err err = restore_queue(s, messages, number, &since, e);
	if (err != MW_OK)
		return err;
	mw_spool_look(s, 2 * s->page);
	const struct mw_counts counts = {.accepted = l->tail - l->moved,
					 .delivered = l->head - l->dead - l->moved,
					 .dead = l->dead,
					 .queued = l->tail - l->head};
	mw_weir_restore(w, lane, &counts, l->tail_bytes - l->head_bytes, since < now ? since : now, now);
	return MW_OK;
}

enum mw_err mw_spool_restore(struct mw_spool *s, struct mw_weir *w, int64_t now, struct mw_error *e)
{
	MDB_cursor *rows, *messages;
	MDB_val key, value;
	enum mw_err err = MW_OK;
	int rc = mdb_txn_renew(s->reader);
	if (rc != 0)
		return mw_spool_fail(e, rc, "not read");
	rc = mdb_cursor_open(s->reader, s->lane_rows, &rows);
	if (rc == 0) {
		rc = mdb_cursor_open(s->reader, s->messages, &messages);
		if (rc == 0) {
			while (err == MW_OK && (rc = mdb_cursor_get(rows, &key, &value, MDB_NEXT)) == 0)
				err = restore_lane(s, w, messages, &key, &value, now, e);
			mdb_cursor_close(messages);
		}
		mdb_cursor_close(rows);
	}
	mdb_txn_reset(s->reader);
	return err == MW_OK && rc != 0 && rc != MDB_NOTFOUND ? mw_spool_fail(e, rc, "not read") : err;
}

struct mw_spool_stats mw_spool_stats(const struct mw_spool *s)
{
	struct mw_spool_stats stats = s->stats;
	if (s->seen) {
		const struct mw_seen_stats seen = mw_seen_stats(s->seen);
		stats.seen = seen.count;
		stats.seen_dropped = seen.dropped;
	}
	return stats;
}
