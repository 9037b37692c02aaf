#include "timers.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_ROOM = 16 };

void mw_timers_init(struct mw_timers *t)
{
	*t = (struct mw_timers){0};
}

void mw_timers_deinit(struct mw_timers *t)
{
	free(t->heap);
	mw_timers_init(t);
}

bool mw_timers_reserve(struct mw_timers *t, uint32_t lanes)
{
	if (lanes <= t->room)
		return true;
	uint32_t room = t->room ? t->room : FIRST_ROOM;
	while (room < lanes)
		room += room / 2;
	struct mw_lane **heap = realloc(t->heap, room * sizeof(struct mw_lane *));
	if (!heap)
		return false;
	t->heap = heap;
	t->room = room;
	return true;
}

static void place(struct mw_timers *t, uint32_t at, struct mw_lane *lane)
{
	t->heap[at] = lane;
	lane->heap_at = at;
}

/* `lane` belongs at `at` or further up. */
static void rise(struct mw_timers *t, uint32_t at, struct mw_lane *lane)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / 2;
		if (t->heap[parent]->due <= lane->due)
			break;
		place(t, at, t->heap[parent]);
		at = parent;
	}
	place(t, at, lane);
}

/* `lane` belongs at `at` or further down. */
static void sink(struct mw_timers *t, uint32_t at, struct mw_lane *lane)
{
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= t->count)
			break;
		if (child + 1 < t->count && t->heap[child + 1]->due < t->heap[child]->due)
			child++;
		if (lane->due <= t->heap[child]->due)
			break;
		place(t, at, t->heap[child]);
		at = child;
	}
	place(t, at, lane);
}

void mw_timers_add(struct mw_timers *t, struct mw_lane *lane)
{
	assert(lane->heap_at == UINT32_MAX && t->count < t->room);
	rise(t, t->count++, lane);
}

void mw_timers_remove(struct mw_timers *t, struct mw_lane *lane)
{
	uint32_t at = lane->heap_at;
	if (at == UINT32_MAX)
		return;
	lane->heap_at = UINT32_MAX;
	struct mw_lane *last = t->heap[--t->count];
	if (last == lane)
		return;
	if (at > 0 && t->heap[(at - 1) / 2]->due > last->due)
		rise(t, at, last);
	else
		sink(t, at, last);
}
