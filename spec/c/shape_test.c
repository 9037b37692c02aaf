#include "../../csrc/core/shape.h"

#include "check.h"
#include "map_host.h"

static uint64_t of(const char *json)
{
	return mw_shape_of_json(span(json));
}

static enum mw_class text(const char *inside)
{
	return mw_class_of_text(span(inside));
}

static enum mw_class id(const char *inside)
{
	return mw_class_of_id(span(inside));
}

TEST(objects_of_one_kind_have_one_shape)
{
	uint64_t shape = of("{\"email_id\":\"m7\",\"opens\":3}");
	CHECK(shape != 0);
	CHECK(of("{\"email_id\":\"a longer one\",\"opens\":-4711}") == shape);
	CHECK(of("{\"opens\":1,\"email_id\":\"m9\"}") == shape);
	CHECK(of(" { \"opens\" : 1 ,\n\t\"email_id\" : \"m\\\"9\\\\\" } ") == shape);
	CHECK(of("\"email_id\":\"m7\",\"opens\":3") == shape); /* members alone, as in a message's context */
}

TEST(another_name_or_kind_is_another_shape)
{
	static const char *const all[] = {
	    "{\"email_id\":\"m7\",\"opens\":3}",
	    "{\"email_id\":\"m7\",\"open\":3}",
	    "{\"email_id\":7,\"opens\":3}",
	    "{\"email_id\":\"m7\",\"opens\":\"\"}",
	    "{\"email_id\":\"m7\",\"opens\":3.5}",
	    "{\"email_id\":\"m7\",\"opens\":3.0}",
	    "{\"email_id\":\"m7\",\"opens\":3e1}",
	    "{\"email_id\":\"m7\"}",
	    "{\"email_id\":\"m7\",\"opens\":null}",
	    "{\"email_id\":\"m7\",\"opens\":true}",
	    "{\"email_id\":\"m7\",\"opens\":false}",
	    "{\"email_id\":\"m7\",\"opens\":[]}",
	    "{\"email_id\":\"m7\",\"opens\":{}}",
	    "{\"email_id\":\"m7\",\"opens\":[3]}",
	    "{\"email_id\":\"m7\",\"opens\":{\"a\":3}}",
	    "{\"email_id\":3,\"opens\":\"m7\"}",
	    "{\"a\":{\"b\":1}}",
	    "{\"b\":{\"a\":1}}",
	    "{\"a\":{\"b\":1},\"c\":{}}",
	    "{\"a\":{},\"c\":{\"b\":1}}",
	    "{}",
	    "[]",
	    "[1]",
	    "[[1]]",
	    "[\"a\"]",
	    "[1,\"a\"]",
	    "[\"a\",1]",
	    "null",
	    "1",
	    "\"a\"",
	};
	size_t n = sizeof all / sizeof *all;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++)
			CHECK(of(all[i]) != of(all[k]));
	}
}

TEST(a_list_is_of_one_shape_however_long)
{
	CHECK(of("[{\"sku\":\"a\"},{\"sku\":\"b\"},{\"sku\":\"c\"}]") == of("[{\"sku\":\"z\"}]"));
	CHECK(of("[{\"sku\":\"a\"},{\"sku\":1}]") != of("[{\"sku\":\"z\"}]"));
}

TEST(texts_have_classes)
{
	char long_text[MW_TEXT_LONG + 2];
	memset(long_text, 'x', sizeof long_text);
	long_text[MW_TEXT_LONG] = '\0';
	CHECK(text(long_text) == MW_CLASS_TEXT);
	long_text[MW_TEXT_LONG] = 'x';
	long_text[MW_TEXT_LONG + 1] = '\0';
	CHECK(text(long_text) == MW_CLASS_LONG);
	CHECK(text("") == MW_CLASS_EMPTY);
	CHECK(text("Hello") == MW_CLASS_TEXT && text("12.50") == MW_CLASS_TEXT && text("1") == MW_CLASS_TEXT);
	CHECK(text("2026-11-26") == MW_CLASS_DATE && text("20261126") == MW_CLASS_TEXT);
	CHECK(text("2026-11-26T10:00:00Z") == MW_CLASS_ZONED);
	CHECK(text("2026-11-26 10:00:00.123+01:00") == MW_CLASS_ZONED);
	CHECK(text("2026-11-26t10:00-0500") == MW_CLASS_ZONED && text("20261126T1000 UTC") == MW_CLASS_ZONED);
	CHECK(text("2026-11-26T10:00:00") == MW_CLASS_UNZONED &&
	      text("2026-11-26 10:00") == MW_CLASS_UNZONED);
	CHECK(text("2026-11-26T10:00:00 CET") == MW_CLASS_TEXT && text("2026-11-26 or so") == MW_CLASS_TEXT);
}

TEST(a_long_text_is_counted_in_characters)
{
	char two_bytes[2 * MW_TEXT_LONG + 1];
	for (size_t i = 0; i < MW_TEXT_LONG; i++)
		memcpy(two_bytes + 2 * i, "\xC3\xA9", 2);
	two_bytes[2 * MW_TEXT_LONG] = '\0';
	CHECK(text(two_bytes) == MW_CLASS_TEXT);
}

TEST(ids_have_classes)
{
	CHECK(mw_class_of_id((struct mw_span){NULL, 0}) == MW_CLASS_ABSENT && id("") == MW_CLASS_EMPTY);
	CHECK(id("user-17") == MW_CLASS_TEXT && id("2026-11-26") == MW_CLASS_TEXT &&
	      id("0x1") == MW_CLASS_TEXT);
	CHECK(id("ann@example.com") == MW_CLASS_EMAIL && id("@ann") == MW_CLASS_TEXT);
	CHECK(id("ann@localhost") == MW_CLASS_TEXT && id("a b@example.com") == MW_CLASS_TEXT);
	CHECK(id("0") == MW_CLASS_IGNORED && id("-1") == MW_CLASS_IGNORED && id("null") == MW_CLASS_IGNORED);
	CHECK(id("00000000-0000-0000-0000-000000000000") == MW_CLASS_IGNORED);
	CHECK(id("anonymous") == MW_CLASS_IGNORED && id("Anonymous") == MW_CLASS_PLACEHOLDER);
	CHECK(id("undefined") == MW_CLASS_PLACEHOLDER && id("NaN") == MW_CLASS_PLACEHOLDER);
	CHECK(id("[object Object]") == MW_CLASS_PLACEHOLDER && id("[object Objekt]") == MW_CLASS_TEXT);
}

TEST(a_watched_name_makes_its_value_count)
{
	CHECK(of("{\"load_type\":\"linear\"}") != of("{\"load_type\":\"dynamic\"}"));
	CHECK(of("{\"sound\":50}") != of("{\"sound\":500}"));
	CHECK(of("{\"kind\":\"linear\"}") == of("{\"kind\":\"dynamic\"}"));
}

TEST(an_echo_knows_its_members)
{
	struct mw_span user = MW_SPAN("user-17");
	uint64_t own = mw_shape_echo(user, MW_SPAN("\"acmeId\":\"user-17\",\"ip\":\"192.0.2.1\""));
	CHECK(own != 0);
	CHECK(mw_shape_echo(user,
			    MW_SPAN("\"ip\":\"192.0.2.1\",\"traits\":{\"x\":1},\"acmeId\" : \"user-17\"")) ==
	      own);
	CHECK(mw_shape_echo(user, MW_SPAN("\"otherId\":\"user-17\"")) != own);
	CHECK(mw_shape_echo(user, MW_SPAN("\"acmeId\":\"user-18\",\"ip\":\"192.0.2.1\"")) == 0);
	CHECK(mw_shape_echo(user, MW_SPAN("\"user-17\":\"x\"")) == 0);
	CHECK(mw_shape_echo(user, MW_SPAN("")) == 0);
}

/* In rooms of their exact size, so that a sanitizer sees a byte too many; strings end at every distance from
 * the end and from a block's edge. */
TEST(nothing_outside_is_read)
{
	for (size_t len = 0; len < 150; len++) {
		for (size_t escape = 0; escape <= len; escape += 1 + len / 8) {
			size_t size = len + sizeof "\"k\":\"\"" - 1 + (escape < len ? 2 : 0);
			char *json = malloc(size);
			char *at = json;
			memcpy(at, "\"k\":\"", 5);
			at += 5;
			for (size_t i = 0; i < len; i++) {
				if (i == escape) {
					memcpy(at, "\\\"", 2);
					at += 2;
				}
				*at++ = 'x';
			}
			*at++ = '"';
			struct mw_span members = {(const uint8_t *)json, (size_t)(at - json)};
			struct mw_span value = {members.at + 4, members.len - 4};
			bool right =
			    mw_shape_of_json(members) == of(len > 0 ? "{\"k\":\"x\"}" : "{\"k\":\"\"}") &&
			    mw_shape_of_json(value) == of(len > 0 ? "\"x\"" : "\"\"") &&
			    (mw_shape_echo(MW_SPAN("x"), members) != 0) == (len == 1 && escape == 1);
			free(json);
			CHECK(right);
		}
	}
}

int main(void)
{
	RUN(objects_of_one_kind_have_one_shape);
	RUN(another_name_or_kind_is_another_shape);
	RUN(a_list_is_of_one_shape_however_long);
	RUN(texts_have_classes);
	RUN(a_long_text_is_counted_in_characters);
	RUN(ids_have_classes);
	RUN(a_watched_name_makes_its_value_count);
	RUN(an_echo_knows_its_members);
	RUN(nothing_outside_is_read);
	return CHECK_END();
}
