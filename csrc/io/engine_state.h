/* engine_state.h -- what the engine's two sides share: its thread (engine_thread.c) and its callers
 * (engine.c, which opens and closes it, and engine_inbox.c, where messages come in and wait for the disk).
 *
 * Two locks, taken in this order. Core guards the weir and is held for whole steps of the thread; gate guards
 * what push needs and is held for no longer than a memcpy. So a push never waits for a batch to be put
 * together.
 *
 *     push: gate      thread: core, within it gate to swap the inbox      stats, flush, set_key: core, gate
 */
#ifndef MW_ENGINE_STATE_H
#define MW_ENGINE_STATE_H

#include "adoption.h"
#include "commons.h"
#include "depot.h"
#include "engine.h"
#include "http.h"
#include "keyring.h"
#include "oauth.h"
#include "reports.h"
#include "trouble.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* Once a first message is there, the thread lets the inbox fill this long, or this far: the group of a
 * commit. */
#define MW_COLLECT_MS    5
#define MW_COLLECT_BYTES (128u * 1024)

/* What became of messages waits this long for company while more is on its way: a backlog that drains is a
 * request after the other, and each commit would hold up the next. */
#define MW_SETTLE_MS 25

/* Left alone this long, a dead process's partition may still find its own successor; then we take it, looking
 * every so often. Whoever waits for all to be delivered does not wait for that. */
#define MW_ADOPT_MS 5000

/* With a spool: bytes that push takes while they wait for the disk. One box always fits. With more than
 * MW_CROWD accounts fewer: each message of a commit may then be another account's, and write pages of its
 * own, which are in memory until then. */
#define MW_UNWRITTEN_MAX   (4u * 1024 * 1024)
#define MW_UNWRITTEN_CROWD (1024u * 1024)
#define MW_CROWD           1000

/* Waits longer than this are as good as for ever, and safe to add to any clock. */
#define MW_FOREVER_MS INT64_C(1000000000000)

struct mw_engine {
	unsigned generation; /* of the process that opened it */
	struct mw_keyring *keyring;
	struct mw_reports *reports;
	struct mw_endpoint endpoint;
	bool report_delivered;
	bool has_spool;
	double rate;
	size_t queue_max;
	size_t unwritten_max; /* MW_UNWRITTEN_MAX, or what a small disk allows */
	pthread_t thread;
	struct mw_http *http;

	/* The thread's own. */
	struct mw_buf batch;
	struct mw_outbox taken;       /* out of the inbox, not yet stored; its messages count as queued */
	bool is_admitted;             /* `taken` is, to the depot */
	int64_t settled_since;        /* the depot has something to write since; -1: it has not */
	bool is_sending;              /* requests are in flight */
	bool is_behind;               /* ... and could not */
	struct mw_adoption *adoption; /* NULL: no spool */
	bool is_adopting;             /* `taken` is the adoption's */
	int64_t adopt_at;
	struct mw_commons commons;
	int64_t post_at;              /* not before, to the board */
	int64_t napping_since;        /* a request waits in curl for its turn since; 0: none does */
	int64_t awake_until;          /* one has waited in vain: until then none does */
	int want_fd;                  /* whoever leases waits for it; -1: nobody leases */
	struct mw_engine_lane *shown; /* room for the board: MW_BOARD_LANES of each */
	struct mw_board_lane *posted;

	/* Guarded by core; changed by the thread alone, but for the weir. */
	pthread_mutex_t core;
	struct mw_weir *weir;
	struct mw_oauth *oauth;
	uint64_t token_requests;
	struct mw_depot depot; /* but for its commit, which the thread does without a lock */
	struct mw_trouble trouble;
	struct mw_spool_stats spool_stats;
	struct mw_histogram commits;
	uint64_t throttled;
	struct mw_turn token_turn; /* of the request for a token that is to go next ... */
	uint32_t token_wanted;     /* ... which is for this ticket; 0: for whoever still wants one */
	bool is_told;              /* whoever leases, that there is something to ask */
	int64_t leased_at;         /* when the script last answered */
	char lease_trouble[256];

	/* Guarded by gate. */
	pthread_mutex_t gate;
	pthread_cond_t changed; /* what is below did, or the engine closed */
	struct mw_outbox inbox;
	int64_t inbox_since;
	uint64_t pushed;      /* parcels, ever */
	uint64_t stored;      /* those of them that are in the depot: on disk, if it is there */
	size_t taken_bytes;   /* the rest of this is as of the thread's last step: */
	size_t taken_count;   /* parcels ... */
	size_t taken_letters; /* ... and those of them that are dead letters */
	size_t queued_bytes;  /* in the depot */
	bool is_unsaved;      /* the depot has something to write */
	bool has_adopted; /* nothing was left in other partitions when they were last looked at, by a flush */
	bool holds;       /* nothing is to be sent yet */
	bool is_crowded;  /* more than MW_CROWD accounts */
	bool is_full;     /* `taken` did not fit on the disk */
	struct mw_error shortage; /* ... and why */
	struct mw_error failure;  /* the disk failed for good; MW_OK: it did not */
	int safe_fd;              /* somebody waits for it to become readable; -1: nobody */
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

static inline int64_t mw_engine_deadline(int64_t timeout_ms)
{
	return mw_engine_now(CLOCK_MONOTONIC) + (timeout_ms < 0               ? 0
						 : timeout_ms > MW_FOREVER_MS ? MW_FOREVER_MS
									      : timeout_ms);
}

/* Under the gate, until what it guards has changed. False when the deadline has passed. */
static inline bool mw_engine_wait(struct mw_engine *g, int64_t deadline)
{
	struct timespec t = {.tv_sec = (time_t)(deadline / 1000),
			     .tv_nsec = (long)(deadline % 1000) * 1000000};
	return pthread_cond_timedwait(&g->changed, &g->gate, &t) != ETIMEDOUT;
}

/* Under the gate: the client goes only after `closed` is set. */
static inline void mw_engine_wake(struct mw_engine *g)
{
	if (!g->closed)
		mw_http_wake(g->http);
}

/* The thread's side, for mw_http_config and mw_weir_config, and what pthread_create runs. */
void *mw_engine_run(void *engine);
int64_t mw_engine_on_permit(void *engine, const struct mw_request *r);
void mw_engine_on_done(void *engine, const struct mw_request *r, const struct mw_answer *a,
		       const char *error);
void mw_engine_on_report(void *engine, const struct mw_report *r);

static inline int64_t mw_engine_now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Under core, and nothing happens unless permits are leased (engine_lease.c): whoever leases them hears that
 * there is something to ask. */
void mw_engine_tell(struct mw_engine *g);

/* Tokens of OAuth apps (engine_token.c). The one to send `r` with, borrowed until core is given up; NULL:
 * there is none, and `r` was given back to the weir. */
const char *mw_engine_token(struct mw_engine *g, const struct mw_request *r, struct mw_span app,
			    const struct mw_endpoint *endpoint, int64_t now);

/* Was `r` refused for its token's sake, so that it is to go again with another? */
bool mw_engine_token_refused(struct mw_engine *g, const struct mw_request *r, const struct mw_answer *a);

/* The turn of requests for tokens has come. */
void mw_engine_call_token(struct mw_engine *g, int64_t now);

void mw_engine_on_token(void *engine, uint32_t ticket, const struct mw_token_answer *a); /* takes core */
void mw_engine_on_app(void *engine, struct mw_span app, uint64_t revision);              /* was saved anew */

/* The counters go on the board, where other processes see them (engine_board.c). The thread calls it, and
 * close once more behind it. Without a board it does nothing. */
void mw_engine_post(struct mw_engine *g);

#endif
