#include "seen_index.h"

#include <stdlib.h>
#include <string.h>

enum {
	ID_BITS = 12,
	ID_MASK = (1 << ID_BITS) - 1,
	BITS_MIN = 4,
	BITS_MAX = 18, /* and the last 12 are in the entry: none twice */
	BUCKET_MAX = 32, /* on average */
	PAD = 4,         /* entries behind the last that may be read */
};

void mw_seen_index_deinit(struct mw_seen_index *x)
{
	free(x->starts);
	free(x->entries);
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

static void merge(struct mw_seen_index *to, const struct mw_seen_index *from, const struct mw_seen_words *runs,
		  unsigned n)
{
	uint32_t next[MW_SEEN_INDEX_RUNS] = {0}, at = 0;
	const unsigned shift = 32 - to->bits;
	for (uint32_t b = 0; b < UINT32_C(1) << to->bits; b++) {
		to->starts[b] = at;
		if (from->runs > 0) {
			uint32_t begin = from->starts[b], count = from->starts[b + 1] - begin;
			memcpy(to->entries + at, from->entries + begin, count * sizeof *to->entries);
			at += count;
		}
		for (unsigned r = 0; r < n; r++) {
			const unsigned tag = (from->runs + r) << ID_BITS;
			for (; next[r] < runs[r].count; next[r]++) {
				uint32_t word = runs[r].at[(size_t)next[r] * runs[r].step];
				if (word >> shift != b)
					break;
				to->entries[at++] = (uint16_t)(tag | (word & ID_MASK));
			}
		}
	}
	to->starts[UINT32_C(1) << to->bits] = at;
	to->count = at;
	memset(to->entries + at, 0, PAD * sizeof *to->entries);
}

bool mw_seen_index_add(struct mw_seen_index *x, const struct mw_seen_words *runs, unsigned n)
{
	size_t count = x->count;
	for (unsigned r = 0; r < n; r++)
		count += runs[r].count;
	struct mw_seen_index grown = {.bits = x->runs > 0 ? x->bits : mw_seen_index_bits(runs[0].count)};
	grown.starts = malloc(((size_t)1 << grown.bits) * sizeof *grown.starts + sizeof *grown.starts);
	grown.entries = malloc((count + PAD) * sizeof *grown.entries);
	if (!grown.starts || !grown.entries) {
		mw_seen_index_deinit(&grown);
		return false;
	}
	merge(&grown, x, runs, n);
	grown.runs = x->runs + n;
	mw_seen_index_deinit(x);
	*x = grown;
	return true;
}

unsigned mw_seen_index_find(const struct mw_seen_index *x, const struct mw_seen_id *id)
{
	/* Four entries at a time: is a lane of these 64 bits zero, but for the run's number? */
	const uint64_t ones = UINT64_C(0x0001000100010001), all = ones * ID_MASK, want = ones * (id->word[0] & ID_MASK);
	const uint32_t bucket = id->word[0] >> (32 - x->bits);
	const uint16_t *at = x->entries + x->starts[bucket], *end = x->entries + x->starts[bucket + 1];
	unsigned found = 0;
	for (; at < end; at += 4) {
		uint64_t four;
		memcpy(&four, at, sizeof four);
		four = (four & all) ^ want;
		if (((four - ones) & ~four & (ones << 15)) == 0)
			continue;
		for (const uint16_t *a = at; a < at + 4 && a < end; a++)
			if ((*a & ID_MASK) == (id->word[0] & ID_MASK))
				found |= 1u << (*a >> ID_BITS);
	}
	return found;
}
