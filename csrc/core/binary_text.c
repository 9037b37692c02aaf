#include "binary_text.h"

static const char *const names[] = {"hex", "HEX", "base64", "base64url"};

bool mw_binary_text_named(struct mw_span name, enum mw_binary_text *form)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (mw_span_is(name, names[i])) {
			*form = (enum mw_binary_text)i;
			return true;
		}
	}
	return false;
}

static int hex_digit(uint8_t c, uint8_t a)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= a && c < a + 6 ? c - a + 10 : -1;
}

static bool read_hex(struct mw_span text, uint8_t a, uint8_t *out, size_t *len)
{
	if (text.len % 2 != 0)
		return false;
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_digit(text.at[i], a), low = hex_digit(text.at[i + 1], a);
		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = text.len / 2;
	return true;
}

static int base64_digit(uint8_t c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == (url ? '-' : '+') ? 62 : c == (url ? '_' : '/') ? 63 : -1;
}

static bool read_base64(struct mw_span text, bool url, uint8_t *out, size_t *len)
{
	size_t digits = text.len, n = 0;
	if (!url) {
		if (text.len % 4 != 0)
			return false;
		for (int i = 0; i < 2 && digits > 0 && text.at[digits - 1] == '='; i++)
			digits--;
	}
	if (digits % 4 == 1)
		return false;
	uint32_t bits = 0;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(text.at[i], url);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 0)
			out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	/* Two digits hold a byte and four bits more, three hold two bytes and two bits more. */
	uint32_t left = digits % 4 == 2 ? 15 : digits % 4 == 3 ? 3 : 0;
	if (bits & left)
		return false;
	*len = n;
	return true;
}

bool mw_binary_text_read(enum mw_binary_text form, struct mw_span text, uint8_t *out, size_t *len)
{
	*len = 0;
	switch (form) {
	case MW_HEX:
	case MW_HEX_UPPER:
		return read_hex(text, form == MW_HEX ? 'a' : 'A', out, len);
	case MW_BASE64:
	case MW_BASE64URL:
		return read_base64(text, form == MW_BASE64URL, out, len);
	}
	return false;
}
