#include "../../csrc/io/xml.h"

#include "../../csrc/core/json_read.h"
#include "../../csrc/core/limits.h"
#include "check.h"

static struct mw_buf out;

static enum mw_err convert(const void *body, size_t len, struct mw_error *e)
{
	uint8_t *exact = malloc(len ? len : 1); /* a byte too many is seen by a sanitizer */
	if (!exact)
		abort();
	memcpy(exact, body, len);
	enum mw_err err = mw_xml_to_json((struct mw_span){exact, len}, &out, e);
	free(exact);
	return err;
}

static bool gives_bytes(const void *body, size_t len, const char *json)
{
	struct mw_error e = {0};
	mw_buf_clear(&out);
	if (convert(body, len, &e) == MW_OK && mw_span_is(mw_buf_span(&out), json))
		return true;
	fprintf(stderr, "%.*s %s\n", (int)out.len, (const char *)out.data, e.detail);
	return false;
}

static bool gives(const char *body, const char *json)
{
	return gives_bytes(body, strlen(body), json);
}

static bool refuses(const char *body, const char *words)
{
	struct mw_error e = {0};
	mw_buf_clear(&out);
	mw_buf_append_literal(&out, "kept");
	enum mw_err err = convert(body, strlen(body), &e);
	if (err == MW_INVALID && strcmp(e.detail, words) == 0 && e.offset <= strlen(body) &&
	    mw_span_is(mw_buf_span(&out), "kept"))
		return true;
	fprintf(stderr, "%s: %d, byte %zu: %s\n", body, (int)err, e.offset, e.detail);
	return false;
}

TEST(an_element_is_its_text)
{
	CHECK(gives("<a>t</a>", "{\"a\":\"t\"}") && gives("<a/>", "{\"a\":\"\"}"));
	CHECK(gives("<a> t\n</a>", "{\"a\":\" t\\n\"}") && gives("<a><b> </b></a>", "{\"a\":{\"b\":\" \"}}"));
	CHECK(gives("<a>x &lt;&amp;&#65;&#x20AC; <![CDATA[<b>]]>\"<!-- no --></a>",
		    "{\"a\":\"x <&A\xE2\x82\xAC <b>\\\"\"}"));
}

TEST(elements_and_attributes_are_members)
{
	CHECK(gives("<a x='1' y=\"2\"><b>t</b>\n <c/></a>",
		    "{\"a\":{\"@x\":\"1\",\"@y\":\"2\",\"b\":\"t\",\"c\":\"\"}}"));
	CHECK(gives("<a x='1'>t</a>", "{\"a\":{\"@x\":\"1\",\"#text\":\"t\"}}"));
	CHECK(gives("<a x='1'> </a>", "{\"a\":{\"@x\":\"1\"}}"));
	CHECK(gives("<a>one<b/>two</a>", "{\"a\":{\"b\":\"\",\"#text\":\"onetwo\"}}"));
}

TEST(what_is_repeated_is_an_array)
{
	CHECK(gives("<a><b>1</b><b>2</b></a>", "{\"a\":{\"b\":[\"1\",\"2\"]}}"));
	CHECK(gives("<a><b>1</b><c/><b x='2'/><d/><b/></a>",
		    "{\"a\":{\"b\":[\"1\",{\"@x\":\"2\"},\"\"],\"c\":\"\",\"d\":\"\"}}"));
	CHECK(gives("<a><b><c>1</c></b><b><c>2</c><c>3</c></b></a>",
		    "{\"a\":{\"b\":[{\"c\":\"1\"},{\"c\":[\"2\",\"3\"]}]}}"));
	CHECK(gives("<a><a><a/></a></a>", "{\"a\":{\"a\":{\"a\":\"\"}}}"));
}

TEST(prefixes_are_left_off)
{
	CHECK(gives("<s:a xmlns:s='u:1' xmlns='u:2'><b/><s:c s:d='1'/></s:a>",
		    "{\"a\":{\"b\":\"\",\"c\":{\"@d\":\"1\"}}}"));
	CHECK(gives("<a xmlns:x='u:1' xmlns:y='u:2'><x:b>1</x:b><y:b>2</y:b></a>",
		    "{\"a\":{\"b\":[\"1\",\"2\"]}}"));
	CHECK(refuses("<s:a/>", "XML: line 1, column 1: unbound prefix"));
}

TEST(nil_is_null)
{
#define XSI "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'"
	CHECK(gives("<a " XSI "><b i:nil='true'/><c i:nil='1'></c><d i:nil='false'/><e nil='true'/></a>",
		    "{\"a\":{\"b\":null,\"c\":null,\"d\":\"\",\"e\":{\"@nil\":\"true\"}}}"));
	CHECK(gives("<a " XSI " i:type='sf:Lead'/>", "{\"a\":{\"@type\":\"sf:Lead\"}}"));
}

TEST(encodings_are_read)
{
	CHECK(gives("\xEF\xBB\xBF<?xml version='1.0' encoding='UTF-8'?><a>\xC3\xA9</a>",
		    "{\"a\":\"\xC3\xA9\"}"));
	CHECK(gives("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>", "{\"a\":\"\xC3\xA9\"}"));
	CHECK(gives_bytes("\xFF\xFE<\0a\0>\0\xE9\0<\0/\0a\0>\0", 18, "{\"a\":\"\xC3\xA9\"}"));
	CHECK(refuses("<?xml version='1.0' encoding='EBCDIC'?><a/>",
		      "XML: line 1, column 31: unknown encoding"));
	CHECK(refuses("<a>\xE9</a>", "XML: line 1, column 4: not well-formed (invalid token)"));
}

TEST(what_is_no_xml_is_told_with_its_place)
{
	CHECK(refuses("", "XML: line 1, column 1: no element found"));
	CHECK(refuses("<a>\n <b></a>", "XML: line 2, column 7: mismatched tag"));
	CHECK(refuses("<a/><b/>", "XML: line 1, column 5: junk after document element"));
	CHECK(refuses("<a x='1' x='2'/>", "XML: line 1, column 10: duplicate attribute"));
	CHECK(refuses("<a>&bogus;</a>", "XML: line 1, column 4: undefined entity"));
}

/* Neither files nor bombs: there is no document type, so there are no entities. */
TEST(document_types_are_refused)
{
	CHECK(
	    refuses("<!DOCTYPE a><a/>", "XML: line 1, column 12: a document type (<!DOCTYPE) is not taken"));
	CHECK(refuses("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
		      "XML: line 1, column 13: a document type (<!DOCTYPE) is not taken"));
	CHECK(refuses("<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>",
		      "XML: line 1, column 13: a document type (<!DOCTYPE) is not taken"));
	CHECK(refuses("<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'><a/>",
		      "XML: line 1, column 46: a document type (<!DOCTYPE) is not taken"));
}

static size_t repeat(char *to, const char *what, size_t times)
{
	size_t len = strlen(what);
	for (size_t i = 0; i < times; i++)
		memcpy(to + i * len, what, len);
	return times * len;
}

TEST(depth_and_sizes_have_limits)
{
	enum { ROOM = 5 << 20 };
	char *body = malloc(ROOM);
	struct mw_error e = {0};
	struct mw_json doc;
	CHECK(body);
	mw_json_init(&doc);
	for (size_t depth = MW_XML_DEPTH_MAX; depth <= MW_XML_DEPTH_MAX + 1; depth++) {
		size_t len = repeat(body, "<a>", depth);
		len += repeat(body + len, "</a>", depth);
		mw_buf_clear(&out);
		CHECK(convert(body, len, &e) == (depth > MW_XML_DEPTH_MAX ? MW_TOO_LARGE : MW_OK));
	}
	/* As deep as can be and repeated at each level, it is still JSON that is read. */
	size_t len = repeat(body, "<a><b/><b/>", 1);
	for (int i = 1; i < MW_XML_DEPTH_MAX - 1; i++)
		len += repeat(body + len, "<b><b/>", 1);
	len += repeat(body + len, "</b>", MW_XML_DEPTH_MAX - 2);
	len += repeat(body + len, "</a>", 1);
	mw_buf_clear(&out);
	CHECK(convert(body, len, &e) == MW_OK && mw_json_read(&doc, out.data, out.len, &e) == MW_OK);

	CHECK(mw_xml_to_json((struct mw_span){(const uint8_t *)"", MW_EVENT_MAX + 1}, &out, &e) ==
	      MW_TOO_LARGE);

	struct mw_buf small;
	mw_buf_init(&small, 12);
	CHECK(mw_xml_to_json(MW_SPAN("<a><b>1</b></a>"), &small, &e) == MW_TOO_LARGE && small.len == 0);
	mw_buf_deinit(&small);
	mw_json_deinit(&doc);
	free(body);
}

TEST(elements_have_a_limit)
{
	enum { ROOM = 5 << 20 };
	char *body = malloc(ROOM);
	struct mw_error e = {0};
	CHECK(body);
	size_t len = repeat(body, "<a>", 1);
	len += repeat(body + len, "<b/>", MW_XML_NODES_MAX + 1);
	len += repeat(body + len, "</a>", 1);
	mw_buf_clear(&out);
	CHECK(convert(body, len, &e) == MW_TOO_LARGE && strstr(e.detail, "more than a million elements"));
	CHECK(out.len == 0);
	free(body);
}

/* A hundred thousand names in one element cost a hundred thousand steps: at 10^10 this would not end. */
TEST(many_names_are_found_quickly)
{
	const size_t names = (size_t)check_rounds(100000);
	char *body = malloc(names * 20);
	size_t len = 3;
	CHECK(body);
	memcpy(body, "<a>", 3);
	for (size_t i = 0; i < names; i++)
		len += (size_t)sprintf(body + len, "<n%zx/>", i);
	memcpy(body + len, "</a>", 4);
	struct mw_json doc;
	mw_json_init(&doc);
	mw_buf_clear(&out);
	CHECK(convert(body, len + 4, NULL) == MW_OK && mw_json_read(&doc, out.data, out.len, NULL) == MW_OK);
	CHECK(doc.count == 3 + 2 * names);
	mw_json_deinit(&doc);
	free(body);
}

TEST(whatever_the_body_the_result_is_json)
{
	static const char *const parts[] = {"<a>",
					    "</a>",
					    "<b>",
					    "</b>",
					    "<a/>",
					    "<b x='1'/>",
					    "text",
					    " ",
					    "&lt;",
					    "&#0;",
					    "<![CDATA[",
					    "]]>",
					    "<!--",
					    "-->",
					    "<?p ?>",
					    "<!DOCTYPE a>",
					    "\xC3\xA9",
					    "\xFF",
					    "\"",
					    "\\",
					    "<x:a xmlns:x='u'>",
					    "</x:a>",
					    "<",
					    ">",
					    "&",
					    "\1"};
	uint64_t random = check_seed("XML");
	struct mw_json doc;
	mw_json_init(&doc);
	int converted = 0;
	for (int round = 0, rounds = check_rounds(60000); round < rounds; round++) {
		char body[400] = "";
		size_t len = 0, open = 0;
		char names[20];
		/* Half of them are elements that nest, with now and then something that breaks them. */
		for (int i = (int)(check_random(&random) % 16); i > 0; i--) {
			const char *part = parts[check_random(&random) % (sizeof parts / sizeof *parts)];
			if (round % 2 == 0 && check_random(&random) % 8 != 0) {
				char name = "ab"[check_random(&random) % 2];
				if (open > 0 && check_random(&random) % 3 == 0) {
					len += (size_t)sprintf(body + len, "</%c>", names[--open]);
				} else if (open == 0 && len > 0) {
					break;
				} else {
					names[open++] = name;
					len += (size_t)sprintf(body + len, "<%c>", name);
				}
			} else {
				len += (size_t)sprintf(body + len, "%s", part);
			}
		}
		while (round % 2 == 0 && open > 0)
			len += (size_t)sprintf(body + len, "</%c>", names[--open]);
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
	printf("%d random bodies are XML\n", converted);
	CHECK(converted > check_rounds(5000));
}

int main(void)
{
	mw_buf_init(&out, 1 << 24);
	RUN(an_element_is_its_text);
	RUN(elements_and_attributes_are_members);
	RUN(what_is_repeated_is_an_array);
	RUN(prefixes_are_left_off);
	RUN(nil_is_null);
	RUN(encodings_are_read);
	RUN(what_is_no_xml_is_told_with_its_place);
	RUN(document_types_are_refused);
	RUN(depth_and_sizes_have_limits);
	if (!getenv("MW_VALGRIND")) /* a million, all alike */
		RUN(elements_have_a_limit);
	RUN(many_names_are_found_quickly);
	RUN(whatever_the_body_the_result_is_json);
	mw_buf_deinit(&out);
	return CHECK_END();
}
