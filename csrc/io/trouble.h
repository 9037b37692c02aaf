/* trouble.h -- the last failure of each lane, in words for people.
 *
 * A small map from lane to sentence. Lanes without trouble, which is nearly all of them, cost nothing. Lanes
 * live as long as their weir, so their address is their name. Not thread-safe.
 */
#ifndef MW_TROUBLE_H
#define MW_TROUBLE_H

#include "../core/lane.h"

enum {
	MW_TROUBLE_MAX = 160,           /* bytes of a sentence, with its end */
	MW_TROUBLE_LANES_MAX = 1 << 14, /* more lanes that fail together fail for the same reason */
};

struct mw_trouble {
	struct mw_trouble_entry *entries; /* open addressing; NULL until the first trouble */
	size_t mask;
	size_t count;
};

void mw_trouble_init(struct mw_trouble *t);
void mw_trouble_deinit(struct mw_trouble *t);

/* Copies at most MW_TROUBLE_MAX - 1 bytes, cut between characters. Short of memory, or with
 * MW_TROUBLE_LANES_MAX others noted, it is not noted. */
void mw_trouble_note(struct mw_trouble *t, const struct mw_lane *lane, const char *text);

/* "" if there was none. Borrowed until the next note. */
const char *mw_trouble_of(const struct mw_trouble *t, const struct mw_lane *lane);

#endif
