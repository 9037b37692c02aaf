#include "../../csrc/core/grant.h"
#include "../../csrc/core/lane.h"
#include "check.h"

static const int64_t HOUR = 3600000;

static struct mw_grant_answer token(int64_t life_ms)
{
	return (struct mw_grant_answer){.status = 200, .life_ms = life_ms, .retry_after_ms = -1};
}

static struct mw_grant_answer failure(int status, int64_t retry_after_ms)
{
	return (struct mw_grant_answer){.status = status, .retry_after_ms = retry_after_ms};
}

static bool done(struct mw_grant *g, struct mw_grant_answer a, int64_t now)
{
	return mw_grant_done(g, &a, 0, now);
}

static bool says(const struct mw_grant *g, int64_t now, enum mw_grant_verdict verdict, bool start)
{
	struct mw_grant_say say = mw_grant_ask(g, now);
	return say.verdict == verdict && say.start == start;
}

/* One with a token from `now` on. */
static struct mw_grant with_token(int64_t life_ms, int64_t now)
{
	struct mw_grant g = {0};
	mw_grant_sent(&g);
	done(&g, token(life_ms), now);
	return g;
}

TEST(many_ask_and_one_request_leaves)
{
	struct mw_grant g = {0};
	CHECK(says(&g, 0, MW_GRANT_WAIT, true));
	mw_grant_sent(&g);
	for (int i = 0; i < 1000; i++)
		CHECK(says(&g, i, MW_GRANT_WAIT, false));
	CHECK(mw_grant_ask(&g, 7).until == 7 + MW_GRANT_PATIENCE_MS);
	CHECK(done(&g, token(HOUR), 1000) && g.generation == 1);
	CHECK(says(&g, 1000, MW_GRANT_USE, false));
}

TEST(a_token_is_replaced_at_half_its_life_with_jitter_and_used_until_then)
{
	struct mw_grant early = {0}, late = {0};
	struct mw_grant_answer a = token(HOUR);
	mw_grant_sent(&early);
	mw_grant_sent(&late);
	mw_grant_done(&early, &a, 0, 0);
	mw_grant_done(&late, &a, (uint64_t)HOUR / 10, 0);
	CHECK(early.refresh_at == HOUR / 2 - HOUR / 20 && late.refresh_at == HOUR / 2 + HOUR / 20);
	CHECK(says(&early, early.refresh_at - 1, MW_GRANT_USE, false));
	CHECK(says(&early, early.refresh_at, MW_GRANT_USE, true));
	mw_grant_sent(&early);
	CHECK(says(&early, early.refresh_at + 1, MW_GRANT_USE, false));
	CHECK(says(&early, early.until - 1, MW_GRANT_USE, false));
	CHECK(says(&early, early.until, MW_GRANT_WAIT, false));
	CHECK(early.until == HOUR - MW_GRANT_MARGIN_MS);
}

TEST(nobody_asks_and_nothing_is_fetched)
{
	struct mw_grant g = with_token(HOUR, 0);
	CHECK(!g.in_flight && says(&g, 100 * HOUR, MW_GRANT_WAIT, true));
}

TEST(a_failed_refresh_leaves_the_token_in_use)
{
	struct mw_grant g = with_token(HOUR / 3, 0);
	mw_grant_sent(&g);
	done(&g, failure(503, -1), HOUR / 6);
	CHECK(says(&g, HOUR / 6, MW_GRANT_USE, false) && g.retry_at > HOUR / 6);
	CHECK(says(&g, g.retry_at, MW_GRANT_USE, true));
	mw_grant_sent(&g);
	done(&g, failure(400, -1), g.retry_at);
	CHECK(says(&g, g.until - 1, MW_GRANT_USE, false) && says(&g, g.until, MW_GRANT_REFUSED, false));
}

TEST(back_off_grows_and_the_servers_wish_counts)
{
	struct mw_grant g = {0};
	mw_grant_sent(&g);
	done(&g, failure(MW_STATUS_NETWORK, -1), 0);
	CHECK(g.retry_at == MW_BACKOFF_BASE_MS / 2 && says(&g, 0, MW_GRANT_WAIT, false));
	CHECK(mw_grant_ask(&g, 0).until == g.retry_at);
	mw_grant_sent(&g);
	done(&g, failure(500, -1), 0);
	CHECK(g.retry_at == MW_BACKOFF_BASE_MS);
	mw_grant_sent(&g);
	done(&g, failure(429, 120000), 0);
	CHECK(g.retry_at == 120000 && says(&g, 119999, MW_GRANT_WAIT, false) &&
	      says(&g, 120000, MW_GRANT_WAIT, true));
	for (int i = 0; i < 100; i++) {
		mw_grant_sent(&g);
		done(&g, failure(503, -1), 0);
	}
	CHECK(g.retry_at == MW_BACKOFF_MAX_MS / 2);
	mw_grant_sent(&g);
	CHECK(done(&g, token(HOUR), 0) && g.failures == 0);
}

TEST(an_answer_without_a_token_is_a_failure)
{
	struct mw_grant g = {0};
	mw_grant_sent(&g);
	CHECK(!done(&g, token(0), 0) && !g.has_token && g.retry_at > 0 && says(&g, 0, MW_GRANT_WAIT, false));
}

TEST(a_refusal_holds_for_a_quarter_of_an_hour_or_until_the_app_is_saved)
{
	static const int statuses[] = {400, 401, 403, 404, 415, 301, 501};
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct mw_grant g = {0};
		mw_grant_sent(&g);
		done(&g, failure(statuses[i], -1), 5);
		CHECK(says(&g, 5, MW_GRANT_REFUSED, false));
		CHECK(says(&g, 4 + MW_PROBE_MS, MW_GRANT_REFUSED, false));
		CHECK(says(&g, 5 + MW_PROBE_MS, MW_GRANT_WAIT, true));
		mw_grant_reset(&g);
		CHECK(says(&g, 6, MW_GRANT_WAIT, true));
	}
}

TEST(clocks_that_differ_are_corrected_and_tried_again_once)
{
	static const int64_t skews[] = {600000, -600000};
	for (int i = 0; i < 2; i++) {
		struct mw_grant g = {0};
		struct mw_grant_answer a = failure(400, -1);
		a.has_date = true;
		a.skew_ms = skews[i];
		mw_grant_sent(&g);
		mw_grant_done(&g, &a, 0, 10);
		CHECK(g.skew_ms == skews[i] && says(&g, 10, MW_GRANT_WAIT, true));
		mw_grant_sent(&g);
		mw_grant_done(&g, &a, 0, 20);
		CHECK(says(&g, 20, MW_GRANT_REFUSED, false));
	}
	/* A clock that never stands still is no reason to ask for ever. */
	struct mw_grant g = {0};
	int requests = 0;
	while (mw_grant_ask(&g, 0).start && requests < 10) {
		struct mw_grant_answer a = failure(400, -1);
		a.has_date = true;
		a.skew_ms = 100000 * ++requests;
		mw_grant_sent(&g);
		mw_grant_done(&g, &a, 0, 0);
	}
	CHECK(requests == 2);
}

TEST(a_401_voids_the_token_once)
{
	struct mw_grant g = with_token(HOUR, 0);
	CHECK(mw_grant_reject(&g, 1, 1000) && !g.has_token);
	CHECK(mw_grant_reject(&g, 1, 1001)); /* the other lanes that were on their way with it */
	CHECK(says(&g, 1001, MW_GRANT_WAIT, true));
	mw_grant_sent(&g);
	done(&g, token(HOUR), 2000);
	CHECK(mw_grant_reject(&g, 1, 2001) && g.has_token); /* an answer from before */
	CHECK(!mw_grant_reject(&g, 2, 2002) && g.has_token);
	CHECK(!mw_grant_reject(&g, 2, 1999 + MW_GRANT_FRESH_MS));
	CHECK(mw_grant_reject(&g, 2, 2000 + MW_GRANT_FRESH_MS) && !g.has_token);
}

TEST(an_app_saved_anew_makes_the_answer_on_its_way_worthless)
{
	struct mw_grant g = with_token(HOUR, 0);
	mw_grant_sent(&g);
	mw_grant_reset(&g);
	CHECK(says(&g, 1, MW_GRANT_WAIT, false)); /* one in flight, as ever */
	CHECK(!done(&g, token(HOUR), 2) && !g.has_token && says(&g, 2, MW_GRANT_WAIT, true));
	mw_grant_sent(&g);
	mw_grant_reset(&g);
	done(&g, failure(400, -1), 3);
	CHECK(says(&g, 3, MW_GRANT_WAIT, true));
}

TEST(a_request_that_got_no_permit_is_no_failure)
{
	struct mw_grant g = {0};
	mw_grant_sent(&g);
	done(&g, failure(MW_STATUS_UNSENT, -1), 0);
	CHECK(g.failures == 0 && says(&g, 0, MW_GRANT_WAIT, false) && says(&g, 100, MW_GRANT_WAIT, true));
}

TEST(lives_of_any_length_are_borne)
{
	struct mw_grant g = with_token(INT64_MAX, 0);
	CHECK(g.until <= MW_GRANT_LIFE_MAX_MS);
	g = with_token(1, 0);
	CHECK(says(&g, 0, MW_GRANT_USE, false) && says(&g, 1, MW_GRANT_WAIT, false) &&
	      says(&g, MW_BACKOFF_BASE_MS, MW_GRANT_WAIT, true));
}

int main(void)
{
	RUN(many_ask_and_one_request_leaves);
	RUN(a_token_is_replaced_at_half_its_life_with_jitter_and_used_until_then);
	RUN(nobody_asks_and_nothing_is_fetched);
	RUN(a_failed_refresh_leaves_the_token_in_use);
	RUN(back_off_grows_and_the_servers_wish_counts);
	RUN(an_answer_without_a_token_is_a_failure);
	RUN(a_refusal_holds_for_a_quarter_of_an_hour_or_until_the_app_is_saved);
	RUN(clocks_that_differ_are_corrected_and_tried_again_once);
	RUN(a_401_voids_the_token_once);
	RUN(an_app_saved_anew_makes_the_answer_on_its_way_worthless);
	RUN(a_request_that_got_no_permit_is_no_failure);
	RUN(lives_of_any_length_are_borne);
	return CHECK_END();
}
