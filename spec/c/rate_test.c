#include "../../csrc/core/rate.h"

#include "../../csrc/core/limits.h"
#include "check.h"

static struct mw_rate rate_of(double per_second, int64_t now)
{
	struct mw_rate r;
	mw_rate_init(&r, per_second, now);
	return r;
}

TEST(the_first_may_go_at_once_and_the_second_21_ms_later)
{
	struct mw_rate r = rate_of(50, 1000);
	CHECK(mw_rate_wait(&r, 1000) == 0 && mw_rate_take(&r, 1000));
	CHECK(mw_rate_wait(&r, 1000) == 21 && !mw_rate_take(&r, 1000));
	CHECK(mw_rate_wait(&r, 1020) == 1 && !mw_rate_take(&r, 1020));
	CHECK(mw_rate_take(&r, 1021));
	CHECK(mw_rate_wait(&r, 1021) == 21);
}

TEST(idle_time_is_not_saved_up)
{
	struct mw_rate r = rate_of(50, 0);
	CHECK(mw_rate_take(&r, 60000) && !mw_rate_take(&r, 60000));
}

TEST(zero_is_unlimited_but_has_a_gate)
{
	struct mw_rate r = rate_of(0, 0);
	for (int i = 0; i < 10000; i++)
		CHECK(mw_rate_take(&r, 5));
	mw_rate_close(&r, 5, 100);
	CHECK(mw_rate_wait(&r, 5) == 100 && !mw_rate_take(&r, 104) && mw_rate_take(&r, 105));
}

/* Asked every millisecond for ten seconds. */
static bool holds_in_every_second(double per_second, uint64_t *total)
{
	static int64_t taken[200000];
	struct mw_rate r = rate_of(per_second, 0);
	size_t n = 0, first = 0;
	for (int64_t now = 0; now < 10000; now++) {
		while (mw_rate_take(&r, now))
			taken[n++] = now;
		while (first < n && taken[first] <= now - 1000)
			first++;
		if ((double)(n - first) > per_second + 0.999)
			return false;
	}
	*total = n;
	return true;
}

TEST(no_second_has_more_than_its_rate_and_few_have_much_less)
{
	const double rates[] = {1, 2, 3, 7, 20, 50, 49.5, 333, 950, 1000, 1001, 2500, 10000};
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		uint64_t total = 0;
		CHECK(holds_in_every_second(rates[i], &total));
		CHECK((double)total >= rates[i] * 10 * 0.93);
	}
}

TEST(a_closed_gate_outranks_permits)
{
	struct mw_rate r = rate_of(50, 0);
	mw_rate_close(&r, 0, 500);
	CHECK(mw_rate_wait(&r, 0) == 500 && !mw_rate_take(&r, 499) && mw_rate_take(&r, 500));
	CHECK(mw_rate_wait(&r, 500) == 21);
}

TEST(a_shorter_answer_does_not_open_the_gate_early)
{
	struct mw_rate r = rate_of(50, 0);
	mw_rate_close(&r, 0, 5000);
	mw_rate_close(&r, 100, 1000);
	CHECK(mw_rate_wait(&r, 100) == 4900);
	mw_rate_close(&r, 200, -7);
	CHECK(mw_rate_wait(&r, 200) == 4800);
	mw_rate_close(&r, 4000, 2000);
	CHECK(mw_rate_wait(&r, 4000) == 2000);
}

TEST(an_absurd_pause_is_clamped)
{
	struct mw_rate r = rate_of(50, 0);
	mw_rate_close(&r, 0, INT64_MAX);
	CHECK(mw_rate_wait(&r, 0) == MW_RETRY_AFTER_MAX_MS);
}

TEST(a_clock_that_runs_backwards_blocks_for_one_interval_only)
{
	struct mw_rate r = rate_of(50, 0);
	CHECK(mw_rate_take(&r, 3600000));
	CHECK(mw_rate_wait(&r, 0) == 22);
	CHECK(mw_rate_take(&r, 22));
	mw_rate_close(&r, 3600000, 1000);
	CHECK(mw_rate_wait(&r, 0) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_rate_wait(&r, MW_RETRY_AFTER_MAX_MS) == 0);
}

TEST(a_clock_that_stands_still_gives_one_permit)
{
	struct mw_rate r = rate_of(50, 7);
	int taken = 0;
	for (int i = 0; i < 1000; i++)
		taken += mw_rate_take(&r, 7);
	CHECK(taken == 1);
}

TEST(extreme_rates_do_not_overflow)
{
	struct mw_rate slow = rate_of(1e-300, 0), fast = rate_of(1e300, 0);
	CHECK(mw_rate_take(&slow, 0) && mw_rate_wait(&slow, 0) > 0);
	CHECK(mw_rate_take(&fast, 0) && mw_rate_take(&fast, 0));
}

int main(void)
{
	RUN(the_first_may_go_at_once_and_the_second_21_ms_later);
	RUN(idle_time_is_not_saved_up);
	RUN(zero_is_unlimited_but_has_a_gate);
	RUN(no_second_has_more_than_its_rate_and_few_have_much_less);
	RUN(a_closed_gate_outranks_permits);
	RUN(a_shorter_answer_does_not_open_the_gate_early);
	RUN(an_absurd_pause_is_clamped);
	RUN(a_clock_that_runs_backwards_blocks_for_one_interval_only);
	RUN(a_clock_that_stands_still_gives_one_permit);
	RUN(extreme_rates_do_not_overflow);
	return CHECK_END();
}
