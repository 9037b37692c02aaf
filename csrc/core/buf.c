#include "buf.h"

#include <stdlib.h>

enum { FIRST_ROOM = 256 };

void mw_buf_init(struct mw_buf *b, size_t max)
{
	*b = (struct mw_buf){.max = max};
}

void mw_buf_deinit(struct mw_buf *b)
{
	free(b->data);
	*b = (struct mw_buf){.max = b->max};
}

enum mw_err mw_buf_grow(struct mw_buf *b, size_t more)
{
	if (more > b->max - b->len)
		return MW_TOO_LARGE;
	size_t need = b->len + more;
	size_t cap = b->cap ? b->cap : FIRST_ROOM;
	while (cap < need)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	uint8_t *data = realloc(b->data, cap);
	if (!data)
		return MW_NO_MEMORY;
	b->data = data;
	b->cap = cap;
	return MW_OK;
}
