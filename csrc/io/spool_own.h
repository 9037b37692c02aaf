/* spool_own.h -- what the spool's files share: spool.c (open, restore), spool_commit.c (everything that is
 * written), spool_room.c (whether it may be), spool_read.c (the weir's side); and who looks into a spool from
 * outside: adoption.c, dead.c, spool_check*.c.
 */
#ifndef MW_SPOOL_OWN_H
#define MW_SPOOL_OWN_H

#include "../core/dead_letter.h"
#include "../core/message.h"
#include "../core/pack.h"
#include "env_map.h"
#include "partition.h"
#include "seen.h"
#include "spool.h"
#include "spool_pieces.h"

#include <lmdb.h>

/* A lane as the spool sees it. Messages are numbered from 0, the lane's first ever. */
struct mw_spool_lane {
	const struct mw_lane *lane;
	uint64_t head; /* the oldest that is not settled */
	uint64_t tail; /* the next to come */
	uint64_t head_bytes;
	uint64_t tail_bytes; /* of all messages before */
	uint64_t dead;
	uint64_t moved;  /* of those settled: to another partition */
	uint32_t copied; /* by mw_spool_copy: these are about to move */
	uint64_t copied_bytes;
	uint32_t plan_first; /* its chain in the plan */
	uint32_t plan_last;
	uint32_t plan_count; /* taken by the commit under way ... */
	uint64_t plan_bytes; /* ... and their bytes */
	bool is_settled;     /* is in `settled`: the row is behind */
};

/* A message on its way to the disk. */
struct mw_spool_plan {
	struct mw_span message;
	int64_t tag;
	uint32_t next; /* in its lane's chain; MW_SPOOL_NONE: the last */
	bool is_repeatable;
	bool is_repeat; /* found out by commit */
};

#define MW_SPOOL_NONE UINT32_MAX

/* Which messages `batch` holds. */
struct mw_spool_batch {
	const struct mw_lane *lane; /* NULL: none */
	uint64_t head;              /* the lane's, then */
	uint32_t count;
};

/* All that this partition ever accepted, under "total" in meta. The lanes' packs say the same: a pack that is
 * missing at a lane's end is missed here. */
struct mw_spool_total {
	uint64_t messages;
	uint64_t bytes;
	uint64_t sum; /* of the others */
};
uint64_t mw_spool_total_sum(const struct mw_spool_total *t);

struct mw_spool {
	struct mw_spool_config config;
	MDB_env *env;
	MDB_dbi meta, lane_rows, messages, dead;
	struct mw_seen *seen; /* NULL: ids are not remembered */
	struct mw_partition partition;
	uint64_t disk_max;
	uint64_t dead_bytes_max;
	size_t page;
	uint64_t free_bytes; /* of pages in the file that can be used again: at least */
	int64_t clock_ahead; /* wall clock less monotonic clock at open: what is written must mean something
				later */
	int64_t now;         /* the latest that it was told */
	bool is_broken;      /* the disk failed: nothing is known of what is written any more */
	bool has_no_space;   /* the file could not be made larger */

	struct mw_spool_lane *lanes;
	uint32_t lane_room;
	uint32_t rows; /* lanes 0 to rows - 1 have a row */

	const struct mw_outbox *box; /* what is planned; NULL: nothing */
	struct mw_spool_plan *plan;
	size_t plan_room;
	struct mw_lane **touched; /* lanes with a chain */
	uint32_t touched_count;
	uint32_t touched_room;
	struct mw_outbox dying; /* dead letters of messages that were settled */
	uint32_t *settled;      /* lanes whose rows are behind */
	uint32_t settled_count;
	uint32_t settled_room;

	uint64_t next_dead;   /* number of the next dead letter */
	uint64_t dead_copied; /* letters below this number have been copied */
	struct mw_spool_total total;
	uint8_t seen_key[16]; /* of the hash that ids are kept as */

	struct mw_env_map map;
	size_t looked_at; /* bytes of the map, about, since it was let go of */

	MDB_txn *reader;     /* reset between uses */
	MDB_cursor *cursor;  /* the reader's, over `messages`: to read allocates nothing */
	struct mw_buf batch; /* a request's messages, from when it is measured until it is read */
	struct mw_spool_batch together;
	struct mw_buf joined; /* a pack of several pieces; has room for the largest message from the start */
	struct mw_spool_stats stats;
};

/* (lane, number): big endian, so that they sort. */
struct mw_spool_key {
	uint8_t bytes[12];
};
struct mw_spool_key mw_spool_key(uint32_t lane, uint64_t number);
void mw_spool_key_read(const MDB_val *key, uint32_t *lane, uint64_t *number);

/* Of a dead letter, from its key: 8 bytes, big endian. */
uint64_t mw_spool_letter_number(const MDB_val *key);

/* A row of lane_rows, followed by the account's name. */
struct mw_spool_row {
	uint64_t head;
	uint64_t head_bytes;
	uint64_t dead;
	uint64_t moved;
	uint64_t sum; /* of the others and the name */
};
uint64_t mw_spool_row_sum(const struct mw_spool_row *row, struct mw_span name);

/* Room for this lane in `lanes` and `settled`. NULL if memory is short. */
struct mw_spool_lane *mw_spool_lane(struct mw_spool *s, const struct mw_lane *lane);

/* As mw_spool_open, with a partition that was taken since mw_partition_enter, and is the spool's from now on
 * even if this fails. Leaves. */
enum mw_err mw_spool_open_partition(const struct mw_spool_config *config,
				    const struct mw_partition *partition, int64_t now, struct mw_spool **out,
				    struct mw_error *e);

/* Appends the oldest messages and dead letters, up to about `bytes_max`, to a box; `w` is where the spool was
 * restored to. Then drop_copied takes them out: MW_OK, or as mw_spool_commit. What can't be read any more
 * dies on the way, and is settled with the next commit. */
void mw_spool_copy(struct mw_spool *s, const struct mw_weir *w, size_t bytes_max, struct mw_outbox *box);
enum mw_err mw_spool_drop_copied(struct mw_spool *s, int64_t now, struct mw_error *e);

/* Room in the file (spool_room.c): may the plan be written? What is written without one is spent, in bytes.
 */
bool mw_spool_has_room(struct mw_spool *s);
void mw_spool_spend(struct mw_spool *s, uint64_t bytes);

/* Space on the disk beyond the last page, so that settling, which needs pages before it frees any, finds some
 * even on a disk that is full. */
void mw_spool_reserve(struct mw_spool *s);
uint64_t mw_spool_file_used(const struct mw_spool *s);

/* One more dead letter for the next commit. */
void mw_spool_bury(struct mw_spool *s, const struct mw_dead_letter *letter);

/* What a server said about a dead message: a sentence, not a page. */
#define MW_SPOOL_ANSWER_MAX 2048

/* Of all that is in a partition. */
#define MW_SPOOL_FORMAT 1
#define MW_SPOOL_NEWER                                                                                       \
	"the spool has format %u, this Moonweir knows formats up to %d; use the Moonweir that wrote it, or " \
	"a newer one"

/* The flags of every environment. With NOTLS a transaction that reads belongs to no thread. NOMEMINIT must
 * not be among them: it puts whatever lies about in memory into the file, keys too. */
#define MW_SPOOL_ENV_FLAGS (MDB_NOTLS | MDB_NORDAHEAD)
#define MW_SPOOL_DATABASES 16

int64_t mw_spool_wall(void);

/* Of a wall clock in ms: in seconds, for what seen.h keeps. */
static inline uint32_t mw_spool_seconds(int64_t wall)
{
	return wall <= 0 ? 0 : wall / 1000 < UINT32_MAX ? (uint32_t)(wall / 1000) : UINT32_MAX;
}

/* What LMDB says as an error of ours: MW_FULL for a full map or disk, MW_NO_MEMORY, MW_CORRUPT, MW_IO. */
enum mw_err mw_spool_fail(struct mw_error *e, int rc, const char *what);

/* So many more bytes of the map were looked at: now and then it is let go of. */
void mw_spool_look(struct mw_spool *s, size_t bytes);

static inline struct mw_span mw_spool_text(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static inline struct mw_span mw_spool_span(const MDB_val *v)
{
	return (struct mw_span){v->mv_data, v->mv_size};
}

#endif
