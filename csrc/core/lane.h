/* lane.h -- one account's state: its queue, what is in flight, its back-off, parked or not.
 *
 * A lane has at most one request in flight, always made of its oldest messages. That keeps
 * the order inside an account and confines a stalled account to one connection.
 *
 * Splitting (400): `suspects` is how many of the oldest messages are known to hold a culprit. While it is
 * above one, the next batch is half of them; a delivered half leaves the other known to
 * be bad, a refused half narrows the search. A suspect that stands alone and is refused is
 * the culprit. One culprit among n costs about log2(n) + 1 extra requests, and needs no stack.
 *
 *     n = 8, culprit 6:   8 no -> 4 yes (suspects 4) -> 2 no (suspects 2) -> 1 yes -> 1 no: dead
 *
 * Shrinking (413): `batch_cap` halves what a batch may hold and doubles again with each success.
 *
 * Pure: `now` is an argument, randomness too. The weir owns its lanes.
 */
#ifndef MW_LANE_H
#define MW_LANE_H

#include "limits.h"
#include "queue.h"
#include "verdict.h"

enum mw_lane_state {
	MW_LANE_EMPTY,   /* nothing queued */
	MW_LANE_WAITING, /* until `due`: company for a small batch, or the end of a back-off */
	MW_LANE_READY,   /* in the weir's round */
	MW_LANE_FLYING,  /* one request on its way */
	MW_LANE_PARKED,  /* refused by 401 or 403, or without a key; `due` is the next probe */
	MW_LANE_PAUSED,  /* by hand */
};

/* Every message that was ever accepted is in exactly one of these. */
struct mw_counts {
	uint64_t accepted;
	uint64_t delivered;
	uint64_t dead;
	uint64_t queued; /* not in flight */
	uint64_t in_flight;
};

struct mw_lane {
	char *name;
	size_t name_len;
	uint64_t hash;
	struct mw_queue queue;
	struct mw_counts counts;
	uint64_t requests;
	uint64_t bytes_sent;
	int64_t due;
	uint32_t attempts; /* of the oldest message's batch, so far */
	uint32_t suspects;
	uint32_t batch_cap; /* messages; 0: no cap of its own */
	int last_status;
	enum mw_lane_state state;
	uint32_t heap_at;            /* place in the weir's timer heap, UINT32_MAX if not in it */
	struct mw_lane *ready_next;  /* the weir's round of ready lanes */
};

/* The back-off before attempt number `attempts` + 1: full jitter between half and the whole of
 * base * 2^(attempts-1), capped. `random` is any 64 random bits. */
int64_t mw_lane_backoff(uint32_t attempts, uint64_t random);

/* How many of the oldest messages make the next batch, and their bytes with commas between them. */
struct mw_lane_batch {
	uint32_t count;
	size_t bytes;
};
struct mw_lane_batch mw_lane_next_batch(const struct mw_lane *lane, size_t bytes_max, uint32_t count_max);

#endif
