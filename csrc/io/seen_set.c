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

static bool grow_ids(struct mw_seen_set *s)
{
	uint32_t room = s->room + s->room / 2 + 32;
	struct mw_seen_id *ids = realloc(s->ids, room * sizeof *ids);
	if (!ids)
		return false;
	s->ids = ids;
	s->room = room;
	return true;
}

/* In the order they came, as cut relies on. */
static bool grow_slots(struct mw_seen_set *s)
{
	uint32_t count = s->slot_count ? 2 * s->slot_count : 64;
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

bool mw_seen_set_add(struct mw_seen_set *s, const struct mw_seen_id *id)
{
	if (s->count == MW_SEEN_SET_MAX || (s->count == s->room && !grow_ids(s)) ||
	    (2 * s->count >= s->slot_count && !grow_slots(s)))
		return false;
	s->ids[s->count] = *id;
	place(s, s->count++);
	return true;
}

/* The newest took a slot that was empty, and no other was placed since: to empty it again leaves all as it was. */
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

static void insert(struct mw_seen_id *ids, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin + 1; i < end; i++) {
		const struct mw_seen_id id = ids[i];
		uint32_t k = i;
		for (; k > begin && mw_seen_top(&ids[k - 1]) > mw_seen_top(&id); k--)
			ids[k] = ids[k - 1];
		ids[k] = id;
	}
}

/* Hashes are spread evenly: one pass by their first bits leaves a few to each place. */
struct mw_seen_id *mw_seen_set_sorted(const struct mw_seen_set *s)
{
	unsigned bits = 4;
	while (bits < 20 && (UINT32_C(4) << bits) < s->count)
		bits++;
	const uint32_t places = UINT32_C(1) << bits;
	struct mw_seen_id *sorted = malloc((s->count + 1) * sizeof *sorted);
	uint32_t *ends = calloc(places + 1, sizeof *ends);
	if (!sorted || !ends) {
		free(sorted);
		free(ends);
		return NULL;
	}
	for (uint32_t i = 0; i < s->count; i++)
		ends[(s->ids[i].word[0] >> (32 - bits)) + 1]++;
	for (uint32_t i = 0; i < places; i++)
		ends[i + 1] += ends[i];
	for (uint32_t i = 0; i < s->count; i++)
		sorted[ends[s->ids[i].word[0] >> (32 - bits)]++] = s->ids[i];
	for (uint32_t i = 0; i < places; i++)
		insert(sorted, i > 0 ? ends[i - 1] : 0, ends[i]);
	free(ends);
	return sorted;
}
