/* lanes.h -- all lanes, by name and in the order in which they came.
 *
 * A hash table with open addressing that holds numbers of lanes, so a lane never moves. Lanes are
 * never removed: an account that sent once is likely to send again, and its counters are
 * part of the sum. Costs 8 bytes a lane and 8 bytes a slot, two to four slots for three lanes.
 */
#ifndef MW_LANES_H
#define MW_LANES_H

#include "hash.h"
#include "lane.h"

struct mw_lanes_slot {
	uint32_t tag;    /* bits of the hash, compared before the name */
	uint32_t number; /* of the lane, from 1; 0: free */
};

struct mw_lanes {
	struct mw_hash_key key;
	struct mw_lane **all;
	struct mw_lanes_slot *slots;
	uint32_t count;
	uint32_t room;  /* of `all` */
	uint32_t width; /* of `slots`: a power of two */
};

void mw_lanes_init(struct mw_lanes *l, struct mw_hash_key key);
void mw_lanes_deinit(struct mw_lanes *l); /* frees the lanes too */

struct mw_lane *mw_lanes_find(const struct mw_lanes *l, struct mw_span name);

/* A new, empty lane; the name (at most MW_ACCOUNT_MAX bytes, not there yet) is copied. NULL if memory is
 * short, and nothing has changed. */
struct mw_lane *mw_lanes_add(struct mw_lanes *l, struct mw_span name);

#endif
