/* engine_stats.c -- what an engine tells of itself: counters, lanes, reports. */
#include "engine_state.h"

#include <stdio.h>

/* Under core. Which accounts are without a token, and why one of them is. */
static void find_tokenless(const struct mw_engine *g, struct mw_engine_stats *out)
{
	size_t position = 0;
	for (const struct mw_lane *l; (l = mw_weir_each(g->weir, &position));) {
		const char *trouble = mw_lane_load(l) > 0 ? mw_oauth_trouble(g->oauth, l->grant) : "";
		if (*trouble && out->lanes_tokenless++ == 0)
			snprintf(out->token_trouble, sizeof out->token_trouble, "%s", trouble);
	}
}

enum mw_err mw_engine_stats(struct mw_engine *g, struct mw_engine_stats *out)
{
	if (mw_engine_is_forked(g))
		return MW_FORKED;
	pthread_mutex_lock(&g->core);
	/* Looks at every lane, so not under the gate: a push would wait for it. */
	*out = (struct mw_engine_stats){.weir = mw_weir_stats(g->weir),
					.spool = g->spool_stats,
					.token_requests = g->token_requests,
					.commits = g->commits,
					.throttled = g->throttled,
					.gate_ms = mw_weir_gate_ms(g->weir, mw_engine_now(CLOCK_MONOTONIC))};
	find_tokenless(g, out);
	int64_t now = mw_engine_now(CLOCK_MONOTONIC);
	if (g->commons.is_leased) {
		int64_t gate = mw_turns_gate_ms(&g->commons.turns, now);
		out->gate_ms = gate > out->gate_ms ? gate : out->gate_ms;
		out->turns_missed = g->commons.turns.missed;
		if (mw_turns_is_awaited(&g->commons.turns) && *g->lease_trouble)
			out->unleased_ms = now > g->leased_at ? now - g->leased_at : 1;
		memcpy(out->lease_trouble, g->lease_trouble, sizeof out->lease_trouble);
	}
	pthread_mutex_lock(&g->gate);
	uint64_t waiting = g->inbox.count - g->inbox.letters + g->taken_count - g->taken_letters;
	out->weir.counts.accepted += waiting;
	out->weir.counts.queued += waiting;
	out->weir.queued_bytes += g->inbox.bytes.len + g->taken_bytes;
	if (g->inbox.count > 0 && out->weir.oldest < 0)
		out->weir.oldest = g->inbox_since;
	if (g->inbox.count > 0 && out->weir.oldest_due < 0)
		out->weir.oldest_due = g->inbox_since;
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
	out->reports_lost = mw_reports_lost(g->reports);
	return MW_OK;
}

static void copy_lane(const struct mw_engine *g, const struct mw_lane *l, int64_t now,
		      struct mw_engine_lane *out)
{
	*out = (struct mw_engine_lane){.counts = l->counts,
				       .queued_bytes = l->bytes,
				       .requests = l->requests,
				       .bytes_sent = l->bytes_sent,
				       .state = l->state,
				       .has_app = l->grant > 0,
				       .awaits_token = mw_lane_awaits_token(l),
				       .attempts = l->attempts,
				       .delivered_ms = l->delivered_at > 0 ? now - l->delivered_at : -1,
				       .last_status = l->last_status};
	bool waits = l->state == MW_LANE_WAITING || l->state == MW_LANE_PARKED;
	if (waits && l->due > now)
		out->due_in_ms = l->due - now;
	memcpy(out->account, l->name, l->name_len);
	out->account_len = l->name_len;
	snprintf(out->last_error, sizeof out->last_error, "%s", mw_trouble_of(&g->trouble, l));
}

bool mw_engine_lane(struct mw_engine *g, struct mw_span account, struct mw_engine_lane *out)
{
	if (mw_engine_is_forked(g))
		return false;
	pthread_mutex_lock(&g->core);
	const struct mw_lane *lane = mw_weir_lane(g->weir, account);
	if (lane)
		copy_lane(g, lane, mw_engine_now(CLOCK_MONOTONIC), out);
	pthread_mutex_unlock(&g->core);
	return lane != NULL;
}

static uint64_t load_of(const struct mw_counts *c)
{
	return c->queued + c->in_flight;
}

size_t mw_engine_lanes(struct mw_engine *g, struct mw_engine_lane *out, size_t max)
{
	if (mw_engine_is_forked(g))
		return 0;
	size_t lanes = 0, position = 0, idlest = 0;
	pthread_mutex_lock(&g->core);
	int64_t now = mw_engine_now(CLOCK_MONOTONIC);
	for (const struct mw_lane *l; (l = mw_weir_each(g->weir, &position)); lanes++) {
		if (lanes < max) {
			copy_lane(g, l, now, &out[lanes]);
		} else if (max > 0 && load_of(&l->counts) > load_of(&out[idlest].counts)) {
			copy_lane(g, l, now, &out[idlest]);
		} else {
			continue;
		}
		/* Which of a full table goes next; looked for only when the table has changed. */
		for (size_t i = 0; lanes + 1 >= max && i < max; i++)
			if (load_of(&out[i].counts) < load_of(&out[idlest].counts))
				idlest = i;
	}
	pthread_mutex_unlock(&g->core);
	return lanes;
}

size_t mw_engine_poll(struct mw_engine *g, size_t max, void (*each)(void *context, const struct mw_report *r),
		      void *context)
{
	return mw_engine_is_forked(g) ? 0 : mw_reports_take(g->reports, max, each, context);
}
