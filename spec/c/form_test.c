#include "../../csrc/core/form.h"
#include "../../csrc/core/json_read.h"
#include "check.h"

static struct mw_buf out;

static enum mw_err convert(const void *body, size_t len, struct mw_error *e)
{
	uint8_t *exact = malloc(len ? len : 1); /* a byte too many is seen by a sanitizer */
	if (!exact)
		abort();
	memcpy(exact, body, len);
	enum mw_err err = mw_form_to_json((struct mw_span){exact, len}, &out, e);
	free(exact);
	return err;
}

static bool gives(const char *body, const char *json)
{
	struct mw_error e = {0};
	mw_buf_clear(&out);
	if (convert(body, strlen(body), &e) == MW_OK && mw_span_is(mw_buf_span(&out), json))
		return true;
	fprintf(stderr, "%s: %.*s %s\n", body, (int)out.len, (const char *)out.data, e.detail);
	return false;
}

static bool refuses(const char *body, size_t offset, const char *words)
{
	struct mw_error e = {0};
	mw_buf_clear(&out);
	mw_buf_append_literal(&out, "kept");
	enum mw_err err = convert(body, strlen(body), &e);
	if (err == MW_INVALID && e.offset == offset && strcmp(e.detail, words) == 0 &&
	    mw_span_is(mw_buf_span(&out), "kept"))
		return true;
	fprintf(stderr, "%s: byte %zu: %s\n", body, e.offset, e.detail);
	return false;
}

TEST(pairs_become_members)
{
	CHECK(gives("a=1&b=x%20y", "{\"a\":\"1\",\"b\":\"x y\"}"));
	CHECK(gives("", "{}") && gives("&&", "{}") && gives("a", "{\"a\":\"\"}") &&
	      gives("a=&", "{\"a\":\"\"}"));
	CHECK(gives("a=1=2&=3", "{\"a\":\"1=2\",\"\":\"3\"}"));
	CHECK(gives("a+b=%2B%c3%A9%22%00+", "{\"a b\":\"+\xC3\xA9\\\"\\u0000 \"}"));
}

TEST(a_repeated_name_is_an_array)
{
	CHECK(gives("to=a&to=b", "{\"to\":[\"a\",\"b\"]}"));
	CHECK(gives("to=a&x=1&to=b&to=c", "{\"to\":[\"a\",\"b\",\"c\"],\"x\":\"1\"}"));
	CHECK(gives("tags[]=a", "{\"tags\":[\"a\"]}") &&
	      gives("tags[]=a&tags[]=b", "{\"tags\":[\"a\",\"b\"]}"));
	CHECK(gives("t=a&t[]=b", "{\"t\":[\"a\",\"b\"]}"));
}

TEST(brackets_are_objects)
{
	CHECK(gives("data[merges][E]=x", "{\"data\":{\"merges\":{\"E\":\"x\"}}}"));
	CHECK(gives("data%5Ba%5D=1&z=2&data[b]=3", "{\"data\":{\"a\":\"1\",\"b\":\"3\"},\"z\":\"2\"}"));
	CHECK(gives("d[a][]=1&d[a][]=2&d[b]=", "{\"d\":{\"a\":[\"1\",\"2\"],\"b\":\"\"}}"));
	CHECK(gives("a[1][2][3][4][5][6][7]=x",
		    "{\"a\":{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":\"x\"}}}}}}}}"));
}

TEST(brackets_in_other_places_are_part_of_the_name)
{
	CHECK(gives(
	    "[a]=1&a[b=2&c]=3&d[]e=4&f[][g]=5&h[i]j=6",
	    "{\"[a]\":\"1\",\"a[b\":\"2\",\"c]\":\"3\",\"d[]e\":\"4\",\"f[][g]\":\"5\",\"h[i]j\":\"6\"}"));
}

TEST(what_is_wrong_is_told_with_its_place)
{
	CHECK(refuses("a=1&b=%2", 6, "expected two hex digits after '%'"));
	CHECK(refuses("a=%G0", 2, "expected two hex digits after '%'") &&
	      refuses("%", 0, "expected two hex digits after '%'"));
	CHECK(refuses("a=x%41y%ff", 7, "bytes that are not UTF-8") &&
	      refuses("\xC3=1", 0, "bytes that are not UTF-8"));
	CHECK(refuses("a[1][2][3][4][5][6][7][8]=x", 0, "a name nested deeper than 8"));
	CHECK(refuses("a=1&a[b]=2", 4, "a name used both for a value and for an object"));
	CHECK(refuses("a[b]=1&a=2", 7, "a name used both for a value and for an object"));
	CHECK(refuses("a[b]=1&a[]=2", 7, "a name used both for a value and for an object"));
}

TEST(pairs_and_sizes_have_limits)
{
	mw_buf_clear(&out);
	char *body = malloc(10001 * 8);
	CHECK(body != NULL);
	size_t len = 0;
	for (int i = 0; i < 10000; i++)
		len += (size_t)sprintf(body + len, "%sk%d=", i ? "&" : "", i);
	CHECK(convert(body, len, NULL) == MW_OK);
	struct mw_json doc;
	mw_json_init(&doc);
	CHECK(mw_json_read(&doc, out.data, out.len, NULL) == MW_OK && doc.count == 20001);
	mw_json_deinit(&doc);
	mw_buf_clear(&out);
	struct mw_error e = {0};
	size_t before = len;
	len += (size_t)sprintf(body + len, "&x=");
	CHECK(convert(body, len, &e) == MW_TOO_LARGE && e.offset == before + 1 && out.len == 0);
	free(body);
	CHECK(mw_form_to_json((struct mw_span){(const uint8_t *)"", 100000000}, &out, &e) == MW_TOO_LARGE);

	struct mw_buf small;
	mw_buf_init(&small, 12);
	CHECK(mw_form_to_json(MW_SPAN("a=1&b=2"), &small, &e) == MW_TOO_LARGE && small.len == 0);
	mw_buf_deinit(&small);
}

TEST(whatever_the_body_the_result_is_json)
{
	uint64_t random = check_seed("forms");
	static const char letters[] = "ab[]=&%25BDCc3A9+\x80x";
	struct mw_json doc;
	mw_json_init(&doc);
	int converted = 0;
	for (int round = 0, rounds = check_rounds(200000); round < rounds; round++) {
		char body[60];
		size_t len = check_random(&random) % sizeof body;
		for (size_t i = 0; i < len; i++)
			body[i] = letters[check_random(&random) % (round % 2 ? 6 : sizeof letters - 1)];
		struct mw_error e = {0};
		mw_buf_clear(&out);
		if (convert(body, len, &e) == MW_OK) {
			CHECK(mw_json_read(&doc, out.data, out.len, &e) == MW_OK);
			converted++;
		} else {
			CHECK(out.len == 0 && e.detail[0] && e.offset <= len);
		}
	}
	mw_json_deinit(&doc);
	printf("%d random bodies are forms\n", converted);
	CHECK(converted > check_rounds(20000));
}

int main(void)
{
	mw_buf_init(&out, 1 << 20);
	RUN(pairs_become_members);
	RUN(a_repeated_name_is_an_array);
	RUN(brackets_are_objects);
	RUN(brackets_in_other_places_are_part_of_the_name);
	RUN(what_is_wrong_is_told_with_its_place);
	RUN(pairs_and_sizes_have_limits);
	RUN(whatever_the_body_the_result_is_json);
	mw_buf_deinit(&out);
	return CHECK_END();
}
