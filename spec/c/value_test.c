#include "../../csrc/core/value.h"

#include "check.h"

#include <math.h>

static struct mw_json doc;
static struct mw_arena arena;

static struct mw_value read_value(const char *json)
{
	if (mw_json_read(&doc, json, strlen(json), NULL))
		abort();
	return mw_value_of_node(&doc, 0);
}

static const char *written(const struct mw_value *v)
{
	static char text[256];
	struct mw_buf b;
	mw_buf_init(&b, sizeof text - 1);
	enum mw_err err = mw_value_write(&doc, v, &b);
	snprintf(text, sizeof text, "%.*s", err ? 0 : (int)b.len, b.data ? (const char *)b.data : "");
	mw_buf_deinit(&b);
	return text;
}

TEST(what_is_read_is_written_back_byte_for_byte)
{
	static const char *const texts[] = {
	    "true",  "false", "12345678901234567890", "1.0",    "-0",           "1e5",
	    "\"a\"", "\"\"",  "\"a\\u00e9\\n\\\"\"",  "[1, 2]", "{\"a\": [ ]}", "null"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct mw_value v = read_value(texts[i]);
		CHECK(strcmp(written(&v), texts[i]) == 0);
	}
	struct mw_value null = read_value("null");
	CHECK(null.kind == MW_VALUE_ABSENT);
}

TEST(a_container_on_several_lines_becomes_one)
{
	struct mw_value v = read_value("{\n \"a b\" : [ 1,\r\n\t\"x\\\" \\\\\" , { } ]\n}");
	CHECK(strcmp(written(&v), "{\"a b\":[1,\"x\\\" \\\\\",{}]}") == 0);
}

TEST(picked_elements_are_an_array)
{
	read_value("[1,\"a\",[\n2]]");
	uint32_t nodes[] = {2, 1, 3};
	struct mw_value v = {.kind = MW_VALUE_NODES, .count = 3, .nodes = nodes};
	CHECK(strcmp(written(&v), "[\"a\",1,[2]]") == 0);
	v.count = 0;
	CHECK(strcmp(written(&v), "[]") == 0);
}

TEST(what_json_has_no_word_for_is_refused)
{
	struct mw_value bad[] = {{.kind = MW_VALUE_DOUBLE, .d = (double)NAN},
				 {.kind = MW_VALUE_DOUBLE, .d = (double)INFINITY},
				 {.kind = MW_VALUE_CHARS, .text = MW_SPAN("\xff")}};
	struct mw_buf b;
	mw_buf_init(&b, 100);
	for (size_t i = 0; i < 3; i++)
		CHECK(mw_value_write(&doc, &bad[i], &b) == MW_INVALID && b.len == 0);
	mw_buf_deinit(&b);
	struct mw_value quote = {.kind = MW_VALUE_CHARS, .text = MW_SPAN("a\"b\n")};
	CHECK(strcmp(written(&quote), "\"a\\\"b\\n\"") == 0);
}

static bool chars_are(struct mw_value v, const char *expected)
{
	struct mw_span chars;
	return mw_value_chars(&v, &arena, &chars) && mw_span_is(chars, expected);
}

TEST(characters_of_text_numbers_and_booleans)
{
	CHECK(chars_are(read_value("\"a\\u00e9\\n\""), "a\xC3\xA9\n"));
	CHECK(chars_are(read_value("12345678901234567890"), "12345678901234567890"));
	CHECK(chars_are(read_value("true"), "true"));
	CHECK(chars_are((struct mw_value){.kind = MW_VALUE_INT, .i = INT64_MIN}, "-9223372036854775808"));
	CHECK(chars_are((struct mw_value){.kind = MW_VALUE_DOUBLE, .d = 19.99}, "19.99"));
	struct mw_span chars;
	struct mw_value list = read_value("[]"), absent = {.kind = MW_VALUE_ABSENT};
	CHECK(!mw_value_chars(&list, &arena, &chars) && !mw_value_chars(&absent, &arena, &chars));
	struct mw_arena small;
	mw_arena_init(&small, 0);
	struct mw_value escaped = read_value("\"\\n\"");
	CHECK(!mw_value_chars(&escaped, &small, &chars));
	mw_arena_deinit(&small);
}

static bool is_int(const char *json, int64_t i)
{
	struct mw_value v = read_value(json), n;
	return mw_value_number(&v, &arena, &n) && n.kind == MW_VALUE_INT && n.i == i;
}

static bool is_number(const char *json)
{
	struct mw_value v = read_value(json), n;
	return mw_value_number(&v, &arena, &n);
}

TEST(a_string_that_is_nothing_but_a_number_is_one)
{
	CHECK(is_int("9007199254740993", 9007199254740993));
	CHECK(is_int("\"9007199254740993\"", 9007199254740993));
	CHECK(is_int("\"\\u0031\"", 1));
	CHECK(is_int("\"-5\"", -5));
	CHECK(is_number("\"1.5\"") && is_number("\"1e5\"") && is_number("\"1E+5\"") && is_number("\"0\""));
	static const char *const text[] = {"\"\"",    "\"-\"",  "\"1.\"", "\".5\"", "\"1e\"", "\"1e+\"",
					   "\"007\"", "\"+1\"", "\" 1\"", "\"1 \"", "\"1a\"", "\"0x10\"",
					   "\"nan\"", "true",   "[]",     "null"};
	for (size_t i = 0; i < sizeof text / sizeof *text; i++)
		CHECK(!is_number(text[i]));
}

TEST(only_absent_and_false_are_not_true)
{
	struct mw_value v = read_value("false");
	CHECK(!mw_value_is_true(&v));
	v = read_value("null");
	CHECK(!mw_value_is_true(&v));
	static const char *const yes[] = {"true", "0", "\"\"", "[]", "{}"};
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		v = read_value(yes[i]);
		CHECK(mw_value_is_true(&v));
	}
}

TEST(kinds_have_names_for_errors)
{
	struct mw_value v = read_value("{}");
	CHECK(strcmp(mw_value_kind_name(&doc, &v), "an object") == 0);
	v = read_value("[]");
	CHECK(strcmp(mw_value_kind_name(&doc, &v), "an array") == 0);
	v = (struct mw_value){.kind = MW_VALUE_JSON, .text = MW_SPAN("{}")};
	CHECK(strcmp(mw_value_kind_name(&doc, &v), "an object") == 0);
	v.kind = MW_VALUE_ABSENT;
	CHECK(strcmp(mw_value_kind_name(&doc, &v), "nothing") == 0);
}

int main(void)
{
	mw_json_init(&doc);
	mw_arena_init(&arena, 1 << 20);
	RUN(what_is_read_is_written_back_byte_for_byte);
	RUN(a_container_on_several_lines_becomes_one);
	RUN(picked_elements_are_an_array);
	RUN(what_json_has_no_word_for_is_refused);
	RUN(characters_of_text_numbers_and_booleans);
	RUN(a_string_that_is_nothing_but_a_number_is_one);
	RUN(only_absent_and_false_are_not_true);
	RUN(kinds_have_names_for_errors);
	mw_arena_deinit(&arena);
	mw_json_deinit(&doc);
	return CHECK_END();
}
