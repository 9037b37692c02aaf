/* utf8.h -- strict UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF.
 *
 * All text that Moonweir lets in passes here, or through the JSON reader that uses the same
 * mw_utf8_sequence. Plain ASCII, nearly all of it, is stepped over 16 bytes at a time.
 */
#ifndef MW_UTF8_H
#define MW_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* How many leading bytes are strict UTF-8; == len if all are. */
size_t mw_utf8_valid(const void *bytes, size_t len);

/* Bytes of the sequence that starts with the non-ASCII byte *p: 2, 3 or 4; 0 if it is broken or cut off. */
static inline size_t mw_utf8_sequence(const uint8_t *p, const uint8_t *end)
{
	size_t left = (size_t)(end - p);
	uint8_t lead = p[0];
	if (lead < 0xC2 || left < 2) /* a continuation byte, or an overlong form of ASCII */
		return 0;
	/* What the second byte may be is the whole strictness: E0, F0 exclude overlong forms,
	 * ED the surrogates, F4 what lies above U+10FFFF. */
	uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (p[1] < low || p[1] > high)
		return 0;
	if (lead < 0xE0)
		return 2;
	if (left < 3 || (p[2] & 0xC0) != 0x80)
		return 0;
	if (lead < 0xF0)
		return 3;
	if (left < 4 || lead > 0xF4 || (p[3] & 0xC0) != 0x80)
		return 0;
	return 4;
}

/* Write the code point, which is no surrogate and at most U+10FFFF; 1 to 4 bytes. */
static inline size_t mw_utf8_encode(uint32_t code, uint8_t out[4])
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (uint8_t)(0xC0 | code >> 6);
		out[1] = (uint8_t)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (uint8_t)(0xE0 | code >> 12);
		out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (code & 0x3F));
	return 4;
}

#endif
