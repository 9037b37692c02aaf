/* patterns.h -- the patterns of kinds of events that take turns.
 *
 * Most kinds of a tool's events begin alike, for one program writes them all:
 *
 *     A   {"id": . ,"type": . ,"user":{"id": . }}
 *     B   {"id": . ,"type": . ,"user":{"id": . ,"email": . }}
 *     C   {"id": . ,"type": . ,"order":{"total": . }}
 *
 * A text is read by the pattern of the one before it, and where it departs from that, by another that had the
 * same parts so far: what was read stands, and nobody need know the kind beforehand.
 */
#ifndef MW_PATTERNS_H
#define MW_PATTERNS_H

#include "pattern.h"

enum { MW_PATTERNS = 32 };

struct mw_patterns {
	/* Parts that the two begin with alike; where the second fits nothing, more than a pattern can have.
	 */
	uint8_t shared[MW_PATTERNS][MW_PATTERNS];
	/* By pattern and part: which one went on when a text last departed there. A guess. */
	uint8_t turn[MW_PATTERNS][MW_PATTERN_VALUES];
	struct mw_pattern each[MW_PATTERNS];
};

/* The memory is all zero. None fits anything. */
void mw_patterns_init(struct mw_patterns *set);

/* Keep the pattern of a document just read in place of number `which`. */
void mw_patterns_take(struct mw_patterns *set, uint32_t which, const struct mw_json *doc);

/* Number `which` fits nothing any more. */
void mw_patterns_drop(struct mw_patterns *set, uint32_t which);

/* Read a text by one of them, `first` to begin with. Which one it had, with a document as mw_pattern_read
 * leaves it; MW_PATTERNS, and the document empty, if it had none. */
uint32_t mw_patterns_read(struct mw_patterns *set, uint32_t first, struct mw_json *doc, struct mw_span text);

#endif
