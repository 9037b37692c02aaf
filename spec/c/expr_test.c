#include "../../csrc/core/expr.h"
#include "../../csrc/core/operate.h"
#include "../../csrc/core/shape.h"
#include "../../csrc/core/timestamp.h"
#include "../../csrc/core/utf8.h"

#include "check.h"
#include "map_host.h"

static struct mw_json doc;
static struct mw_arena arena;
static struct mw_memo memo;
static struct map_host host_state;
static struct mw_exprs *x;
static struct mw_error error;

static const struct mw_header headers[] = {
    {{(const uint8_t *)"X-Topic", 7}, {(const uint8_t *)"orders/paid", 11}},
    {{(const uint8_t *)"X-Raw", 5}, {(const uint8_t *)"a\"\xff", 3}}};

/* The expression over an event, as JSON; "absent", or "error: what". */
static const char *eval(uint32_t expr, const char *event)
{
	static char text[4096];
	struct mw_mapper_host host = host_of(&host_state);
	struct mw_scene s = {.doc = &doc,
			     .headers = headers,
			     .header_count = 2,
			     .arena = &arena,
			     .memo = &memo,
			     .host = &host.host};
	struct mw_buf out;
	bool present;
	mw_arena_clear(&arena);
	if (mw_exprs_error(x).code || mw_json_read(&doc, event, strlen(event), &error) ||
	    mw_memo_start(&memo, x))
		return "broken test";
	mw_buf_init(&out, sizeof text - 1);
	error = (struct mw_error){0};
	enum mw_err err = mw_expr_write(x, expr, &s, &out, &present, &error);
	if (err)
		snprintf(text, sizeof text, "error: %s", error.detail);
	else
		snprintf(text, sizeof text, "%.*s", present ? (int)out.len : 6,
			 present ? (const char *)out.data : "absent");
	if ((err || !present) && out.len > 0)
		snprintf(text, sizeof text, "left bytes behind");
	/* What is written and what is a value are the same. */
	struct mw_value v;
	struct mw_buf again;
	mw_buf_init(&again, sizeof text - 1);
	if (!err && mw_expr_eval(x, expr, &s, &v, NULL) == MW_OK &&
	    (present != (v.kind != MW_VALUE_ABSENT) ||
	     (present && (mw_value_write(&doc, &v, &again) || again.len != out.len ||
			  memcmp(again.data, out.data, out.len) != 0))))
		snprintf(text, sizeof text, "value and text differ");
	mw_buf_deinit(&again);
	mw_buf_deinit(&out);
	return text;
}

static bool gives(uint32_t expr, const char *event, const char *expected)
{
	const char *got = eval(expr, event);
	if (strcmp(got, expected) == 0)
		return true;
	fprintf(stderr, "%s: got %s, not %s\n", event, got, expected);
	return false;
}

static uint32_t unary(enum mw_op op, const char *path)
{
	return mw_expr_unary(x, op, get(x, path));
}

static uint32_t text(const char *s)
{
	return mw_expr_string(x, span(s));
}

TEST(paths_lead_into_objects_and_arrays)
{
	const char *event =
	    "{\"a\":{\"b\":[10,{\"c\":\"x\\n\"}],\"n\":null,\"\":1,\"key\":2},\"big\":12345678901234567890}";
	CHECK(gives(get(x, "a.b[1]"), event, "10"));
	CHECK(gives(get(x, "a.b[-1].c"), event, "\"x\\n\""));
	CHECK(gives(get(x, "a.b[3]"), event, "absent"));
	CHECK(gives(get(x, "a.b.c"), event, "absent"));
	CHECK(gives(get(x, "a.n"), event, "absent"));
	CHECK(gives(get(x, "a.n.m"), event, "absent"));
	CHECK(gives(get(x, "a.key"), event, "2"));
	CHECK(gives(get(x, "nothing.at.all"), event, "absent"));
	CHECK(gives(get(x, "big"), event, "12345678901234567890"));
	CHECK(gives(get(x, "a.b"), event, "[10,{\"c\":\"x\\n\"}]"));
	CHECK(gives(mw_expr_member(x, get(x, "a"), MW_SPAN("")), event, "1"));
	CHECK(gives(mw_expr_scope(x, MW_SCOPE_BODY), "[1]", "[1]"));
	CHECK(gives(get(x, "a"), "[1]", "absent"));
	CHECK(gives(0, "{}", "absent"));
}

TEST(of_two_members_with_one_name_the_last_counts)
{
	uint32_t a = get(x, "a"), b = get(x, "b");
	CHECK(gives(a, "{\"a\":1,\"b\":2,\"a\":3}", "3"));
	CHECK(gives(b, "{\"a\":1,\"b\":2,\"a\":3,\"b\":null}", "absent"));
	CHECK(gives(a, "{\"\\u0061\":1}", "1"));
	CHECK(gives(a, "{\"a\":1,\"\\u0061\":2,\"b\":0}", "2"));
	CHECK(gives(b, "{\"a\":1,\"\\u0061\":2,\"b\":0}", "0"));
}

TEST(an_escaped_name_does_not_hide_a_later_member)
{
	uint32_t o = object(x, "a", get(x, "a"), "b", get(x, "b"), "c", get(x, "c"), NULL);
	CHECK(gives(o, "{\"b\":1,\"\\u0061\":0,\"b\":2,\"c\":3}", "{\"a\":0,\"b\":2,\"c\":3}"));
	CHECK(gives(o, "{\"a\":1,\"\\u0061\":0,\"b\":2,\"\\u0063\\u0063\":3}", "{\"a\":0,\"b\":2}"));
}

TEST(equal_paths_are_one_expression)
{
	CHECK(get(x, "p.q.r") == get(x, "p.q.r"));
	CHECK(get(x, "p.q.r") != get(x, "p.q.s"));
	CHECK(get(x, "p[1]") == get(x, "p[1]") && get(x, "p[1]") != get(x, "p[2]"));
	CHECK(mw_expr_scope(x, MW_SCOPE_BODY) != mw_expr_scope(x, MW_SCOPE_EVENT));
}

/* Names whose tags collide, objects whose shape changes from event to event: the short cut of the path walk
 * must never be seen. */
TEST(paths_agree_with_a_plain_search_over_random_events)
{
	static const char *const names[] = {"a",
					    "b",
					    "ab",
					    "xaybz",
					    "xbyaz",
					    "x1y2z",
					    "x2y1z",
					    "id",
					    "message",
					    "longer_than_sixteen_1",
					    "longer_than_sixteen_2",
					    "nine_char",
					    "\\u0061"};
	enum { NAMES = sizeof names / sizeof *names };
	uint64_t seed = check_seed("paths");
	uint32_t paths[NAMES * 2], count = 0;
	for (size_t i = 0; i < NAMES - 1; i++) {
		if (i % 4 == 3) /* some are not asked for */
			continue;
		paths[count++] = mw_expr_member(x, mw_expr_scope(x, MW_SCOPE_ITEM), span(names[i]));
		paths[count++] = mw_expr_member(x, get(x, "message"), span(names[i]));
	}
	for (int round = 0, rounds = check_rounds(3000); round < rounds; round++) {
		char event[4096] = "{", expected[32];
		int inner = 0;
		for (uint64_t n = check_random(&seed) % 40; n > 0; n--) {
			const char *name = names[check_random(&seed) % NAMES];
			char one[128];
			bool opens = strcmp(name, "message") == 0 && inner == 0 && check_random(&seed) % 2;
			snprintf(one, sizeof one, "%s\"%s\":%s", event[strlen(event) - 1] == '{' ? "" : ",",
				 name, opens ? "{" : "");
			strcat(event, one);
			if (opens) {
				inner = 1;
				continue;
			}
			snprintf(one, sizeof one, "%u", (unsigned)(check_random(&seed) % 1000));
			strcat(event, one);
			if (inner && check_random(&seed) % 4 == 0) {
				strcat(event, "}");
				inner = 0;
			}
		}
		strcat(event, inner ? "}}" : "}");
		size_t at = 0;
		for (size_t i = 0; i < NAMES - 1; i++) {
			if (i % 4 == 3)
				continue;
			for (int within = 0; within < 2; within++) {
				CHECK(mw_json_read(&doc, event, strlen(event), NULL) == MW_OK);
				uint32_t node =
				    within ? mw_json_member(&doc, 0, "message", 7, mw_json_tag("message", 7))
					   : 0;
				if (!within || node)
					node = mw_json_member(&doc, node, names[i], strlen(names[i]),
							      mw_json_tag(names[i], strlen(names[i])));
				snprintf(expected, sizeof expected, "absent");
				bool container = node && doc.nodes[node].type == MW_JSON_OBJECT;
				if (node && !container)
					snprintf(expected, sizeof expected, "%.*s", (int)doc.nodes[node].len,
						 event + doc.nodes[node].at);
				uint32_t path = paths[at++];
				if (!container)
					CHECK(gives(path, event, expected));
			}
		}
	}
}

TEST(text_operations)
{
	CHECK(gives(unary(MW_OP_LOWER, "a"), "{\"a\":\"ABC \\u00c9\"}", "\"abc \xC3\x89\""));
	CHECK(gives(unary(MW_OP_UPPER, "a"), "{\"a\":\"usd\"}", "\"USD\""));
	CHECK(gives(unary(MW_OP_UPPER, "a"), "{\"a\":\"\\\"x\\\"\"}", "\"\\\"X\\\"\""));
	CHECK(gives(unary(MW_OP_TRIM, "a"), "{\"a\":\" \\t x y \\n\"}", "\"x y\""));
	CHECK(gives(unary(MW_OP_TRIM, "a"), "{\"a\":\"  \"}", "absent"));
	CHECK(gives(unary(MW_OP_STRING, "a"), "{\"a\":12345678901234567890}", "\"12345678901234567890\""));
	CHECK(gives(unary(MW_OP_STRING, "a"), "{\"a\":true}", "\"true\""));
	CHECK(gives(unary(MW_OP_STRING, "a"), "{\"a\":[]}", "error: can't turn an array into a string"));
	CHECK(gives(unary(MW_OP_LOWER, "a"), "{\"a\":{}}", "error: can't lower-case an object"));
	CHECK(gives(unary(MW_OP_SHA256, "a"), "{\"a\":\"a\\u0062c\"}",
		    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""));
	uint32_t full = mw_expr_binary(x, MW_OP_CONCAT, get(x, "a"),
				       mw_expr_binary(x, MW_OP_CONCAT, text(" "), get(x, "b")));
	CHECK(gives(full, "{\"a\":\"x\",\"b\":7}", "\"x 7\""));
	CHECK(gives(full, "{\"a\":\"\\\"\",\"b\":\"\xC3\xA9\"}", "\"\\\" \xC3\xA9\""));
	CHECK(gives(full, "{\"a\":\"x\"}", "absent"));
	CHECK(gives(full, "{\"a\":\"x\",\"b\":[]}", "error: can't join an array"));
	CHECK(gives(text("a\"b"), "{}", "\"a\\\"b\""));
	CHECK(gives(mw_expr_binary(x, MW_OP_CONCAT, text(""), text("")), "{}", "\"\""));
}

TEST(arithmetic_keeps_integers_exact)
{
	uint32_t a = get(x, "a"), b = get(x, "b");
	uint32_t add = mw_expr_binary(x, MW_OP_ADD, a, b), sub = mw_expr_binary(x, MW_OP_SUB, a, b),
		 mul = mw_expr_binary(x, MW_OP_MUL, a, b), div = mw_expr_binary(x, MW_OP_DIV, a, b);
	CHECK(gives(add, "{\"a\":9007199254740993,\"b\":\"1\"}", "9007199254740994"));
	CHECK(gives(sub, "{\"a\":-9223372036854775807,\"b\":1}", "-9223372036854775808"));
	CHECK(gives(mul, "{\"a\":3037000499,\"b\":3037000499}", "9223372030926249001"));
	CHECK(
	    gives(add, "{\"a\":9223372036854775807,\"b\":1}", "error: the result does not fit into 64 bits"));
	CHECK(gives(add, "{\"a\":0.5,\"b\":1}", "1.5"));
	CHECK(gives(div, "{\"a\":1999,\"b\":100}", "19.99"));
	CHECK(gives(div, "{\"a\":1999,\"b\":0}", "error: can't divide by zero"));
	CHECK(gives(div, "{\"a\":\"abc\",\"b\":1}", "error: can't divide a string (\"abc\")"));
	CHECK(gives(div, "{\"a\":1,\"b\":true}", "error: can't divide a boolean"));
	CHECK(gives(div, "{\"a\":1}", "absent"));
	CHECK(gives(div, "{\"b\":1}", "absent"));
	CHECK(gives(mul, "{\"a\":1e308,\"b\":1e308}", "error: the result is too large a number"));
}

TEST(money_has_as_many_decimals_as_its_currency)
{
	uint32_t money = mw_expr_binary(x, MW_OP_MONEY, get(x, "a"), get(x, "c"));
	CHECK(gives(money, "{\"a\":1999,\"c\":\"USD\"}", "19.99"));
	CHECK(gives(money, "{\"a\":1999,\"c\":\"jpy\"}", "1999"));
	CHECK(gives(money, "{\"a\":1999,\"c\":\"KWD\"}", "1.999"));
	CHECK(gives(money, "{\"a\":1999,\"c\":\"CLF\"}", "0.1999"));
	CHECK(gives(money, "{\"a\":1999}", "19.99"));
	CHECK(gives(money, "{\"a\":2000,\"c\":\"EUR\"}", "20"));
	CHECK(gives(money, "{\"a\":-5,\"c\":\"EUR\"}", "-0.05"));
	CHECK(gives(money, "{\"a\":-50,\"c\":\"EUR\"}", "-0.5"));
	CHECK(gives(money, "{\"a\":0,\"c\":\"EUR\"}", "0"));
	CHECK(gives(money, "{\"a\":100,\"c\":\"BHD\"}", "0.1"));
	CHECK(gives(money, "{\"a\":\"1999\",\"c\":\"EUR\"}", "19.99"));
	CHECK(gives(money, "{\"a\":9223372036854775807,\"c\":\"EUR\"}", "92233720368547758.07"));
	CHECK(gives(money, "{\"a\":1999.5,\"c\":\"EUR\"}", "19.995"));
	CHECK(gives(money, "{\"a\":\"x\",\"c\":\"EUR\"}", "error: can't read a string (\"x\") as an amount"));
	CHECK(gives(money, "{\"a\":1,\"c\":5}", "error: the currency is a number, not a string"));
	CHECK(gives(money, "{\"c\":\"EUR\"}", "absent"));
	CHECK(gives(money, "{\"a\":\"\",\"c\":\"EUR\"}", "absent"));
	static const char *const zero[] = {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA",
					   "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"};
	static const char *const three[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
	char event[64];
	for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) {
		snprintf(event, sizeof event, "{\"a\":1,\"c\":\"%s\"}", zero[i]);
		CHECK(gives(money, event, "1"));
	}
	for (size_t i = 0; i < sizeof three / sizeof *three; i++) {
		snprintf(event, sizeof event, "{\"a\":1,\"c\":\"%s\"}", three[i]);
		CHECK(gives(money, event, "0.001"));
	}
}

TEST(conversions)
{
	uint32_t number = unary(MW_OP_NUMBER, "a"), boolean = unary(MW_OP_BOOLEAN, "a"),
		 when = unary(MW_OP_TIME, "a");
	CHECK(gives(number, "{\"a\":\"12345678901234567890\"}", "12345678901234567890"));
	CHECK(gives(number, "{\"a\":1.0}", "1.0"));
	CHECK(gives(number, "{\"a\":\"\"}", "absent"));
	CHECK(gives(number, "{\"a\":\"1,5\"}", "error: can't read a string (\"1,5\") as a number"));
	CHECK(gives(number, "{\"a\":true}", "error: can't read a boolean as a number"));
	static const char *const yes[] = {"true", "1", "2", "0.5", "\"true\"", "\"YES\"", "\"on\"", "\"1\""};
	static const char *const no[] = {"false",  "0",       "0.0",   "\"False\"",
					 "\"no\"", "\"off\"", "\"0\"", "\"\""};
	char event[64];
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		snprintf(event, sizeof event, "{\"a\":%s}", yes[i]);
		CHECK(gives(boolean, event, "true"));
		snprintf(event, sizeof event, "{\"a\":%s}", no[i]);
		CHECK(gives(boolean, event, "false"));
	}
	CHECK(gives(boolean, "{\"a\":\"maybe\"}", "error: can't read a string (\"maybe\") as a boolean"));
	CHECK(gives(boolean, "{\"a\":\"something long\"}",
		    "error: can't read a string (\"something long\") as a boolean"));
	CHECK(gives(when, "{\"a\":\"2026-11-23T22:58:00.123456+01:00\"}", "\"2026-11-23T21:58:00.123Z\""));
	CHECK(gives(when, "{\"a\":1795471080}", "\"2026-11-23T21:58:00.000Z\""));
	CHECK(gives(when, "{\"a\":\"\"}", "absent"));
	CHECK(
	    gives(when, "{\"a\":\"soon\"}", "error: can't read a string (\"soon\") as a date or Unix time"));
	CHECK(gives(when, "{\"a\":[]}", "error: can't read an array as a date or Unix time"));
}

TEST(choices)
{
	uint32_t items[] = {get(x, "a"), get(x, "b"), text("c")};
	CHECK(gives(mw_expr_list(x, MW_OP_ANY, items, 3), "{\"b\":2}", "2"));
	CHECK(gives(mw_expr_list(x, MW_OP_ANY, items, 3), "{\"a\":null}", "\"c\""));
	CHECK(gives(mw_expr_list(x, MW_OP_ANY, items, 2), "{}", "absent"));
	CHECK(gives(mw_expr_list(x, MW_OP_ANY, items, 0), "{}", "absent"));
	CHECK(gives(mw_expr_list(x, MW_OP_ARRAY, items, 3), "{\"b\":[1]}", "[[1],\"c\"]"));
	CHECK(gives(mw_expr_list(x, MW_OP_ARRAY, items, 2), "{}", "[]"));
	uint32_t or_c = mw_expr_binary(x, MW_OP_DEFAULT, get(x, "a"), text("c"));
	CHECK(gives(or_c, "{\"a\":false}", "false"));
	CHECK(gives(or_c, "{}", "\"c\""));
	uint32_t is = mw_expr_binary(x, MW_OP_IS, get(x, "a"), get(x, "b"));
	CHECK(gives(is, "{\"a\":\"x\",\"b\":\"\\u0078\"}", "true"));
	CHECK(gives(is, "{\"a\":5,\"b\":\"5.0\"}", "true"));
	CHECK(gives(is, "{\"a\":\"5\",\"b\":\"5.0\"}", "false"));
	CHECK(gives(is, "{\"a\":9007199254740993,\"b\":9007199254740992}", "false"));
	CHECK(gives(is, "{\"a\":true,\"b\":\"true\"}", "true"));
	CHECK(gives(is, "{\"a\":\"x\"}", "absent"));
	CHECK(gives(is, "{\"a\":\"x\",\"b\":{}}", "error: can't compare an object"));
	uint32_t table = object(x, "1", text("one"), "two", mw_expr_int(x, 2), "path", get(x, "b"), NULL);
	uint32_t look = mw_expr_binary(x, MW_OP_LOOKUP, get(x, "a"), table);
	CHECK(gives(look, "{\"a\":1}", "\"one\""));
	CHECK(gives(look, "{\"a\":\"two\"}", "2"));
	CHECK(gives(look, "{\"a\":\"path\",\"b\":[]}", "[]"));
	CHECK(gives(look, "{\"a\":\"three\"}", "absent"));
	CHECK(gives(look, "{\"a\":[]}", "error: can't look up an array"));
}

TEST(one_of_several_is_enough)
{
	uint32_t items[] = {text("x"), get(x, "b"), mw_expr_int(x, 5)};
	uint32_t is = mw_expr_binary(x, MW_OP_IS, get(x, "a"), mw_expr_list(x, MW_OP_ARRAY, items, 3));
	CHECK(gives(is, "{\"a\":\"x\"}", "true"));
	CHECK(gives(is, "{\"a\":\"5\"}", "true"));
	CHECK(gives(is, "{\"a\":\"y\",\"b\":\"y\"}", "true"));
	CHECK(gives(is, "{\"a\":\"y\"}", "false"));
	CHECK(gives(is, "{\"b\":1}", "absent"));
	CHECK(gives(is, "{\"a\":\"y\",\"b\":[]}", "error: can't compare an array"));
}

TEST(numbers_are_compared)
{
	uint32_t above = mw_expr_binary(x, MW_OP_ABOVE, get(x, "a"), get(x, "b"));
	uint32_t below = mw_expr_binary(x, MW_OP_BELOW, get(x, "a"), get(x, "b"));
	const char *more = "{\"a\":9007199254740993,\"b\":\"9007199254740992\"}";
	CHECK(gives(above, more, "true") && gives(below, more, "false"));
	CHECK(gives(above, "{\"a\":1,\"b\":1.0}", "false") && gives(below, "{\"a\":1,\"b\":1.0}", "false"));
	CHECK(gives(above, "{\"a\":1}", "absent") && gives(below, "{\"a\":-1.5,\"b\":-1}", "true"));
	CHECK(gives(above, "{\"a\":1,\"b\":\"x\"}", "error: can't compare a string (\"x\"): not a number"));
}

TEST(all_and_none_are_booleans_whatever_is_absent)
{
	uint32_t items[] = {get(x, "a"), get(x, "b")};
	uint32_t all = mw_expr_list(x, MW_OP_ALL, items, 2), none = mw_expr_list(x, MW_OP_NONE, items, 2);
	CHECK(gives(all, "{\"a\":0,\"b\":\"\"}", "true") && gives(none, "{\"a\":0,\"b\":\"\"}", "false"));
	CHECK(gives(all, "{\"a\":true}", "false") && gives(none, "{\"a\":true}", "false"));
	CHECK(gives(all, "{\"a\":false,\"b\":null}", "false") &&
	      gives(none, "{\"a\":false,\"b\":null}", "true"));
	CHECK(gives(mw_expr_list(x, MW_OP_ALL, items, 0), "{}", "true"));
	/* The first that decides ends it. */
	uint32_t fails[] = {get(x, "a"), mw_expr_unary(x, MW_OP_TIME, get(x, "b"))};
	CHECK(gives(mw_expr_list(x, MW_OP_ALL, fails, 2), "{\"b\":\"no date\"}", "false"));
	CHECK(gives(mw_expr_list(x, MW_OP_NONE, fails, 2), "{\"b\":\"no date\"}",
		    "error: can't read a string (\"no date\") as a date or Unix time"));
}

TEST(texts_are_cut_at_the_first_mark)
{
	uint32_t before = mw_expr_binary(x, MW_OP_BEFORE, get(x, "a"), text("\n-"));
	uint32_t after = mw_expr_binary(x, MW_OP_AFTER, get(x, "a"), text("\n-"));
	CHECK(gives(before, "{\"a\":\"x\\\"\\n-y\\n-z\"}", "\"x\\\"\""));
	CHECK(gives(after, "{\"a\":\"x\\n-y\\n-z\"}", "\"y\\n-z\""));
	CHECK(gives(before, "{\"a\":\"xyz\"}", "\"xyz\"") && gives(after, "{\"a\":\"xyz\"}", "\"xyz\""));
	CHECK(gives(before, "{\"a\":\"\\n-\"}", "absent") && gives(after, "{\"a\":\"\\n-\"}", "absent"));
	CHECK(gives(before, "{\"a\":\"\"}", "absent") && gives(before, "{}", "absent"));
	CHECK(gives(mw_expr_binary(x, MW_OP_AFTER, get(x, "a"), text(".")), "{\"a\":1.25}", "\"25\""));
	CHECK(gives(before, "{\"a\":[]}", "error: can't cut an array"));
	CHECK(mw_expr_binary(x, MW_OP_BEFORE, get(x, "a"), get(x, "b")) == 0);
}

TEST(a_value_may_hang_on_a_condition)
{
	uint32_t has = mw_expr_binary(x, MW_OP_CONTAINS, get(x, "b"), text("x"));
	uint32_t when = mw_expr_binary(x, MW_OP_WHEN, get(x, "a"), has);
	CHECK(gives(when, "{\"a\":{\"c\":[]},\"b\":\"wxyz\"}", "{\"c\":[]}"));
	CHECK(gives(when, "{\"a\":1,\"b\":\"abc\"}", "absent") && gives(when, "{\"a\":1}", "absent"));
	CHECK(gives(when, "{\"b\":\"x\"}", "absent") && gives(has, "{\"b\":\"\"}", "false"));
	CHECK(gives(when, "{\"a\":1,\"b\":{}}", "error: can't search an object"));
	CHECK(mw_expr_binary(x, MW_OP_CONTAINS, get(x, "a"), get(x, "b")) == 0);
}

TEST(json_in_a_text_is_looked_into)
{
	uint32_t steps[] = {text("a\""), mw_expr_int(x, -1), text("b")};
	uint32_t deep = mw_expr_binary(x, MW_OP_JSON, get(x, "t"), mw_expr_list(x, MW_OP_ARRAY, steps, 3));
	uint32_t whole = mw_expr_binary(x, MW_OP_JSON, get(x, "t"), mw_expr_list(x, MW_OP_ARRAY, NULL, 0));
	CHECK(gives(deep, "{\"t\":\"{\\\"a\\\\\\\"\\\":[1,{\\\"b\\\":12345678901234567890}]}\"}",
		    "12345678901234567890"));
	CHECK(gives(deep, "{\"t\":\"{\\\"a\\\\\\\"\\\":[1]}\"}", "absent"));
	CHECK(gives(whole, "{\"t\":\"[1,\\n 2]\"}", "[1,2]"));
	CHECK(gives(whole, "{\"t\":\"true\"}", "true") && gives(whole, "{\"t\":\"null\"}", "absent"));
	CHECK(gives(whole, "{\"t\":\" \\t\"}", "absent") && gives(whole, "{\"t\":\"\"}", "absent"));
	CHECK(gives(whole, "{\"t\":\"{\"}", "error: can't read a string (\"{\") as JSON"));
	CHECK(gives(whole, "{\"t\":5}", "error: can't read a number (5) as JSON"));
	CHECK(mw_expr_binary(x, MW_OP_JSON, get(x, "t"), get(x, "u")) == 0);
}

TEST(objects_lose_members_and_get_other_names)
{
	uint32_t table = object(x, "b", mw_expr_bool(x, true), "q\"", mw_expr_bool(x, true), NULL);
	uint32_t less = mw_expr_binary(x, MW_OP_WITHOUT, get(x, "o"), table);
	uint32_t snake = mw_expr_unary(x, MW_OP_SNAKE, get(x, "o"));
	CHECK(gives(less, "{\"o\":{\"a\":1,\"\\u0062\":2,\"q\\\"\":3,\"c\":{\"b\":4}}}",
		    "{\"a\":1,\"c\":{\"b\":4}}"));
	CHECK(gives(less, "{\"o\":{\"a\":1,\"c\":2,\"a\":[\n3]}}", "{\"c\":2,\"a\":[3]}"));
	CHECK(gives(less, "{\"o\":{\"b\":1}}", "absent") && gives(less, "{\"o\":{}}", "absent"));
	CHECK(gives(less, "{\"o\":[]}", "error: can't leave members out of an array"));
	static const char *const names[][2] = {{"userId", "user_id"},
					       {"User-Id", "user_id"},
					       {"HTTPServer", "http_server"},
					       {"My Own__c", "my_own_c"},
					       {"  x  ", "x"},
					       {"x2Y", "x2_y"},
					       {"SHA256", "sha256"},
					       {"\xC3\x84rger", "\xC3\x84rger"},
					       {"--", "--"},
					       {"", ""},
					       {"aB\\u0000C", "a_b_c"},
					       {"a.b/c", "a_b_c"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char event[100], expected[100];
		snprintf(event, sizeof event, "{\"o\":{\"%s\":1}}", names[i][0]);
		snprintf(expected, sizeof expected, "{\"%s\":1}", names[i][1]);
		CHECK(gives(snake, event, expected));
	}
	CHECK(gives(snake, "{\"o\":{\"aB\":1,\"a_b\":2,\"c\":[[{\"dE\":{}}]],\"A-B\":3}}",
		    "{\"c\":[[{\"d_e\":{}}]],\"a_b\":3}"));
	CHECK(gives(mw_expr_unary(x, MW_OP_SNAKE, less), "{\"o\":{\"aB\":1,\"b\":2}}", "{\"a_b\":1}"));
	CHECK(gives(snake, "{\"o\":\"x\"}", "error: can't rename the members of a string (\"x\")"));
	CHECK(mw_expr_binary(x, MW_OP_WITHOUT, get(x, "o"), get(x, "b")) == 0);
}

TEST(sums_are_exact)
{
	uint32_t sum = mw_expr_binary(x, MW_OP_SUM, get(x, "l"), get(x, "n"));
	CHECK(gives(sum, "{\"l\":[{\"n\":1},{\"n\":\"2\"},{}]}", "3"));
	CHECK(gives(sum, "{\"l\":[{\"n\":0.1},{\"n\":\"0.2\"}]}", "0.3"));
	CHECK(gives(sum, "{\"l\":[{\"n\":\"19.99\"},{\"n\":\"0.01\"},{\"n\":\"-5.00\"}]}", "15.0"));
	CHECK(gives(sum, "{\"l\":[{\"n\":9223372036854775807},{\"n\":-1}]}", "9223372036854775806"));
	CHECK(gives(sum, "{\"l\":[{\"n\":9223372036854775807},{\"n\":1}]}", "9.223372036854776e+18"));
	CHECK(gives(sum, "{\"l\":[{\"n\":1e300},{\"n\":0.5}]}", "1e+300"));
	CHECK(gives(sum, "{\"l\":[]}", "0") && gives(sum, "{}", "absent"));
	CHECK(gives(sum, "{\"l\":[{\"n\":\"x\"}]}", "error: can't add up a string (\"x\")"));
	CHECK(gives(sum, "{\"l\":{}}", "error: can't add up an object"));
	uint32_t map = mw_expr_binary(x, MW_OP_MAP, get(x, "l"), get(x, "n"));
	CHECK(mw_expr_binary(x, MW_OP_SUM, map, get(x, "n")) == 0);
}

TEST(headers_are_found_in_any_case)
{
	CHECK(gives(mw_expr_header(x, MW_SPAN("x-TOPIC")), "{}", "\"orders/paid\""));
	CHECK(gives(mw_expr_header(x, MW_SPAN("X-Other")), "{}", "absent"));
	CHECK(gives(mw_expr_header(x, MW_SPAN("X-Raw")), "{}", "error: the text is not UTF-8"));
}

TEST(objects_leave_out_what_is_absent)
{
	uint32_t o = object(x, "a", get(x, "a"), "in", object(x, "b", get(x, "b"), NULL), "c",
			    mw_expr_null(x), "d\"", mw_expr_bool(x, true), NULL);
	CHECK(gives(o, "{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"in\":{\"b\":\"x\"},\"c\":null,\"d\\\"\":true}"));
	CHECK(gives(o, "{\"a\":null}", "{\"c\":null,\"d\\\"\":true}"));
	CHECK(gives(object(x, "a", get(x, "a"), NULL), "{}", "absent"));
	CHECK(gives(
	    object(x, "a", mw_expr_int(x, 1), "b", mw_expr_double(x, 0.1), "a", mw_expr_int(x, 2), NULL),
	    "{}", "{\"a\":2,\"b\":0.1}"));
}

TEST(map_filter_first_and_last)
{
	const char *event = "{\"cur\":\"usd\",\"lines\":[{\"sku\":\"a\",\"price\":1050,\"ok\":true},{\"ok\":"
			    "false,\"sku\":\"b\"},null,"
			    "{\"sku\":\"c\",\"price\":2000,\"ok\":true}]}";
	uint32_t cur = mw_expr_member(x, mw_expr_scope(x, MW_SCOPE_EVENT), MW_SPAN("cur"));
	uint32_t line =
	    object(x, "id", get(x, "sku"), "price",
		   mw_expr_binary(x, MW_OP_DIV, get(x, "price"), mw_expr_int(x, 100)), "cur",
		   mw_expr_unary(x, MW_OP_UPPER, mw_expr_binary(x, MW_OP_DEFAULT, get(x, "cur"), cur)), NULL);
	uint32_t lines = get(x, "lines");
	uint32_t some = mw_expr_binary(x, MW_OP_FILTER, lines, get(x, "ok"));
	uint32_t skus = mw_expr_binary(x, MW_OP_MAP, lines, get(x, "sku"));
	CHECK(gives(
	    mw_expr_binary(x, MW_OP_MAP, some, line), event,
	    "[{\"id\":\"a\",\"price\":10.5,\"cur\":\"USD\"},{\"id\":\"c\",\"price\":20.0,\"cur\":\"USD\"}]"));
	CHECK(gives(skus, event, "[\"a\",\"b\",\"c\"]"));
	CHECK(gives(some, "{\"lines\":[]}", "[]"));
	CHECK(gives(skus, "{\"lines\":[]}", "[]"));
	CHECK(gives(skus, "{}", "absent"));
	CHECK(gives(skus, "{\"lines\":{}}", "error: can't map an object: not an array of the event"));
	CHECK(gives(mw_expr_unary(x, MW_OP_FIRST, skus), event, "\"a\""));
	CHECK(gives(mw_expr_unary(x, MW_OP_LAST, skus), event, "\"c\""));
	CHECK(
	    gives(mw_expr_unary(x, MW_OP_LAST, lines), event, "{\"sku\":\"c\",\"price\":2000,\"ok\":true}"));
	CHECK(gives(mw_expr_unary(x, MW_OP_FIRST, lines), "{\"lines\":[]}", "absent"));
	CHECK(gives(mw_expr_unary(x, MW_OP_FIRST, lines), "{\"lines\":{}}",
		    "error: can't take the first element of an object"));
	CHECK(gives(mw_expr_member(x, mw_expr_unary(x, MW_OP_LAST, some), MW_SPAN("sku")), event, "\"c\""));
	CHECK(gives(mw_expr_member(x, mw_expr_element(x, some, -1), MW_SPAN("sku")), event, "\"c\""));
	CHECK(gives(mw_expr_element(x, some, 2), event, "absent"));
	/* The item is the event again behind each of them. */
	uint32_t after = get(x, "cur");
	CHECK(
	    gives(object(x, "f",
			 mw_expr_unary(x, MW_OP_FIRST, mw_expr_binary(x, MW_OP_FILTER, lines, get(x, "ok"))),
			 "cur", after, NULL),
		  "{\"cur\":1,\"lines\":[{\"ok\":1,\"cur\":2}]}", "{\"f\":{\"ok\":1,\"cur\":2},\"cur\":1}"));
	CHECK(gives(object(x, "f", mw_expr_unary(x, MW_OP_FIRST, skus), "cur", after, NULL),
		    "{\"cur\":1,\"lines\":[{\"sku\":3,\"cur\":2}]}", "{\"f\":3,\"cur\":1}"));
	CHECK(gives(object(x, "l", skus, "cur", get(x, "cur"), NULL), event,
		    "{\"l\":[\"a\",\"b\",\"c\"],\"cur\":\"usd\"}"));
}

/* "category": "a", "category": ["a", "b"], whichever the tool likes. */
TEST(a_text_or_number_is_a_list_of_one)
{
	uint32_t tags = get(x, "tags"), self = mw_expr_scope(x, MW_SCOPE_ITEM);
	uint32_t first = mw_expr_unary(x, MW_OP_FIRST, tags), last = mw_expr_unary(x, MW_OP_LAST, tags);
	uint32_t upper = mw_expr_binary(x, MW_OP_MAP, tags, mw_expr_unary(x, MW_OP_UPPER, self));
	uint32_t is_a = mw_expr_binary(x, MW_OP_IS, self, mw_expr_string(x, MW_SPAN("a")));
	uint32_t others = mw_expr_binary(x, MW_OP_FILTER, tags, mw_expr_list(x, MW_OP_NONE, &is_a, 1));
	CHECK(gives(first, "{\"tags\":\"a\"}", "\"a\"") && gives(last, "{\"tags\":7}", "7"));
	CHECK(gives(first, "{\"tags\":[\"a\",\"b\"]}", "\"a\"") && gives(last, "{\"tags\":[]}", "absent"));
	CHECK(gives(upper, "{\"tags\":\"a\"}", "[\"A\"]") && gives(upper, "{\"tags\":null}", "absent"));
	CHECK(gives(mw_expr_unary(x, MW_OP_FIRST, upper), "{\"tags\":\"\\u0061\"}", "\"A\""));
	CHECK(gives(others, "{\"tags\":\"a\"}", "[]") && gives(others, "{\"tags\":\"b\"}", "[\"b\"]"));
	CHECK(gives(mw_expr_binary(x, MW_OP_SUM, tags, self), "{\"tags\":\"2.5\"}", "2.5"));
	CHECK(gives(mw_expr_binary(x, MW_OP_MAP, tags, get(x, "name")), "{\"tags\":true}", "[]"));
	CHECK(gives(mw_expr_element(x, tags, 0), "{\"tags\":\"a\"}", "absent"));
}

TEST(nested_maps_see_their_own_items)
{
	uint32_t inner = mw_expr_binary(x, MW_OP_MAP, get(x, "in"), get(x, "n"));
	uint32_t outer = mw_expr_binary(x, MW_OP_MAP, get(x, "out"),
					object(x, "n", get(x, "n"), "in", inner, "m", get(x, "n"), NULL));
	CHECK(gives(outer, "{\"n\":0,\"out\":[{\"n\":1,\"in\":[{\"n\":2},{\"n\":3}]},{\"n\":4,\"in\":[]}]}",
		    "[{\"n\":1,\"in\":[2,3],\"m\":1},{\"n\":4,\"in\":[],\"m\":4}]"));
}

TEST(nested_maps_over_one_array_end)
{
	enum { N = 5000 };
	static char event[N * 2 + 16];
	strcpy(event, "{\"a\":[1");
	for (int i = 1; i < N; i++)
		strcat(event + 2 * i, ",1");
	strcat(event, "]}");
	uint32_t all = mw_expr_member(x, mw_expr_scope(x, MW_SCOPE_EVENT), MW_SPAN("a"));
	uint32_t none = mw_expr_binary(x, MW_OP_MAP, all, get(x, "nothing"));
	uint32_t square = mw_expr_binary(x, MW_OP_FILTER, all, mw_expr_unary(x, MW_OP_FIRST, none));
	CHECK(strncmp(eval(square, event), "error: maps and filters visit more than", 39) == 0);
}

TEST(functions_are_applied_to_what_is_there)
{
	CHECK(gives(mw_expr_apply(x, get(x, "a"), 0), "{\"a\":\"x\\\"\"}", "\"<x\\\">\""));
	CHECK(gives(mw_expr_apply(x, get(x, "a"), 0), "{}", "absent"));
	CHECK(gives(mw_expr_apply(x, get(x, "a"), 1), "{\"a\":1}",
		    "error: acme.lua:99: no luck with a number"));
	uint32_t made = mw_expr_apply(x, get(x, "a"), 2);
	CHECK(gives(made, "{\"a\":1}", "{\"made\":[1]}"));
	CHECK(gives(mw_expr_member(x, made, MW_SPAN("made")), "{\"a\":1}",
		    "error: can't look into an object that the mapping made"));
}

TEST(errors_begin_with_the_innermost_place)
{
	uint32_t div = mw_expr_binary(x, MW_OP_DIV, get(x, "order.amount"), mw_expr_int(x, 100));
	uint32_t fields = object(x, "total", div, NULL), deep = object(x, "order", fields, NULL);
	const char *bad = "{\"order\":{\"amount\":\"abc\"}}";
	CHECK(gives(deep, bad, "error: order: total: can't divide a string (\"abc\")"));
	mw_expr_place(x, deep, MW_SPAN("acme.lua:14: Order Completed"));
	CHECK(gives(deep, bad,
		    "error: acme.lua:14: Order Completed: order: total: can't divide a string (\"abc\")"));
	mw_expr_place(x, div, MW_SPAN("acme.lua:15: total"));
	CHECK(gives(deep, bad, "error: acme.lua:15: total: can't divide a string (\"abc\")"));
	/* A long value and a long place still fit, cut between characters. */
	char text_in[600] = "{\"order\":{\"amount\":\"";
	for (int i = 0; i < 100; i++)
		strcat(text_in, "\xC3\xA9");
	strcat(text_in, "\"}}");
	CHECK(strstr(eval(deep, text_in), "\xC3\xA9\")"));
	CHECK(mw_utf8_valid(error.detail, strlen(error.detail)) == strlen(error.detail));
}

TEST(ids_are_non_empty_strings_or_numbers)
{
	struct mw_mapper_host host = host_of(&host_state);
	struct mw_scene s = {.doc = &doc,
			     .arena = &arena,
			     .memo = &memo,
			     .host = &host.host,
			     .place = MW_SPAN("acme.lua:3"),
			     .field = "user"};
	uint32_t items[] = {get(x, "a"), mw_expr_binary(x, MW_OP_DEFAULT, get(x, "b"), get(x, "c"))};
	uint32_t any = mw_expr_list(x, MW_OP_ANY, items, 2);
	static const struct {
		const char *event, *text;
	} cases[] = {{"{\"a\":\"x\",\"b\":\"y\"}", "x"},
		     {"{\"a\":\"\",\"b\":\"y\"}", "y"},
		     {"{\"a\":\"\",\"b\":\"\",\"c\":9007199254740993}", "9007199254740993"}};
	struct mw_value v;
	struct mw_span chars;
	for (size_t i = 0; i < 3; i++) {
		mw_json_read(&doc, cases[i].event, strlen(cases[i].event), NULL);
		mw_memo_start(&memo, x);
		CHECK(mw_expr_eval_id(x, any, &s, &v, &error) == MW_OK);
		CHECK(mw_value_chars(&v, &arena, &chars) && mw_span_is(chars, cases[i].text));
	}
	mw_json_read(&doc, "{\"a\":\"\"}", 8, NULL);
	mw_memo_start(&memo, x);
	CHECK(mw_expr_eval_id(x, any, &s, &v, &error) == MW_OK && v.kind == MW_VALUE_ABSENT);
	mw_json_read(&doc, "{\"a\":true}", 10, NULL);
	mw_memo_start(&memo, x);
	CHECK(mw_expr_eval_id(x, any, &s, &v, &error) == MW_MAPPING);
	CHECK(strcmp(error.detail, "acme.lua:3: user: must be a string or a number, not a boolean") == 0);
}

TEST(what_cannot_be_built_is_refused)
{
	struct mw_exprs *y = mw_exprs_new();
	CHECK(mw_expr_string(y, MW_SPAN("\xff")) == 0 && mw_exprs_error(y).code == MW_INVALID);
	mw_exprs_free(y);
	y = mw_exprs_new();
	CHECK(mw_expr_unary(y, MW_OP_LOWER, 17) == 0 && mw_exprs_error(y).code == MW_INVALID);
	mw_exprs_free(y);
	y = mw_exprs_new();
	uint32_t map = mw_expr_binary(y, MW_OP_MAP, get(y, "a"), get(y, "b"));
	CHECK(mw_expr_binary(y, MW_OP_FILTER, map, get(y, "b")) == 0);
	mw_exprs_free(y);
	y = mw_exprs_new();
	uint32_t deep = get(y, "a");
	for (int i = 0; i < MW_EXPR_DEPTH_MAX - 2; i++)
		deep = mw_expr_unary(y, MW_OP_TRIM, deep);
	CHECK(deep != 0);
	CHECK(mw_expr_unary(y, MW_OP_TRIM, deep) == 0 && strstr(mw_exprs_error(y).detail, "32"));
	mw_exprs_free(y);
	y = mw_exprs_new();
	uint32_t last = 1;
	for (uint32_t i = 0; i <= MW_EXPR_MAX && last; i++)
		last = mw_expr_int(y, i);
	CHECK(last == 0 && strstr(mw_exprs_error(y).detail, "65535"));
	mw_exprs_free(y);
}

/* Each test has a pool of its own. */
#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		x = mw_exprs_new();                                                                          \
		RUN(name);                                                                                   \
		mw_exprs_free(x);                                                                            \
	} while (0)

/* The shape that is counted while members are written is that of the bytes. Twice: paths are found anew, then
 * known. */
static bool counts_shape(uint32_t object, const char *event)
{
	struct mw_mapper_host host = host_of(&host_state);
	struct mw_scene s = {
	    .doc = &doc, .arena = &arena, .memo = &memo, .host = &host.host, .counts_shapes = true};
	struct mw_buf out;
	bool same = true;
	mw_arena_clear(&arena);
	if (mw_json_read(&doc, event, strlen(event), &error) || mw_memo_start(&memo, x))
		return false;
	mw_buf_init(&out, 4096);
	for (int i = 0; i < 2; i++) {
		uint64_t shape = 0;
		mw_buf_clear(&out);
		same = same && mw_expr_write_members(x, object, &s, &out, &shape, &error) == MW_OK &&
		       shape == mw_shape_of_json(mw_buf_span(&out));
	}
	if (!same)
		fprintf(stderr, "%.*s\n", (int)out.len, (const char *)out.data);
	mw_buf_deinit(&out);
	return same;
}

TEST(an_objects_shape_is_counted_as_it_is_written)
{
	uint32_t items = mw_expr_binary(x, MW_OP_MAP, get(x, "items"), object(x, "sku", get(x, "sku"), NULL));
	uint32_t o = object(x, "id", get(x, "id"), "at", get(x, "at"), "type", get(x, "type"), "sound",
			    get(x, "sound"), "raw", get(x, "raw"), "kind", text("constant"), "load_type",
			    text("linear"), "upper", unary(MW_OP_UPPER, "id"), "items", items, "inner",
			    object(x, "a", get(x, "a"), "channel", get(x, "at"), NULL), "empty",
			    object(x, "b", get(x, "nowhere"), NULL), NULL);
	CHECK(counts_shape(
	    o, "{\"id\":\"e1\",\"at\":\"2026-11-26T10:00:00\",\"type\":\"linear\",\"sound\":50}"));
	CHECK(counts_shape(
	    o, "{\"id\":7,\"at\":\"2026-11-26\",\"type\":null,\"raw\":{\"x\":[1,{ \"y\": 2.0}]}}"));
	CHECK(counts_shape(
	    o, "{\"items\":[{\"sku\":\"a\"},{\"sku\":\"b\"},{\"sku\":3}],\"a\":true,\"at\":1e3}"));
	CHECK(counts_shape(o, "{\"id\":\"\",\"at\":\"\",\"a\":[],\"raw\":{},\"type\":\"\\u00e9\"}"));
	CHECK(counts_shape(get(x, "raw"), "{\"raw\":{ \"x\":[1,{ \"y\": 2.0}]}}"));
	CHECK(counts_shape(object(x, NULL), "{}"));
	/* What is made on the way to a path's node is not written. */
	uint32_t made = mw_expr_binary(x, MW_OP_FILTER, get(x, "a"), object(x, "k", get(x, "k"), NULL));
	made = mw_expr_member(x, mw_expr_unary(x, MW_OP_FIRST, made), MW_SPAN("v"));
	CHECK(counts_shape(object(x, "id", get(x, "id"), "made", made, NULL),
			   "{\"id\":1,\"a\":[{\"k\":1,\"v\":true},{\"k\":2}]}"));
}

int main(void)
{
	mw_json_init(&doc);
	mw_arena_init(&arena, 1 << 20);
	RUN_FRESH(paths_lead_into_objects_and_arrays);
	RUN_FRESH(of_two_members_with_one_name_the_last_counts);
	RUN_FRESH(an_escaped_name_does_not_hide_a_later_member);
	RUN_FRESH(equal_paths_are_one_expression);
	RUN_FRESH(paths_agree_with_a_plain_search_over_random_events);
	RUN_FRESH(text_operations);
	RUN_FRESH(arithmetic_keeps_integers_exact);
	RUN_FRESH(money_has_as_many_decimals_as_its_currency);
	RUN_FRESH(conversions);
	RUN_FRESH(choices);
	RUN_FRESH(one_of_several_is_enough);
	RUN_FRESH(numbers_are_compared);
	RUN_FRESH(all_and_none_are_booleans_whatever_is_absent);
	RUN_FRESH(texts_are_cut_at_the_first_mark);
	RUN_FRESH(a_value_may_hang_on_a_condition);
	RUN_FRESH(json_in_a_text_is_looked_into);
	RUN_FRESH(objects_lose_members_and_get_other_names);
	RUN_FRESH(sums_are_exact);
	RUN_FRESH(headers_are_found_in_any_case);
	RUN_FRESH(objects_leave_out_what_is_absent);
	RUN_FRESH(an_objects_shape_is_counted_as_it_is_written);
	RUN_FRESH(map_filter_first_and_last);
	RUN_FRESH(a_text_or_number_is_a_list_of_one);
	RUN_FRESH(nested_maps_see_their_own_items);
	if (!getenv("MW_VALGRIND")) /* a million visits, all alike */
		RUN_FRESH(nested_maps_over_one_array_end);
	RUN_FRESH(functions_are_applied_to_what_is_there);
	RUN_FRESH(errors_begin_with_the_innermost_place);
	RUN_FRESH(ids_are_non_empty_strings_or_numbers);
	RUN_FRESH(what_cannot_be_built_is_refused);
	mw_memo_deinit(&memo);
	mw_arena_deinit(&arena);
	mw_json_deinit(&doc);
	return CHECK_END();
}
