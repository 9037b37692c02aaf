#include "number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Powers of ten that a double holds exactly: one multiplication or division by one of
 * them rounds once, so its result is the nearest double (Clinger, "How to read floating-point
 * numbers accurately"). Where the machine keeps more bits than a double (x87) that is not so. */
static const double exact_tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
				    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_TENS = 22 };

#define ROUNDS_ONCE (FLT_EVAL_METHOD == 0)

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The digits of `value`, at least `width` of them. */
static char *put_digits(char *out, uint64_t value, int width)
{
	char reversed[20];
	int n = 0;
	do {
		reversed[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (int zeros = width - n; zeros > 0; zeros--)
		*out++ = '0';
	while (n > 0)
		*out++ = reversed[--n];
	return out;
}

size_t mw_number_write_int64(int64_t value, char out[MW_NUMBER_MAX])
{
	char *p = out;
	uint64_t magnitude = (uint64_t)value;
	if (value < 0) {
		*p++ = '-';
		magnitude = 0 - magnitude;
	}
	return (size_t)(put_digits(p, magnitude, 1) - out);
}

/* Prices, rates, counts: up to six decimals and fifteen digits in all, by exact arithmetic. Any
 * decimal of that size is found if it is there, because value * 10^k is off by less than a quarter; and it
 * is the shortest, because the fewest decimals are tried first. NULL if there is none. */
static char *put_short_decimal(char *out, double value)
{
	static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
	for (int k = 0; k <= 6; k++) {
		double scaled = value * exact_tens[k];
		if (scaled >= 1e15)
			return NULL;
		uint64_t m = (uint64_t)(scaled + 0.5);
		if ((double)m / exact_tens[k] != value)
			continue;
		out = put_digits(out, m / tens[k], 1);
		*out++ = '.';
		return put_digits(out, m % tens[k], k > 0 ? k : 1);
	}
	return NULL;
}

/* digits * 10^exponent. */
struct decimal {
	uint64_t digits;
	int exponent;
};

/* The decimal of n digits nearest to value. */
static struct decimal decimal_nearest(double value, int n)
{
	char text[48];
	snprintf(text, sizeof text, "%.*e", n - 1, value);
	struct decimal d = {0, 0};
	const char *p = text;
	for (; *p != 'e'; p++) /* passes over the locale's point, of one byte or several */
		if (is_digit((uint8_t)*p))
			d.digits = d.digits * 10 + (uint64_t)(*p - '0');
	d.exponent = (int)strtol(p + 1, NULL, 10) - (n - 1);
	return d;
}

static bool decimal_reads_as(struct decimal d, double value)
{
	char text[48]; /* without a point it means the same in every locale */
	snprintf(text, sizeof text, "%llue%d", (unsigned long long)d.digits, d.exponent);
	double back = strtod(text, NULL);
	return !(back < value) && !(back > value);
}

static struct decimal decimal_shortest(double value)
{
	/* Fifteen digits pin down every decimal of fifteen or less, but not among the subnormals,
	 * which hold fewer bits the smaller they are. */
	for (int n = value < DBL_MIN ? 1 : 15; n < 17; n++) {
		struct decimal d = decimal_nearest(value, n);
		if (decimal_reads_as(d, value))
			return d;
		/* Below a power of two doubles lie twice as dense as above: the nearest decimal,
		 * when it is below, may miss where the next one up does not. */
		d.digits++;
		if (decimal_reads_as(d, value))
			return d;
	}
	return decimal_nearest(value, 17);
}

static char *put_decimal(char *out, struct decimal d)
{
	while (d.digits % 10 == 0) {
		d.digits /= 10;
		d.exponent++;
	}
	char digits[20];
	int n = (int)(put_digits(digits, d.digits, 1) - digits);
	int point = n + d.exponent; /* so many digits stand before it */
	if (point > 16 || point < -3) {
		*out++ = digits[0];
		if (n > 1) {
			*out++ = '.';
			memcpy(out, digits + 1, (size_t)n - 1);
			out += n - 1;
		}
		*out++ = 'e';
		*out++ = point > 0 ? '+' : '-';
		return put_digits(out, (uint64_t)abs(point - 1), 1);
	}
	for (int i = point < 1 ? point - 1 : 0; i < n || i < point + 1; i++) {
		if (i == point || (i == 0 && point == 0))
			*out++ = '.';
		*out++ = i >= 0 && i < n ? digits[i] : '0';
	}
	return out;
}

size_t mw_number_write_double(double value, char out[MW_NUMBER_MAX])
{
	char *p = out;
	if (signbit(value)) {
		*p++ = '-';
		value = -value;
	}
	char *behind = NULL;
	if (ROUNDS_ONCE && (value >= 1e-4 || value < DBL_TRUE_MIN))
		behind = put_short_decimal(p, value);
	if (!behind)
		behind = put_decimal(p, decimal_shortest(value));
	return (size_t)(behind - out);
}

bool mw_number_read_int64(struct mw_span text, int64_t *out)
{
	const uint8_t *p = text.at, *end = p + text.len;
	bool negative = p < end && *p == '-';
	p += negative;
	uint64_t value = 0;
	if (p == end || end - p > 19) /* no 20 digits fit, and JSON has no leading zeros */
		return false;
	for (; p < end; p++) {
		if (!is_digit(*p))
			return false;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	if (value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

/* No more digits than this decide how a double rounds: the exact halfway points between doubles
 * have at most 767. Of what follows only whether it is all zeros matters. */
enum { DECIDING_DIGITS = 768 };

/* A number's text taken apart: significant digits, and the power of ten of the last of them. */
struct parts {
	const uint8_t *digits; /* from the first that is not zero; a point may stand among them */
	const uint8_t *end;
	uint64_t head; /* the first 19 digits */
	int64_t count; /* significant digits in all */
	int64_t exponent;
	bool negative;
};

static struct parts take_apart(struct mw_span text)
{
	const uint8_t *p = text.at, *end = p + text.len;
	struct parts parts = {.negative = p < end && *p == '-'};
	p += parts.negative;
	bool fraction = false;
	for (; p < end && (is_digit(*p) || *p == '.'); p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		parts.exponent -= fraction;
		if (parts.count == 0 && *p == '0')
			continue;
		if (parts.count == 0)
			parts.digits = p;
		if (parts.count < 19)
			parts.head = parts.head * 10 + (uint64_t)(*p - '0');
		parts.count++;
	}
	parts.end = p;
	if (p < end && (*p == 'e' || *p == 'E') && ++p < end) {
		bool down = *p == '-';
		p += *p == '-' || *p == '+';
		int64_t exponent = 0;
		for (; p < end && is_digit(*p); p++)
			if (exponent < 1000000000) /* far beyond what any count of digits could bring back */
				exponent = exponent * 10 + (*p - '0');
		parts.exponent += down ? -exponent : exponent;
	}
	return parts;
}

/* By the C library, which rounds exactly; the text given to it has no point. */
static double read_slowly(const struct parts *parts)
{
	char text[DECIDING_DIGITS + 32];
	size_t n = 0;
	int64_t exponent = parts->exponent;
	bool more = false;
	for (const uint8_t *p = parts->digits; p < parts->end; p++) {
		if (*p == '.')
			continue;
		if (n < DECIDING_DIGITS) {
			text[n++] = (char)*p;
		} else {
			more = more || *p != '0';
			exponent++;
		}
	}
	if (more) { /* one digit more stands for all that was cut */
		text[n++] = '1';
		exponent--;
	}
	snprintf(text + n, sizeof text - n, "e%lld", (long long)exponent);
	return strtod(text, NULL);
}

double mw_number_read_double(struct mw_span text)
{
	struct parts parts = take_apart(text);
	double value;
	if (parts.count == 0)
		value = 0;
	else if (ROUNDS_ONCE && parts.head <= UINT64_C(1) << 53 && parts.count <= 19 &&
		 parts.exponent >= -EXACT_TENS && parts.exponent <= EXACT_TENS)
		value = parts.exponent < 0 ? (double)parts.head / exact_tens[-parts.exponent]
					   : (double)parts.head * exact_tens[parts.exponent];
	else
		value = read_slowly(&parts);
	return parts.negative ? -value : value;
}
