/* Whatever a pattern takes must be what the reader makes of it, node for node. */
#include "../../csrc/core/pattern.h"

#include "check.h"
#include "same_nodes.h"

static struct mw_json doc, again;
static struct mw_pattern patterns[3], *pattern = patterns;

static const char *const values[] = {
    "0",
    "-17",
    "3.25",
    "1e9",
    "12345678901234567890",
    "null",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"a b\"",
    "\"\\n\"",
    "\"\\u00e9\"",
    "\"caf\xC3\xA9\"",
    "\"[{,:}]\"",
    "\"a text that is longer than sixty-four bytes, so that it ends in another block\""};
/* What a mutation puts in: no values, and values where none belongs. */
static const char *const slips[] = {
    "",       "-",   "01",       "1.",     "nul",         "truefalse", "\"",      "\"\\x\"", "{}",
    "[]",     "1,2", "\"\xC3\"", "\"\t\"", "1 ",          " 1",        "\"a\":1", "}",       "1]",
    "\"\\\"", ".5",  "+1",       "1e",     "\"\\ud800\"", "{\"a\":1}", "\x80"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

#define LONG "that it ends in another block than the one it began in"

/* `$` is where a value stands. */
static const char *const texts[] = {
    "{\"id\":$,\"to\":{\"name\":$}}",
    "[$,$,[$,{}],[]]",
    "{\"a\":{\"b\":{\"c\":[$,$]}},\"d\":$}",
    "{ \"spaced\" : $ ,\n\t\"out\" : [ $ , $ ] }",
    "{\"\":$,\"\\u0061\":$,\"caf\xC3\xA9\":$,\"a name of more than sixty-four bytes, so " LONG
    "\":{\"x\":$}}",
    "{}",
    "{\"event_id\":$,\"type\":$,\"contact\":{\"id\":$,\"tags\":[$,$,$]},\"message\":{\"id\":$},\"count\":$}",
};

static size_t fill(char *out, const char *text, uint64_t *random, bool slip)
{
	size_t len = 0, holes = 0;
	for (const char *t = text; *t; t++)
		holes += *t == '$';
	size_t bad = slip && holes > 0 ? check_random(random) % holes : holes;
	for (size_t hole = 0; *text; text++) {
		if (*text != '$') {
			out[len++] = *text;
			continue;
		}
		const char *v = hole++ == bad ? slips[check_random(random) % COUNT(slips)]
					      : values[check_random(random) % COUNT(values)];
		memcpy(out + len, v, strlen(v));
		len += strlen(v);
	}
	return len;
}

/* In memory of its own, so that a read past its end is seen. */
static bool is_same_as_read(const char *text, size_t len, bool *taken)
{
	char *exact = malloc(len ? len : 1);
	if (!exact)
		abort();
	memcpy(exact, text, len);
	/* What the document held before is of no account: half of the time something else. */
	static unsigned reads;
	static const char other[] = "[[[1,2],{}],\"a\",{\"b\":[null,true]}]";
	if (++reads % 2 == 0 && mw_json_read(&again, other, sizeof other - 1, NULL))
		abort();
	struct mw_pattern_reading r;
	*taken = mw_pattern_begin(&r, &again, (struct mw_span){(const uint8_t *)exact, len}) &&
		 mw_pattern_follow(pattern, &r) && mw_pattern_read(pattern, &r);
	bool is_json = mw_json_read(&doc, exact, len, NULL) == MW_OK;
	bool same = !*taken || (is_json && again.text == doc.text && again.len == doc.len &&
				has_same_nodes(&again, &doc));
	free(exact);
	if (!same)
		fprintf(stderr, "%.*s\n", (int)len, text);
	return same;
}

static void take(const char *text, size_t len)
{
	/* Room for its nodes, which a pattern does not make. */
	if (mw_json_read(&again, text, len, NULL) || mw_json_read(&doc, text, len, NULL))
		abort();
	mw_pattern_take(pattern, &doc);
}

TEST(other_values_fit)
{
	static char text[4096];
	uint64_t random = check_seed("values");
	bool taken;
	for (int i = 0, rounds = check_rounds(50000); i < rounds; i++) {
		const char *form = texts[check_random(&random) % COUNT(texts)];
		take(text, fill(text, form, &random, false));
		for (int j = 0; j < 3; j++) {
			CHECK(is_same_as_read(text, fill(text, form, &random, false), &taken));
			CHECK(taken);
		}
	}
}

TEST(what_is_no_value_is_left_to_the_reader)
{
	static char text[4096];
	uint64_t random = check_seed("slips");
	bool taken;
	for (int i = 0, rounds = check_rounds(100000); i < rounds; i++) {
		const char *form = texts[check_random(&random) % COUNT(texts)];
		take(text, fill(text, form, &random, false));
		CHECK(is_same_as_read(text, fill(text, form, &random, true), &taken));
		size_t len = fill(text, form, &random, false);
		for (uint64_t n = check_random(&random) % 3; n < 3; n++)
			text[check_random(&random) % len] = (char)check_random(&random);
		CHECK(is_same_as_read(text, len, &taken));
		len = fill(text, form, &random, false);
		CHECK(is_same_as_read(text, check_random(&random) % (len + 1), &taken));
		len = fill(text, texts[check_random(&random) % COUNT(texts)], &random, false);
		CHECK(is_same_as_read(text, len, &taken));
		len = fill(text, form, &random, false);
		text[len] = "]} \n"[check_random(&random) % 4];
		text[len + 1] = text[len - 1];
		CHECK(is_same_as_read(text, len + 1, &taken));
		CHECK(is_same_as_read(text, len + 2, &taken));
	}
}

TEST(documents_that_are_too_large_have_no_pattern)
{
	static char text[MW_PATTERN_TEXT + 64];
	bool taken;
	size_t len = (size_t)snprintf(text, sizeof text, "{\"a\":\"%*s\"}", MW_PATTERN_TEXT - 8, "");
	CHECK(len == MW_PATTERN_TEXT);
	take(text, len);
	CHECK(is_same_as_read(text, len, &taken) && taken);
	len = (size_t)snprintf(text, sizeof text, "{\"a\":\"%*s\"}", MW_PATTERN_TEXT - 7, "");
	take(text, len);
	CHECK(is_same_as_read(text, len, &taken) && !taken);
	take("{\"a\":1}", 7);
	CHECK(is_same_as_read(text, len, &taken) && !taken);
	for (int count = MW_PATTERN_VALUES - 2; count <= MW_PATTERN_VALUES; count++) {
		text[0] = '[';
		for (int i = 0; i < count; i++)
			memcpy(text + 1 + 2 * i, "1,", 2);
		text[2 * count] = ']';
		take(text, (size_t)(2 * count + 1));
		CHECK(is_same_as_read(text, (size_t)(2 * count + 1), &taken));
		CHECK(taken == (count < MW_PATTERN_VALUES));
	}
	take("17", 2);
	CHECK(is_same_as_read("17", 2, &taken) && !taken);
}

/* What one pattern, or half of a document that it did not fit, left in the nodes is none of the next one's.
 */
TEST(patterns_take_turns_in_one_document)
{
	static char text[4096];
	uint64_t random = check_seed("turns");
	const char *form[COUNT(patterns)];
	for (int i = 0, rounds = check_rounds(5000); i < rounds; i++) {
		for (size_t k = 0; k < COUNT(patterns); k++) {
			pattern = &patterns[k];
			form[k] = texts[check_random(&random) % COUNT(texts)];
			take(text, fill(text, form[k], &random, false));
		}
		for (int j = 0; j < 20; j++) {
			size_t k = check_random(&random) % COUNT(patterns);
			bool taken, slip = check_random(&random) % 4 == 0;
			pattern = &patterns[k];
			if (check_random(&random) % 8 == 0)
				take(text, fill(text, form[k], &random, false));
			CHECK(is_same_as_read(text, fill(text, form[k], &random, slip), &taken));
			CHECK(taken || slip || again.cap < pattern->count);
		}
	}
	pattern = patterns;
}

/* As programs write them that end a body, or a line, with a line. */
TEST(white_space_at_the_end_is_text_like_other)
{
	bool taken;
	take("{\"a\":1}\r\n", 9);
	CHECK(is_same_as_read("{\"a\":\"x\"}\r\n", 11, &taken) && taken);
	CHECK(is_same_as_read("{\"a\":12}\n", 9, &taken) && !taken);
	CHECK(is_same_as_read("{\"a\":1}", 7, &taken) && !taken);
	CHECK(is_same_as_read("{\"a\":1\r\n", 8, &taken) && !taken);
	CHECK(is_same_as_read("\r\n", 2, &taken) && !taken);
}

/* Whoever remembers where a key was relies on it. */
TEST(documents_of_one_pattern_have_its_number)
{
	bool taken;
	take("{\"a\":1,\"b\":2}", 13);
	CHECK(is_same_as_read("{\"a\":11,\"b\":2}", 14, &taken) && taken);
	uint64_t number = again.pattern;
	CHECK(number != 0 && doc.pattern == 0);
	CHECK(is_same_as_read("{\"a\":1,\"b\":\"x\"}", 15, &taken) && taken);
	CHECK(again.pattern == number);
	CHECK(is_same_as_read("{\"b\":1,\"a\":2}", 13, &taken) && !taken);
	CHECK(again.pattern == 0);
	take("{\"b\":1,\"a\":2}", 13);
	CHECK(is_same_as_read("{\"b\":1,\"a\":22}", 14, &taken) && taken);
	CHECK(again.pattern != 0 && again.pattern != number);
}

int main(void)
{
	mw_json_init(&doc);
	mw_json_init(&again);
	RUN(other_values_fit);
	RUN(what_is_no_value_is_left_to_the_reader);
	RUN(documents_that_are_too_large_have_no_pattern);
	RUN(patterns_take_turns_in_one_document);
	RUN(white_space_at_the_end_is_text_like_other);
	RUN(documents_of_one_pattern_have_its_number);
	mw_json_deinit(&doc);
	mw_json_deinit(&again);
	return CHECK_END();
}
