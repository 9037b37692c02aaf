/* store.h -- where messages wait for their verdict: what the weir needs of it, and nobody else.
 *
 * Two kinds: core/queues keeps them in memory, io/spool on disk. Either holds for each lane a queue,
 * first in, first out; the weir never sees a message, it says how many of a lane's oldest it means.
 *
 *     measure    how many of the oldest fit a request
 *     settle     so many of the oldest have come to their end: report them, forget them
 */
#ifndef MW_STORE_H
#define MW_STORE_H

#include "lane.h"

struct mw_batch {
	uint32_t count;
	size_t bytes;       /* with commas between the messages */
	int64_t since_next; /* when the oldest message behind them came; -1: there is none */
	bool is_damaged;    /* these can't be read any more */
};

enum mw_outcome { MW_OUTCOME_DELIVERED, MW_OUTCOME_DEAD, MW_OUTCOME_PARKED, MW_OUTCOME_WITHDRAWN };

struct mw_answer {
	int status;             /* HTTP, or MW_STATUS_* */
	int64_t retry_after_ms; /* -1: none */
	struct mw_span body;    /* kept for reports only */
	bool again;             /* refused for its token's sake: the same batch at once, with another */
};

struct mw_report {
	struct mw_span account;
	struct mw_span message; /* empty for parked */
	int64_t tag;
	enum mw_outcome outcome;
	int status;            /* of the deciding answer; MW_STATUS_* if there was none */
	uint32_t attempts;     /* requests that the message was part of */
	struct mw_span answer; /* what the server said, at most MW_RESPONSE_MAX bytes */
};

/* Gets what came of messages; spans are borrowed for the call. Must not call the weir or the store. */
struct mw_report_to {
	void (*call)(void *context, const struct mw_report *r); /* may be NULL */
	void *context;
};

struct mw_store {
	/* The oldest messages of a lane that is not empty: as many as fit bytes_max with commas between them,
	 * at most count_max, at least one however large. */
	void (*measure)(void *context, const struct mw_lane *lane, size_t bytes_max, uint32_t count_max,
			struct mw_batch *out);
	/* The `count` oldest, of `bytes` together, are delivered, dead or (in memory) withdrawn. The lane's
	 * counters are still those from before. */
	void (*settle)(void *context, const struct mw_lane *lane, uint32_t count, uint64_t bytes,
		       enum mw_outcome outcome, const struct mw_answer *a);
	void *context;
};

/* The report on one message, or with `message` empty on the lane itself. */
static inline struct mw_report mw_report_on(const struct mw_lane *lane, struct mw_span message, int64_t tag,
					    enum mw_outcome outcome, const struct mw_answer *a)
{
	return (struct mw_report){
	    .account = mw_lane_account(lane),
	    .message = message,
	    .tag = tag,
	    .outcome = outcome,
	    .status = a->status,
	    .attempts = lane->attempts,
	    .answer = {a->body.at, a->body.len < MW_RESPONSE_MAX ? a->body.len : MW_RESPONSE_MAX},
	};
}

#endif
