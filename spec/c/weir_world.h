/* weir_world.h -- a clock, a network and a server, all simulated, around one weir.
 *
 * One seed decides everything: traffic, faults, latencies. The world keeps its own, simpler books on every
 * account, and whatever the weir does is held against them. What it is told to expect:
 *
 *     a message of account 3    "003:000042:P:00057:xxxxx"   number, poisoned or not, length
 */
#ifndef MW_WEIR_WORLD_H
#define MW_WEIR_WORLD_H

#include "check.h"
#include "weir_over.h"

#include <setjmp.h>

enum { ACCOUNTS_MAX = 20, MESSAGES_MAX = 400, FLIGHTS_MAX = 64, HEAD_LEN = 19, PERMITS_KEPT = 1024 };

enum { POISON = 1, HUGE = 2, SEEN = 4 };

struct account {
	char name[8];
	struct mw_span span;
	uint8_t fate[MESSAGES_MAX];
	uint32_t pushed;
	uint32_t resolved; /* reported delivered or dead: always the oldest ones */
	uint32_t high;     /* everything below is taken by the server, or dead */
	uint32_t repeat;   /* the next request must hold so many messages, 0: any number */
	uint32_t attempts;
	uint32_t failures;
	int64_t backs_off_until;
	int64_t probe_at;
	int refused_with; /* 401, 403, MW_STATUS_NO_KEY; 0: the key is good */
	bool flying, paused, parked, resumed;
};

struct flight {
	struct mw_request r;
	struct account *account;
	enum { FREE, CONNECTING, SENDING, ANSWERING } step;
	int64_t at; /* when the step ends */
	uint32_t first;
	bool seen; /* bytes of it may have reached the server */
	bool resent;
	struct mw_answer answer;
};

/* Faults in per mille of requests. */
struct weather {
	uint32_t unsent, lost_before, lost_after, resent, stalled, limited, broken, final;
	uint32_t told_when; /* of 429s and 503s */
	uint32_t revoked;   /* of control events */
	int64_t latency_ms;
};

struct world {
	uint64_t random;
	int64_t now;
	struct mw_weir_config config;
	struct mw_queues queues;
	struct mw_weir *weir;
	struct weather weather;
	size_t server_max; /* bytes of a batch; more is 413 */
	uint32_t poison;   /* per mille of messages */
	uint32_t account_count;
	struct account accounts[ACCOUNTS_MAX];
	struct flight flights[FLIGHTS_MAX];
	struct flight *answering; /* while done runs */
	uint32_t parked_expected;
	struct account *turn;             /* came back unsent: is first in the round */
	const struct account *limited[3]; /* told 429 since the last success */
	uint32_t limited_count;
	int64_t gate_from, gate_to; /* closed until a time between these */
	int64_t wake_at;
	int64_t permits[PERMITS_KEPT];
	uint64_t permit_count;
	uint64_t bytes; /* of unresolved messages */
	uint64_t delivered, dead;
	struct mw_buf batch;
	jmp_buf broken;
	const char *what;
	int line;
};

#define EXPECT(w, condition)                                                                                 \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			(w)->what = #condition;                                                              \
			(w)->line = __LINE__;                                                                \
			longjmp((w)->broken, 1);                                                             \
		}                                                                                            \
	} while (0)

static uint64_t below(struct world *w, uint64_t n)
{
	return check_random(&w->random) % n;
}

static bool chance(struct world *w, uint32_t per_mille)
{
	return below(w, 1000) < per_mille;
}

static void write_number(uint8_t *at, int digits, size_t n)
{
	for (int i = digits - 1; i >= 0; i--, n /= 10)
		at[i] = (uint8_t)('0' + n % 10);
}

static size_t read_number(const uint8_t *at, int digits)
{
	size_t n = 0;
	for (int i = 0; i < digits; i++)
		n = 10 * n + (size_t)(at[i] - '0');
	return n;
}

static void write_head(uint8_t *at, size_t account, size_t number, bool poison, size_t len)
{
	memcpy(at, "000:000000:-:00000:", HEAD_LEN);
	write_number(at, 3, account);
	write_number(at + 4, 6, number);
	at[11] = poison ? 'P' : '-';
	write_number(at + 13, 5, len);
}

static void world_push(struct world *w, struct account *a)
{
	uint8_t message[8192];
	if (a->pushed == MESSAGES_MAX)
		return;
	size_t len = HEAD_LEN + below(w, chance(w, 50) ? 2000 : 200);
	bool poison = chance(w, w->poison);
	memset(message, 'x', len);
	write_head(message, (size_t)(a - w->accounts), a->pushed, poison, len);
	enum mw_err err = mw_queues_push(&w->queues, w->weir, a->span, (struct mw_span){message, len},
					 (int64_t)a->pushed, w->now);
	EXPECT(w, err == (w->bytes + len > w->queues.bytes_max ? MW_FULL : MW_OK));
	if (err == MW_OK) {
		a->fate[a->pushed++] = (uint8_t)((poison ? POISON : 0) | (len > w->server_max ? HUGE : 0));
		w->bytes += len;
	}
}

static void on_report(void *context, const struct mw_report *r)
{
	struct world *w = context;
	const struct flight *f = w->answering;
	EXPECT(w, f != NULL);
	struct account *a = f->account;
	EXPECT(w, r->account.len == a->span.len && memcmp(r->account.at, a->name, a->span.len) == 0);
	EXPECT(w, r->status == f->answer.status);
	if (r->outcome == MW_OUTCOME_PARKED) {
		EXPECT(w, w->parked_expected == 1 && r->message.len == 0);
		w->parked_expected = 0;
		return;
	}

	/* In order, each once. */
	EXPECT(w, r->message.len >= HEAD_LEN && read_number(r->message.at + 13, 5) == r->message.len);
	EXPECT(w, read_number(r->message.at, 3) == (size_t)(a - w->accounts));
	EXPECT(w, read_number(r->message.at + 4, 6) == a->resolved && r->tag == (int64_t)a->resolved);
	EXPECT(w, a->resolved < f->first + f->r.count);
	uint8_t fate = a->fate[a->resolved++];
	w->bytes -= r->message.len;
	if (r->outcome == MW_OUTCOME_DELIVERED) {
		EXPECT(w, r->status == 200 && (fate & SEEN) && !(fate & (POISON | HUGE)));
		w->delivered++;
		return;
	}
	w->dead++;
	if (a->high < a->resolved)
		a->high = a->resolved;
	if (r->status == 400)
		EXPECT(w, (fate & POISON) && f->r.count == 1);
	else if (r->status == 413)
		EXPECT(w, (fate & HUGE) && f->r.count == 1);
	else if (r->status != 404 && r->status != 302 && r->status != 501)
		EXPECT(w, a->failures == w->config.retries_max + 1);
}

static int server_takes(struct world *w, const struct flight *f)
{
	struct account *a = f->account;
	if (a->refused_with > 0)
		return a->refused_with;
	if (chance(w, w->weather.limited))
		return 429;
	if (chance(w, w->weather.broken))
		return (int[]){500, 502, 503, 504, 408, 410, 460}[below(w, 7)];
	if (chance(w, w->weather.final))
		return (int[]){404, 302, 501}[below(w, 3)];
	if (f->r.bytes > w->server_max)
		return 413;
	for (uint32_t i = f->first; i < f->first + f->r.count; i++)
		if (a->fate[i] & POISON)
			return 400;
	/* Nothing new may come before something older. */
	EXPECT(w, f->first <= a->high);
	for (uint32_t i = f->first; i < f->first + f->r.count; i++)
		a->fate[i] |= SEEN;
	if (a->high < f->first + f->r.count)
		a->high = f->first + f->r.count;
	return 200;
}

/* The jitter adds at most as much again. */
static int64_t least_pause(const struct account *a, const struct mw_answer *answer)
{
	int64_t pause = a->attempts > 7 ? 30000 : 250 << (a->attempts - 1);
	if (pause > 30000)
		pause = 30000;
	if ((answer->status != 429 && answer->status != 503) || answer->retry_after_ms < 0)
		return pause;
	int64_t asked = answer->retry_after_ms < 1000 ? 1000 : answer->retry_after_ms;
	if (asked > 300000)
		asked = 300000;
	return asked > pause ? asked : pause;
}

/* The third account in a row closes the gate. */
static void note_limited(struct world *w, const struct account *a, int64_t pause_ms)
{
	for (uint32_t i = 0; i < w->limited_count; i++)
		if (w->limited[i] == a)
			return;
	w->limited[w->limited_count++] = a;
	if (w->limited_count < 3)
		return;
	w->limited_count = 0;
	if (w->gate_from < w->now + pause_ms)
		w->gate_from = w->now + pause_ms;
	if (w->gate_to < w->now + 2 * pause_ms)
		w->gate_to = w->now + 2 * pause_ms;
}

static bool dies_by_retries(struct world *w, struct account *a, const struct flight *f)
{
	const struct mw_answer *answer = &f->answer;
	a->attempts++;
	a->repeat = f->r.count;
	int64_t pause_ms = least_pause(a, answer);
	a->backs_off_until = w->now + pause_ms;
	if (answer->status == 429)
		note_limited(w, a, pause_ms);
	if (a->parked) {
		a->probe_at = a->backs_off_until;
		return false;
	}
	if (!(answer->status == 429 && answer->retry_after_ms >= 0))
		a->failures++;
	return a->failures > w->config.retries_max;
}

static void world_answer(struct world *w, struct flight *f)
{
	struct account *a = f->account;
	int status = f->answer.status;
	bool concludes = false;
	a->flying = false;
	w->parked_expected = 0;
	if (status == 401 || status == 403 || status == MW_STATUS_NO_KEY) {
		a->attempts = a->failures = 0;
		w->parked_expected = !a->resumed && !a->parked;
		a->parked = !a->resumed;
		a->probe_at = w->now + MW_PROBE_MS;
	} else if (status == 200 || status == 400 || status == 413 || status == 404 || status == 302 ||
		   status == 501) {
		concludes = true;
	} else if (status != MW_STATUS_UNSENT) {
		concludes = dies_by_retries(w, a, f);
	}
	uint32_t before = a->resolved;
	w->answering = f;
	mw_weir_done(w->weir, &f->r, &f->answer, w->now);
	w->answering = NULL;
	EXPECT(w, w->parked_expected == 0);
	if (status == 200)
		w->limited_count = 0;
	if (status == MW_STATUS_UNSENT && f->r.lane->state == MW_LANE_READY)
		w->turn = a;
	if (concludes) {
		bool split = (status == 400 || status == 413) && f->r.count > 1;
		EXPECT(w, a->resolved == before + (split ? 0 : f->r.count));
		a->attempts = a->failures = a->repeat = 0;
		a->parked = false;
	} else {
		EXPECT(w, a->resolved == before);
	}
	f->step = FREE;
}

static void set_answer(struct world *w, struct flight *f, int status)
{
	f->answer = (struct mw_answer){.status = status, .retry_after_ms = -1};
	if ((status == 429 || status == 503) && chance(w, w->weather.told_when))
		f->answer.retry_after_ms = (int64_t)below(w, chance(w, 100) ? 1000000 : 3000);
	f->step = ANSWERING;
	f->at = w->now + (int64_t)below(w, (uint64_t)w->weather.latency_ms + 1);
}

static void connected(struct world *w, struct flight *f)
{
	int64_t wait = chance(w, w->weather.unsent) ? 5 : mw_weir_permit(w->weir, w->now);
	if (wait > 0) {
		/* Whoever is refused waits and asks again, or gives up. */
		if (chance(w, 500)) {
			f->at = w->now + wait;
			return;
		}
		f->answer = (struct mw_answer){.status = f->seen ? MW_STATUS_NETWORK : MW_STATUS_UNSENT,
					       .retry_after_ms = -1};
		world_answer(w, f);
		return;
	}
	EXPECT(w, w->now >= w->gate_from);
	/* Never more than `rate` in any second. */
	uint64_t rate = (uint64_t)w->config.rate;
	w->permits[w->permit_count++ % PERMITS_KEPT] = w->now;
	if (rate > 0 && w->permit_count > rate)
		EXPECT(w, w->now - w->permits[(w->permit_count - 1 - rate) % PERMITS_KEPT] >= 1000);
	f->step = SENDING;
	f->at = w->now + (int64_t)below(w, (uint64_t)w->weather.latency_ms + 1);
}

static void arrived(struct world *w, struct flight *f)
{
	bool stalled = chance(w, w->weather.stalled);
	if (stalled || chance(w, w->weather.lost_before) || chance(w, w->weather.lost_after)) {
		if (chance(w, 500))
			server_takes(w, f);
		set_answer(w, f, MW_STATUS_NETWORK);
		f->at += stalled ? 30000 : 0;
	} else if (!f->resent && chance(w, w->weather.resent)) {
		/* A kept connection has died: the library opens another and sends all again by itself. */
		if (chance(w, 500))
			server_takes(w, f);
		f->resent = f->seen = true;
		f->step = CONNECTING;
		f->at = w->now + (int64_t)below(w, 10);
	} else {
		set_answer(w, f, server_takes(w, f));
	}
}

static void world_fly(struct world *w, struct flight *f)
{
	switch (f->step) {
	case CONNECTING:
		connected(w, f);
		break;
	case SENDING:
		arrived(w, f);
		break;
	case ANSWERING:
		world_answer(w, f);
		break;
	case FREE:
		break;
	}
}

static void check_batch(struct world *w, const struct flight *f)
{
	const struct mw_request *r = &f->r;
	EXPECT(w, r->count >= 1 && r->count <= w->config.batch_messages);
	EXPECT(w, r->count == 1 || r->bytes <= w->config.batch_bytes);
	mw_buf_clear(&w->batch);
	EXPECT(w, mw_queues_read(&w->queues, r, &w->batch) == MW_OK && w->batch.len == r->bytes);
	const uint8_t *at = w->batch.data;
	for (uint32_t i = 0; i < r->count; i++) {
		EXPECT(w, read_number(at, 3) == (size_t)(f->account - w->accounts));
		EXPECT(w, read_number(at + 4, 6) == f->first + i);
		at += read_number(at + 13, 5);
		EXPECT(w, i + 1 == r->count ? at == w->batch.data + r->bytes : *at++ == ',');
	}
}

static void take_off(struct world *w, const struct mw_request *r)
{
	struct flight *f = w->flights;
	while (f->step != FREE)
		f++;
	struct account *a = &w->accounts[read_number((const uint8_t *)r->lane->name + 1, 3)];
	*f = (struct flight){.r = *r, .account = a, .step = CONNECTING, .first = a->resolved};
	if (w->turn && w->turn != a)
		EXPECT(w, mw_weir_lane(w->weir, w->turn->span)->state != MW_LANE_READY);
	w->turn = NULL;
	EXPECT(w, !a->flying && !a->paused);
	EXPECT(w, w->now >= a->backs_off_until);
	EXPECT(w, !a->parked || (w->now >= a->probe_at && r->count == 1));
	EXPECT(w, a->parked || a->repeat == 0 || r->count == a->repeat);
	EXPECT(w, r->attempt == a->attempts);
	check_batch(w, f);
	a->flying = true;
	a->resumed = false;
	f->at = w->now + (int64_t)below(w, chance(w, 200) ? 150 : 2);
	if (a->refused_with == MW_STATUS_NO_KEY) {
		f->answer = (struct mw_answer){.status = MW_STATUS_NO_KEY, .retry_after_ms = -1};
		world_answer(w, f);
	}
}

static void world_send(struct world *w)
{
	struct mw_request r;
	int64_t wait;
	while (mw_weir_next(w->weir, w->now, &r, &wait))
		take_off(w, &r);
	EXPECT(w, wait > 0);
	w->wake_at = wait == INT64_MAX ? INT64_MAX : w->now + wait;
}

static void resume(struct world *w, struct account *a)
{
	struct mw_lane *lane = mw_weir_lane(w->weir, a->span);
	if (!lane)
		return;
	mw_weir_resume(w->weir, lane, w->now);
	a->parked = a->paused = false;
	a->resumed = true;
}

static void check_books(struct world *w)
{
	struct mw_weir_stats s = mw_weir_stats(w->weir);
	struct mw_counts sum = {0};
	uint64_t bytes = 0, flying = 0;
	size_t position = 0;
	for (const struct mw_lane *l; (l = mw_weir_each(w->weir, &position));) {
		const struct mw_counts *c = &l->counts;
		const struct account *a = &w->accounts[read_number((const uint8_t *)l->name + 1, 3)];
		EXPECT(w, c->accepted == c->delivered + c->dead + c->queued + c->in_flight);
		EXPECT(w, c->accepted == a->pushed && c->delivered + c->dead == a->resolved);
		EXPECT(w, w->queues.all[l->number].count == c->queued + c->in_flight);
		EXPECT(w, (l->state == MW_LANE_FLYING) == a->flying && (c->in_flight > 0) == a->flying);
		int64_t due_in = l->due - w->now;
		EXPECT(w, l->state != MW_LANE_WAITING || due_in <= MW_RETRY_AFTER_MAX_MS);
		EXPECT(w, l->state != MW_LANE_PARKED || due_in <= MW_PROBE_MS);
		EXPECT(w, l->parked == a->parked && l->paused == a->paused);
		sum.accepted += c->accepted;
		sum.delivered += c->delivered;
		sum.dead += c->dead;
		sum.queued += c->queued;
		sum.in_flight += c->in_flight;
		EXPECT(w, l->bytes == w->queues.all[l->number].bytes);
		struct mw_queue_cursor cursor = {0};
		struct mw_queued oldest;
		if (mw_queue_next(&w->queues.all[l->number], &cursor, &oldest))
			EXPECT(w, l->since == oldest.since);
		bytes += l->bytes;
		flying += a->flying;
	}
	int64_t gate_ms = mw_weir_gate_ms(w->weir, w->now);
	EXPECT(w, gate_ms >= w->gate_from - w->now);
	EXPECT(w, gate_ms == 0 || gate_ms <= w->gate_to - w->now);
	EXPECT(w, memcmp(&sum, &s.counts, sizeof sum) == 0);
	EXPECT(w, sum.delivered == w->delivered && sum.dead == w->dead);
	EXPECT(w, s.queued_bytes == bytes && bytes == w->bytes && bytes <= w->queues.bytes_max);
	EXPECT(w, s.requests == w->permit_count && flying <= w->config.in_flight_max);
}

#endif
