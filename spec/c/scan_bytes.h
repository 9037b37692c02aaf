/* scan_bytes.h -- what is found many bytes at a time must be what one finds byte by byte: scan_test.c of the
 * code for this machine, scan_portable_test.c of that for machines without SSE2. */
#ifndef MW_SCAN_BYTES_H
#define MW_SCAN_BYTES_H

#include "../../csrc/core/scan.h"

#include "check.h"

enum { BYTES = 96 };

/* In memory of its own, so that a byte read or written past its end is seen. */
static uint8_t *text;

/* Bytes on both sides of each border, and most of them plain: else nothing would ever be found far away. */
static void fill(uint64_t *random)
{
	static const uint8_t borders[] = {0,    0x1F, 0x20, '!',  '"',  '#',  ',',  '-',  '.',
					  '/',  '0',  '9',  ':',  '@',  'A',  'Z',  '[',  '\\',
					  ']',  '^',  '_',  '`',  'a',  'z',  '{',  0x7E, 0x7F,
					  0x80, 0xA0, 0xAF, 0xC1, 0xDA, 0xDF, 0xE1, 0xFA, 0xFF};
	uint64_t odds = check_random(random) % 40 + 1;
	for (int i = 0; i < BYTES; i++)
		text[i] =
		    check_random(random) % odds == 0 ? borders[check_random(random) % sizeof borders] : 'x';
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static bool is_word(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '.' || c == '_';
}

/* A bit for each byte of which `is` is, `len` of them from p on. */
static uint64_t mask_of(const uint8_t *p, int len, bool (*is)(uint8_t))
{
	uint64_t mask = 0;
	for (int i = 0; i < len; i++)
		mask |= (uint64_t)is(p[i]) << i;
	return mask;
}

static bool is_stop(uint8_t c)
{
	return !is_plain(c);
}

static bool is_quote(uint8_t c)
{
	return c == '"' || c == '\\';
}

TEST(masks_have_a_bit_for_each_byte)
{
	uint64_t random = check_seed("masks");
	for (int i = 0, rounds = check_rounds(20000); i < rounds; i++) {
		fill(&random);
		size_t at = check_random(&random) % 33, far = check_random(&random) % 16;
		const uint8_t *p = text + at;
		CHECK(mw_scan_sixteen(p) == mask_of(p, 16, is_plain));
		CHECK(mw_scan_window(p) == mask_of(p, 32, is_stop));
		CHECK(mw_scan_block(p) == mask_of(p, 64, is_stop));
		CHECK(mw_scan_quotes(p) == mask_of(p, 32, is_quote));
		uint32_t pairs = 0;
		for (size_t j = 0; j < 16; j++)
			pairs |= (uint32_t)(p[j] == '"' && p[j + far] == '"') << j;
		CHECK(mw_scan_pairs(p, far) == pairs);
	}
}

TEST(words_are_told_from_other_bytes)
{
	memset(text, 'x', 16);
	for (int at = 0; at < 16; at++) {
		for (int c = 0; c < 256; c++) {
			text[at] = (uint8_t)c;
			CHECK(mw_scan_is_word(text) == is_word((uint8_t)c));
		}
		text[at] = 'x';
	}
}

TEST(a_walk_ends_where_one_byte_by_byte_does)
{
	uint64_t random = check_seed("walks");
	for (int i = 0, rounds = check_rounds(20000); i < rounds; i++) {
		fill(&random);
		for (int digits = (int)(check_random(&random) % 20); digits > 0; digits--)
			text[BYTES - digits] = (uint8_t)('0' + digits % 10);
		const uint8_t *p = text + check_random(&random) % (BYTES + 1), *end = text + BYTES;
		const uint8_t *plain = p, *ascii = p, *digit = p;
		while (plain < end && is_plain(*plain))
			plain++;
		while (ascii < end && *ascii < 0x80)
			ascii++;
		while (digit < end && *digit >= '0' && *digit <= '9')
			digit++;
		CHECK(mw_scan_plain(p, end) == plain);
		CHECK(mw_scan_ascii(p, end) == ascii);
		CHECK(mw_scan_digits(p, end) == digit);
	}
}

TEST(a_text_is_found_again_where_it_stands)
{
	uint64_t random = check_seed("texts");
	for (int i = 0, rounds = check_rounds(20000); i < rounds; i++) {
		fill(&random);
		struct mw_scan_text met = {{0}, {0}};
		size_t at = check_random(&random) % 33, len = check_random(&random) % 33;
		memcpy(met.bytes, text + at, len);
		memset(met.mask, 0xFF, len);
		CHECK(mw_scan_is(&met, text + at));
		size_t other = check_random(&random) % 32;
		text[at + other] ^= (uint8_t)(1u << check_random(&random) % 8);
		CHECK(mw_scan_is(&met, text + at) == (other >= len));
	}
}

/* It may refuse what is plain, but what it takes is. Controls and what is not ASCII are refused always. */
TEST(only_what_is_plain_is_copied)
{
	uint64_t random = check_seed("copies");
	int taken = 0, refused = 0;
	for (int i = 0, rounds = check_rounds(50000); i < rounds; i++) {
		fill(&random);
		size_t len = check_random(&random) % (check_random(&random) % 4 == 0 ? BYTES + 1 : 20);
		const uint8_t *from = text + BYTES - len;
		uint8_t *to = malloc(len + 1);
		if (!to)
			abort();
		to[len] = 0xAA;
		bool plain = true;
		for (size_t j = 0; j < len; j++)
			plain = plain && is_plain(from[j]);
		bool copied = mw_scan_copy(to, from, len);
		CHECK(!copied || (plain && memcmp(to, from, len) == 0));
		CHECK(to[len] == 0xAA);
		taken += copied;
		refused += plain && !copied;
		free(to);
	}
	CHECK(taken > 100 * refused);
}

int main(void)
{
	text = malloc(BYTES);
	if (!text)
		abort();
	RUN(masks_have_a_bit_for_each_byte);
	RUN(words_are_told_from_other_bytes);
	RUN(a_walk_ends_where_one_byte_by_byte_does);
	RUN(a_text_is_found_again_where_it_stands);
	RUN(only_what_is_plain_is_copied);
	free(text);
	return CHECK_END();
}

#endif
