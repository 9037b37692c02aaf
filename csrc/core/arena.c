#include "arena.h"

#include <stddef.h>
#include <stdlib.h>

enum { FIRST_BLOCK = 4096, ALIGN = _Alignof(max_align_t) };

struct mw_arena_block {
	struct mw_arena_block *older;
	size_t cap;
	size_t len;
	max_align_t bytes[];
};

void mw_arena_init(struct mw_arena *a, size_t max)
{
	*a = (struct mw_arena){.max = max};
}

void mw_arena_deinit(struct mw_arena *a)
{
	while (a->blocks) {
		struct mw_arena_block *older = a->blocks->older;
		free(a->blocks);
		a->blocks = older;
	}
	a->used = 0;
}

void mw_arena_clear(struct mw_arena *a)
{
	if (a->used == 0)
		return;
	while (a->blocks->older) {
		struct mw_arena_block *older = a->blocks->older;
		free(a->blocks);
		a->blocks = older;
	}
	a->blocks->len = 0;
	a->used = 0;
}

/* Blocks double, so an event that needs much pays for few of them. */
static struct mw_arena_block *add_block(struct mw_arena *a, size_t len)
{
	size_t cap = a->blocks ? a->blocks->cap * 2 : FIRST_BLOCK;
	if (cap > a->max)
		cap = a->max;
	if (cap < len)
		cap = len;
	struct mw_arena_block *b = malloc(sizeof *b + cap);
	if (!b)
		return NULL;
	*b = (struct mw_arena_block){.older = a->blocks, .cap = cap};
	a->blocks = b;
	return b;
}

void *mw_arena_take(struct mw_arena *a, size_t len)
{
	if (len > a->max)
		return NULL;
	len = (len + ALIGN - 1) / ALIGN * ALIGN;
	if (len > a->max - a->used)
		return NULL;
	struct mw_arena_block *b = a->blocks;
	if (!b || b->cap - b->len < len) {
		b = add_block(a, len);
		if (!b)
			return NULL;
	}
	void *at = (uint8_t *)b->bytes + b->len;
	b->len += len;
	a->used += len;
	return at;
}

struct mw_buf mw_arena_buf(struct mw_arena *a, size_t room)
{
	void *data = mw_arena_take(a, room);
	return (struct mw_buf){.data = data, .cap = data ? room : 0, .max = data ? room : 0};
}

bool mw_arena_copy(struct mw_arena *a, struct mw_span s, struct mw_span *copy)
{
	uint8_t *at = mw_arena_take(a, s.len);
	if (!at)
		return false;
	if (s.len > 0)
		memcpy(at, s.at, s.len);
	*copy = (struct mw_span){at, s.len};
	return true;
}
