#include "engine_state.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How many forks lie between this process and the first that opened an engine. Cheaper to ask than getpid. */
static atomic_uint generation;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	atomic_fetch_add(&generation, 1);
}

/* A thread may outlive the lua_close that unloads modules, and handlers of fork do: this code stays. */
static void pin_code(void)
{
	Dl_info here;
	if (dladdr(&generation, &here))
		dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

static void prepare_process(void)
{
	pin_code();
	pthread_atfork(NULL, NULL, count_fork);
}

void mw_engine_start(struct mw_engine *g)
{
	if (mw_engine_is_forked(g))
		return;
	pthread_mutex_lock(&g->gate);
	g->holds = false;
	mw_engine_wake(g);
	pthread_mutex_unlock(&g->gate);
}

bool mw_engine_is_forked(const struct mw_engine *g)
{
	return g->generation != atomic_load_explicit(&generation, memory_order_relaxed);
}

static int64_t now_ms(void)
{
	return mw_engine_now(CLOCK_MONOTONIC);
}

/* 0, or why not. */
static int start_thread(struct mw_engine *g)
{
	/* Signals are the host's: its threads get them, ours does not, nor the resolver threads it starts. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&g->thread, NULL, mw_engine_run, g);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static bool init_locks(struct mw_engine *g)
{
	pthread_condattr_t attributes;
	if (pthread_condattr_init(&attributes) != 0)
		return false;
	bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
		  pthread_cond_init(&g->changed, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	if (!ok)
		return false;
	/* Default mutexes: neither can fail on Linux, and a failure elsewhere ends in the same refusal. */
	return pthread_mutex_init(&g->core, NULL) == 0 && pthread_mutex_init(&g->gate, NULL) == 0;
}

static void release(struct mw_engine *g)
{
	mw_http_free(g->http);
	mw_weir_free(g->weir);
	mw_depot_deinit(&g->depot);
	mw_keyring_free(g->keyring);
	mw_oauth_free(g->oauth);
	mw_adoption_free(g->adoption);
	mw_commons_close(&g->commons);
	free(g->shown);
	free(g->posted);
	mw_reports_free(g->reports);
	mw_trouble_deinit(&g->trouble);
	mw_outbox_deinit(&g->inbox);
	mw_outbox_deinit(&g->taken);
	mw_buf_deinit(&g->batch);
	if (g->safe_fd >= 0)
		close(g->safe_fd);
	if (g->want_fd >= 0)
		close(g->want_fd);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->core);
	pthread_mutex_destroy(&g->gate);
	free(g);
}

/* What the caller asked for, within what Segment and this machine bear. */
static struct mw_weir_config weir_config(struct mw_engine *g, const struct mw_engine_config *config)
{
	struct mw_weir_config w = config->weir;
	if (w.batch_bytes == 0 || w.batch_bytes > MW_BATCH_TARGET)
		w.batch_bytes = MW_BATCH_TARGET;
	if (w.batch_messages == 0 || w.batch_messages > MW_BATCH_MESSAGES)
		w.batch_messages = MW_BATCH_MESSAGES;
	if (w.in_flight_max == 0 || w.in_flight_max > MW_IN_FLIGHT_MAX)
		w.in_flight_max = MW_IN_FLIGHT_MAX;
	if (w.seed == 0)
		randombytes_buf(&w.seed, sizeof w.seed);
	w.store = mw_depot_store(&g->depot);
	w.report = (struct mw_report_to){mw_engine_on_report, g};
	/* Turns are the rate then. */
	if (config->is_leased)
		w.rate = 0;
	return w;
}

/* The depot and the weir over it. */
static enum mw_err open_store(struct mw_engine *g, const struct mw_engine_config *config, struct mw_error *e)
{
	const struct mw_report_to report = {mw_engine_on_report, g};
	struct mw_spool_config spool;
	if (config->spool) {
		spool = *config->spool;
		spool.report = report;
		spool.report_delivered = config->report_delivered;
	}
	enum mw_err err = mw_depot_init(&g->depot, config->spool ? &spool : NULL, report, now_ms(), e);
	if (err != MW_OK)
		return err;
	struct mw_weir_config w = weir_config(g, config);
	g->weir = mw_weir_new(&w, now_ms());
	if (!g->weir)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the engine");
	err = mw_depot_restore(&g->depot, g->weir, now_ms(), e);
	if (err == MW_OK && !config->spool && config->state_dir) {
		const struct mw_commons_config commons = {.dir = config->state_dir,
							  .rate = config->weir.rate,
							  .has_no_board = true,
							  .master_key_file = config->master_key_file};
		return mw_commons_open(&g->commons, &commons, e);
	}
	if (err != MW_OK || !config->spool)
		return err;
	g->spool_stats = mw_depot_stats(&g->depot);
	g->shown = malloc(MW_BOARD_LANES * sizeof *g->shown);
	g->posted = malloc(MW_BOARD_LANES * sizeof *g->posted);
	if (!g->shown || !g->posted)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the engine");
	const struct mw_commons_config commons = {.dir = config->spool->dir,
						  .partition = mw_depot_stats(&g->depot).partition,
						  .rate = config->weir.rate,
						  .master_key_file = config->master_key_file};
	g->adoption = mw_adoption_new(config->spool, commons.partition);
	g->adopt_at = now_ms() + MW_ADOPT_MS;
	if (!g->adoption)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the engine");
	err = mw_commons_open(&g->commons, &commons, e);
	return err;
}

/* What waits for the disk is written at once or not at all: it must be able to fit. */
static void bound_by_disk(struct mw_engine *g, uint64_t disk_max)
{
	uint64_t disk = disk_max == 0 ? MW_DISK_DEFAULT : disk_max < MW_DISK_MIN ? MW_DISK_MIN : disk_max;
	g->unwritten_max = disk / 4 < MW_UNWRITTEN_MAX ? (size_t)(disk / 4) : MW_UNWRITTEN_MAX;
	if (g->queue_max > disk / 3)
		g->queue_max = (size_t)(disk / 3);
}

static enum mw_err lease(struct mw_engine *g, double rate, struct mw_error *e)
{
	g->want_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->want_fd < 0)
		return mw_error_set(e, MW_IO, 0, "no eventfd: %s", strerror(errno));
	uint64_t name;
	randombytes_buf(&name, sizeof name);
	mw_commons_lease(&g->commons, rate, name, mw_weir_room(g->weir));
	return MW_OK;
}

enum mw_err mw_engine_open(const struct mw_engine_config *config, struct mw_engine **out, struct mw_error *e)
{
	pthread_once(&process_once, prepare_process);
	if (sodium_init() < 0)
		return mw_error_set(e, MW_IO, 0, "libsodium found no source of randomness");
	if (!config->endpoint.batch_url[0])
		return mw_error_set(e, MW_BAD_ENDPOINT, 0, "no endpoint given");
	struct mw_engine *g = calloc(1, sizeof *g);
	if (!g)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the engine");
	if (!init_locks(g)) {
		free(g);
		return mw_error_set(e, MW_NO_MEMORY, 0, "no locks left for the engine");
	}
	g->generation = atomic_load(&generation);
	g->endpoint = config->endpoint;
	g->report_delivered = config->report_delivered;
	g->holds = config->holds;
	g->has_spool = config->spool != NULL;
	g->rate = config->weir.rate;
	g->has_adopted = !g->has_spool;
	g->settled_since = -1;
	g->safe_fd = -1;
	g->want_fd = -1;
	g->leased_at = now_ms();
	g->queue_max = config->queue_max > 0 ? config->queue_max : MW_QUEUE_DEFAULT;
	if (config->spool)
		bound_by_disk(g, config->spool->disk_max);
	mw_outbox_init(&g->inbox, g->queue_max);
	mw_outbox_init(&g->taken, g->queue_max);
	mw_buf_init(&g->batch, MW_BATCH_TARGET + MW_MESSAGE_MAX);
	mw_trouble_init(&g->trouble);
	g->keyring = mw_keyring_new();
	g->reports = mw_reports_new();
	g->oauth = mw_oauth_new();
	struct mw_http_config http = {.proxy = config->proxy,
				      .ca_file = config->ca_file,
				      .user_agent = config->user_agent,
				      .timeout_ms = config->timeout_ms,
				      .permit = mw_engine_on_permit,
				      .done = mw_engine_on_done,
				      .token_done = mw_engine_on_token,
				      .context = g};
	enum mw_err err = MW_OK;
	if (!g->keyring || !g->reports || !g->oauth)
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the engine");
	if (err == MW_OK)
		err = open_store(g, config, e);
	if (err == MW_OK && config->is_leased)
		err = lease(g, config->weir.rate, e);
	if (err == MW_OK)
		err = mw_http_new(&http, &g->http, e);
	int no_thread = err == MW_OK ? start_thread(g) : 0;
	if (no_thread)
		err = mw_error_set(e, MW_IO, 0, "no thread: %s", strerror(no_thread));
	if (err != MW_OK) {
		release(g);
		return err;
	}
	*out = g;
	return MW_OK;
}

static struct mw_span account_of(const struct mw_lane *lane)
{
	return (struct mw_span){(const uint8_t *)lane->name, lane->name_len};
}

enum mw_err mw_engine_set_key(struct mw_engine *g, struct mw_span account, struct mw_span write_key,
			      const struct mw_endpoint *endpoint, struct mw_error *e)
{
	if (mw_engine_is_forked(g))
		return mw_error_set(e, MW_FORKED, 0, "%s", mw_err_sentence(MW_FORKED));
	enum mw_err err = mw_keyring_set(g->keyring, account, write_key, endpoint, e);
	if (err != MW_OK)
		return err;
	pthread_mutex_lock(&g->core);
	int64_t now = now_ms();
	struct mw_lane *lane = mw_weir_lane(g->weir, account);
	if (account.len > 0 && lane && !lane->paused)
		mw_weir_resume(g->weir, lane, now);
	/* Everybody's key: try all lanes that may wait for one. */
	const struct mw_lane *each;
	for (size_t position = 0; account.len == 0 && (each = mw_weir_each(g->weir, &position));)
		if (!each->paused && (each->parked || each->state == MW_LANE_FLYING))
			mw_weir_resume(g->weir, mw_weir_lane(g->weir, account_of(each)), now);
	pthread_mutex_lock(&g->gate);
	mw_engine_wake(g);
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
	return MW_OK;
}

/* Under both locks. MW_OK: no message is left; MW_PARKED: none that will move by itself; else MW_TIMEOUT. */
static enum mw_err what_is_left(const struct mw_engine *g)
{
	if (g->failure.code != MW_OK)
		return g->failure.code;
	const struct mw_counts *c = &mw_weir_totals(g->weir)->counts;
	if (g->inbox.count > 0 || g->taken_count > 0 || g->is_unsaved || c->in_flight > 0 || !g->has_adopted)
		return MW_TIMEOUT;
	if (c->queued == 0)
		return MW_OK;
	struct mw_weir_stats s = mw_weir_stats(g->weir);
	return s.held > 0 && s.held == s.counts.queued ? MW_PARKED : MW_TIMEOUT;
}

/* `change` +1 or -1 callers who want partial batches to go at once. */
static void hurry(struct mw_engine *g, int change)
{
	pthread_mutex_lock(&g->gate);
	g->flushers += (unsigned)change;
	mw_engine_wake(g);
	pthread_mutex_unlock(&g->gate);
}

enum mw_err mw_engine_flush(struct mw_engine *g, int64_t timeout_ms)
{
	if (mw_engine_is_forked(g))
		return MW_FORKED;
	int64_t deadline = mw_engine_deadline(timeout_ms);
	enum mw_err left = MW_TIMEOUT;
	hurry(g, 1);
	for (bool more = true, late = false; more;) {
		pthread_mutex_lock(&g->core);
		pthread_mutex_lock(&g->gate);
		left = what_is_left(g);
		pthread_mutex_unlock(&g->core);
		more = left == MW_TIMEOUT && !g->closed && !late;
		if (more)
			late = !mw_engine_wait(g, deadline);
		pthread_mutex_unlock(&g->gate);
	}
	hurry(g, -1);
	return left;
}

uint64_t mw_engine_withdraw(struct mw_engine *g)
{
	uint64_t count = 0;
	size_t position = 0;
	const struct mw_lane *each;
	if (mw_engine_is_forked(g) || g->has_spool)
		return 0;
	pthread_mutex_lock(&g->core);
	while (!g->closed && (each = mw_weir_each(g->weir, &position)))
		if (each->state == MW_LANE_PARKED || each->state == MW_LANE_PAUSED)
			count += mw_weir_withdraw(g->weir, mw_weir_lane(g->weir, account_of(each)));
	pthread_mutex_lock(&g->gate);
	g->queued_bytes = mw_weir_totals(g->weir)->queued_bytes;
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
	return count;
}

/* What the thread left behind, for the caller of close. */
static enum mw_err closing_result(struct mw_engine *g, struct mw_error *e)
{
	pthread_mutex_lock(&g->core);
	pthread_mutex_lock(&g->gate);
	g->has_adopted = true; /* what other processes left was never given to this engine */
	enum mw_err left = what_is_left(g);
	const struct mw_counts *c = &mw_weir_totals(g->weir)->counts;
	unsigned long long count =
	    g->inbox.count - g->inbox.letters + g->taken_count - g->taken_letters + c->queued + c->in_flight;
	bool on_disk = g->has_spool && g->inbox.count + g->taken_count == 0;
	struct mw_error failure = g->failure;
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
	if (left == MW_OK)
		return MW_OK;
	if (failure.code != MW_OK)
		return mw_error_set(e, left, 0, "%s", failure.detail);
	return mw_error_set(
	    e, left, 0, "%llu message%s left undelivered%s%s", count, count == 1 ? " was" : "s were",
	    left == MW_PARKED ? ", all of accounts without a valid write key or OAuth token, or paused" : "",
	    on_disk        ? "; the spool keeps them for the next start"
	    : g->has_spool ? "; those that no sync told of may not have reached the disk, which is full"
			   : "");
}

enum mw_err mw_engine_close(struct mw_engine *g, int64_t deadline_ms, struct mw_error *e)
{
	if (mw_engine_is_forked(g))
		return mw_error_set(e, MW_FORKED, 0, "%s", mw_err_sentence(MW_FORKED));
	pthread_mutex_lock(&g->gate);
	bool second = g->closing, is_held = g->holds;
	g->closing = true;
	pthread_cond_broadcast(&g->changed);
	while (second && !g->closed)
		pthread_cond_wait(&g->changed, &g->gate);
	pthread_mutex_unlock(&g->gate);
	if (second)
		return closing_result(g, e);
	/* What is held goes nowhere, however long one waits. */
	if (deadline_ms > 0 && !is_held)
		mw_engine_flush(g, deadline_ms);
	pthread_mutex_lock(&g->gate);
	g->stop = true;
	mw_engine_wake(g);
	pthread_mutex_unlock(&g->gate);
	pthread_join(g->thread, NULL);

	pthread_mutex_lock(&g->gate);
	struct mw_http *http = g->http;
	g->http = NULL;
	g->closed = true;
	if (g->safe_fd >= 0)
		(void)!write(g->safe_fd, &(uint64_t){1}, sizeof(uint64_t));
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->gate);
	mw_http_free(http);
	mw_engine_post(g);
	mw_adoption_free(g->adoption);
	g->adoption = NULL;
	mw_depot_deinit(&g->depot);
	/* Whoever fetches turns may ask still. */
	pthread_mutex_lock(&g->core);
	mw_commons_close(&g->commons);
	pthread_mutex_unlock(&g->core);
	return closing_result(g, e);
}

void mw_engine_free(struct mw_engine *g)
{
	/* In a child the thread does not exist, and may have been in the middle of anything when it vanished.
	 */
	if (!g || mw_engine_is_forked(g))
		return;
	mw_engine_close(g, 0, NULL);
	release(g);
}
