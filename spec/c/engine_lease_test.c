/* An engine whose permits come from elsewhere: a thread of the test's own gives turns, as Redis's script
 * does. */
#include "lessor.h"

static void begin(struct rig *r, struct lessor *l)
{
	struct mw_engine_config config = rig_config();
	config.weir.rate = LESSOR_RATE;
	config.weir.batch_messages = 1;
	config.is_leased = true;
	rig_open(r, config);
	if (!rig_key(r, "", "key"))
		exit(2);
	lessor_start(l, r->engine);
}

static void end(struct rig *r, struct lessor *l)
{
	lessor_stop(l);
	rig_close(r);
}

static size_t requests(struct rig *r)
{
	size_t count;
	free(mock_log(&r->mock, &count));
	return count;
}

TEST(each_request_uses_a_turn_and_all_arrive)
{
	struct rig r;
	struct lessor l = {0};
	begin(&r, &l);
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof name, "a%d", i);
		CHECK(rig_push(&r, name, 20) == MW_OK);
	}
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	struct mw_engine_stats s;
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms == 0);
	CHECK(requests(&r) == 200 && s.weir.requests == 200);
	CHECK(atomic_load(&l.granted) >= 200);
	end(&r, &l);
}

TEST(without_turns_nothing_is_sent_and_it_is_said_why)
{
	struct rig r;
	struct lessor l = {0};
	struct mw_engine_stats s;
	begin(&r, &l);
	atomic_store(&l.is_away, true);
	CHECK(rig_push(&r, "a", 5) == MW_OK);
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms > 0);
	CHECK(s.unleased_ms > 0 && strstr(s.lease_trouble, "away"));
	CHECK(mw_engine_flush(r.engine, 300) == MW_TIMEOUT && requests(&r) == 0);
	atomic_store(&l.is_away, false);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && requests(&r) == 5);
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms == 0 && !*s.lease_trouble);
	end(&r, &l);
}

/* curl finds the kept connection dead and sends again by itself: that takes a turn, too. */
TEST(what_curl_sends_again_waits_for_another_turn)
{
	struct rig r;
	struct lessor l = {0};
	begin(&r, &l);
	CHECK(mock_script(&r.mock, "drop-reused"));
	CHECK(rig_push(&r, "a", 20) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	struct mw_engine_stats s;
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK);
	CHECK(requests(&r) > 20 && s.weir.requests == requests(&r));
	CHECK((uint64_t)atomic_load(&l.granted) >= s.weir.requests);
	end(&r, &l);
}

TEST(a_gate_is_told_and_one_that_others_closed_holds)
{
	struct rig r;
	struct lessor l = {0};
	begin(&r, &l);
	CHECK(mock_script(&r.mock, "header Retry-After: 30\nstatus 429 429 429"));
	const char *const names[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++)
		CHECK(rig_push(&r, names[i], 1) == MW_OK);
	RIG_UNTIL(atomic_load(&l.gate_told_ms) > 0);
	CHECK(atomic_load(&l.gate_told_ms) > 20000 && atomic_load(&l.gate_told_ms) <= 30000);
	end(&r, &l);

	memset(&l, 0, sizeof l);
	begin(&r, &l);
	atomic_store(&l.is_gated, true);
	CHECK(rig_push(&r, "a", 1) == MW_OK);
	struct mw_engine_stats s;
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.gate_ms > 0);
	CHECK(s.gate_ms > 50000 && requests(&r) == 0);
	end(&r, &l);
}

TEST(a_closed_engine_wants_nothing)
{
	struct rig r;
	struct lessor l = {0};
	begin(&r, &l);
	CHECK(rig_push(&r, "a", 3) == MW_OK);
	CHECK(mw_engine_close(r.engine, RIG_PATIENCE_MS, &r.error) == MW_OK);
	struct mw_turns_ask ask;
	int64_t wait_ms;
	CHECK(!l.lessee.ask(l.lessee.engine, &ask, &wait_ms) && wait_ms == MW_TURNS_NONE);
	CHECK(l.lessee.grant(l.lessee.engine, &(struct mw_turns_answer){.count = 1}) == MW_TURNS_LATE);
	l.lessee.failed(l.lessee.engine, "late");
	end(&r, &l);
}

TEST(an_engine_with_a_budget_of_its_own_has_no_lessee)
{
	struct rig r;
	struct mw_lessee lessee;
	rig_open(&r, rig_config());
	CHECK(!mw_engine_lessee(r.engine, &lessee));
	rig_close(&r);
}

int main(int argc, char **argv)
{
	alarm(900);
	mock_main(argc, argv);
	RUN(each_request_uses_a_turn_and_all_arrive);
	RUN(without_turns_nothing_is_sent_and_it_is_said_why);
	RUN(what_curl_sends_again_waits_for_another_turn);
	RUN(a_gate_is_told_and_one_that_others_closed_holds);
	RUN(a_closed_engine_wants_nothing);
	RUN(an_engine_with_a_budget_of_its_own_has_no_lessee);
	return CHECK_END();
}
