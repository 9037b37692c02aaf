#include "../../csrc/core/map.h"

#include "check.h"
#include "map_host.h"

static struct map_host host;
static struct mw_map *map;
static struct mw_exprs *x;
static struct mw_mapper *mapper;
static struct mw_tally tally;
static struct mw_delivery delivery;

#define STAMP                                                                                                \
	"\"integration\":{\"name\":\"acme\",\"version\":\"1.0.0\"},\"library\":{\"name\":\"moonweir\","      \
	"\"version\":\"0.1.0\"}"
#define NOW  1795471080123
#define TIME "\"timestamp\":\"2026-11-23T21:58:00.123Z\""

static void begin(void)
{
	struct mw_mapper_host h = host_of(&host);
	host = (struct map_host){0};
	tally = (struct mw_tally){0};
	map = new_map("acme");
	x = mw_map_exprs(map);
	mapper = mw_mapper_new(&h);
	delivery = (struct mw_delivery){.account = MW_SPAN("acct"), .now = NOW, .tag = 7};
	mw_map_set(map, MW_PART_EVENT, get(x, "type"));
	mw_map_set(map, MW_PART_USER, get(x, "user"));
	mw_map_set(map, MW_PART_ID, get(x, "id"));
}

static void end(void)
{
	mw_mapper_free(mapper);
	mw_map_free(map);
}

static struct mw_map_call call(enum mw_call kind, const char *name)
{
	return (struct mw_map_call){
	    .call = kind, .name = name ? mw_expr_string(x, span(name)) : 0, .place = MW_SPAN("acme.lua:14")};
}

static void add(const char *event, struct mw_map_call c)
{
	if (mw_map_add_call(map, span(event), &c) != MW_OK)
		abort();
}

static void run(const char *body)
{
	mw_outbox_clear(mw_mapper_outbox(mapper));
	host.problems = 0;
	host.error = (struct mw_error){0};
	tally = (struct mw_tally){0};
	delivery.body = span(body);
	mw_map_run(map, mapper, &delivery, &tally);
}

static const char *message(size_t index)
{
	static char text[40000];
	struct mw_parcel p;
	size_t at = 0;
	do {
		if (!mw_outbox_next(mw_mapper_outbox(mapper), &at, &p))
			return "none";
	} while (index-- > 0);
	snprintf(text, sizeof text, "%.*s|%.*s", (int)p.account.len, (const char *)p.account.at,
		 (int)p.message.len, (const char *)p.message.at);
	return text;
}

static bool has(size_t index, const char *part)
{
	const char *text = message(index);
	if (strstr(text, part))
		return true;
	fprintf(stderr, "%s\nlacks %s\n%s\n", text, part, host.error.detail);
	return false;
}

static bool fails(const char *body, enum mw_err code, const char *detail)
{
	run(body);
	if (tally.failed == 1 && tally.messages == 0 && host.problems == 1 && host.error.code == code &&
	    strcmp(host.error.detail, detail) == 0 && mw_mapper_outbox(mapper)->count == 0)
		return true;
	fprintf(stderr, "%d failed: %s: %s\n", host.problems, mw_err_word(host.error.code),
		host.error.detail);
	return false;
}

TEST(a_whole_message)
{
	struct mw_map_call c = call(MW_TRACK, "Email Opened");
	c.payload = object(x, "email_id", get(x, "message.id"), "subject", get(x, "message.subject"), "none",
			   get(x, "message.none"), NULL);
	mw_map_set(
	    map, MW_PART_CONTEXT,
	    object(x, "acmeId", get(x, "acme"), "traits", object(x, "email", get(x, "mail"), NULL), NULL));
	mw_map_set(map, MW_PART_TIME, get(x, "at"));
	mw_map_set(map, MW_PART_ACCOUNT, get(x, "account"));
	mw_map_set(map, MW_PART_INTEGRATIONS, object(x, "All", mw_expr_bool(x, false), NULL));
	add("opened", c);
	run("{\"type\":\"opened\",\"user\":\"u\\\"1\",\"id\":\"e1\",\"account\":12345678901234567890,\"at\":"
	    "1795471080.123,\"acme\":5,"
	    "\"mail\":\"a@b.example\",\"message\":{\"id\":9007199254740993,\"subject\":\"Caf\\u00e9\","
	    "\"none\":null}}");
	CHECK(strcmp(message(0),
		     "12345678901234567890|{\"type\":\"track\",\"userId\":\"u\\\"1\",\"messageId\":\"acme:"
		     "12345678901234567890:e1:0\"," TIME ",\"event\":\"Email "
		     "Opened\",\"properties\":{\"email_id\":9007199254740993,\"subject\":\"Caf\\u00e9\"},"
		     "\"context\":{\"acmeId\":5,\"traits\":{\"email\":\"a@b.example\"}," STAMP
		     "},\"integrations\":{\"All\":false}}") == 0);
	CHECK(tally.events == 1 && tally.messages == 1 && tally.failed == 0);
	struct mw_parcel p;
	size_t at = 0;
	CHECK(mw_outbox_next(mw_mapper_outbox(mapper), &at, &p) && p.tag == 7);
}

TEST(the_other_calls)
{
	struct mw_map_call group = call(MW_GROUP, NULL), alias = call(MW_ALIAS, NULL),
			   page = call(MW_PAGE, NULL);
	group.group_id = get(x, "team");
	group.payload = object(x, "plan", get(x, "plan"), NULL);
	alias.previous_id = get(x, "old");
	page.name = get(x, "title");
	page.category = get(x, "section");
	add("g", group);
	add("a", alias);
	add("p", page);
	add("i", call(MW_IDENTIFY, NULL));
	run("[{\"type\":\"g\",\"user\":\"u\",\"team\":7,\"plan\":\"pro\"},{\"type\":\"a\",\"user\":\"u\","
	    "\"old\":\"o\"},"
	    "{\"type\":\"p\",\"user\":\"u\",\"title\":\"Home\",\"section\":\"\"},{\"type\":\"i\",\"user\":5}"
	    "]");
	CHECK(tally.messages == 4);
	CHECK(has(0, "\"groupId\":\"7\",\"traits\":{\"plan\":\"pro\"}"));
	CHECK(has(1, "\"type\":\"alias\",\"userId\":\"u\"") && has(1, "\"previousId\":\"o\",\"context\""));
	CHECK(has(2, "\"name\":\"Home\",\"properties\":{}") && !strstr(message(2), "category"));
	CHECK(has(3, "\"userId\":\"5\"") && has(3, "\"traits\":{}"));
	CHECK(fails("{\"type\":\"g\",\"user\":\"u\",\"team\":\"\"}", MW_INVALID,
		    "acme.lua:14: group: groupId is missing; Segment takes no such call"));
	CHECK(fails("{\"type\":\"g\",\"user\":\"u\",\"team\":[]}", MW_MAPPING,
		    "acme.lua:14: groupId: must be a string or a number, not an array"));
}

TEST(message_ids_are_stable_or_random)
{
	add("t", call(MW_TRACK, "A"));
	add("t", call(MW_TRACK, "B"));
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":5}");
	CHECK(has(0, "\"messageId\":\"acme:acct:5:0\"") && has(1, "\"messageId\":\"acme:acct:5:1\""));
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":\"\\u0061\"}");
	CHECK(has(0, "\"messageId\":\"acme:acct:a:0\""));
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":\"a:b\"}");
	CHECK(has(0, "\"messageId\":\"acme~"));
	CHECK(host.randoms == 0);
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":\"\"}");
	CHECK(host.randoms == 2);
	CHECK(has(0, "\"messageId\":\"01020304-0506-4708-890a-0b0c0d0e0f10\"") &&
	      has(1, "\"messageId\":\"02030405-"));
	CHECK(fails("{\"type\":\"t\",\"user\":\"u\",\"id\":{}}", MW_MAPPING,
		    "acme.lua:14: id: must be a string or a number, not an object"));
}

TEST(a_call_that_is_not_sent_keeps_its_index)
{
	struct mw_map_call first = call(MW_TRACK, "A");
	first.when = get(x, "first");
	add("t", first);
	add("t", call(MW_TRACK, "B"));
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":5,\"first\":false}");
	CHECK(tally.messages == 1 && tally.ignored == 1 && has(0, "acme:acct:5:1"));
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":5}");
	CHECK(tally.messages == 1 && tally.ignored == 1);
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":5,\"first\":true}");
	CHECK(tally.messages == 2 && tally.ignored == 0);
}

TEST(no_user_is_a_matter_of_policy)
{
	add("t", call(MW_TRACK, "A"));
	mw_map_set(map, MW_PART_EMAIL, get(x, "mail"));
	const char *none = "{\"type\":\"t\",\"mail\":\"a@b.example\"}",
		   *empty = "{\"type\":\"t\",\"user\":\"\"}";
	CHECK(fails(none, MW_NO_USER, "acme.lua:14: the event names no user"));
	CHECK(fails(empty, MW_NO_USER, "acme.lua:14: the event names no user"));
	CHECK(fails("{\"type\":\"t\",\"user\":true}", MW_MAPPING,
		    "acme.lua:14: user: must be a string or a number, not a boolean"));
	mw_map_policy(map, MW_NO_USER_DROP, MW_UNMATCHED_DEAD);
	run(none);
	CHECK(tally.ignored == 1 && tally.messages == 0 && tally.failed == 0);
	mw_map_policy(map, MW_NO_USER_ANONYMOUS, MW_UNMATCHED_DEAD);
	run(none);
	CHECK(has(0, "\"anonymousId\":\"a@b.example\"") && !strstr(message(0), "userId"));
	CHECK(fails(empty, MW_NO_USER, "acme.lua:14: the event names no user"));
}

TEST(the_account_comes_from_the_event_or_the_delivery)
{
	add("t", call(MW_TRACK, "A"));
	mw_map_set(map, MW_PART_ACCOUNT, get(x, "account"));
	run("{\"type\":\"t\",\"user\":\"u\",\"account\":\"\\u00e9\"}");
	CHECK(has(0, "\xC3\xA9|{"));
	run("{\"type\":\"t\",\"user\":\"u\",\"account\":\"\"}");
	CHECK(has(0, "acct|{"));
	delivery.account = (struct mw_span){NULL, 0};
	CHECK(fails("{\"type\":\"t\",\"user\":\"u\"}", MW_NO_ACCOUNT,
		    "acme.lua:14: the event names no account"));
	char body[400] = "{\"type\":\"t\",\"user\":\"u\",\"account\":\"";
	memset(body + strlen(body), 'x', 256);
	strcat(body, "\"}");
	CHECK(fails(body, MW_INVALID, "acme.lua:14: account: longer than 255 bytes"));
}

TEST(times_are_read_or_refused_by_name)
{
	mw_map_set(map, MW_PART_TIME, get(x, "at"));
	add("t", call(MW_TRACK, "A"));
	run("{\"type\":\"t\",\"user\":\"u\",\"at\":\"2026-11-23T22:58:00.123+01:00\"}");
	CHECK(has(0, TIME));
	run("{\"type\":\"t\",\"user\":\"u\",\"at\":null}");
	CHECK(has(0, TIME));
	CHECK(fails("{\"type\":\"t\",\"user\":\"u\",\"at\":\"soon\"}", MW_MAPPING,
		    "acme.lua:14: time: can't read a string (\"soon\") as a date or Unix time"));
}

TEST(events_find_their_entry_by_name)
{
	add("t", call(MW_TRACK, "A"));
	mw_map_add_ignore(map, MW_SPAN("sent"));
	run("{\"type\":\"sent\"}");
	CHECK(tally.events == 1 && tally.ignored == 1 && host.problems == 0);
	CHECK(fails("{\"type\":\"other\"}", MW_UNMATCHED, "the source has no entry for \"other\""));
	CHECK(tally.unmatched == 1);
	CHECK(fails("{\"type\":\"\"}", MW_NO_EVENT, "the event does not say what kind it is"));
	CHECK(fails("{\"type\":[]}", MW_MAPPING, "event: must be a string or a number, not an array"));
	CHECK(fails("5", MW_NO_EVENT, "the event does not say what kind it is"));
	mw_map_policy(map, MW_NO_USER_DEAD, MW_UNMATCHED_COUNT);
	run("{\"type\":\"other\"}");
	CHECK(tally.events == 1 && tally.unmatched == 1 && tally.failed == 0 && host.problems == 0);
	char name[32];
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "event-%d", i);
		add(name, call(MW_TRACK, name));
	}
	for (int i = 0; i < 500; i++) {
		char body[80], part[40];
		snprintf(body, sizeof body, "{\"type\":\"event-%d\",\"user\":\"u\"}", i);
		snprintf(part, sizeof part, "\"event\":\"event-%d\"", i);
		run(body);
		CHECK(has(0, part));
	}
}

TEST(an_entry_is_of_one_kind)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	CHECK(mw_map_add_ignore(map, MW_SPAN("a")) == MW_OK);
	CHECK(mw_map_add_ignore(map, MW_SPAN("a")) == MW_INVALID);
	CHECK(mw_map_add_call(map, MW_SPAN("a"), &c) == MW_INVALID);
	CHECK(mw_map_add_function(map, MW_SPAN("a"), 1, MW_SPAN("p")) == MW_INVALID);
	CHECK(mw_map_add_ignore(map, MW_SPAN("")) == MW_INVALID);
	c.payload = 4711;
	CHECK(mw_map_add_call(map, MW_SPAN("b"), &c) == MW_INVALID);
	CHECK(!mw_map_new(MW_SPAN("\xff"), MW_SPAN("1"), MW_SPAN("l"), MW_SPAN("1")));
	CHECK(mw_span_is(mw_map_slug(map), "acme") && mw_span_is(mw_map_stamp(map), STAMP));
}

TEST(contexts_are_merged_without_duplicates)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	c.parts[MW_PART_CONTEXT] =
	    object(x, "ip", get(x, "ip"), "page", object(x, "url", get(x, "url"), NULL), NULL);
	add("before", c);
	mw_map_set(map, MW_PART_CONTEXT,
		   object(x, "ip", mw_expr_string(x, MW_SPAN("source")), "library",
			  mw_expr_string(x, MW_SPAN("mine")), "locale", get(x, "locale"), NULL));
	add("after", c);
	add("plain", call(MW_TRACK, "A"));
	static const char *const types[] = {"before", "after"};
	for (int i = 0; i < 2; i++) {
		char body[200];
		snprintf(
		    body, sizeof body,
		    "{\"type\":\"%s\",\"user\":\"u\",\"ip\":\"1.2.3.4\",\"url\":\"/x\",\"locale\":\"de\"}",
		    types[i]);
		run(body);
		CHECK(has(0,
			  "\"context\":{\"ip\":\"1.2.3.4\",\"locale\":\"de\",\"page\":{\"url\":\"/x\"}," STAMP
			  "}"));
	}
	run("{\"type\":\"plain\",\"user\":\"u\"}");
	CHECK(has(0, "\"context\":{\"ip\":\"source\"," STAMP "}"));
}

TEST(a_context_that_comes_with_the_event_is_merged_too)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	c.parts[MW_PART_CONTEXT] = get(x, "context");
	mw_map_set(map, MW_PART_CONTEXT, object(x, "ip", get(x, "ip"), "traits", get(x, "traits"), NULL));
	add("t", c);
	run("{\"type\":\"t\",\"user\":\"u\",\"ip\":\"1\",\"traits\":{\"a\":1},\"context\":{ \"x\" : [ 1 ] "
	    ",\"libr\\u0061ry\":1,\"i\\u0070\":2,\"integration\":5,\n\"y\":{} } }");
	CHECK(has(0, "\"context\":{\"traits\":{\"a\":1},\"x\":[1],\"i\\u0070\":2,\"y\":{}," STAMP "}"));
	run("{\"type\":\"t\",\"user\":\"u\",\"context\":{ }}");
	CHECK(has(0, "\"context\":{" STAMP "}"));
	run("{\"type\":\"t\",\"user\":\"u\",\"ip\":\"1\"}");
	CHECK(has(0, "\"context\":{\"ip\":\"1\"," STAMP "}"));
	CHECK(fails("{\"type\":\"t\",\"user\":\"u\",\"context\":[]}", MW_MAPPING,
		    "acme.lua:14: context: must be an object"));
}

TEST(a_call_may_say_differently_than_its_source)
{
	struct mw_map_call c = call(MW_TRACK, "B");
	c.parts[MW_PART_USER] = get(x, "other");
	c.parts[MW_PART_ACCOUNT] = get(x, "tenant");
	c.parts[MW_PART_INTEGRATIONS] = object(x, "Slack", mw_expr_bool(x, true), NULL);
	add("t", call(MW_TRACK, "A"));
	add("t", c);
	add("t", call(MW_TRACK, "C"));
	run("{\"type\":\"t\",\"user\":\"u\",\"other\":\"o\",\"tenant\":\"t2\",\"id\":1}");
	CHECK(has(0, "acct|") && has(0, "\"userId\":\"u\""));
	CHECK(has(1, "t2|") && has(1, "\"userId\":\"o\"") && has(1, "acme:t2:1:1") &&
	      has(1, "\"integrations\":{\"Slack\":true}"));
	CHECK(has(2, "acct|") && has(2, "\"userId\":\"u\"") && has(2, "acme:acct:1:2"));
}

/* Knows the e-mail address ann@b.example, the tool's id 7 and, as anonymous, bob@b.example; of acct only. */
static enum mw_err knows(void *context, struct mw_span account, enum mw_identity_kind kind, struct mw_span id,
			 struct mw_identity_found *found, struct mw_error *e)
{
	struct map_host *h = context;
	h->asked++;
	*found = (struct mw_identity_found){{NULL, 0}, false};
	if (mw_span_is(id, "broken"))
		return mw_error_set(e, MW_CORRUPT, 0, "a record is damaged");
	if (!mw_span_is(account, "acct"))
		return MW_OK;
	if (kind == MW_IDENTITY_EMAIL && mw_span_is(id, "ann@b.example"))
		found->text = MW_SPAN("u \"1\"");
	else if (kind == MW_IDENTITY_TOOL && mw_span_is(id, "7"))
		found->text = MW_SPAN("u7");
	else if (kind == MW_IDENTITY_EMAIL && mw_span_is(id, "bob@b.example"))
		*found = (struct mw_identity_found){MW_SPAN("anon-b"), true};
	return MW_OK;
}

static void begin_with_identities(void)
{
	struct mw_mapper_host h = host_of(&host);
	h.host.identify = knows;
	mw_mapper_free(mapper);
	mapper = mw_mapper_new(&h);
	mw_map_set(map, MW_PART_EMAIL, get(x, "mail"));
	mw_map_set(map, MW_PART_TOOL_ID, get(x, "tool"));
	mw_map_set(map, MW_PART_ANONYMOUS_ID, get(x, "anon"));
}

TEST(who_has_no_id_may_be_known_by_something_else)
{
	begin_with_identities();
	add("t", call(MW_TRACK, "A"));
	run("{\"type\":\"t\",\"user\":\"u\",\"mail\":\"ann@b.example\"}");
	CHECK(has(0, "\"userId\":\"u\"") && host.asked == 0);
	run("{\"type\":\"t\",\"mail\":\"ann@b.example\"}");
	CHECK(has(0, "\"userId\":\"u \\\"1\\\"\"") && host.asked == 1);
	run("{\"type\":\"t\",\"mail\":\"ann@b.example\",\"tool\":7}"); /* the surest first */
	CHECK(has(0, "\"userId\":\"u7\""));
	run("{\"type\":\"t\",\"mail\":\"ann@b.example\",\"tool\":8}");
	CHECK(has(0, "\"userId\":\"u \\\"1"));
	CHECK(fails("{\"type\":\"t\",\"mail\":\"eve@b.example\"}", MW_NO_USER,
		    "acme.lua:14: the event names no user, and by what it names none is known"));
	CHECK(fails("{\"type\":\"t\"}", MW_NO_USER, "acme.lua:14: the event names no user"));
	CHECK(fails("{\"type\":\"t\",\"mail\":\"broken\"}", MW_CORRUPT, "a record is damaged"));
	CHECK(fails("{\"type\":\"t\",\"mail\":true}", MW_MAPPING,
		    "acme.lua:14: user.email: must be a string or a number, not a boolean"));
	delivery.account = MW_SPAN("other");
	CHECK(fails("{\"type\":\"t\",\"mail\":\"ann@b.example\"}", MW_NO_USER,
		    "acme.lua:14: the event names no user, and by what it names none is known"));
	delivery.account = (struct mw_span){NULL, 0};
	host.asked = 0;
	run("{\"type\":\"t\",\"mail\":\"ann@b.example\"}");
	CHECK(tally.failed == 1 && host.asked == 0);
}

TEST(an_anonymous_message_carries_the_best_that_is_known)
{
	begin_with_identities();
	add("t", call(MW_TRACK, "A"));
	mw_map_policy(map, MW_NO_USER_ANONYMOUS, MW_UNMATCHED_DEAD);
	run("{\"type\":\"t\",\"mail\":\"bob@b.example\"}");
	CHECK(has(0, "\"anonymousId\":\"anon-b\"") && !strstr(message(0), "userId"));
	run("{\"type\":\"t\",\"mail\":\"bob@b.example\",\"anon\":\"mine\"}");
	CHECK(has(0, "\"anonymousId\":\"mine\""));
	run("{\"type\":\"t\",\"mail\":\"eve@b.example\"}");
	CHECK(has(0, "\"anonymousId\":\"eve@b.example\""));
	run("{\"type\":\"t\",\"mail\":\"ann@b.example\",\"anon\":\"mine\"}");
	CHECK(has(0, "\"userId\":\"u \\\"1") && !strstr(message(0), "anonymousId"));
}

TEST(a_call_about_somebody_else_does_not_ask_for_the_source_s_user)
{
	begin_with_identities();
	struct mw_map_call c = call(MW_TRACK, "B");
	c.parts[MW_PART_USER] = get(x, "other");
	c.parts[MW_PART_EMAIL] = get(x, "other_mail");
	add("t", c);
	c.parts[MW_PART_EMAIL] = 0;
	add("nobody", c);
	run("{\"type\":\"t\",\"mail\":\"eve@b.example\",\"other_mail\":\"ann@b.example\"}");
	CHECK(has(0, "\"userId\":\"u \\\"1"));
	CHECK(fails("{\"type\":\"nobody\",\"mail\":\"ann@b.example\"}", MW_NO_USER,
		    "acme.lua:14: the event names no user"));
}

TEST(one_failing_message_takes_its_event_back_and_no_other)
{
	struct mw_map_call bad = call(MW_TRACK, "B");
	bad.payload = object(x, "total", mw_expr_binary(x, MW_OP_DIV, get(x, "n"), mw_expr_int(x, 2)), NULL);
	add("t", call(MW_TRACK, "A"));
	add("t", bad);
	delivery.format = MW_FORMAT_NDJSON;
	run("{\"type\":\"t\",\"user\":\"u1\",\"n\":1}\n\n "
	    "\r\n{\"type\":\"t\",\"user\":\"u2\",\"n\":\"abc\"}\r\n{\"type\":\"t\",\"user\":\"u3\",\"n\":3}");
	CHECK(tally.events == 3 && tally.messages == 4 && tally.failed == 1);
	CHECK(host.index == 4 && strcmp(host.raw, "{\"type\":\"t\",\"user\":\"u2\",\"n\":\"abc\"}\r") == 0);
	CHECK(strcmp(host.account, "acct") == 0);
	CHECK(strcmp(host.error.detail, "acme.lua:14: properties: total: can't divide a string (\"abc\")") ==
	      0);
	CHECK(has(2, "\"userId\":\"u3\"") && strcmp(message(4), "none") == 0);
}

TEST(bodies_that_cannot_be_read_are_one_failed_event)
{
	add("t", call(MW_TRACK, "A"));
	run("{\"type\":");
	CHECK(tally.events == 1 && tally.failed == 1 && host.error.code == MW_JSON && host.index == 1);
	CHECK(host.error.offset == 8 && strcmp(host.raw, "{\"type\":") == 0);
	run("");
	CHECK(tally.failed == 1);
	delivery.format = MW_FORMAT_NDJSON;
	run("");
	CHECK(tally.events == 0);
	run("{\"type\":\"t\",\"user\":\"u\"}\nnonsense\n{\"type\":\"t\",\"user\":\"u\"}\n");
	CHECK(tally.events == 3 && tally.messages == 2 && tally.failed == 1 && host.index == 2);
	CHECK(strcmp(host.raw, "nonsense") == 0);
	delivery.format = MW_FORMAT_FORM;
	run("type=t&user=a%2");
	CHECK(tally.events == 1 && tally.failed == 1 && host.error.code == MW_INVALID);
}

TEST(forms_are_mapped_like_json)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	c.payload = object(x, "email", get(x, "data.merges.EMAIL"), NULL);
	add("subscribe", c);
	delivery.format = MW_FORMAT_FORM;
	run("type=subscribe&user=7&data%5Bmerges%5D%5BEMAIL%5D=a%40b.example");
	CHECK(has(0, "\"userId\":\"7\"") && has(0, "\"properties\":{\"email\":\"a@b.example\"}"));
	run("type=other");
	CHECK(strcmp(host.raw, "type=other") == 0);
}

static bool kept_is(enum mw_format format, const char *text)
{
	if (host.format == format && host.body_len == strlen(text) &&
	    memcmp(host.body, text, host.body_len) == 0)
		return true;
	fprintf(stderr, "kept: %.*s\n", (int)host.body_len, host.body);
	return false;
}

/* What a host with expat would give for it. */
static enum mw_err read_xml(void *context, struct mw_span body, struct mw_buf *out, struct mw_error *e)
{
	(void)context;
	if (mw_span_is(body, "\xEF\xBB\xBF\n<broken>"))
		return mw_error_set(e, MW_INVALID, 0, "XML: it is broken");
	return mw_buf_append_literal(out, "{\"all\":{\"e\":[{\"type\":\"A\",\"user\":\"1\",\"tag\":\"x\"},"
					  "{\"type\":\"A\",\"tag\":[\"x\",\"y\"]}]}}");
}

TEST(xml_is_mapped_as_the_host_reads_it)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	c.payload = object(x, "tag", get(x, "tag[1]"), NULL);
	add("A", c);
	mw_map_set(map, MW_PART_EACH, get(x, "all.e"));
	delivery.format = MW_FORMAT_XML;
	run("<all/>");
	CHECK(host.error.code == MW_INVALID && strcmp(host.error.detail, "XML is not read here") == 0);

	struct mw_mapper_host with = host_of(&host);
	with.xml = read_xml;
	mw_mapper_free(mapper);
	mapper = mw_mapper_new(&with);
	run("<all/>");
	CHECK(tally.events == 2 && tally.messages == 1 && tally.failed == 1);
	CHECK(has(0, "\"properties\":{\"tag\":\"x\"}"));
	/* What failed is kept as JSON that still takes one for many. */
	CHECK(host.error.code == MW_NO_USER);
	CHECK(kept_is(MW_FORMAT_XML, "{\"all\":{\"e\":[{\"type\":\"A\",\"tag\":[\"x\",\"y\"]}]}}"));
	run("{\"all\":{\"e\":{\"type\":\"A\",\"user\":\"1\",\"tag\":\"z\"}}}");
	CHECK(tally.messages == 1 && has(0, "\"properties\":{\"tag\":\"z\"}"));
	run("\xEF\xBB\xBF\n<broken>");
	CHECK(tally.failed == 1 && kept_is(MW_FORMAT_XML, "\xEF\xBB\xBF\n<broken>"));
	delivery.format = MW_FORMAT_JSON; /* and it is over with the next body */
	run("{\"all\":{\"e\":{\"type\":\"A\",\"user\":\"1\",\"tag\":\"z\"}}}");
	CHECK(tally.messages == 1 && has(0, "\"properties\":{}"));
}

TEST(a_top_level_array_is_split_by_itself)
{
	add("t", call(MW_TRACK, "A"));
	run("[{\"type\":\"t\",\"user\":\"u\"}, \"text\" ,null,{\"type\":\"t\"}]");
	CHECK(tally.events == 4 && tally.messages == 1 && tally.failed == 3);
	CHECK(host.index == 4 && strcmp(host.raw, "{\"type\":\"t\"}") == 0);
	run("[ \"text\" ]");
	CHECK(host.index == 1 && strcmp(host.raw, "\"text\"") == 0);
	run("[]");
	CHECK(tally.events == 0);
}

/* What is kept of a body, mapped by itself, fails as the event did, and nothing else is in it. */
static bool fails_alone(const char *body, enum mw_format format, const char *kept)
{
	static char again[1024];
	delivery.format = format;
	run(body);
	struct mw_error error = host.error;
	if (tally.failed != 1 || !kept_is(host.format, kept))
		return false;
	memcpy(again, host.body, host.body_len);
	again[host.body_len] = '\0';
	delivery.format = host.format;
	run(again);
	return tally.events == 1 && tally.failed == 1 && host.error.code == error.code &&
	       strcmp(host.error.detail, error.detail) == 0 && kept_is(host.format, kept);
}

TEST(an_event_that_fails_comes_with_a_body_of_its_own)
{
	add("t", call(MW_TRACK, "A"));
	CHECK(fails_alone(" {\"type\":\"t\"} ", MW_FORMAT_JSON, " {\"type\":\"t\"} "));
	CHECK(fails_alone("[{\"type\":\"t\",\"user\":\"u\"},{\"type\":\"t\"}]", MW_FORMAT_JSON,
			  "{\"type\":\"t\"}"));
	CHECK(fails_alone("{\"type\":\"t\",\"user\":\"u\"}\n{\"type\":\"t\"}\n", MW_FORMAT_NDJSON,
			  "{\"type\":\"t\"}"));
	CHECK(fails_alone("type=t", MW_FORMAT_FORM, "type=t"));
	CHECK(fails_alone("type=%", MW_FORMAT_FORM, "type=%"));
	CHECK(fails_alone("{\"type\":", MW_FORMAT_JSON, "{\"type\":"));
	mw_map_set(map, MW_PART_EACH, get(x, "events"));
	mw_map_set(map, MW_PART_ACCOUNT,
		   mw_expr_member(x, mw_expr_scope(x, MW_SCOPE_BODY), MW_SPAN("whose")));
	CHECK(fails_alone(
	    "{\"whose\":1, \"events\" : [ {\"type\":\"t\",\"user\":\"u\"} , {\"type\":\"t\"} ] ,\"n\":2}",
	    MW_FORMAT_JSON, "{\"whose\":1, \"events\" : [{\"type\":\"t\"}] ,\"n\":2}"));
	CHECK(fails_alone("{\"whose\":1,\"events\":{\"type\":\"t\"},\"n\":2}", MW_FORMAT_JSON,
			  "{\"whose\":1,\"events\":{\"type\":\"t\"},\"n\":2}"));
	CHECK(fails_alone("{\"whose\":1,\"events\":[\"text\"]}", MW_FORMAT_JSON,
			  "{\"whose\":1,\"events\":[\"text\"]}"));
	CHECK(fails_alone("{\"whose\":1,\"type\":\"t\"}", MW_FORMAT_JSON, "{\"whose\":1,\"type\":\"t\"}"));
	CHECK(fails_alone("whose=1&events[]=x", MW_FORMAT_FORM, "{\"whose\":\"1\",\"events\":[\"x\"]}"));
	CHECK(fails_alone("[{\"events\":[{\"type\":\"t\"}],\"n\":1},{\"type\":\"t\",\"user\":\"u\"}]",
			  MW_FORMAT_JSON, "{\"events\":[{\"type\":\"t\"}],\"n\":1}"));
}

TEST(what_stands_around_an_event_is_not_kept_if_it_is_large)
{
	static char body[MW_SURROUNDINGS_MAX + 256];
	add("t", call(MW_TRACK, "A"));
	mw_map_set(map, MW_PART_EACH, get(x, "events"));
	const char head[] = "{\"events\":[{\"type\":\"t\"}],\"pad\":\"";
	memset(body, 'x', sizeof body);
	memcpy(body, head, sizeof head - 1);
	memcpy(body + MW_SURROUNDINGS_MAX + 200, "\"}", 3);
	run(body);
	CHECK(tally.failed == 1 && kept_is(MW_FORMAT_JSON, "{\"type\":\"t\"}"));
}

TEST(a_call_may_be_made_for_each_element)
{
	struct mw_map_call c = call(MW_TRACK, "A"), plain = call(MW_TRACK, "B");
	uint32_t outside = mw_expr_scope(x, MW_SCOPE_EVENT);
	mw_map_set(map, MW_PART_USER, mw_expr_member(x, outside, MW_SPAN("user")));
	mw_map_set(map, MW_PART_ID, mw_expr_member(x, outside, MW_SPAN("id")));
	c.parts[MW_PART_EACH] = mw_expr_member(x, outside, MW_SPAN("to"));
	c.payload = plain.payload = object(x, "n", get(x, "n"), NULL);
	add("t", c);
	add("t", plain);
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":\"e\",\"n\":0,\"to\":[{\"n\":1,\"user\":\"x\"},{\"n\":2},{"
	    "}]}");
	CHECK(tally.messages == 4 && has(0, "{\"n\":1}") && has(1, "{\"n\":2}") && has(2, "{}") &&
	      has(3, "{\"n\":0}"));
	CHECK(has(0, "\"userId\":\"u\"") && has(0, "acme:acct:e:0\"") && has(2, "acme:acct:e:2\"") &&
	      has(3, "acme:acct:e:3\""));
	run("{\"type\":\"t\",\"user\":\"u\",\"n\":0,\"to\":[]}");
	CHECK(tally.messages == 1 && tally.ignored == 1);
	CHECK(fails("{\"type\":\"t\",\"user\":\"u\",\"to\":1}", MW_MAPPING,
		    "acme.lua:14: each: must be an array of the event"));
}

TEST(an_item_without_a_member_does_not_hide_that_of_its_event)
{
	struct mw_map_call c = call(MW_TRACK, "Seen");
	uint32_t name = get(x, "contact.name");
	c.payload = object(
	    x, "name", name, "lines",
	    mw_expr_binary(x, MW_OP_MAP, get(x, "lines"), object(x, "id", get(x, "id"), "name", name, NULL)),
	    "again", name, NULL);
	add("t", c);
	run("{\"type\":\"t\",\"user\":\"u\",\"id\":\"i\",\"contact\":{\"name\":\"Ann\"},\"lines\":[{\"id\":1}"
	    "]}");
	CHECK(has(0, "\"properties\":{\"name\":\"Ann\",\"lines\":[{\"id\":1}],\"again\":\"Ann\"}"));
}

TEST(an_entry_with_a_star_is_for_a_family)
{
	add("a.*", call(MW_TRACK, "A"));
	add("a.b.*", call(MW_TRACK, "AB"));
	add("a.b.c", call(MW_TRACK, "ABC"));
	CHECK(mw_map_add_ignore(map, MW_SPAN("a.no*")) == MW_OK);
	CHECK(mw_map_add_ignore(map, MW_SPAN("a.*")) == MW_INVALID);
	static const char *const events[][2] = {
	    {"a.x", "\"A\""}, {"a.", "\"A\""}, {"a.b.x", "\"AB\""}, {"a.b.c", "\"ABC\""}};
	for (size_t i = 0; i < 4; i++) {
		char body[80];
		snprintf(body, sizeof body, "{\"type\":\"%s\",\"user\":\"u\"}", events[i][0]);
		run(body);
		CHECK(tally.messages == 1 && has(0, events[i][1]));
	}
	run("{\"type\":\"a.none\",\"user\":\"u\"}");
	CHECK(tally.ignored == 1);
	CHECK(fails("{\"type\":\"a\",\"user\":\"u\"}", MW_UNMATCHED, "the source has no entry for \"a\""));
}

TEST(each_names_the_events_of_a_body)
{
	struct mw_map_call c = call(MW_TRACK, "A");
	c.payload = object(x, "n", get(x, "n"), "batch",
			   mw_expr_member(x, mw_expr_scope(x, MW_SCOPE_BODY), MW_SPAN("batch")), NULL);
	add("t", c);
	mw_map_set(map, MW_PART_EACH, get(x, "events"));
	run("{\"batch\":9,\"events\":[{\"type\":\"t\",\"user\":\"u\",\"n\":1},{\"type\":\"t\",\"user\":\"u\","
	    "\"n\":2}]}");
	CHECK(tally.events == 2 && has(0, "{\"n\":1,\"batch\":9}") && has(1, "{\"n\":2,\"batch\":9}"));
	run("{\"type\":\"t\",\"user\":\"u\",\"n\":3}");
	CHECK(tally.events == 1 && has(0, "{\"n\":3}"));
	run("{\"events\":{\"type\":\"t\",\"user\":\"u\",\"n\":4}}");
	CHECK(tally.events == 1 && has(0, "{\"n\":4}"));
	run("{\"events\":[]}");
	CHECK(tally.events == 0);
	CHECK(fails("{\"events\":5}", MW_MAPPING, "each: must be an array of events, not a number"));
	run("[{\"events\":[{\"type\":\"t\",\"user\":\"u\",\"n\":5}]},{\"events\":[{\"type\":\"t\",\"user\":"
	    "\"u\",\"n\":6},{}]}]");
	CHECK(tally.events == 3 && tally.messages == 2 && host.index == 3 && has(1, "{\"n\":6}"));
	mw_map_set(map, MW_PART_EACH, mw_expr_binary(x, MW_OP_FILTER, get(x, "events"), get(x, "type")));
	run("{\"events\":[{},{\"type\":\"t\",\"user\":\"u\",\"n\":7},{},{\"type\":\"t\",\"user\":\"u\",\"n\":"
	    "8}]}");
	CHECK(tally.events == 2 && has(0, "{\"n\":7}") && has(1, "{\"n\":8}"));
}

TEST(a_message_over_the_limit_says_its_size)
{
	static char body[40000];
	struct mw_map_call c = call(MW_TRACK, "A");
	c.payload = object(x, "text", get(x, "text"), NULL);
	add("t", c);
	int len = snprintf(body, sizeof body, "{\"type\":\"t\",\"user\":\"u\",\"id\":1,\"text\":\"");
	memset(body + len, 'x', 35000);
	strcpy(body + len + 35000, "\"}");
	run(body);
	CHECK(tally.failed == 1 && host.error.code == MW_TOO_LARGE);
	CHECK(strstr(host.error.detail, "acme.lua:14: track: the message has 352") &&
	      strstr(host.error.detail, "takes 32000"));
}

/* ---- functions */

static enum mw_err emit_some(struct map_host *h, int function, struct mw_mapper *p, const struct mw_json *doc,
			     uint32_t event, struct mw_error *e)
{
	(void)h;
	(void)doc;
	(void)event;
	struct mw_message bare = {.call = MW_TRACK, .name = MW_SPAN("One")};
	struct mw_message full = {.call = MW_TRACK,
				  .name = MW_SPAN("Two"),
				  .user_id = MW_SPAN("other"),
				  .context = MW_SPAN("\"ip\":\"9\",\"library\":{},\"a\":1"),
				  .integrations = MW_SPAN("{\"X\":true}"),
				  .message_id = MW_SPAN("mine"),
				  .timestamp = 0};
	enum mw_err err = mw_mapper_emit(p, &bare, false, (struct mw_span){NULL, 0}, e);
	if (!err)
		err = mw_mapper_emit(p, &full, true, MW_SPAN("their"), e);
	if (!err)
		err = mw_mapper_emit(p, &bare, false, (struct mw_span){NULL, 0}, e);
	if (!err && function == 2)
		return mw_error_set(e, MW_MAPPING, 0, "acme.lua:50: boom");
	return err;
}

TEST(a_function_emits_and_the_source_fills_in)
{
	host.entry = emit_some;
	mw_map_set(map, MW_PART_CONTEXT, object(x, "ip", get(x, "ip"), "integration", get(x, "ip"), NULL));
	mw_map_set(map, MW_PART_INTEGRATIONS, object(x, "All", mw_expr_bool(x, true), NULL));
	CHECK(mw_map_add_function(map, MW_SPAN("f"), 1, MW_SPAN("acme.lua:40")) == MW_OK);
	CHECK(mw_map_add_function(map, MW_SPAN("boom"), 2, MW_SPAN("acme.lua:45")) == MW_OK);
	run("{\"type\":\"f\",\"user\":\"u\",\"id\":\"e\",\"ip\":\"1\"}");
	CHECK(tally.messages == 3);
	CHECK(strcmp(message(0),
		     "acct|{\"type\":\"track\",\"userId\":\"u\",\"messageId\":\"acme:acct:e:0\"," TIME
		     ",\"event\":\"One\",\"properties\":{},\"context\":{\"ip\":\"1\"," STAMP
		     "},\"integrations\":{\"All\":true}}") == 0);
	CHECK(strcmp(message(1),
		     "their|{\"type\":\"track\",\"userId\":\"other\",\"messageId\":\"mine\",\"timestamp\":"
		     "\"1970-01-01T00:00:00.000Z\""
		     ",\"event\":\"Two\",\"properties\":{},\"context\":{\"ip\":\"9\",\"a\":1," STAMP
		     "},\"integrations\":{\"X\":true}}") == 0);
	CHECK(has(2, "acme:acct:e:2"));
	CHECK(fails("{\"type\":\"boom\",\"user\":\"u\"}", MW_MAPPING, "acme.lua:50: boom"));
	CHECK(fails("{\"type\":\"f\"}", MW_NO_USER, "acme.lua:40: the event names no user"));
}

static enum mw_err go_on(struct map_host *h, int function, struct mw_mapper *p, const struct mw_json *doc,
			 uint32_t event, struct mw_error *e)
{
	(void)h;
	(void)function;
	(void)doc;
	(void)event;
	struct mw_message bare = {.call = MW_TRACK, .name = MW_SPAN("One")};
	for (int i = 0; i < 3; i++) {
		if (mw_mapper_emit(p, &bare, false, (struct mw_span){NULL, 0}, e) != MW_MAPPING)
			return MW_OK;
	}
	return mw_error_set(e, MW_MAPPING, 0, "three times");
}

TEST(a_function_that_catches_an_error_meets_it_again)
{
	host.entry = go_on;
	CHECK(mw_map_add_function(map, MW_SPAN("f"), 1, MW_SPAN("acme.lua:40")) == MW_OK);
	CHECK(fails("{\"type\":\"f\",\"user\":\"u\",\"id\":[]}", MW_MAPPING, "acme.lua:40: three times"));
}

TEST(a_mapper_serves_one_map_after_another)
{
	add("t", call(MW_TRACK, "A"));
	run("{\"type\":\"t\",\"user\":\"u\"}");
	for (int i = 0; i < 20; i++) {
		mw_map_free(map);
		map = new_map("next");
		x = mw_map_exprs(map);
		for (int k = 0; k < i; k++)
			get(x, k % 2 ? "a.b" : "c.d.e");
		mw_map_set(map, MW_PART_USER, get(x, i % 2 ? "user" : "type"));
		mw_map_set(map, MW_PART_EVENT, get(x, i % 2 ? "type" : "user"));
		add(i % 2 ? "t" : "u", call(MW_TRACK, "A"));
		run("{\"type\":\"t\",\"user\":\"u\"}");
		CHECK(has(0, i % 2 ? "\"userId\":\"u\"" : "\"userId\":\"t\""));
	}
}

/* Each test has a map and a mapper of its own. */
/* Refuses messages with a total as text. */
static int judged;

static enum mw_err judge_totals(void *context, uint64_t shape, struct mw_span message, struct mw_error *e)
{
	struct map_host *h = context;
	bool refused = memmem(message.at, message.len, "\"total\":\"", 9) != NULL;
	judged++;
	mw_review_learn(h->review, shape, refused, refused);
	return refused ? mw_error_set(e, MW_SPEC, 0, "properties.total is text") : MW_OK;
}

TEST(a_message_is_judged_once_for_its_kind_and_a_refused_one_fails_its_event)
{
	static struct mw_review review;
	struct mw_mapper_host h = host_of(&host);
	h.judge = judge_totals;
	h.review = host.review = &review;
	mw_review_init(&review, true);
	mw_mapper_free(mapper);
	mapper = mw_mapper_new(&h);
	struct mw_map_call paid = call(MW_TRACK, "Paid"), seen = call(MW_IDENTIFY, NULL);
	paid.payload = object(x, "total", get(x, "total"), NULL);
	add("paid", seen); /* sent before the call that is refused, and taken back with it */
	add("paid", paid);
	judged = 0;
	run("[{\"type\":\"paid\",\"id\":\"1\",\"user\":\"u1\",\"total\":5},{\"type\":\"paid\",\"id\":\"2\","
	    "\"user\":"
	    "\"u2\",\"total\":\"5\"},{\"type\":\"paid\",\"id\":\"3\",\"user\":\"u3\",\"total\":7}]");
	CHECK(tally.events == 3 && tally.messages == 4 && tally.failed == 1);
	CHECK(mw_mapper_outbox(mapper)->count == 4 && has(2, "\"userId\":\"u3\"") && has(3, "\"total\":7"));
	CHECK(host.problems == 1 && host.index == 2 && host.error.code == MW_SPEC);
	CHECK(strcmp(host.error.detail, "acme.lua:14: Paid: properties.total is text") == 0 ||
	      strcmp(host.error.detail, "acme.lua:14: properties.total is text") == 0);
	CHECK(judged == 3); /* identify, a good track, a refused one */
	CHECK(review.messages == 6 && review.met[0] == 5 && review.met[1] == 1);
}

#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		begin();                                                                                     \
		RUN(name);                                                                                   \
		end();                                                                                       \
	} while (0)

int main(void)
{
	RUN_FRESH(a_whole_message);
	RUN_FRESH(the_other_calls);
	RUN_FRESH(message_ids_are_stable_or_random);
	RUN_FRESH(a_call_that_is_not_sent_keeps_its_index);
	RUN_FRESH(no_user_is_a_matter_of_policy);
	RUN_FRESH(the_account_comes_from_the_event_or_the_delivery);
	RUN_FRESH(times_are_read_or_refused_by_name);
	RUN_FRESH(events_find_their_entry_by_name);
	RUN_FRESH(an_entry_is_of_one_kind);
	RUN_FRESH(contexts_are_merged_without_duplicates);
	RUN_FRESH(a_context_that_comes_with_the_event_is_merged_too);
	RUN_FRESH(a_call_may_say_differently_than_its_source);
	RUN_FRESH(who_has_no_id_may_be_known_by_something_else);
	RUN_FRESH(an_anonymous_message_carries_the_best_that_is_known);
	RUN_FRESH(a_call_about_somebody_else_does_not_ask_for_the_source_s_user);
	RUN_FRESH(one_failing_message_takes_its_event_back_and_no_other);
	RUN_FRESH(bodies_that_cannot_be_read_are_one_failed_event);
	RUN_FRESH(forms_are_mapped_like_json);
	RUN_FRESH(xml_is_mapped_as_the_host_reads_it);
	RUN_FRESH(a_top_level_array_is_split_by_itself);
	RUN_FRESH(an_event_that_fails_comes_with_a_body_of_its_own);
	RUN_FRESH(what_stands_around_an_event_is_not_kept_if_it_is_large);
	RUN_FRESH(a_call_may_be_made_for_each_element);
	RUN_FRESH(an_item_without_a_member_does_not_hide_that_of_its_event);
	RUN_FRESH(an_entry_with_a_star_is_for_a_family);
	RUN_FRESH(each_names_the_events_of_a_body);
	RUN_FRESH(a_message_over_the_limit_says_its_size);
	RUN_FRESH(a_function_emits_and_the_source_fills_in);
	RUN_FRESH(a_function_that_catches_an_error_meets_it_again);
	RUN_FRESH(a_mapper_serves_one_map_after_another);
	RUN_FRESH(a_message_is_judged_once_for_its_kind_and_a_refused_one_fails_its_event);
	return CHECK_END();
}
