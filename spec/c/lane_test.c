#include "../../csrc/core/lane.h"

#include "check.h"

/* So many messages of ten bytes. */
static struct mw_lane lane_with(uint64_t count)
{
	return (struct mw_lane){.counts = {.accepted = count, .queued = count}, .bytes = 10 * count};
}

TEST(a_lane_is_full_when_more_would_change_nothing)
{
	struct mw_lane lane = lane_with(3); /* 32 bytes with commas */
	CHECK(!mw_lane_is_full(&lane, 1000, 4) && mw_lane_is_full(&lane, 1000, 3));
	CHECK(!mw_lane_is_full(&lane, 33, 100) && mw_lane_is_full(&lane, 32, 100));
	lane.batch_cap = 3;
	CHECK(mw_lane_is_full(&lane, 1000, 100));
	lane.batch_cap = 0;
	lane.suspects = 2;
	CHECK(mw_lane_is_full(&lane, 1000, 100));
	lane.suspects = 0;
	lane.parked = true;
	CHECK(mw_lane_is_full(&lane, 1000, 100) && mw_lane_batch_max(&lane, 100) == 1);
	lane.parked = false;
	lane.again = 2;
	CHECK(mw_lane_is_full(&lane, 1000, 100) && mw_lane_batch_max(&lane, 100) == 2);
}

/* The example of lane.h, step by step. */
TEST(a_search_halves_the_suspects)
{
	struct mw_lane lane = lane_with(8);
	mw_lane_learn_refused(&lane, 8);
	CHECK(mw_lane_batch_max(&lane, 100) == 4);
	mw_lane_learn_delivered(&lane, 4, 100);
	CHECK(lane.suspects == 4 && mw_lane_batch_max(&lane, 100) == 2);
	mw_lane_learn_refused(&lane, 2);
	CHECK(lane.suspects == 2 && mw_lane_batch_max(&lane, 100) == 1);
	mw_lane_learn_delivered(&lane, 1, 100);
	CHECK(lane.suspects == 1 && mw_lane_batch_max(&lane, 100) == 1);
	mw_lane_learn_dead(&lane);
	CHECK(lane.suspects == 0 && mw_lane_batch_max(&lane, 100) == 100);
}

TEST(a_cap_halves_at_once_and_grows_back_slowly)
{
	struct mw_lane lane = lane_with(200);
	mw_lane_learn_too_large(&lane, 200);
	CHECK(lane.batch_cap == 100 && mw_lane_batch_max(&lane, 200) == 100);
	mw_lane_learn_delivered(&lane, 100, 200);
	CHECK(lane.batch_cap == 113);
	mw_lane_learn_too_large(&lane, 1);
	CHECK(lane.batch_cap == 1);
	int successes = 0;
	for (; lane.batch_cap; successes++)
		mw_lane_learn_delivered(&lane, 1, 200);
	CHECK(successes > 10 && successes < 60);
}

int main(void)
{
	RUN(a_lane_is_full_when_more_would_change_nothing);
	RUN(a_search_halves_the_suspects);
	RUN(a_cap_halves_at_once_and_grows_back_slowly);
	return CHECK_END();
}
