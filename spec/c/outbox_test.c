#include "../../csrc/core/outbox.h"

#include "check.h"

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static enum mw_err add(struct mw_outbox *o, const char *account, const char *message, int64_t tag)
{
	return mw_outbox_add(
	    o, &(struct mw_parcel){.account = span(account), .message = span(message), .tag = tag});
}

TEST(records_come_out_as_they_went_in)
{
	struct mw_outbox o;
	mw_outbox_init(&o, 1 << 20);
	CHECK(add(&o, "a", "{}", 7) == MW_OK);
	CHECK(add(&o, "", "", -1) == MW_OK);
	CHECK(add(&o, "acct-17", "{\"type\":\"track\"}", INT64_MIN) == MW_OK);
	CHECK(o.count == 3);
	size_t at = 0;
	struct mw_parcel p;
	CHECK(mw_outbox_next(&o, &at, &p) && mw_span_is(p.account, "a") && mw_span_is(p.message, "{}") &&
	      p.tag == 7);
	CHECK(mw_outbox_next(&o, &at, &p) && p.account.len == 0 && p.message.len == 0 && p.tag == -1);
	CHECK(mw_outbox_next(&o, &at, &p) && mw_span_is(p.account, "acct-17") && p.tag == INT64_MIN);
	CHECK(!mw_outbox_next(&o, &at, &p));
	mw_outbox_deinit(&o);
}

TEST(a_rollback_forgets_what_came_behind_the_mark)
{
	struct mw_outbox o;
	mw_outbox_init(&o, 1 << 20);
	add(&o, "a", "1", 1);
	struct mw_outbox_mark mark = mw_outbox_mark(&o);
	add(&o, "b", "2", 2);
	mw_outbox_begin(&o, span("c"), 3, MW_PARCEL_MESSAGE);
	mw_outbox_rollback(&o, mark);
	CHECK(o.count == 1);
	add(&o, "d", "4", 4);
	size_t at = 0;
	struct mw_parcel p;
	CHECK(mw_outbox_next(&o, &at, &p) && p.tag == 1);
	CHECK(mw_outbox_next(&o, &at, &p) && p.tag == 4 && mw_span_is(p.message, "4"));
	CHECK(!mw_outbox_next(&o, &at, &p));
	mw_outbox_deinit(&o);
}

TEST(a_message_made_in_place_is_like_one_that_is_added)
{
	struct mw_outbox a, b;
	mw_outbox_init(&a, 1 << 20);
	mw_outbox_init(&b, 1 << 20);
	add(&a, "acct", "hello", 9);
	struct mw_outbox_mark mark = mw_outbox_mark(&b);
	CHECK(mw_outbox_begin(&b, span("acct"), 9, MW_PARCEL_MESSAGE) == MW_OK);
	mw_buf_append_literal(&b.bytes, "hel");
	mw_buf_append_literal(&b.bytes, "lo");
	CHECK(mw_outbox_end(&b, mark) == MW_OK);
	CHECK(a.bytes.len == b.bytes.len && memcmp(a.bytes.data, b.bytes.data, a.bytes.len) == 0);
	CHECK(a.bytes.len % 8 == 0);
	mw_outbox_deinit(&a);
	mw_outbox_deinit(&b);
}

TEST(a_full_box_stays_as_it_was)
{
	struct mw_outbox o;
	mw_outbox_init(&o, 100);
	CHECK(add(&o, "a", "12345678901234567890", 1) == MW_OK);
	size_t len = o.bytes.len;
	/* One that fails at its account, one at its message, one at its padding. */
	char long_account[200] = "";
	memset(long_account, 'x', 199);
	CHECK(add(&o, long_account, "", 1) == MW_TOO_LARGE);
	CHECK(add(&o, "b", long_account, 1) == MW_TOO_LARGE);
	CHECK(add(&o, "b", "1234567890123456789012345678901234567890", 1) == MW_TOO_LARGE);
	CHECK(o.bytes.len == len && o.count == 1);
	mw_outbox_deinit(&o);
}

TEST(boxes_are_joined_in_order)
{
	struct mw_outbox a, b;
	mw_outbox_init(&a, 1 << 20);
	mw_outbox_init(&b, 1 << 20);
	add(&a, "a", "1", 1);
	add(&b, "b", "2", 2);
	add(&b, "c", "3", 3);
	CHECK(mw_outbox_append(&a, &b) == MW_OK);
	CHECK(a.count == 3);
	size_t at = 0;
	struct mw_parcel p;
	for (int64_t tag = 1; tag <= 3; tag++)
		CHECK(mw_outbox_next(&a, &at, &p) && p.tag == tag);
	mw_outbox_clear(&a);
	at = 0;
	CHECK(a.count == 0 && !mw_outbox_next(&a, &at, &p));
	mw_outbox_deinit(&a);
	mw_outbox_deinit(&b);
}

int main(void)
{
	RUN(records_come_out_as_they_went_in);
	RUN(a_rollback_forgets_what_came_behind_the_mark);
	RUN(a_message_made_in_place_is_like_one_that_is_added);
	RUN(a_full_box_stays_as_it_was);
	RUN(boxes_are_joined_in_order);
	return CHECK_END();
}
