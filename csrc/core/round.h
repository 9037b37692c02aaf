/* round.h -- the lanes that may send now, in turn.
 *
 * A lane joins at the back and is taken from the front, one request a turn. Linked both ways, so that a
 * pause can take one out of the middle. There are three rounds: of all lanes that are ready; of those among
 * them that have a full batch waiting; and of those that got one while they were held. Allocates nothing.
 */
#ifndef MW_ROUND_H
#define MW_ROUND_H

#include "lane.h"

struct mw_round {
	enum mw_round_kind kind;
	struct mw_lane *front;
	struct mw_lane *back;
};

void mw_round_append(struct mw_round *r, struct mw_lane *lane);
void mw_round_prepend(struct mw_round *r, struct mw_lane *lane);
void mw_round_remove(struct mw_round *r, struct mw_lane *lane); /* must be in it */

#endif
