#include "engine_state.h"

#include <sodium.h>
#include <unistd.h>

enum {
	KEEP_BYTES = 4 * 1024 * 1024, /* a box that a burst made larger gives its memory back */
	STORE_RETRY_MS = 100,         /* without memory, or room on the disk */
	POST_SHARE = 20,
	POST_MAX_MS = 1000, /* between two posts, however long they take */
	NAP_MS = 5,
	NAP_MAX_MS = MW_TURN_AHEAD_MS + 100,
	AWAKE_MS = 1000,
};

static int64_t now_ms(void)
{
	return mw_engine_now(CLOCK_MONOTONIC);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What came of a message or a lane; core is held. */
void mw_engine_on_report(void *context, const struct mw_report *r)
{
	struct mw_engine *g = context;
	if (r->outcome != MW_OUTCOME_DELIVERED || g->report_delivered)
		mw_reports_add(g->reports, r);
}

/* A request that had to connect first comes too late for its turn. Refused, it would lose the connection
 * again, so it waits for the turn that it is owed, or for that of another lane, whichever is first. The
 * thread waits with it; so not for ever, and if it was in vain no other request does, for a while. Ms to wait
 * as on_permit has it. */
static int64_t nap(struct mw_engine *g, int64_t wait, int64_t now)
{
	const struct mw_turns *t = &g->commons.turns;
	if (!g->commons.is_leased || wait <= 0 || mw_turns_gate_ms(t, now) > 0) {
		g->napping_since = 0;
		return wait;
	}
	mw_engine_tell(g);
	if (g->napping_since == 0 && now >= g->awake_until)
		g->napping_since = now;
	bool in_vain = t->failures > 0 || now - g->napping_since > NAP_MAX_MS;
	if (g->napping_since > 0 && !in_vain)
		return sooner(wait, NAP_MS);
	if (g->napping_since > 0)
		g->awake_until = now + AWAKE_MS;
	g->napping_since = 0;
	return MW_HTTP_PERMIT_WAIT_MS + 1;
}

int64_t mw_engine_on_permit(void *context, const struct mw_request *r)
{
	struct mw_engine *g = context;
	pthread_mutex_lock(&g->core);
	int64_t us = mw_engine_now_us(), now = us / 1000;
	struct mw_turn *turn = r ? r->lane->turn : &g->token_turn;
	int64_t wait = mw_weir_permit_wait(g->weir, now);
	if (wait == 0)
		wait = nap(g, mw_commons_permit(&g->commons, turn, us), now);
	if (wait == 0)
		wait = mw_weir_permit(g->weir, now);
	pthread_mutex_unlock(&g->core);
	return wait;
}

void mw_engine_on_done(void *context, const struct mw_request *r, const struct mw_answer *a,
		       const char *error)
{
	struct mw_engine *g = context;
	pthread_mutex_lock(&g->core);
	struct mw_answer answer = *a;
	answer.again = mw_engine_token_refused(g, r, a);
	if (*error && !answer.again)
		mw_trouble_note(&g->trouble, r->lane, error);
	int64_t now = now_ms();
	g->throttled += a->status == 429;
	mw_turns_done(&g->commons.turns, r->lane->turn, a->status == MW_STATUS_UNSENT);
	mw_weir_done(g->weir, r, &answer, now);
	mw_commons_close_gate(&g->commons, now, mw_weir_gate_ms(g->weir, now));
	pthread_mutex_lock(&g->gate);
	g->is_unsaved = mw_depot_has_settled(&g->depot);
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
}

/* With nothing else to store, what dead processes left is taken. Ms until it is time to look for that. */
static int64_t adopt(struct mw_engine *g, bool wanted)
{
	int64_t now = now_ms();
	if (!g->adoption || g->taken.count > 0)
		return MW_FOREVER_MS;
	if (now < g->adopt_at && !wanted)
		return g->adopt_at - now;
	g->is_adopting = mw_adoption_next(g->adoption, &g->taken, now);
	pthread_mutex_lock(&g->gate);
	g->taken_bytes = g->taken.bytes.len;
	g->taken_count = g->taken.count;
	g->taken_letters = g->taken.letters;
	g->has_adopted = !g->is_adopting;
	pthread_mutex_unlock(&g->gate);
	g->adopt_at = now + (g->is_adopting ? 0 : MW_ADOPT_MS);
	return g->is_adopting ? 0 : MW_ADOPT_MS;
}

/* Takes the inbox once enough has come, or the first of it waited long enough, or the engine is to end. Ms
 * until there is something to take. */
static int64_t take_inbox(struct mw_engine *g, bool *stop)
{
	int64_t wait = MW_FOREVER_MS;
	pthread_mutex_lock(&g->gate);
	*stop = g->stop;
	if (g->taken.count == 0 && g->inbox.count > 0) {
		int64_t age = now_ms() - g->inbox_since;
		if (age >= MW_COLLECT_MS || g->inbox.bytes.len >= MW_COLLECT_BYTES || g->flushers > 0 ||
		    g->stop) {
			struct mw_outbox empty = g->taken;
			g->taken = g->inbox;
			g->inbox = empty;
			g->taken_bytes = g->taken.bytes.len;
			g->taken_count = g->taken.count;
			g->taken_letters = g->taken.letters;
		} else {
			wait = MW_COLLECT_MS - age;
		}
	}
	bool wanted = g->flushers > 0 && !g->has_adopted;
	pthread_mutex_unlock(&g->gate);
	return sooner(wait, adopt(g, wanted));
}

/* What the commit came to, for those who push and wait. Under both locks. */
static void tell_commit(struct mw_engine *g, enum mw_err err, const struct mw_error *e)
{
	size_t left = err == MW_OK ? 0 : g->taken.count - g->depot.admitted_count;
	g->is_full = left > 0 && err == MW_FULL;
	if (g->is_full)
		g->shortage = *e;
	g->stored += g->is_adopting ? 0 : g->taken_count - left;
	g->taken_count = left;
	g->taken_letters = left > 0 ? g->taken_letters : 0;
	g->queued_bytes = mw_weir_totals(g->weir)->queued_bytes;
	g->spool_stats = mw_depot_stats(&g->depot);
	if (left == 0)
		g->taken_bytes = 0;
	if (err == MW_IO || err == MW_CORRUPT)
		g->failure = *e;
	/* A full counter, which only a waiter that never reads makes, is readable all the same. */
	if (g->safe_fd >= 0)
		(void)!write(g->safe_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Ms until answers have waited long enough for others. */
static int64_t settled_wait(const struct mw_engine *g, int64_t now)
{
	int64_t due = g->settled_since + (g->is_sending ? MW_SETTLE_MS : MW_COLLECT_MS);
	return due > now ? due - now : 0;
}

/* What was taken goes into the depot, what was settled leaves it: one commit. Ms until it is to be tried
 * again. */
static int64_t store(struct mw_engine *g, bool at_once)
{
	struct mw_error e = {.code = MW_OK};
	enum mw_err err = MW_OK;
	int64_t now = now_ms();
	if (g->failure.code != MW_OK)
		return MW_FOREVER_MS;
	/* Answers alone wait for company as messages do. */
	if (g->taken.count == 0 && g->settled_since < 0)
		return MW_FOREVER_MS;
	if (g->taken.count == 0 && !at_once && settled_wait(g, now) > 0)
		return settled_wait(g, now);
	pthread_mutex_lock(&g->core);
	if (g->taken.count > 0 && !g->is_admitted)
		err = mw_depot_admit(&g->depot, g->weir, &g->taken, now);
	if (err == MW_OK && g->has_spool) {
		g->is_admitted = g->taken.count > 0;
		pthread_mutex_unlock(&g->core);
		int64_t began = mw_engine_now_us();
		err = mw_depot_commit(&g->depot, now, &e);
		int64_t took = mw_engine_now_us() - began;
		pthread_mutex_lock(&g->core);
		mw_histogram_add(&g->commits, took);
	}
	if (err == MW_OK)
		mw_depot_apply(&g->depot, g->weir, now);
	pthread_mutex_lock(&g->gate);
	tell_commit(g, err, &e);
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
	g->is_behind = mw_depot_has_settled(&g->depot);
	if (!g->is_behind)
		g->settled_since = -1;
	if (err != MW_OK)
		return STORE_RETRY_MS;
	mw_outbox_clear(&g->taken);
	if (g->taken.bytes.cap > KEEP_BYTES)
		mw_outbox_deinit(&g->taken);
	g->is_admitted = false;
	if (g->is_adopting)
		mw_adoption_done(g->adoption, now);
	g->is_adopting = false;
	/* Who flushes waits for the adoption, too, and what was taken stood in its way. */
	return g->adoption && !g->has_adopted ? 0 : MW_FOREVER_MS;
}

/* Partial batches go at once while somebody waits for them, and when what is kept in memory is half full:
 * that would be full before they had company enough. */
static void hurry(struct mw_engine *g)
{
	pthread_mutex_lock(&g->core);
	pthread_mutex_lock(&g->gate);
	bool flush = g->flushers > 0;
	pthread_mutex_unlock(&g->gate);
	uint64_t queued = g->has_spool ? 0 : mw_weir_totals(g->weir)->queued_bytes;
	mw_weir_hurry(g->weir, flush || queued > g->queue_max / 2, now_ms());
	pthread_mutex_unlock(&g->core);
}

/* The key to send with, and the OAuth app ("": none): the program's own for this account, else the vault's,
 * else the program's for all. MW_OK, or why there is none, in e. */
static enum mw_err find_key(struct mw_engine *g, struct mw_lane *lane, struct mw_key *key,
			    struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1], int64_t now,
			    struct mw_error *e)
{
	app[0] = '\0';
	struct mw_span account = mw_lane_account(lane);
	bool paused = false;
	enum mw_err err = mw_keyring_has(g->keyring, account)
			      ? MW_NO_ACCOUNT
			      : mw_commons_key(&g->commons, account, key, endpoint, app, &paused, e);
	if (paused)
		mw_weir_pause(g->weir, lane, now);
	if (err != MW_NO_ACCOUNT || mw_keyring_get(g->keyring, account, key, endpoint))
		return err == MW_NO_ACCOUNT ? MW_OK : err;
	return mw_error_set(e, MW_BAD_KEY, 0, "no write key is saved for this account");
}

/* Under core: put a request on its way. */
static void send_batch(struct mw_engine *g, const struct mw_request *r, int64_t now)
{
	struct mw_key key;
	struct mw_error e;
	char app[MW_APP_NAME_MAX + 1];
	struct mw_endpoint endpoint = g->endpoint;
	struct mw_answer answer = {.status = MW_STATUS_NO_KEY, .retry_after_ms = -1};
	/* Core is held from here to done: a key that is saved in between finds a parked lane to resume. */
	enum mw_err no_key = find_key(g, r->lane, &key, &endpoint, app, now, &e);
	if (no_key != MW_OK || r->lane->paused) {
		sodium_memzero(&key, sizeof key);
		if (no_key != MW_OK)
			mw_trouble_note(&g->trouble, r->lane, e.detail);
		if (r->lane->paused)
			answer.status = MW_STATUS_UNSENT;
		else if (no_key == MW_NO_MEMORY || no_key == MW_IO)
			answer.status = MW_STATUS_NETWORK; /* passes, as a fault of the network does */
		mw_turns_drop(&g->commons.turns, r->lane->turn);
		mw_weir_done(g->weir, r, &answer, now);
		return;
	}
	const char *token = NULL;
	r->lane->generation = 0;
	if (!*app)
		r->lane->grant = 0;
	if (*app && !(token = mw_engine_token(g, r, (struct mw_span){(const uint8_t *)app, strlen(app)},
					      &endpoint, now))) {
		sodium_memzero(&key, sizeof key);
		mw_turns_drop(&g->commons.turns, r->lane->turn);
		return;
	}
	if (!mw_turns_admit(&g->commons.turns, g->weir, r, mw_engine_now_us())) {
		sodium_memzero(&key, sizeof key);
		return;
	}
	mw_buf_clear(&g->batch);
	enum mw_err err = mw_depot_read(&g->depot, r, &g->batch);
	if (err == MW_OK)
		err =
		    mw_http_post(g->http, r, &endpoint, (struct mw_span){(const uint8_t *)key.text, key.len},
				 token, &g->batch, mw_engine_now(CLOCK_REALTIME));
	sodium_memzero(&key, sizeof key);
	if (err == MW_OK)
		return;
	/* As if the network had failed: the back-off gives memory time to come back. */
	mw_trouble_note(&g->trouble, r->lane, mw_err_sentence(err));
	answer.status = MW_STATUS_NETWORK;
	mw_turns_done(&g->commons.turns, r->lane->turn, false);
	mw_weir_done(g->weir, r, &answer, now);
}

/* Starts all requests that may start. Ms until the next may. None goes while what became of the last ones
 * can't be written: each would be sent once more after a crash. */
static int64_t send_ready(struct mw_engine *g)
{
	struct mw_request r;
	int64_t wait = MW_FOREVER_MS;
	pthread_mutex_lock(&g->gate);
	bool may_send = !g->holds && !g->is_behind && g->failure.code == MW_OK, has_token_turn;
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_lock(&g->core);
	int64_t us = mw_engine_now_us(), now = us / 1000;
	int64_t turn_wait = mw_turns_call(&g->commons.turns, g->weir, us, &has_token_turn);
	if (has_token_turn && may_send)
		mw_engine_call_token(g, now);
	while (may_send && wait > 0) {
		wait = mw_weir_wait(g->weir, now);
		if (wait == 0)
			wait = mw_turns_gate_ms(&g->commons.turns, now);
		if (wait > 0 || !mw_weir_next(g->weir, now, &r, &wait))
			break;
		send_batch(g, &r, now);
		wait = MW_FOREVER_MS;
	}
	mw_turns_set_room(&g->commons.turns, may_send ? mw_weir_room(g->weir) : 0);
	mw_engine_tell(g);
	pthread_mutex_unlock(&g->core);
	return sooner(wait, turn_wait);
}

/* Requests out, answers in. Ms until there is more to do. */
static int64_t exchange(struct mw_engine *g)
{
	send_ready(g);
	bool has_answers = mw_http_work(g->http);
	int64_t wait = send_ready(g); /* answers made lanes ready */
	/* The server shall have something to do while the next commit waits for the disk. */
	return has_answers && mw_http_work(g->http) ? 0 : wait;
}

/* Somebody saved, paused, resumed or removed this account: its lane finds out what by trying. Under core. */
static void on_changed(void *context, struct mw_span account)
{
	struct mw_engine *g = context;
	struct mw_lane *lane = mw_weir_lane(g->weir, account);
	if (lane)
		mw_weir_resume(g->weir, lane, now_ms());
}

/* To post looks at every lane. With so many that it takes long it is done less often: a twentieth of the
 * time. */
static void post(struct mw_engine *g)
{
	int64_t start = now_ms();
	if (start < g->post_at)
		return;
	mw_engine_post(g);
	int64_t end = now_ms();
	g->post_at = end + sooner(POST_SHARE * (end - start), POST_MAX_MS);
}

/* Now and then: what others changed, and what they are to see. Ms until the next time. */
static int64_t look_around(struct mw_engine *g)
{
	int64_t wait;
	if (mw_commons_is_due(&g->commons, now_ms(), &wait)) {
		/* Core before the vault's own lock, as when a key is looked up. */
		pthread_mutex_lock(&g->core);
		mw_commons_changes(&g->commons, on_changed, mw_engine_on_app, g);
		pthread_mutex_unlock(&g->core);
		post(g);
	}
	return wait;
}

/* Lets waiting callers see what came of the last step. */
static void publish(struct mw_engine *g)
{
	pthread_mutex_lock(&g->core);
	const struct mw_weir_stats *s = mw_weir_totals(g->weir);
	g->is_sending = s->counts.in_flight > 0;
	pthread_mutex_lock(&g->gate);
	g->queued_bytes = s->queued_bytes;
	g->is_crowded = s->lanes > MW_CROWD;
	g->is_unsaved = mw_depot_has_settled(&g->depot);
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->gate);
	pthread_mutex_unlock(&g->core);
}

/* Before the end: what came while the box before could not be written is still in the inbox. */
static bool has_more(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	bool more = g->taken.count == 0 && g->inbox.count > 0 && g->failure.code == MW_OK;
	pthread_mutex_unlock(&g->gate);
	return more;
}

void *mw_engine_run(void *context)
{
	struct mw_engine *g = context;
	for (;;) {
		bool stop;
		int64_t wait = take_inbox(g, &stop);
		wait = sooner(wait, store(g, stop));
		if (stop && has_more(g))
			continue;
		if (stop)
			return NULL;
		wait = sooner(wait, look_around(g));
		hurry(g);
		wait = sooner(wait, exchange(g));
		if (g->settled_since < 0 && mw_depot_has_settled(&g->depot))
			g->settled_since = now_ms();
		publish(g);
		/* What could not be written is tried again when store says so. */
		if (g->settled_since >= 0 && !g->is_behind)
			wait = sooner(wait, settled_wait(g, now_ms()));
		mw_http_wait(g->http, wait);
	}
}
