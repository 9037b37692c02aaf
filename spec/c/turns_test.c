#include "../../csrc/core/turns.h"

#include "../../csrc/core/limits.h"
#include "weir_fixture.h"

/* The script's clock is an hour ahead of ours: it must not matter. */
static const int64_t HOUR_US = INT64_C(3600) * 1000000;

static struct mw_turns t;
static struct mw_turns_ask a;

static void begin(double per_second)
{
	mw_turns_init(&t, per_second, 0xfeed, 64);
}

static struct mw_lane *lane(const char *account)
{
	return mw_weir_lane(w, span(account));
}

static struct mw_turn *turn(const char *account)
{
	return lane(account)->turn;
}

static bool is_pending(const struct mw_turn *turn)
{
	return turn->state != MW_TURN_NONE;
}

/* What the weir hands out by now: true if it may leave. */
static bool admit(int64_t now_us)
{
	return next(now_us / 1000) > 0 && mw_turns_admit(&t, w, &request, now_us);
}

static int64_t call(int64_t now_us)
{
	bool token;
	return mw_turns_call(&t, w, now_us, &token);
}

static bool asks(int64_t now_us)
{
	int64_t wait;
	return mw_turns_ask(&t, w, now_us, &a, &wait);
}

static int64_t asks_in(int64_t now_us)
{
	int64_t wait;
	return mw_turns_ask(&t, w, now_us, &a, &wait) ? 0 : wait;
}

/* The script ran in the middle; all that asked are told the same, one us after the other. */
static enum mw_turns_verdict grant(int64_t answered, enum mw_turns_say say, int64_t us, int64_t apart)
{
	struct mw_turns_answer answer = {.clock_us = HOUR_US + (t.asked_us + answered) / 2, .count = a.count};
	for (uint32_t i = 0; i < a.count; i++) {
		answer.accounts[i].say = say;
		answer.accounts[i].us = us + i * apart;
	}
	return mw_turns_grant(&t, &answer, answered);
}

/* A lane of this account has something, and the slot so far ahead of an answer that took no time. */
static void given(const char *account, int64_t now_us, int64_t ahead)
{
	push_many(account, 1, now_us / 1000);
	admit(now_us);
	asks(now_us);
	grant(now_us, MW_TURNS_SLOT, ahead, 0);
}

TEST(a_lane_is_held_until_its_turn_and_leaves_once)
{
	begin(50);
	push_many("a", 2, 1000);
	CHECK(!admit(1000000) && state("a") == MW_LANE_WAITING);
	CHECK(asks(1000000) && a.count == 1 && mw_span_equal(a.accounts[0].name, span("a")));
	CHECK(!a.accounts[0].is_token && !a.accounts[0].is_full && !a.accounts[0].is_owed && a.gate_ms == 0);
	CHECK(grant(1001000, MW_TURNS_SLOT, 100000, 0) == MW_TURNS_GRANTED);
	CHECK(call(1001000) == 100 && !admit(1001000));
	CHECK(call(1101000) == MW_TURNS_NONE && admit(1101000));
	CHECK(mw_turns_take(&t, turn("a"), 1101000) == 0);
	CHECK(mw_turns_take(&t, turn("a"), 1101000) == MW_TURNS_NONE); /* curl, once more by itself */
	mw_turns_done(&t, turn("a"), false);
	answer(200, -1, 1102);
	CHECK(!is_pending(turn("a")) && t.missed == 0);
}

TEST(slots_are_as_far_apart_as_window_and_jitter_ask_for)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0) && 50 * a.interval_us >= 1000 * (1000 + MW_TURN_WINDOW_MS + MW_TURN_JITTER_MS));
	CHECK(a.interval_us <= 21601);
}

TEST(a_turn_is_good_from_the_answer_on_until_its_window_after_the_question)
{
	/* Asked at 1,000 ms, answered at 1,004, 100 ahead: from 1,104 on. 1,000 and 100 and 30: the
	 * millisecond that begins at 1,129 is the last that lies within. */
	static const struct {
		int64_t at;
		bool is_good;
	} moments[] = {{1103, false}, {1104, true}, {1129, true}, {1130, false}};
	for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
		begin(50);
		push_many("a", 1, 1000);
		admit(1000000);
		CHECK(asks(1000000) && grant(1004000, MW_TURNS_SLOT, 100000, 0) == MW_TURNS_GRANTED);
		bool is_good = mw_turns_take(&t, turn("a"), moments[i].at * 1000) == 0;
		CHECK(is_good == moments[i].is_good);
		CHECK(t.missed == (moments[i].at == 1130));
		tear_down();
		set_up();
	}
}

TEST(a_turn_that_passed_is_owed_and_one_that_made_up_for_it_is_not)
{
	begin(50);
	given("a", 0, 0);
	call(40000);
	CHECK(t.missed == 1 && asks(50000) && a.count == 1 && a.accounts[0].is_owed);
	CHECK(grant(50000, MW_TURNS_SLOT, 0, 0) == MW_TURNS_GRANTED);
	call(90000);
	CHECK(t.missed == 2 && asks(100000) && !a.accounts[0].is_owed);
}

TEST(who_comes_late_takes_another_lanes_turn_which_is_owed_one)
{
	begin(50);
	given("a", 0, 0);
	given("b", 20000, 30000);
	call(0);
	/* It has to connect, and its turn passes. */
	CHECK(next(0) == 1 && request.lane == lane("a") && mw_turns_admit(&t, w, &request, 0));
	CHECK(mw_turns_take(&t, turn("a"), 45000) == 5);
	CHECK(mw_turns_take(&t, turn("a"), 50000) == 0);
	CHECK(turn("b")->state == MW_TURN_WANTED && turn("b")->is_owed && t.missed == 1);
}

TEST(who_has_another_turn_ahead_gives_that_for_the_one_it_takes)
{
	begin(50);
	given("a", 0, 0);
	call(0);
	CHECK(next(0) == 1 && mw_turns_admit(&t, w, &request, 0));
	CHECK(mw_turns_take(&t, turn("a"), 45000) == MW_TURNS_NONE);
	CHECK(asks(45000) && a.count == 1 && a.accounts[0].is_owed);
	grant(45000, MW_TURNS_SLOT, 400000, 0);
	given("b", 60000, 20000);
	CHECK(mw_turns_take(&t, turn("a"), 80000) == 0 && !is_pending(turn("a")));
	CHECK(turn("b")->state == MW_TURN_GIVEN && turn("b")->from_us == 445000);
	CHECK(call(445000) == MW_TURNS_NONE && admit(445000) && request.lane == lane("b"));
}

TEST(a_question_names_many_the_longest_waiting_first_and_there_is_one_at_a_time)
{
	begin(50);
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "a%d", i);
		push_many(name, 1, 0);
		admit(0);
	}
	CHECK(asks(0) && a.count == MW_TURNS_ASKED && mw_span_equal(a.accounts[63].name, span("a63")));
	CHECK(asks_in(1000) == MW_TURNS_NONE);
	grant(1000, MW_TURNS_LINE, 200000, 10000);
	CHECK(asks_in(2000) == 9 && asks(11000) && a.count == 36);
	grant(12000, MW_TURNS_LINE, 900000, 0);
	CHECK(asks_in(22000) == 178 && asks(200000) && a.count == 1);
	grant(200000, MW_TURNS_LINE, 900000, 0);
	/* Those that were told 210, 220, 230, 240, and from 250 to 290: they go together. */
	CHECK(asks(250000) && a.count == 9);
}

TEST(a_crowd_that_comes_at_once_does_not_keep_those_in_line_from_asking_again)
{
	begin(50);
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof name, "a%d", i);
		push_many(name, 1, 0);
		admit(0);
	}
	CHECK(asks(0) && a.count == MW_TURNS_ASKED);
	grant(0, MW_TURNS_LINE, 30000, 0);
	CHECK(asks(10000) && mw_span_equal(a.accounts[0].name, span("a64")));
	grant(10000, MW_TURNS_LINE, 900000, 0);
	/* A full batch that is known only now: its first question says so, and no sooner than others'. */
	push_many("a500", MW_BATCH_MESSAGES, 20);
	call(20000);
	CHECK(asks(20000) && mw_span_equal(a.accounts[0].name, span("a128")));
	grant(20000, MW_TURNS_LINE, 900000, 0);
	CHECK(asks(30000) && a.count == MW_TURNS_ASKED && mw_span_equal(a.accounts[0].name, span("a0")));
	grant(30000, MW_TURNS_LINE, 900000, 0);
	mw_turns_drop(&t, turn("a999"));
	/* All of them are named in the end, but for whom nobody waits. */
	int64_t now = 40000;
	for (uint32_t named = 3 * MW_TURNS_ASKED; named < 999; named += a.count, now += 10000) {
		CHECK(asks(now) && a.count > 0);
		grant(now, MW_TURNS_LINE, 90000000, 0);
	}
	CHECK(!is_pending(turn("a999")) && asks_in(now) > 500);
}

TEST(who_waits_long_keeps_an_eye_on_the_clock)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0));
	grant(0, MW_TURNS_LINE, 100000000, 0);
	for (int64_t now = 5000000; now < 100000000; now += 5000000) {
		CHECK(asks_in(now - 1000) <= 1 && asks(now) && a.count == 0 && !a.anew && a.gate_ms == 0);
		CHECK(grant(now, MW_TURNS_LINE, 0, 0) == MW_TURNS_GRANTED);
	}
	CHECK(asks(100000000) && a.count == 1);
}

TEST(a_full_batch_is_told_as_it_is_when_asked)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	push_many("a", MW_BATCH_MESSAGES, 0);
	CHECK(asks(0) && a.accounts[0].is_full);
}

TEST(who_gets_a_full_batch_meanwhile_says_so_at_once)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0) && !a.accounts[0].is_full);
	grant(0, MW_TURNS_LINE, 100000000, 0);
	push_many("a", MW_BATCH_MESSAGES, 20);
	call(20000);
	CHECK(t.has_news && asks(20000) && a.count == 1 && a.accounts[0].is_full);
	grant(20000, MW_TURNS_LINE, 100000000, 0);
	/* Once. */
	push_many("a", MW_BATCH_MESSAGES, 40);
	call(40000);
	CHECK(asks_in(40000) > 4000);
}

TEST(lanes_of_one_account_ask_by_chance_when_anothers_slot_is_over)
{
	int64_t least = INT64_MAX, most = 0;
	for (int64_t i = 0; i < 500; i++) {
		begin(50);
		push_many("a", 1, i);
		admit(i * 1000);
		for (int n = 0; n < 4; n++) {
			int64_t now = i * 1000 + n * 1000000;
			CHECK(asks(now));
			grant(now, MW_TURNS_TAKEN, 100000, 0);
			int64_t wait = asks_in(now);
			CHECK(wait >= 100 && wait <= 100 + (40 << n) + 10);
			least = n == 3 && wait < least ? wait : least;
			most = n == 3 && wait > most ? wait : most;
		}
		tear_down();
		set_up();
	}
	CHECK(least < 120 && most > 380);
}

TEST(whoever_is_paused_or_backs_off_is_not_asked_for)
{
	begin(50);
	push_many("a", 1, 0);
	push_many("b", 1, 0);
	admit(0), admit(0);
	mw_weir_pause(w, lane("a"), 0);
	CHECK(asks(0) && a.count == 1 && mw_span_equal(a.accounts[0].name, span("b")));
	grant(1000, MW_TURNS_SLOT, 0, 0);
	mw_weir_pause(w, lane("b"), 1);
	call(60000);
	CHECK(t.missed == 1 && asks_in(70000) == MW_TURNS_NONE);
	mw_weir_resume(w, lane("b"), 80);
	CHECK(!admit(80000) && asks(80000) && a.count == 1);
}

TEST(a_lane_that_is_resumed_before_its_turn_goes_on_waiting)
{
	begin(50);
	given("a", 0, 100000);
	mw_weir_resume(w, lane("a"), 10);
	CHECK(state("a") == MW_LANE_READY && !admit(10000) && state("a") == MW_LANE_WAITING);
	call(100000);
	CHECK(admit(100000));
}

TEST(a_turn_that_was_dropped_meanwhile_is_not_given)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0));
	mw_turns_drop(&t, turn("a"));
	grant(1000, MW_TURNS_SLOT, 0, 0);
	CHECK(!is_pending(turn("a")) && t.given_count == 0);
}

TEST(what_waits_for_a_token_does_not_wait_for_a_turn)
{
	begin(50);
	given("a", 0, 100000);
	CHECK(!mw_lane_awaits_token(lane("a")) && mw_weir_stats(w).lanes_held == 0);
	push_many("b", 1, 0);
	CHECK(next(0) == 1);
	mw_weir_hold(w, &request, false, 60000, 0);
	CHECK(mw_lane_awaits_token(lane("b")) && mw_weir_stats(w).lanes_held == 1);
}

TEST(requests_for_tokens_have_a_turn_one_at_a_time_under_a_name_of_their_own)
{
	struct mw_turn token = {.lane = NULL};
	bool has_turn;
	begin(50);
	CHECK(!mw_turns_admit_token(&t, &token, 0) && asks(0) && a.count == 1 && a.accounts[0].is_token);
	CHECK(mw_span_equal(a.accounts[0].name, span("000000000000feed")));
	grant(1000, MW_TURNS_SLOT, 0, 0);
	mw_turns_call(&t, w, 1000, &has_turn);
	CHECK(has_turn && mw_turns_admit_token(&t, &token, 1000));
	CHECK(!mw_turns_admit_token(&t, &token, 2000));
	CHECK(mw_turns_take(&t, &token, 3000) == 0 && mw_turns_take(&t, &token, 3000) > 0);
	/* One that passes is not wanted again by itself. */
	begin(50);
	token = (struct mw_turn){.lane = NULL};
	mw_turns_admit_token(&t, &token, 0);
	asks(0);
	grant(1000, MW_TURNS_SLOT, 0, 0);
	mw_turns_call(&t, w, 60000, &has_turn);
	CHECK(!is_pending(&token) && !mw_turns_is_awaited(&t));
}

TEST(without_room_for_requests_nothing_is_asked)
{
	begin(50);
	mw_turns_set_room(&t, 0);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks_in(0) == MW_TURNS_NONE);
	mw_turns_set_room(&t, 1);
	CHECK(t.has_news && asks(0));
	/* But for a request that is out and whose turn has passed. */
	grant(0, MW_TURNS_SLOT, 0, 0);
	call(0);
	CHECK(admit(0));
	mw_turns_set_room(&t, 0);
	CHECK(mw_turns_take(&t, turn("a"), 60000) == MW_TURNS_NONE && asks(60000) && a.accounts[0].is_owed);
}

TEST(who_waits_at_the_wire_is_asked_for_although_there_is_no_room)
{
	begin(50);
	given("a", 0, 0);
	call(0);
	CHECK(next(0) == 1 && mw_turns_admit(&t, w, &request, 0));
	mw_turns_set_room(&t, 0);
	CHECK(mw_turns_take(&t, turn("a"), 60000) == MW_TURNS_NONE && asks(60000) && a.count == 1);
	grant(61000, MW_TURNS_LINE, 20000, 0);
	/* The weir is looked at in between: whoever asks is told to sleep until there is news. */
	mw_turns_set_room(&t, 0);
	CHECK(asks_in(62000) > 4000 && !t.has_news);
	CHECK(mw_turns_take(&t, turn("a"), 65000) == MW_TURNS_NONE && t.has_news);
	CHECK(asks_in(65000) <= 25);
}

TEST(an_answer_that_took_longer_than_the_window_is_of_no_use)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0) && grant(29000, MW_TURNS_SLOT, 0, 0) == MW_TURNS_LATE && t.given_count == 0);
	int64_t wait = asks_in(30000);
	CHECK(wait > 0 && wait <= 60 && asks(90000) && a.count == 1);
}

TEST(failures_are_asked_again_less_and_less_often)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	int64_t now = 0, last = 0;
	for (int i = 0; i < 10; i++) {
		CHECK(asks(now) && a.count == 1);
		mw_turns_failed(&t, now);
		int64_t wait = asks_in(now);
		CHECK(wait >= last && wait <= 1010);
		last = wait;
		now += wait * 1000;
	}
	CHECK(last >= 1000);
}

TEST(a_closed_gate_outranks_turns_and_is_told_once)
{
	begin(50);
	given("a", 0, 0);
	mw_turns_close(&t, 2, 5000);
	CHECK(t.has_news && mw_turns_take(&t, turn("a"), 3000) == 4999);
	CHECK(asks(20000) && a.gate_ms == 4982);
	struct mw_turns_answer answer = {.clock_us = HOUR_US + 20500, .gate_us = 4982000, .count = a.count};
	CHECK(mw_turns_grant(&t, &answer, 21000) == MW_TURNS_GRANTED);
	call(40000);
	CHECK(asks(50000) && a.gate_ms == 0);
}

TEST(a_gate_that_another_host_closed_holds_here_and_is_not_told_again)
{
	begin(50);
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0));
	struct mw_turns_answer answer = {.gate_us = 2000000, .count = 1};
	answer.accounts[0].say = MW_TURNS_LINE;
	answer.accounts[0].us = 2000000;
	mw_turns_grant(&t, &answer, 1000);
	CHECK(mw_turns_gate_ms(&t, 1) == 2001 && mw_turns_take(&t, turn("a"), 1000) == 2001);
	CHECK(asks_in(50000) >= 1950);
}

TEST(an_absurd_pause_is_clamped_and_a_shorter_one_does_not_open_early)
{
	begin(50);
	mw_turns_close(&t, 0, INT64_MAX);
	CHECK(mw_turns_gate_ms(&t, 0) == MW_RETRY_AFTER_MAX_MS);
	mw_turns_close(&t, 10, 1000);
	CHECK(mw_turns_gate_ms(&t, 10) == MW_RETRY_AFTER_MAX_MS - 10);
}

TEST(a_clock_that_was_set_makes_the_script_begin_anew)
{
	const int64_t jumps[] = {400000, -400000, 3000000, -3000000};
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		begin(50);
		given("a", 0, 0);
		call(60000);
		CHECK(asks(1000000) && a.count == 1);
		struct mw_turns_answer answer = {.clock_us = HOUR_US + 1000500 + jumps[i], .count = 1};
		CHECK(mw_turns_grant(&t, &answer, 1001000) == MW_TURNS_JUMPED && t.given_count == 0);
		CHECK(asks(1020000) && a.anew && a.count == 0);
		answer = (struct mw_turns_answer){.clock_us = HOUR_US + 1020500 + jumps[i]};
		CHECK(mw_turns_grant(&t, &answer, 1021000) == MW_TURNS_GRANTED);
		CHECK(asks(1050000) && !a.anew && a.count == 1);
		tear_down();
		set_up();
	}
}

TEST(zero_is_unlimited_and_asks_nobody)
{
	begin(0);
	push_many("a", 1, 5);
	CHECK(admit(5000) && mw_turns_take(&t, turn("a"), 5000) == 0 && !asks(5000));
	mw_turns_close(&t, 5, 100);
	CHECK(mw_turns_take(&t, turn("a"), 5000) == 100 && mw_turns_take(&t, turn("a"), 105000) == 0);
}

TEST(an_answer_that_nobody_asked_for_gives_nothing)
{
	begin(50);
	CHECK(mw_turns_grant(&t, &(struct mw_turns_answer){.count = 1}, 0) == MW_TURNS_LATE);
	/* Nor does one that is about others. */
	push_many("a", 1, 0);
	admit(0);
	CHECK(asks(0));
	CHECK(mw_turns_grant(&t, &(struct mw_turns_answer){.count = 2}, 1000) == MW_TURNS_LATE);
	CHECK(t.given_count == 0);
}

int main(void)
{
	RUN_FRESH(a_lane_is_held_until_its_turn_and_leaves_once);
	RUN_FRESH(slots_are_as_far_apart_as_window_and_jitter_ask_for);
	RUN_FRESH(a_turn_is_good_from_the_answer_on_until_its_window_after_the_question);
	RUN_FRESH(a_turn_that_passed_is_owed_and_one_that_made_up_for_it_is_not);
	RUN_FRESH(who_comes_late_takes_another_lanes_turn_which_is_owed_one);
	RUN_FRESH(who_has_another_turn_ahead_gives_that_for_the_one_it_takes);
	RUN_FRESH(a_question_names_many_the_longest_waiting_first_and_there_is_one_at_a_time);
	RUN_FRESH(a_crowd_that_comes_at_once_does_not_keep_those_in_line_from_asking_again);
	RUN_FRESH(who_waits_long_keeps_an_eye_on_the_clock);
	RUN_FRESH(a_full_batch_is_told_as_it_is_when_asked);
	RUN_FRESH(who_gets_a_full_batch_meanwhile_says_so_at_once);
	RUN_FRESH(lanes_of_one_account_ask_by_chance_when_anothers_slot_is_over);
	RUN_FRESH(whoever_is_paused_or_backs_off_is_not_asked_for);
	RUN_FRESH(a_lane_that_is_resumed_before_its_turn_goes_on_waiting);
	RUN_FRESH(a_turn_that_was_dropped_meanwhile_is_not_given);
	RUN_FRESH(what_waits_for_a_token_does_not_wait_for_a_turn);
	RUN_FRESH(requests_for_tokens_have_a_turn_one_at_a_time_under_a_name_of_their_own);
	RUN_FRESH(without_room_for_requests_nothing_is_asked);
	RUN_FRESH(who_waits_at_the_wire_is_asked_for_although_there_is_no_room);
	RUN_FRESH(an_answer_that_took_longer_than_the_window_is_of_no_use);
	RUN_FRESH(failures_are_asked_again_less_and_less_often);
	RUN_FRESH(a_closed_gate_outranks_turns_and_is_told_once);
	RUN_FRESH(a_gate_that_another_host_closed_holds_here_and_is_not_told_again);
	RUN_FRESH(an_absurd_pause_is_clamped_and_a_shorter_one_does_not_open_early);
	RUN_FRESH(a_clock_that_was_set_makes_the_script_begin_anew);
	RUN_FRESH(zero_is_unlimited_and_asks_nobody);
	RUN_FRESH(an_answer_that_nobody_asked_for_gives_nothing);
	return CHECK_END();
}
