/* Many hosts under one budget, against a simulated Redis, network and receiver: no second with more requests
 * than the rate, whatever dies, is delayed or forgets.
 *
 *     MW_HISTORIES=100000 build/test/turns_simulation_test     more than the usual 2,000
 *     MW_SEED=123 build/test/turns_simulation_test             one history again, the one that failed
 *
 * What is taken for granted, and no more: the way to the receiver varies by MW_TURN_JITTER_MS; Redis has one
 * clock, which runs as fast as the hosts' within 200 ppm; and where it is set, no worker asks for the first
 * time, or after a long while, in the moment after.
 */
#include "check.h"
#include "turns_model.h"

enum {
	WORKERS_MAX = 6,
	ACCOUNTS = 12,
	FLIGHTS = 16,
	ARRIVALS_MAX = 40000,
	STEP_US = 1000,
	MESSAGE_LEN = 100
};
enum { NAP_US = 600000, CONNECT_MS = 200, ANSWER_MS = 60 };

static const int64_t SECOND_US = 1000000;

struct redis {
	struct model model, saved; /* what a restart without a synced log finds */
	int64_t clock_ahead;       /* of real time */
	int64_t down_until;
	uint64_t run;
};

/* A request that has left the weir. */
struct flight {
	struct mw_request r; /* r.lane NULL: for a token */
	int64_t permit_at, nap_until;
	int64_t done_at; /* 0: it has no permit yet */
	bool is_used;
};

struct worker {
	struct mw_turns turns;
	struct mw_weir *weir;
	struct mw_turn token_turn;
	bool wants_token;
	struct flight flights[FLIGHTS];
	int64_t clock_ahead, ppm; /* its monotonic clock */
	int64_t stalled_until, stall_share;
	int64_t ask_at;              /* not before, unless there is news */
	int64_t runs_at, answers_at; /* the question under way; 0: none */
	struct mw_turns_ask ask;
	struct mw_turns_answer answer;
	bool is_lost;  /* the question, or its answer */
	bool is_twice; /* its script runs again, a moment later */
};

struct world {
	uint64_t random;
	int64_t now; /* real, us */
	double rate;
	struct redis redis;
	struct worker workers[WORKERS_MAX];
	uint32_t worker_count;
	int64_t trip_us; /* to Redis, at most */
	int64_t jump_at;
	uint32_t faults; /* in a million, each ms */
	int64_t arrivals[ARRIVALS_MAX];
	uint32_t arrival_count;
	uint64_t sent, sent_of[ACCOUNTS];
	uint64_t sent_before; /* the last seconds, in which nothing goes wrong ... */
	int64_t next_before;  /* ... and the slot that was the next one then */
	bool is_waiting;      /* something could have been sent in them */
	bool is_late;         /* for a while all comes as late as it can, and then as early */
	bool is_busy;
};

static struct world world;

static uint64_t below(struct world *w, uint64_t n)
{
	return check_random(&w->random) % n;
}

static int64_t clock_of(const struct worker *k, int64_t real)
{
	return real + k->clock_ahead + real / 1000000 * k->ppm;
}

/* At most `most`; one time in two as late or as early as can be. */
static int64_t delay(struct world *w, int64_t most)
{
	return below(w, 2) ? (int64_t)below(w, (uint64_t)most + 1) : w->is_late ? most : 0;
}

/* ---- workers */

static void measure(void *context, const struct mw_lane *lane, size_t bytes_max, uint32_t count_max,
		    struct mw_batch *out)
{
	uint32_t count = lane->counts.queued < count_max ? (uint32_t)lane->counts.queued : count_max;
	*out = (struct mw_batch){.count = count,
				 .bytes = (size_t)count * (MESSAGE_LEN + 1) - 1,
				 .since_next = count < lane->counts.queued ? lane->since : -1};
	(void)context, (void)bytes_max;
}

static void settle(void *context, const struct mw_lane *lane, uint32_t count, uint64_t bytes,
		   enum mw_outcome outcome, const struct mw_answer *a)
{
	(void)context, (void)lane, (void)count, (void)bytes, (void)outcome, (void)a;
}

static void start_worker(struct world *w, struct worker *k)
{
	struct mw_weir_config config = mw_weir_defaults();
	mw_weir_free(k->weir);
	*k = (struct worker){.clock_ahead = (int64_t)below(w, 1000000000),
			     .ppm = (int64_t)below(w, 401) - 200,
			     .stall_share = w->is_busy ? 0 : (int64_t)below(w, 3) * 5};
	config.rate = 0;
	config.linger_ms = 0;
	config.batch_messages = 1 + (uint32_t)below(w, 3);
	config.in_flight_max = FLIGHTS;
	config.seed = check_random(&w->random);
	config.store = (struct mw_store){measure, settle, NULL};
	k->weir = mw_weir_new(&config, clock_of(k, w->now) / 1000);
	mw_turns_init(&k->turns, w->rate, check_random(&w->random), FLIGHTS);
}

static void push(struct world *w, struct worker *k, uint32_t account)
{
	struct mw_lane *lane =
	    mw_weir_open_lane(k->weir, (struct mw_span){(const uint8_t *)&account, sizeof account});
	mw_weir_push(k->weir, lane, 1, MESSAGE_LEN, clock_of(k, w->now) / 1000);
}

static uint32_t account_of(const struct mw_lane *lane)
{
	uint32_t account;
	memcpy(&account, lane->name, sizeof account);
	return account;
}

static void arrive(struct world *w)
{
	w->sent++;
	if (w->arrival_count < ARRIVALS_MAX)
		w->arrivals[w->arrival_count++] = w->now + delay(w, 1000 * MW_TURN_JITTER_MS);
}

/* Would the next millisecond be too late? */
static bool is_last_moment(const struct mw_turn *turn, int64_t mine)
{
	return turn->state != MW_TURN_GIVEN || (mine / 1000 + 1) * 1000 + 999 > turn->until_us;
}

static void take_off(struct world *w, struct worker *k, const struct mw_request *r)
{
	struct flight *f = k->flights;
	while (f->is_used)
		f++; /* room for a token is kept */
	/* Most find a connection; some have to connect, and come too late. */
	int64_t connect = below(w, 4) || w->is_busy ? 0 : 1000 * (int64_t)below(w, CONNECT_MS);
	*f = (struct flight){.r = *r, .permit_at = w->now + connect, .is_used = true};
	f->nap_until = f->permit_at + NAP_US;
}

static void land(struct world *w, struct worker *k, struct flight *f, bool is_unsent)
{
	int64_t mine = clock_of(k, w->now);
	struct mw_answer answer = {.status = is_unsent ? MW_STATUS_UNSENT : 200, .retry_after_ms = -1};
	if (!is_unsent && below(w, 50) == 0 && !w->is_busy)
		answer.status = below(w, 2) ? MW_STATUS_NETWORK : 401;
	f->is_used = false;
	if (!f->r.lane)
		return;
	mw_turns_done(&k->turns, f->r.lane->turn, is_unsent);
	mw_weir_done(k->weir, &f->r, &answer, mine / 1000);
}

static void fly(struct world *w, struct worker *k, struct flight *f)
{
	int64_t mine = clock_of(k, w->now);
	struct mw_turn *turn = f->r.lane ? f->r.lane->turn : &k->token_turn;
	if (f->done_at > 0) {
		if (w->now >= f->done_at)
			land(w, k, f, false);
		return;
	}
	if (w->now < f->permit_at || (w->is_late && !is_last_moment(turn, mine)))
		return;
	if (mw_turns_take(&k->turns, turn, mine) == 0) {
		arrive(w);
		if (f->r.lane)
			w->sent_of[account_of(f->r.lane)]++;
		/* curl finds the connection dead, and sends once more by itself. */
		if (below(w, 30) == 0 && !w->is_busy)
			f->permit_at = w->now + (int64_t)below(w, 50000);
		else
			f->done_at = w->now + 1 + 1000 * (int64_t)below(w, ANSWER_MS);
	} else if (w->now >= f->nap_until) {
		land(w, k, f, true);
	}
}

static void hand_out(struct world *w, struct worker *k)
{
	int64_t mine = clock_of(k, w->now), wait;
	struct mw_request r;
	bool has_token_turn;
	mw_turns_call(&k->turns, k->weir, mine, &has_token_turn);
	if (k->wants_token && k->flights[FLIGHTS - 1].is_used == false &&
	    mw_turns_admit_token(&k->turns, &k->token_turn, mine)) {
		k->wants_token = false;
		take_off(w, k, &(struct mw_request){.lane = NULL});
	}
	uint32_t used = 0;
	for (uint32_t i = 0; i < FLIGHTS; i++)
		used += k->flights[i].is_used;
	while (used < FLIGHTS - 1 && mw_turns_gate_ms(&k->turns, mine / 1000) == 0 &&
	       mw_weir_next(k->weir, mine / 1000, &r, &wait))
		if (mw_turns_admit(&k->turns, k->weir, &r, mine)) {
			take_off(w, k, &r);
			used++;
		}
	mw_turns_set_room(&k->turns, FLIGHTS - used);
}

static void work(struct world *w, struct worker *k)
{
	int64_t mine = clock_of(k, w->now);
	if (k->answers_at && w->now >= k->answers_at) {
		if (k->is_lost)
			mw_turns_failed(&k->turns, mine);
		else
			mw_turns_grant(&k->turns, &k->answer, mine);
		k->answers_at = k->runs_at = k->ask_at = 0;
	}
	/* The engine is slow at times, whoever asks is not. */
	int64_t wait_ms = 0;
	bool may_ask = !k->answers_at && (k->turns.has_news || w->now >= k->ask_at);
	if (may_ask && !mw_turns_ask(&k->turns, k->weir, mine, &k->ask, &wait_ms)) {
		k->ask_at = wait_ms == MW_TURNS_NONE ? INT64_MAX : w->now + wait_ms * 1000;
	} else if (may_ask) {
		k->runs_at = w->now + delay(w, w->trip_us);
		k->answers_at = k->runs_at + delay(w, w->trip_us) + 1;
		k->is_lost = false;
		k->is_twice = w->faults > 0 && below(w, 50) == 0;
	}
	if (w->now < k->stalled_until)
		return;
	if ((int64_t)below(w, 1000) < k->stall_share)
		k->stalled_until = w->now + (int64_t)below(w, 200000);
	for (uint32_t i = 0; i < FLIGHTS; i++)
		if (k->flights[i].is_used)
			fly(w, k, &k->flights[i]);
	hand_out(w, k);
}

/* ---- Redis */

static void run_script(struct world *w, struct worker *k)
{
	uint32_t accounts[MW_TURNS_ASKED];
	for (uint32_t i = 0; i < k->ask.count; i++) {
		if (k->ask.accounts[i].is_token)
			accounts[i] = ACCOUNTS + (uint32_t)(k - w->workers);
		else
			memcpy(&accounts[i], k->ask.accounts[i].name.at, sizeof *accounts);
	}
	model_run(&w->redis.model, &k->ask, accounts, k->runs_at + w->redis.clock_ahead, w->redis.run,
		  &k->answer);
}

/* Scripts run at their moment, in order; a step is a millisecond, and many may fall into it. */
static void serve(struct world *w)
{
	for (;;) {
		struct worker *due = NULL;
		for (uint32_t i = 0; i < w->worker_count; i++) {
			struct worker *k = &w->workers[i];
			if (k->runs_at && k->runs_at <= w->now && (!due || k->runs_at < due->runs_at))
				due = k;
		}
		if (!due)
			return;
		if (due->runs_at < w->redis.down_until)
			due->is_lost = true;
		else
			run_script(w, due);
		due->runs_at = due->is_twice && due->runs_at < due->answers_at ? due->answers_at : 0;
		due->is_twice = false;
	}
}

static void restart_redis(struct world *w)
{
	struct redis *r = &w->redis;
	r->run++;
	r->down_until = w->now + (int64_t)below(w, 300000);
	if (below(w, 3) == 0) {
		model_deinit(&r->model);
		model_init(&r->model, ACCOUNTS + WORKERS_MAX);
	} else if (below(w, 2)) {
		model_copy(&r->model, &r->saved);
	}
	/* Perhaps it is another host that took over. */
	if (below(w, 3) == 0)
		r->clock_ahead += (int64_t)below(w, 4000000) - 2000000;
}

/* Redis is short of memory, and evicts one of the keys. */
static void evict(struct world *w)
{
	struct model *m = &w->redis.model;
	uint32_t which = (uint32_t)below(w, 4);
	if (which == 0)
		m->exists = false;
	for (uint32_t i = 0; i < m->accounts_count; i++) {
		struct model_account *a = &m->accounts[i];
		if (which == 1)
			a->slot = -1;
		if (which == 2)
			a->due = -1;
		if (which == 3)
			model_leave(m, i);
	}
}

/* The clock is set. Every worker that is to notice has asked a short while ago. */
static void set_clock(struct world *w)
{
	for (uint32_t i = 0; i < w->worker_count; i++) {
		const struct mw_turns *t = &w->workers[i].turns;
		if (t->clock_answered_us < 0 ||
		    clock_of(&w->workers[i], w->now) - t->clock_answered_us > SECOND_US)
			return;
	}
	w->redis.clock_ahead += (below(w, 2) ? 1 : -1) * (100000 + (int64_t)below(w, 3000000));
	w->jump_at = w->now;
}

static void mishap(struct world *w)
{
	struct worker *k = &w->workers[below(w, w->worker_count)];
	bool is_calm = w->now - w->jump_at > SECOND_US;
	switch (below(w, 7)) {
	case 0: /* killed, its turns with it; another comes in its place */
		if (is_calm)
			start_worker(w, k);
		break;
	case 1:
		k->is_lost = true;
		break;
	case 2:
		if (is_calm)
			restart_redis(w);
		break;
	case 3:
		set_clock(w);
		break;
	case 4:
		if (is_calm)
			evict(w);
		break;
	case 5: { /* somebody pauses an account here, or resumes it */
		const uint32_t account = (uint32_t)below(w, ACCOUNTS);
		struct mw_lane *lane =
		    mw_weir_lane(k->weir, (struct mw_span){(const uint8_t *)&account, sizeof account});
		if (lane && lane->paused)
			mw_weir_resume(k->weir, lane, clock_of(k, w->now) / 1000);
		else if (lane)
			mw_weir_pause(k->weir, lane, clock_of(k, w->now) / 1000);
		break;
	}
	default:
		mw_turns_close(&k->turns, clock_of(k, w->now) / 1000, (int64_t)below(w, 2000));
	}
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Is there a second with more than the rate? */
static bool is_kept(struct world *w)
{
	qsort(w->arrivals, w->arrival_count, sizeof *w->arrivals, by_time);
	uint32_t most = (uint32_t)w->rate;
	for (uint32_t i = 0; i + most < w->arrival_count; i++)
		if (w->arrivals[i + most] - w->arrivals[i] < SECOND_US)
			return false;
	return true;
}

/* ---- a history */

static void begin(struct world *w, uint64_t seed, bool is_busy)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		mw_weir_free(w->workers[i].weir);
	model_deinit(&w->redis.model);
	model_deinit(&w->redis.saved);
	*w = (struct world){.random = seed, .is_busy = is_busy};
	w->rate = is_busy ? 50 : (double[]){50, 50, 50, 1, 7, 300}[below(w, 6)];
	w->worker_count = 1 + (uint32_t)below(w, WORKERS_MAX);
	w->trip_us = (int64_t[]){100, 2000, 12000, 30000}[below(w, is_busy ? 2 : 4)];
	w->faults = is_busy ? 0 : (uint32_t[]){0, 1000, 5000, 20000}[below(w, 4)];
	w->redis.clock_ahead = INT64_C(1700000000) * 1000000;
	w->jump_at = -10 * SECOND_US;
	model_init(&w->redis.model, ACCOUNTS + WORKERS_MAX);
	model_init(&w->redis.saved, ACCOUNTS + WORKERS_MAX);
	for (uint32_t i = 0; i < w->worker_count; i++)
		start_worker(w, &w->workers[i]);
}

/* Has some lane something that only waits for its turn, and no gate in its way? */
static bool is_anyone_waiting(const struct world *w)
{
	for (uint32_t i = 0; i < w->worker_count; i++) {
		const struct worker *k = &w->workers[i];
		const struct mw_lane *lane;
		if (mw_turns_gate_ms(&k->turns, clock_of(k, w->now) / 1000) > 0)
			continue;
		for (size_t position = 0; (lane = mw_weir_each(k->weir, &position));)
			if (lane->state == MW_LANE_READY || (lane->state == MW_LANE_WAITING && lane->held))
				return true;
	}
	return false;
}

/* Nobody is forgotten: once faults have ended (pauses after failures are 1 s at the most) something leaves,
 * if something waits and the gate is open: it stays closed longer if the clock was set back. Of a Redis that
 * takes too long nothing is expected. Where there are few slots all of them may go by, with workers that
 * stall half of the time and requests that connect first: there it is enough that they are given. */
static bool is_alive(const struct world *w)
{
	if (!w->is_waiting || w->trip_us > 2000 || w->rate < 7)
		return true;
	return w->rate < 50 ? w->redis.model.next > w->next_before : w->sent > w->sent_before;
}

static void live(struct world *w, uint64_t seed, bool is_busy)
{
	begin(w, seed, is_busy);
	uint32_t load = (uint32_t[]){1, 20, 300}[below(w, 3)];
	for (w->now = 1; w->now < 12 * SECOND_US; w->now += STEP_US) {
		serve(w);
		for (uint32_t i = 0; i < w->worker_count; i++) {
			struct worker *k = &w->workers[i];
			for (uint32_t j = 0; is_busy && w->now == 1 && j < 3000; j++)
				push(w, k, j % ACCOUNTS);
			if (!is_busy && below(w, 1000) < load)
				push(w, k, (uint32_t)below(w, ACCOUNTS));
			k->wants_token = k->wants_token || (!is_busy && below(w, 3000) == 0);
			work(w, k);
		}
		if (w->now < 6 * SECOND_US && below(w, 1000000) < w->faults)
			mishap(w);
		if (w->now / STEP_US == 10 * SECOND_US / STEP_US) {
			w->sent_before = w->sent;
			w->next_before = w->redis.model.next;
			w->is_waiting =
			    is_anyone_waiting(w) && w->redis.model.gate <= w->now + w->redis.clock_ahead;
		}
		if (below(w, 600) == 0)
			w->is_late = !w->is_late && !is_busy;
		if (below(w, 300) == 0)
			model_copy(&w->redis.saved, &w->redis.model);
	}
}

TEST(no_second_has_more_than_the_rate_whatever_happens)
{
	uint64_t seed = check_seed("turns");
	const char *given = getenv("MW_HISTORIES");
	long histories = getenv("MW_SEED") ? 1 : given ? atol(given) : 2000;
	uint64_t sent = 0;
	for (long i = 0; i < histories; i++) {
		live(&world, seed + (uint64_t)i, false);
		sent += world.sent;
		if (!is_kept(&world))
			fprintf(stderr, "over the rate: MW_SEED=%" PRIu64 "\n", seed + (uint64_t)i);
		if (!is_alive(&world))
			fprintf(stderr, "nothing is sent any more: MW_SEED=%" PRIu64 "\n",
				seed + (uint64_t)i);
		CHECK(is_kept(&world) && is_alive(&world) && world.arrival_count < ARRIVALS_MAX);
	}
	printf("%ld histories, %" PRIu64 " requests\n", histories, sent);
	CHECK(sent > 0 || histories == 1); /* one alone may be all trouble */
}

/* 12 s, of which the first half is the script's beginning; 46.3 slots/s. Accounts share them, however many
 * workers there are. */
TEST(busy_accounts_use_what_there_is_and_get_the_same)
{
	uint64_t seed = check_seed("busy");
	for (uint64_t i = 0; i < 50; i++) {
		live(&world, seed + i, true);
		CHECK(is_kept(&world));
		if (world.sent < 500)
			fprintf(stderr, "only %" PRIu64 ": MW_SEED=%" PRIu64 "\n", world.sent, seed + i);
		CHECK(world.sent >= 500 && world.sent <= 12 * 50);
		for (uint32_t j = 0; j < ACCOUNTS; j++) {
			double share = (double)world.sent_of[j] * ACCOUNTS / (double)world.sent;
			if (share < 0.9)
				fprintf(stderr, "a share of %.2f: MW_SEED=%" PRIu64 "\n", share, seed + i);
			CHECK(share >= 0.9);
		}
	}
}

int main(void)
{
	RUN(no_second_has_more_than_the_rate_whatever_happens);
	RUN(busy_accounts_use_what_there_is_and_get_the_same);
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		mw_weir_free(world.workers[i].weir);
	model_deinit(&world.redis.model);
	model_deinit(&world.redis.saved);
	return CHECK_END();
}
