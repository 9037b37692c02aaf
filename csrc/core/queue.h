/* queue.h -- messages of one account in memory, first in, first out.
 *
 * A message stays until it is dropped, that is until its verdict: reading a batch does not remove it. The
 * storage is chunks that grow with the queue (1 KB to 64 KB), so that a hundred thousand
 * accounts with a message or two cost little and a busy one does not pay per chunk. An
 * empty queue holds no chunk.
 *
 * The engine thread owns it.
 */
#ifndef MW_QUEUE_H
#define MW_QUEUE_H

#include "buf.h"

struct mw_chunk;

struct mw_queue {
	struct mw_chunk *head;
	struct mw_chunk *tail;
	uint64_t count;
	uint64_t bytes; /* of the messages alone */
};

struct mw_queued {
	struct mw_span message;
	int64_t tag;
	int64_t since; /* when it was pushed */
};

void mw_queue_init(struct mw_queue *q);
void mw_queue_deinit(struct mw_queue *q);

/* MW_NO_MEMORY; the queue is then as it was. */
enum mw_err mw_queue_push(struct mw_queue *q, struct mw_span message, int64_t tag, int64_t now);

/* Walk from the oldest: zero the cursor first; false behind the last. Spans are borrowed until the next drop.
 */
struct mw_queue_cursor {
	struct mw_chunk *chunk;
	size_t at;
};
bool mw_queue_next(const struct mw_queue *q, struct mw_queue_cursor *c, struct mw_queued *out);

/* Forget the oldest message. */
void mw_queue_drop(struct mw_queue *q);

#endif
