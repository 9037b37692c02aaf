#include "lane.h"

int64_t mw_lane_backoff(uint32_t attempts, uint64_t random)
{
	int64_t whole = MW_BACKOFF_BASE_MS;
	for (uint32_t i = 1; i < attempts && whole < MW_BACKOFF_MAX_MS; i++)
		whole *= 2;
	if (whole > MW_BACKOFF_MAX_MS)
		whole = MW_BACKOFF_MAX_MS;
	int64_t half = whole / 2;
	return half + (int64_t)(random % (uint64_t)(whole - half + 1));
}

int64_t mw_lane_pause_ms(uint32_t attempts, int status, int64_t retry_after_ms, uint64_t random)
{
	int64_t pause_ms = mw_lane_backoff(attempts, random);
	if (retry_after_ms < 0 || (status != 429 && status != 503))
		return pause_ms;
	if (retry_after_ms < MW_RETRY_AFTER_MIN_MS)
		retry_after_ms = MW_RETRY_AFTER_MIN_MS;
	if (retry_after_ms > MW_RETRY_AFTER_MAX_MS)
		retry_after_ms = MW_RETRY_AFTER_MAX_MS;
	return retry_after_ms > pause_ms ? retry_after_ms : pause_ms;
}

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
