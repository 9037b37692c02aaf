#include "grant.h"

#include "backoff.h"
#include "limits.h"
#include "verdict.h"

#include <assert.h>

enum {
	UNSENT_MS = 100,      /* the permit was refused: the gate is closed, or others are faster */
	SKEW_NOTED_MS = 2000, /* less is the second that a Date is cut to, and the way */
};

struct mw_grant_say mw_grant_ask(const struct mw_grant *g, int64_t now)
{
	bool usable = g->has_token && now < g->until;
	bool wanted = !usable || now >= g->refresh_at;
	struct mw_grant_say say = {.start = wanted && !g->in_flight && now >= g->retry_at};
	if (usable) {
		say.verdict = MW_GRANT_USE;
	} else if (say.start || g->in_flight) {
		say.verdict = MW_GRANT_WAIT;
		say.until = now + MW_GRANT_PATIENCE_MS;
	} else {
		say.verdict = g->is_refused ? MW_GRANT_REFUSED : MW_GRANT_WAIT;
		say.until = g->retry_at;
	}
	return say;
}

void mw_grant_sent(struct mw_grant *g)
{
	assert(!g->in_flight);
	g->in_flight = true;
	g->is_stale = false;
	g->skew_used = g->skew_ms;
}

static void take(struct mw_grant *g, int64_t life_ms, uint64_t random, int64_t now)
{
	int64_t life = life_ms < MW_GRANT_LIFE_MAX_MS ? life_ms : MW_GRANT_LIFE_MAX_MS;
	int64_t margin = life / 10 < MW_GRANT_MARGIN_MS ? life / 10 : MW_GRANT_MARGIN_MS;
	int64_t jitter = life / 10;
	g->until = now + life - margin;
	g->refresh_at = now + life / 2 - jitter / 2 + (int64_t)(random % (uint64_t)(jitter + 1));
	/* Whatever a server says, it is not asked more often. */
	g->retry_at = now + MW_BACKOFF_BASE_MS;
	g->generation++;
	g->has_token = true;
	g->failures = 0;
	g->is_refused = g->is_adjusted = false;
	g->is_renewed = g->is_rejected;
	g->is_rejected = false;
	g->renewed_at = now;
}

static void refuse(struct mw_grant *g, int64_t now)
{
	int64_t off = g->skew_ms - g->skew_used;
	if ((off > SKEW_NOTED_MS || off < -SKEW_NOTED_MS) && !g->is_adjusted) {
		g->is_adjusted = true;
		g->retry_at = now;
		return;
	}
	g->is_refused = true;
	g->is_adjusted = false;
	g->retry_at = now + MW_PROBE_MS;
}

bool mw_grant_done(struct mw_grant *g, const struct mw_grant_answer *a, uint64_t random, int64_t now)
{
	assert(g->in_flight);
	g->in_flight = false;
	if (a->has_date)
		g->skew_ms = a->skew_ms;
	if (g->is_stale) {
		g->is_stale = false;
		return false;
	}
	if (a->status == MW_STATUS_UNSENT) {
		g->retry_at = now + UNSENT_MS;
		return false;
	}
	enum mw_verdict verdict = mw_verdict_of(a->status);
	if (verdict == MW_DELIVERED && a->life_ms > 0) {
		take(g, a->life_ms, random, now);
		return true;
	}
	g->failures++;
	if (verdict == MW_DELIVERED || verdict == MW_RETRY) {
		g->is_refused = false;
		g->retry_at = now + mw_backoff_pause_ms(g->failures, a->status, a->retry_after_ms, random);
	} else {
		refuse(g, now);
	}
	return false;
}

bool mw_grant_reject(struct mw_grant *g, uint32_t generation, int64_t now)
{
	if (!g->has_token || generation != g->generation)
		return true;
	if (g->is_renewed && now - g->renewed_at < MW_GRANT_FRESH_MS)
		return false;
	g->has_token = false;
	g->is_rejected = true;
	return true;
}

void mw_grant_reset(struct mw_grant *g)
{
	g->has_token = g->is_refused = g->is_rejected = g->is_adjusted = false;
	g->failures = 0;
	g->retry_at = 0;
	g->is_stale = g->in_flight;
}
