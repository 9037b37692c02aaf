#include "rig.h"

/* What came out of poll. */
struct seen {
	int delivered, dead, parked;
	int status;
	int64_t tag;
	char account[64], message[256], answer[600];
};

static void copy(char *to, size_t room, struct mw_span s)
{
	size_t len = s.len < room ? s.len : room - 1;
	if (len > 0)
		memcpy(to, s.at, len);
	to[len] = '\0';
}

static void see(void *context, const struct mw_report *r)
{
	struct seen *s = context;
	s->delivered += r->outcome == MW_OUTCOME_DELIVERED;
	s->dead += r->outcome == MW_OUTCOME_DEAD;
	s->parked += r->outcome == MW_OUTCOME_PARKED;
	s->status = r->status;
	s->tag = r->tag;
	copy(s->account, sizeof s->account, r->account);
	copy(s->message, sizeof s->message, r->message);
	copy(s->answer, sizeof s->answer, r->answer);
}

TEST(every_message_arrives_once_and_in_order)
{
	struct rig r;
	enum { ACCOUNTS = 7, EACH = 3000 };
	rig_open(&r, rig_config());
	char name[32], key[32];
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof name, "a%d", i);
		snprintf(key, sizeof key, "key%d", i);
		CHECK(rig_key(&r, name, key));
		CHECK(rig_push(&r, name, EACH) == MW_OK);
	}
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	int next[ACCOUNTS], account, number, lines = 0;
	for (int i = 0; i < ACCOUNTS; i++)
		next[i] = 1;
	char *text = mock_read(&r.mock, "messages", NULL);
	for (char *at = text; *at; at = strchr(at, '\n') + 1, lines++) {
		CHECK(sscanf(at, "{\"messageId\":\"a%d-%d\"", &account, &number) == 2);
		CHECK(account < ACCOUNTS && number == next[account]);
		next[account]++;
	}
	free(text);
	struct mw_counts c = rig_counts(&r);
	CHECK(lines == ACCOUNTS * EACH && c.delivered == ACCOUNTS * EACH && stats_add_up(&c));
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	for (size_t i = 0; i < count; i++)
		CHECK(strcmp(log[i].key, log[i].body_key) == 0 && log[i].messages <= MW_BATCH_MESSAGES);
	free(log);
	rig_close(&r);
}

TEST(a_full_queue_takes_nothing_of_a_box)
{
	struct rig r;
	struct mw_engine_config config = rig_config();
	config.queue_max = 64 * 1024;
	rig_open(&r, config);
	CHECK(mock_script(&r.mock, "stall") && rig_key(&r, "", "key"));
	CHECK(rig_push(&r, "a", 500) == MW_OK);
	CHECK(rig_push(&r, "a", 500) == MW_FULL && rig_counts(&r).accepted == 500);
	/* On its way is not delivered: the bytes still count. */
	RIG_UNTIL(rig_counts(&r).in_flight == 500);
	CHECK(rig_push(&r, "a", 500) == MW_FULL && rig_counts(&r).accepted == 500);
	CHECK(mw_engine_wait_room(r.engine, 64 * 1024, 5) == MW_TIMEOUT);
	CHECK(mw_engine_wait_room(r.engine, 64 * 1024 + 1, 5) == MW_TOO_LARGE);
	CHECK(rig_push(&r, "a", 2000) == MW_TOO_LARGE);
	rig_close(&r);

	rig_open(&r, config);
	CHECK(rig_key(&r, "", "key"));
	for (int i = 0; i < 20; i++) {
		CHECK(mw_engine_wait_room(r.engine, r.box.bytes.len, RIG_PATIENCE_MS) == MW_OK);
		CHECK(rig_push(&r, "a", 500) == MW_OK);
	}
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 10000);
	rig_close(&r);
}

TEST(a_queue_half_full_of_partial_batches_does_not_wait_for_company)
{
	struct rig r;
	struct mw_engine_config config = rig_config();
	config.queue_max = 64 * 1024;
	config.weir.linger_ms = 3600 * 1000;
	rig_open(&r, config);
	CHECK(rig_key(&r, "", "key"));
	for (int i = 0; i < 6; i++) {
		char account[16];
		snprintf(account, sizeof account, "a%d", i);
		CHECK(rig_push(&r, account, 100) == MW_OK);
	}
	CHECK(mw_engine_wait_room(r.engine, 32 * 1024, RIG_PATIENCE_MS) == MW_OK);
	rig_close(&r);
}

TEST(a_box_with_a_bad_message_is_refused_whole)
{
	struct rig r;
	rig_open(&r, rig_config());
	CHECK(box_add(&r.box, "a", "1", 50, 0));
	struct mw_outbox_mark mark = mw_outbox_mark(&r.box);
	struct mw_parcel empty = {.account = MW_SPAN("a")};
	if (mw_outbox_add(&r.box, &empty) == MW_OK)
		CHECK(mw_engine_push(r.engine, &r.box) == MW_INVALID);
	mw_outbox_rollback(&r.box, mark);
	CHECK(box_add(&r.box, "a", "2", MW_MESSAGE_MAX, 0) && mw_engine_push(r.engine, &r.box) == MW_OK);
	if (box_add(&r.box, "a", "3", MW_MESSAGE_MAX + 1, 0))
		CHECK(mw_engine_push(r.engine, &r.box) == MW_TOO_LARGE);
	CHECK(rig_counts(&r).accepted == 2);
	rig_close(&r);
}

TEST(without_a_key_messages_wait_for_one)
{
	struct rig r;
	struct seen s = {0};
	struct mw_engine_lane lane;
	rig_open(&r, rig_config());
	CHECK(rig_push(&r, "a", 3) == MW_OK && rig_push(&r, "b", 2) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(rig_lane(&r, "a", &lane) && lane.state == MW_LANE_PARKED &&
	      strstr(lane.last_error, "no write key"));
	CHECK(mw_engine_poll(r.engine, 10, see, &s) == 2 && s.parked == 2 && s.status == MW_STATUS_NO_KEY);
	CHECK(rig_key(&r, "a", "key"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED && rig_counts(&r).delivered == 3);
	CHECK(rig_key(&r, "", "everybodys"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 5);
	rig_close(&r);
}

TEST(a_refused_key_parks_its_account_and_no_other)
{
	struct rig r;
	struct seen s = {0};
	struct mw_engine_lane lane;
	rig_open(&r, rig_config());
	CHECK(mock_script(&r.mock, "key old 401\nbody go away, old"));
	CHECK(rig_key(&r, "a", "old") && rig_key(&r, "b", "good"));
	CHECK(rig_push(&r, "a", 3) == MW_OK && rig_push(&r, "b", 3) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED && rig_counts(&r).delivered == 3);
	CHECK(rig_lane(&r, "a", &lane) && lane.last_status == 401 && lane.due_in_ms > 0);
	CHECK(strstr(lane.last_error, " answered 401: go away, ***") && lane.counts.queued == 3);
	CHECK(mw_engine_poll(r.engine, 10, see, &s) == 1 && s.parked == 1 && strcmp(s.account, "a") == 0);
	CHECK(rig_key(&r, "a", "new"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 6);
	rig_close(&r);
}

TEST(a_culprit_is_reported_and_the_rest_delivered)
{
	struct rig r;
	struct seen s = {0};
	struct mw_engine_config config = rig_config();
	rig_open(&r, config);
	CHECK(mock_script(&r.mock, "marker \"a-37\"\nbody no good") && rig_key(&r, "a", "key"));
	CHECK(rig_push(&r, "a", 100) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	struct mw_counts c = rig_counts(&r);
	CHECK(c.delivered == 99 && c.dead == 1);
	CHECK(mw_engine_poll(r.engine, 10, see, &s) == 1 && s.dead == 1 && s.tag == 37 && s.status == 400);
	CHECK(strstr(s.message, "\"a-37\"") && strcmp(s.answer, "no good") == 0 &&
	      strcmp(s.account, "a") == 0);
	rig_close(&r);
}

TEST(deliveries_are_reported_if_wanted)
{
	struct rig r;
	struct seen s = {0};
	struct mw_engine_config config = rig_config();
	config.report_delivered = true;
	rig_open(&r, config);
	CHECK(rig_key(&r, "a", "key") && rig_push(&r, "a", 10) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(mw_engine_poll(r.engine, 4, see, &s) == 4 && s.delivered == 4 && s.tag == 4 && s.status == 200);
	CHECK(!s.message[0] && mw_engine_poll(r.engine, 100, see, &s) == 6 && s.tag == 10);
	rig_close(&r);
}

TEST(each_attempt_has_its_own_sent_at_and_count)
{
	struct rig r;
	char sent[3][32];
	rig_open(&r, rig_config());
	CHECK(mock_script(&r.mock, "status 500 503") && rig_key(&r, "a", "key") &&
	      rig_push(&r, "a", 1) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	CHECK(count == 3 && log[0].retry == 0 && log[1].retry == 1 && log[2].retry == 2);
	free(log);
	char *bodies = mock_read(&r.mock, "bodies", NULL), *at = bodies;
	for (int i = 0; i < 3; i++) {
		at = strstr(at, "\"sentAt\":\"") + 10;
		CHECK(sscanf(at, "%31[^\"]", sent[i]) == 1);
	}
	free(bodies);
	CHECK(strcmp(sent[0], sent[1]) < 0 && strcmp(sent[1], sent[2]) < 0);
	rig_close(&r);
}

TEST(an_account_may_have_its_own_endpoint)
{
	struct rig r;
	struct mock other = mock_start(NULL, NULL);
	struct mw_endpoint endpoint;
	rig_open(&r, rig_config());
	CHECK(mw_endpoint_parse(span(other.url), &endpoint, NULL) == MW_OK);
	CHECK(mw_engine_set_key(r.engine, MW_SPAN("eu"), MW_SPAN("k1"), &endpoint, NULL) == MW_OK);
	CHECK(rig_key(&r, "", "k2") && rig_push(&r, "eu", 2) == MW_OK && rig_push(&r, "us", 3) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	size_t count;
	struct mock_request *log = mock_log(&other, &count);
	CHECK(count == 1 && log[0].messages == 2 && strcmp(log[0].key, "k1") == 0);
	free(log);
	rig_close(&r);
	mock_stop(&other);
}

TEST(a_stalled_account_delays_no_other)
{
	struct rig r;
	rig_open(&r, rig_config());
	CHECK(mock_script(&r.mock, "stall-key slow") && rig_key(&r, "slow", "slow") &&
	      rig_key(&r, "", "key"));
	CHECK(rig_push(&r, "slow", 5) == MW_OK && rig_push(&r, "b", 5) == MW_OK &&
	      rig_push(&r, "c", 5) == MW_OK);
	RIG_UNTIL(rig_counts(&r).delivered == 10);
	struct mw_counts c = rig_counts(&r);
	CHECK(c.delivered == 10 && c.in_flight == 5 && stats_add_up(&c));
	rig_close(&r);
}

TEST(nobody_listening_is_said_in_the_lane)
{
	struct rig r;
	struct mw_engine_lane lane;
	char expected[80];
	rig_open(&r, rig_config());
	snprintf(expected, sizeof expected, "connection refused by 127.0.0.1:%d", r.mock.port);
	kill(r.mock.pid, SIGTERM);
	int status;
	CHECK(waitpid(r.mock.pid, &status, 0) == r.mock.pid);
	CHECK(rig_key(&r, "", "key") && rig_push(&r, "a", 5) == MW_OK);
	CHECK(mw_engine_flush(r.engine, 100) == MW_TIMEOUT);
	RIG_UNTIL(rig_lane(&r, "a", &lane) && lane.last_error[0]);
	CHECK(strcmp(lane.last_error, expected) == 0 &&
	      rig_counts(&r).queued + rig_counts(&r).in_flight == 5);
	mw_engine_free(r.engine);
	mw_outbox_deinit(&r.box);
	close(r.mock.stdin_fd);
	mock_remove_folder(r.mock.folder);
}

TEST(the_busiest_lanes_are_listed_when_not_all_fit)
{
	struct rig r;
	struct mw_engine_lane few[3];
	char name[16];
	rig_open(&r, rig_config());
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "a%d", i);
		CHECK(rig_push(&r, name, i * 3 % 10 + 1) == MW_OK);
	}
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(mw_engine_lanes(r.engine, few, 3) == 10 && mw_engine_lanes(r.engine, NULL, 0) == 10);
	uint64_t sum = 0;
	for (int i = 0; i < 3; i++)
		sum += few[i].counts.queued;
	CHECK(sum == 10 + 9 + 8);
	rig_close(&r);
}

TEST(hidden_resends_stay_within_the_rate)
{
	struct rig r;
	struct mw_engine_config config = rig_config();
	config.weir.rate = 50;
	config.weir.batch_messages = 1;
	rig_open(&r, config);
	char name[16];
	CHECK(mock_script(&r.mock, "drop-reused") && rig_key(&r, "", "key"));
	for (int i = 0; i < 80; i++) {
		snprintf(name, sizeof name, "a%d", i % 8);
		CHECK(rig_push(&r, name, 1) == MW_OK);
	}
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 80);
	size_t count, dropped = 0, busiest = mock_busiest_second(&r.mock);
	struct mock_request *log = mock_log(&r.mock, &count);
	for (size_t i = 0; i < count; i++)
		dropped += log[i].status == 0;
	free(log);
	struct mw_engine_stats s;
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK);
	if (busiest > 50 || dropped == 0 || s.weir.requests != count)
		fprintf(stderr, "busiest %zu, dropped %zu, counted %" PRIu64 " of %zu\n", busiest, dropped,
			s.weir.requests, count);
	CHECK(busiest <= 50 && count > 50 && dropped > 0 && s.weir.requests == count);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	alarm(900);
	mock_main(argc, argv);
	RUN(every_message_arrives_once_and_in_order);
	RUN(a_full_queue_takes_nothing_of_a_box);
	RUN(a_queue_half_full_of_partial_batches_does_not_wait_for_company);
	RUN(a_box_with_a_bad_message_is_refused_whole);
	RUN(without_a_key_messages_wait_for_one);
	RUN(a_refused_key_parks_its_account_and_no_other);
	RUN(a_culprit_is_reported_and_the_rest_delivered);
	RUN(deliveries_are_reported_if_wanted);
	RUN(each_attempt_has_its_own_sent_at_and_count);
	RUN(an_account_may_have_its_own_endpoint);
	RUN(a_stalled_account_delays_no_other);
	RUN(nobody_listening_is_said_in_the_lane);
	RUN(the_busiest_lanes_are_listed_when_not_all_fit);
	RUN(hidden_resends_stay_within_the_rate);
	return CHECK_END();
}
