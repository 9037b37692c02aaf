#include "json_write.h"
#include "message.h"
#include "scan.h"

enum { DIGEST = 32, SLUG_ROOM = MW_MESSAGE_ID_MAX - 1 - 2 * DIGEST };

static const char hex_digits[] = "0123456789abcdef";

static bool is_plain(struct mw_span s)
{
	bool all = s.len > 0;
	for (size_t i = 0; i < s.len && all; i += 16) {
		uint8_t sixteen[16];
		memset(sixteen, '.', sizeof sixteen);
		memcpy(sixteen, s.at + i, s.len - i < 16 ? s.len - i : 16);
		all = mw_scan_is_word(sixteen);
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
	memset(at, '.', 16);
	bool all = true;
	for (const uint8_t *sixteen = start; sixteen < at; sixteen += 16)
		all &= mw_scan_is_word(sixteen);
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
	enum mw_err err = mw_buf_reserve(out, MW_MESSAGE_ID_MAX + 16);
	if (err)
		return err;
	if (fits && is_whole && put_readable(out, part, number))
		return MW_OK;
	return append_digest(out, part, number, sha256);
}

enum mw_err mw_message_random_id(struct mw_buf *out, const uint8_t random[16])
{
	enum mw_err err = mw_buf_reserve(out, MW_UUID_LEN);
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
	out->len += MW_UUID_LEN;
	return MW_OK;
}

struct mw_span mw_message_id_of(struct mw_span message)
{
	/* Inside of a string its first quote would have a backslash before it, and only ids come earlier. */
	static const char key[] = ",\"messageId\":\"";
	const uint8_t *at = message.at, *end = message.at + message.len;
	/* Two or three commas away: memmem would take longer to prepare than this does to find it. */
	for (;; at++) {
		at = memchr(at, ',', (size_t)(end - at));
		if (!at || (size_t)(end - at) < sizeof key - 1)
			return (struct mw_span){NULL, 0};
		if (memcmp(at, key, sizeof key - 1) == 0)
			break;
	}
	at += sizeof key - 1;
	const uint8_t *to = at;
	while (*to != '"')
		to += *to == '\\' ? 2 : 1;
	return (struct mw_span){at, (size_t)(to - at)};
}
