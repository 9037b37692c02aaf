#include "../../csrc/core/timers.h"

#include "check.h"

enum { LANES = 300 };

TEST(the_first_due_comes_first_whatever_was_added_and_removed)
{
	static struct mw_lane *lanes[LANES];
	uint64_t random = check_seed("timers");
	struct mw_timers t;
	mw_timers_init(&t);
	CHECK(!mw_timers_first(&t) && mw_timers_reserve(&t, LANES));
	for (int i = 0; i < LANES; i++) {
		lanes[i] = calloc(1, sizeof *lanes[i]);
		CHECK(lanes[i]);
		lanes[i]->heap_at = UINT32_MAX;
	}
	for (int step = 0; step < 100000; step++) {
		struct mw_lane *lane = lanes[check_random(&random) % LANES];
		if (lane->heap_at == UINT32_MAX) {
			lane->due = (int64_t)(check_random(&random) % 1000);
			mw_timers_add(&t, lane);
		} else {
			mw_timers_remove(&t, lane);
			mw_timers_remove(&t, lane);
			CHECK(lane->heap_at == UINT32_MAX);
		}
		/* The heap's own rule, at every node. */
		for (uint32_t i = 0; step % 10 == 0 && i < t.count; i++) {
			CHECK(t.heap[i]->heap_at == i);
			CHECK(i == 0 || t.heap[(i - 1) / 2]->due <= t.heap[i]->due);
		}
	}
	int64_t last = -1;
	for (struct mw_lane *lane; (lane = mw_timers_first(&t));) {
		CHECK(lane->due >= last);
		last = lane->due;
		mw_timers_remove(&t, lane);
	}
	mw_timers_deinit(&t);
	for (int i = 0; i < LANES; i++)
		free(lanes[i]);
}

int main(void)
{
	RUN(the_first_due_comes_first_whatever_was_added_and_removed);
	return CHECK_END();
}
