#include "lane.h"

uint32_t mw_lane_batch_max(const struct mw_lane *lane, uint32_t count_max)
{
	uint32_t limit = count_max > 0 ? count_max : 1;
	/* A probe asks whether the key works; one message is enough to ask with. */
	if (lane->parked)
		return 1;
	if (lane->again)
		return lane->again;
	if (lane->suspects && lane->suspects / 2 < limit)
		limit = lane->suspects > 1 ? lane->suspects / 2 : 1;
	if (lane->batch_cap && lane->batch_cap < limit)
		limit = lane->batch_cap;
	return limit;
}

bool mw_lane_is_full(const struct mw_lane *lane, size_t bytes_max, uint32_t count_max)
{
	uint64_t count = mw_lane_load(lane);
	if (count == 0)
		return false;
	/* A search or a repeat goes on with what is there. */
	return lane->suspects || count >= mw_lane_batch_max(lane, count_max) ||
	       lane->bytes + count - 1 >= bytes_max;
}

bool mw_lane_is_laden(const struct mw_lane *lane, size_t bytes_max, uint32_t count_max)
{
	uint64_t count = mw_lane_load(lane);
	return !lane->suspects && count > 0 && (count >= count_max || lane->bytes + count - 1 >= bytes_max);
}

void mw_lane_learn_delivered(struct mw_lane *lane, uint32_t count, uint32_t count_max)
{
	lane->suspects -= lane->suspects < count ? lane->suspects : count;
	if (lane->batch_cap) {
		lane->batch_cap += lane->batch_cap / 8 + 1;
		if (lane->batch_cap >= count_max)
			lane->batch_cap = 0;
	}
}

void mw_lane_learn_refused(struct mw_lane *lane, uint32_t count)
{
	lane->suspects = count;
}

void mw_lane_learn_too_large(struct mw_lane *lane, uint32_t count)
{
	lane->batch_cap = count > 1 ? count / 2 : 1;
}

/* The dead may have been the culprits: nothing is known of those behind them. */
void mw_lane_learn_dead(struct mw_lane *lane)
{
	lane->suspects = 0;
}
