/* Parking and pausing: every way in and out. */
#include "weir_fixture.h"

static void park(const char *account, int64_t now)
{
	push_many(account, 5, now);
	next(now);
	answer(401, -1, now);
}

TEST(a_refused_key_parks_the_lane_and_keeps_its_messages)
{
	park("a", 0);
	CHECK(!strcmp(reports, "p") && last_report.status == 401 && last_report.message.len == 0);
	CHECK(state("a") == MW_LANE_PARKED && mw_weir_stats(w).held == 5 &&
	      mw_weir_stats(w).lanes_parked == 1);
	push_many("a", 1, 1);
	CHECK(next(1) == 0 && wait_ms == MW_PROBE_MS - 1);
	CHECK(next(MW_PROBE_MS) == 1); /* a probe is one message */
	answer(403, -1, MW_PROBE_MS);
	CHECK(!strcmp(reports, "p") && next(2 * MW_PROBE_MS - 1) == 0 && next(2 * MW_PROBE_MS) == 1);
	answer(200, -1, 2 * MW_PROBE_MS);
	CHECK(!strcmp(reports, "pd") && mw_weir_stats(w).held == 0 && next(2 * MW_PROBE_MS) == 5);
}

TEST(a_new_key_lets_a_parked_lane_send_at_once)
{
	park("a", 0);
	mw_weir_resume(w, request.lane, 10);
	CHECK(state("a") == MW_LANE_READY && next(10) == 5);
	answer(401, -1, 10);
	CHECK(!strcmp(reports, "pp")); /* the new one is no better: that is news */
	mw_weir_resume(w, request.lane, 20);
	mw_weir_resume(w, request.lane, 20);
	CHECK(next(20) == 5 && next(20) == 0);
}

TEST(a_new_key_saved_in_flight_counts_when_the_answer_comes)
{
	push_many("a", 5, 0);
	CHECK(next(0) == 5);
	mw_weir_resume(w, request.lane, 1);
	answer(401, -1, 2); /* of the old key */
	CHECK(!*reports && state("a") == MW_LANE_READY && next(2) == 5);
	answer(401, -1, 3); /* of the new one */
	CHECK(!strcmp(reports, "p") && state("a") == MW_LANE_PARKED);
	/* The same while a probe is flying. */
	CHECK(next(3 + MW_PROBE_MS) == 1);
	mw_weir_resume(w, request.lane, 4 + MW_PROBE_MS);
	answer(401, -1, 5 + MW_PROBE_MS);
	CHECK(!strcmp(reports, "p") && next(5 + MW_PROBE_MS) == 5);
}

TEST(a_lane_without_a_key_is_parked_too)
{
	push_many("a", 5, 0);
	CHECK(next(0) == 5);
	answer(MW_STATUS_NO_KEY, -1, 0);
	CHECK(!strcmp(reports, "p") && last_report.status == MW_STATUS_NO_KEY &&
	      state("a") == MW_LANE_PARKED);
	CHECK(request.lane->requests == 0 && mw_weir_stats(w).answers == 0);
}

TEST(a_probe_that_fails_otherwise_stays_a_probe_and_kills_nothing)
{
	config.retries_max = 1;
	again_with_config();
	park("a", 0);
	int64_t now = MW_PROBE_MS;
	for (int i = 0; i < 10; i++, now += 60000) {
		CHECK(next(now) == 1);
		answer(503, -1, now);
		CHECK(state("a") == MW_LANE_PARKED && !strcmp(reports, "p"));
	}
	CHECK(next(now) == 1);
	answer(200, -1, now);
	CHECK(next(now) == 4);
}

TEST(a_pause_holds_a_lane_in_any_state_until_resume)
{
	struct mw_lane *lane;
	push_many("a", 2, 0);
	lane = mw_weir_lane(w, span("a"));
	mw_weir_pause(w, lane, 0); /* READY */
	mw_weir_pause(w, lane, 0);
	CHECK(state("a") == MW_LANE_PAUSED && next(0) == 0 && wait_ms == INT64_MAX);
	CHECK(push("a", "{}", 0) && next(MW_PROBE_MS) == 0 && mw_weir_stats(w).held == 3);
	mw_weir_resume(w, lane, 0);
	CHECK(next(0) == 3);
	mw_weir_pause(w, lane, 0); /* FLYING: runs to its end */
	CHECK(state("a") == MW_LANE_FLYING);
	answer(200, -1, 0);
	CHECK(!strcmp(reports, "ddd") && state("a") == MW_LANE_PAUSED);
	CHECK(push("a", "{}", 0) && next(0) == 0);
	mw_weir_resume(w, lane, 0);
	CHECK(next(0) == 1);
	answer(200, -1, 0);
	mw_weir_pause(w, lane, 0); /* EMPTY */
	CHECK(push("a", "{}", 0) && next(0) == 0);
	mw_weir_resume(w, lane, 0);
	CHECK(next(0) == 1);
}

TEST(a_pause_taken_back_in_flight_never_was)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	mw_weir_pause(w, request.lane, 0);
	mw_weir_resume(w, request.lane, 0);
	answer(200, -1, 0);
	CHECK(state("a") == MW_LANE_EMPTY && push("a", "{}", 0) && next(0) == 1);
	mw_weir_pause(w, request.lane, 0);
	answer(MW_STATUS_UNSENT, -1, 0);
	CHECK(state("a") == MW_LANE_PAUSED && next(0) == 0);
}

TEST(neither_pause_nor_resume_ends_a_back_off)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	struct mw_lane *lane = request.lane;
	answer(429, 10000, 0);
	mw_weir_resume(w, lane, 1);
	CHECK(state("a") == MW_LANE_WAITING && next(1) == 0);
	mw_weir_pause(w, lane, 2);
	CHECK(next(20) == 0 && wait_ms == INT64_MAX);
	mw_weir_resume(w, lane, 3);
	CHECK(state("a") == MW_LANE_WAITING && next(9999) == 0 && next(10000) == 1);
	CHECK(mw_weir_stats(w).lanes_backing_off == 0);
}

TEST(a_lane_is_failing_from_its_failure_to_its_success_but_not_while_it_is_parked_or_paused)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1 && mw_weir_stats(w).lanes_failing == 0);
	struct mw_lane *lane = request.lane;
	answer(503, -1, 0);
	CHECK(mw_weir_stats(w).lanes_failing == 1);
	mw_weir_pause(w, lane, 0);
	CHECK(mw_weir_stats(w).lanes_failing == 0);
	mw_weir_resume(w, lane, 0);
	CHECK(next(60000) == 1 && mw_weir_stats(w).lanes_failing == 1);
	answer(200, -1, 60000);
	CHECK(mw_weir_stats(w).lanes_failing == 0);
	CHECK(push("a", "{}", 60000) && next(60000) == 1);
	answer(401, -1, 60000);
	CHECK(state("a") == MW_LANE_PARKED && next(60000 + MW_PROBE_MS) == 1);
	answer(503, -1, 60000 + MW_PROBE_MS);
	CHECK(state("a") == MW_LANE_PARKED && mw_weir_stats(w).lanes_failing == 0);
}

TEST(a_paused_lane_that_is_parked_waits_for_resume)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	mw_weir_pause(w, request.lane, 0);
	answer(401, -1, 0);
	CHECK(!strcmp(reports, "p") && state("a") == MW_LANE_PAUSED && next(MW_PROBE_MS) == 0);
	mw_weir_resume(w, request.lane, 1);
	CHECK(next(1) == 1);
	park("b", 2);
	struct mw_lane *b = mw_weir_lane(w, span("b"));
	mw_weir_pause(w, b, 3); /* PARKED */
	CHECK(next(MW_PROBE_MS + 2) == 0);
	mw_weir_resume(w, b, 4);
	CHECK(next(4) == 5);
}

TEST(what_a_parked_or_paused_lane_holds_can_be_withdrawn)
{
	park("a", 0);
	push_many("good", 2, 0);
	CHECK(next(0) == 2);
	struct mw_request good = request;
	struct mw_lane *lane = mw_weir_lane(w, span("a"));
	CHECK(mw_weir_withdraw(w, good.lane) == 0);
	CHECK(mw_weir_withdraw(w, lane) == 5 && !strcmp(reports, "pwwwww") && last_report.tag == 7);
	struct mw_weir_stats s = mw_weir_stats(w);
	CHECK(s.counts.accepted == 2 && s.counts.queued == 0 && s.counts.in_flight == 2 && s.held == 0);
	CHECK(s.queued_bytes == 4 && queues.bytes == 4 && lane->bytes == 0 && lane->counts.accepted == 0);
	CHECK(mw_weir_withdraw(w, lane) == 0 && state("a") == MW_LANE_PARKED);
	/* When its probe is due it is empty, and what comes then is the probe. */
	CHECK(next(MW_PROBE_MS) == 0 && state("a") == MW_LANE_EMPTY);
	push_many("a", 3, MW_PROBE_MS);
	CHECK(next(MW_PROBE_MS) == 1 && request.lane == lane);
	CHECK(mw_weir_withdraw(w, lane) == 0); /* not in flight */
	answer(401, -1, MW_PROBE_MS);
	CHECK(mw_weir_withdraw(w, lane) == 3);
	/* A new key wakes it, empty or not. */
	mw_weir_resume(w, lane, MW_PROBE_MS + 1);
	CHECK(state("a") == MW_LANE_EMPTY);
	push_many("a", 4, MW_PROBE_MS + 1);
	CHECK(next(MW_PROBE_MS + 1) == 4);
	answer(200, -1, MW_PROBE_MS + 1);
	mw_weir_pause(w, lane, MW_PROBE_MS + 2);
	push_many("a", 2, MW_PROBE_MS + 2);
	CHECK(mw_weir_withdraw(w, lane) == 2 && state("a") == MW_LANE_PAUSED);
	CHECK(mw_weir_stats(w).counts.accepted == 6 && mw_weir_stats(w).counts.delivered == 4);
}

int main(void)
{
	RUN_FRESH(a_refused_key_parks_the_lane_and_keeps_its_messages);
	RUN_FRESH(a_new_key_lets_a_parked_lane_send_at_once);
	RUN_FRESH(a_new_key_saved_in_flight_counts_when_the_answer_comes);
	RUN_FRESH(a_lane_without_a_key_is_parked_too);
	RUN_FRESH(a_probe_that_fails_otherwise_stays_a_probe_and_kills_nothing);
	RUN_FRESH(a_pause_holds_a_lane_in_any_state_until_resume);
	RUN_FRESH(a_pause_taken_back_in_flight_never_was);
	RUN_FRESH(neither_pause_nor_resume_ends_a_back_off);
	RUN_FRESH(a_lane_is_failing_from_its_failure_to_its_success_but_not_while_it_is_parked_or_paused);
	RUN_FRESH(a_paused_lane_that_is_parked_waits_for_resume);
	RUN_FRESH(what_a_parked_or_paused_lane_holds_can_be_withdrawn);
	return CHECK_END();
}
