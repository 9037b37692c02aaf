/* scan.h -- look at 16 bytes at a time: which need no thought, where the quotes are, is it that text?
 *
 * Where the time of reading and writing JSON goes. SSE2 is part of every x86-64; elsewhere, and
 * with MW_PORTABLE defined, eight bytes are looked at together in a plain integer. Neither ever loads
 * a byte at or behind `end`; what is given no end looks at as many bytes as it says.
 */
#ifndef MW_SCAN_H
#define MW_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(MW_PORTABLE)
#define MW_SCAN_SSE2 1
#include <emmintrin.h>
#else
#define MW_SCAN_SSE2 0
#endif

/* 0x0101...01 times the byte: the byte in all eight places. */
#define MW_SCAN_EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t mw_scan_load(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof word);
	return word;
}

/* True of each byte that a JSON string holds as it is: neither quote, backslash, control nor non-ASCII. */
static inline int mw_scan_is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* May there be a byte in the word that is not plain? Never wrongly no; wrongly yes is rare. */
static inline int mw_scan_may_stop(uint64_t word)
{
	uint64_t quote = word ^ MW_SCAN_EIGHT('"'), backslash = word ^ MW_SCAN_EIGHT('\\');
	uint64_t stops =
	    word | (word - MW_SCAN_EIGHT(0x20)) | (quote - MW_SCAN_EIGHT(1)) | (backslash - MW_SCAN_EIGHT(1));
	return (stops & MW_SCAN_EIGHT(0x80)) != 0;
}

/* Without SSE2: the top bit of each byte that is not `byte`; the other bits mean nothing. No sum carries from
 * one byte into the next. */
static inline uint64_t mw_scan_differ(uint64_t word, uint8_t byte)
{
	uint64_t low = MW_SCAN_EIGHT(0x7F);
	word ^= MW_SCAN_EIGHT(byte);
	return ((word & low) + low) | word;
}

/* The top bits of a word as it was loaded, side by side: bit 0 is that of the first byte. */
static inline uint32_t mw_scan_gather(uint64_t tops)
{
	uint64_t ones = tops >> 7 & MW_SCAN_EIGHT(1);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	ones = __builtin_bswap64(ones);
#endif
	return (uint32_t)(ones * UINT64_C(0x0102040810204080) >> 56); /* gathers them in the top byte */
}

#if MW_SCAN_SSE2
/* With its second bit turned over the quote is next to the controls, and as signed bytes everything from 0x80
 * up is negative: one comparison finds all of them. */
static inline __m128i mw_scan_are_plain(__m128i v)
{
	__m128i above = _mm_cmpgt_epi8(_mm_xor_si128(v, _mm_set1_epi8(0x02)), _mm_set1_epi8(0x20));
	return _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), above);
}
#endif

/* Of 16 bytes, a bit for each that is plain; bit 0 is the first. */
static inline uint32_t mw_scan_sixteen(const uint8_t *p)
{
#if MW_SCAN_SSE2
	return (uint32_t)_mm_movemask_epi8(
	    mw_scan_are_plain(_mm_loadu_si128((const __m128i *)(const void *)p)));
#else
	uint32_t mask = 0;
	for (int i = 0; i < 16; i += 8) {
		uint64_t word = mw_scan_load(p + i);
		uint64_t no_control = (word & MW_SCAN_EIGHT(0x7F)) + MW_SCAN_EIGHT(0x60);
		mask |= mw_scan_gather(no_control & mw_scan_differ(word, '"') & mw_scan_differ(word, '\\') &
				       ~word)
			<< i;
	}
	return mask;
#endif
}

/* Of 32 bytes, a bit for each that is not plain. */
static inline uint32_t mw_scan_window(const uint8_t *p)
{
	return ~(mw_scan_sixteen(p) | mw_scan_sixteen(p + 16) << 16);
}

/* The same of 64. */
static inline uint64_t mw_scan_block(const uint8_t *p)
{
	return mw_scan_window(p) | (uint64_t)mw_scan_window(p + 32) << 32;
}

/* Copy a text if all of it is plain; false, whatever was written, if some of it may not be: wrongly so is
 * rare. Most texts are short, so words that overlap see every byte, and what was loaded to be looked at is
 * stored. */
static inline int mw_scan_copy(uint8_t *to, const uint8_t *p, size_t len)
{
#if MW_SCAN_SSE2
	if (len >= 16) {
		__m128i all = _mm_set1_epi8(-1);
		for (size_t i = 0;; i = i + 32 <= len ? i + 16 : len - 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
			_mm_storeu_si128((__m128i *)(void *)(to + i), v);
			all = _mm_and_si128(all, mw_scan_are_plain(v));
			if (i == len - 16)
				return _mm_movemask_epi8(all) == 0xFFFF;
		}
	}
#endif
	if (len >= 8) {
		int stops = 0;
		for (size_t i = 0;; i = i + 16 <= len ? i + 8 : len - 8) {
			uint64_t word = mw_scan_load(p + i);
			memcpy(to + i, &word, sizeof word);
			stops |= mw_scan_may_stop(word);
			if (i == len - 8)
				return !stops;
		}
	}
	if (len >= 4) {
		uint32_t first, last;
		memcpy(&first, p, 4);
		memcpy(&last, p + len - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + len - 4, &last, 4);
		return !mw_scan_may_stop((uint64_t)first << 32 | last);
	}
	for (size_t i = 0; i < len; i++) {
		if (!mw_scan_is_plain(p[i]))
			return 0;
		to[i] = p[i];
	}
	return 1;
}

/* A text of at most 32 bytes, to be found again; bytes in which the mask is 0 are not compared. */
struct mw_scan_text {
	_Alignas(16) uint8_t bytes[32];
	_Alignas(16) uint8_t mask[32];
};

/* Does the text stand at p, from where 32 bytes may be read? */
static inline int mw_scan_is(const struct mw_scan_text *text, const uint8_t *p)
{
#if MW_SCAN_SSE2
	const __m128i *bytes = (const __m128i *)(const void *)text->bytes;
	const __m128i *mask = (const __m128i *)(const void *)text->mask;
	const __m128i *at = (const __m128i *)(const void *)p;
	__m128i differ =
	    _mm_or_si128(_mm_and_si128(_mm_xor_si128(_mm_loadu_si128(at), bytes[0]), mask[0]),
			 _mm_and_si128(_mm_xor_si128(_mm_loadu_si128(at + 1), bytes[1]), mask[1]));
	return _mm_movemask_epi8(_mm_cmpeq_epi8(differ, _mm_setzero_si128())) == 0xFFFF;
#else
	uint64_t differ = 0;
	for (int i = 0; i < 32; i += 8)
		differ |=
		    (mw_scan_load(p + i) ^ mw_scan_load(text->bytes + i)) & mw_scan_load(text->mask + i);
	return differ == 0;
#endif
}

/* Is each of 16 bytes one of A-Z a-z 0-9 - . _ ? */
static inline int mw_scan_is_word(const uint8_t *p)
{
#if MW_SCAN_SSE2
	/* Signed, so a range is what is below its length once its first byte is moved to the lowest value. */
	const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	const __m128i folded = _mm_or_si128(v, _mm_set1_epi8(0x20));
	__m128i letter =
	    _mm_cmplt_epi8(_mm_sub_epi8(folded, _mm_set1_epi8('a' - 128)), _mm_set1_epi8(26 - 128));
	__m128i other = _mm_cmplt_epi8(_mm_sub_epi8(v, _mm_set1_epi8('-' - 128)), _mm_set1_epi8(13 - 128));
	other = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('/')), other);
	other = _mm_or_si128(other, _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
	return _mm_movemask_epi8(_mm_or_si128(letter, other)) == 0xFFFF;
#else
	int all = 1;
	for (int i = 0; i < 16; i += 8) {
		/* As nothing above 0x7F is left, no sum carries into the next byte: adding 0x80 - c sets the
		 * top bit of those from c on. */
		uint64_t word = mw_scan_load(p + i), low = word & MW_SCAN_EIGHT(0x7F);
		uint64_t folded = low | MW_SCAN_EIGHT(0x20);
		uint64_t letter =
		    (folded + MW_SCAN_EIGHT(0x80 - 'a')) & ~(folded + MW_SCAN_EIGHT(0x7F - 'z'));
		uint64_t digit = (low + MW_SCAN_EIGHT(0x80 - '0')) & ~(low + MW_SCAN_EIGHT(0x7F - '9'));
		uint64_t dash = (low + MW_SCAN_EIGHT(0x80 - '-')) & ~(low + MW_SCAN_EIGHT(0x7F - '.'));
		uint64_t line = ~((low ^ MW_SCAN_EIGHT('_')) + MW_SCAN_EIGHT(0x7F));
		all &= ((letter | digit | dash | line) & ~word & MW_SCAN_EIGHT(0x80)) == MW_SCAN_EIGHT(0x80);
	}
	return all;
#endif
}

/* Of 32 bytes, a bit for each quote or backslash; bit 0 is the first. */
static inline uint32_t mw_scan_quotes(const uint8_t *p)
{
	uint32_t mask = 0;
#if MW_SCAN_SSE2
	for (int i = 0; i < 32; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i stops = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
					     _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		mask |= (uint32_t)_mm_movemask_epi8(stops) << i;
	}
#else
	for (int i = 0; i < 32; i += 8) {
		uint64_t word = mw_scan_load(p + i);
		mask |= mw_scan_gather(~(mw_scan_differ(word, '"') & mw_scan_differ(word, '\\'))) << i;
	}
#endif
	return mask;
}

/* Of 16 bytes, a bit for each quote with another one `far` bytes behind it; bit 0 is the first. */
static inline uint32_t mw_scan_pairs(const uint8_t *p, size_t far)
{
#if MW_SCAN_SSE2
	__m128i quotes = _mm_set1_epi8('"');
	__m128i here = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), quotes);
	__m128i there = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + far)), quotes);
	return (uint32_t)_mm_movemask_epi8(_mm_and_si128(here, there));
#else
	uint32_t mask = 0;
	for (size_t i = 0; i < 16; i++)
		mask |= (uint32_t)(p[i] == '"' && p[i + far] == '"') << i;
	return mask;
#endif
}

/* The first byte that is not plain, or `end`. */
static inline const uint8_t *mw_scan_plain(const uint8_t *p, const uint8_t *end)
{
#if MW_SCAN_SSE2
	while (end - p >= 16) {
		uint32_t mask = mw_scan_sixteen(p) ^ 0xFFFF;
		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (end - p >= 8 && !mw_scan_may_stop(mw_scan_load(p)))
		p += 8;
	while (p < end && mw_scan_is_plain(*p))
		p++;
	return p;
}

/* Behind the digits at p. */
static inline const uint8_t *mw_scan_digits(const uint8_t *p, const uint8_t *end)
{
	/* How many digits a number has nobody predicts: eight are looked at together, without a branch on it.
	 */
	while (end - p >= 8) {
		uint64_t word = mw_scan_load(p) ^ MW_SCAN_EIGHT('0');
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		word = __builtin_bswap64(word);
#endif
		/* The top bit of each byte that was no digit. One may set it in those behind it, too; the
		 * first counts. */
		uint64_t stops = ((word + MW_SCAN_EIGHT(0x76)) | word) & MW_SCAN_EIGHT(0x80);
		if (stops)
			return p + __builtin_ctzll(stops) / 8;
		p += 8;
	}
	while (p < end && (uint8_t)(*p - '0') < 10)
		p++;
	return p;
}

/* The first byte from 0x80 up, or `end`. */
static inline const uint8_t *mw_scan_ascii(const uint8_t *p, const uint8_t *end)
{
#if MW_SCAN_SSE2
	while (end - p >= 16) {
		unsigned mask =
		    (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (end - p >= 8 && !(mw_scan_load(p) & MW_SCAN_EIGHT(0x80)))
		p += 8;
	while (p < end && *p < 0x80)
		p++;
	return p;
}

#endif
