#include "inflate.h"

#include "../core/limits.h"

#define ZLIB_CONST
#include <zlib.h>

enum { STEP = 64 * 1024, ZLIB = 15, GZIP = 16 + 15, BARE = -15 };

/* Window bits for inflateInit2. A zlib header is method 8 and a check that makes it a multiple of 31. */
static int window_of(enum mw_coding coding, struct mw_span body)
{
	if (coding == MW_GZIP)
		return GZIP;
	bool is_zlib = body.len >= 2 && (body.at[0] & 15) == 8 && (body.at[0] << 8 | body.at[1]) % 31 == 0;
	return is_zlib ? ZLIB : BARE;
}

static enum mw_err check_growth(size_t before, size_t after, struct mw_error *e)
{
	if (after > MW_EVENT_MAX || (after > MW_INFLATE_FREE && after / MW_INFLATE_RATIO > before))
		return mw_error_set(e, MW_TOO_LARGE, 0,
				    "a body of %zu bytes that grows beyond %u, or %d times its size", before,
				    MW_EVENT_MAX, MW_INFLATE_RATIO);
	return MW_OK;
}

/* One stream, or the rest of it if the last call ended in its middle. */
static enum mw_err run(z_stream *z, struct mw_span body, size_t mark, struct mw_buf *out, struct mw_error *e)
{
	for (;;) {
		if (mw_buf_reserve(out, STEP) != MW_OK)
			return mw_error_set(e, out->len + STEP > out->max ? MW_TOO_LARGE : MW_NO_MEMORY, 0,
					    "no room for the body");
		z->next_out = out->data + out->len;
		z->avail_out = STEP;
		int result = inflate(z, Z_NO_FLUSH);
		out->len += STEP - z->avail_out;
		enum mw_err err = check_growth(body.len, out->len - mark, e);
		if (err || result == Z_STREAM_END)
			return err;
		if (result == Z_MEM_ERROR)
			return mw_error_set(e, MW_NO_MEMORY, 0, "no room to decompress");
		if (result != Z_OK)
			return mw_error_set(e, MW_INVALID, body.len - z->avail_in,
					    result == Z_BUF_ERROR
						? "a compressed body that is cut short"
						: "not a compressed body, or a damaged one");
	}
}

enum mw_err mw_inflate(enum mw_coding coding, struct mw_span body, struct mw_buf *out, struct mw_error *e)
{
	size_t mark = out->len;
	if (body.len > MW_EVENT_MAX)
		return check_growth(0, body.len, e);
	z_stream z = {.next_in = body.at, .avail_in = (uInt)body.len};
	if (inflateInit2(&z, window_of(coding, body)) != Z_OK)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no room to decompress");
	enum mw_err err = run(&z, body, mark, out, e);
	while (!err && coding == MW_GZIP && z.avail_in > 0) { /* one more member */
		inflateReset(&z);
		err = run(&z, body, mark, out, e);
	}
	if (!err && z.avail_in > 0)
		err = mw_error_set(e, MW_INVALID, body.len - z.avail_in,
				   "something behind the compressed body");
	inflateEnd(&z);
	if (err)
		out->len = mark;
	return err;
}
