#include "json_write.h"
#include "message.h"

enum { DIGEST = 32, SLUG_ROOM = MW_MESSAGE_ID_MAX - 1 - 2 * DIGEST };

static const char hex_digits[] = "0123456789abcdef";

/* A-Z a-z 0-9 - . _ by their two halves. */
static const uint8_t plain[16][16] = {
    [2] = {[13] = 1, [14] = 1},
    [3] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    [4] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    [5] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, [15] = 1},
    [6] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
    [7] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
};

static bool is_plain(struct mw_span s)
{
	unsigned all = s.len > 0;
	for (size_t i = 0; i < s.len; i++)
		all &= plain[s.at[i] >> 4][s.at[i] & 15];
	return all;
}

static size_t decimal(char digits[10], uint32_t n)
{
	char reversed[10];
	size_t len = 0;
	do {
		reversed[len++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	for (size_t i = 0; i < len; i++)
		digits[i] = reversed[len - 1 - i];
	return len;
}

/* No part holds a ':', so the four can be told apart again; and the last ':' is followed by digits
 * alone, which is never so behind a '~' and a digest. */
static size_t put_readable(uint8_t *start, const struct mw_span part[3], struct mw_span index)
{
	uint8_t *at = start;
	for (int i = 0; i < 3; i++) {
		memcpy(at, part[i].at, part[i].len);
		at += part[i].len;
		*at++ = ':';
	}
	memcpy(at, index.at, index.len);
	return (size_t)(at + index.len - start);
}

/* What is digested: each part behind its length, so that moving a byte from one to the next shows. */
static enum mw_err append_counted(struct mw_buf *b, struct mw_span s)
{
	enum mw_err err = mw_json_write_int64(b, (int64_t)s.len);
	if (!err)
		err = mw_buf_append_byte(b, ':');
	return err ? err : mw_buf_append_span(b, s);
}

static enum mw_err append_digest(struct mw_buf *out, const struct mw_span part[3], struct mw_span index,
				 mw_sha256 *sha256)
{
	size_t mark = out->len;
	enum mw_err err = MW_OK;
	for (int i = 0; i < 3 && !err; i++)
		err = append_counted(out, part[i]);
	if (!err)
		err = append_counted(out, index);
	uint8_t digest[DIGEST];
	if (!err)
		sha256(out->data + mark, out->len - mark, digest);
	out->len = mark;
	if (!err)
		err = mw_buf_reserve(out, MW_MESSAGE_ID_MAX);
	if (err)
		return err;
	uint8_t *at = out->data + out->len;
	if (is_plain(part[0])) {
		size_t len = part[0].len < SLUG_ROOM ? part[0].len : SLUG_ROOM;
		memcpy(at, part[0].at, len);
		at += len;
	}
	*at++ = '~';
	for (int i = 0; i < DIGEST; i++) {
		*at++ = (uint8_t)hex_digits[digest[i] >> 4];
		*at++ = (uint8_t)hex_digits[digest[i] & 15];
	}
	out->len = (size_t)(at - out->data);
	return MW_OK;
}

enum mw_err mw_message_id(struct mw_buf *out, struct mw_span slug, struct mw_span account,
			  struct mw_span upstream_id, uint32_t index, mw_sha256 *sha256)
{
	const struct mw_span part[3] = {slug, account, upstream_id};
	char digits[10];
	struct mw_span number = {(const uint8_t *)digits, decimal(digits, index)};
	/* Each on its own first, so that the sum can't wrap. */
	bool fits = slug.len <= MW_MESSAGE_ID_MAX && account.len <= MW_MESSAGE_ID_MAX &&
		    upstream_id.len <= MW_MESSAGE_ID_MAX &&
		    slug.len + account.len + upstream_id.len + number.len + 3 <= MW_MESSAGE_ID_MAX;
	if (!fits || !is_plain(slug) || !is_plain(account) || !is_plain(upstream_id))
		return append_digest(out, part, number, sha256);
	enum mw_err err = mw_buf_reserve(out, MW_MESSAGE_ID_MAX);
	if (!err)
		out->len += put_readable(out->data + out->len, part, number);
	return err;
}

enum mw_err mw_message_random_id(struct mw_buf *out, const uint8_t random[16])
{
	enum mw_err err = mw_buf_reserve(out, 36);
	if (err)
		return err;
	uint8_t *at = out->data + out->len;
	for (int i = 0; i < 16; i++) {
		uint8_t byte = random[i];
		if (i == 6)
			byte = (uint8_t)((byte & 0x0F) | 0x40); /* version 4 */
		if (i == 8)
			byte = (uint8_t)((byte & 0x3F) | 0x80); /* the variant of RFC 9562 */
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = (uint8_t)hex_digits[byte >> 4];
		*at++ = (uint8_t)hex_digits[byte & 15];
	}
	out->len += 36;
	return MW_OK;
}
