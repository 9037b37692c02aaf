#include "../../csrc/core/review.h"

#include "check.h"
#include "map_host.h"

static struct mw_review r;

static bool knows(uint64_t shape)
{
	return mw_review_look(&r, shape) == MW_REVIEW_PASS;
}

TEST(a_kind_of_message_is_judged_once)
{
	mw_review_init(&r, false);
	CHECK(!knows(7));
	mw_review_learn(&r, 7, 0, false);
	CHECK(knows(7) && knows(7) && !knows(8));
	CHECK(r.messages == 4 && r.judged == 2 && r.unjudged == 0 && r.shapes == 1);
}

TEST(messages_are_counted_by_verdict)
{
	mw_review_init(&r, false);
	mw_review_look(&r, 7);
	mw_review_learn(&r, 7, 3, false);
	mw_review_look(&r, 8);
	mw_review_learn(&r, 8, 0, false);
	for (int i = 0; i < 10; i++)
		CHECK(knows(7) && knows(8));
	CHECK(r.met[3] == 11 && r.met[0] == 11);
}

TEST(what_is_refused_is_judged_each_time)
{
	mw_review_init(&r, true);
	for (int i = 0; i < 3; i++) {
		CHECK(!knows(7));
		mw_review_learn(&r, 7, 3, true);
	}
	CHECK(r.met[3] == 3 && r.shapes == 0);
}

TEST(kinds_without_end_are_not_judged_without_end)
{
	mw_review_init(&r, false);
	const uint64_t n = 1000 * MW_REVIEW_EVERY;
	for (uint64_t i = 1; i <= n; i++) {
		if (!knows(i * 0x9E3779B97F4A7C15u))
			mw_review_learn(&r, i * 0x9E3779B97F4A7C15u, 0, false);
	}
	CHECK(r.judged >= 1000 && r.judged <= 1000 + MW_REVIEW_BURST);
	CHECK(r.judged + r.unjudged == n && r.messages == n);
}

TEST(a_strict_review_judges_all_the_same)
{
	mw_review_init(&r, true);
	for (uint64_t i = 1; i <= 10 * MW_REVIEW_BURST; i++) {
		CHECK(!knows(i));
		mw_review_learn(&r, i, 0, false);
	}
}

TEST(credit_comes_back)
{
	mw_review_init(&r, false);
	for (uint64_t i = 1; i <= MW_REVIEW_BURST; i++)
		CHECK(!knows(i));
	CHECK(knows(1) && r.unjudged == 1); /* unknown, but there is no credit */
	mw_review_init(&r, false);
	for (uint64_t i = 1; i <= MW_REVIEW_BURST; i++)
		mw_review_look(&r, i);
	mw_review_learn(&r, 7, 0, false);
	while (r.credit == 0)
		CHECK(knows(7));
	CHECK(!knows(8));
}

TEST(what_is_met_often_stays)
{
	/* All of one set. */
	const uint64_t step = MW_SHAPES_MAX / MW_SHAPE_WAYS;
	mw_review_init(&r, true);
	mw_review_look(&r, step);
	mw_review_learn(&r, step, 5, false);
	for (uint64_t i = 2; i < 1000; i++) {
		CHECK(!knows(i * step));
		mw_review_learn(&r, i * step, 0, false);
		CHECK(knows(step));
	}
	CHECK(r.met[5] == 999);
}

int main(void)
{
	RUN(a_kind_of_message_is_judged_once);
	RUN(messages_are_counted_by_verdict);
	RUN(what_is_refused_is_judged_each_time);
	RUN(kinds_without_end_are_not_judged_without_end);
	RUN(a_strict_review_judges_all_the_same);
	RUN(credit_comes_back);
	RUN(what_is_met_often_stays);
	return CHECK_END();
}
