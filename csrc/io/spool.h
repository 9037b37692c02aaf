/* spool.h -- messages on disk until their verdict: the store (core/store.h) that survives a crash.
 *
 * A spool is a directory; in it each process that sends has a partition of its own, an LMDB environment:
 *
 *     <dir>/p0/            owned by one process at a time (a lock that dies with it)
 *         lanes            number -> account, how far it is settled
 *         messages         (lane, number of the first message) -> a pack of messages (spool_pieces.h)
 *         dead             what can't be delivered, until somebody looks at it
 *         seen_...         ids that were accepted, so that a repeat is not queued twice (seen.h)
 *
 * Everything is written in one place, `commit`: one transaction, synced, holds the new messages and what
 * became of old ones. Messages that are settled leave with the next commit; after a crash between the two
 * they are sent once more, with the same messageId.
 *
 *     plan     which messages of a box go to which lane (the weir is looked at)
 *     commit   a transaction, synced (waits for the disk; the weir is left alone)
 *     apply    the weir is told what is there now
 *
 * A batch is read straight from LMDB's map, and opening does not look at the backlog: memory does not grow
 * with it. What is written costs free pages of the file first; `disk_max` bounds the file, with a reserve
 * beyond it for settling, and space for that is allocated ahead.
 *
 * Dead letters stay until they are dropped (dead.h), get older than `dead_ms`, or take more room than
 * `dead_bytes`: then each commit drops a few of the oldest, and counts them.
 *
 * One thread owns it. Letters are read from others too, through dead.h.
 */
#ifndef MW_SPOOL_H
#define MW_SPOOL_H

#include "../core/outbox.h"
#include "../core/weir.h"

/* The file's size without an option, and the least that is of use. */
#define MW_DISK_DEFAULT (UINT64_C(10) << 30)
#define MW_DISK_MIN     (UINT64_C(4) << 20)

/* Ids remembered without an option: 70 MB of memory, 1 GB of disk, if there are as many. */
#define MW_REPEATS_MAX (UINT64_C(32) << 20)

/* Dead letters, without an option. */
#define MW_DEAD_DAYS_DEFAULT  30
#define MW_DEAD_BYTES_DEFAULT (UINT64_C(1) << 30)
#define MW_DEAD_SHARE         10

struct mw_spool;

struct mw_spool_config {
	const char *dir;
	uint64_t disk_max;    /* bytes; 0: MW_DISK_DEFAULT */
	int64_t repeats_ms;   /* how long an id is remembered, a sixteenth more at most; 0: not at all */
	uint64_t repeats_max; /* ids remembered; 0: MW_REPEATS_MAX. They never take more than an eighth of
				 disk_max */
	int64_t dead_ms;      /* how long a dead letter is kept; 0: as long as there is room */
	uint64_t dead_bytes;  /* room for dead letters, at most a ninth of disk_max; 0: a tenth of it, at most
			       * MW_DEAD_BYTES_DEFAULT */
	struct mw_report_to report;
	bool report_delivered; /* of each delivered message too: costs a look at it */
};

/* Opens the first partition that no living process owns, made if there is none. MW_IO (directory.h),
 * MW_LOCKED (MW_PARTITIONS_MAX processes have one), MW_VERSION, MW_CORRUPT, MW_NO_MEMORY. `now` is the
 * monotonic clock. */
enum mw_err mw_spool_open(const struct mw_spool_config *config, int64_t now, struct mw_spool **out,
			  struct mw_error *e);

/* Without a commit: what was planned or settled since the last one is as after a crash. */
void mw_spool_close(struct mw_spool *s);

/* The weir, new and empty, gets the lanes and what is queued in them. */
enum mw_err mw_spool_restore(struct mw_spool *s, struct mw_weir *w, int64_t now, struct mw_error *e);

/* What mw_weir_config.store is to be. */
struct mw_store mw_spool_store(struct mw_spool *s);

/* The box's messages, each to its lane. The box must stay as it is until apply. MW_NO_MEMORY: nothing is
 * planned.
 */
enum mw_err mw_spool_plan(struct mw_spool *s, struct mw_weir *w, const struct mw_outbox *box);

/* Is there a plan that is not applied yet? */
bool mw_spool_is_planned(const struct mw_spool *s);

/* MW_OK: what was planned and settled is on disk. MW_FULL: no room for what was planned, which stays planned;
 * what was settled is on disk. MW_IO: the disk failed, and the spool is of no further use: every later commit
 * says so too. */
enum mw_err mw_spool_commit(struct mw_spool *s, int64_t now, struct mw_error *e);

/* After MW_OK: the weir gets what was planned. */
void mw_spool_apply(struct mw_spool *s, struct mw_weir *w, int64_t now);

/* Is something settled that the disk does not know of? */
bool mw_spool_has_settled(const struct mw_spool *s);

/* The request's messages, a comma between each two, take the place of what is in `out`, whose room is the
 * spool's from now on. MW_CORRUPT, MW_NO_MEMORY. */
enum mw_err mw_spool_read(struct mw_spool *s, const struct mw_request *r, struct mw_buf *out);

struct mw_spool_stats {
	uint64_t commits;
	uint64_t commit_us_max; /* the slowest so far */
	uint64_t disk_bytes;    /* of the file */
	uint64_t disk_max;
	uint64_t repeats;      /* messages not queued since their id was known */
	uint64_t seen;         /* ids remembered */
	uint64_t seen_dropped; /* ids forgotten before their time, since there were too many */
	uint64_t damaged;      /* messages that could not be read any more */
	uint64_t letters_lost; /* dead letters that there was no memory for */
	uint64_t letters;      /* dead letters that are kept, as of the last commit ... */
	uint64_t letter_bytes; /* ... and the room that they take */
	uint64_t dead_dropped; /* those that got too old or too many */
	unsigned partition;
};
struct mw_spool_stats mw_spool_stats(const struct mw_spool *s);

#endif
