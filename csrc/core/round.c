#include "round.h"

void mw_round_append(struct mw_round *r, struct mw_lane *lane)
{
	lane->ready_next = NULL;
	lane->ready_before = r->back;
	if (r->back)
		r->back->ready_next = lane;
	else
		r->front = lane;
	r->back = lane;
	r->count++;
}

void mw_round_prepend(struct mw_round *r, struct mw_lane *lane)
{
	lane->ready_before = NULL;
	lane->ready_next = r->front;
	if (r->front)
		r->front->ready_before = lane;
	else
		r->back = lane;
	r->front = lane;
	r->count++;
}

void mw_round_remove(struct mw_round *r, struct mw_lane *lane)
{
	if (lane->ready_before)
		lane->ready_before->ready_next = lane->ready_next;
	else
		r->front = lane->ready_next;
	if (lane->ready_next)
		lane->ready_next->ready_before = lane->ready_before;
	else
		r->back = lane->ready_before;
	lane->ready_next = lane->ready_before = NULL;
	r->count--;
}
