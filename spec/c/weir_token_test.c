/* Lanes whose token is not there: held, released, and repeated when a token was refused. */
#include "weir_fixture.h"

static struct mw_lane *lane(const char *account)
{
	return mw_weir_lane(w, span(account));
}

static void hold(bool used, int64_t until, int64_t now)
{
	mw_weir_hold(w, &request, used, until, now);
}

static bool adds_up(const char *account, uint64_t queued)
{
	const struct mw_counts *c = &lane(account)->counts;
	return c->accepted == c->delivered + c->dead + c->queued + c->in_flight && c->queued == queued;
}

TEST(a_held_lane_waits_for_release_and_counts_no_attempt)
{
	push_many("a", 5, 0);
	CHECK(next(0) == 5);
	hold(false, 60000, 0);
	CHECK(state("a") == MW_LANE_WAITING && adds_up("a", 5) && mw_weir_stats(w).lanes_held == 1);
	push_many("a", 5000, 1); /* a full batch makes it no readier */
	CHECK(next(1) == 0 && wait_ms == 59999);
	mw_weir_hurry(w, true, 2);
	CHECK(next(2) == 0);
	mw_weir_release(w, lane("a"), 3);
	CHECK(state("a") == MW_LANE_READY && next(3) > 0 && request.attempt == 0);
	answer(200, -1, 3);
	CHECK(mw_weir_stats(w).lanes_held == 0 && mw_weir_stats(w).retries == 0);
}

TEST(a_held_lane_that_nobody_releases_asks_again)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	hold(false, 60000, 0);
	CHECK(next(59999) == 0 && next(60000) == 1);
}

TEST(a_turn_that_was_not_used_is_given_back)
{
	config.rate = 50;
	again_with_config();
	for (int i = 0; i < 100; i++) {
		char account[16];
		snprintf(account, sizeof account, "w%d", i);
		push_many(account, 1, 0);
	}
	push_many("good", 1, 0);
	int held = 0;
	while (next(0) == 1 && request.lane != lane("good")) {
		hold(false, 60000, 0);
		held++;
	}
	CHECK(held == 100 && request.lane == lane("good"));
	/* One whose request for a token leaves in its stead has used it. */
	CHECK(mw_weir_permit(w, 0) == 0);
	answer(200, -1, 0);
	push_many("last", 1, 0);
	push_many("behind", 1, 0);
	CHECK(next(0) == 0 && next(21) == 1);
	hold(true, 60000, 21);
	CHECK(next(21) == 0 && wait_ms == 21);
}

TEST(lanes_without_a_token_are_parked_and_delay_nobody)
{
	config.rate = 50;
	again_with_config();
	push_many("a", 1, 0);
	push_many("b", 1, 0);
	push_many("c", 1, 0);
	CHECK(next(0) == 1);
	answer(MW_STATUS_NO_TOKEN, -1, 0);
	CHECK(next(0) == 1);
	answer(MW_STATUS_NO_TOKEN, -1, 0);
	CHECK(next(0) == 1 && request.lane == lane("c"));
	CHECK(state("a") == MW_LANE_PARKED && !strcmp(reports, "pp") &&
	      last_report.status == MW_STATUS_NO_TOKEN);
}

TEST(what_was_refused_for_its_token_is_repeated_as_it_was)
{
	push_many("a", 5, 0);
	CHECK(next(0) == 5);
	push_many("a", 7, 0);
	mw_weir_done(w, &request, &(struct mw_answer){.status = 401, .retry_after_ms = -1, .again = true}, 1);
	CHECK(state("a") == MW_LANE_READY && !*reports && adds_up("a", 12));
	CHECK(next(1) == 5 && request.attempt == 1);
	hold(false, 1000, 1);
	CHECK(next(1) == 0);
	mw_weir_release(w, lane("a"), 2);
	CHECK(next(2) == 5 && request.attempt == 1);
	answer(401, -1, 2);
	CHECK(state("a") == MW_LANE_PARKED && !strcmp(reports, "p"));
	/* A probe's token may be refused, too. */
	CHECK(next(2 + MW_PROBE_MS) == 1);
	mw_weir_done(w, &request, &(struct mw_answer){.status = 401, .retry_after_ms = -1, .again = true},
		     3 + MW_PROBE_MS);
	CHECK(next(3 + MW_PROBE_MS) == 1 && lane("a")->parked);
	hold(false, INT64_MAX, 3 + MW_PROBE_MS);
	CHECK(mw_weir_stats(w).held == 12);
	mw_weir_release(w, lane("a"), 4 + MW_PROBE_MS);
	CHECK(next(4 + MW_PROBE_MS) == 1);
	answer(200, -1, 4 + MW_PROBE_MS);
	CHECK(!lane("a")->parked && adds_up("a", 11));
}

TEST(a_key_that_is_saved_and_a_pause_end_the_waiting)
{
	push_many("a", 2, 0);
	CHECK(next(0) == 2);
	hold(false, 60000, 0);
	mw_weir_resume(w, lane("a"), 1);
	CHECK(next(1) == 2);
	hold(false, 60000, 1);
	mw_weir_pause(w, lane("a"), 2);
	CHECK(state("a") == MW_LANE_PAUSED && next(2) == 0);
	mw_weir_release(w, lane("a"), 3);
	CHECK(state("a") == MW_LANE_PAUSED && next(3) == 0);
	mw_weir_resume(w, lane("a"), 4);
	CHECK(next(4) == 2);
	mw_weir_pause(w, lane("a"), 5); /* while it is flying */
	hold(false, 60000, 5);
	CHECK(state("a") == MW_LANE_PAUSED);
	mw_weir_resume(w, lane("a"), 6);
	CHECK(next(6) == 2);
}

int main(void)
{
	RUN_FRESH(a_held_lane_waits_for_release_and_counts_no_attempt);
	RUN_FRESH(a_held_lane_that_nobody_releases_asks_again);
	RUN_FRESH(a_turn_that_was_not_used_is_given_back);
	RUN_FRESH(lanes_without_a_token_are_parked_and_delay_nobody);
	RUN_FRESH(what_was_refused_for_its_token_is_repeated_as_it_was);
	RUN_FRESH(a_key_that_is_saved_and_a_pause_end_the_waiting);
	return CHECK_END();
}
