/* weir_own.h -- what weir.c (in and out) and weir_done.c (answers) share, and nobody else.
 *
 * A lane is in exactly one place: READY in the round, WAITING and PARKED among the timers, EMPTY, FLYING and
 * PAUSED in neither. `settle` is the one function that chooses, from what is known of the lane.
 */
#ifndef MW_WEIR_OWN_H
#define MW_WEIR_OWN_H

#include "lanes.h"
#include "round.h"
#include "timers.h"
#include "weir.h"

/* So many lanes in a row answering 429 is the partner's limit, not theirs. */
enum { MW_LIMITED_LANES = 3 };

struct mw_weir {
	struct mw_weir_config config;
	struct mw_lanes lanes;
	struct mw_lane *opened;  /* the last that was asked for by name to be opened */
	struct mw_timers timers; /* lanes WAITING and PARKED */
	struct mw_round round;   /* lanes READY */
	struct mw_round laden;   /* those of them with a full batch */
	struct mw_round swollen; /* lanes that got a full batch while they were held */
	uint32_t passed;         /* requests since one of these was last sent out of turn */
	struct mw_rate handouts;
	struct mw_rate permits;
	struct mw_weir_stats stats; /* those that are kept up to date; the rest is counted when asked for */
	const struct mw_lane *limited[MW_LIMITED_LANES]; /* have answered 429 since the last success */
	uint32_t limited_count;
	uint32_t in_flight; /* requests */
	uint64_t random;
	bool hurry;
};

/* The state that follows from what is known of a lane that is neither flying nor in the round or among the
 * timers. */
void mw_weir_settle(struct mw_weir *w, struct mw_lane *lane, int64_t now);

/* The request's messages are queued again. */
void mw_weir_take_back(struct mw_weir *w, const struct mw_request *r);

uint64_t mw_weir_random(struct mw_weir *w);

#endif
