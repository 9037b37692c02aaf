#include "../../csrc/core/json_read.h"
#include "../../csrc/core/json_write.h"
#include "check.h"

#include <locale.h>
#include <math.h>

static struct mw_buf out;

static bool writes(double value, const char *text)
{
	mw_buf_clear(&out);
	if (mw_json_write_double(&out, value) == MW_OK && mw_span_is(mw_buf_span(&out), text))
		return true;
	fprintf(stderr, "%s: %.*s\n", text, (int)out.len, (const char *)out.data);
	return false;
}

static bool writes_string(const void *bytes, size_t len, const char *text)
{
	mw_buf_clear(&out);
	return mw_json_write_string(&out, bytes, len) == MW_OK && mw_span_is(mw_buf_span(&out), text);
}

TEST(only_what_must_be_is_escaped)
{
	CHECK(writes_string("", 0, "\"\""));
	CHECK(writes_string("a/b \x7F \xC3\xA9 \xE2\x80\xA8", 12, "\"a/b \x7F \xC3\xA9 \xE2\x80\xA8\""));
	CHECK(writes_string("\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\""));
	CHECK(writes_string("\0\x01\x1F", 3, "\"\\u0000\\u0001\\u001f\""));
	CHECK(writes_string("twenty plain bytes, then\n, then more plain bytes", 48,
			    "\"twenty plain bytes, then\\n, then more plain bytes\""));
}

TEST(bytes_that_are_not_utf8_are_refused_and_leave_no_trace)
{
	static const char *const broken[] = {"\x80",
					     "\xC0\xAF",
					     "\xC1\xBF",
					     "\xC3",
					     "\xE0\x9F\xBF",
					     "\xE2\x82",
					     "\xED\xA0\x80",
					     "\xED\xBF\xBF",
					     "\xF0\x8F\xBF\xBF",
					     "\xF4\x90\x80\x80",
					     "\xF5\x80\x80\x80",
					     "\xFF",
					     "\xF0\x9F\x98",
					     "\xE2\x28\xA1"};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		char text[64];
		int n = snprintf(text, sizeof text, "\n some text before it %s", broken[i]);
		mw_buf_clear(&out);
		mw_buf_append_literal(&out, "kept");
		CHECK(mw_json_write_string(&out, text, (size_t)n) == MW_INVALID);
		CHECK(mw_json_write_chars(&out, text, (size_t)n) == MW_INVALID);
		CHECK(mw_span_is(mw_buf_span(&out), "kept"));
		CHECK(mw_utf8_valid(text, (size_t)n) == (size_t)n - strlen(broken[i]));
	}
	CHECK(mw_utf8_valid("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", 10) == 10);
}

TEST(a_full_buffer_is_left_as_it_was)
{
	struct mw_buf small;
	mw_buf_init(&small, 10);
	CHECK(mw_json_write_string(&small, "12345678", 8) == MW_OK && small.len == 10);
	mw_buf_clear(&small);
	CHECK(mw_json_write_string(&small, "123456789", 9) == MW_TOO_LARGE && small.len == 0);
	CHECK(mw_json_write_string(&small, "1234\n\n67", 8) == MW_TOO_LARGE && small.len == 0);
	CHECK(mw_json_write_chars(&small, "1234\x01\x01", 6) == MW_TOO_LARGE && small.len == 0);
	CHECK(mw_json_write_int64(&small, INT64_MIN) == MW_TOO_LARGE && small.len == 0);
	CHECK(mw_json_write_double(&small, 1.0 / 3) == MW_TOO_LARGE && small.len == 0);
	mw_buf_deinit(&small);
}

TEST(integers_have_every_digit)
{
	static const int64_t values[] = {0, 7, -1, 10, 9007199254740993, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char expected[32];
		snprintf(expected, sizeof expected, "%" PRId64, values[i]);
		mw_buf_clear(&out);
		CHECK(mw_json_write_int64(&out, values[i]) == MW_OK);
		CHECK(mw_span_is(mw_buf_span(&out), expected));
		int64_t back;
		CHECK(mw_json_text_int64(mw_buf_span(&out), &back) && back == values[i]);
	}
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

TEST(nan_and_infinity_are_refused)
{
	mw_buf_clear(&out);
	CHECK(mw_json_write_double(&out, (double)NAN) == MW_INVALID);
	CHECK(mw_json_write_double(&out, (double)INFINITY) == MW_INVALID);
	CHECK(mw_json_write_double(&out, -(double)INFINITY) == MW_INVALID);
	CHECK(out.len == 0);
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
	mw_buf_clear(&out);
	if (mw_json_write_double(&out, value) != MW_OK || mw_buf_append_byte(&out, 0) != MW_OK)
		return false;
	const char *text = (const char *)out.data;
	struct mw_span span = {out.data, out.len - 1};
	bool same = bits_of(mw_json_text_double(span)) == bits_of(value) &&
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
			CHECK(bits_of(mw_json_text_double(
				  (struct mw_span){(const uint8_t *)text, strlen(text)})) == bits_of(value));
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
	CHECK(mw_json_text_double((struct mw_span){(const uint8_t *)half, strlen(half)}) == 1.0);
	size_t n = strlen(half);
	memcpy(text, half, n);
	memset(text + n, '0', 1000);
	CHECK(mw_json_text_double((struct mw_span){(const uint8_t *)text, n + 1000}) == 1.0);
	text[n + 999] = '1';
	CHECK(mw_json_text_double((struct mw_span){(const uint8_t *)text, n + 1000}) == nextafter(1, 2));
	text[n - 1] = '4';
	CHECK(mw_json_text_double((struct mw_span){(const uint8_t *)text, n + 1000}) == 1.0);
	/* A thousand digits before the point, taken back by the exponent. */
	memset(text, '0', 1000);
	text[0] = '7';
	memcpy(text + 1000, "e-999", 6);
	CHECK(mw_json_text_double((struct mw_span){(const uint8_t *)text, 1005}) == 7.0);
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
		CHECK(mw_json_text_double(MW_SPAN("0.3333333333333333")) == 1.0 / 3);
		CHECK(mw_json_text_double(MW_SPAN("1.7976931348623157e+308")) == 0x1.fffffffffffffp1023);
	}
	setlocale(LC_ALL, "C");
	printf("%d locales with a decimal comma\n", tried);
}

static size_t count(const char *inside)
{
	return mw_json_count_chars((struct mw_span){(const uint8_t *)inside, strlen(inside)});
}

TEST(an_escape_is_one_character_and_so_is_a_pair_of_them)
{
	CHECK(count("") == 0 && count("ab") == 2 && count("\\n\\u0061\\\"") == 3);
	CHECK(count("caf\xC3\xA9") == 4 && count("\xF0\x9F\x98\x80") == 1);
	/* The first and last of all pairs, and some between. */
	CHECK(count("\\ud800\\udc00") == 1 && count("\\uD83D\\uDE00") == 1);
	CHECK(count("\\uda00\\udd00") == 1 && count("\\uDBFF\\uDFFF") == 1 && count("\\udbff\\udfffx") == 2);
	CHECK(count("\\ud7ff\\ue000") == 2);
}

int main(void)
{
	mw_buf_init(&out, 1 << 20);
	RUN(only_what_must_be_is_escaped);
	RUN(bytes_that_are_not_utf8_are_refused_and_leave_no_trace);
	RUN(a_full_buffer_is_left_as_it_was);
	RUN(an_escape_is_one_character_and_so_is_a_pair_of_them);
	RUN(integers_have_every_digit);
	RUN(doubles_are_written_as_people_would);
	RUN(nan_and_infinity_are_refused);
	RUN(random_doubles_come_back_bit_by_bit_and_are_shortest);
	RUN(every_power_of_two_and_its_neighbours_come_back);
	RUN(long_numbers_are_rounded_by_their_last_digit);
	RUN(the_locale_does_not_matter);
	mw_buf_deinit(&out);
	return CHECK_END();
}
