/* What is read off the tape once it is there: members, elements, characters. */
#include "json_read.h"
#include "scan.h"
#include "utf8.h"

static uint32_t hex4(const uint8_t *p)
{
	uint32_t value = 0;
	for (int i = 0; i < 4; i++)
		value = value << 4 | (p[i] <= '9' ? p[i] - (uint32_t)'0' : (p[i] | 0x20u) - 'a' + 10);
	return value;
}

/* Undo the escape at p, which the reader has checked. Moves p behind it; returns 1 to 4 bytes. */
static size_t undo_escape(const uint8_t **p, uint8_t out[4])
{
	uint8_t letter = (*p)[1];
	if (letter == 'u') {
		uint32_t code = hex4(*p + 2);
		*p += 6;
		if (code >= 0xD800 && code <= 0xDBFF) {
			code = 0x10000 + ((code - 0xD800) << 10) + (hex4(*p + 2) - 0xDC00);
			*p += 6;
		}
		return mw_utf8_encode(code, out);
	}
	*p += 2;
	switch (letter) {
	case 'b':
		*out = '\b';
		break;
	case 'f':
		*out = '\f';
		break;
	case 'n':
		*out = '\n';
		break;
	case 'r':
		*out = '\r';
		break;
	case 't':
		*out = '\t';
		break;
	default:
		*out = letter;
	}
	return 1;
}

static __attribute__((noinline)) bool escaped_is(struct mw_span escaped, const uint8_t *name, size_t len)
{
	const uint8_t *p = escaped.at, *end = p + escaped.len;
	while (p < end) {
		uint8_t bytes[4] = {*p};
		size_t n = 1;
		if (*p == '\\')
			n = undo_escape(&p, bytes);
		else
			p++;
		if (n > len || memcmp(bytes, name, n) != 0)
			return false;
		name += n;
		len -= n;
	}
	return len == 0;
}

/* Names are short, where a call of memcmp costs more than comparing: words that overlap see every byte. */
static inline bool is_same(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t differ = 0;
	if (len >= 8) {
		for (size_t i = 0; i < len - 8; i += 8)
			differ |= mw_scan_load(a + i) ^ mw_scan_load(b + i);
		return (differ | (mw_scan_load(a + len - 8) ^ mw_scan_load(b + len - 8))) == 0;
	}
	for (size_t i = 0; i < len; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

uint32_t mw_json_member(const struct mw_json *doc, uint32_t object, const void *name, size_t len,
			uint32_t tag)
{
	if (object >= doc->count || doc->nodes[object].type != MW_JSON_OBJECT || doc->nodes[object].aux == 0)
		return 0;
	const struct mw_json_node *nodes = doc->nodes;
	const struct mw_json_node *node = &nodes[object + nodes[object].aux];
	for (;;) {
		if (__builtin_expect(node->aux == tag, 0) || __builtin_expect(node->flags, 0)) {
			uint32_t key = (uint32_t)(node - nodes);
			struct mw_span raw = mw_json_raw(doc, key);
			/* The tag of an escaped name is that of other bytes. */
			if (node->flags & MW_JSON_ESCAPED ? escaped_is(raw, name, len)
							  : raw.len == len && is_same(raw.at, name, len))
				return key + 1;
		}
		uint32_t link = node->next;
		if (link == 0)
			return 0;
		/* Nearly always the key before is two nodes back, its value between. The processor goes
		 * on from that guess while it waits for the link; the empty asm keeps the compiler from
		 * seeing that both ways lead to the same node. */
		if (__builtin_expect(&nodes[link] == node - 2, 1)) {
			node -= 2;
			__asm__ volatile("" : "+r"(node));
		} else {
			node = &nodes[link];
		}
	}
}

uint32_t mw_json_element(const struct mw_json *doc, uint32_t array, int64_t i)
{
	if (array >= doc->count)
		return 0;
	if (doc->nodes[array].type != MW_JSON_ARRAY)
		return doc->takes_one_for_many && (i == 0 || i == -1) ? array : 0;
	int64_t count = doc->nodes[array].aux;
	if (i < -count || i >= count)
		return 0;
	uint32_t node = array + 1;
	for (i += i < 0 ? count : 0; i > 0; i--)
		node = doc->nodes[node].next;
	return node;
}

enum mw_err mw_json_unescape_span(struct mw_span escaped, struct mw_buf *out)
{
	/* Undoing only ever shortens, so the room is asked for once. */
	enum mw_err err = mw_buf_reserve(out, escaped.len);
	if (err != MW_OK || escaped.len == 0)
		return err;
	const uint8_t *p = escaped.at, *end = p + escaped.len;
	uint8_t *to = out->data + out->len;
	while (p < end) {
		const uint8_t *backslash = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((backslash ? backslash : end) - p);
		memcpy(to, p, run);
		to += run;
		p += run;
		if (p < end) {
			uint8_t bytes[4];
			size_t n = undo_escape(&p, bytes);
			memcpy(to, bytes, n);
			to += n;
		}
	}
	out->len = (size_t)(to - out->data);
	return MW_OK;
}

enum mw_err mw_json_unescape(const struct mw_json *doc, uint32_t node, struct mw_buf *out)
{
	struct mw_span raw = mw_json_raw(doc, node);
	return doc->nodes[node].flags & MW_JSON_ESCAPED ? mw_json_unescape_span(raw, out)
							: mw_buf_append_span(out, raw);
}
