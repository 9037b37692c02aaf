/* engine_lease.c -- permits that come from Redis: what the engine asks for, and what it is given. */
#include "engine_state.h"

#include <stdio.h>
#include <unistd.h>

void mw_engine_tell(struct mw_engine *g)
{
	/* While a question is under way whoever leases comes back by itself. */
	if (!g->commons.is_leased || g->is_told || !g->commons.turns.has_news ||
	    g->commons.turns.asked_us >= 0)
		return;
	g->is_told = true;
	(void)!write(g->want_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static bool ask(void *engine, struct mw_turns_ask *out, int64_t *wait_ms)
{
	struct mw_engine *g = engine;
	*wait_ms = MW_TURNS_NONE;
	if (mw_engine_is_forked(g))
		return false;
	pthread_mutex_lock(&g->core);
	g->is_told = false;
	bool any = g->commons.is_leased &&
		   mw_turns_ask(&g->commons.turns, g->weir, mw_engine_now_us(), out, wait_ms);
	pthread_mutex_unlock(&g->core);
	return any;
}

/* The thread may be waiting for what was just granted. */
static void wake(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	mw_engine_wake(g);
	pthread_mutex_unlock(&g->gate);
}

static void tell(struct mw_engine *g, const char *why)
{
	snprintf(g->lease_trouble, sizeof g->lease_trouble, "%s", why);
	if (!*why)
		g->leased_at = mw_engine_now(CLOCK_MONOTONIC);
}

static enum mw_turns_verdict grant(void *engine, const struct mw_turns_answer *a)
{
	struct mw_engine *g = engine;
	if (mw_engine_is_forked(g))
		return MW_TURNS_LATE;
	pthread_mutex_lock(&g->core);
	enum mw_turns_verdict verdict =
	    g->commons.is_leased ? mw_turns_grant(&g->commons.turns, a, mw_engine_now_us()) : MW_TURNS_LATE;
	tell(g, verdict == MW_TURNS_LATE ? "Redis answers too slowly: a permit is good for 30 ms, the way "
					   "there and back included"
		: verdict == MW_TURNS_JUMPED ? "the clock of the Redis host was set"
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
		mw_turns_failed(&g->commons.turns, mw_engine_now_us());
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
