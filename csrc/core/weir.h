/* weir.h -- which lane sends next?
 *
 * All lanes behind one rate limit, as three verbs:
 *
 *     mw_weir_push    messages have joined their account's lane
 *     mw_weir_next    a request to send now, or how long to wait
 *     mw_weir_done    what came of it
 *
 * and between next and done, at the moment bytes really leave, mw_weir_permit: the place where
 * the 50 requests a second are counted (libcurl re-sends by itself, so `next` is too early).
 * Requests are handed out at the same pace, and none while a permit would be refused, so that a
 * request seldom has to come back unsent. One that does keeps its turn.
 *
 * Fair: ready lanes take turns, one request a turn, whatever they hold, and batches grow while they wait.
 * One request in MW_LADEN_EVERY (8) goes, out of turn, to a lane with a full batch, if there is one: these
 * take turns, too. So with K busy lanes each gets rate/K requests/s, less an eighth at most. At 50
 * requests/s, a message of a quiet lane leaves within linger_ms + K * 24 ms while K others are flooded. The
 * messages are in a store (store.h), which bounds them; the weir knows numbers. Conservation holds after
 * every call, per lane and in sum:
 *
 *     accepted = delivered + dead + queued + in_flight
 *
 * A 429 pauses its own lane. When three lanes in a row answer 429 without a success between them it
 * is the partner's own limit that is hit: the gate closes for all.
 *
 * Pure: no I/O, no clock (`now`: ms, monotonic), no randomness but config.seed, so that a
 * seeded simulation runs the code that ships. Not thread-safe; the engine thread owns it.
 */
#ifndef MW_WEIR_H
#define MW_WEIR_H

#include "rate.h"
#include "store.h"

/* As retries_max: a message is kept until Segment decides about it. */
#define MW_RETRY_FOREVER UINT32_MAX

struct mw_weir_config {
	double rate;        /* requests a second over all lanes; 0: unlimited */
	size_t batch_bytes; /* at most this much of messages and commas a request */
	uint32_t batch_messages;
	int64_t linger_ms; /* a partial batch waits this long for company */
	uint32_t in_flight_max;
	uint32_t retries_max; /* attempts beyond the first before a message is dead.
			       * A 429 that says when to come back does not use one up, and a parked lane's
			       * probes don't */
	uint64_t seed;        /* jitter and the hash of account names: secret, random in earnest */
	struct mw_store store;
	struct mw_report_to report; /* of lanes that were parked; what came of messages the store tells */
};

/* The defaults of limits.h, without a store. */
struct mw_weir_config mw_weir_defaults(void);

struct mw_weir;

/* NULL if memory is short. */
struct mw_weir *mw_weir_new(const struct mw_weir_config *config, int64_t now);
void mw_weir_free(struct mw_weir *w);

/* An account's lane, made if there is none. NULL if memory is short. The name has at most MW_ACCOUNT_MAX
 * bytes. */
struct mw_lane *mw_weir_open_lane(struct mw_weir *w, struct mw_span account);

/* The store has taken `count` more messages of `bytes` together for this lane; the oldest of them came at
 * `since`. */
void mw_weir_push(struct mw_weir *w, struct mw_lane *lane, uint64_t count, uint64_t bytes, int64_t since);

struct mw_request {
	struct mw_lane *lane;
	uint32_t count;   /* the lane's oldest messages */
	size_t bytes;     /* of the messages and the commas between them */
	uint32_t attempt; /* 0 for the first try: the value of X-Retry-Count */
};

/* True: `out` is to be sent and must be given to mw_weir_done in the end. False: nothing may be sent for
 * *wait_ms (INT64_MAX: until the next push or done). */
bool mw_weir_next(struct mw_weir *w, int64_t now, struct mw_request *out, int64_t *wait_ms);

/* How long next would have to wait; 0: it has a request, unless the store lost its messages. */
int64_t mw_weir_wait(struct mw_weir *w, int64_t now);

/* What a store kept from an earlier life of this lane, which is new: its counters, with everything
 * undelivered as queued, the bytes of that and when the oldest of it came. */
void mw_weir_restore(struct mw_weir *w, struct mw_lane *lane, const struct mw_counts *counts, uint64_t bytes,
		     int64_t since, int64_t now);

/* Ms until a permit may be taken; 0: now. */
int64_t mw_weir_permit_wait(struct mw_weir *w, int64_t now);

/* Take the permit for really sending. 0: taken. Else ms to wait before asking again, or not to send at all.
 */
int64_t mw_weir_permit(struct mw_weir *w, int64_t now);

void mw_weir_done(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a, int64_t now);

/* Instead of done: the request did not leave, for the lane's token is on its way, or its turn under a budget
 * of many hosts has not come. It costs nothing, unless `used`, which says that another request leaves in its
 * stead. The lane waits for release, or until `until`. */
void mw_weir_hold(struct mw_weir *w, const struct mw_request *r, bool used, int64_t until, int64_t now);

/* The lane's token is there, or there will be none, or its turn has come: if it is held, it is next to try.
 */
void mw_weir_release(struct mw_weir *w, struct mw_lane *lane, int64_t now);

/* Send partial batches without waiting for company, from now on (true) or no longer (false). */
void mw_weir_hurry(struct mw_weir *w, bool hurry, int64_t now);

/* Requests that may be handed out beside those in flight. O(1). */
uint32_t mw_weir_room(const struct mw_weir *w);

/* Does the lane have a full batch? */
bool mw_weir_is_laden(const struct mw_weir *w, const struct mw_lane *lane);

/* The next of the lanes that got a full batch while they were held, if they still are; NULL: no more. */
struct mw_lane *mw_weir_swollen(struct mw_weir *w);

/* A lane by name, NULL if it never had a message. */
struct mw_lane *mw_weir_lane(struct mw_weir *w, struct mw_span account);

/* A new key was saved, or a pause ended: the lane may send at once, but for a back-off under way. If a
 * request is in flight, this is remembered until its answer (lane.h). */
void mw_weir_resume(struct mw_weir *w, struct mw_lane *lane, int64_t now);

/* Keep the lane's messages and send none until resume. A request in flight runs to its end. */
void mw_weir_pause(struct mw_weir *w, struct mw_lane *lane, int64_t now);

/* The messages of a parked or paused lane go back to who gave them, who keeps them elsewhere: reported as
 * MW_OUTCOME_WITHDRAWN, and as if they had never been accepted. The lane stays parked until its next probe is
 * due, or paused. How many; 0 of any other lane. */
uint64_t mw_weir_withdraw(struct mw_weir *w, struct mw_lane *lane);

struct mw_weir_stats {
	struct mw_counts counts;
	uint64_t queued_bytes; /* in flight included */
	uint64_t held;         /* messages of parked and paused lanes */
	uint64_t requests;     /* permits taken: what a server may have seen */
	uint64_t answers;
	uint64_t retries;
	uint64_t splits;
	uint64_t bytes_sent; /* messages and commas of answered requests */
	uint64_t lanes;
	uint64_t lanes_parked;
	uint64_t lanes_backing_off;
	uint64_t lanes_failing; /* mw_lane_is_failing: backing off, or trying again */
	uint64_t lanes_held;    /* until their token is there */
	int64_t oldest;         /* when the oldest queued message was pushed; -1 if none */
	int64_t oldest_due;     /* the same of lanes that are neither parked nor paused: what should move */
};

/* O(lanes). */
struct mw_weir_stats mw_weir_stats(const struct mw_weir *w);

/* Those of them that are kept up to date: all but held, the oldest and the lanes by state. O(1). */
const struct mw_weir_stats *mw_weir_totals(const struct mw_weir *w);

/* How long a server keeps the gate closed for all lanes; 0: open. */
int64_t mw_weir_gate_ms(const struct mw_weir *w, int64_t now);

/* Walk all lanes, in the order of their first message: zero *position first; NULL at the end. */
const struct mw_lane *mw_weir_each(const struct mw_weir *w, size_t *position);

#endif
