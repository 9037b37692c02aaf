#include "backoff.h"
#include "weir_own.h"

#include <assert.h>

/* The request's messages have come to their end. */
static void finish(struct mw_weir *w, const struct mw_request *r, enum mw_outcome outcome,
		   const struct mw_answer *a)
{
	struct mw_lane *lane = r->lane;
	uint64_t bytes = r->bytes - (r->count - 1); /* without commas */
	w->config.store.settle(w->config.store.context, lane, r->count, bytes, outcome, a);
	lane->bytes -= bytes;
	lane->since = lane->since_next;
	lane->counts.queued -= r->count;
	w->stats.queued_bytes -= bytes;
	w->stats.counts.queued -= r->count;
	if (outcome == MW_OUTCOME_DELIVERED) {
		lane->counts.delivered += r->count;
		w->stats.counts.delivered += r->count;
	} else {
		lane->counts.dead += r->count;
		w->stats.counts.dead += r->count;
	}
}

/* The batch got an answer that settles it: nothing to repeat, and the write key is good. */
static void conclude(struct mw_lane *lane)
{
	lane->attempts = lane->failures = lane->again = 0;
	lane->parked = false;
}

static void bury(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a)
{
	finish(w, r, MW_OUTCOME_DEAD, a);
	mw_lane_learn_dead(r->lane);
	conclude(r->lane);
}

static void deliver(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a, int64_t now)
{
	r->lane->delivered_at = now;
	finish(w, r, MW_OUTCOME_DELIVERED, a);
	mw_lane_learn_delivered(r->lane, r->count, w->config.batch_messages);
	conclude(r->lane);
	w->limited_count = 0;
}

/* A lane was told 429. The third lane in a row closes the gate for as long as it was told itself. */
static void note_limited(struct mw_weir *w, const struct mw_lane *lane, int64_t now, int64_t pause_ms)
{
	for (uint32_t i = 0; i < w->limited_count; i++)
		if (w->limited[i] == lane)
			return;
	w->limited[w->limited_count++] = lane;
	if (w->limited_count == MW_LIMITED_LANES) {
		mw_rate_close(&w->permits, now, pause_ms);
		w->limited_count = 0;
	}
}

static void retry(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a, int64_t now)
{
	struct mw_lane *lane = r->lane;
	int64_t pause_ms =
	    mw_backoff_pause_ms(lane->attempts + 1, a->status, a->retry_after_ms, mw_weir_random(w));
	/* Holds for the messages behind, too, should these ones die now. */
	lane->due = now + pause_ms;
	lane->backing_off = true;
	if (a->status == 429)
		note_limited(w, lane, now, pause_ms);

	/* A parked lane keeps its messages whatever its probes meet. */
	if (!lane->parked && !(a->status == 429 && a->retry_after_ms >= 0))
		lane->failures++;
	if (lane->failures > w->config.retries_max) {
		bury(w, r, a);
	} else {
		lane->attempts++;
		lane->again = r->count;
		w->stats.retries++;
	}
}

/* A batch of several was refused for what it holds: the same messages again, in smaller batches. */
static void split(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a)
{
	if (r->count == 1) {
		bury(w, r, a);
		return;
	}
	if (mw_verdict_of(a->status) == MW_SHRINK)
		mw_lane_learn_too_large(r->lane, r->count);
	else
		mw_lane_learn_refused(r->lane, r->count);
	w->stats.splits++;
	conclude(r->lane);
}

static void park(struct mw_weir *w, struct mw_lane *lane, const struct mw_answer *a, int64_t now)
{
	lane->attempts = lane->failures = 0;
	if (lane->resumed) {
		lane->parked = false;
		return;
	}
	if (!lane->parked && w->config.report.call) {
		struct mw_report r = mw_report_on(lane, (struct mw_span){0}, 0, MW_OUTCOME_PARKED, a);
		w->config.report.call(w->config.report.context, &r);
	}
	lane->parked = true;
	lane->due = now + MW_PROBE_MS;
}

/* A parked lane that was probing stays one, and probes again at once. */
static void repeat(struct mw_weir *w, const struct mw_request *r, int64_t now)
{
	r->lane->attempts++;
	r->lane->again = r->count;
	r->lane->due = now;
	w->stats.retries++;
}

void mw_weir_take_back(struct mw_weir *w, const struct mw_request *r)
{
	struct mw_lane *lane = r->lane;
	assert(lane->state == MW_LANE_FLYING && lane->counts.in_flight == r->count);
	w->in_flight--;
	lane->counts.in_flight -= r->count;
	lane->counts.queued += r->count;
	w->stats.counts.in_flight -= r->count;
	w->stats.counts.queued += r->count;
}

void mw_weir_done(struct mw_weir *w, const struct mw_request *r, const struct mw_answer *a, int64_t now)
{
	struct mw_lane *lane = r->lane;
	mw_weir_take_back(w, r);

	if (a->status == MW_STATUS_UNSENT) {
		mw_weir_settle(w, lane, now);
		if (lane->state == MW_LANE_READY) {
			mw_round_remove(&w->round, lane);
			mw_round_prepend(&w->round, lane);
			w->passed = 0; /* it goes before one with a full batch, too */
		}
		return;
	}

	/* Nobody's turn was used: a thousand accounts without a token delay no other. */
	if (a->status == MW_STATUS_NO_KEY || a->status == MW_STATUS_NO_TOKEN)
		mw_rate_give_back(&w->handouts);
	lane->last_status = a->status;
	if (a->status >= MW_STATUS_NETWORK)
		lane->requests++;
	if (a->status > 0) {
		lane->bytes_sent += r->bytes;
		w->stats.bytes_sent += r->bytes;
		w->stats.answers++;
	}
	if (a->again) {
		repeat(w, r, now);
		mw_weir_settle(w, lane, now);
		return;
	}
	switch (mw_verdict_of(a->status)) {
	case MW_DELIVERED:
		deliver(w, r, a, now);
		break;
	case MW_RETRY:
		retry(w, r, a, now);
		break;
	case MW_SPLIT:
	case MW_SHRINK:
		split(w, r, a);
		break;
	case MW_PARK:
		park(w, lane, a, now);
		break;
	case MW_DEAD:
		bury(w, r, a);
		break;
	}
	mw_weir_settle(w, lane, now);
}
