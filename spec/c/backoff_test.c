#include "../../csrc/core/backoff.h"

#include "../../csrc/core/limits.h"
#include "check.h"

TEST(back_off_doubles_with_jitter_in_its_upper_half_and_has_an_end)
{
	const int64_t whole[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	uint64_t random = check_seed("back-off");
	for (uint32_t attempts = 1; attempts <= 9; attempts++) {
		int64_t least = INT64_MAX, most = 0;
		for (int i = 0; i < 100000; i++) {
			int64_t ms = mw_backoff_ms(attempts, check_random(&random));
			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		int64_t half = whole[attempts - 1] / 2;
		CHECK(least >= half && least < half + half / 20 + 1);
		CHECK(most <= 2 * half && most > 2 * half - half / 20 - 1);
	}
	CHECK(mw_backoff_ms(UINT32_MAX, UINT64_MAX) <= MW_BACKOFF_MAX_MS);
}

TEST(a_server_may_ask_for_more_than_the_back_off_within_bounds)
{
	CHECK(mw_backoff_pause_ms(1, 429, 7000, 0) == 7000);
	CHECK(mw_backoff_pause_ms(1, 503, 7000, 0) == 7000);
	CHECK(mw_backoff_pause_ms(1, 500, 7000, 0) == 250);
	CHECK(mw_backoff_pause_ms(1, 429, -1, 0) == 250);
	CHECK(mw_backoff_pause_ms(1, 429, 0, 0) == MW_RETRY_AFTER_MIN_MS);
	CHECK(mw_backoff_pause_ms(9, 429, 2000, 0) == 30000);
	CHECK(mw_backoff_pause_ms(1, 429, INT64_MAX, 0) == MW_RETRY_AFTER_MAX_MS);
}

int main(void)
{
	RUN(back_off_doubles_with_jitter_in_its_upper_half_and_has_an_end);
	RUN(a_server_may_ask_for_more_than_the_back_off_within_bounds);
	return CHECK_END();
}
