/* Years of traffic through the very weir that ships, against a simulated clock, network and server.
 *
 *     MW_HISTORIES=100000 build/test/weir_simulation     more random histories than the usual 10,000
 *     MW_SEED=123 build/test/weir_simulation             one history again, the one that failed
 */
#include "weir_world.h"

#include <malloc.h>
#include <math.h>

static struct weather storm(struct world *w)
{
	struct weather s = {.latency_ms = (int64_t[]){0, 3, 40, 400, 3000}[below(w, 5)]};
	/* Most histories have few kinds of fault, some have all at once, some none. */
	uint32_t *faults[] = {&s.unsent,  &s.lost_before, &s.lost_after, &s.resent, &s.stalled,
			      &s.limited, &s.broken,      &s.final,      &s.revoked};
	uint32_t share = (uint32_t[]){0, 200, 500, 1000}[below(w, 4)];
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (chance(w, share))
			*faults[i] = (uint32_t[]){5, 30, 150, 600}[below(w, 4)];
	s.told_when = (uint32_t)below(w, 1001);
	return s;
}

static void begin(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof *w);
	w->random = seed;
	w->now = (int64_t)below(w, 1000000);
	w->config = mw_weir_defaults();
	w->config.rate = (double[]){50, 50, 50, 1, 7, 400, 0}[below(w, 7)];
	w->config.batch_bytes = (size_t[]){400, 3000, 20000, 475000}[below(w, 4)];
	w->config.batch_messages = (uint32_t[]){1, 7, 100, 2500}[below(w, 4)];
	w->config.linger_ms = (int64_t[]){0, 200, 5000}[below(w, 3)];
	w->config.in_flight_max = (uint32_t[]){1, 3, FLIGHTS_MAX}[below(w, 3)];
	size_t bytes_max = (size_t[]){5000, 50000, 1 << 30}[below(w, 3)];
	w->config.retries_max = chance(w, 300) ? (uint32_t)below(w, 5) : MW_RETRY_FOREVER;
	w->config.seed = check_random(&w->random);
	w->config.report = (struct mw_report_to){on_report, w};
	w->server_max = (size_t[]){150, 1000, 1 << 30, 1 << 30}[below(w, 4)];
	w->poison = (uint32_t[]){0, 0, 10, 100, 700}[below(w, 5)];
	w->weather = storm(w);
	w->account_count = 1 + (uint32_t)below(w, ACCOUNTS_MAX);
	for (uint32_t i = 0; i < w->account_count; i++) {
		struct account *a = &w->accounts[i];
		memcpy(a->name, "a000", 4);
		write_number((uint8_t *)a->name + 1, 3, i);
		a->span = (struct mw_span){(const uint8_t *)a->name, 4};
	}
	mw_buf_init(&w->batch, 1 << 20);
	mw_queues_init(&w->queues, bytes_max, w->config.report);
	w->config.store = mw_queues_store(&w->queues);
	w->weir = mw_weir_new(&w->config, w->now);
	w->wake_at = INT64_MAX;
}

static void control(struct world *w, struct account *a)
{
	struct mw_lane *lane = mw_weir_lane(w->weir, a->span);
	if (chance(w, w->weather.revoked))
		a->refused_with = (int[]){401, 403, MW_STATUS_NO_KEY}[below(w, 3)];
	if (a->refused_with && chance(w, 100))
		a->refused_with = 0; /* mended on the other side: only a probe finds out */
	if (chance(w, 30)) {
		a->refused_with = 0;
		resume(w, a);
	}
	if (lane && chance(w, 20)) {
		mw_weir_pause(w->weir, lane, w->now);
		w->turn = w->turn == a ? NULL : w->turn;
		a->paused = true;
	}
	if (chance(w, 20))
		mw_weir_hurry(w->weir, chance(w, 500), w->now);
}

/* One burst of messages and perhaps a change of circumstances; when the next one comes. */
static int64_t traffic(struct world *w, bool flooded)
{
	struct account *a = &w->accounts[flooded && chance(w, 800) ? 0 : below(w, w->account_count)];
	uint64_t burst = 1 + below(w, chance(w, 100) ? 60 : 5);
	for (uint64_t i = 0; i < burst; i++)
		world_push(w, a);
	control(w, a);
	int64_t pause = (int64_t)below(w, (uint64_t[]){5, 100, 2000}[below(w, 3)]);
	return w->now + (chance(w, 5) ? 1200000 : pause);
}

static void calm(struct world *w)
{
	w->weather = (struct weather){.latency_ms = w->weather.latency_ms};
	for (uint32_t i = 0; i < w->account_count; i++) {
		w->accounts[i].refused_with = 0;
		resume(w, &w->accounts[i]);
	}
}

static bool is_drained(const struct world *w)
{
	for (uint32_t i = 0; i < w->account_count; i++)
		if (w->accounts[i].resolved < w->accounts[i].pushed || w->accounts[i].flying)
			return false;
	return true;
}

static void live(struct world *w)
{
	uint32_t bursts = 1 + (uint32_t)below(w, 200);
	bool flooded = chance(w, 300);
	int64_t traffic_at = w->now;
	for (uint32_t step = 0; traffic_at < INT64_MAX || !is_drained(w); step++) {
		EXPECT(w, step < 200000);
		int64_t next = traffic_at < w->wake_at ? traffic_at : w->wake_at;
		for (struct flight *f = w->flights; f < w->flights + FLIGHTS_MAX; f++)
			if (f->step != FREE && f->at < next)
				next = f->at;
		EXPECT(w, next < INT64_MAX); /* else something waits that nobody will wake */
		if (next > w->now)
			w->now = chance(w, 50) ? w->now + (next - w->now) / 2 : next;

		for (struct flight *f = w->flights; f < w->flights + FLIGHTS_MAX; f++)
			if (f->step != FREE && f->at <= w->now)
				world_fly(w, f);
		if (traffic_at <= w->now) {
			traffic_at = bursts-- > 0 ? traffic(w, flooded) : INT64_MAX;
			if (traffic_at == INT64_MAX)
				calm(w);
		}
		world_send(w);
		check_books(w);
	}
	/* From here the server was good: only what deserved it is dead. on_report saw to each one. */
	struct mw_weir_stats s = mw_weir_stats(w->weir);
	EXPECT(w, s.counts.delivered + s.counts.dead == s.counts.accepted && s.oldest == -1);
}

/* What all histories together have been through: a simulation in which little happens proves little. */
static struct {
	uint64_t ms, delivered, dead, requests, retries, splits;
} lived;

static void remember(const struct world *w, int64_t since)
{
	struct mw_weir_stats s = mw_weir_stats(w->weir);
	lived.ms += (uint64_t)(w->now - since);
	lived.delivered += s.counts.delivered;
	lived.dead += s.counts.dead;
	lived.requests += s.requests;
	lived.retries += s.retries;
	lived.splits += s.splits;
}

static bool history(uint64_t seed)
{
	static struct world w;
	begin(&w, seed);
	int64_t since = w.now;
	bool fine = setjmp(w.broken) == 0;
	if (fine)
		live(&w);
	else
		fprintf(stderr,
			"weir_world.h or weir_simulation.c:%d: %s\n  at %" PRId64
			" ms; again with MW_SEED=%" PRIu64 "\n",
			w.line, w.what, w.now, seed);
	remember(&w, since);
	mw_weir_free(w.weir);
	mw_queues_deinit(&w.queues);
	mw_buf_deinit(&w.batch);
	return fine;
}

TEST(random_histories_keep_every_promise)
{
	const char *given = getenv("MW_HISTORIES");
	uint64_t histories = given ? strtoull(given, NULL, 0) : 10000, broken = 0;
	uint64_t seed = check_seed("histories");
	if (getenv("MW_SEED")) {
		CHECK(history(seed));
		return;
	}
	for (uint64_t i = 0; i < histories && broken < 5; i++)
		broken += !history(check_random(&seed));
	printf("%" PRIu64 " histories, %" PRIu64 " days: %" PRIu64 " delivered, %" PRIu64 " dead, %" PRIu64
	       " requests, %" PRIu64 " retries, %" PRIu64 " splits\n",
	       histories, lived.ms / 86400000, lived.delivered, lived.dead, lived.requests, lived.retries,
	       lived.splits);
	CHECK(broken == 0);
}

enum { CROWD = 100, STALLED = 20 };

static struct mw_span name_of(char name[16], unsigned i)
{
	return (struct mw_span){(const uint8_t *)name, (size_t)snprintf(name, 16, "account-%u", i)};
}

/* Account 0 has a million messages waiting, twenty never get an answer, and the other quiet ones push one
 * message now and then. What may lie ahead of such a message: its linger, one turn of each of the K others,
 * K times what it takes from handing out to the permit, and in each MW_LADEN_EVERY turns one of the flooded.
 */
TEST(a_flooded_account_does_not_delay_quiet_ones_beyond_their_share)
{
	enum { CONNECT_MS = 3, INTERVAL_MS = 21 };
	uint64_t random = check_seed("fairness");
	struct mw_weir_config config = mw_weir_defaults();
	config.seed = random;
	struct mw_queues queues;
	struct mw_weir *w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
	uint8_t message[20] = "a quiet word, please";
	const struct mw_span span = {message, sizeof message};
	char name[16];
	for (int i = 0; i < 1000000; i++)
		CHECK(mw_queues_push(&queues, w, name_of(name, 0), span, 0, 0) == MW_OK);

	struct {
		struct mw_request r;
		int64_t permit_at, done_at; /* INT64_MAX: not this one any more */
	} flights[MW_IN_FLIGHT_MAX] = {0};
	int64_t pushed_at[CROWD], worst = 0;
	unsigned measured = 0;
	for (unsigned i = 0; i < CROWD; i++)
		pushed_at[i] = -1;

	struct mw_lane *flood = mw_weir_lane(w, name_of(name, 0));
	int64_t now = 0;
	for (; flood->counts.queued > 0; now++) {
		/* All at the same moment every 5 s, and single ones between. */
		for (unsigned i = 1; i < CROWD; i++) {
			if (pushed_at[i] < 0 && (now % 5000 == 0 || check_random(&random) % 3000 == 0)) {
				CHECK(mw_queues_push(&queues, w, name_of(name, i), span, 0, now) == MW_OK);
				pushed_at[i] = now;
			}
		}
		for (size_t i = 0; i < MW_IN_FLIGHT_MAX; i++) {
			struct mw_lane *lane = flights[i].r.lane;
			if (lane && flights[i].permit_at <= now && mw_weir_permit(w, now) == 0) {
				unsigned who = (unsigned)atoi(lane->name + 8);
				flights[i].permit_at = INT64_MAX;
				flights[i].done_at = now + (int64_t)(check_random(&random) % 60);
				if (who > 0 && now - pushed_at[who] > worst)
					worst = now - pushed_at[who];
				measured += who > 0;
				if (who > 0 && who <= STALLED)
					flights[i].done_at = INT64_MAX;
			}
			if (lane && flights[i].permit_at == INT64_MAX && flights[i].done_at <= now) {
				const struct mw_answer yes = {.status = 200, .retry_after_ms = -1};
				mw_weir_done(w, &flights[i].r, &yes, now);
				pushed_at[atoi(lane->name + 8)] = -1;
				flights[i].r.lane = NULL;
			}
		}
		struct mw_request r;
		int64_t wait;
		while (mw_weir_next(w, now, &r, &wait)) {
			size_t i = 0;
			while (flights[i].r.lane)
				i++;
			flights[i].r = r;
			flights[i].permit_at = now + (int64_t)(check_random(&random) % (CONNECT_MS + 1));
		}
	}
	int64_t turns = CROWD * MW_LADEN_EVERY / (MW_LADEN_EVERY - 1) + 1;
	int64_t bound = config.linger_ms + turns * (INTERVAL_MS + CONNECT_MS);
	printf("a million messages beside %d quiet accounts: %u of their messages in %" PRId64
	       " s, worst delay %" PRId64 " ms of at most %" PRId64 "\n",
	       CROWD - 1, measured, now / 1000, worst, bound);
	CHECK(measured > 100 && worst <= bound);
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

/* ---- one bad account among a thousand */

enum { AMONG = 1000, AMONG_MS = 400000, AMONG_LATENCY_MS = 60, AMONG_TIMEOUT_MS = 30000 };

enum badness { GOOD, REFUSED, STALLING, FAILING, FLOODING };

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* The answer of account 0, and after how long. */
static struct mw_answer bad_answer(enum badness badness, int64_t *latency_ms)
{
	struct mw_answer a = {.status = 200, .retry_after_ms = -1};
	if (badness == REFUSED)
		a.status = 401;
	if (badness == FAILING)
		a.status = 503;
	if (badness == STALLING) {
		a.status = MW_STATUS_NETWORK;
		*latency_ms = AMONG_TIMEOUT_MS;
	}
	return a;
}

/* Half of the budget is asked for, by accounts that send one message every 40 s or so; account 0 sends more,
 * a lot more, or gets nothing through. The delay, from push to the wire, that 99 in 100 messages of the
 * others stay below; or -1. */
static int64_t delay_p99(enum badness badness, uint64_t random)
{
	static int64_t delays[AMONG_MS], pushed_at[AMONG];
	struct {
		struct mw_request r;
		struct mw_answer answer;
		int64_t permit_at, done_at; /* INT64_MAX: not any more, not yet */
	} flights[MW_IN_FLIGHT_MAX] = {0};
	struct mw_weir_config config = mw_weir_defaults();
	struct mw_queues queues;
	config.seed = random;
	struct mw_weir *w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
	size_t count = 0;
	char name[16];
	bool fine = true;
	for (int64_t now = 0; fine && now < AMONG_MS; now++) {
		unsigned who = 1 + (unsigned)(check_random(&random) % (AMONG - 1));
		struct mw_lane *lane = mw_weir_lane(w, name_of(name, who));
		bool idle = !lane || lane->counts.queued + lane->counts.in_flight == 0;
		if (idle && check_random(&random) % 40 == 0) {
			fine =
			    mw_queues_push(&queues, w, name_of(name, who), MW_SPAN("quiet"), 0, now) == MW_OK;
			pushed_at[who] = now;
		}
		for (int i = 0; fine && i < (badness == FLOODING ? 5 : now % 500 == 0); i++)
			fine = mw_queues_push(&queues, w, name_of(name, 0), MW_SPAN("bad"), 0, now) == MW_OK;
		for (size_t i = 0; i < MW_IN_FLIGHT_MAX; i++) {
			lane = flights[i].r.lane;
			if (lane && flights[i].permit_at <= now && mw_weir_permit(w, now) == 0) {
				int64_t latency_ms = 1 + (int64_t)(check_random(&random) % AMONG_LATENCY_MS);
				flights[i].answer = (struct mw_answer){.status = 200, .retry_after_ms = -1};
				who = (unsigned)atoi(lane->name + 8);
				if (who == 0)
					flights[i].answer = bad_answer(badness, &latency_ms);
				else
					delays[count++] = now - pushed_at[who];
				flights[i].permit_at = INT64_MAX;
				flights[i].done_at = now + latency_ms;
			}
			if (lane && flights[i].permit_at == INT64_MAX && flights[i].done_at <= now) {
				mw_weir_done(w, &flights[i].r, &flights[i].answer, now);
				flights[i].r.lane = NULL;
			}
		}
		struct mw_request r;
		int64_t wait;
		while (mw_weir_next(w, now, &r, &wait)) {
			size_t i = 0;
			while (flights[i].r.lane)
				i++;
			flights[i].r = r;
			flights[i].permit_at = now + (int64_t)(check_random(&random) % 3);
		}
	}
	mw_weir_free(w);
	mw_queues_deinit(&queues);
	if (!fine || count < 1000)
		return -1;
	qsort(delays, count, sizeof *delays, by_size);
	return delays[count * 99 / 100];
}

TEST(one_bad_account_among_a_thousand_does_not_double_the_delay_of_the_others)
{
	static const char *const names[] = {"undisturbed", "refused with 401", "stalling", "failing",
					    "flooding"};
	uint64_t random = check_seed("one bad account");
	int64_t undisturbed = delay_p99(GOOD, random);
	CHECK(undisturbed > 0);
	for (enum badness b = GOOD; b <= FLOODING; b++) {
		int64_t p99 = delay_p99(b, random);
		printf("one account of %d %s: p99 of the others %" PRId64 " ms\n", AMONG, names[b], p99);
		CHECK(p99 > 0 && p99 < 2 * undisturbed);
	}
}

/* Requests that it takes to get n messages with p culprits through. */
static unsigned requests_to_drain(uint32_t n, uint32_t p, uint64_t *random, bool *right)
{
	static bool culprit[MW_BATCH_MESSAGES];
	memset(culprit, 0, sizeof culprit);
	for (uint32_t left = p; left > 0;) {
		uint64_t at = check_random(random) % n;
		left -= !culprit[at];
		culprit[at] = true;
	}
	struct mw_weir_config config = mw_weir_defaults();
	config.rate = 0;
	config.linger_ms = 0;
	struct mw_queues queues;
	struct mw_weir *w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
	for (uint32_t i = 0; i < n; i++)
		mw_queues_push(&queues, w, MW_SPAN("a"), MW_SPAN("{}"), i, 0);
	unsigned requests = 0;
	uint32_t first = 0;
	struct mw_request r;
	int64_t wait;
	while (requests < 100000 && mw_weir_next(w, 0, &r, &wait)) {
		struct mw_answer a = {.status = 200, .retry_after_ms = -1};
		for (uint32_t i = first; i < first + r.count; i++)
			if (culprit[i])
				a.status = 400;
		first += a.status == 200 || r.count == 1 ? r.count : 0;
		mw_weir_done(w, &r, &a, 0);
		requests++;
	}
	struct mw_weir_stats s = mw_weir_stats(w);
	*right = s.counts.dead == p && s.counts.delivered == n - p;
	mw_weir_free(w);
	mw_queues_deinit(&queues);
	return requests;
}

TEST(splitting_costs_p_times_log2_n_requests)
{
	uint64_t random = check_seed("splitting");
	for (int i = 0; i < 2000; i++) {
		uint32_t n = 1 + (uint32_t)(check_random(&random) % (i % 10 ? 40 : MW_BATCH_MESSAGES));
		uint32_t p = (uint32_t)(check_random(&random) % ((n < 30 ? n : 30) + 1));
		bool right;
		unsigned requests = requests_to_drain(n, p, &random, &right);
		CHECK(right);
		/* For each culprit: its batch, the halves on the way to it, and itself alone. Below 2 p
		 * log2(n) from n = 4 on. */
		CHECK(requests - 1 <= p * (ceil(log2(n)) + 2));
	}
}

static size_t heap_bytes(void)
{
	return mallinfo2().uordblks;
}

TEST(a_hundred_thousand_idle_lanes_are_cheap)
{
	enum { LANES = 100000, IDLE_MAX = 250 };
	struct mw_weir_config config = mw_weir_defaults();
	config.rate = 0;
	size_t before = heap_bytes(), names = 0;
	struct mw_queues queues;
	struct mw_weir *w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
	char name[16];
	for (unsigned i = 0; i < LANES; i++) {
		struct mw_span span = name_of(name, i);
		names += span.len + 1;
		CHECK(mw_queues_push(&queues, w, span, MW_SPAN("{\"type\":\"track\"}"), 0, i / 100) == MW_OK);
	}
	size_t busy = heap_bytes();
	struct mw_request r;
	int64_t wait;
	for (int64_t now = 0; mw_weir_stats(w).counts.queued > 0; now += 100)
		while (mw_weir_next(w, now, &r, &wait))
			mw_weir_done(w, &r, &(struct mw_answer){.status = 200, .retry_after_ms = -1}, now);
	CHECK(mw_weir_stats(w).counts.delivered == LANES && mw_weir_stats(w).lanes == LANES);
	size_t idle = heap_bytes();
	/* Memory checkers bring their own heap, which does not count: there is nothing to print then. */
	if (busy > before + names)
		printf("%d lanes: %zu bytes each with one message, %zu idle, names apart\n", LANES,
		       (busy - before - names) / LANES, (idle - before - names) / LANES);
	CHECK(idle <= before + names + (size_t)LANES * IDLE_MAX);
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

int main(void)
{
	RUN(random_histories_keep_every_promise);
	/* What takes millions of messages says nothing more about memory. */
	if (!getenv("MW_SEED") && !getenv("MW_VALGRIND")) {
		RUN(a_flooded_account_does_not_delay_quiet_ones_beyond_their_share);
		RUN(one_bad_account_among_a_thousand_does_not_double_the_delay_of_the_others);
		RUN(splitting_costs_p_times_log2_n_requests);
		RUN(a_hundred_thousand_idle_lanes_are_cheap);
	}
	return CHECK_END();
}
