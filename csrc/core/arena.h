/* arena.h -- scratch memory of one event: bytes that stay put until the next event.
 *
 * Blocks of 4 KB and up; mw_arena_clear keeps the first and frees the rest. Pointers handed
 * out are good until clear. Not thread-safe.
 */
#ifndef MW_ARENA_H
#define MW_ARENA_H

#include "buf.h"

struct mw_arena_block;

struct mw_arena {
	struct mw_arena_block *blocks;
	size_t used; /* over all blocks */
	size_t max;
};

void mw_arena_init(struct mw_arena *a, size_t max);
void mw_arena_deinit(struct mw_arena *a);
void mw_arena_clear(struct mw_arena *a);

/* `len` bytes aligned for anything; NULL past max or out of memory. */
void *mw_arena_take(struct mw_arena *a, size_t len);

/* A buffer over `room` bytes of the arena, for writers that know the most they write. It never grows
 * (MW_TOO_LARGE instead) and needs no deinit. Its max is 0 if the arena is full. */
struct mw_buf mw_arena_buf(struct mw_arena *a, size_t room);

/* The same bytes, in the arena; at is not NULL even for none. False past max or out of memory. */
bool mw_arena_copy(struct mw_arena *a, struct mw_span s, struct mw_span *copy);

#endif
