#include "rate.h"

#include "limits.h"

enum { TICK_US = 1000 };

void mw_rate_init(struct mw_rate *r, double per_second, int64_t now)
{
	*r = (struct mw_rate){.arrival_us = now * TICK_US, .gate_until = now};
	if (per_second > 0) {
		double interval = 1e6 / per_second * 1.05;
		/* A rate so high or low that the interval leaves the sane range is as good as its end. */
		r->interval_us = interval < 1 ? 1 : interval > 1e12 ? (int64_t)1e12 : (int64_t)interval;
	}
}

int64_t mw_rate_wait(struct mw_rate *r, int64_t now)
{
	/* The furthest both can honestly be ahead. Kept, not only computed: while the clock catches up
	 * with itself, a limit that moves along with it would never be reached. */
	int64_t arrival_max = (now + 1) * TICK_US + r->interval_us;
	int64_t gate_max = now + MW_RETRY_AFTER_MAX_MS;
	if (r->arrival_us > arrival_max)
		r->arrival_us = arrival_max;
	if (r->gate_until > gate_max)
		r->gate_until = gate_max;

	int64_t paced = r->interval_us ? (r->arrival_us - now * TICK_US) / TICK_US : 0;
	int64_t gated = r->gate_until - now;
	int64_t wait = paced > gated ? paced : gated;
	return wait > 0 ? wait : 0;
}

bool mw_rate_take(struct mw_rate *r, int64_t now)
{
	if (mw_rate_wait(r, now) > 0)
		return false;
	if (r->arrival_us < now * TICK_US)
		r->arrival_us = now * TICK_US;
	r->arrival_us += r->interval_us;
	return true;
}

void mw_rate_give_back(struct mw_rate *r)
{
	r->arrival_us -= r->interval_us;
}

void mw_rate_close(struct mw_rate *r, int64_t now, int64_t for_ms)
{
	if (for_ms > MW_RETRY_AFTER_MAX_MS)
		for_ms = MW_RETRY_AFTER_MAX_MS;
	if (r->gate_until < now + for_ms)
		r->gate_until = now + for_ms;
}
