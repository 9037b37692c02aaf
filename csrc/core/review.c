#include "review.h"

#include <assert.h>
#include <string.h>

_Static_assert((MW_SHAPES_MAX & (MW_SHAPES_MAX - 1)) == 0, "sets are found by the low bits of a shape");
_Static_assert(MW_VERDICTS_MAX <= UINT16_MAX, "a verdict takes two bytes");

void mw_review_init(struct mw_review *r, bool is_strict)
{
	memset(r, 0, sizeof *r);
	r->is_strict = is_strict;
	r->credit = MW_REVIEW_BURST;
	r->until_more = MW_REVIEW_EVERY;
}

static struct mw_review_set *set_of(struct mw_review *r, uint64_t shape)
{
	return &r->set[shape % (MW_SHAPES_MAX / MW_SHAPE_WAYS)];
}

static void earn_credit(struct mw_review *r)
{
	if (--r->until_more > 0)
		return;
	r->until_more = MW_REVIEW_EVERY;
	r->credit += r->credit < MW_REVIEW_BURST;
}

enum mw_review_answer mw_review_look(struct mw_review *r, uint64_t shape)
{
	struct mw_review_set *set = set_of(r, shape);
	r->messages++;
	earn_credit(r);
	for (int i = 0; i < MW_SHAPE_WAYS; i++) {
		if (set->shape[i] == shape) {
			set->met[i] = 1;
			r->met[set->verdict[i]]++;
			return MW_REVIEW_PASS;
		}
	}
	if (r->credit == 0 && !r->is_strict) {
		r->unjudged++;
		return MW_REVIEW_PASS;
	}
	r->credit -= r->credit > 0;
	r->judged++;
	return MW_REVIEW_JUDGE;
}

/* A free place, or that of the first one not met since the hand went by. */
static int place_in(struct mw_review_set *set, uint64_t shape)
{
	for (int i = 0; i < MW_SHAPE_WAYS; i++) {
		if (set->shape[i] == 0 || set->shape[i] == shape)
			return i;
	}
	while (set->met[set->hand]) {
		set->met[set->hand] = 0;
		set->hand = (uint8_t)((set->hand + 1) % MW_SHAPE_WAYS);
	}
	int place = set->hand;
	set->hand = (uint8_t)((set->hand + 1) % MW_SHAPE_WAYS);
	return place;
}

void mw_review_learn(struct mw_review *r, uint64_t shape, uint32_t verdict, bool refused)
{
	assert(verdict < MW_VERDICTS_MAX && shape != 0);
	r->met[verdict]++;
	if (refused)
		return;
	struct mw_review_set *set = set_of(r, shape);
	int place = place_in(set, shape);
	set->shape[place] = shape;
	set->verdict[place] = (uint16_t)verdict;
	set->met[place] = 0;
	r->shapes++;
}
