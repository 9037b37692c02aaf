#include "patterns.h"

enum { NONE = UINT8_MAX }; /* more than MW_PATTERN_VALUES */

_Static_assert((int)MW_PATTERN_VALUES < (int)NONE, "a part's number is a byte");
_Static_assert(MW_PATTERNS <= 32, "a bit for each");

void mw_patterns_init(struct mw_patterns *set)
{
	memset(set->shared, NONE, sizeof set->shared);
}

/* Nobody departs to it; it itself shares nothing with others. */
void mw_patterns_drop(struct mw_patterns *set, uint32_t which)
{
	set->each[which].count = 0;
	for (uint32_t i = 0; i < MW_PATTERNS; i++) {
		set->shared[i][which] = NONE;
		set->shared[which][i] = set->each[i].count > 0 ? 0 : NONE;
	}
}

void mw_patterns_take(struct mw_patterns *set, uint32_t which, const struct mw_json *doc)
{
	mw_patterns_drop(set, which);
	mw_pattern_take(&set->each[which], doc);
	for (uint32_t i = 0; set->each[which].count > 0 && i < MW_PATTERNS; i++) {
		if (i == which)
			continue;
		uint8_t shared = (uint8_t)mw_pattern_shared(&set->each[which], &set->each[i]);
		set->shared[i][which] = shared;
		if (set->each[i].count > 0)
			set->shared[which][i] = shared;
	}
}

/* The next part of `r` is not that of number `which`. Whose is it, of those that had the same parts so far
 * and now have another? */
static uint32_t turn_to(const struct mw_patterns *set, uint32_t which, const struct mw_pattern_reading *r,
			uint32_t tried)
{
	const uint8_t *shared = set->shared[which];
	uint32_t guess = set->turn[which][r->part];
	if (shared[guess] == r->part && !(tried >> guess & 1) && mw_pattern_goes_on(&set->each[guess], r))
		return guess;
	for (uint32_t i = 0; i < MW_PATTERNS; i++) {
		if (shared[i] == r->part && !(tried >> i & 1) && mw_pattern_goes_on(&set->each[i], r))
			return i;
	}
	return MW_PATTERNS;
}

uint32_t mw_patterns_read(struct mw_patterns *set, uint32_t first, struct mw_json *doc, struct mw_span text)
{
	struct mw_pattern_reading r;
	uint32_t which = first, part = 0, tried = 0;
	if (!mw_pattern_begin(&r, doc, text))
		return MW_PATTERNS;
	while (!mw_pattern_follow(&set->each[which], &r) || !mw_pattern_read(&set->each[which], &r)) {
		/* Each is tried once at a part: a part may stand there, and its value be another. */
		tried = (r.part == part ? tried : 0) | UINT32_C(1) << which;
		part = r.part;
		uint32_t next = turn_to(set, which, &r, tried);
		if (next == MW_PATTERNS)
			return MW_PATTERNS;
		set->turn[which][part] = (uint8_t)next;
		which = next;
	}
	return which;
}
