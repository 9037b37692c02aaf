#include "json_write.h"

#include "number.h"
#include "scan.h"
#include "utf8.h"

#include <math.h>

/* "\n" and its kind, or "\u0001" for the controls that have no short form. */
static size_t escape(uint8_t c, char out[6])
{
	static const char shorts[] = {
	    ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	out[0] = '\\';
	if (c < sizeof shorts && shorts[c]) {
		out[1] = shorts[c];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = "0123456789abcdef"[c >> 4];
	out[5] = "0123456789abcdef"[c & 15];
	return 6;
}

static enum mw_err write_odd_chars(struct mw_buf *b, const void *bytes, size_t len)
{
	size_t mark = b->len;
	const uint8_t *p = bytes, *end = p + len, *run = p;
	enum mw_err err = MW_OK;
	while ((p = mw_scan_plain(p, end)) < end) {
		if (*p >= 0x80) { /* stays in the run if it is well-formed */
			do {
				size_t n = mw_utf8_sequence(p, end);
				if (n == 0) {
					err = MW_INVALID;
					goto undo;
				}
				p += n;
			} while (p < end && *p >= 0x80);
			continue;
		}
		char escaped[6];
		size_t n = escape(*p, escaped);
		if ((err = mw_buf_append(b, run, (size_t)(p - run))) || (err = mw_buf_append(b, escaped, n)))
			goto undo;
		run = ++p;
	}
	err = mw_buf_append(b, run, (size_t)(p - run));
	if (err == MW_OK)
		return MW_OK;
undo:
	b->len = mark;
	return err;
}

enum mw_err mw_json_write_chars(struct mw_buf *b, const void *bytes, size_t len)
{
	enum mw_err err = mw_buf_reserve(b, len);
	if (err)
		return err;
	if (!mw_scan_copy(b->data + b->len, bytes, len))
		return write_odd_chars(b, bytes, len);
	b->len += len;
	return MW_OK;
}

enum mw_err mw_json_write_string(struct mw_buf *b, const void *bytes, size_t len)
{
	size_t mark = b->len;
	enum mw_err err;
	/* Room for the usual case at once; if there is none a smaller piece fails below. */
	mw_buf_reserve(b, len + 2);
	if ((err = mw_buf_append_byte(b, '"')) || (err = mw_json_write_chars(b, bytes, len)) ||
	    (err = mw_buf_append_byte(b, '"')))
		b->len = mark;
	return err;
}

enum mw_err mw_json_write_int64(struct mw_buf *b, int64_t value)
{
	char text[MW_NUMBER_MAX];
	return mw_buf_append(b, text, mw_number_write_int64(value, text));
}

enum mw_err mw_json_write_double(struct mw_buf *b, double value)
{
	if (!isfinite(value))
		return MW_INVALID;
	char text[MW_NUMBER_MAX];
	return mw_buf_append(b, text, mw_number_write_double(value, text));
}

size_t mw_json_count_chars(struct mw_span s)
{
	size_t count = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\\') {
			bool is_unicode = i + 1 < s.len && s.at[i + 1] == 'u';
			bool is_low_half = is_unicode && i + 3 < s.len && (s.at[i + 2] | 0x20) == 'd' &&
					   ((s.at[i + 3] | 0x20) >= 'c');
			i += is_unicode ? 5 : 1;
			count += !is_low_half;
		} else {
			count += (s.at[i] & 0xC0) != 0x80;
		}
	}
	return count;
}
