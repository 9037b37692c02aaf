#include "../../csrc/core/number.h"
#include "check.h"

#include <locale.h>
#include <math.h>

static struct mw_span span_of(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static bool writes(double value, const char *expected)
{
	char text[MW_NUMBER_MAX];
	size_t len = mw_number_write_double(value, text);
	if (mw_span_is((struct mw_span){(const uint8_t *)text, len}, expected))
		return true;
	fprintf(stderr, "%s: %.*s\n", expected, (int)len, text);
	return false;
}

TEST(integers_have_every_digit)
{
	static const int64_t values[] = {0, 7, -1, 10, 9007199254740993, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char expected[32], text[MW_NUMBER_MAX];
		snprintf(expected, sizeof expected, "%" PRId64, values[i]);
		struct mw_span written = {(const uint8_t *)text, mw_number_write_int64(values[i], text)};
		CHECK(mw_span_is(written, expected));
		int64_t back;
		CHECK(mw_number_read_int64(written, &back) && back == values[i]);
	}
}

TEST(only_what_is_an_integer_and_fits_is_read_as_one)
{
	int64_t i;
	CHECK(mw_number_read_int64(MW_SPAN("9007199254740993"), &i) && i == 9007199254740993);
	CHECK(mw_number_read_int64(MW_SPAN("-0"), &i) && i == 0);
	CHECK(!mw_number_read_int64(MW_SPAN("1.0"), &i) && !mw_number_read_int64(MW_SPAN("1e2"), &i));
	CHECK(!mw_number_read_int64(MW_SPAN(""), &i) && !mw_number_read_int64(MW_SPAN("-"), &i));
	CHECK(mw_number_read_int64(MW_SPAN("9223372036854775807"), &i) && i == INT64_MAX);
	CHECK(mw_number_read_int64(MW_SPAN("-9223372036854775808"), &i) && i == INT64_MIN);
	CHECK(!mw_number_read_int64(MW_SPAN("9223372036854775808"), &i));
	CHECK(!mw_number_read_int64(MW_SPAN("-9223372036854775809"), &i));
	CHECK(!mw_number_read_int64(MW_SPAN("99999999999999999999"), &i));
}

TEST(doubles_are_read_to_the_ends_of_their_range)
{
	CHECK(mw_number_read_double(MW_SPAN("1.0")) == 1.0 && mw_number_read_double(MW_SPAN("1e2")) == 100.0);
	CHECK(signbit(mw_number_read_double(MW_SPAN("-0"))));
	CHECK(isinf(mw_number_read_double(MW_SPAN("1e400"))) && mw_number_read_double(MW_SPAN("-1e400")) < 0);
	CHECK(mw_number_read_double(MW_SPAN("1e-400")) == 0);
	CHECK(mw_number_read_double(MW_SPAN("0e99999999999999999999")) == 0);
	CHECK(mw_number_read_double(MW_SPAN("0.0000000000000000000000000000000123e+32")) == 12.3 / 10);
}

TEST(doubles_are_written_as_people_would)
{
	CHECK(writes(0, "0.0") && writes(-0.0, "-0.0") && writes(1, "1.0") && writes(-1.5, "-1.5"));
	CHECK(writes(0.1, "0.1") && writes(0.1 + 0.2, "0.30000000000000004") && writes(73.29, "73.29"));
	CHECK(writes(100, "100.0") && writes(1e15, "1000000000000000.0") && writes(1e16, "1e+16"));
	CHECK(writes(9007199254740992, "9007199254740992.0") &&
	      writes(123456789012345680, "1.2345678901234568e+17"));
	CHECK(writes(0.0001, "0.0001") && writes(0.00001, "1e-5") && writes(0.000123456, "0.000123456"));
	CHECK(writes(1e300, "1e+300") && writes(1.5e-10, "1.5e-10") && writes(1e22, "1e+22"));
	CHECK(writes(0x1p-1074, "5e-324") && writes(0x1.fffffffffffffp1023, "1.7976931348623157e+308"));
	CHECK(writes(0x1p-1022, "2.2250738585072014e-308") && writes(1.0 / 3, "0.3333333333333333"));
	/* Powers of two whose nearest 16 digits miss and whose next ones do not. */
	CHECK(writes(0x1p-44, "5.684341886080802e-14") && writes(0x1p89, "6.189700196426902e+26"));
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* No text with one digit less reads back: neither the digits cut short nor those plus one, and every shorter
 * decimal near enough would be one of the two. */
static bool is_shortest(double value, const char *text)
{
	char digits[24];
	int n = 0, point = 0, exponent = 0;
	bool fraction = false;
	for (const char *p = text; *p; p++) {
		if (*p == 'e') {
			exponent = atoi(p + 1);
			break;
		}
		if (*p == '.')
			fraction = true;
		if (*p < '0' || *p > '9' || (n == 0 && *p == '0' && !fraction))
			continue;
		point += !fraction;
		if (n == 0 && *p == '0') {
			point--;
			continue;
		}
		digits[n++] = *p;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (n <= 1)
		return true;
	digits[n - 1] = 0;
	unsigned long long shorter = strtoull(digits, NULL, 10);
	for (unsigned long long i = 0; i < 2; i++) {
		char guess[48];
		snprintf(guess, sizeof guess, "%llue%d", shorter + i, exponent + point - (n - 1));
		if (bits_of(strtod(guess, NULL)) == bits_of(fabs(value)))
			return false;
	}
	return true;
}

static bool round_trips(double value)
{
	char text[MW_NUMBER_MAX + 1];
	text[mw_number_write_double(value, text)] = 0;
	bool same = bits_of(mw_number_read_double(span_of(text))) == bits_of(value) &&
		    bits_of(strtod(text, NULL)) == bits_of(value);
	if (same && is_shortest(value, text))
		return true;
	fprintf(stderr, "%a: %s %s\n", value, text, same ? "is not the shortest" : "reads back as another");
	return false;
}

TEST(random_doubles_come_back_bit_by_bit_and_are_shortest)
{
	const char *given = getenv("MW_DOUBLES");
	uint64_t count = given ? strtoull(given, NULL, 10) : 1000000;
	uint64_t random = check_seed("doubles");
	for (uint64_t i = 0; i < count; i++) {
		double value;
		uint64_t bits = check_random(&random);
		if (i % 2 == 0) {
			memcpy(&value, &bits, sizeof value);
		} else { /* decimals of all lengths and sizes, prices among them */
			char text[48];
			uint64_t digits = bits >> (bits % 61);
			snprintf(text, sizeof text, "%s%" PRIu64 "e%d", bits & 64 ? "-" : "", digits,
				 i % 4 == 1 ? -(int)(check_random(&random) % 9)
					    : (int)(check_random(&random) % 600) - 320);
			value = strtod(text, NULL);
			CHECK(bits_of(mw_number_read_double(span_of(text))) == bits_of(value));
		}
		if (isfinite(value))
			CHECK(round_trips(value));
	}
	printf("%" PRIu64 " random doubles\n", count);
}

TEST(every_power_of_two_and_its_neighbours_come_back)
{
	for (int e = -1074; e < 1024; e++) {
		double value = ldexp(1, e);
		CHECK(round_trips(value));
		CHECK(round_trips(nextafter(value, 0)) && round_trips(nextafter(value, INFINITY)));
	}
}

TEST(long_numbers_are_rounded_by_their_last_digit)
{
	/* Halfway between 1 and the next double, exactly, a digit above, a digit below; the digit beyond
	 * the 768th. */
	char text[2000];
	const char *half = "1.00000000000000011102230246251565404236316680908203125";
	CHECK(mw_number_read_double(span_of(half)) == 1.0);
	size_t n = strlen(half);
	memcpy(text, half, n);
	memset(text + n, '0', 1000);
	CHECK(mw_number_read_double((struct mw_span){(const uint8_t *)text, n + 1000}) == 1.0);
	text[n + 999] = '1';
	CHECK(mw_number_read_double((struct mw_span){(const uint8_t *)text, n + 1000}) == nextafter(1, 2));
	text[n - 1] = '4';
	CHECK(mw_number_read_double((struct mw_span){(const uint8_t *)text, n + 1000}) == 1.0);
	/* A thousand digits before the point, taken back by the exponent. */
	memset(text, '0', 1000);
	text[0] = '7';
	memcpy(text + 1000, "e-999", 6);
	CHECK(mw_number_read_double((struct mw_span){(const uint8_t *)text, 1005}) == 7.0);
}

TEST(the_locale_does_not_matter)
{
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8",
					    "fa_IR.UTF-8"};
	int tried = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!setlocale(LC_ALL, names[i]))
			continue;
		tried++;
		CHECK(writes(1.0 / 3, "0.3333333333333333") && writes(1e300, "1e+300") && writes(2.5, "2.5"));
		CHECK(writes(0x1p-44, "5.684341886080802e-14"));
		CHECK(mw_number_read_double(MW_SPAN("0.3333333333333333")) == 1.0 / 3);
		CHECK(mw_number_read_double(MW_SPAN("1.7976931348623157e+308")) == 0x1.fffffffffffffp1023);
	}
	setlocale(LC_ALL, "C");
	printf("%d locales with a decimal comma\n", tried);
}

int main(void)
{
	RUN(integers_have_every_digit);
	RUN(only_what_is_an_integer_and_fits_is_read_as_one);
	RUN(doubles_are_read_to_the_ends_of_their_range);
	RUN(doubles_are_written_as_people_would);
	RUN(random_doubles_come_back_bit_by_bit_and_are_shortest);
	RUN(every_power_of_two_and_its_neighbours_come_back);
	RUN(long_numbers_are_rounded_by_their_last_digit);
	RUN(the_locale_does_not_matter);
	return CHECK_END();
}
