/* buf.h -- bytes that grow, up to a hard cap given at init.
 *
 * A writer that may fail half-way marks first (`size_t mark = b.len`) and rolls back
 * (`b.len = mark`). The data pointer moves when the buffer grows: keep offsets, not pointers.
 *
 * Doubles its room, so appending n bytes one by one costs O(n). Keeps its room until
 * deinit; mw_buf_clear only forgets the contents. Not thread-safe.
 */
#ifndef MW_BUF_H
#define MW_BUF_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct mw_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;
};

/* Bytes that somebody else owns. */
struct mw_span {
	const uint8_t *at;
	size_t len;
};

#define MW_SPAN(literal) ((struct mw_span){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline bool mw_span_is(struct mw_span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static inline bool mw_span_equal(struct mw_span a, struct mw_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Allocates nothing; `max` is the most it will ever hold. */
void mw_buf_init(struct mw_buf *b, size_t max);
void mw_buf_deinit(struct mw_buf *b);

/* Room for `more` bytes behind len. MW_TOO_LARGE past max, MW_NO_MEMORY; contents stay as they were. */
enum mw_err mw_buf_grow(struct mw_buf *b, size_t more);

static inline enum mw_err mw_buf_reserve(struct mw_buf *b, size_t more)
{
	return b->cap - b->len >= more ? MW_OK : mw_buf_grow(b, more);
}

static inline enum mw_err mw_buf_append(struct mw_buf *b, const void *bytes, size_t len)
{
	enum mw_err err = mw_buf_reserve(b, len);
	if (err == MW_OK && len > 0) {
		memcpy(b->data + b->len, bytes, len);
		b->len += len;
	}
	return err;
}

static inline enum mw_err mw_buf_append_byte(struct mw_buf *b, char byte)
{
	return mw_buf_append(b, &byte, 1);
}

static inline enum mw_err mw_buf_append_span(struct mw_buf *b, struct mw_span s)
{
	return mw_buf_append(b, s.at, s.len);
}

#define mw_buf_append_literal(b, literal) mw_buf_append((b), "" literal, sizeof(literal) - 1)

static inline void mw_buf_clear(struct mw_buf *b)
{
	b->len = 0;
}

static inline struct mw_span mw_buf_span(const struct mw_buf *b)
{
	return (struct mw_span){b->data, b->len};
}

#endif
