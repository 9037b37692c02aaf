#include "seen_index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	ID_BITS = 12,
	ID_MASK = (1 << ID_BITS) - 1,
	BITS_MIN = 4,
	BITS_MAX = 18,   /* and the last 12 are in the entry: none twice */
	BUCKET_MAX = 32, /* on average */
	LOOK = 32, /* entries looked at without asking how many there are: so many are readable behind the
		      last */
	HUGE_PAGE = 2 * 1024 * 1024,
};

/* Starts and entries are one piece. */
void mw_seen_index_deinit(struct mw_seen_index *x)
{
	free(x->starts);
	*x = (struct mw_seen_index){.starts = NULL};
}

unsigned mw_seen_index_bits(uint32_t count)
{
	unsigned bits = BITS_MIN;
	while (bits < BITS_MAX && (UINT32_C(1) << bits) < count)
		bits++;
	return bits;
}

bool mw_seen_index_fits(const struct mw_seen_index *x, uint32_t count)
{
	if (x->runs == 0)
		return true;
	return x->runs < MW_SEEN_INDEX_RUNS && (uint64_t)x->count + count <= (uint64_t)BUCKET_MAX << x->bits;
}

/* Look-ups go anywhere: in pages of 4 KB, most of them would miss the processor's list of pages too. */
static void *new_piece(size_t len)
{
	uint8_t *piece = malloc(len);
	if (piece && len >= 2 * HUGE_PAGE) {
		uint8_t *from = piece + HUGE_PAGE - (uintptr_t)piece % HUGE_PAGE;
		madvise(from, (size_t)(piece + len - from) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
	}
	return piece;
}

/* Where each bucket begins, with its old entries in place; ends[b] is where its new ones go. */
static void move(struct mw_seen_index *to, const struct mw_seen_index *from, uint32_t *ends)
{
	uint32_t at = 0;
	for (uint32_t b = 0; b < UINT32_C(1) << to->bits; b++) {
		const uint32_t more = ends[b], begin = from->runs > 0 ? from->starts[b] : 0;
		const uint32_t old = from->runs > 0 ? from->starts[b + 1] - begin : 0;
		/* What is copied too much is written over afterwards. */
		if (old > LOOK)
			memcpy(to->entries + at, from->entries + begin, old * sizeof *to->entries);
		else if (old > 0)
			memcpy(to->entries + at, from->entries + begin, LOOK * sizeof *to->entries);
		ends[b] = at + old;
		at += old + more;
	}
}

bool mw_seen_index_add(struct mw_seen_index *x, const struct mw_seen_words *runs, unsigned n)
{
	size_t count = x->count;
	for (unsigned r = 0; r < n; r++)
		count += runs[r].count;
	struct mw_seen_index grown = {.bits = x->runs > 0 ? x->bits : mw_seen_index_bits(runs[0].count),
				      .count = (uint32_t)count,
				      .runs = x->runs + n};
	const size_t starts = ((size_t)1 << grown.bits) + 1;
	const unsigned shift = 32 - grown.bits;
	grown.starts = new_piece(starts * sizeof *grown.starts + (count + LOOK) * sizeof *grown.entries);
	if (!grown.starts)
		return false;
	grown.entries = (uint16_t *)(void *)(grown.starts + starts);
	memset(grown.starts, 0, starts * sizeof *grown.starts);
	memset(grown.entries + count, 0, LOOK * sizeof *grown.entries);
	/* Behind a bucket's last entry is where the next begins. */
	uint32_t *ends = grown.starts + 1;
	for (unsigned r = 0; r < n; r++)
		for (size_t i = 0; i < runs[r].count; i++)
			ends[runs[r].at[i * runs[r].step] >> shift]++;
	move(&grown, x, ends);
	for (unsigned r = 0; r < n; r++) {
		const unsigned tag = (x->runs + r) << ID_BITS;
		for (size_t i = 0; i < runs[r].count; i++) {
			const uint32_t word = runs[r].at[i * runs[r].step];
			grown.entries[ends[word >> shift]++] = (uint16_t)(tag | (word & ID_MASK));
		}
	}
	mw_seen_index_deinit(x);
	*x = grown;
	return true;
}

unsigned mw_seen_index_find(const struct mw_seen_index *x, const struct mw_seen_id *id)
{
	/* Four entries at a time: is a quarter of these 64 bits zero, but for the run's number? */
	const uint64_t ones = UINT64_C(0x0001000100010001), all = ones * ID_MASK,
		       want = ones * (id->word[0] & ID_MASK);
	const uint32_t bucket = id->word[0] >> (32 - x->bits);
	const uint16_t *at = x->entries + x->starts[bucket], *end = x->entries + x->starts[bucket + 1];
	uint64_t any = 0;
	for (unsigned i = 0; i < LOOK / 4; i++) {
		uint64_t four;
		memcpy(&four, at + 4 * i, sizeof four);
		four = (four & all) ^ want;
		any |= (four - ones) & ~four;
	}
	if ((any & ones << 15) == 0 && end - at <= LOOK)
		return 0;
	unsigned found = 0;
	for (; at < end; at++)
		if ((*at & ID_MASK) == (id->word[0] & ID_MASK))
			found |= 1u << (*at >> ID_BITS);
	return found;
}
