#include "../../csrc/core/json_read.h"
#include "../../csrc/core/limits.h"
#include "check.h"

static struct mw_json doc;

/* Read from a block of exactly the text's size, so that sanitizers and valgrind see a byte too many. */
static char *block;

static enum mw_err read_bytes(const void *text, size_t len, struct mw_error *e)
{
	free(block);
	block = malloc(len ? len : 1);
	if (!block)
		abort();
	memcpy(block, text, len);
	return mw_json_read(&doc, block, len, e);
}

static enum mw_err read_text(const char *text)
{
	return read_bytes(text, strlen(text), NULL);
}

static uint32_t member(uint32_t object, const char *name)
{
	return mw_json_member(&doc, object, name, strlen(name), mw_json_tag(name, strlen(name)));
}

static bool raw_is(uint32_t node, const char *text)
{
	return node != 0 && mw_span_is(mw_json_raw(&doc, node), text);
}

static bool chars_are(uint32_t node, const void *bytes, size_t len)
{
	struct mw_buf b;
	mw_buf_init(&b, 1 << 20);
	bool same = mw_json_unescape(&doc, node, &b) == MW_OK && b.len == len &&
		    (len == 0 || memcmp(b.data, bytes, len) == 0);
	mw_buf_deinit(&b);
	return same;
}

TEST(the_tape_is_the_one_in_the_header)
{
	CHECK(read_text("{\"id\":7,\"to\":[\"a\",\"b\"]}") == MW_OK);
	CHECK(doc.count == 7);
	static const struct {
		enum mw_json_type type;
		uint32_t at, len, next;
	} expected[] = {
	    {MW_JSON_OBJECT, 0, 23, 7}, {MW_JSON_KEY, 2, 2, 0},    {MW_JSON_NUMBER, 6, 1, 3},
	    {MW_JSON_KEY, 9, 2, 1},     {MW_JSON_ARRAY, 13, 9, 7}, {MW_JSON_STRING, 15, 1, 6},
	    {MW_JSON_STRING, 19, 1, 7},
	};
	for (uint32_t i = 0; i < 7; i++) {
		CHECK(doc.nodes[i].type == expected[i].type);
		CHECK(doc.nodes[i].at == expected[i].at);
		CHECK(doc.nodes[i].len == expected[i].len);
		CHECK(doc.nodes[i].next == expected[i].next);
	}
	CHECK(doc.nodes[0].aux == 3 && doc.nodes[4].aux == 2);
	CHECK(mw_json_after(&doc, 4) == 7);
}

TEST(members_are_found_by_name)
{
	CHECK(read_text("{\"\":1,\"a\":2,\"\\u0061b\":3,\"o\":{\"a\":4},\"a\\n\":5,\"z\":null}") == MW_OK);
	CHECK(raw_is(member(0, ""), "1"));
	CHECK(raw_is(member(0, "a"), "2"));
	CHECK(raw_is(member(0, "ab"), "3"));
	CHECK(raw_is(member(member(0, "o"), "a"), "4"));
	CHECK(raw_is(member(0, "a\n"), "5"));
	CHECK(raw_is(member(0, "z"), "null"));
	CHECK(member(0, "b") == 0 && member(0, "abc") == 0 && member(0, "\\u0061b") == 0);
	CHECK(member(member(0, "z"), "a") == 0);
	CHECK(member(doc.count, "a") == 0);
	CHECK(read_text("{}") == MW_OK && member(0, "a") == 0);
	CHECK(read_text("[1]") == MW_OK && member(0, "1") == 0);
}

/* Their tags are the same when the byte is none that a tag is made of. */
TEST(names_that_differ_in_one_byte_are_told_apart)
{
	char text[128], name[48];
	for (size_t len = 1; len < sizeof name; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		for (size_t i = 0; i < len; i++) {
			name[i] = 'm';
			snprintf(text, sizeof text, "{\"%s\":1}", name);
			CHECK(read_text(text) == MW_OK && raw_is(member(0, name), "1"));
			name[i] = 'n';
			CHECK(member(0, name) == 0);
		}
	}
}

TEST(of_two_members_with_one_name_the_last_counts)
{
	CHECK(read_text("{\"a\":1,\"b\":{\"a\":9},\"a\":[2],\"c\":3}") == MW_OK);
	CHECK(raw_is(member(0, "a"), "[2]"));
	CHECK(read_text("{\"a\":1,\"\\u0061\":2}") == MW_OK && raw_is(member(0, "a"), "2"));
	CHECK(read_text("{\"\\u0061\":2,\"a\":1}") == MW_OK && raw_is(member(0, "a"), "1"));
}

TEST(elements_are_counted_from_either_end)
{
	CHECK(read_text("[ 10 , [1,2] , {\"a\":[3]} , \"x\" ]") == MW_OK);
	CHECK(doc.nodes[0].aux == 4);
	CHECK(raw_is(mw_json_element(&doc, 0, 0), "10"));
	CHECK(raw_is(mw_json_element(&doc, 0, 2), "{\"a\":[3]}"));
	CHECK(raw_is(mw_json_element(&doc, 0, 3), "x") && raw_is(mw_json_element(&doc, 0, -1), "x"));
	CHECK(raw_is(mw_json_element(&doc, 0, -4), "10"));
	CHECK(mw_json_element(&doc, 0, 4) == 0 && mw_json_element(&doc, 0, -5) == 0);
	CHECK(mw_json_element(&doc, 0, INT64_MIN) == 0 && mw_json_element(&doc, 0, INT64_MAX) == 0);
	CHECK(mw_json_element(&doc, 1, 0) == 0);
	CHECK(read_text("[]") == MW_OK && mw_json_element(&doc, 0, 0) == 0);
}

TEST(escapes_are_undone)
{
	CHECK(
	    read_text(
		"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"\\u0000\\u00e9\\u20AC\\uD83D\\ude00x\",\"plain\",\"\"]") ==
	    MW_OK);
	CHECK(chars_are(1, "\"\\/\b\f\n\r\t", 8));
	CHECK(chars_are(2, "\0\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80x", 11));
	CHECK(doc.nodes[1].flags == MW_JSON_ESCAPED && doc.nodes[3].flags == 0);
	CHECK(chars_are(3, "plain", 5) && chars_are(4, "", 0));
}

TEST(numbers_keep_every_digit)
{
	CHECK(read_text("[12345678901234567890,9007199254740993,1.0,-0,1e2]") == MW_OK);
	CHECK(raw_is(1, "12345678901234567890") && raw_is(2, "9007199254740993") && raw_is(3, "1.0"));
	CHECK(doc.nodes[1].flags == MW_JSON_INTEGER && doc.nodes[4].flags == MW_JSON_INTEGER);
	CHECK(doc.nodes[3].flags == 0 && doc.nodes[5].flags == 0);
}

/* In a block of its own size, too. */
static bool is_number(const char *text)
{
	size_t len = strlen(text);
	uint8_t *copy = malloc(len);
	memcpy(copy, text, len);
	bool is = mw_json_is_number((struct mw_span){copy, len});
	free(copy);
	return is;
}

TEST(a_text_is_a_number_if_all_of_it_is)
{
	CHECK(is_number("0") && is_number("-0") && is_number("12.50") && is_number("-1.5e-10") &&
	      is_number("1E+2"));
	CHECK(mw_json_is_number((struct mw_span){(const uint8_t *)"12.5", 2}));
	CHECK(!is_number("") && !is_number("-") && !is_number("+1") && !is_number("007") &&
	      !is_number("1.") && !is_number(".5") && !is_number("1e") && !is_number("1e+") &&
	      !is_number("1 ") && !is_number(" 1") && !is_number("0x10") && !is_number("NaN") &&
	      !is_number("1,5"));
}

static bool says(const char *text, size_t offset, const char *words)
{
	struct mw_error e = {0};
	enum mw_err err = read_bytes(text, strlen(text), &e);
	if (err == MW_JSON && e.code == MW_JSON && e.offset == offset && strcmp(e.detail, words) == 0 &&
	    doc.count == 0)
		return true;
	fprintf(stderr, "%s: byte %zu: %s\n", text, e.offset, e.detail);
	return false;
}

TEST(an_error_says_where_and_what)
{
	CHECK(says("{\"a\":1 \"b\":2}", 7, "expected ',' or '}' after a member"));
	CHECK(says("[1 2]", 3, "expected ',' or ']' after an element"));
	CHECK(says("[1,2", 4, "expected ',' or ']' after an element, but the text ends here"));
	CHECK(says("", 0, "expected a value, but the text ends here"));
	CHECK(says(" \n ", 3, "expected a value, but the text ends here"));
	CHECK(says("{a:1}", 1, "expected a name in quotes or '}'"));
	CHECK(says("{\"a\":1,}", 7, "expected a name in quotes after ','"));
	CHECK(says("{\"a\" 1}", 5, "expected ':' after a name"));
	CHECK(says("[1,]", 3, "expected a value behind ',' or ':'"));
	CHECK(says("[tru]", 1, "expected a value"));
	CHECK(says("[01]", 2, "a number may not start with 0"));
	CHECK(says("[-]", 2, "expected a digit after '-'"));
	CHECK(says("[1.]", 3, "expected a digit after the decimal point"));
	CHECK(says("[1e+]", 4, "expected a digit in the exponent"));
	CHECK(says("1 1", 2, "expected nothing more after the value"));
	CHECK(says("[\"a]", 4, "expected '\"' at the end of a string, but the text ends here"));
	CHECK(says("[\"a\tb\"]", 3, "a control character in a string; it must be escaped"));
	CHECK(says("[\"\\x\"]", 2, "expected one of \"\\/bfnrtu after a backslash"));
	CHECK(says("[\"\\u12g4\"]", 2, "expected four hex digits after \\u"));
	CHECK(says("[\"\\ud800\"]", 2, "the first half of a surrogate pair without the second"));
	CHECK(says("[\"\\udc00\"]", 2, "the second half of a surrogate pair without the first"));
	CHECK(says("[\"ab\xC0\x80\"]", 4, "bytes in a string that are not UTF-8"));
	CHECK(says("\xEF\xBB\xBF{}", 0, "a byte-order mark; expected a value"));
	CHECK(says("\xFF\xFE[", 0, "UTF-16 or binary data; expected a value in UTF-8"));
}

TEST(size_and_depth_have_limits)
{
	/* Not one byte of the 100 MB may be looked at: they are not there. */
	struct mw_error e = {0};
	CHECK(mw_json_read(&doc, "[", 100 * 1000 * 1000, &e) == MW_TOO_LARGE && doc.count == 0);
	CHECK(strstr(e.detail, "100000000 bytes") != NULL);

	char text[2 * MW_JSON_DEPTH_MAX + 2];
	memset(text, '[', MW_JSON_DEPTH_MAX + 1);
	memset(text + MW_JSON_DEPTH_MAX + 1, ']', MW_JSON_DEPTH_MAX + 1);
	CHECK(read_bytes(text + 1, 2 * MW_JSON_DEPTH_MAX, &e) == MW_OK);
	CHECK(doc.count == MW_JSON_DEPTH_MAX);
	CHECK(read_bytes(text, sizeof text, &e) == MW_TOO_LARGE);
	CHECK(e.offset == MW_JSON_DEPTH_MAX && strcmp(e.detail, "nested deeper than 128 levels") == 0);

	size_t deep = 100000;
	char *brackets = malloc(deep);
	CHECK(brackets != NULL);
	memset(brackets, '[', deep);
	CHECK(read_bytes(brackets, deep, &e) == MW_TOO_LARGE);
	free(brackets);
}

TEST(the_largest_text_of_the_smallest_values_is_read)
{
	size_t len = MW_EVENT_MAX;
	char *text = malloc(len);
	CHECK(text != NULL);
	for (size_t i = 0; i < len; i++)
		text[i] = i % 2 ? '0' : ',';
	text[0] = '[';
	text[len - 1] = ']';
	struct mw_error e = {0};
	CHECK(mw_json_read(&doc, text, len, &e) == MW_OK);
	CHECK(doc.count == len / 2 + 1 && doc.nodes[0].aux == len / 2);
	free(text);
	mw_json_deinit(&doc);
}

/* A second opinion: RFC 8259 as plain recursive descent, byte by byte. */
struct naive {
	const uint8_t *p, *end;
	int depth;
};

static bool naive_value(struct naive *n);

static void naive_space(struct naive *n)
{
	while (n->p < n->end && strchr(" \t\r\n", *n->p) && *n->p)
		n->p++;
}

static bool naive_byte(struct naive *n, char c)
{
	if (n->p == n->end || *n->p != (uint8_t)c)
		return false;
	n->p++;
	return true;
}

static bool naive_digits(struct naive *n)
{
	const uint8_t *from = n->p;
	while (n->p < n->end && *n->p >= '0' && *n->p <= '9')
		n->p++;
	return n->p > from;
}

static bool naive_number(struct naive *n)
{
	naive_byte(n, '-');
	if (!naive_byte(n, '0') && !naive_digits(n))
		return false;
	if (naive_byte(n, '.') && !naive_digits(n))
		return false;
	if (naive_byte(n, 'e') || naive_byte(n, 'E')) {
		if (!naive_byte(n, '+'))
			naive_byte(n, '-');
		return naive_digits(n);
	}
	return true;
}

static int naive_unit(struct naive *n)
{
	char hex[5] = {0};
	for (int i = 0; i < 4; i++) {
		if (n->p == n->end || !*n->p || !strchr("0123456789abcdefABCDEF", *n->p))
			return -1;
		hex[i] = (char)*n->p++;
	}
	return (int)strtol(hex, NULL, 16);
}

static bool naive_escape(struct naive *n)
{
	if (n->p == n->end)
		return false;
	uint8_t c = *n->p++;
	if (c != 'u')
		return c && strchr("\"\\/bfnrt", c);
	int unit = naive_unit(n);
	if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000))
		return false;
	if (unit < 0xD800 || unit >= 0xE000)
		return true;
	if (!naive_byte(n, '\\') || !naive_byte(n, 'u'))
		return false;
	unit = naive_unit(n);
	return unit >= 0xDC00 && unit < 0xE000;
}

/* By decoding and asking whether the code point should have been written so. */
static bool naive_utf8(struct naive *n)
{
	uint8_t c = *n->p;
	int more = c >= 0xF0 && c < 0xF8 ? 3 : c >= 0xE0 ? 2 : 1;
	if (c < 0xC0 || c >= 0xF8 || n->end - n->p <= more)
		return false;
	uint32_t code = c & (0x3Fu >> more);
	n->p++;
	for (int i = 0; i < more; i++, n->p++) {
		if ((*n->p & 0xC0) != 0x80)
			return false;
		code = code << 6 | (*n->p & 0x3Fu);
	}
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	return code >= least[more] && code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
}

static bool naive_string(struct naive *n)
{
	if (!naive_byte(n, '"'))
		return false;
	while (n->p < n->end) {
		uint8_t c = *n->p;
		if (c < 0x20)
			return false;
		if (c >= 0x80) {
			if (!naive_utf8(n))
				return false;
			continue;
		}
		n->p++;
		if (c == '"')
			return true;
		if (c == '\\' && !naive_escape(n))
			return false;
	}
	return false;
}

static bool naive_word(struct naive *n, const char *word)
{
	for (; *word; word++)
		if (!naive_byte(n, *word))
			return false;
	return true;
}

static bool naive_container(struct naive *n, bool object)
{
	char end = object ? '}' : ']';
	if (++n->depth > MW_JSON_DEPTH_MAX)
		return false;
	n->p++;
	naive_space(n);
	bool first = true;
	while (!naive_byte(n, end)) {
		if (!first && !naive_byte(n, ','))
			return false;
		first = false;
		naive_space(n);
		if (object) {
			if (!naive_string(n))
				return false;
			naive_space(n);
			if (!naive_byte(n, ':'))
				return false;
		}
		if (!naive_value(n))
			return false;
	}
	n->depth--;
	return true;
}

static bool naive_value(struct naive *n)
{
	naive_space(n);
	if (n->p == n->end)
		return false;
	bool ok;
	switch (*n->p) {
	case '{':
	case '[':
		ok = naive_container(n, *n->p == '{');
		break;
	case '"':
		ok = naive_string(n);
		break;
	case 't':
		ok = naive_word(n, "true");
		break;
	case 'f':
		ok = naive_word(n, "false");
		break;
	case 'n':
		ok = naive_word(n, "null");
		break;
	default:
		ok = naive_number(n);
	}
	naive_space(n);
	return ok;
}

TEST(a_naive_reader_agrees_on_mutated_texts)
{
	static const char *const seeds[] = {
	    "{\"id\":\"evt_1\",\"n\":[0,-1.5e+3,true,false,null],\"o\":{\"k\":\"\\u00e9\\n\\\"\",\"\":{}},"
	    "\"s\":"
	    "\"a text long enough to cross from one block of sixty-four bytes into another one\"}",
	    "[\"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xF0\x9F\x98\x80\",\"\\ud83d\\ude00\",\n\t{ \"a\" : [ ] "
	    ", \"b\" : "
	    "{\r\n} }, 1e9 , 0.25]",
	    "  \"just a string of sixty-four bytes and then a few more \\\\ \\/ \\t x\"  ",
	};
	static const char spice[] =
	    "\"\\{}[]:,0129.eE+-truefalsn \n\t\x01\x1f\x80\xC3\xA9\xED\xA0\xF4\x90ubd";
	uint64_t random = check_seed("mutated texts");
	int read = 0, rounds = check_rounds(300000);
	for (int round = 0; round < rounds; round++) {
		uint8_t text[400];
		const char *seed = seeds[check_random(&random) % 3];
		size_t len = strlen(seed);
		memcpy(text, seed, len);
		for (uint64_t changes = check_random(&random) % 4; changes > 0; changes--) {
			size_t at = check_random(&random) % len;
			uint8_t c = (uint8_t)spice[check_random(&random) % (sizeof spice - 1)];
			switch (check_random(&random) % 4) {
			case 0:
				text[at] = c;
				break;
			case 1:
				memmove(text + at + 1, text + at, len++ - at);
				text[at] = c;
				break;
			case 2:
				if (len > 1)
					memmove(text + at, text + at + 1, --len - at);
				break;
			default:
				if (check_random(&random) % 8 == 0)
					len = at + 1;
			}
		}
		struct naive n = {text, text + len, 0};
		bool expected = naive_value(&n) && n.p == n.end;
		struct mw_error e = {0};
		bool got = read_bytes(text, len, &e) == MW_OK;
		if (got != expected)
			fprintf(stderr, "%.*s\nbyte %zu: %s\n", (int)len, (const char *)text, e.offset,
				e.detail);
		CHECK(got == expected);
		CHECK(got || (e.detail[0] && e.offset <= len));
		read += got;
	}
	printf("%d of %d mutated texts are JSON\n", read, rounds);
	CHECK(read > rounds / 8 && read < rounds * 7 / 8);
}

TEST(every_escape_position_and_length_is_seen)
{
	/* A quote, an escape or a broken byte at each place of strings of each length up to 200. */
	uint8_t text[256];
	for (size_t len = 1; len < 200; len++) {
		for (size_t at = 0; at < len; at++) {
			memset(text, 'x', sizeof text);
			text[0] = text[len + 1] = '"';
			CHECK(read_bytes(text, len + 2, NULL) == MW_OK && doc.nodes[0].len == len);
			text[at + 1] = 0x1F;
			struct mw_error e = {0};
			CHECK(read_bytes(text, len + 2, &e) == MW_JSON && e.offset == at + 1);
			text[at + 1] = 0x80;
			CHECK(read_bytes(text, len + 2, &e) == MW_JSON && e.offset == at + 1);
			text[at + 1] = '"';
			CHECK(read_bytes(text, len + 2, &e) == MW_JSON && e.offset == at + 2);
			if (at + 1 < len) {
				text[at + 1] = '\\';
				text[at + 2] = '"';
				CHECK(read_bytes(text, len + 2, NULL) == MW_OK && doc.nodes[0].len == len);
			}
		}
	}
}

TEST(strings_begin_and_end_anywhere_in_a_block)
{
	for (int first = 0; first < 140; first++) {
		for (int second = 0; second < 70; second++) {
			char text[256], x[140];
			memset(x, 'x', sizeof x);
			int len =
			    snprintf(text, sizeof text, "[\"%.*s\",\"%.*s\",\"\"]", first, x, second, x);
			CHECK(read_bytes(text, (size_t)len, NULL) == MW_OK && doc.count == 4);
			CHECK(doc.nodes[1].at == 2 && doc.nodes[1].len == (uint32_t)first);
			CHECK(doc.nodes[2].at == (uint32_t)first + 5 && doc.nodes[2].len == (uint32_t)second);
			CHECK(doc.nodes[3].len == 0);
		}
	}
}

int main(void)
{
	mw_json_init(&doc);
	RUN(the_tape_is_the_one_in_the_header);
	RUN(members_are_found_by_name);
	RUN(names_that_differ_in_one_byte_are_told_apart);
	RUN(of_two_members_with_one_name_the_last_counts);
	RUN(elements_are_counted_from_either_end);
	RUN(escapes_are_undone);
	RUN(numbers_keep_every_digit);
	RUN(a_text_is_a_number_if_all_of_it_is);
	RUN(an_error_says_where_and_what);
	RUN(size_and_depth_have_limits);
	RUN(the_largest_text_of_the_smallest_values_is_read);
	RUN(a_naive_reader_agrees_on_mutated_texts);
	RUN(every_escape_position_and_length_is_seen);
	RUN(strings_begin_and_end_anywhere_in_a_block);
	mw_json_deinit(&doc);
	free(block);
	return CHECK_END();
}
