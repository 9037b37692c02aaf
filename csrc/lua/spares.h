/* spares.h -- small blocks that Lua gave back, for it to take again.
 *
 * A function entry makes a dozen small objects for each event, all garbage when it returns: asking the host's
 * allocator for each, and giving each back, would be a tenth of the entry's time. The blocks are the
 * allocator's own, each of exactly the size that it was asked for, so whoever gives one back at last does it
 * right.
 */
#ifndef MWL_SPARES_H
#define MWL_SPARES_H

#include "compat.h"

#include <stdbool.h>
#include <string.h>

enum {
	MWL_SPARE_SIZE = 128,        /* bytes of the largest that is kept */
	MWL_SPARES_MAX = 512 * 1024, /* bytes of all */
};

struct mwl_spares {
	void *first[MWL_SPARE_SIZE + 1]; /* of each size; each block begins with the address of the next */
	size_t bytes;
};

/* NULL if there is none of that size. */
static inline void *mwl_spares_take(struct mwl_spares *s, size_t size)
{
	void *block = size <= MWL_SPARE_SIZE ? s->first[size] : NULL;
	if (block) {
		memcpy(&s->first[size], block, sizeof s->first[size]);
		s->bytes -= size;
	}
	return block;
}

/* False if it is not kept. */
static inline bool mwl_spares_keep(struct mwl_spares *s, void *block, size_t size)
{
	if (size > MWL_SPARE_SIZE || size < sizeof s->first[0] || s->bytes > MWL_SPARES_MAX - size)
		return false;
	memcpy(block, &s->first[size], sizeof s->first[size]);
	s->first[size] = block;
	s->bytes += size;
	return true;
}

/* Give all back. */
static inline void mwl_spares_free(struct mwl_spares *s, lua_Alloc alloc, void *context)
{
	for (size_t size = 0; size <= MWL_SPARE_SIZE; size++) {
		void *block;
		while ((block = mwl_spares_take(s, size)))
			alloc(context, block, size, 0);
	}
}

#endif
