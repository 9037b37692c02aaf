#include "json_write.h"
#include "message.h"

enum { DIGEST = 32, SLUG_ROOM = MW_MESSAGE_ID_MAX - 1 - 2 * DIGEST };

static const char hex_digits[] = "0123456789abcdef";

/* 0x0101...01 times the byte: the byte in all eight places. */
#define EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Is each of the eight bytes one of A-Z a-z 0-9 - . _ ? As nothing above 0x7F is left, no sum carries into
 * the next byte: adding 0x80 - c sets the top bit of those from c on. */
static bool are_plain(const uint8_t *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	uint64_t low = word & EIGHT(0x7F), folded = low | EIGHT(0x20);
	uint64_t letter = (folded + EIGHT(0x80 - 'a')) & ~(folded + EIGHT(0x7F - 'z'));
	uint64_t digit = (low + EIGHT(0x80 - '0')) & ~(low + EIGHT(0x7F - '9'));
	uint64_t dash = (low + EIGHT(0x80 - '-')) & ~(low + EIGHT(0x7F - '.'));
	uint64_t line = ~((low ^ EIGHT('_')) + EIGHT(0x7F));
	return ((letter | digit | dash | line) & ~word & EIGHT(0x80)) == EIGHT(0x80);
}

static bool is_plain(struct mw_span s)
{
	bool all = s.len > 0;
	for (size_t i = 0; i < s.len && all; i += 8) {
		uint8_t eight[8] = {'.', '.', '.', '.', '.', '.', '.', '.'};
		memcpy(eight, s.at + i, s.len - i < 8 ? s.len - i : 8);
		all = are_plain(eight);
	}
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

/* False if there is a byte that is not plain; the buffer is as it was then. The ':' are put behind the parts
 * last, so that one look finds those that came with a part. As no part holds a ':', the four can be told
 * apart again; and the last ':' is followed by digits alone, which is never so behind a '~' and a digest. */
static bool put_readable(struct mw_buf *out, const struct mw_span part[3], struct mw_span index)
{
	uint8_t *start = out->data + out->len, *at = start, *end[3];
	for (int i = 0; i < 3; i++) {
		memcpy(at, part[i].at, part[i].len);
		end[i] = at + part[i].len;
		*end[i] = '.';
		at = end[i] + 1;
	}
	memcpy(at, index.at, index.len);
	at += index.len;
	memset(at, '.', 8);
	bool all = true;
	for (const uint8_t *eight = start; eight < at; eight += 8)
		all &= are_plain(eight);
	if (!all)
		return false;
	for (int i = 0; i < 3; i++)
		*end[i] = ':';
	out->len += (size_t)(at - start);
	return true;
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
	bool is_whole = slug.len > 0 && account.len > 0 && upstream_id.len > 0;
	enum mw_err err = mw_buf_reserve(out, MW_MESSAGE_ID_MAX + 8);
	if (err)
		return err;
	if (fits && is_whole && put_readable(out, part, number))
		return MW_OK;
	return append_digest(out, part, number, sha256);
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
