/* An engine whose permits come from elsewhere: a thread of the test's own gives turns, as Redis's script
 * does. */
#include "rig.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

/* Slots 3 ms apart: tests have better things to do than to wait. */
enum { INTERVAL_US = 3000 };

struct lessor {
	struct mw_lessee lessee;
	pthread_t thread;
	atomic_bool stop, is_away, is_gated;
	atomic_int granted, owed;
	atomic_int gate_told_ms;
	int64_t next_us;
};

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Everybody who asks gets the next slot, as far ahead as that may be. */
static void answer(struct lessor *l, const struct mw_turns_ask *ask)
{
	if (atomic_load(&l->is_away)) {
		l->lessee.failed(l->lessee.engine, "the test's Redis is away");
		return;
	}
	if (ask->gate_ms > 0)
		atomic_store(&l->gate_told_ms, (int)ask->gate_ms);
	int64_t now = now_us(), first = l->next_us > now ? l->next_us : now;
	bool gated = atomic_load(&l->is_gated);
	struct mw_turns_answer a = {
	    .clock_us = now + 1000000000, .gate_us = gated ? 60000000 : 0, .count = ask->count};
	int given = 0;
	for (uint32_t i = 0; i < ask->count; i++) {
		bool is_given = !gated && first <= now + 1000 * MW_TURN_AHEAD_MS;
		atomic_fetch_add(&l->owed, ask->accounts[i].is_owed);
		a.accounts[i].say = is_given ? MW_TURNS_SLOT : MW_TURNS_LINE;
		a.accounts[i].us = is_given ? first - now : 20000;
		first += is_given ? INTERVAL_US : 0;
		given += is_given;
	}
	l->next_us = first;
	if (l->lessee.grant(l->lessee.engine, &a) == MW_TURNS_GRANTED)
		atomic_fetch_add(&l->granted, given);
}

static void *lend(void *context)
{
	struct lessor *l = context;
	while (!atomic_load(&l->stop)) {
		struct mw_turns_ask ask;
		int64_t wait_ms;
		uint64_t count;
		if (l->lessee.ask(l->lessee.engine, &ask, &wait_ms)) {
			answer(l, &ask);
			continue;
		}
		/* Not for ever: nobody wakes it to end. */
		struct pollfd fd = {.fd = l->lessee.fd, .events = POLLIN};
		poll(&fd, 1, wait_ms < 20 ? (int)wait_ms : 20);
		(void)!read(l->lessee.fd, &count, sizeof count);
	}
	return NULL;
}

static void begin(struct rig *r, struct lessor *l)
{
	struct mw_engine_config config = rig_config();
	config.weir.rate = 1000000.0 * 1.08 / INTERVAL_US;
	config.weir.batch_messages = 1;
	config.is_leased = true;
	rig_open(r, config);
	memset(l, 0, sizeof *l);
	if (!rig_key(r, "", "key") || !mw_engine_lessee(r->engine, &l->lessee) ||
	    pthread_create(&l->thread, NULL, lend, l) != 0)
		exit(2);
}

static void end(struct rig *r, struct lessor *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
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
	struct lessor l;
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
	struct lessor l;
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
	struct lessor l;
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
	struct lessor l;
	begin(&r, &l);
	CHECK(mock_script(&r.mock, "header Retry-After: 30\nstatus 429 429 429"));
	const char *const names[] = {"a", "b", "c"};
	for (int i = 0; i < 3; i++)
		CHECK(rig_push(&r, names[i], 1) == MW_OK);
	RIG_UNTIL(atomic_load(&l.gate_told_ms) > 0);
	CHECK(atomic_load(&l.gate_told_ms) > 20000 && atomic_load(&l.gate_told_ms) <= 30000);
	end(&r, &l);

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
	struct lessor l;
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
	alarm(300);
	mock_main(argc, argv);
	RUN(each_request_uses_a_turn_and_all_arrive);
	RUN(without_turns_nothing_is_sent_and_it_is_said_why);
	RUN(what_curl_sends_again_waits_for_another_turn);
	RUN(a_gate_is_told_and_one_that_others_closed_holds);
	RUN(a_closed_engine_wants_nothing);
	RUN(an_engine_with_a_budget_of_its_own_has_no_lessee);
	return CHECK_END();
}
