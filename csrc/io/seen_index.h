/* seen_index.h -- which of up to sixteen runs of ids may hold an id?
 *
 *     starts    | 0 | 14 | 31 | ...              a bucket for each value of an id's first bits
 *     entries   | run 4 bits, id 12 bits | ...   those of a bucket side by side, about 16 in a full index
 *
 * Little more than two bytes an id and two cache misses a look-up, however many runs. Of ids that are in
 * none, one in 250 is said to be in one: whoever asks looks into that run.
 *
 * An index is made anew for each run that is added. Since runs are sorted, that goes from end to end.
 */
#ifndef MW_SEEN_INDEX_H
#define MW_SEEN_INDEX_H

#include "seen_set.h"

#define MW_SEEN_INDEX_RUNS 16

/* All zero: empty, without any memory. */
struct mw_seen_index {
	uint32_t *starts;
	uint16_t *entries;
	uint32_t count;
	unsigned bits; /* buckets: 2^bits */
	unsigned runs;
};

/* The first words of a run's ids: word number i * step is the i-th id's. */
struct mw_seen_words {
	const uint32_t *at;
	uint32_t step;
	uint32_t count;
};

void mw_seen_index_deinit(struct mw_seen_index *x);

/* Is there room for one more run, of that many ids? */
bool mw_seen_index_fits(const struct mw_seen_index *x, uint32_t count);

/* What `bits` is with a first run of that many ids: room for sixteen like it. */
unsigned mw_seen_index_bits(uint32_t count);

/* `n` runs more, that fit. False if memory is short: nothing has changed. */
bool mw_seen_index_add(struct mw_seen_index *x, const struct mw_seen_words *runs, unsigned n);

/* Bit i: run i, in the order they were added, may hold it. */
unsigned mw_seen_index_find(const struct mw_seen_index *x, const struct mw_seen_id *id);

/* Ask for the memory that `find` will look at: first for where, then for what. */
static inline void mw_seen_index_prefetch_start(const struct mw_seen_index *x, const struct mw_seen_id *id)
{
	__builtin_prefetch(&x->starts[id->word[0] >> (32 - x->bits)]);
}

static inline void mw_seen_index_prefetch_entries(const struct mw_seen_index *x, const struct mw_seen_id *id)
{
	const uint16_t *at = x->entries + x->starts[id->word[0] >> (32 - x->bits)];
	__builtin_prefetch(at);
	__builtin_prefetch(at + 31);
}

#endif
