#include "json_token.h"

#include "utf8.h"

const void *mw_json_fault(struct mw_fault *f, const uint8_t *at, const char *words)
{
	*f = (struct mw_fault){at, words, MW_JSON};
	return NULL;
}

const uint8_t *mw_json_pass_space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

struct mw_stops mw_json_drop_stops(struct mw_stops s, const uint8_t *p, const uint8_t *end)
{
	size_t blocks = (size_t)(p - s.block) / 64;
	if (blocks > 0) {
		s.block += blocks * 64;
		s.mask = s.block < end ? scan_next_block(s.block, end) : 0;
	}
	s.mask &= ~UINT64_C(0) << (p - s.block);
	return s;
}

/* The value of four hex digits, -1 if they are not. */
static int hex4(const uint8_t *p, const uint8_t *end)
{
	if (end - p < 4)
		return -1;
	int value = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i], letter = c | 0x20;
		if (is_digit(c))
			value = value << 4 | (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return value;
}

static bool is_high_surrogate(int unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Behind the escape whose backslash is at p. */
static const uint8_t *pass_escape(const uint8_t *p, const uint8_t *end, struct mw_fault *f)
{
	if (end - p < 2)
		return mw_json_fault(f, end, "expected the rest of an escape");
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		break;
	default:
		return mw_json_fault(f, p, "expected one of \"\\/bfnrtu after a backslash");
	}
	int unit = hex4(p + 2, end);
	if (unit < 0)
		return mw_json_fault(f, p, "expected four hex digits after \\u");
	if (is_low_surrogate(unit))
		return mw_json_fault(f, p, "the second half of a surrogate pair without the first");
	if (!is_high_surrogate(unit))
		return p + 6;
	if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || !is_low_surrogate(hex4(p + 8, end)))
		return mw_json_fault(f, p, "the first half of a surrogate pair without the second");
	return p + 12;
}

struct mw_stops mw_json_pass_rare(struct mw_stops s, const uint8_t *end, uint32_t *flags, struct mw_fault *f)
{
	for (;;) {
		s = find_stop(s, end);
		if (s.block == end) {
			mw_json_fault(f, end, "expected '\"' at the end of a string");
			return (struct mw_stops){NULL, 0};
		}
		const uint8_t *p = stop_at(s);
		if (*p == '"')
			return s;
		if (*p == '\\') {
			*flags = MW_JSON_ESCAPED;
			p = pass_escape(p, end, f);
		} else if (*p < 0x20) {
			p = mw_json_fault(f, p, "a control character in a string; it must be escaped");
		} else {
			while (p && p < end && *p >= 0x80) {
				size_t n = mw_utf8_sequence(p, end);
				p = n ? p + n : mw_json_fault(f, p, "bytes in a string that are not UTF-8");
			}
		}
		if (!p)
			return (struct mw_stops){NULL, 0};
		s = mw_json_drop_stops(s, p, end);
	}
}

bool mw_json_is_number(struct mw_span text)
{
	const uint8_t *end = text.at + text.len;
	struct mw_fault fault;
	uint32_t flags;
	return text.len > 0 && pass_number(text.at, end, false, &flags, &fault) == end;
}
