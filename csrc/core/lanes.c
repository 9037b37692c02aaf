#include "lanes.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum { FIRST_ROOM = 16, FIRST_WIDTH = 32 };

void mw_lanes_init(struct mw_lanes *l, struct mw_hash_key key)
{
	*l = (struct mw_lanes){.key = key};
}

void mw_lanes_deinit(struct mw_lanes *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		free(l->all[i]->turn);
		free(l->all[i]);
	}
	free(l->all);
	free(l->slots);
	mw_lanes_init(l, l->key);
}

/* The low bits choose the slot, the high bits make the tag. */
static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* The lane's slot, or the free one where its search ends. */
static struct mw_lanes_slot *slot_of(const struct mw_lanes *l, uint64_t hash, struct mw_span name)
{
	uint32_t mask = l->width - 1;
	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		struct mw_lanes_slot *slot = &l->slots[i];
		if (slot->number == 0)
			return slot;
		if (slot->tag != tag_of(hash))
			continue;
		const struct mw_lane *lane = l->all[slot->number - 1];
		if (lane->name_len == name.len &&
		    (name.len == 0 || memcmp(lane->name, name.at, name.len) == 0))
			return slot;
	}
}

struct mw_lane *mw_lanes_find(const struct mw_lanes *l, struct mw_span name)
{
	if (l->count == 0)
		return NULL;
	const struct mw_lanes_slot *slot = slot_of(l, mw_hash(l->key, name), name);
	return slot->number ? l->all[slot->number - 1] : NULL;
}

static bool widen(struct mw_lanes *l)
{
	uint32_t width = l->width ? 2 * l->width : FIRST_WIDTH;
	struct mw_lanes_slot *slots = calloc(width, sizeof *slots);
	if (!slots)
		return false;
	for (uint32_t i = 0; i < l->count; i++) {
		uint64_t hash = l->all[i]->hash;
		uint32_t at = (uint32_t)hash & (width - 1);
		while (slots[at].number)
			at = (at + 1) & (width - 1);
		slots[at] = (struct mw_lanes_slot){tag_of(hash), i + 1};
	}
	free(l->slots);
	l->slots = slots;
	l->width = width;
	return true;
}

/* Room for one more lane, at most three quarters of the slots taken. */
static bool make_room(struct mw_lanes *l)
{
	if (l->count == UINT32_MAX / 4)
		return false;
	if (l->count == l->room) {
		uint32_t room = l->room ? l->room + l->room / 2 : FIRST_ROOM;
		struct mw_lane **all = realloc(l->all, room * sizeof(struct mw_lane *));
		if (!all)
			return false;
		l->all = all;
		l->room = room;
	}
	return l->count < l->width / 4 * 3 || widen(l);
}

struct mw_lane *mw_lanes_add(struct mw_lanes *l, struct mw_span name)
{
	assert(name.len <= MW_ACCOUNT_MAX);
	if (!make_room(l))
		return NULL;
	/* The name begins in what would be padding: that is 16 bytes less of malloc for a usual one. */
	size_t size = offsetof(struct mw_lane, name) + name.len + 1;
	struct mw_lane *lane = calloc(1, size < sizeof *lane ? sizeof *lane : size);
	if (!lane)
		return NULL;
	lane->hash = mw_hash(l->key, name);
	lane->heap_at = UINT32_MAX;
	lane->number = l->count;
	lane->name_len = (uint16_t)name.len;
	if (name.len > 0)
		memcpy(lane->name, name.at, name.len);

	struct mw_lanes_slot *slot = slot_of(l, lane->hash, name);
	assert(slot->number == 0);
	l->all[l->count++] = lane;
	*slot = (struct mw_lanes_slot){tag_of(lane->hash), l->count};
	return lane;
}
