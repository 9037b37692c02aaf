#include "queues.h"

#include <assert.h>
#include <stdlib.h>

void mw_queues_init(struct mw_queues *q, size_t bytes_max, struct mw_report_to report)
{
	*q = (struct mw_queues){.bytes_max = bytes_max, .report = report};
}

void mw_queues_deinit(struct mw_queues *q)
{
	for (uint32_t i = 0; i < q->count; i++)
		mw_queue_deinit(&q->all[i]);
	free(q->all);
	*q = (struct mw_queues){0};
}

/* The lane's queue; NULL if memory is short. */
static struct mw_queue *queue_of(struct mw_queues *q, const struct mw_lane *lane)
{
	if (lane->number >= q->count) {
		uint32_t count = lane->number + lane->number / 2 + 16;
		struct mw_queue *all = realloc(q->all, count * sizeof *all);
		if (!all)
			return NULL;
		for (uint32_t i = q->count; i < count; i++)
			mw_queue_init(&all[i]);
		q->all = all;
		q->count = count;
	}
	return &q->all[lane->number];
}

enum mw_err mw_queues_push(struct mw_queues *q, struct mw_weir *w, struct mw_span account,
			   struct mw_span message, int64_t tag, int64_t now)
{
	if (message.len == 0)
		return MW_INVALID;
	if (message.len > MW_MESSAGE_MAX || account.len > MW_ACCOUNT_MAX)
		return MW_TOO_LARGE;
	if (q->bytes + message.len > q->bytes_max)
		return MW_FULL;
	struct mw_lane *lane = mw_weir_open_lane(w, account);
	struct mw_queue *queue = lane ? queue_of(q, lane) : NULL;
	if (!queue)
		return MW_NO_MEMORY;
	enum mw_err err = mw_queue_push(queue, message, tag, now);
	if (err != MW_OK)
		return err;
	q->bytes += message.len;
	mw_weir_push(w, lane, 1, message.len, now);
	return MW_OK;
}

static void measure(void *context, const struct mw_lane *lane, size_t bytes_max, uint32_t count_max,
		    struct mw_batch *out)
{
	const struct mw_queues *q = context;
	struct mw_queue_cursor cursor = {0};
	struct mw_queued queued;
	*out = (struct mw_batch){.since_next = -1};
	while (mw_queue_next(&q->all[lane->number], &cursor, &queued)) {
		size_t bytes = out->bytes + (out->count > 0) + queued.message.len;
		if (out->count == count_max || (out->count > 0 && bytes > bytes_max)) {
			out->since_next = queued.since;
			return;
		}
		out->bytes = bytes;
		out->count++;
	}
}

static void settle(void *context, const struct mw_lane *lane, uint32_t count, uint64_t bytes,
		   enum mw_outcome outcome, const struct mw_answer *a)
{
	struct mw_queues *q = context;
	q->bytes -= bytes;
	struct mw_queue *queue = &q->all[lane->number];
	for (uint32_t i = 0; i < count; i++) {
		struct mw_queue_cursor cursor = {0};
		struct mw_queued queued;
		bool is_there = mw_queue_next(queue, &cursor, &queued);
		assert(is_there);
		(void)is_there;
		if (q->report.call) {
			struct mw_report r = mw_report_on(lane, queued.message, queued.tag, outcome, a);
			q->report.call(q->report.context, &r);
		}
		mw_queue_drop(queue);
	}
}

struct mw_store mw_queues_store(struct mw_queues *q)
{
	return (struct mw_store){measure, settle, q};
}

enum mw_err mw_queues_read(const struct mw_queues *q, const struct mw_request *r, struct mw_buf *out)
{
	struct mw_queue_cursor cursor = {0};
	struct mw_queued queued;
	enum mw_err err = mw_buf_reserve(out, r->bytes);
	if (err != MW_OK)
		return err;
	for (uint32_t i = 0; i < r->count && mw_queue_next(&q->all[r->lane->number], &cursor, &queued); i++) {
		if (i > 0)
			out->data[out->len++] = ',';
		memcpy(out->data + out->len, queued.message.at, queued.message.len);
		out->len += queued.message.len;
	}
	return MW_OK;
}
