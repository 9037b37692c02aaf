/* lessor.h -- whoever an engine has its turns from, in place of Redis: a thread of the test's own. */
#ifndef MW_LESSOR_H
#define MW_LESSOR_H

#include "rig.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

/* Slots 3 ms apart: tests have better things to do than to wait. */
enum { INTERVAL_US = 3000 };

#define LESSOR_RATE (1000000.0 * 1.08 / INTERVAL_US)

struct lessor {
	struct mw_lessee lessee;
	pthread_t thread;
	atomic_bool stop, is_away, is_gated;
	atomic_int granted;
	atomic_int tokens; /* questions in which one was asked for */
	char named[64];    /* an account that is looked for ... */
	atomic_bool is_named;
	atomic_int gate_told_ms;
	int64_t next_us;
};

static int64_t lessor_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Everybody who asks gets the next slot, as far ahead as that may be. */
static void lessor_answer(struct lessor *l, const struct mw_turns_ask *ask)
{
	if (atomic_load(&l->is_away)) {
		l->lessee.failed(l->lessee.engine, "the test's Redis is away");
		return;
	}
	if (ask->gate_ms > 0)
		atomic_store(&l->gate_told_ms, (int)ask->gate_ms);
	int64_t now = lessor_now_us(), first = l->next_us > now ? l->next_us : now;
	bool gated = atomic_load(&l->is_gated);
	struct mw_turns_answer a = {
	    .clock_us = now + 1000000000, .gate_us = gated ? 60000000 : 0, .count = ask->count};
	int given = 0;
	for (uint32_t i = 0; i < ask->count; i++) {
		bool is_given = !gated && first <= now + 1000 * MW_TURN_AHEAD_MS;
		atomic_fetch_add(&l->tokens, ask->accounts[i].is_token);
		if (*l->named && mw_span_equal(ask->accounts[i].name, span(l->named)))
			atomic_store(&l->is_named, true);
		a.accounts[i].say = is_given ? MW_TURNS_SLOT : MW_TURNS_LINE;
		a.accounts[i].us = is_given ? first - now : 20000;
		first += is_given ? INTERVAL_US : 0;
		given += is_given;
	}
	l->next_us = first;
	if (l->lessee.grant(l->lessee.engine, &a) == MW_TURNS_GRANTED)
		atomic_fetch_add(&l->granted, given);
}

static void *lessor_run(void *context)
{
	struct lessor *l = context;
	while (!atomic_load(&l->stop)) {
		struct mw_turns_ask ask;
		int64_t wait_ms;
		uint64_t count;
		if (l->lessee.ask(l->lessee.engine, &ask, &wait_ms)) {
			lessor_answer(l, &ask);
			continue;
		}
		/* Not for ever: nobody wakes it to end. */
		struct pollfd fd = {.fd = l->lessee.fd, .events = POLLIN};
		poll(&fd, 1, wait_ms < 20 ? (int)wait_ms : 20);
		(void)!read(l->lessee.fd, &count, sizeof count);
	}
	return NULL;
}

__attribute__((unused)) static void lessor_start(struct lessor *l, struct mw_engine *engine)
{
	if (!mw_engine_lessee(engine, &l->lessee) || pthread_create(&l->thread, NULL, lessor_run, l) != 0)
		exit(2);
}

__attribute__((unused)) static void lessor_stop(struct lessor *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

#endif
