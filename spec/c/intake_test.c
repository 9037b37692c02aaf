/* Built with csrc/core. */
#include "../../csrc/core/intake.h"
#include "check.h"

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

TEST(a_batch_is_taken_apart_in_order)
{
	struct mw_intake in;
	struct mw_intake_message m;
	mw_intake_init(&in);
	const char *body =
	    "{\"batch\":[{\"type\":\"track\",\"event\":\"P\\u0061id\",\"userId\":\"u1\",\"messageId\":\"m\"},"
	    " {\"type\":\"page\",\"anonymousId\":\"a\",\"name\":\"N\"} ],\"writeKey\":\"k\"}";
	CHECK(mw_intake_read(&in, MW_CALLS, span(body), NULL) == MW_OK);
	CHECK(in.fault == MW_FAULT_NONE);
	CHECK(mw_span_is(mw_intake_key(&in), "k"));
	CHECK(mw_intake_next(&in, &m));
	CHECK(m.fault == MW_FAULT_NONE && !m.anonymous);
	CHECK(mw_span_is(m.type, "track") && mw_span_is(m.name, "P\\u0061id"));
	CHECK(mw_span_is(m.user, "u1") && mw_span_is(m.id, "m"));
	CHECK(m.raw.at[0] == '{' && m.raw.at[m.raw.len - 1] == '}');
	CHECK(mw_intake_next(&in, &m));
	CHECK(m.fault == MW_FAULT_NONE && m.anonymous && mw_span_is(m.user, "a") && mw_span_is(m.name, "N"));
	CHECK(!mw_intake_next(&in, &m));
	mw_intake_deinit(&in);
}

TEST(a_body_at_the_limit_is_read_and_one_byte_more_is_not)
{
	static uint8_t body[MW_REQUEST_MAX + 1];
	struct mw_intake in;
	mw_intake_init(&in);
	memset(body, ' ', sizeof body);
	memcpy(body, "{\"batch\":[]}", 12);
	CHECK(mw_intake_read(&in, MW_CALLS, (struct mw_span){body, MW_REQUEST_MAX}, NULL) == MW_OK);
	CHECK(mw_intake_read(&in, MW_CALLS, (struct mw_span){body, MW_REQUEST_MAX + 1}, NULL) ==
	      MW_TOO_LARGE);
	CHECK(mw_intake_read(&in, MW_PAGE, (struct mw_span){body, MW_MESSAGE_MAX}, NULL) == MW_OK);
	CHECK(mw_intake_read(&in, MW_PAGE, (struct mw_span){body, MW_MESSAGE_MAX + 1}, NULL) == MW_TOO_LARGE);
	mw_intake_deinit(&in);
}

TEST(a_message_at_the_limit_is_fine_and_one_byte_more_is_not)
{
	char *body = malloc(MW_MESSAGE_MAX + 100);
	CHECK(body);
	for (int more = 0; more <= 1; more++) {
		size_t head = (size_t)sprintf(body, "{\"batch\":[");
		size_t len = (size_t)sprintf(body + head, "{\"type\":\"page\",\"userId\":\"u\",\"x\":\"");
		size_t pad = (size_t)(MW_MESSAGE_MAX + more) - len - 2;
		memset(body + head + len, 'x', pad);
		strcpy(body + head + len + pad, "\"}]}");
		struct mw_intake in;
		struct mw_intake_message m;
		mw_intake_init(&in);
		CHECK(mw_intake_read(&in, MW_CALLS, span(body), NULL) == MW_OK);
		CHECK(mw_intake_next(&in, &m));
		CHECK(m.fault == (more ? MW_FAULT_TOO_LARGE : MW_FAULT_NONE));
		mw_intake_deinit(&in);
	}
	free(body);
}

TEST(no_start_of_a_body_does_harm)
{
	const char *body = "{\"batch\":[{\"type\":\"track\",\"event\":1,\"userId\":\"u\",\"properties\":[[{}]"
			   "]},7,\"s\",null,[]"
			   ",{\"type\":\"group\",\"userId\":null,\"anonymousId\":\"\"}],\"writeKey\":17}";
	size_t len = strlen(body);
	struct mw_intake in;
	mw_intake_init(&in);
	for (size_t n = 0; n <= len; n++) {
		/* A copy of just these bytes, so that a sanitizer sees a read behind them. */
		uint8_t *copy = malloc(n ? n : 1);
		CHECK(copy);
		memcpy(copy, body, n);
		struct mw_error e = {0};
		enum mw_err err = mw_intake_read(&in, MW_CALLS, (struct mw_span){copy, n}, &e);
		CHECK(n == len ? err == MW_OK : err == MW_JSON);
		struct mw_intake_message m;
		int count = 0;
		while (err == MW_OK && mw_intake_next(&in, &m)) {
			count++;
			CHECK(m.fault != MW_FAULT_NONE);
		}
		CHECK(count == (n == len ? 6 : 0));
		CHECK(err != MW_OK || !mw_intake_key(&in).at);
		free(copy);
	}
	mw_intake_deinit(&in);
}

TEST(what_stands_beside_a_batch_is_as_it_was_sent)
{
	struct mw_intake in;
	mw_intake_init(&in);
	const char *body = "{\"context\": {\"a\" :1},\"batch\":[],\"integrations\":\"x\",\"sentAt\":null}";
	CHECK(mw_intake_read(&in, MW_CALLS, span(body), NULL) == MW_OK);
	CHECK(mw_span_is(mw_intake_shared(&in, "context"), "{\"a\" :1}"));
	CHECK(mw_span_is(mw_intake_shared(&in, "integrations"), "\"x\""));
	CHECK(!mw_intake_shared(&in, "sentAt").at);
	CHECK(!mw_intake_shared(&in, "nothing").at);
	/* A call's own context is the call's. */
	CHECK(mw_intake_read(&in, MW_TRACK, span(body), NULL) == MW_OK);
	CHECK(!mw_intake_shared(&in, "context").at);
	mw_intake_deinit(&in);
}

TEST(a_message_id_is_measured_in_characters)
{
	struct mw_intake in;
	struct mw_intake_message m;
	char body[1024];
	mw_intake_init(&in);
	for (int count = MW_MESSAGE_ID_MAX; count <= MW_MESSAGE_ID_MAX + 1; count++) {
		size_t len = (size_t)sprintf(body, "{\"userId\":\"u\",\"messageId\":\"");
		for (int i = 0; i < count; i++)
			len += (size_t)sprintf(body + len, "%s", i % 2 ? "\xC3\xA9" : "\\u00e9");
		sprintf(body + len, "\"}");
		CHECK(mw_intake_read(&in, MW_IDENTIFY, span(body), NULL) == MW_OK && mw_intake_next(&in, &m));
		CHECK(m.fault == (count <= MW_MESSAGE_ID_MAX ? MW_FAULT_NONE : MW_FAULT_MESSAGE_ID));
	}
	mw_intake_deinit(&in);
}

TEST(every_fault_has_a_word_and_a_sentence)
{
	for (int fault = MW_FAULT_NONE + 1; fault < MW_FAULT_COUNT; fault++) {
		CHECK(mw_fault_word((enum mw_fault)fault)[0]);
		CHECK(mw_fault_sentence((enum mw_fault)fault)[0]);
	}
}

int main(void)
{
	RUN(a_batch_is_taken_apart_in_order);
	RUN(a_body_at_the_limit_is_read_and_one_byte_more_is_not);
	RUN(a_message_at_the_limit_is_fine_and_one_byte_more_is_not);
	RUN(no_start_of_a_body_does_harm);
	RUN(what_stands_beside_a_batch_is_as_it_was_sent);
	RUN(a_message_id_is_measured_in_characters);
	RUN(every_fault_has_a_word_and_a_sentence);
	return CHECK_END();
}
