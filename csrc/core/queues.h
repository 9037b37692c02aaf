/* queues.h -- the store in memory: a queue (queue.h) for each lane, found by the lane's number.
 *
 * For clients without a spool, and for simulations. What is here is lost with the process.
 */
#ifndef MW_QUEUES_H
#define MW_QUEUES_H

#include "queue.h"
#include "weir.h"

struct mw_queues {
	struct mw_queue *all;
	uint32_t count;
	size_t bytes; /* of messages in all of them */
	size_t bytes_max;
	struct mw_report_to report;
};

void mw_queues_init(struct mw_queues *q, size_t bytes_max, struct mw_report_to report);
void mw_queues_deinit(struct mw_queues *q);

/* What mw_weir_config.store is to be. */
struct mw_store mw_queues_store(struct mw_queues *q);

/* One message into its account's queue, counted by the weir. MW_FULL, MW_TOO_LARGE (message over
 * MW_MESSAGE_MAX, account over MW_ACCOUNT_MAX), MW_INVALID (an empty message), MW_NO_MEMORY; no message has
 * been added then. */
enum mw_err mw_queues_push(struct mw_queues *q, struct mw_weir *w, struct mw_span account,
			   struct mw_span message, int64_t tag, int64_t now);

/* Append the request's messages to `out`, a comma between each two. */
enum mw_err mw_queues_read(const struct mw_queues *q, const struct mw_request *r, struct mw_buf *out);

#endif
