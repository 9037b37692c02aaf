/* json_token.h -- one string or number at a time: the inner loops of json_read.c and pattern.c, for them
 * alone.
 *
 * What happens once in a token is inline; escapes, non-ASCII and line ends are in json_token.c, so
 * that they take no registers from the rest.
 */
#ifndef MW_JSON_TOKEN_H
#define MW_JSON_TOKEN_H

#include "json_read.h"
#include "scan.h"

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Why and where reading stopped. */
struct mw_fault {
	const uint8_t *at;
	const char *words;
	enum mw_err code;
};

/* Fill the fault; NULL, so that a function can end with it. */
const void *mw_json_fault(struct mw_fault *f, const uint8_t *at, const char *words);

static inline bool is_digit(uint8_t c)
{
	return (uint8_t)(c - '0') < 10;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Behind the white space. */
const uint8_t *mw_json_pass_space(const uint8_t *p, const uint8_t *end);

/* Where the text may not be stepped over: quotes, backslashes, controls and non-ASCII, found 64
 * bytes at a time. Between strings the lowest bit of the mask is the next quote, or an error. Taking ends of
 * strings from the mask, not from the bytes, is what makes reading fast: the processor need not
 * know where one string ends to look for the end of the next.
 *
 * Passed and returned by value, so that it stays in registers. */
struct mw_stops {
	const uint8_t *block;
	uint64_t mask; /* 0: none left in this block */
};

/* The first block of a text. */
static inline uint64_t scan_block(const uint8_t *block, const uint8_t *end)
{
	size_t left = (size_t)(end - block);
	if (LIKELY(left >= 64))
		return mw_scan_block(block);
	uint8_t padded[64];
	memset(padded, ' ', sizeof padded);
	memcpy(padded, block, left);
	return mw_scan_block(padded);
}

/* A later one, with 64 bytes or more of the text in front of it: at the end of the text they are looked at
 * once more, which costs less than a copy. */
static inline uint64_t scan_next_block(const uint8_t *block, const uint8_t *end)
{
	size_t left = (size_t)(end - block);
	if (LIKELY(left >= 64))
		return mw_scan_block(block);
	return left > 0 ? mw_scan_block(end - 64) >> (64 - left) : 0;
}

/* Forget the stops before p. */
struct mw_stops mw_json_drop_stops(struct mw_stops s, const uint8_t *p, const uint8_t *end);

/* A string's first stop is no quote: on to the one that is. block == NULL if there is a fault. */
struct mw_stops mw_json_pass_rare(struct mw_stops s, const uint8_t *end, uint32_t *flags, struct mw_fault *f);

/* At the next stop; block == end if there is none. */
static inline struct mw_stops find_stop(struct mw_stops s, const uint8_t *end)
{
	while (s.mask == 0) {
		if (end - s.block <= 64)
			return (struct mw_stops){end, 0};
		s.block += 64;
		s.mask = scan_next_block(s.block, end);
	}
	return s;
}

static inline const uint8_t *stop_at(struct mw_stops s)
{
	return s.block + __builtin_ctzll(s.mask);
}

/* From the opening quote, which is the next stop, to behind the closing one, *quote. */
static inline struct mw_stops pass_string(struct mw_stops s, const uint8_t *end, const uint8_t **quote,
					  uint32_t *flags, struct mw_fault *f)
{
	s = find_stop(s, end);
	s.mask &= s.mask - 1;
	s = find_stop(s, end);
	*flags = 0;
	if (LIKELY(s.mask != 0)) {
		*quote = stop_at(s);
		if (LIKELY(**quote == '"')) {
			s.mask &= s.mask - 1;
			return s;
		}
	}
	s = mw_json_pass_rare(s, end, flags, f);
	*quote = s.block ? stop_at(s) : NULL;
	s.mask &= s.mask - 1;
	return s;
}

/* Is there nothing at p? Where the text is `closed`, that is, ends with a bracket, which no token but the
 * last can pass, the question needs no answer. */
#define ENDED(p) (!closed && (p) == end)

/* At least one digit. */
static inline const uint8_t *pass_digits(const uint8_t *p, const uint8_t *end, bool closed,
					 struct mw_fault *f, const char *words)
{
	if (ENDED(p) || !is_digit(*p))
		return mw_json_fault(f, p, words);
	return mw_scan_digits(p + 1, end);
}

static inline const uint8_t *pass_number(const uint8_t *p, const uint8_t *end, bool closed, uint32_t *flags,
					 struct mw_fault *f)
{
	if (*p == '-')
		p++;
	if (!ENDED(p) && *p == '0') {
		p++;
		if (!ENDED(p) && is_digit(*p))
			return mw_json_fault(f, p, "a number may not start with 0");
	} else {
		p = pass_digits(p, end, closed, f, "expected a digit after '-'");
		if (!p)
			return NULL;
	}
	*flags = MW_JSON_INTEGER;
	if (ENDED(p) || (*p != '.' && (*p | 0x20) != 'e'))
		return p;
	*flags = 0;
	if (*p == '.') {
		p = pass_digits(p + 1, end, closed, f, "expected a digit after the decimal point");
		if (!p)
			return NULL;
	}
	if (!ENDED(p) && (*p | 0x20) == 'e') {
		p++;
		if (!ENDED(p) && (*p == '+' || *p == '-'))
			p++;
		p = pass_digits(p, end, closed, f, "expected a digit in the exponent");
	}
	return p;
}

#endif
