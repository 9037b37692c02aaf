/* hosts_world.h -- many workers, each with a weir of its own, before one budget of 50 requests a second.
 *
 * The weir and the turns (core/turns.h) are those that ship, the script in Redis is a model of it that a spec
 * compares with it (turns_model.h); clock and network are simulated. What is simulated:
 *
 *     where      an account's events come to any worker (a consumer group deals them out), or all to one
 *     budget     TURNS: the workers of many hosts, whose accounts stand in one line. OWN: one worker, whose
 *                weir keeps the rate by itself.
 *
 * Delays are from push to the wire. Times are ms, but where they end in _us.
 */
#ifndef MW_HOSTS_WORLD_H
#define MW_HOSTS_WORLD_H

#include "check.h"
#include "delays.h"
#include "turns_model.h"

enum { SLOT_US = 21601, ASK_EVERY_MS = 10 };
enum { MESSAGE_LEN = 500, ANSWER_MS = 60, TRIP_MS = 4, RING = 128 };
enum { CONNECT_MS = 100, NAP_MS = 600 };
enum { WORKERS_MAX = 100, QUIET = 100, QUIET_EVERY_MS = 20000, CLASSES = 5, QUIETEST = 4 };

enum budget { OWN, TURNS };

/* The accounts by how busy they are: Zipf's ten busiest, the next 100, 1,000, the rest; and a hundred that
 * push one message every 20 s, if their last one has left. */
static const char *const class_names[CLASSES] = {"top 10", "next 100", "next 1,000", "the rest", "quiet"};

/* Messages of one lane: when each came. */
struct lineup {
	uint32_t *at;
	uint32_t first, count, cap;
};

struct worker {
	struct mw_weir *weir;
	struct lineup *lines; /* by number of the lane */
	uint32_t line_count;
	int64_t wake_at;
	struct mw_turns turns;
	int64_t ask_at;              /* ms; INT64_MAX: not before there is news */
	int64_t runs_at, answers_at; /* the question under way; 0: none */
	struct mw_turns_ask ask;
	struct mw_turns_answer answer;
};

struct flight {
	struct worker *worker;
	struct mw_request r;
	int64_t nap_until;
	struct flight *next;
};

struct account {
	uint32_t waiting; /* messages that are not on the wire yet */
	int64_t next_at;  /* of a quiet one */
	uint32_t waited;  /* how many were waiting when measuring began */
	int64_t fair_ms;  /* of a quiet one: what one line of all accounts would have come to */
};

struct hosts {
	enum budget budget;
	uint32_t workers_count, accounts_count; /* the quiet ones and the flood come behind these */
	bool by_account;
	double load;       /* events a second */
	double flood;      /* those of one more account */
	uint32_t connects; /* TURNS: of 100 requests so many have to connect first */
	int64_t measure_from, end;

	uint64_t random;
	int64_t now;
	struct model redis; /* the shared budget */
	double *zipf;       /* cumulated */
	struct account *accounts;
	uint32_t busy; /* accounts with something waiting */
	struct worker workers[WORKERS_MAX];
	struct flight *ring[RING], *connecting[RING], *free_flights;
	struct delays delays[CLASSES];
	uint32_t behind[CLASSES]; /* accounts that get more than their turns can carry */
	uint64_t requests, unsent;
	double worst_unfair;       /* of quiet accounts: the delay in shares that would have been fair */
	uint64_t questions, named; /* asked of the script, and the accounts in them */
};

static inline uint64_t hosts_below(struct hosts *h, uint64_t n)
{
	return check_random(&h->random) % n;
}

static inline double hosts_fraction(struct hosts *h)
{
	return ((double)(check_random(&h->random) >> 11) + 0.5) / 9007199254740992.0;
}

static inline uint32_t hosts_class(const struct hosts *h, uint32_t account)
{
	if (account >= h->accounts_count)
		return QUIETEST;
	return account < 10 ? 0 : account < 110 ? 1 : account < 1110 ? 2 : 3;
}

static inline bool hosts_is_flood(const struct hosts *h, uint32_t account)
{
	return account == h->accounts_count + QUIET;
}

/* ---- the store: when each message came, and no message */

static inline void lineup_measure(void *context, const struct mw_lane *lane, size_t bytes_max,
				  uint32_t count_max, struct mw_batch *out)
{
	const struct lineup *q = &((struct worker *)context)->lines[lane->number];
	size_t fit = (bytes_max + 1) / (MESSAGE_LEN + 1);
	uint32_t count = q->count < count_max ? q->count : count_max;
	count = count < fit ? count : (uint32_t)fit;
	*out = (struct mw_batch){.count = count, .bytes = (size_t)count * (MESSAGE_LEN + 1) - 1};
	out->since_next = count < q->count ? (int64_t)q->at[(q->first + count) % q->cap] : -1;
}

static inline void lineup_settle(void *context, const struct mw_lane *lane, uint32_t count, uint64_t bytes,
				 enum mw_outcome outcome, const struct mw_answer *a)
{
	struct lineup *q = &((struct worker *)context)->lines[lane->number];
	q->first = (q->first + count) % q->cap;
	q->count -= count;
	(void)bytes, (void)outcome, (void)a;
}

static inline void lineup_push(struct lineup *q, int64_t now)
{
	if (q->count == q->cap) {
		uint32_t cap = q->cap ? 2 * q->cap : 4;
		uint32_t *at = malloc(cap * sizeof *at);
		for (uint32_t i = 0; i < q->count; i++)
			at[i] = q->at[(q->first + i) % q->cap];
		free(q->at);
		*q = (struct lineup){at, 0, q->count, cap};
	}
	q->at[(q->first + q->count++) % q->cap] = (uint32_t)now;
}

/* ---- events */

/* A lane that is ready stands in line so much later at the most: the question before is under way, and the
 * next is not asked at once. */
enum { HOSTS_ASK_MS = 4 * TRIP_MS + 2 * ASK_EVERY_MS };

/* Among the turns of as many accounts some go to who has a full batch. */
static inline int64_t hosts_turns(uint32_t accounts)
{
	return (int64_t)accounts * MW_LADEN_EVERY / (MW_LADEN_EVERY - 1);
}

static inline void hosts_push(struct hosts *h, uint32_t account)
{
	struct account *a = &h->accounts[account];
	uint64_t spread = account * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t which = h->by_account ? spread >> 32 : hosts_below(h, UINT32_MAX);
	struct worker *w = &h->workers[which % h->workers_count];
	struct mw_lane *lane =
	    mw_weir_open_lane(w->weir, (struct mw_span){(const uint8_t *)&account, sizeof account});
	if (lane->number >= w->line_count) {
		uint32_t count = 2 * lane->number + 16;
		w->lines = realloc(w->lines, count * sizeof *w->lines);
		memset(w->lines + w->line_count, 0, (count - w->line_count) * sizeof *w->lines);
		w->line_count = count;
	}
	lineup_push(&w->lines[lane->number], h->now);
	mw_weir_push(w->weir, lane, 1, MESSAGE_LEN, h->now);
	h->busy += a->waiting++ == 0;
	/* The one turn more is that of the request before. */
	int64_t turn_us = h->budget == OWN ? 21000 : SLOT_US, asking_ms = h->budget == OWN ? 0 : HOSTS_ASK_MS;
	if (a->waiting == 1)
		a->fair_ms = MW_LINGER_MS + asking_ms + (hosts_turns(h->busy) + 1) * turn_us / 1000;
	w->wake_at = h->now;
}

static inline uint32_t hosts_draw(struct hosts *h)
{
	double x = hosts_fraction(h) * h->zipf[h->accounts_count - 1];
	uint32_t low = 0, high = h->accounts_count - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (h->zipf[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- requests */

static inline void hosts_fly(struct hosts *h, struct flight **ring, int64_t in_ms, struct worker *w,
			     const struct mw_request *r, int64_t nap_until)
{
	struct flight *f = h->free_flights;
	if (f)
		h->free_flights = f->next;
	else
		f = malloc(sizeof *f);
	int64_t at = (h->now + in_ms) % RING;
	*f = (struct flight){w, *r, nap_until, ring[at]};
	ring[at] = f;
}

static inline void hosts_send(struct hosts *h, struct worker *w, const struct mw_request *r)
{
	uint32_t account;
	memcpy(&account, r->lane->name, sizeof account);
	struct account *a = &h->accounts[account];
	const struct lineup *q = &w->lines[r->lane->number];
	for (uint32_t i = 0; i < r->count && !hosts_is_flood(h, account); i++) {
		uint32_t came = q->at[(q->first + i) % q->cap];
		if (came < h->measure_from)
			continue;
		delays_add(&h->delays[hosts_class(h, account)], h->now - came);
		double shares = (double)(h->now - came) / (double)a->fair_ms;
		if (hosts_class(h, account) == QUIETEST && shares > h->worst_unfair)
			h->worst_unfair = shares;
	}
	a->waiting -= r->count;
	h->busy -= a->waiting == 0;
	if (hosts_class(h, account) == QUIETEST && !hosts_is_flood(h, account))
		a->next_at = h->now + (int64_t)hosts_below(h, 2 * QUIET_EVERY_MS);
	h->requests += h->now >= h->measure_from;

	hosts_fly(h, h->ring, 1 + (int64_t)hosts_below(h, ANSWER_MS), w, r, 0);
}

/* Those that had to connect use a turn now, or come back unsent when they have waited too long. */
static inline void hosts_depart(struct hosts *h)
{
	static const struct mw_answer unsent = {.status = MW_STATUS_UNSENT, .retry_after_ms = -1};
	struct flight *next, *due = h->connecting[h->now % RING];
	h->connecting[h->now % RING] = NULL;
	for (struct flight *f = due; f; f = next) {
		next = f->next;
		if (mw_turns_take(&f->worker->turns, f->r.lane->turn, h->now * 1000) == 0) {
			hosts_send(h, f->worker, &f->r);
		} else if (h->now < f->nap_until) {
			hosts_fly(h, h->connecting, 1, f->worker, &f->r, f->nap_until);
		} else {
			mw_turns_done(&f->worker->turns, f->r.lane->turn, true);
			mw_weir_done(f->worker->weir, &f->r, &unsent, h->now);
			h->unsent++;
		}
		f->worker->wake_at = h->now;
		f->next = h->free_flights;
		h->free_flights = f;
	}
}

static inline void hosts_land(struct hosts *h)
{
	static const struct mw_answer yes = {.status = 200, .retry_after_ms = -1};
	struct flight *next;
	for (struct flight *f = h->ring[h->now % RING]; f; f = next) {
		next = f->next;
		mw_turns_done(&f->worker->turns, f->r.lane->turn, false);
		mw_weir_done(f->worker->weir, &f->r, &yes, h->now);
		f->worker->wake_at = h->now;
		f->next = h->free_flights;
		h->free_flights = f;
	}
	h->ring[h->now % RING] = NULL;
}

/* The script runs, its answer comes, the next question is asked. */
static inline void hosts_ask(struct hosts *h, struct worker *w)
{
	uint32_t accounts[MW_TURNS_ASKED];
	int64_t wait;
	if (w->runs_at > 0 && w->runs_at <= h->now) {
		for (uint32_t i = 0; i < w->ask.count; i++)
			memcpy(&accounts[i], w->ask.accounts[i].name.at, sizeof *accounts);
		model_run(&h->redis, &w->ask, accounts, h->now * 1000, 1, &w->answer);
		h->questions += h->now >= h->measure_from;
		h->named += h->now >= h->measure_from ? w->ask.count : 0;
		w->runs_at = 0;
	}
	if (w->answers_at > 0 && w->answers_at <= h->now) {
		mw_turns_grant(&w->turns, &w->answer, h->now * 1000);
		w->answers_at = 0;
		w->wake_at = w->ask_at = h->now;
	}
	if (w->answers_at > 0 || (!w->turns.has_news && w->ask_at > h->now))
		return;
	if (mw_turns_ask(&w->turns, w->weir, h->now * 1000, &w->ask, &wait)) {
		w->runs_at = h->now + (int64_t)hosts_below(h, TRIP_MS);
		w->answers_at = w->runs_at + 1 + (int64_t)hosts_below(h, TRIP_MS);
	} else {
		w->ask_at = wait == MW_TURNS_NONE ? INT64_MAX : h->now + wait;
	}
}

/* A worker sends what has its turn, and holds what has not. */
static inline void hosts_use_turns(struct hosts *h, struct worker *w)
{
	struct mw_request r;
	bool token;
	int64_t wait, turn_wait = mw_turns_call(&w->turns, w->weir, h->now * 1000, &token);
	while (mw_weir_next(w->weir, h->now, &r, &wait))
		if (!mw_turns_admit(&w->turns, w->weir, &r, h->now * 1000))
			continue;
		else if (hosts_below(h, 100) < h->connects)
			hosts_fly(h, h->connecting, CONNECT_MS, w, &r, h->now + CONNECT_MS + NAP_MS);
		else if (mw_turns_take(&w->turns, r.lane->turn, h->now * 1000) == 0)
			hosts_send(h, w, &r);
	mw_turns_set_room(&w->turns, mw_weir_room(w->weir));
	wait = wait < turn_wait ? wait : turn_wait;
	w->wake_at = wait == INT64_MAX ? INT64_MAX : h->now + wait;
}

static inline void hosts_use_own(struct hosts *h, struct worker *w)
{
	struct mw_request r;
	int64_t wait;
	while (mw_weir_next(w->weir, h->now, &r, &wait) && mw_weir_permit(w->weir, h->now) == 0)
		hosts_send(h, w, &r);
	w->wake_at = wait == INT64_MAX ? INT64_MAX : h->now + wait;
}

/* ---- a run */

static inline void hosts_begin(struct hosts *h)
{
	uint32_t all = h->accounts_count + QUIET + 1;
	h->zipf = malloc(h->accounts_count * sizeof *h->zipf);
	double sum = 0;
	for (uint32_t i = 0; i < h->accounts_count; i++)
		h->zipf[i] = sum += 1.0 / (i + 1);
	h->accounts = calloc(all, sizeof *h->accounts);
	for (uint32_t i = 0; i < QUIET; i++)
		h->accounts[h->accounts_count + i].next_at = (int64_t)hosts_below(h, QUIET_EVERY_MS);
	model_init(&h->redis, all);
	for (uint32_t i = 0; i < h->workers_count; i++) {
		struct worker *w = &h->workers[i];
		struct mw_weir_config config = mw_weir_defaults();
		config.rate = h->budget == OWN ? MW_RATE_DEFAULT : 0;
		config.seed = check_random(&h->random);
		config.store = (struct mw_store){lineup_measure, lineup_settle, w};
		w->weir = mw_weir_new(&config, 0);
		mw_turns_init(&w->turns, MW_RATE_DEFAULT, i, MW_IN_FLIGHT_MAX);
	}
}

static inline void hosts_end(struct hosts *h)
{
	for (uint32_t i = 0; i < h->workers_count; i++) {
		mw_weir_free(h->workers[i].weir);
		for (uint32_t j = 0; j < h->workers[i].line_count; j++)
			free(h->workers[i].lines[j].at);
		free(h->workers[i].lines);
	}
	for (int64_t i = 0; i < 2 * RING; i++)
		for (struct flight *f = i < RING ? h->ring[i] : h->connecting[i - RING], *next; f; f = next) {
			next = f->next;
			free(f);
		}
	for (struct flight *f = h->free_flights, *next; f; f = next) {
		next = f->next;
		free(f);
	}
	model_deinit(&h->redis);
	free(h->zipf);
	free(h->accounts);
}

/* More than one request carries, and a fifth more than when measuring began. */
static inline bool hosts_is_behind(const struct account *a)
{
	return a->waiting > MW_BATCH_TARGET / (MESSAGE_LEN + 1) && a->waiting > a->waited + a->waited / 5;
}

/* What is still waiting at the end counts with the age it has: who was never served is not forgotten. */
static inline void hosts_count_waiting(struct hosts *h)
{
	for (uint32_t i = 0; i < h->accounts_count + QUIET; i++)
		h->behind[hosts_class(h, i)] += hosts_is_behind(&h->accounts[i]);
	for (uint32_t i = 0; i < h->workers_count; i++) {
		const struct mw_lane *lane;
		size_t position = 0;
		while ((lane = mw_weir_each(h->workers[i].weir, &position))) {
			const struct lineup *q = &h->workers[i].lines[lane->number];
			uint32_t account;
			memcpy(&account, lane->name, sizeof account);
			for (uint32_t j = (uint32_t)lane->counts.in_flight; j < q->count; j++) {
				uint32_t came = q->at[(q->first + j) % q->cap];
				if (came >= h->measure_from && !hosts_is_flood(h, account))
					delays_add(&h->delays[hosts_class(h, account)], h->now - came);
			}
		}
	}
}

static inline void hosts_run(struct hosts *h)
{
	hosts_begin(h);
	double event_at = 0, flood_at = 0;
	for (h->now = 1; h->now < h->end; h->now++) {
		hosts_land(h);
		hosts_depart(h);
		for (uint32_t i = 0; h->now == h->measure_from && i < h->accounts_count; i++)
			h->accounts[i].waited = h->accounts[i].waiting;
		for (; h->load > 0 && event_at <= (double)h->now;
		     event_at -= log(hosts_fraction(h)) * 1000 / h->load)
			hosts_push(h, hosts_draw(h));
		for (; h->flood > 0 && flood_at <= (double)h->now; flood_at += 1000 / h->flood)
			hosts_push(h, h->accounts_count + QUIET);
		for (uint32_t i = h->accounts_count; i < h->accounts_count + QUIET; i++)
			if (h->accounts[i].waiting == 0 && h->accounts[i].next_at <= h->now)
				hosts_push(h, i);
		/* Whoever is first this time is not the next time. */
		uint32_t first = (uint32_t)hosts_below(h, h->workers_count);
		for (uint32_t i = 0; i < h->workers_count; i++) {
			struct worker *w = &h->workers[(first + i) % h->workers_count];
			if (h->budget == TURNS)
				hosts_ask(h, w);
			if (w->wake_at > h->now)
				continue;
			if (h->budget == TURNS)
				hosts_use_turns(h, w);
			else
				hosts_use_own(h, w);
		}
	}
	hosts_count_waiting(h);
}

#endif
