#include "../../csrc/core/queue.h"

#include "../../csrc/core/limits.h"
#include "check.h"

TEST(an_empty_queue_holds_nothing)
{
	struct mw_queue q;
	mw_queue_init(&q);
	struct mw_queue_cursor c = {0};
	struct mw_queued out;
	CHECK(!mw_queue_next(&q, &c, &out) && q.count == 0 && q.bytes == 0 && !q.head);
	mw_queue_drop(&q);
	CHECK(q.count == 0);
	mw_queue_deinit(&q);
}

TEST(what_is_pushed_comes_out_in_order_with_tag_and_time)
{
	struct mw_queue q;
	mw_queue_init(&q);
	CHECK(mw_queue_push(&q, MW_SPAN("one"), -1, 10) == MW_OK);
	CHECK(mw_queue_push(&q, MW_SPAN(""), INT64_MAX, 11) == MW_OK);
	CHECK(mw_queue_push(&q, MW_SPAN("three"), 3, 12) == MW_OK);
	CHECK(q.count == 3 && q.bytes == 8);
	struct mw_queue_cursor c = {0};
	struct mw_queued out;
	CHECK(mw_queue_next(&q, &c, &out) && mw_span_is(out.message, "one") && out.tag == -1 &&
	      out.since == 10);
	CHECK(mw_queue_next(&q, &c, &out) && out.message.len == 0 && out.tag == INT64_MAX);
	CHECK(mw_queue_next(&q, &c, &out) && mw_span_is(out.message, "three") && out.since == 12);
	CHECK(!mw_queue_next(&q, &c, &out) && !mw_queue_next(&q, &c, &out));
	mw_queue_deinit(&q);
}

TEST(reading_does_not_remove_and_dropping_the_last_frees_the_chunk)
{
	struct mw_queue q;
	mw_queue_init(&q);
	CHECK(mw_queue_push(&q, MW_SPAN("x"), 0, 0) == MW_OK && q.head);
	mw_queue_drop(&q);
	CHECK(q.count == 0 && q.bytes == 0 && !q.head && !q.tail);
	CHECK(mw_queue_push(&q, MW_SPAN("y"), 0, 0) == MW_OK && q.count == 1);
	mw_queue_deinit(&q);
	CHECK(!q.head && q.count == 0);
}

static size_t length_of(uint64_t i)
{
	/* Every size from nothing to the largest, also those that fill a chunk to the brim. */
	return (size_t)(i * i * 37 % (i % 50 == 0 ? MW_MESSAGE_MAX + 1 : 1100));
}

/* Pushes and drops at random, held against the plain numbers first..last. */
TEST(any_mix_of_pushes_and_drops_keeps_order_and_bytes)
{
	static uint8_t message[MW_MESSAGE_MAX];
	uint64_t random = check_seed("queue"), first = 0, last = 0, bytes = 0;
	struct mw_queue q;
	mw_queue_init(&q);
	for (int step = 0; step < 60000; step++) {
		bool filling = step / 5000 % 2 == 0;
		if (check_random(&random) % 3 != (filling ? 0 : 1) && (filling || first == last)) {
			size_t len = length_of(last);
			memset(message, (int)(last % 251), len);
			CHECK(mw_queue_push(&q, (struct mw_span){message, len}, (int64_t)last, step) ==
			      MW_OK);
			last++;
			bytes += len;
		} else if (first < last) {
			mw_queue_drop(&q);
			bytes -= length_of(first++);
		}
		CHECK(q.count == last - first && q.bytes == bytes && (q.count > 0) == (q.head != NULL));
		struct mw_queue_cursor c = {0};
		struct mw_queued out;
		for (uint64_t i = first; i < last && i < first + (step % 1000 ? 2 : UINT64_MAX - first);
		     i++) {
			CHECK(mw_queue_next(&q, &c, &out) && out.tag == (int64_t)i);
			CHECK(out.message.len == length_of(i));
			CHECK(out.message.len == 0 || (out.message.at[0] == i % 251 &&
						       out.message.at[out.message.len - 1] == i % 251));
		}
	}
	mw_queue_deinit(&q);
}

int main(void)
{
	RUN(an_empty_queue_holds_nothing);
	RUN(what_is_pushed_comes_out_in_order_with_tag_and_time);
	RUN(reading_does_not_remove_and_dropping_the_last_frees_the_chunk);
	RUN(any_mix_of_pushes_and_drops_keeps_order_and_bytes);
	return CHECK_END();
}
