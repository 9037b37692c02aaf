/* engine_lease.c -- permits that come from Redis: what the engine wants of them, and what it got. */
#include "engine_state.h"

#include <stdio.h>
#include <unistd.h>

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void mw_engine_want(struct mw_engine *g, uint32_t wanted)
{
	g->wanted = wanted;
	if (!g->commons.is_leased || g->is_wanting || !mw_slots_has_question(&g->commons.slots, wanted))
		return;
	g->is_wanting = true;
	(void)!write(g->want_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static bool ask(void *engine, struct mw_slots_ask *out, int64_t *wait_ms)
{
	struct mw_engine *g = engine;
	*wait_ms = MW_SLOTS_NONE;
	if (mw_engine_is_forked(g))
		return false;
	pthread_mutex_lock(&g->core);
	g->is_wanting = false;
	bool any = g->commons.is_leased && mw_slots_ask(&g->commons.slots, g->wanted, now_us(), out, wait_ms);
	pthread_mutex_unlock(&g->core);
	return any;
}

/* The thread may be waiting for what was just granted. */
static void wake(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	if (!g->closed)
		mw_http_wake(g->http);
	pthread_mutex_unlock(&g->gate);
}

static void tell(struct mw_engine *g, const char *why)
{
	snprintf(g->lease_trouble, sizeof g->lease_trouble, "%s", why);
	if (!*why)
		g->leased_at = mw_engine_now(CLOCK_MONOTONIC);
}

static enum mw_slots_verdict grant(void *engine, const struct mw_lease *l)
{
	struct mw_engine *g = engine;
	if (mw_engine_is_forked(g))
		return MW_SLOTS_LATE;
	pthread_mutex_lock(&g->core);
	enum mw_slots_verdict verdict =
	    g->commons.is_leased ? mw_slots_grant(&g->commons.slots, l, now_us()) : MW_SLOTS_LATE;
	tell(g, verdict == MW_SLOTS_LATE ? "Redis answers too slowly: a permit is good for 30 ms, the way "
					   "there and back included"
		: verdict == MW_SLOTS_JUMPED ? "the clock of the Redis host was set"
					     : "");
	pthread_mutex_unlock(&g->core);
	wake(g);
	return verdict;
}

static void failed(void *engine, const char *why)
{
	struct mw_engine *g = engine;
	if (mw_engine_is_forked(g))
		return;
	pthread_mutex_lock(&g->core);
	if (g->commons.is_leased)
		mw_slots_failed(&g->commons.slots, now_us());
	tell(g, why);
	pthread_mutex_unlock(&g->core);
}

bool mw_engine_lessee(struct mw_engine *g, struct mw_lessee *out)
{
	if (mw_engine_is_forked(g) || g->want_fd < 0)
		return false;
	*out =
	    (struct mw_lessee){.engine = g, .fd = g->want_fd, .ask = ask, .grant = grant, .failed = failed};
	return true;
}
