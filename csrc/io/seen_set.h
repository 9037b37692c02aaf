/* seen_set.h -- ids in the order they came, and whether one is among them.
 *
 *     | a | b | c |            ids, 12 bytes each, numbered from 0
 *     | . | 2 | . | 0 | 1 |    slots: where an id's hash leads to, 4 bytes each, at least a quarter empty
 *
 * Since they keep their order, the newest can be taken back (cut), and any stretch of them is one piece of
 * memory. 20 bytes an id, more or less; it grows as it is filled. Look-ups cost about one cache miss.
 */
#ifndef MW_SEEN_SET_H
#define MW_SEEN_SET_H

#include <stdbool.h>
#include <stdint.h>

/* 96 bits of a keyed hash, that is without a pattern: among 32 million ids a new one is taken for a known one
 * with a chance of 2^-71. A million a second for a hundred years lose an event with a chance of one in
 * 700,000. */
struct mw_seen_id {
	uint32_t word[3];
};

/* What they are sorted by. */
static inline uint64_t mw_seen_top(const struct mw_seen_id *id)
{
	return (uint64_t)id->word[0] << 32 | id->word[1];
}

static inline bool mw_seen_is_same(const struct mw_seen_id *a, const struct mw_seen_id *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2];
}

/* All zero: empty, without any memory. */
struct mw_seen_set {
	struct mw_seen_id *ids;
	uint32_t *slots;
	uint32_t count;
	uint32_t room;
	uint32_t slot_count; /* a power of two */
};

/* Ids in one set. */
#define MW_SEEN_SET_MAX ((UINT32_C(1) << 22) - 1)

void mw_seen_set_deinit(struct mw_seen_set *s);

/* Ask for the memory that `has` will look at. */
static inline void mw_seen_set_prefetch(const struct mw_seen_set *s, const struct mw_seen_id *id)
{
	if (s->slots)
		__builtin_prefetch(&s->slots[id->word[2] & (s->slot_count - 1)]);
}

bool mw_seen_set_has(const struct mw_seen_set *s, const struct mw_seen_id *id);

/* An empty one is to become as large as another: spares it growing. Without memory, nothing has changed. */
void mw_seen_set_reserve(struct mw_seen_set *s, const struct mw_seen_set *like);

/* One that is not in it. False if memory is short or the set is full: nothing has changed. */
bool mw_seen_set_add(struct mw_seen_set *s, const struct mw_seen_id *id);

/* Takes back all but the first `count`. */
void mw_seen_set_cut(struct mw_seen_set *s, uint32_t count);

/* A sorted copy, to be freed. NULL if memory is short. */
struct mw_seen_id *mw_seen_set_sorted(const struct mw_seen_set *s);

#endif
