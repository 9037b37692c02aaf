/* review.h -- which kinds of messages were judged, and how: a bounded memory of shapes.
 *
 * Judging a message by Segment's Spec takes tens of microseconds, so it is done once for each shape
 * (shape.h), by whoever owns the rules, and remembered:
 *
 *     mw_review_look(r, shape)    MW_REVIEW_PASS    known: counted, nothing more to do
 *                                 MW_REVIEW_JUDGE   judge the message, then mw_review_learn(r, shape, ...)
 *
 * A verdict is a number of the judge's: 0 is flawless, others say what is wrong with it. How often each was
 * met is counted here. In strict mode a verdict that refuses is not learned, only counted: each message of
 * that kind is judged anew, so that the error tells of this message and of no other.
 *
 * Shapes are MW_SHAPES_MAX at most; of four that compete for a place the one not met for longest goes (second
 * chance). A tool that names its properties after its customers has no end of shapes. Judging is rationed for
 * that: MW_REVIEW_BURST at once, then one for each MW_REVIEW_EVERY messages; what is not judged passes and
 * is counted as such. Not in strict mode: there every unknown shape is judged, whatever it costs.
 *
 * No clock. Not thread-safe: one review serves one thread, that of its Lua state.
 */
#ifndef MW_REVIEW_H
#define MW_REVIEW_H

#include "limits.h"

#include <stdbool.h>
#include <stdint.h>

enum { MW_SHAPE_WAYS = 4 };

/* A cache line. */
struct mw_review_set {
	uint64_t shape[MW_SHAPE_WAYS]; /* 0: free */
	uint16_t verdict[MW_SHAPE_WAYS];
	uint8_t met[MW_SHAPE_WAYS]; /* since the hand passed */
	uint8_t hand;
};

struct mw_review {
	bool is_strict;
	uint32_t credit;     /* messages that may still be judged */
	uint32_t until_more; /* messages until there is one more */
	uint64_t messages;
	uint64_t judged;
	uint64_t unjudged;             /* of an unknown shape, and no credit was left */
	uint64_t shapes;               /* learned, those forgotten since among them */
	uint64_t met[MW_VERDICTS_MAX]; /* messages, by verdict */
	struct mw_review_set set[MW_SHAPES_MAX / MW_SHAPE_WAYS];
};

enum mw_review_answer { MW_REVIEW_PASS, MW_REVIEW_JUDGE };

void mw_review_init(struct mw_review *r, bool is_strict);

enum mw_review_answer mw_review_look(struct mw_review *r, uint64_t shape);

/* What the judge found of the message that was looked at last, below MW_VERDICTS_MAX. `refused`: it is not
 * sent. */
void mw_review_learn(struct mw_review *r, uint64_t shape, uint32_t verdict, bool refused);

#endif
