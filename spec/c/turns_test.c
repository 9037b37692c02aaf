#include "../../csrc/core/slots.h"

#include "../../csrc/core/limits.h"
#include "check.h"

/* The script's clock is an hour ahead of ours: it must not matter. */
static const int64_t HOUR_US = INT64_C(3600) * 1000000;

static struct mw_slots slots_of(double per_second)
{
	struct mw_slots s;
	mw_slots_init(&s, per_second);
	return s;
}

static bool asks(struct mw_slots *s, uint32_t wanted, int64_t now_us, struct mw_slots_ask *a)
{
	int64_t wait;
	return mw_slots_ask(s, wanted, now_us, a, &wait);
}

/* Asked at `asked` and answered at `answered`: so many slots from `ahead` on, the script in the middle. */
static enum mw_slots_verdict lease(struct mw_slots *s, int64_t asked, int64_t answered, int64_t ahead,
				   uint32_t count)
{
	struct mw_slots_ask a;
	if (!asks(s, 100, asked, &a))
		return MW_SLOTS_LATE;
	return mw_slots_grant(s,
			      &(struct mw_lease){.clock_us = HOUR_US + (asked + answered) / 2,
						 .ahead_us = ahead,
						 .count = count,
						 .interval_us = a.interval_us},
			      answered);
}

TEST(without_slots_nothing_may_go)
{
	struct mw_slots s = slots_of(50);
	CHECK(mw_slots_wait(&s, 1000) == MW_SLOTS_NONE && mw_slots_take(&s, 1000) == MW_SLOTS_NONE);
}

TEST(slots_are_as_far_apart_as_window_and_jitter_ask_for)
{
	struct mw_slots s = slots_of(50);
	struct mw_slots_ask a;
	CHECK(asks(&s, 1, 0, &a));
	CHECK(a.count == 1 && a.gate_ms == 0 && !a.anew);
	CHECK(50 * a.interval_us >= 1000 * (1000 + MW_SLOT_WINDOW_MS + MW_SLOT_JITTER_MS));
	CHECK(a.interval_us <= 21601);
}

TEST(a_slot_is_good_from_the_answer_on_until_its_window_after_the_question)
{
	struct mw_slots s = slots_of(50);
	CHECK(lease(&s, 1000000, 1004000, 100000, 1) == MW_SLOTS_TAKEN);
	CHECK(mw_slots_wait(&s, 1004) == 100 && mw_slots_wait(&s, 1103) == 1);
	struct mw_slots late = s;
	CHECK(mw_slots_take(&s, 1104) == 0 && mw_slots_take(&s, 1104) == MW_SLOTS_NONE);
	/* 1,000 ms and 100 and 30: the millisecond that begins at 1,129 is the last that lies within. */
	struct mw_slots last = late;
	CHECK(mw_slots_take(&last, 1129) == 0);
	CHECK(mw_slots_take(&late, 1130) == MW_SLOTS_NONE && late.missed == 1);
}

TEST(slots_of_one_answer_follow_each_other)
{
	struct mw_slots s = slots_of(50);
	CHECK(lease(&s, 0, 1000, 0, 3) == MW_SLOTS_TAKEN);
	CHECK(mw_slots_take(&s, 1) == 0 && mw_slots_take(&s, 1) == 22 && mw_slots_take(&s, 23) == 0);
	CHECK(mw_slots_take(&s, 23) == 22);
	CHECK(mw_slots_take(&s, 200) == MW_SLOTS_NONE && s.missed == 1);
}

TEST(only_what_is_needed_is_asked_for_and_once_at_a_time)
{
	struct mw_slots s = slots_of(50);
	struct mw_slots_ask a;
	int64_t wait;
	CHECK(!mw_slots_ask(&s, 0, 0, &a, &wait) && wait == MW_SLOTS_NONE);
	CHECK(asks(&s, 3, 0, &a) && a.count == 3);
	CHECK(!asks(&s, 1000, 1000, &a));
	mw_slots_grant(&s, &(struct mw_lease){.clock_us = 500, .count = 3, .interval_us = a.interval_us},
		       1000);
	CHECK(!mw_slots_ask(&s, 3, 2000, &a, &wait) && wait == MW_SLOTS_NONE);
	CHECK(!mw_slots_ask(&s, 5, 2000, &a, &wait) && wait == 9);
	CHECK(asks(&s, 5, 11000, &a) && a.count == 2);
	mw_slots_grant(&s, &(struct mw_lease){.clock_us = 11500, .retry_us = 177000}, 12000);
	CHECK(!mw_slots_ask(&s, 5, 13000, &a, &wait) && wait == 176);
	s = slots_of(50);
	CHECK(asks(&s, 1000, 0, &a) && a.count == 8);
	struct mw_slots fast = slots_of(5000);
	CHECK(asks(&fast, 10000, 0, &a) && a.count == 800);
}

TEST(while_there_are_too_few_all_ask_at_one_pace)
{
	int64_t least = MW_SLOTS_NONE, most = 0;
	for (int64_t i = 0; i < 1000; i++) {
		struct mw_slots s = slots_of(50);
		struct mw_slots_ask a;
		int64_t wait;
		CHECK(asks(&s, 8, 0, &a));
		mw_slots_grant(&s,
			       &(struct mw_lease){.clock_us = HOUR_US + i * 777,
						  .count = (uint32_t)i % 8,
						  .interval_us = 21600},
			       1000);
		CHECK(!mw_slots_ask(&s, 8, 1000, &a, &wait));
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	CHECK(least >= 50 && least < 60 && most <= 150 && most > 140);
}

TEST(an_answer_that_took_longer_than_the_window_is_of_no_use)
{
	struct mw_slots s = slots_of(50);
	CHECK(lease(&s, 0, 29000, 0, 4) == MW_SLOTS_LATE);
	CHECK(mw_slots_wait(&s, 29) == MW_SLOTS_NONE);
	struct mw_slots_ask a;
	int64_t wait;
	CHECK(!mw_slots_ask(&s, 1, 30000, &a, &wait) && wait > 0 && wait <= 50);
}

TEST(failures_are_asked_again_less_and_less_often)
{
	struct mw_slots s = slots_of(50);
	struct mw_slots_ask a;
	int64_t now = 0, wait, last = 0;
	for (int i = 0; i < 10; i++) {
		CHECK(mw_slots_ask(&s, 1, now, &a, &wait));
		mw_slots_failed(&s, now);
		CHECK(!mw_slots_ask(&s, 1, now, &a, &wait) && wait >= last && wait <= 1000);
		last = wait;
		now += wait * 1000;
	}
	CHECK(last == 1000);
}

TEST(a_closed_gate_outranks_slots_and_is_told_once)
{
	struct mw_slots s = slots_of(50);
	struct mw_slots_ask a;
	CHECK(lease(&s, 0, 1000, 0, 1) == MW_SLOTS_TAKEN);
	mw_slots_close(&s, 2, 5000);
	CHECK(mw_slots_take(&s, 3) == 4999);
	CHECK(asks(&s, 3, 20000, &a) && a.count == 0 && a.gate_ms == 4982);
	mw_slots_grant(&s, &(struct mw_lease){.clock_us = HOUR_US + 20500, .gate_us = 4982000}, 21000);
	int64_t wait;
	CHECK(!mw_slots_ask(&s, 3, 40000, &a, &wait) && wait >= 4962 && wait <= 4965);
	CHECK(asks(&s, 3, 5006000, &a) && a.count == 3 && a.gate_ms == 0);
}

TEST(a_gate_that_another_host_closed_holds_here_and_is_not_told_again)
{
	struct mw_slots s = slots_of(50);
	struct mw_slots_ask a;
	CHECK(asks(&s, 1, 0, &a));
	mw_slots_grant(&s, &(struct mw_lease){.gate_us = 2000000}, 1000);
	CHECK(mw_slots_gate_ms(&s, 1) == 2001 && mw_slots_take(&s, 1) == 2001);
	CHECK(!asks(&s, 1, 50000, &a));
}

TEST(an_absurd_pause_is_clamped_and_a_shorter_one_does_not_open_early)
{
	struct mw_slots s = slots_of(50);
	mw_slots_close(&s, 0, INT64_MAX);
	CHECK(mw_slots_gate_ms(&s, 0) == MW_RETRY_AFTER_MAX_MS);
	mw_slots_close(&s, 10, 1000);
	CHECK(mw_slots_gate_ms(&s, 10) == MW_RETRY_AFTER_MAX_MS - 10);
}

TEST(a_clock_that_was_set_makes_the_script_begin_anew)
{
	const int64_t jumps[] = {400000, -400000, 3000000, -3000000};
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		struct mw_slots s = slots_of(50);
		struct mw_slots_ask a;
		CHECK(lease(&s, 0, 1000, 0, 1) == MW_SLOTS_TAKEN && asks(&s, 9, 1000000, &a));
		struct mw_lease l = {
		    .clock_us = HOUR_US + 1000500 + jumps[i], .count = 3, .interval_us = 21600};
		CHECK(mw_slots_grant(&s, &l, 1001000) == MW_SLOTS_JUMPED);
		CHECK(mw_slots_wait(&s, 1001) == MW_SLOTS_NONE);
		CHECK(asks(&s, 9, 1020000, &a) && a.anew && a.count == 0);
		l = (struct mw_lease){.clock_us = HOUR_US + 1020500 + jumps[i], .retry_us = 21600};
		CHECK(mw_slots_grant(&s, &l, 1021000) == MW_SLOTS_TAKEN);
		CHECK(asks(&s, 9, 1050000, &a) && !a.anew && a.count > 0);
	}
}

TEST(zero_is_unlimited_and_asks_nobody)
{
	struct mw_slots s = slots_of(0);
	struct mw_slots_ask a;
	for (int i = 0; i < 1000; i++)
		CHECK(mw_slots_take(&s, 5) == 0);
	CHECK(!asks(&s, 100, 5000, &a));
	mw_slots_close(&s, 5, 100);
	CHECK(mw_slots_take(&s, 5) == 100 && mw_slots_take(&s, 105) == 0);
}

TEST(an_answer_that_nobody_asked_for_gives_nothing)
{
	struct mw_slots s = slots_of(50);
	CHECK(mw_slots_grant(&s, &(struct mw_lease){.count = 8, .interval_us = 1}, 0) == MW_SLOTS_LATE);
	CHECK(mw_slots_wait(&s, 0) == MW_SLOTS_NONE);
}

int main(void)
{
	RUN(without_slots_nothing_may_go);
	RUN(slots_are_as_far_apart_as_window_and_jitter_ask_for);
	RUN(a_slot_is_good_from_the_answer_on_until_its_window_after_the_question);
	RUN(slots_of_one_answer_follow_each_other);
	RUN(only_what_is_needed_is_asked_for_and_once_at_a_time);
	RUN(while_there_are_too_few_all_ask_at_one_pace);
	RUN(an_answer_that_took_longer_than_the_window_is_of_no_use);
	RUN(failures_are_asked_again_less_and_less_often);
	RUN(a_closed_gate_outranks_slots_and_is_told_once);
	RUN(a_gate_that_another_host_closed_holds_here_and_is_not_told_again);
	RUN(an_absurd_pause_is_clamped_and_a_shorter_one_does_not_open_early);
	RUN(a_clock_that_was_set_makes_the_script_begin_anew);
	RUN(zero_is_unlimited_and_asks_nobody);
	RUN(an_answer_that_nobody_asked_for_gives_nothing);
	return CHECK_END();
}
