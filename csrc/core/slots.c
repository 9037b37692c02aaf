#include "slots.h"

#include "limits.h"

#include <stddef.h>

enum {
	MS_US = 1000,
	STOCK_MIN = 8,
	STOCK_MAX = 1 << 20,
	CROWDED_MS = 100,  /* on average, between two questions while there are fewer slots than wanted */
	ASK_EVERY_MS = 10, /* between two questions, whatever was answered */
	FAILED_MS = 50,    /* and after one that failed, doubling ... */
	FAILED_MAX_MS = 1000,
	JUMP_US = 2000,         /* two clocks that go alike differ by less, the round trips aside ... */
	JUMP_SHARE = 2000,      /* ... and by less than a 2,000th of the time between */
	JUMP_AGE_US = 10000000, /* what was seen longer ago says too little */
	LATE_MIN_US = 2000,     /* of its window a slot must have so much left */
};

void mw_slots_init(struct mw_slots *s, double per_second)
{
	*s = (struct mw_slots){.asked_us = -1, .clock_answered_us = -1};
	if (!(per_second > 0))
		return;
	double second_us = 1000.0 * (1000 + MW_SLOT_WINDOW_MS + MW_SLOT_JITTER_MS);
	double interval = second_us / per_second, stock = per_second * MW_SLOT_STOCK_MS / 1000;
	s->interval_us = interval < 1 ? 1 : interval > 1e12 ? (int64_t)1e12 : (int64_t)interval + 1;
	s->stock_max = stock < STOCK_MIN ? STOCK_MIN : stock > STOCK_MAX ? STOCK_MAX : (uint32_t)stock;
}

static struct mw_slot_run *oldest(struct mw_slots *s)
{
	return s->run_count > 0 ? &s->runs[s->first] : NULL;
}

/* The oldest run loses its first `count` slots. */
static void skip(struct mw_slots *s, struct mw_slot_run *r, uint32_t count)
{
	r->count -= count;
	r->from_us += (int64_t)count * r->interval_us;
	r->until_us += (int64_t)count * r->interval_us;
	if (r->count == 0) {
		s->first = (s->first + 1) % MW_SLOT_RUNS;
		s->run_count--;
	}
}

/* Slots whose window is over by `us` are gone. */
static void expire(struct mw_slots *s, int64_t us)
{
	struct mw_slot_run *r;
	while ((r = oldest(s)) && r->until_us < us) {
		uint64_t over = (uint64_t)((us - 1 - r->until_us) / r->interval_us) + 1;
		uint32_t gone = over < r->count ? (uint32_t)over : r->count;
		s->missed += gone;
		skip(s, r, gone);
	}
}

static uint32_t held(const struct mw_slots *s)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < s->run_count; i++)
		count += s->runs[(s->first + i) % MW_SLOT_RUNS].count;
	return count;
}

int64_t mw_slots_gate_ms(const struct mw_slots *s, int64_t now)
{
	return s->gate_until > now ? s->gate_until - now : 0;
}

int64_t mw_slots_wait(struct mw_slots *s, int64_t now)
{
	int64_t gate = mw_slots_gate_ms(s, now);
	if (gate > 0 || s->interval_us == 0)
		return gate;
	/* `now` was cut to a millisecond: it is anywhere within. */
	int64_t at_least = now * MS_US, at_most = at_least + MS_US - 1;
	expire(s, at_most);
	const struct mw_slot_run *r = oldest(s);
	if (!r)
		return MW_SLOTS_NONE;
	return r->from_us <= at_least ? 0 : (r->from_us - at_least + MS_US - 1) / MS_US;
}

int64_t mw_slots_take(struct mw_slots *s, int64_t now)
{
	int64_t wait = mw_slots_wait(s, now);
	if (wait == 0 && s->interval_us != 0)
		skip(s, oldest(s), 1);
	return wait;
}

void mw_slots_close(struct mw_slots *s, int64_t now, int64_t for_ms)
{
	if (for_ms > MW_RETRY_AFTER_MAX_MS)
		for_ms = MW_RETRY_AFTER_MAX_MS;
	if (for_ms <= 0 || s->gate_until >= now + for_ms)
		return;
	s->gate_until = now + for_ms;
	s->untold_ms = for_ms;
}

bool mw_slots_has_question(const struct mw_slots *s, uint32_t wanted)
{
	return s->interval_us > 0 && s->asked_us < 0 && (s->untold_ms > 0 || s->anew || held(s) < wanted);
}

bool mw_slots_ask(struct mw_slots *s, uint32_t wanted, int64_t now_us, struct mw_slots_ask *out,
		  int64_t *wait_ms)
{
	int64_t now = now_us / MS_US;
	expire(s, now_us);
	uint32_t have = held(s), most = wanted < s->stock_max ? wanted : s->stock_max;
	bool gated = mw_slots_gate_ms(s, now) > 0;
	uint32_t count = have < most && !gated && s->run_count < MW_SLOT_RUNS ? most - have : 0;
	*wait_ms = MW_SLOTS_NONE;
	if (s->interval_us == 0 || s->asked_us >= 0)
		return false;
	if (count == 0 && s->untold_ms == 0 && !s->anew) {
		if (gated && wanted > 0)
			*wait_ms = mw_slots_gate_ms(s, now);
		return false;
	}
	/* A gate is told at once. */
	if (now < s->ask_at && (s->untold_ms == 0 || s->failures > 0)) {
		*wait_ms = s->ask_at - now;
		return false;
	}
	*out = (struct mw_slots_ask){
	    .count = s->anew ? 0 : count,
	    .interval_us = s->interval_us,
	    .gate_ms = s->untold_ms > 0 ? mw_slots_gate_ms(s, now) : 0,
	    .anew = s->anew,
	};
	s->asked_us = now_us;
	s->asked_count = out->count;
	return true;
}

/* Did the script's clock go as ours did since it was last seen? */
static bool has_jumped(const struct mw_slots *s, const struct mw_lease *l, int64_t now_us)
{
	int64_t age = now_us - s->clock_answered_us;
	if (s->clock_answered_us < 0 || age > JUMP_AGE_US)
		return false;
	int64_t least = s->asked_us - s->clock_answered_us, most = now_us - s->clock_asked_us;
	int64_t slack = JUMP_US + age / JUMP_SHARE, passed = l->clock_us - s->clock_us;
	return passed < least - slack || passed > most + slack;
}

/* Until it is asked again. With fewer slots than are wanted, all ask at the same pace, in an order that
 * changes: nobody is served first for ever because it comes a moment before another. Slots are handed out so
 * far ahead that none is lost by it. */
static int64_t pause_ms(const struct mw_slots *s, const struct mw_lease *l)
{
	int64_t retry_ms = (l->retry_us + MS_US - 1) / MS_US;
	if (l->count >= s->asked_count)
		return 0;
	int64_t crowded_ms =
	    CROWDED_MS / 2 + (int64_t)((uint64_t)l->clock_us * 0x9e3779b97f4a7c15u >> 32) % (CROWDED_MS + 1);
	return retry_ms > crowded_ms ? retry_ms : crowded_ms;
}

static void ask_in(struct mw_slots *s, int64_t now_us, int64_t wait_ms)
{
	s->asked_us = -1;
	s->ask_at = now_us / MS_US + (wait_ms < ASK_EVERY_MS ? ASK_EVERY_MS : wait_ms);
}

enum mw_slots_verdict mw_slots_grant(struct mw_slots *s, const struct mw_lease *l, int64_t now_us)
{
	int64_t asked_us = s->asked_us, window_us = INT64_C(1000) * MW_SLOT_WINDOW_MS;
	if (asked_us < 0)
		return MW_SLOTS_LATE; /* nobody asked */
	bool jumped = has_jumped(s, l, now_us);
	s->clock_us = l->clock_us;
	s->clock_asked_us = asked_us;
	s->clock_answered_us = now_us;
	/* A gate that was closed meanwhile is told with the next question. */
	if (s->untold_ms > 0 && l->gate_us >= (mw_slots_gate_ms(s, now_us / MS_US) - 1) * MS_US)
		s->untold_ms = 0;
	if (l->gate_us > 0) {
		int64_t untold = s->untold_ms;
		mw_slots_close(s, now_us / MS_US, l->gate_us / MS_US + 1);
		s->untold_ms = untold;
	}
	s->anew = jumped;
	if (jumped) {
		s->failures = 0;
		ask_in(s, now_us, 0);
		return MW_SLOTS_JUMPED;
	}
	if (now_us - asked_us > window_us - LATE_MIN_US) {
		mw_slots_failed(s, now_us);
		return MW_SLOTS_LATE;
	}
	s->failures = 0;
	ask_in(s, now_us, pause_ms(s, l));
	if (l->count == 0 || l->interval_us <= 0 || s->run_count == MW_SLOT_RUNS)
		return MW_SLOTS_TAKEN;
	s->runs[(s->first + s->run_count++) % MW_SLOT_RUNS] =
	    (struct mw_slot_run){.from_us = now_us + l->ahead_us,
				 .until_us = asked_us + l->ahead_us + window_us,
				 .interval_us = l->interval_us,
				 .count = l->count};
	return MW_SLOTS_TAKEN;
}

void mw_slots_failed(struct mw_slots *s, int64_t now_us)
{
	int64_t wait_ms = (int64_t)FAILED_MS << (s->failures < 8 ? s->failures : 8);
	s->failures++;
	ask_in(s, now_us, wait_ms < FAILED_MAX_MS ? wait_ms : FAILED_MAX_MS);
}
