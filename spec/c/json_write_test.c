#include "../../csrc/core/json_write.h"
#include "../../csrc/core/utf8.h"
#include "check.h"

#include <math.h>

static struct mw_buf out;

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

TEST(numbers_are_written_behind_what_is_there)
{
	mw_buf_clear(&out);
	CHECK(mw_json_write_int64(&out, INT64_MIN) == MW_OK && mw_buf_append_byte(&out, ',') == MW_OK);
	CHECK(mw_json_write_double(&out, 0.1) == MW_OK);
	CHECK(mw_span_is(mw_buf_span(&out), "-9223372036854775808,0.1"));
}

TEST(nan_and_infinity_are_refused)
{
	mw_buf_clear(&out);
	CHECK(mw_json_write_double(&out, (double)NAN) == MW_INVALID);
	CHECK(mw_json_write_double(&out, (double)INFINITY) == MW_INVALID);
	CHECK(mw_json_write_double(&out, -(double)INFINITY) == MW_INVALID);
	CHECK(out.len == 0);
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
	RUN(numbers_are_written_behind_what_is_there);
	RUN(nan_and_infinity_are_refused);
	mw_buf_deinit(&out);
	return CHECK_END();
}
