#include "seen_set.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_BITS = 22 };

/* In a slot: the id's number and one, and ten bits more of the id. */
static uint32_t slot_of(const struct mw_seen_id *id, uint32_t number)
{
	return (number + 1) | (id->word[1] << NUMBER_BITS);
}

static uint32_t number_in(uint32_t slot)
{
	return (slot & MW_SEEN_SET_MAX) - 1;
}

void mw_seen_set_deinit(struct mw_seen_set *s)
{
	free(s->ids);
	free(s->slots);
	*s = (struct mw_seen_set){.ids = NULL};
}

bool mw_seen_set_has(const struct mw_seen_set *s, const struct mw_seen_id *id)
{
	if (s->count == 0)
		return false;
	const uint32_t check = id->word[1] << NUMBER_BITS;
	for (uint32_t i = id->word[2];; i++) {
		uint32_t slot = s->slots[i & (s->slot_count - 1)];
		if (slot == 0)
			return false;
		if (((slot ^ check) & ~MW_SEEN_SET_MAX) == 0 && mw_seen_is_same(&s->ids[number_in(slot)], id))
			return true;
	}
}

static void place(struct mw_seen_set *s, uint32_t number)
{
	const struct mw_seen_id *id = &s->ids[number];
	uint32_t i = id->word[2] & (s->slot_count - 1);
	while (s->slots[i] != 0)
		i = (i + 1) & (s->slot_count - 1);
	s->slots[i] = slot_of(id, number);
}

static bool grow_ids(struct mw_seen_set *s, uint32_t room)
{
	struct mw_seen_id *ids = realloc(s->ids, room * sizeof *ids);
	if (!ids)
		return false;
	s->ids = ids;
	s->room = room;
	return true;
}

/* In the order they came, as cut relies on. */
static bool grow_slots(struct mw_seen_set *s, uint32_t count)
{
	uint32_t *slots = calloc(count, sizeof *slots);
	if (!slots)
		return false;
	free(s->slots);
	s->slots = slots;
	s->slot_count = count;
	for (uint32_t i = 0; i < s->count; i++)
		place(s, i);
	return true;
}

void mw_seen_set_reserve(struct mw_seen_set *s, const struct mw_seen_set *like)
{
	if (grow_ids(s, like->count + like->count / 16))
		grow_slots(s, like->slot_count);
}

bool mw_seen_set_add(struct mw_seen_set *s, const struct mw_seen_id *id)
{
	if (s->count == MW_SEEN_SET_MAX ||
	    (s->count == s->room && !grow_ids(s, s->room + s->room / 2 + 32)) ||
	    (s->count >= s->slot_count / 4 * 3 && !grow_slots(s, s->slot_count ? 2 * s->slot_count : 64)))
		return false;
	s->ids[s->count] = *id;
	place(s, s->count++);
	return true;
}

/* The newest took a slot that was empty, and no other was placed since: to empty it again leaves all as it
 * was. */
void mw_seen_set_cut(struct mw_seen_set *s, uint32_t count)
{
	while (s->count > count) {
		const uint32_t slot = slot_of(&s->ids[s->count - 1], s->count - 1);
		uint32_t i = s->ids[s->count - 1].word[2] & (s->slot_count - 1);
		while (s->slots[i] != slot)
			i = (i + 1) & (s->slot_count - 1);
		s->slots[i] = 0;
		s->count--;
	}
}

/* By eight bits of the first word; what is equal there stays in order. */
static void sort_pass(const struct mw_seen_id *from, struct mw_seen_id *to, uint32_t count, unsigned shift)
{
	uint32_t next[256] = {0}, at = 0;
	for (uint32_t i = 0; i < count; i++)
		next[from[i].word[0] >> shift & 255]++;
	for (unsigned i = 0; i < 256; i++) {
		uint32_t more = next[i];
		next[i] = at;
		at += more;
	}
	for (uint32_t i = 0; i < count; i++)
		to[next[from[i].word[0] >> shift & 255]++] = from[i];
}

/* What is in order but for a few that are equal in their first 24 bits. */
static void sort_rest(struct mw_seen_id *ids, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		const struct mw_seen_id id = ids[i];
		uint32_t k = i;
		for (; k > 0 && mw_seen_top(&ids[k - 1]) > mw_seen_top(&id); k--)
			ids[k] = ids[k - 1];
		ids[k] = id;
	}
}

struct mw_seen_id *mw_seen_set_sorted(const struct mw_seen_set *s)
{
	struct mw_seen_id *sorted = malloc((s->count + 1) * sizeof *sorted);
	struct mw_seen_id *between = malloc((s->count + 1) * sizeof *between);
	if (!sorted || !between) {
		free(sorted);
		free(between);
		return NULL;
	}
	sort_pass(s->ids, sorted, s->count, 8);
	sort_pass(sorted, between, s->count, 16);
	sort_pass(between, sorted, s->count, 24);
	sort_rest(sorted, s->count);
	free(between);
	return sorted;
}
