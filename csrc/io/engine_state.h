/* engine_state.h -- what the engine's two sides share: its thread (engine_thread.c) and its callers
 * (engine.c).
 *
 * Two locks, taken in this order. Core guards the weir and is held for whole steps of the thread; gate guards
 * what push needs and is held for no longer than a memcpy. So a push never waits for a batch to be put
 * together.
 *
 *     push: gate      thread: core, within it gate to swap the inbox      stats, flush, set_key: core, gate
 */
#ifndef MW_ENGINE_STATE_H
#define MW_ENGINE_STATE_H

#include "engine.h"
#include "http.h"
#include "keyring.h"
#include "reports.h"
#include "trouble.h"

#include <pthread.h>
#include <time.h>

/* Once a first message is there, the thread lets the inbox fill this long, or this far. */
#define MW_COLLECT_MS    5
#define MW_COLLECT_BYTES (128u * 1024)

/* Waits longer than this are as good as for ever, and safe to add to any clock. */
#define MW_FOREVER_MS INT64_C(1000000000000)

struct mw_engine {
	unsigned generation; /* of the process that opened it */
	struct mw_keyring *keyring;
	struct mw_reports *reports;
	struct mw_endpoint endpoint;
	bool report_delivered;
	size_t queue_max;
	pthread_t thread;
	struct mw_http *http;
	struct mw_buf batch; /* the thread's own */

	/* Guarded by core; changed by the thread alone, but for the weir. */
	pthread_mutex_t core;
	struct mw_weir *weir;
	struct mw_trouble trouble;
	struct mw_outbox taken; /* out of the inbox; from taken_at on not yet in the weir */
	size_t taken_at;
	size_t taken_left;  /* messages */
	size_t weir_bytes;  /* of undelivered messages in the weir */
	uint64_t settled;   /* messages delivered or dead */
	unsigned in_flight; /* requests */

	/* Guarded by gate. */
	pthread_mutex_t gate;
	pthread_cond_t changed; /* `held` or `finished` did, or the engine closed */
	struct mw_outbox inbox;
	int64_t inbox_since;
	size_t held;       /* bytes in `taken` and the weir, as of the thread's last step */
	uint64_t pushed;   /* messages */
	uint64_t finished; /* `settled`, as of the thread's last step */
	unsigned flushers;
	bool closing; /* no more pushes */
	bool stop;    /* the thread's order to end */
	bool closed;
};

static inline int64_t mw_engine_now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The thread's side, for mw_http_config and mw_weir_config, and what pthread_create runs. */
void *mw_engine_run(void *engine);
int64_t mw_engine_on_permit(void *engine);
void mw_engine_on_done(void *engine, const struct mw_request *r, const struct mw_answer *a,
		       const char *error);
void mw_engine_on_report(void *engine, const struct mw_report *r);

#endif
