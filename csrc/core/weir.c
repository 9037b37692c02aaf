#include "weir_own.h"

#include <stdlib.h>

/* SplitMix64. */
uint64_t mw_weir_random(struct mw_weir *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

struct mw_weir_config mw_weir_defaults(void)
{
	return (struct mw_weir_config){
	    .rate = MW_RATE_DEFAULT,
	    .batch_bytes = MW_BATCH_TARGET,
	    .batch_messages = MW_BATCH_MESSAGES,
	    .linger_ms = MW_LINGER_MS,
	    .in_flight_max = MW_IN_FLIGHT_MAX,
	    .retries_max = MW_RETRY_FOREVER,
	};
}

struct mw_weir *mw_weir_new(const struct mw_weir_config *config, int64_t now)
{
	struct mw_weir *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->config = *config;
	if (w->config.batch_messages == 0)
		w->config.batch_messages = 1;
	if (w->config.in_flight_max == 0)
		w->config.in_flight_max = 1;
	if (w->config.linger_ms < 0)
		w->config.linger_ms = 0;
	w->random = config->seed;
	uint64_t a = mw_weir_random(w);
	mw_lanes_init(&w->lanes, (struct mw_hash_key){a, mw_weir_random(w)});
	mw_timers_init(&w->timers);
	w->laden.kind = MW_LADEN;
	w->swollen.kind = MW_SWOLLEN;
	mw_rate_init(&w->handouts, config->rate, now);
	mw_rate_init(&w->permits, config->rate, now);
	return w;
}

void mw_weir_free(struct mw_weir *w)
{
	if (!w)
		return;
	mw_lanes_deinit(&w->lanes);
	mw_timers_deinit(&w->timers);
	free(w);
}

/* A lane that is ready joins those with a full batch, once it has one. */
static void note_laden(struct mw_weir *w, struct mw_lane *lane)
{
	if (lane->laden || !mw_weir_is_laden(w, lane))
		return;
	lane->laden = true;
	mw_round_append(&w->laden, lane);
}

static void note_swollen(struct mw_weir *w, struct mw_lane *lane)
{
	if (lane->swollen || !mw_weir_is_laden(w, lane))
		return;
	lane->swollen = true;
	mw_round_append(&w->swollen, lane);
}

static void forget_swollen(struct mw_weir *w, struct mw_lane *lane)
{
	if (lane->swollen)
		mw_round_remove(&w->swollen, lane);
	lane->swollen = false;
}

static void make_ready(struct mw_weir *w, struct mw_lane *lane)
{
	lane->state = MW_LANE_READY;
	mw_round_append(&w->round, lane);
	forget_swollen(w, lane);
	note_laden(w, lane);
}

static void leave_round(struct mw_weir *w, struct mw_lane *lane)
{
	mw_round_remove(&w->round, lane);
	if (lane->laden)
		mw_round_remove(&w->laden, lane);
	lane->laden = false;
}

/* Out of wherever its state has put it. */
static void unhook(struct mw_weir *w, struct mw_lane *lane)
{
	if (lane->state == MW_LANE_READY)
		leave_round(w, lane);
	else
		mw_timers_remove(&w->timers, lane);
}

static void wait_until_due(struct mw_weir *w, struct mw_lane *lane, enum mw_lane_state state)
{
	lane->state = state;
	mw_timers_add(&w->timers, lane);
}

static bool is_full(const struct mw_weir *w, const struct mw_lane *lane)
{
	return w->hurry || mw_lane_is_full(lane, w->config.batch_bytes, w->config.batch_messages);
}

void mw_weir_settle(struct mw_weir *w, struct mw_lane *lane, int64_t now)
{
	if (lane->due <= now)
		lane->backing_off = false;

	if (lane->paused) {
		lane->state = MW_LANE_PAUSED;
	} else if (lane->held) {
		wait_until_due(w, lane, MW_LANE_WAITING);
	} else if (lane->parked) {
		wait_until_due(w, lane, MW_LANE_PARKED);
	} else if (lane->backing_off) {
		wait_until_due(w, lane, MW_LANE_WAITING);
	} else if (mw_lane_load(lane) == 0) {
		lane->state = MW_LANE_EMPTY;
	} else if (is_full(w, lane) || lane->since + w->config.linger_ms <= now) {
		make_ready(w, lane);
	} else {
		lane->due = lane->since + w->config.linger_ms;
		wait_until_due(w, lane, MW_LANE_WAITING);
	}
}

struct mw_lane *mw_weir_open_lane(struct mw_weir *w, struct mw_span account)
{
	/* Messages come in runs of one account. */
	if (w->opened && mw_span_equal(mw_lane_account(w->opened), account))
		return w->opened;
	struct mw_lane *lane = mw_lanes_find(&w->lanes, account);
	/* Every lane has its place among the timers before it exists: the rest cannot fail. */
	if (!lane && mw_timers_reserve(&w->timers, w->lanes.count + 1))
		lane = mw_lanes_add(&w->lanes, account);
	w->stats.lanes = w->lanes.count;
	w->opened = lane;
	return lane;
}

void mw_weir_push(struct mw_weir *w, struct mw_lane *lane, uint64_t count, uint64_t bytes, int64_t since)
{
	if (mw_lane_load(lane) == 0)
		lane->since = since;
	else if (lane->state == MW_LANE_FLYING && lane->since_next < 0)
		lane->since_next = since;
	lane->counts.accepted += count;
	lane->counts.queued += count;
	lane->bytes += bytes;
	w->stats.counts.accepted += count;
	w->stats.counts.queued += count;
	w->stats.queued_bytes += bytes;

	if (lane->state == MW_LANE_EMPTY) {
		mw_weir_settle(w, lane, since);
	} else if (lane->state == MW_LANE_WAITING && !lane->backing_off && !lane->held && is_full(w, lane)) {
		unhook(w, lane);
		make_ready(w, lane);
	} else if (lane->state == MW_LANE_READY) {
		note_laden(w, lane);
	} else if (lane->state == MW_LANE_WAITING && lane->held) {
		note_swollen(w, lane);
	}
}

static void add_counts(struct mw_counts *to, const struct mw_counts *more)
{
	to->accepted += more->accepted;
	to->delivered += more->delivered;
	to->dead += more->dead;
	to->queued += more->queued;
}

void mw_weir_restore(struct mw_weir *w, struct mw_lane *lane, const struct mw_counts *counts, uint64_t bytes,
		     int64_t since, int64_t now)
{
	add_counts(&lane->counts, counts);
	add_counts(&w->stats.counts, counts);
	lane->bytes = bytes;
	lane->since = since;
	w->stats.queued_bytes += bytes;
	mw_weir_settle(w, lane, now);
}

/* Lanes whose time has come join the round. */
static void wake(struct mw_weir *w, int64_t now)
{
	struct mw_lane *lane;
	while ((lane = mw_timers_first(&w->timers)) && lane->due <= now) {
		mw_timers_remove(&w->timers, lane);
		lane->backing_off = lane->held = false;
		if (mw_lane_load(lane) > 0)
			make_ready(w, lane);
		else
			lane->state = MW_LANE_EMPTY;
	}
}

/* The lane's next request leaves the round. True: the store has lost its messages. */
static bool take_off(struct mw_weir *w, struct mw_lane *lane, struct mw_request *out)
{
	struct mw_batch batch;
	leave_round(w, lane);
	w->config.store.measure(w->config.store.context, lane, w->config.batch_bytes,
				mw_lane_batch_max(lane, w->config.batch_messages), &batch);
	lane->state = MW_LANE_FLYING;
	lane->since_next = batch.since_next;
	lane->resumed = false;
	lane->counts.queued -= batch.count;
	lane->counts.in_flight += batch.count;
	w->stats.counts.queued -= batch.count;
	w->stats.counts.in_flight += batch.count;
	w->in_flight++;
	*out = (struct mw_request){lane, batch.count, batch.bytes, lane->attempts};
	return batch.is_damaged;
}

/* Whose request is next: the first of the round, but for one in MW_LADEN_EVERY while somebody has a full
 * batch. */
static struct mw_lane *choose(struct mw_weir *w)
{
	if (!w->laden.front || ++w->passed < MW_LADEN_EVERY)
		return w->round.front;
	w->passed = 0;
	return w->laden.front;
}

int64_t mw_weir_wait(struct mw_weir *w, int64_t now)
{
	wake(w, now);
	const struct mw_lane *first = mw_timers_first(&w->timers);
	if (w->in_flight >= w->config.in_flight_max || (!w->round.front && !first))
		return INT64_MAX;
	if (!w->round.front)
		return first->due - now;
	int64_t paced = mw_rate_wait(&w->handouts, now);
	int64_t permitted = mw_rate_wait(&w->permits, now);
	return paced > permitted ? paced : permitted;
}

bool mw_weir_next(struct mw_weir *w, int64_t now, struct mw_request *out, int64_t *wait_ms)
{
	*wait_ms = mw_weir_wait(w, now);
	if (*wait_ms > 0)
		return false;

	if (take_off(w, choose(w), out)) {
		static const struct mw_answer damaged = {.status = MW_STATUS_DAMAGED, .retry_after_ms = -1};
		mw_weir_done(w, out, &damaged, now);
		return mw_weir_next(w, now, out, wait_ms);
	}
	mw_rate_take(&w->handouts, now);
	return true;
}

int64_t mw_weir_permit_wait(struct mw_weir *w, int64_t now)
{
	return mw_rate_wait(&w->permits, now);
}

int64_t mw_weir_permit(struct mw_weir *w, int64_t now)
{
	int64_t wait = mw_rate_wait(&w->permits, now);
	if (wait == 0) {
		mw_rate_take(&w->permits, now);
		w->stats.requests++;
	}
	return wait;
}

void mw_weir_hurry(struct mw_weir *w, bool hurry, int64_t now)
{
	bool was = w->hurry;
	w->hurry = hurry;
	if (was || !hurry)
		return;
	for (uint32_t i = 0; i < w->lanes.count; i++) {
		struct mw_lane *lane = w->lanes.all[i];
		/* Settling puts those that back off where they were. */
		if (lane->state == MW_LANE_WAITING) {
			unhook(w, lane);
			mw_weir_settle(w, lane, now);
		}
	}
}

struct mw_lane *mw_weir_lane(struct mw_weir *w, struct mw_span account)
{
	return mw_lanes_find(&w->lanes, account);
}

void mw_weir_resume(struct mw_weir *w, struct mw_lane *lane, int64_t now)
{
	lane->parked = lane->paused = false;
	if (lane->state == MW_LANE_FLYING) {
		lane->resumed = true;
	} else if (lane->held && lane->state == MW_LANE_WAITING) {
		mw_weir_release(w, lane, now);
	} else if (lane->state == MW_LANE_PARKED || lane->state == MW_LANE_PAUSED) {
		lane->held = false;
		unhook(w, lane);
		mw_weir_settle(w, lane, now);
	}
}

void mw_weir_hold(struct mw_weir *w, const struct mw_request *r, bool used, int64_t until, int64_t now)
{
	if (!used)
		mw_rate_give_back(&w->handouts);
	mw_weir_take_back(w, r);
	r->lane->held = true;
	r->lane->due = until;
	mw_weir_settle(w, r->lane, now);
}

void mw_weir_release(struct mw_weir *w, struct mw_lane *lane, int64_t now)
{
	bool held = lane->held;
	lane->held = false;
	if (!held || lane->state != MW_LANE_WAITING)
		return;
	unhook(w, lane);
	if (mw_lane_load(lane) > 0)
		make_ready(w, lane);
	else
		mw_weir_settle(w, lane, now);
}

void mw_weir_pause(struct mw_weir *w, struct mw_lane *lane, int64_t now)
{
	lane->paused = true;
	if (lane->state != MW_LANE_FLYING) {
		unhook(w, lane);
		mw_weir_settle(w, lane, now);
	}
}

uint64_t mw_weir_withdraw(struct mw_weir *w, struct mw_lane *lane)
{
	static const struct mw_answer none = {.status = MW_STATUS_UNSENT, .retry_after_ms = -1};
	if ((lane->state != MW_LANE_PARKED && lane->state != MW_LANE_PAUSED) || lane->counts.queued == 0)
		return 0;
	uint64_t count = lane->counts.queued, bytes = lane->bytes;
	w->config.store.settle(w->config.store.context, lane, (uint32_t)count, bytes, MW_OUTCOME_WITHDRAWN,
			       &none);
	lane->bytes = 0;
	lane->counts.accepted -= count;
	lane->counts.queued = 0;
	lane->attempts = lane->failures = lane->again = lane->suspects = 0;
	w->stats.counts.accepted -= count;
	w->stats.counts.queued -= count;
	w->stats.queued_bytes -= bytes;
	return count;
}

struct mw_weir_stats mw_weir_stats(const struct mw_weir *w)
{
	struct mw_weir_stats stats = w->stats;
	stats.oldest = stats.oldest_due = -1;
	for (uint32_t i = 0; i < w->lanes.count; i++) {
		const struct mw_lane *lane = w->lanes.all[i];
		uint64_t load = mw_lane_load(lane);
		if (load > 0 && (stats.oldest < 0 || lane->since < stats.oldest))
			stats.oldest = lane->since;
		if (load > 0 && !lane->parked && !lane->paused &&
		    (stats.oldest_due < 0 || lane->since < stats.oldest_due))
			stats.oldest_due = lane->since;
		stats.lanes_parked += lane->parked;
		stats.lanes_backing_off += lane->state == MW_LANE_WAITING && lane->backing_off;
		stats.lanes_failing += mw_lane_is_failing(lane);
		stats.lanes_held += mw_lane_awaits_token(lane);
		if (lane->parked || lane->paused)
			stats.held += load;
	}
	return stats;
}

uint32_t mw_weir_room(const struct mw_weir *w)
{
	return w->config.in_flight_max - w->in_flight;
}

bool mw_weir_is_laden(const struct mw_weir *w, const struct mw_lane *lane)
{
	return mw_lane_is_laden(lane, w->config.batch_bytes, w->config.batch_messages);
}

struct mw_lane *mw_weir_swollen(struct mw_weir *w)
{
	struct mw_lane *lane = w->swollen.front;
	if (lane)
		forget_swollen(w, lane);
	return lane;
}

const struct mw_weir_stats *mw_weir_totals(const struct mw_weir *w)
{
	return &w->stats;
}

int64_t mw_weir_gate_ms(const struct mw_weir *w, int64_t now)
{
	return w->permits.gate_until > now ? w->permits.gate_until - now : 0;
}

const struct mw_lane *mw_weir_each(const struct mw_weir *w, size_t *position)
{
	return *position < w->lanes.count ? w->lanes.all[(*position)++] : NULL;
}
