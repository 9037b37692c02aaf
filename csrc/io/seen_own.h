/* seen_own.h -- what seen.c (ids in memory, and what is forgotten) and seen_rows.c (the tables) share.
 *
 * Runs are numbered in the order of their sealing. All keys begin with such a number, so what was forgotten
 * is what the tables begin with, and is swept from there, a few rows a commit:
 *
 *     seen_log    (run it will go to, row)            -> seconds u32, up to 339 ids
 *     seen_words  (run, 0)                            -> struct mw_seen_run, written last: the run is whole
 *                 (run, 1 ...)                        -> first words of up to 1020 ids, sorted
 *     seen_ids    (run, mw_seen_top of the row's last) -> up to 340 ids, sorted
 *
 * A row is at most what goes into one page of 4096 bytes.
 */
#ifndef MW_SEEN_OWN_H
#define MW_SEEN_OWN_H

#include "seen.h"
#include "seen_index.h"

enum {
	MW_SEEN_ROW = 340,              /* ids in a row of seen_ids */
	MW_SEEN_UNIT = 3 * MW_SEEN_ROW, /* and in a row of seen_words: what is sealed at a time */
	MW_SEEN_LOG_ROW = MW_SEEN_ROW - 1,
	MW_SEEN_RUN_MAX = 1 << 18, /* ids in a run, or a sixteenth of the bound if that is less */
	MW_SEEN_RUNS_MAX = 192,
};

struct mw_seen_run {
	uint32_t number;
	uint32_t count;
	uint32_t first_s; /* when its ids were seen */
	uint32_t last_s;
};

/* Ids that are not in a run yet. */
struct mw_seen_stage {
	struct mw_seen_set set;
	struct mw_seen_run run; /* what is to become of them; `count` is the set's */
};

struct mw_seen_part {
	struct mw_seen_index index;
	uint32_t number[MW_SEEN_INDEX_RUNS];
	unsigned live; /* bit i: run i of the index is not forgotten */
};

/* What a transaction that fails takes back. */
struct mw_seen_progress {
	uint64_t log_next; /* the next row's number */
	uint32_t recent;   /* ids in it */
	uint32_t first_s;
	uint32_t last_s;
	uint32_t sealed; /* ids of `sorted` that are on disk */
	bool is_sealed;  /* and all that makes them a run */
};

struct mw_seen {
	struct mw_seen_config config;
	uint32_t run_ids; /* ids in a run */
	MDB_dbi log, words, ids;

	struct mw_seen_stage recent;
	struct mw_seen_stage sealing; /* nothing: sorted is NULL */
	struct mw_seen_id *sorted;
	uint32_t sealed;
	bool is_sealed;
	bool is_swept; /* nothing that was forgotten is left in the tables */
	uint64_t log_next;

	struct mw_seen_run runs[MW_SEEN_RUNS_MAX]; /* oldest first */
	uint32_t run_count;
	struct mw_seen_part parts[MW_SEEN_RUNS_MAX];
	uint32_t part_count;
	uint64_t run_total; /* ids in all runs */
	uint64_t dropped;

	MDB_txn *txn; /* the one under way */
	MDB_cursor *cursor;
	uint32_t now_s;
	struct mw_seen_progress before;
};

/* Seconds that an id was seen ago. */
static inline int64_t mw_seen_age(const struct mw_seen *s, const struct mw_seen_run *run)
{
	return (int64_t)s->now_s - run->last_s;
}

/* The first run that is not forgotten, and the first that is not sealed. */
uint32_t mw_seen_first_run(const struct mw_seen *s);
uint32_t mw_seen_first_log(const struct mw_seen *s);

/* Puts runs into an index: all of them, or none and false. */
bool mw_seen_add_runs(struct mw_seen *s, const struct mw_seen_run *runs, const struct mw_seen_words *words,
		      uint32_t count);

/* Opens the tables and reads what they remember. */
int mw_seen_load(struct mw_seen *s);

/* Is the id in this run? */
int mw_seen_in_run(struct mw_seen *s, uint32_t number, const struct mw_seen_id *id, bool *is_in);

int mw_seen_put_head(struct mw_seen *s, const struct mw_seen_run *run);
int mw_seen_put_log(struct mw_seen *s, const struct mw_seen_id *ids, uint32_t count);

/* The next ids of `sorted`, and the run's head behind the last. */
int mw_seen_put_sorted(struct mw_seen *s, uint32_t units);

/* Removes rows of what was forgotten, at most so many from each table. */
int mw_seen_sweep(struct mw_seen *s, uint32_t rows);

#endif
