/* lane.h -- one account's state: how much it has queued, what is in flight, its back-off, parked or not.
 *
 * The messages themselves are in a store (store.h); a lane knows their number and bytes.
 *
 * A lane has at most one request in flight, always made of its oldest messages. That keeps
 * the order inside an account and confines a stalled account to one connection.
 *
 *              push                full, linger over, hurry
 *     EMPTY ----------> WAITING ------------------------------> READY
 *       ^                  ^                                      | next
 *       | nothing left     | company; retry: back-off             v
 *       +------------------+-------------- done <------------- FLYING
 *                                          |                      ^
 *                   401, 403, no key       v     probe, resume    |
 *                                        PARKED -------> READY ---+
 *
 * Pause leads from anywhere to PAUSED, from FLYING when the answer is in; resume leads out of PAUSED and
 * PARKED. A resume while FLYING takes effect with the answer: a 401 then does not park, for it may have been
 * the old key's. Neither ends a back-off: that was the server's wish.
 *
 * Retrying: what became of a batch without an answer is unknown, so the very same messages are repeated
 * (`again` of them), whatever has come in behind.
 *
 * Held: a request that could not leave because the account's token is on its way to us, or because its turn
 * under a budget of many hosts has not come, is given back, and its lane is WAITING until release, or until
 * `due` if nobody releases it. It counts as nothing: no attempt was made. A batch that was refused for its
 * token's sake is repeated as it was, and at once.
 *
 * Splitting (400): `suspects` is how many of the oldest messages are known to hold a culprit. While it is
 * above one, the next batch is half of them; a delivered half leaves the other known to
 * be bad, a refused half narrows the search. A message that stands alone and is refused is
 * the culprit. One culprit among n costs about log2(n) + 2 extra requests, and needs no stack.
 *
 *     n = 8, culprit 6:   8 no -> 4 yes (suspects 4) -> 2 no (suspects 2) -> 1 yes -> 1 no: dead
 *
 * Shrinking (413): `batch_cap` halves what a batch may hold, and grows by an eighth with each success, so
 * that few of the later requests are spent on finding the limit again.
 *
 * Pure: `now` is an argument. The weir owns its lanes.
 */
#ifndef MW_LANE_H
#define MW_LANE_H

#include "buf.h"
#include "limits.h"
#include "turn.h"
#include "verdict.h"

enum mw_lane_state {
	MW_LANE_EMPTY,   /* nothing queued */
	MW_LANE_WAITING, /* until `due`: company for a small batch, the end of a back-off, a token, a turn */
	MW_LANE_READY,   /* in the weir's round */
	MW_LANE_FLYING,  /* one request on its way */
	MW_LANE_PARKED,  /* refused by 401 or 403, or without a key; `due` is the next probe */
	MW_LANE_PAUSED,  /* by hand */
};

/* Every message that was ever accepted is in exactly one of the last four. */
struct mw_counts {
	uint64_t accepted;
	uint64_t delivered;
	uint64_t dead;
	uint64_t queued; /* not in flight */
	uint64_t in_flight;
};

/* The lists that a lane may be in at the same time (round.h). A swollen one, which is held, lies where a
 * laden one would, which is ready. */
enum mw_round_kind { MW_READY, MW_LADEN, MW_SWOLLEN = MW_LADEN, MW_ROUNDS };

struct mw_place {
	struct mw_lane *next, *before;
};

struct mw_lane {
	uint64_t hash;
	struct mw_counts counts;
	uint64_t bytes;      /* of the messages queued and in flight, without commas */
	int64_t since;       /* when the oldest of them came */
	int64_t since_next;  /* FLYING: when the oldest behind the batch came; -1: there is none */
	uint64_t requests;   /* put on the wire, answered or not */
	uint64_t bytes_sent; /* messages and commas of answered requests */
	int64_t due;
	int64_t delivered_at; /* the last time; 0: not in this life of the lane */
	struct mw_place places[MW_ROUNDS];
	uint32_t heap_at;   /* place among the weir's timers, UINT32_MAX if not there */
	uint32_t attempts;  /* at the oldest messages since the last final answer: X-Retry-Count */
	uint32_t failures;  /* those of them that count against retries_max */
	uint32_t again;     /* messages of the batch to be repeated; 0: none */
	uint32_t suspects;  /* see above */
	uint32_t batch_cap; /* messages; 0: no cap of its own */
	uint32_t number;    /* from 0, in the order of their first message */
	uint32_t grant; /* number of the token it last asked for; 0: none. The weir's user keeps it here, */
	uint32_t generation;  /* and which of them its request in flight has */
	struct mw_turn *turn; /* NULL, but under a budget of many hosts (turns.h); goes with the lane */
	int last_status;
	enum mw_lane_state state;
	bool backing_off; /* `due` is the end of a back-off */
	bool parked;      /* also while its probe is ready or flying */
	bool paused;      /* also while a last request is flying */
	bool resumed;     /* since its request left */
	bool held;        /* until a token is there, or its turn */
	bool laden;       /* READY, and a full batch is waiting */
	bool swollen;     /* held, and a full batch has come meanwhile */
	uint16_t name_len;
	char name[];
};

static inline struct mw_span mw_lane_account(const struct mw_lane *lane)
{
	return (struct mw_span){(const uint8_t *)lane->name, lane->name_len};
}

/* Messages that have not come to their end. */
static inline uint64_t mw_lane_load(const struct mw_lane *lane)
{
	return lane->counts.queued + lane->counts.in_flight;
}

/* Does it try again what failed? Not while it is parked; nor is it a failure that a token was refused, 401,
 * when the next one is tried at once. */
static inline bool mw_lane_is_failing(const struct mw_lane *lane)
{
	return lane->attempts > 0 && lane->last_status != 401 && !lane->parked && !lane->paused;
}

/* Held for a token, that is: not for its turn. */
static inline bool mw_lane_awaits_token(const struct mw_lane *lane)
{
	return lane->state == MW_LANE_WAITING && lane->held &&
	       (!lane->turn || lane->turn->state == MW_TURN_NONE);
}

/* How many messages the next batch may hold: at least 1, at most count_max. */
uint32_t mw_lane_batch_max(const struct mw_lane *lane, uint32_t count_max);

/* Would waiting for more messages change nothing about the next batch? */
bool mw_lane_is_full(const struct mw_lane *lane, size_t bytes_max, uint32_t count_max);

/* Is a whole batch waiting, as large as any account's may be? */
bool mw_lane_is_laden(const struct mw_lane *lane, size_t bytes_max, uint32_t count_max);

/* What an answer about the `count` oldest messages teaches the search for culprits and the cap. */
void mw_lane_learn_delivered(struct mw_lane *lane, uint32_t count, uint32_t count_max);
void mw_lane_learn_refused(struct mw_lane *lane, uint32_t count);   /* 400 */
void mw_lane_learn_too_large(struct mw_lane *lane, uint32_t count); /* 413 */
void mw_lane_learn_dead(struct mw_lane *lane);

#endif
