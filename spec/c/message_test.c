#include "../../csrc/core/message.h"

#include "check.h"
#include "map_host.h"

static struct mw_buf out;

static struct mw_message good(enum mw_call call)
{
	struct mw_message m = {.call = call,
			       .user_id = MW_SPAN("u1"),
			       .message_id = MW_SPAN("m1"),
			       .stamp = MW_SPAN("\"library\":{}"),
			       .timestamp = 1795471080123};
	if (call == MW_TRACK)
		m.name = MW_SPAN("Email Opened");
	if (call == MW_GROUP)
		m.group_id = MW_SPAN("g1");
	if (call == MW_ALIAS)
		m.previous_id = MW_SPAN("old");
	return m;
}

static bool writes(const struct mw_message *m, const char *expected)
{
	struct mw_error e;
	mw_buf_clear(&out);
	if (mw_message_write(&out, m, &e)) {
		fprintf(stderr, "%s\n", e.detail);
		return false;
	}
	if (!mw_span_is(mw_buf_span(&out), expected)) {
		fprintf(stderr, "%.*s\n", (int)out.len, (const char *)out.data);
		return false;
	}
	return true;
}

#define COMMON "\"userId\":\"u1\",\"messageId\":\"m1\",\"timestamp\":\"2026-11-23T21:58:00.123Z\""
#define END    ",\"context\":{\"library\":{}}}"

TEST(the_six_calls)
{
	struct mw_message m = good(MW_TRACK);
	CHECK(writes(&m, "{\"type\":\"track\"," COMMON ",\"event\":\"Email Opened\",\"properties\":{}" END));
	m = good(MW_IDENTIFY);
	CHECK(writes(&m, "{\"type\":\"identify\"," COMMON ",\"traits\":{}" END));
	m = good(MW_PAGE);
	m.name = MW_SPAN("Home");
	m.category = MW_SPAN("Docs");
	CHECK(writes(&m, "{\"type\":\"page\"," COMMON
			 ",\"name\":\"Home\",\"category\":\"Docs\",\"properties\":{}" END));
	m = good(MW_SCREEN);
	CHECK(writes(&m, "{\"type\":\"screen\"," COMMON ",\"properties\":{}" END));
	m = good(MW_GROUP);
	m.payload = MW_SPAN("{\"a\":1}");
	CHECK(writes(&m, "{\"type\":\"group\"," COMMON ",\"groupId\":\"g1\",\"traits\":{\"a\":1}" END));
	m = good(MW_ALIAS);
	m.payload = MW_SPAN("{\"a\":1}");
	CHECK(writes(&m, "{\"type\":\"alias\"," COMMON ",\"previousId\":\"old\"" END));
}

TEST(context_integrations_and_anonymous_ids)
{
	struct mw_message m = good(MW_IDENTIFY);
	m.user_id.at = NULL;
	m.user_id.len = 0;
	m.anonymous_id = MW_SPAN("a@b.example");
	m.context = MW_SPAN("\"ip\":\"1.2.3.4\"");
	m.integrations = MW_SPAN("{\"All\":false}");
	CHECK(writes(&m, "{\"type\":\"identify\",\"anonymousId\":\"a@b.example\",\"messageId\":\"m1\","
			 "\"timestamp\":\"2026-11-23T21:58:00.123Z\","
			 "\"traits\":{},\"context\":{\"ip\":\"1.2.3.4\",\"library\":{}},\"integrations\":{"
			 "\"All\":false}}"));
	m.stamp = m.context = (struct mw_span){NULL, 0};
	m.integrations = (struct mw_span){NULL, 0};
	CHECK(writes(&m, "{\"type\":\"identify\",\"anonymousId\":\"a@b.example\",\"messageId\":\"m1\","
			 "\"timestamp\":\"2026-11-23T21:58:00.123Z\","
			 "\"traits\":{}}"));
}

static bool refuses(struct mw_message m, enum mw_err code, const char *word)
{
	struct mw_error e = {0};
	mw_buf_clear(&out);
	mw_buf_append_literal(&out, "before");
	enum mw_err err = mw_message_write(&out, &m, &e);
	if (err == code && e.code == code && strstr(e.detail, word) &&
	    mw_span_is(mw_buf_span(&out), "before"))
		return true;
	fprintf(stderr, "%d %s\n", (int)err, e.detail);
	return false;
}

TEST(what_segment_would_drop_silently_is_refused_aloud)
{
	static const struct mw_span none = {NULL, 0}, empty = {(const uint8_t *)"", 0};
	struct mw_message m = good(MW_TRACK);
	m.user_id = none;
	CHECK(refuses(m, MW_NO_USER, "userId"));
	m.user_id = empty;
	CHECK(refuses(m, MW_INVALID, "userId"));
	m = good(MW_TRACK);
	m.name = none;
	CHECK(refuses(m, MW_INVALID, "event"));
	m.name = empty;
	CHECK(refuses(m, MW_INVALID, "event"));
	m = good(MW_TRACK);
	m.payload = MW_SPAN("[]");
	CHECK(refuses(m, MW_INVALID, "properties"));
	m = good(MW_IDENTIFY);
	m.payload = MW_SPAN("\"x\"");
	CHECK(refuses(m, MW_INVALID, "traits"));
	m = good(MW_PAGE);
	m.name = empty;
	CHECK(refuses(m, MW_INVALID, "name"));
	m = good(MW_PAGE);
	m.category = empty;
	CHECK(refuses(m, MW_INVALID, "category"));
	m = good(MW_GROUP);
	m.group_id = none;
	CHECK(refuses(m, MW_INVALID, "groupId"));
	m = good(MW_ALIAS);
	m.previous_id = none;
	CHECK(refuses(m, MW_INVALID, "previousId"));
	m = good(MW_ALIAS);
	m.user_id = none;
	m.anonymous_id = MW_SPAN("a");
	CHECK(refuses(m, MW_NO_USER, "userId"));
	m = good(MW_TRACK);
	m.message_id = none;
	CHECK(refuses(m, MW_INVALID, "messageId"));
	m = good(MW_TRACK);
	m.integrations = MW_SPAN("true");
	CHECK(refuses(m, MW_INVALID, "integrations"));
}

TEST(a_message_id_has_99_characters_at_most)
{
	char id[700] = "";
	struct mw_message m = good(MW_TRACK);
	memset(id, 'x', 100);
	m.message_id = (struct mw_span){(const uint8_t *)id, 99};
	mw_buf_clear(&out);
	CHECK(mw_message_write(&out, &m, NULL) == MW_OK);
	m.message_id.len = 100;
	CHECK(refuses(m, MW_INVALID, "100 characters"));
	/* Escapes and UTF-8 count as the characters they are. */
	for (size_t i = 0; i < 33; i++)
		memcpy(id + i * 16, "\\ud83d\\ude00\\n\xC3\xA9", 16);
	m.message_id.len = 33 * 16;
	mw_buf_clear(&out);
	CHECK(mw_message_write(&out, &m, NULL) == MW_OK);
	memcpy(id + 33 * 16, "x", 2);
	m.message_id.len++;
	CHECK(refuses(m, MW_INVALID, "100 characters"));
}

TEST(the_limit_is_measured_on_the_serialized_bytes)
{
	static char payload[40000];
	struct mw_message m = good(MW_TRACK);
	memset(payload, 'x', sizeof payload);
	memcpy(payload, "{\"a\":\"", 6);
	mw_buf_clear(&out);
	CHECK(mw_message_write(&out, &m, NULL) == MW_OK);
	size_t len = 32000 - (out.len - 2);
	memcpy(payload + len - 2, "\"}", 2);
	m.payload = (struct mw_span){(const uint8_t *)payload, len};
	mw_buf_clear(&out);
	CHECK(mw_message_write(&out, &m, NULL) == MW_OK && out.len == 32000);
	memcpy(payload + len - 2, "x\"}", 3);
	m.payload.len++;
	CHECK(refuses(m, MW_TOO_LARGE, "32001 bytes; Segment takes 32000"));
}

static const char *id_of(const char *slug, const char *account, const char *id, uint32_t index)
{
	static char text[4][128];
	static int turn;
	char *to = text[turn++ % 4];
	mw_buf_clear(&out);
	if (mw_message_id(&out, span(slug), span(account), span(id), index, host_sha256))
		return NULL;
	snprintf(to, sizeof text[0], "%.*s", (int)out.len, (const char *)out.data);
	return to;
}

TEST(an_id_is_readable_where_it_can_be)
{
	CHECK(strcmp(id_of("acme-mail", "4711", "ev_9", 0), "acme-mail:4711:ev_9:0") == 0);
	CHECK(strcmp(id_of("a", "b", "c", UINT32_MAX), "a:b:c:4294967295") == 0);
	const char *hashed = id_of("acme-mail", "4711", "ev:9", 0);
	CHECK(strlen(hashed) == 9 + 1 + 64 && strncmp(hashed, "acme-mail~", 10) == 0);
	CHECK(strlen(id_of("a slug", "1", "2", 0)) == 65);
	char slug[200] = "";
	memset(slug, 's', 199);
	CHECK(strlen(id_of(slug, "1", "2", 0)) == 99);
	/* 99 fit and stay readable, 100 do not. */
	char id[100] = "";
	memset(id, 'i', 93);
	CHECK(strlen(id_of("s", "a", id, 0)) == 99 && strchr(id_of("s", "a", id, 0), ':'));
	id[93] = 'i';
	CHECK(strchr(id_of("s", "a", id, 0), '~'));
}

TEST(each_part_is_digested_behind_its_length)
{
	uint8_t digest[32];
	char expected[80] = "a~";
	host_sha256("1:a2:b:1:c1:0", 13, digest);
	for (int i = 0; i < 32; i++)
		snprintf(expected + 2 + 2 * i, 3, "%02x", digest[i]);
	CHECK(strcmp(id_of("a", "b:", "c", 0), expected) == 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

TEST(different_events_never_share_an_id)
{
	/* All splits of a few texts, which a careless join would make equal. */
	static const char *const parts[] = {"",    "a", "a:", ":a",  "a:b",     "a~",
					    "a:0", "0", "b",  "1:a", "\xC3\xA9"};
	enum { N = sizeof parts / sizeof *parts };
	static char seen[N * N * N * 2][128];
	size_t count = 0;
	for (int s = 0; s < N; s++)
		for (int a = 0; a < N; a++)
			for (int i = 0; i < N; i++)
				for (uint32_t n = 0; n < 2; n++) {
					const char *id = id_of(parts[s], parts[a], parts[i], n);
					CHECK(id && strlen(id) <= MW_MESSAGE_ID_MAX);
					snprintf(seen[count++], sizeof seen[0], "%s", id);
				}
	qsort(seen, count, sizeof seen[0], by_text);
	for (size_t i = 1; i < count; i++)
		CHECK(strcmp(seen[i - 1], seen[i]) != 0);
}

TEST(a_random_id_is_a_uuid_of_version_4)
{
	uint8_t bytes[16];
	memset(bytes, 0xFF, sizeof bytes);
	mw_buf_clear(&out);
	CHECK(mw_message_random_id(&out, bytes) == MW_OK);
	CHECK(mw_span_is(mw_buf_span(&out), "ffffffff-ffff-4fff-bfff-ffffffffffff"));
}

TEST(call_words)
{
	enum mw_call call;
	for (int i = 0; i < MW_CALLS; i++)
		CHECK(mw_call_parse(span(mw_call_word((enum mw_call)i)), &call) && call == (enum mw_call)i);
	CHECK(!mw_call_parse(MW_SPAN("Track"), &call) && !mw_call_parse(MW_SPAN(""), &call));
}

int main(void)
{
	mw_buf_init(&out, 1 << 20);
	RUN(the_six_calls);
	RUN(context_integrations_and_anonymous_ids);
	RUN(what_segment_would_drop_silently_is_refused_aloud);
	RUN(a_message_id_has_99_characters_at_most);
	RUN(the_limit_is_measured_on_the_serialized_bytes);
	RUN(an_id_is_readable_where_it_can_be);
	RUN(each_part_is_digested_behind_its_length);
	RUN(different_events_never_share_an_id);
	RUN(a_random_id_is_a_uuid_of_version_4);
	RUN(call_words);
	mw_buf_deinit(&out);
	return CHECK_END();
}
