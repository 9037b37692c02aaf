/* Tokens and lanes through random histories: a simulated clock, token servers and Tracking API around one
 * weir and a grant for each app, as the engine has them. MW_SEED repeats a run, MW_HISTORIES says how many.
 *
 * Whatever happens: one request for a token in flight for each app; at most 50 requests in any second, those
 * for tokens included; what was refused for its token's sake is repeated as it was; a token is rejected by
 * its lanes once, not once by each; nothing is lost; and when the weather clears all is delivered.
 */
#include "../../csrc/core/grant.h"
#include "weir_over.h"

#include "check.h"

enum { APPS = 3, LANES = 24, FLIGHTS = 96, PERMITS = 64, RATE = 50 };

struct app {
	struct mw_grant grant;
	uint32_t valid_from; /* tokens numbered below are none to the server */
	int64_t dies_at;     /* by the server's books */
	bool broken;         /* its key: refused until it is saved anew */
	bool saved;          /* ... which changes nothing for the request on its way */
	int64_t server_skew_ms, skew_sent;
	unsigned in_flight;
};

struct flight {
	bool used, is_token, permitted;
	unsigned app;
	struct mw_request r;
	uint32_t generation;
	int64_t at;
};

struct world {
	uint64_t random;
	int64_t now;
	struct mw_queues queues;
	struct mw_weir *weir;
	struct app apps[APPS];
	struct flight flights[FLIGHTS];
	uint32_t repeat[LANES]; /* the lane's next request must hold so many */
	int64_t permits[PERMITS];
	uint64_t permit_count, pushed, token_requests, rejected, tokens;
	unsigned trouble; /* per mille of the answers of token servers */
	const char *broke;
};

static bool chance(struct world *s, unsigned per_mille)
{
	return check_random(&s->random) % 1000 < per_mille;
}

static int64_t between(struct world *s, int64_t from, int64_t to)
{
	return from + (int64_t)(check_random(&s->random) % (uint64_t)(to - from + 1));
}

static void name_of(unsigned lane, char name[8])
{
	snprintf(name, 8, "l%02u", lane);
}

static unsigned app_of(unsigned lane)
{
	return lane % APPS;
}

static void fault(struct world *s, const char *what)
{
	if (!s->broke)
		s->broke = what;
}

static void start_flight(struct world *s, struct flight f)
{
	for (size_t i = 0; i < FLIGHTS; i++)
		if (!s->flights[i].used) {
			f.used = true;
			f.at = s->now + between(s, 1, 400);
			s->flights[i] = f;
			return;
		}
	fault(s, "more in flight than there can be");
}

/* As libcurl asks for it: where bytes leave. */
static bool permit(struct world *s)
{
	if (mw_weir_permit(s->weir, s->now) > 0)
		return false;
	int64_t *oldest = &s->permits[s->permit_count++ % PERMITS];
	*oldest = s->now;
	if (s->permit_count > RATE && s->now - s->permits[(s->permit_count - 1 - RATE) % PERMITS] < 1000)
		fault(s, "more than 50 requests in a second");
	return true;
}

static void ask_token(struct world *s, unsigned app)
{
	struct app *a = &s->apps[app];
	mw_grant_sent(&a->grant);
	if (a->in_flight++ > 0)
		fault(s, "two requests for one token in flight");
	a->skew_sent = a->grant.skew_ms;
	a->saved = false;
	start_flight(s, (struct flight){.is_token = true, .app = app});
}

static void send(struct world *s, const struct mw_request *r)
{
	unsigned lane = (unsigned)atoi(r->lane->name + 1), app = app_of(lane);
	struct app *a = &s->apps[app];
	struct mw_grant_say say = mw_grant_ask(&a->grant, s->now);
	r->lane->grant = app + 1;
	if (say.start)
		ask_token(s, app);
	if (say.verdict == MW_GRANT_WAIT) {
		if (say.until <= s->now)
			fault(s, "a lane spins");
		mw_weir_hold(s->weir, r, say.start, say.until, s->now);
	} else if (say.verdict == MW_GRANT_REFUSED) {
		const struct mw_answer none = {.status = MW_STATUS_NO_TOKEN, .retry_after_ms = -1};
		mw_weir_done(s->weir, r, &none, s->now);
	} else {
		if (s->repeat[lane] && s->repeat[lane] != r->count && !r->lane->parked)
			fault(s, "not the batch that was refused");
		r->lane->generation = a->grant.generation;
		start_flight(s, (struct flight){.r = *r, .app = app, .generation = a->grant.generation});
	}
}

static void release_all(struct world *s, unsigned app, bool resume)
{
	const struct mw_lane *each;
	for (size_t at = 0; (each = mw_weir_each(s->weir, &at));)
		if (each->grant == app + 1) {
			struct mw_lane *lane = mw_weir_lane(s->weir, mw_lane_account(each));
			if (resume)
				mw_weir_resume(s->weir, lane, s->now);
			mw_weir_release(s->weir, lane, s->now);
		}
}

static void token_answer(struct world *s, unsigned app)
{
	struct app *a = &s->apps[app];
	struct mw_grant_answer answer = {
	    .retry_after_ms = -1, .has_date = true, .skew_ms = a->server_skew_ms};
	int64_t off = a->skew_sent - a->server_skew_ms;
	a->in_flight--;
	s->token_requests++;
	if (chance(s, s->trouble)) {
		static const int statuses[] = {MW_STATUS_NETWORK, 429, 503, 500, 408};
		answer.status = statuses[between(s, 0, 4)];
		answer.retry_after_ms = chance(s, 500) ? between(s, 1000, 20000) : -1;
		answer.has_date = answer.status != MW_STATUS_NETWORK;
	} else if ((a->broken && !a->saved) || off > 5000 || off < -50000) {
		answer.status = 400;
	} else {
		answer.status = 200;
		answer.life_ms = between(s, 1000, 7200000);
	}
	bool was_stale = a->grant.is_stale;
	if (mw_grant_done(&a->grant, &answer, check_random(&s->random), s->now)) {
		a->dies_at = s->now + answer.life_ms;
		a->valid_from = a->grant.generation;
		s->tokens++;
		if (was_stale)
			fault(s, "a token that nobody wants any more was taken");
	}
	release_all(s, app, false);
}

static void batch_answer(struct world *s, const struct flight *f)
{
	struct app *a = &s->apps[f->app];
	unsigned lane = (unsigned)atoi(f->r.lane->name + 1);
	bool good = f->generation >= a->valid_from && s->now < a->dies_at;
	struct mw_answer answer = {.status = good ? 200 : 401, .retry_after_ms = -1};
	s->repeat[lane] = 0;
	if (!good) {
		bool had = a->grant.has_token;
		answer.again = mw_grant_reject(&a->grant, f->generation, s->now);
		s->rejected += had && !a->grant.has_token;
		if (answer.again)
			s->repeat[lane] = f->r.count;
	}
	mw_weir_done(s->weir, &f->r, &answer, s->now);
}

static void land(struct world *s, struct flight *slot)
{
	struct flight f = *slot;
	if (!f.permitted) {
		slot->permitted = permit(s);
		if (slot->permitted) {
			slot->at = s->now + between(s, 1, 300);
		} else if (chance(s, 800)) {
			slot->at = s->now + 1; /* slept for */
		} else {
			slot->used = false;
			if (f.is_token) {
				const struct mw_grant_answer unsent = {.status = MW_STATUS_UNSENT};
				s->apps[f.app].in_flight--;
				mw_grant_done(&s->apps[f.app].grant, &unsent, 0, s->now);
				release_all(s, f.app, false);
			} else {
				const struct mw_answer unsent = {.status = MW_STATUS_UNSENT};
				mw_weir_done(s->weir, &f.r, &unsent, s->now);
			}
		}
		return;
	}
	slot->used = false;
	if (f.is_token)
		token_answer(s, f.app);
	else
		batch_answer(s, &f);
}

static void meddle(struct world *s)
{
	unsigned app = (unsigned)between(s, 0, APPS - 1);
	struct app *a = &s->apps[app];
	switch (between(s, 0, 4)) {
	case 0: /* revoked by hand */
		a->valid_from = a->grant.generation + 1;
		break;
	case 1:
		a->broken = true;
		break;
	case 2: /* saved anew */
		a->broken = false;
		a->saved = true;
		mw_grant_reset(&a->grant);
		release_all(s, app, true);
		break;
	case 3:
		a->server_skew_ms = between(s, -600000, 600000);
		break;
	case 4:
		s->trouble = (unsigned)between(s, 0, 700);
		break;
	}
}

static void push(struct world *s)
{
	char name[8];
	name_of((unsigned)between(s, 0, LANES - 1), name);
	struct mw_span account = {(const uint8_t *)name, strlen(name)};
	for (int64_t n = between(s, 1, 5); n > 0; n--)
		s->pushed += mw_queues_push(&s->queues, s->weir, account, MW_SPAN("{}"), 0, s->now) == MW_OK;
}

/* Everything that is due now; then the clock moves to the next thing that may happen. */
static void step(struct world *s, int64_t limit)
{
	struct mw_request r;
	int64_t wait, next = limit;
	for (size_t i = 0; i < FLIGHTS; i++)
		if (s->flights[i].used && s->flights[i].at <= s->now)
			land(s, &s->flights[i]);
	while (mw_weir_next(s->weir, s->now, &r, &wait))
		send(s, &r);
	if (wait < next - s->now)
		next = s->now + wait;
	for (size_t i = 0; i < FLIGHTS; i++)
		if (s->flights[i].used && s->flights[i].at < next)
			next = s->flights[i].at;
	const struct mw_counts *c = &mw_weir_totals(s->weir)->counts;
	if (c->accepted != s->pushed || c->accepted != c->delivered + c->dead + c->queued + c->in_flight)
		fault(s, "the books do not add up");
	s->now = next > s->now ? next : s->now + 1;
}

static void clear_up(struct world *s)
{
	s->trouble = 0;
	for (unsigned app = 0; app < APPS; app++) {
		s->apps[app].broken = false;
		mw_grant_reset(&s->apps[app].grant);
		release_all(s, app, true);
	}
}

/* Returns what broke, or NULL. */
static const char *play(uint64_t seed, struct world *s)
{
	*s = (struct world){.random = seed};
	struct mw_weir_config config = mw_weir_defaults();
	config.seed = seed;
	config.rate = RATE;
	s->weir = weir_over(&s->queues, &config, MW_QUEUE_DEFAULT);
	int64_t end = between(s, 60000, 4 * 3600000), next_push = 0, next_event = between(s, 1, 60000);
	while (s->now < end && !s->broke) {
		if (s->now >= next_push) {
			push(s);
			next_push = s->now + between(s, 1, 10000);
		}
		if (s->now >= next_event) {
			meddle(s);
			next_event = s->now + between(s, 1000, 600000);
		}
		step(s, next_push < next_event ? next_push : next_event);
	}
	clear_up(s);
	const struct mw_counts *c = &mw_weir_totals(s->weir)->counts;
	/* A token may have been revoked while it was fresh: the lane is parked, and probes in 15 minutes. */
	for (int64_t patience = s->now + 2 * 3600000;
	     s->now < patience && c->delivered < s->pushed && !s->broke;)
		step(s, patience);
	if (c->delivered != s->pushed)
		fault(s, "not all was delivered when the weather had cleared");
	if (s->rejected > s->tokens)
		fault(s, "a token was rejected twice");
	mw_weir_free(s->weir);
	mw_queues_deinit(&s->queues);
	return s->broke;
}

TEST(tokens_through_random_histories)
{
	uint64_t seed = check_seed("token histories");
	const char *given = getenv("MW_HISTORIES");
	int histories = given ? atoi(given) : 3000;
	uint64_t delivered = 0, token_requests = 0, rejected = 0;
	for (int i = 0; i < histories; i++) {
		static struct world s;
		const char *broke = play(seed, &s);
		if (broke)
			fprintf(stderr, "MW_SEED=%" PRIu64 " at %" PRId64 " ms: %s\n", seed, s.now, broke);
		CHECK(!broke);
		delivered += s.pushed;
		token_requests += s.token_requests;
		rejected += s.rejected;
		check_random(&seed);
	}
	printf("%d histories: %" PRIu64 " delivered, %" PRIu64 " requests for tokens, %" PRIu64
	       " tokens rejected\n",
	       histories, delivered, token_requests, rejected);
}

int main(void)
{
	RUN(tokens_through_random_histories);
	return CHECK_END();
}
