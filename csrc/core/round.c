#include "round.h"

void mw_round_append(struct mw_round *r, struct mw_lane *lane)
{
	lane->places[r->kind] = (struct mw_place){.before = r->back};
	if (r->back)
		r->back->places[r->kind].next = lane;
	else
		r->front = lane;
	r->back = lane;
}

void mw_round_prepend(struct mw_round *r, struct mw_lane *lane)
{
	lane->places[r->kind] = (struct mw_place){.next = r->front};
	if (r->front)
		r->front->places[r->kind].before = lane;
	else
		r->back = lane;
	r->front = lane;
}

void mw_round_remove(struct mw_round *r, struct mw_lane *lane)
{
	struct mw_place *place = &lane->places[r->kind];
	if (place->before)
		place->before->places[r->kind].next = place->next;
	else
		r->front = place->next;
	if (place->next)
		place->next->places[r->kind].before = place->before;
	else
		r->back = place->before;
	*place = (struct mw_place){0};
}
