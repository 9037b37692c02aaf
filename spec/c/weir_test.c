#include "weir_fixture.h"

static bool is_turn_of(const char *account)
{
	return mw_span_is(mw_lane_account(request.lane), account);
}

TEST(a_message_goes_out_and_is_reported)
{
	CHECK(next(0) == 0 && wait_ms == INT64_MAX);
	CHECK(push("a", "{\"x\":1}", 5) && push("a", "{}", 6));
	CHECK(next(6) == 2 && request.bytes == 10 && request.attempt == 0 && state("a") == MW_LANE_FLYING);
	struct mw_buf out;
	mw_buf_init(&out, 1000);
	CHECK(mw_buf_append_literal(&out, "[") == MW_OK && mw_queues_read(&queues, &request, &out) == MW_OK);
	CHECK(mw_span_is(mw_buf_span(&out), "[{\"x\":1},{}"));
	out.max = out.cap = 12;
	CHECK(mw_queues_read(&queues, &request, &out) == MW_TOO_LARGE && out.len == 11);
	mw_buf_deinit(&out);
	CHECK(mw_weir_stats(w).counts.in_flight == 2 && mw_weir_stats(w).oldest == 5);
	answer(200, -1, 7);
	CHECK(!strcmp(reports, "dd") && state("a") == MW_LANE_EMPTY);
	CHECK(last_report.tag == 7 && last_report.status == 200 && mw_span_is(last_report.answer, "because"));
	struct mw_weir_stats s = mw_weir_stats(w);
	CHECK(s.counts.delivered == 2 && s.queued_bytes == 0 && s.answers == 1 && s.bytes_sent == 10);
	CHECK(s.oldest == -1 && next(7) == 0 && wait_ms == INT64_MAX);
}

TEST(a_lane_knows_when_it_last_delivered)
{
	CHECK(push("a", "{}", 5) && next(5) == 1 && request.lane->delivered_at == 0);
	answer(500, -1, 6);
	CHECK(mw_weir_lane(w, span("a"))->delivered_at == 0);
	CHECK(next(70000) == 1);
	answer(200, -1, 70001);
	CHECK(mw_weir_lane(w, span("a"))->delivered_at == 70001);
	CHECK(push("a", "{}", 80000) && next(80000) == 1);
	answer(404, -1, 80001);
	CHECK(mw_weir_lane(w, span("a"))->delivered_at == 70001);
}

TEST(push_refuses_what_does_not_fit_and_changes_nothing)
{
	static char large[MW_MESSAGE_MAX + 1], name[MW_ACCOUNT_MAX + 1];
	memset(large, 'x', sizeof large);
	memset(name, 'n', sizeof name);
	queues.bytes_max = MW_MESSAGE_MAX + 2;
	const struct mw_span largest = {(uint8_t *)large, MW_MESSAGE_MAX};
	CHECK(mw_queues_push(&queues, w, span("a"), (struct mw_span){(uint8_t *)large, sizeof large}, 0, 0) ==
	      MW_TOO_LARGE);
	CHECK(mw_queues_push(&queues, w, (struct mw_span){(uint8_t *)name, sizeof name}, span("{}"), 0, 0) ==
	      MW_TOO_LARGE);
	CHECK(mw_queues_push(&queues, w, span("a"), MW_SPAN(""), 0, 0) == MW_INVALID);
	CHECK(!mw_weir_lane(w, span("a")));
	CHECK(mw_queues_push(&queues, w, (struct mw_span){(uint8_t *)name, MW_ACCOUNT_MAX}, largest, 0, 0) ==
	      MW_OK);
	CHECK(mw_queues_push(&queues, w, span("a"), span("{ }"), 0, 0) == MW_FULL &&
	      !mw_weir_lane(w, span("a")));
	CHECK(push("a", "{}", 0) && !push("a", "x", 0));
	CHECK(mw_weir_stats(w).queued_bytes == MW_MESSAGE_MAX + 2);
	CHECK(next(0) == 1);
	CHECK(!push("a", "x", 0)); /* in flight still counts */
	answer(200, -1, 0);
	CHECK(push("a", "x", 0));
}

TEST(a_small_batch_lingers_and_a_full_one_does_not)
{
	config.linger_ms = 200;
	config.batch_messages = 3;
	again_with_config();
	CHECK(push("a", "{}", 1000) && push("a", "{}", 1150));
	CHECK(state("a") == MW_LANE_WAITING && next(1150) == 0 && wait_ms == 50);
	CHECK(next(1200) == 2); /* counted from the oldest */
	CHECK(push("a", "{}", 1200) && push("a", "{}", 1390));
	answer(200, -1, 1390);
	CHECK(state("a") == MW_LANE_WAITING && next(1390) == 0 && wait_ms == 10);
	CHECK(push("a", "{}", 1391) && state("a") == MW_LANE_READY && next(1391) == 3);
}

TEST(hurry_ends_lingering_and_keeps_new_messages_from_it)
{
	config.linger_ms = 200;
	again_with_config();
	CHECK(push("a", "{}", 0) && push("b", "{}", 0) && next(0) == 0);
	mw_weir_hurry(w, true, 1);
	CHECK(next(1) == 1 && is_turn_of("a"));
	answer(500, -1, 1);
	CHECK(next(1) == 1 && is_turn_of("b"));
	answer(200, -1, 1);
	CHECK(push("c", "{}", 2) && next(2) == 1 && is_turn_of("c"));
	answer(200, -1, 2);
	mw_weir_hurry(w, true, 3);
	CHECK(next(3) == 0 && state("a") == MW_LANE_WAITING); /* a back-off is not lingering */
	mw_weir_hurry(w, false, 3);
	CHECK(push("c", "{}", 4) && next(4) == 0);
}

TEST(lanes_take_turns_whatever_they_hold)
{
	config.batch_messages = 10;
	again_with_config();
	push_many("flood", 100, 0);
	push_many("b", 1, 0);
	push_many("c", 1, 0);
	CHECK(next(0) == 10 && is_turn_of("flood"));
	answer(200, -1, 0);
	CHECK(next(0) == 1 && is_turn_of("b"));
	answer(200, -1, 0);
	CHECK(next(0) == 1 && is_turn_of("c"));
	CHECK(next(0) == 10 && is_turn_of("flood") && next(0) == 0);
}

TEST(one_request_in_eight_goes_to_who_has_a_full_batch)
{
	config.batch_messages = 10;
	config.in_flight_max = MW_LADEN_EVERY;
	again_with_config();
	char name[] = "a";
	for (; *name <= 'z'; (*name)++)
		push(name, "{}", 0);
	/* Ready, and full only later. */
	push("flood", "{}", 0);
	push_many("flood", 19, 0);
	int out_of_turn = 0;
	for (int i = 1; i <= 26 + 2; i++) {
		CHECK(next(0) > 0);
		CHECK(is_turn_of("flood") == (i == MW_LADEN_EVERY || i == 2 * MW_LADEN_EVERY));
		out_of_turn += is_turn_of("flood");
		answer(200, -1, 0);
	}
	CHECK(out_of_turn == 2 && next(0) == 0);
}

TEST(no_more_requests_are_in_flight_than_allowed)
{
	config.in_flight_max = 2;
	again_with_config();
	push_many("a", 1, 0);
	push_many("b", 1, 0);
	push_many("c", 1, 0);
	CHECK(next(0) == 1 && next(0) == 1 && next(0) == 0 && wait_ms == INT64_MAX);
	answer(200, -1, 0);
	CHECK(next(0) == 1 && is_turn_of("c"));
}

TEST(handing_out_is_paced_like_sending)
{
	config.rate = 50;
	again_with_config();
	push_many("a", 1, 0);
	push_many("b", 1, 0);
	push_many("c", 1, 0);
	CHECK(next(0) == 1 && next(0) == 0 && wait_ms == 21);
	CHECK(mw_weir_permit(w, 15) == 0); /* left late: the next one's permit is at 36 */
	CHECK(next(21) == 0 && wait_ms == 15 && next(36) == 1);
	CHECK(mw_weir_permit(w, 36) == 0 && mw_weir_permit(w, 37) == 20); /* a hidden re-send */
	CHECK(mw_weir_stats(w).requests == 2);
}

TEST(an_unsent_request_keeps_its_turn_and_costs_no_attempt)
{
	config.retries_max = 1;
	again_with_config();
	push_many("a", 1, 0);
	push_many("b", 1, 0);
	for (int i = 0; i < 5; i++) {
		CHECK(next(0) == 1 && is_turn_of("a") && request.attempt == 0);
		answer(MW_STATUS_UNSENT, -1, 0);
		CHECK(state("a") == MW_LANE_READY && mw_weir_lane(w, span("a"))->requests == 0);
	}
	CHECK(mw_weir_stats(w).retries == 0 && !*reports);
}

TEST(a_batch_without_an_answer_is_repeated_as_it_was)
{
	push_many("a", 3, 0);
	CHECK(next(0) == 3);
	push_many("a", 5, 0);
	answer(MW_STATUS_NETWORK, -1, 0);
	CHECK(state("a") == MW_LANE_WAITING && next(0) == 0 && wait_ms >= 250 && wait_ms <= 500);
	push_many("a", 5, 1);
	CHECK(next(249) == 0 && next(500) == 3 && request.attempt == 1);
	answer(503, -1, 500);
	CHECK(next(999) == 0 && next(1500) == 3 && request.attempt == 2);
	answer(200, -1, 1500);
	CHECK(next(1500) == 10 && request.attempt == 0 && mw_weir_stats(w).retries == 2);
}

TEST(retry_after_is_honoured_on_429_and_503_alone)
{
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	answer(429, 9000, 0);
	CHECK(next(8999) == 0 && wait_ms == 1 && next(9000) == 1);
	answer(503, 9000, 9000);
	CHECK(next(17999) == 0 && next(18000) == 1);
	answer(500, 9000, 18000);
	CHECK(next(18000 + 2000) == 1);
	answer(429, 0, 20000);
	CHECK(next(20000) == 0 && wait_ms >= MW_RETRY_AFTER_MIN_MS);
}

TEST(retries_run_out_and_a_429_with_retry_after_uses_none_up)
{
	config.retries_max = 2;
	again_with_config();
	push_many("a", 2, 0);
	int64_t now = 0;
	for (int i = 0; i < 20; i++, now += 600000) {
		CHECK(next(now) == 2 && request.attempt == (uint32_t)i);
		push_many("a", 1, now);
		answer(429, 1000, now);
	}
	for (int i = 0; i < 3; i++, now += 600000) {
		CHECK(next(now) == 2 && !*reports);
		answer(i == 1 ? 429 : 500, -1, now);
	}
	CHECK(!strcmp(reports, "xx") && last_report.status == 500);
	CHECK(next(now) == 20 && request.attempt == 0);
}

TEST(a_dying_batch_still_makes_its_lane_back_off)
{
	config.retries_max = 1;
	again_with_config();
	push_many("a", 1, 0);
	CHECK(next(0) == 1);
	answer(500, -1, 0);
	CHECK(next(500) == 1);
	answer(503, 60000, 500);
	CHECK(!strcmp(reports, "x"));
	CHECK(push("a", "{}", 600) && next(60499) == 0 && next(60500) == 1);
}

TEST(three_lanes_told_429_in_a_row_close_the_gate)
{
	const char *names[] = {"a", "b", "c", "d"};
	for (int i = 0; i < 4; i++)
		push_many(names[i], 1, 0);
	for (int i = 0; i < 3; i++) {
		CHECK(mw_weir_gate_ms(w, 0) == 0 && next(0) == 1 && mw_weir_permit(w, 0) == 0);
		answer(429, 5000, 0);
	}
	CHECK(mw_weir_gate_ms(w, 0) == 5000 && mw_weir_gate_ms(w, 4999) == 1);
	CHECK(next(0) == 0 && wait_ms == 5000 && mw_weir_permit(w, 4999) == 1);
	CHECK(next(5000) == 1 && is_turn_of("d") && mw_weir_permit(w, 5000) == 0);
}

TEST(one_lane_told_429_three_times_or_a_success_between_close_nothing)
{
	push_many("a", 1, 0);
	int64_t now = 0;
	for (int i = 0; i < 5; i++, now += 400000) {
		CHECK(next(now) == 1);
		answer(429, 300000, now);
	}
	CHECK(mw_weir_gate_ms(w, now) == 0);
	push_many("b", 1, now);
	push_many("c", 1, now);
	push_many("d", 1, now);
	for (int i = 0; i < 4; i++) {
		CHECK(next(now) == 1);
		answer(is_turn_of("c") ? 200 : 429, 300000, now);
		CHECK(mw_weir_gate_ms(w, now) == 0);
	}
}

TEST(a_culprit_is_found_and_the_rest_delivered)
{
	push_many("a", 8, 0);
	const uint32_t sizes[] = {8, 4, 2, 1, 1, 2};
	const int statuses[] = {400, 200, 400, 200, 400, 200}; /* the sixth is bad */
	for (int i = 0; i < 6; i++) {
		CHECK(next(0) == sizes[i] && request.attempt == 0);
		answer(statuses[i], -1, 0);
		CHECK(i != 4 || (last_report.status == 400 && mw_span_is(last_report.answer, "because")));
	}
	CHECK(!strcmp(reports, "dddddxdd") && state("a") == MW_LANE_EMPTY && mw_weir_stats(w).splits == 2);
}

TEST(a_413_halves_the_batches_and_buries_what_is_too_large_alone)
{
	push_many("a", 8, 0);
	const uint32_t sizes[] = {8, 4, 2, 3, 3};
	const int statuses[] = {413, 413, 200, 200, 200};
	for (int i = 0; i < 5; i++) {
		CHECK(next(0) == sizes[i]);
		answer(statuses[i], -1, 0);
	}
	CHECK(!strcmp(reports, "dddddddd"));
	push_many("b", 1, 0);
	CHECK(next(0) == 1);
	answer(413, -1, 0);
	CHECK(!strcmp(reports, "ddddddddx") && last_report.status == 413);
}

TEST(any_other_status_buries_the_batch)
{
	push_many("a", 3, 0);
	CHECK(next(0) == 3);
	answer(302, -1, 0);
	CHECK(!strcmp(reports, "xxx") && last_report.status == 302 && state("a") == MW_LANE_EMPTY);
}

TEST(lanes_are_walked_in_the_order_they_came)
{
	push_many("z", 1, 0);
	push_many("a", 1, 0);
	size_t position = 0;
	CHECK(mw_span_is(mw_lane_account(mw_weir_each(w, &position)), "z"));
	CHECK(mw_span_is(mw_lane_account(mw_weir_each(w, &position)), "a") && !mw_weir_each(w, &position));
}

TEST(a_senseless_configuration_still_works)
{
	config = (struct mw_weir_config){.linger_ms = -5};
	again_with_config();
	push_many("a", 2, 0);
	CHECK(next(0) == 1);
	answer(200, -1, 0);
	CHECK(next(0) == 1);
	mw_weir_free(NULL);
}

int main(void)
{
	RUN_FRESH(a_message_goes_out_and_is_reported);
	RUN_FRESH(a_lane_knows_when_it_last_delivered);
	RUN_FRESH(push_refuses_what_does_not_fit_and_changes_nothing);
	RUN_FRESH(a_small_batch_lingers_and_a_full_one_does_not);
	RUN_FRESH(hurry_ends_lingering_and_keeps_new_messages_from_it);
	RUN_FRESH(lanes_take_turns_whatever_they_hold);
	RUN_FRESH(one_request_in_eight_goes_to_who_has_a_full_batch);
	RUN_FRESH(no_more_requests_are_in_flight_than_allowed);
	RUN_FRESH(handing_out_is_paced_like_sending);
	RUN_FRESH(an_unsent_request_keeps_its_turn_and_costs_no_attempt);
	RUN_FRESH(a_batch_without_an_answer_is_repeated_as_it_was);
	RUN_FRESH(retry_after_is_honoured_on_429_and_503_alone);
	RUN_FRESH(retries_run_out_and_a_429_with_retry_after_uses_none_up);
	RUN_FRESH(a_dying_batch_still_makes_its_lane_back_off);
	RUN_FRESH(three_lanes_told_429_in_a_row_close_the_gate);
	RUN_FRESH(one_lane_told_429_three_times_or_a_success_between_close_nothing);
	RUN_FRESH(a_culprit_is_found_and_the_rest_delivered);
	RUN_FRESH(a_413_halves_the_batches_and_buries_what_is_too_large_alone);
	RUN_FRESH(any_other_status_buries_the_batch);
	RUN_FRESH(lanes_are_walked_in_the_order_they_came);
	RUN_FRESH(a_senseless_configuration_still_works);
	return CHECK_END();
}
