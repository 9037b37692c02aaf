#include "../../csrc/core/arena.h"

#include "check.h"

#include <stddef.h>

TEST(bytes_stay_put_while_it_grows)
{
	struct mw_arena a;
	mw_arena_init(&a, 1 << 20);
	uint8_t *at[200];
	for (size_t i = 0; i < 200; i++) {
		at[i] = mw_arena_take(&a, i * 7);
		CHECK(at[i]);
		CHECK((uintptr_t)at[i] % _Alignof(max_align_t) == 0);
		memset(at[i], (int)i, i * 7);
	}
	for (size_t i = 0; i < 200; i++)
		for (size_t k = 0; k < i * 7; k++)
			CHECK(at[i][k] == i);
	mw_arena_deinit(&a);
}

TEST(nothing_is_taken_past_the_max)
{
	struct mw_arena a;
	mw_arena_init(&a, 10000);
	CHECK(mw_arena_take(&a, 6000));
	CHECK(!mw_arena_take(&a, 6000));
	CHECK(!mw_arena_take(&a, SIZE_MAX));
	CHECK(mw_arena_take(&a, 4000));
	CHECK(!mw_arena_take(&a, 1));
	mw_arena_clear(&a);
	CHECK(mw_arena_take(&a, 10000));
	mw_arena_deinit(&a);
}

TEST(clear_keeps_the_first_block_for_the_next_event)
{
	struct mw_arena a;
	mw_arena_init(&a, 1 << 20);
	mw_arena_clear(&a);
	void *first = mw_arena_take(&a, 16);
	CHECK(mw_arena_take(&a, 100000));
	mw_arena_clear(&a);
	CHECK(a.used == 0);
	CHECK(mw_arena_take(&a, 16) == first);
	mw_arena_deinit(&a);
	mw_arena_deinit(&a);
}

TEST(a_buffer_in_the_arena_refuses_to_grow)
{
	struct mw_arena a;
	mw_arena_init(&a, 64);
	struct mw_buf b = mw_arena_buf(&a, 4);
	CHECK(mw_buf_append(&b, "abcd", 4) == MW_OK);
	CHECK(mw_buf_append(&b, "e", 1) == MW_TOO_LARGE);
	CHECK(b.len == 4);
	struct mw_buf none = mw_arena_buf(&a, 1000);
	CHECK(none.max == 0 && mw_buf_append(&none, "e", 1) == MW_TOO_LARGE);
	struct mw_span copy;
	CHECK(mw_arena_copy(&a, MW_SPAN(""), &copy) && copy.at && copy.len == 0);
	CHECK(mw_arena_copy(&a, MW_SPAN("xy"), &copy) && mw_span_is(copy, "xy"));
	CHECK(!mw_arena_copy(&a, (struct mw_span){(const uint8_t *)"", 1000}, &copy));
	mw_arena_deinit(&a);
}

int main(void)
{
	RUN(bytes_stay_put_while_it_grows);
	RUN(nothing_is_taken_past_the_max);
	RUN(clear_keeps_the_first_block_for_the_next_event);
	RUN(a_buffer_in_the_arena_refuses_to_grow);
	return CHECK_END();
}
