/* timers.h -- the lanes that wait for a time: a binary heap by `due`.
 *
 * Each lane knows its place (heap_at), so one can be taken out of the middle. Of two lanes due at the
 * same time either may come first. Room is made beforehand, so that setting a timer cannot fail.
 */
#ifndef MW_TIMERS_H
#define MW_TIMERS_H

#include "lane.h"

struct mw_timers {
	struct mw_lane **heap;
	uint32_t count;
	uint32_t room;
};

void mw_timers_init(struct mw_timers *t);
void mw_timers_deinit(struct mw_timers *t);

/* Room for `lanes` lanes in all. False if memory is short. */
bool mw_timers_reserve(struct mw_timers *t, uint32_t lanes);

void mw_timers_add(struct mw_timers *t, struct mw_lane *lane);
void mw_timers_remove(struct mw_timers *t, struct mw_lane *lane); /* may be absent */

/* The lane that is due first; NULL if none waits. */
static inline struct mw_lane *mw_timers_first(const struct mw_timers *t)
{
	return t->count ? t->heap[0] : NULL;
}

#endif
