/* engine_board.c -- the engine's counters on the board, where other processes read them. */
#include "engine_state.h"

static struct mw_board_totals totals_of(const struct mw_engine *g, const struct mw_engine_stats *s,
					int64_t now)
{
	const struct mw_weir_stats *w = &s->weir;
	return (struct mw_board_totals){.accepted = w->counts.accepted,
					.delivered = w->counts.delivered,
					.dead = w->counts.dead,
					.queued = w->counts.queued,
					.in_flight = w->counts.in_flight,
					.queued_bytes = w->queued_bytes,
					.held = w->held,
					.requests = w->requests,
					.answers = w->answers,
					.retries = w->retries,
					.splits = w->splits,
					.bytes_sent = w->bytes_sent,
					.lanes = w->lanes,
					.lanes_parked = w->lanes_parked,
					.lanes_backing_off = w->lanes_backing_off,
					.oldest_ms = w->oldest < 0 ? -1 : now - w->oldest,
					.gate_ms = s->gate_ms,
					.rate_milli = (uint64_t)(1000 * g->rate),
					.commits = s->spool.commits,
					.commit_us_max = s->spool.commit_us_max,
					.disk_bytes = s->spool.disk_bytes,
					.disk_max = s->spool.disk_max,
					.closed = g->closed,
					.lanes_held = w->lanes_held,
					.token_requests = s->token_requests};
}

static void show_lane(const struct mw_engine_lane *l, struct mw_board_lane *out)
{
	*out = (struct mw_board_lane){.queued = l->counts.queued,
				      .in_flight = l->counts.in_flight,
				      .delivered = l->counts.delivered,
				      .dead = l->counts.dead,
				      .due_in_ms = l->due_in_ms > 0 ? l->due_in_ms : -1,
				      .state = (uint32_t)l->state,
				      .attempts = l->attempts,
				      .last_status = l->last_status,
				      .account_len = (uint32_t)l->account_len,
				      .delivered_s =
					  l->delivered_ms < 0 ? 0 : (uint32_t)(l->delivered_ms / 1000) + 1};
	if (l->state == MW_LANE_PARKED)
		out->flags = MW_BOARD_PARKED;
	if (l->state == MW_LANE_PAUSED)
		out->flags = MW_BOARD_PAUSED;
	if (l->awaits_token)
		out->flags = MW_BOARD_AWAITS_TOKEN;
	else if (l->state == MW_LANE_WAITING && l->attempts > 0)
		out->flags = MW_BOARD_BACKING_OFF;
	memcpy(out->account, l->account, sizeof l->account);
	memcpy(out->last_error, l->last_error, sizeof out->last_error);
}

void mw_engine_post(struct mw_engine *g)
{
	struct mw_engine_stats stats;
	if (!g->commons.board)
		return;
	size_t lanes = mw_engine_lanes(g, g->shown, MW_BOARD_LANES);
	if (lanes > MW_BOARD_LANES)
		lanes = MW_BOARD_LANES;
	if (mw_engine_stats(g, &stats) != MW_OK)
		return;
	for (size_t i = 0; i < lanes; i++)
		show_lane(&g->shown[i], &g->posted[i]);
	const struct mw_board_totals totals = totals_of(g, &stats, mw_engine_now(CLOCK_MONOTONIC));
	mw_board_write(g->commons.board, &totals, g->posted, lanes);
}
