#include "seen_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Big endian, so that they sort. */
struct key {
	uint8_t bytes[12];
};

static struct key key_of(uint32_t run, uint64_t row)
{
	struct key key;
	for (unsigned i = 0; i < 4; i++)
		key.bytes[i] = (uint8_t)(run >> (24 - 8 * i));
	for (unsigned i = 0; i < 8; i++)
		key.bytes[4 + i] = (uint8_t)(row >> (56 - 8 * i));
	return key;
}

static void read_key(const MDB_val *key, uint32_t *run, uint64_t *row)
{
	const uint8_t *at = key->mv_data;
	*run = 0;
	*row = 0;
	for (size_t i = 0; i < 4 && i < key->mv_size; i++)
		*run = *run << 8 | at[i];
	for (size_t i = 4; i < 12 && i < key->mv_size; i++)
		*row = *row << 8 | at[i];
}

static int put(MDB_txn *txn, MDB_dbi table, struct key key, const void *value, size_t len, unsigned flags)
{
	MDB_val k = {sizeof key.bytes, key.bytes}, v = {len, (void *)(uintptr_t)value};
	return mdb_put(txn, table, &k, &v, flags);
}

/* From this key on, the first. */
static int get_from(MDB_cursor *cursor, uint32_t run, uint64_t row, MDB_val *key, MDB_val *value)
{
	struct key from = key_of(run, row);
	*key = (MDB_val){sizeof from.bytes, from.bytes};
	return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
}

/* ---- what a transaction writes */

int mw_seen_put_head(struct mw_seen *s, const struct mw_seen_run *run)
{
	return put(s->txn, s->words, key_of(run->number, 0), run, sizeof *run, 0);
}

int mw_seen_put_log(struct mw_seen *s, const struct mw_seen_id *ids, uint32_t count)
{
	uint32_t row[1 + 3 * MW_SEEN_LOG_ROW];
	int rc = 0;
	row[0] = s->now_s;
	for (uint32_t n; rc == 0 && count > 0; ids += n, count -= n) {
		n = count < MW_SEEN_LOG_ROW ? count : MW_SEEN_LOG_ROW;
		memcpy(row + 1, ids, n * sizeof *ids);
		rc = put(s->txn, s->log, key_of(s->recent.run.number, s->log_next++), row,
			 sizeof *row + n * sizeof *ids, MDB_APPEND);
	}
	return rc;
}

static int put_unit(struct mw_seen *s)
{
	const struct mw_seen_run *run = &s->sealing.run;
	const uint32_t left = run->count - s->sealed, count = left < MW_SEEN_UNIT ? left : MW_SEEN_UNIT;
	const struct mw_seen_id *ids = s->sorted + s->sealed;
	uint32_t words[MW_SEEN_UNIT];
	int rc = 0;
	for (uint32_t i = 0; i < count; i++)
		words[i] = ids[i].word[0];
	for (uint32_t i = 0, n; rc == 0 && i < count; i += n) {
		n = count - i < MW_SEEN_ROW ? count - i : MW_SEEN_ROW;
		rc = put(s->txn, s->ids, key_of(run->number, mw_seen_top(&ids[i + n - 1])), ids + i,
			 n * sizeof *ids, 0);
	}
	if (rc == 0)
		rc = put(s->txn, s->words, key_of(run->number, 1 + s->sealed / MW_SEEN_UNIT), words,
			 count * sizeof *words, 0);
	s->sealed += count;
	return rc;
}

int mw_seen_put_sorted(struct mw_seen *s, uint32_t units)
{
	int rc = 0;
	for (; rc == 0 && units > 0 && s->sealed < s->sealing.run.count; units--)
		rc = put_unit(s);
	if (rc != 0 || s->sealed < s->sealing.run.count)
		return rc;
	s->is_sealed = true;
	return mw_seen_put_head(s, &s->sealing.run);
}

/* ---- what it removes */

/* Rows from `from` up to run `to`, not more than `rows`. MDB_NOTFOUND: no more there. */
static int remove_rows(MDB_txn *txn, MDB_dbi table, uint32_t from, uint32_t to, uint32_t rows)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint32_t run;
	uint64_t row;
	int rc = mdb_cursor_open(txn, table, &cursor);
	if (rc == 0)
		rc = get_from(cursor, from, 0, &key, &value);
	for (; rc == 0; rows--) {
		read_key(&key, &run, &row);
		if (run >= to)
			return MDB_NOTFOUND;
		if (rows == 0)
			return 0;
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0)
			rc =
			    mdb_cursor_get(cursor, &key, &value, MDB_NEXT); /* after del: the one behind it */
	}
	return rc;
}

int mw_seen_sweep(struct mw_seen *s, uint32_t rows)
{
	const uint32_t first = mw_seen_first_run(s);
	int log = remove_rows(s->txn, s->log, 0, mw_seen_first_log(s), rows);
	int rc = log != 0 && log != MDB_NOTFOUND ? log : remove_rows(s->txn, s->ids, 0, first, rows);
	/* Words go last: a run's head is there for as long as any of it. */
	if (rc == MDB_NOTFOUND)
		rc = remove_rows(s->txn, s->words, 0, first, rows);
	s->is_swept = log == MDB_NOTFOUND && rc == MDB_NOTFOUND;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- what it reads */

/* Values are not always aligned. */
static struct mw_seen_id id_at(const MDB_val *row, size_t i)
{
	struct mw_seen_id id;
	memcpy(&id, (const uint8_t *)row->mv_data + i * sizeof id, sizeof id);
	return id;
}

static bool row_has(const MDB_val *row, const struct mw_seen_id *id)
{
	const size_t count = row->mv_size / sizeof *id;
	struct mw_seen_id at;
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		at = id_at(row, middle);
		if (mw_seen_top(&at) < mw_seen_top(id))
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count; low++) {
		at = id_at(row, low);
		if (mw_seen_top(&at) != mw_seen_top(id))
			return false;
		if (mw_seen_is_same(&at, id))
			return true;
	}
	return false;
}

int mw_seen_in_run(struct mw_seen *s, uint32_t number, const struct mw_seen_id *id, bool *is_in)
{
	MDB_val key, value;
	uint32_t run;
	uint64_t row;
	int rc = s->cursor ? 0 : mdb_cursor_open(s->txn, s->ids, &s->cursor);
	if (rc == 0)
		rc = get_from(s->cursor, number, mw_seen_top(id), &key, &value);
	*is_in = false;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return rc;
	read_key(&key, &run, &row);
	*is_in = run == number && row_has(&value, id);
	return 0;
}

/* A run's first words, to be freed. NULL if the rows are not what the head says, or memory is short (*rc). */
static uint32_t *read_words(MDB_cursor *cursor, const struct mw_seen_run *head, int *rc)
{
	MDB_val key, value;
	uint32_t run, *words = malloc(head->count * sizeof *words);
	uint64_t row;
	size_t len = 0;
	const size_t want = head->count * sizeof *words;
	*rc = words ? get_from(cursor, head->number, 1, &key, &value) : ENOMEM;
	while (*rc == 0 && len < want) {
		read_key(&key, &run, &row);
		if (run != head->number || value.mv_size > want - len)
			break;
		memcpy((uint8_t *)words + len, value.mv_data, value.mv_size);
		len += value.mv_size;
		*rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (*rc == MDB_NOTFOUND)
		*rc = 0;
	if (*rc == 0 && len == want)
		return words;
	free(words);
	return NULL;
}

/* Heads of whole runs that are not out of the window, oldest first; the newest if there are too many. */
static int read_heads(MDB_cursor *cursor, struct mw_seen_run *heads, uint32_t *count)
{
	MDB_val key, value;
	uint32_t run;
	uint64_t row;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	*count = 0;
	while (rc == 0) {
		struct mw_seen_run head;
		read_key(&key, &run, &row);
		if (row == 0 && value.mv_size == sizeof head) {
			memcpy(&head, value.mv_data, sizeof head);
			if (head.number == run && head.count > 0 && head.count <= MW_SEEN_SET_MAX) {
				if (*count == MW_SEEN_RUNS_MAX)
					memmove(heads, heads + 1, --*count * sizeof *heads);
				heads[(*count)++] = head;
			}
		}
		if (run == UINT32_MAX)
			break;
		rc = get_from(cursor, run + 1, 0, &key, &value);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int load_runs(struct mw_seen *s, uint32_t *behind)
{
	struct mw_seen_run heads[MW_SEEN_RUNS_MAX];
	struct mw_seen_words words[MW_SEEN_INDEX_RUNS];
	uint32_t *held[MW_SEEN_INDEX_RUNS], count = 0;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(s->txn, s->words, &cursor);
	if (rc == 0)
		rc = read_heads(cursor, heads, &count);
	*behind = count > 0 ? heads[count - 1].number + 1 : 0;
	for (uint32_t i = 0; rc == 0 && i < count;) {
		/* So many at once that an index is made in one pass. */
		struct mw_seen_run runs[MW_SEEN_INDEX_RUNS];
		unsigned n = 0;
		for (; rc == 0 && n < MW_SEEN_INDEX_RUNS && i < count; i++) {
			if (mw_seen_age(s, &heads[i]) > s->config.window_s)
				continue;
			held[n] = read_words(cursor, &heads[i], &rc);
			if (!held[n])
				continue;
			words[n] = (struct mw_seen_words){held[n], 1, heads[i].count};
			runs[n++] = heads[i];
		}
		if (rc == 0 && !mw_seen_add_runs(s, runs, words, n))
			rc = ENOMEM;
		while (n > 0)
			free(held[--n]);
	}
	return rc;
}

/* A row of the log into the recent ids. */
static int load_row(struct mw_seen *s, uint32_t run, const MDB_val *value)
{
	struct mw_seen_stage *recent = &s->recent;
	uint32_t seconds;
	if (value->mv_size < sizeof seconds)
		return 0;
	memcpy(&seconds, value->mv_data, sizeof seconds);
	if (run != recent->run.number && recent->set.count > 0) {
		/* What was being sealed comes before what is recent. */
		mw_seen_set_deinit(&s->sealing.set);
		s->sealing = *recent;
		*recent = (struct mw_seen_stage){.run = {.number = run}};
	}
	recent->run.number = run;
	if (recent->set.count == 0)
		recent->run.first_s = seconds;
	recent->run.last_s = seconds;
	const uint8_t *at = value->mv_data;
	for (size_t i = sizeof seconds; i + sizeof(struct mw_seen_id) <= value->mv_size;
	     i += sizeof(struct mw_seen_id)) {
		struct mw_seen_id id;
		memcpy(&id, at + i, sizeof id);
		if (!mw_seen_set_add(&recent->set, &id))
			return ENOMEM;
	}
	return 0;
}

static int load_log(struct mw_seen *s, uint32_t behind)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint32_t run = behind;
	s->recent.run.number = behind;
	int rc = mdb_cursor_open(s->txn, s->log, &cursor);
	if (rc == 0)
		rc = get_from(cursor, behind, 0, &key, &value);
	while (rc == 0) {
		read_key(&key, &run, &s->log_next);
		s->log_next++;
		rc = load_row(s, run, &value);
		if (rc == 0)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	if (rc != MDB_NOTFOUND)
		return rc;
	if (s->sealing.set.count == 0)
		return 0;
	/* Sealing begins anew. */
	s->sealing.run.count = s->sealing.set.count;
	s->sorted = mw_seen_set_sorted(&s->sealing.set);
	return s->sorted ? 0 : ENOMEM;
}

int mw_seen_load(struct mw_seen *s)
{
	const struct {
		const char *name;
		MDB_dbi *table;
	} tables[MW_SEEN_TABLES] = {{"seen_log", &s->log}, {"seen_words", &s->words}, {"seen_ids", &s->ids}};
	uint32_t behind = 0;
	int rc = 0;
	for (size_t i = 0; i < MW_SEEN_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(s->txn, tables[i].name, MDB_CREATE, tables[i].table);
	if (rc == 0)
		rc = load_runs(s, &behind);
	if (rc == 0)
		rc = load_log(s, behind);
	/* What was written of a run that is not whole. */
	if (rc == 0)
		rc = remove_rows(s->txn, s->words, behind, UINT32_MAX, UINT32_MAX);
	if (rc == 0 || rc == MDB_NOTFOUND)
		rc = remove_rows(s->txn, s->ids, behind, UINT32_MAX, UINT32_MAX);
	return rc == MDB_NOTFOUND ? 0 : rc;
}
