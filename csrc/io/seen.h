/* seen.h -- which ids were accepted before, within a window of time: three tables of an LMDB environment.
 *
 *     ids of the last commits   a set in memory (seen_set.h), and in the table `seen_log` as they came
 *     up to 262,144 of them     sealed: sorted, a run of its own in `seen_ids`; first words in `seen_words`
 *     all runs                  an index in memory (seen_index.h), which says where to look
 *
 * An id belongs to the transaction that it is looked up in: known from then on if that is committed, and else
 * as if never seen. What a commit writes is in order: 12 bytes an id at once and 16 more when its run is
 * sealed, which is spread over many commits. In memory an id takes 2.25 bytes, the last two runs 20. A
 * look-up costs a few cache misses; one of an id that is known and not recent, a look into the map as well.
 * Opening reads 4 bytes an id.
 *
 * Ids are forgotten by runs. A run is sealed at the latest when it spans a sixteenth of the window, and goes
 * when its newest id is out of the window: an id is known for at least the window, and for a sixteenth more
 * at most (and until the next commit that has an id). There is a bound on their number: to keep it, the
 * oldest go early.
 *
 * The clock is the wall clock in seconds. One that goes back makes ids young again: as if seen now, at most.
 * One that jumps ahead makes them old. Neither loses an event, or the bound.
 *
 * To lose memory, rows or time makes repeats, never a loss: an id that is not known is a new one. One thread
 * owns it.
 */
#ifndef MW_SEEN_H
#define MW_SEEN_H

#include "../core/buf.h"
#include "seen_set.h"

#include <lmdb.h>

/* Tables that it opens; what they are called. */
#define MW_SEEN_TABLES 3

/* Bytes on disk that an id takes, about, while it is moved to a run too. */
#define MW_SEEN_BYTES 32

struct mw_seen_config {
	uint32_t window_s; /* at least 1 */
	uint64_t max;      /* ids; at least MW_SEEN_MIN */
	uint8_t key[16];   /* of the hash; for as long as the tables are there */
};

#define MW_SEEN_MIN 256

struct mw_seen;

/* All functions with a transaction return what LMDB said: 0, or an error, after which it must be aborted. */

/* In a transaction that writes, and is committed afterwards. ENOMEM if memory is short. */
int mw_seen_open(const struct mw_seen_config *config, MDB_txn *txn, uint32_t now_s, struct mw_seen **out);
void mw_seen_close(struct mw_seen *s);

/* The id of an account's message. False if it is none, too long or empty. */
bool mw_seen_id(const struct mw_seen *s, struct mw_span account, struct mw_span id, struct mw_seen_id *out);

/* Pages that a transaction with that many ids may write. */
uint64_t mw_seen_pages(const struct mw_seen *s, uint64_t count);

/* A transaction: begin; look, any number of times; end; after its commit or abort, done. */
int mw_seen_begin(struct mw_seen *s, MDB_txn *txn, uint32_t now_s, uint64_t count);

/* Ids that are best looked up at once. */
#define MW_SEEN_LOOK 32

/* Which of 1 to MW_SEEN_LOOK ids are known; the others are now. */
int mw_seen_look(struct mw_seen *s, const struct mw_seen_id *ids, unsigned count, bool *is_known);

int mw_seen_end(struct mw_seen *s);

void mw_seen_done(struct mw_seen *s, bool is_committed);

struct mw_seen_stats {
	uint64_t count;   /* ids remembered */
	uint64_t dropped; /* forgotten before their time: too many, or no memory */
	uint32_t runs;
};
struct mw_seen_stats mw_seen_stats(const struct mw_seen *s);

#endif
