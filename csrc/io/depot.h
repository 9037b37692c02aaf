/* depot.h -- the engine's store: queues in memory, or a spool on disk; and the one way into either.
 *
 *     admit    a box's messages are looked at                under the weir's lock
 *     commit   they are where they are safe                  no lock: it waits for the disk
 *     apply    the weir knows of them, the box is done with  under the weir's lock
 *
 * In memory, admit does it all.
 */
#ifndef MW_DEPOT_H
#define MW_DEPOT_H

#include "../core/queues.h"
#include "spool.h"

struct mw_depot {
	struct mw_queues queues;
	struct mw_spool *spool; /* NULL: in memory */
	size_t admitted;        /* how far into the box, in memory */
	size_t admitted_count;  /* messages of it */
};

/* `spool` NULL: in memory. Errors are mw_spool_open's. */
enum mw_err mw_depot_init(struct mw_depot *d, const struct mw_spool_config *spool, struct mw_report_to report,
			  int64_t now, struct mw_error *e);
void mw_depot_deinit(struct mw_depot *d);

struct mw_store mw_depot_store(struct mw_depot *d);

/* What an earlier process left, into a new weir. */
enum mw_err mw_depot_restore(struct mw_depot *d, struct mw_weir *w, int64_t now, struct mw_error *e);

/* MW_NO_MEMORY: call it again with the same box, which must stay as it is until apply. */
enum mw_err mw_depot_admit(struct mw_depot *d, struct mw_weir *w, const struct mw_outbox *box, int64_t now);

/* As mw_spool_commit. */
enum mw_err mw_depot_commit(struct mw_depot *d, int64_t now, struct mw_error *e);
void mw_depot_apply(struct mw_depot *d, struct mw_weir *w, int64_t now);

/* Zeros in memory. */
struct mw_spool_stats mw_depot_stats(const struct mw_depot *d);

/* Is something settled that the disk does not know of? */
bool mw_depot_has_settled(const struct mw_depot *d);

/* The request's messages, a comma between each two, into `out`, which is empty. */
enum mw_err mw_depot_read(struct mw_depot *d, const struct mw_request *r, struct mw_buf *out);

#endif
