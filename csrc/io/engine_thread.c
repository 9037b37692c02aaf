#include "engine_state.h"

#include <sodium.h>

enum {
	KEEP_BYTES = 4 * 1024 * 1024, /* a box that a burst made larger gives its memory back */
	MEMORY_RETRY_MS = 100,
};

static int64_t now_ms(void)
{
	return mw_engine_now(CLOCK_MONOTONIC);
}

/* The weir says what came of a message; core is held. */
void mw_engine_on_report(void *context, const struct mw_report *r)
{
	struct mw_engine *g = context;
	if (r->outcome != MW_OUTCOME_PARKED) {
		g->weir_bytes -= r->message.len;
		g->settled++;
	}
	if (r->outcome != MW_OUTCOME_DELIVERED || g->report_delivered)
		mw_reports_add(g->reports, r);
}

int64_t mw_engine_on_permit(void *context)
{
	struct mw_engine *g = context;
	pthread_mutex_lock(&g->core);
	int64_t wait = mw_weir_permit(g->weir, now_ms());
	pthread_mutex_unlock(&g->core);
	return wait;
}

void mw_engine_on_done(void *context, const struct mw_request *r, const struct mw_answer *a,
		       const char *error)
{
	struct mw_engine *g = context;
	pthread_mutex_lock(&g->core);
	g->in_flight--;
	if (*error)
		mw_trouble_note(&g->trouble, r->lane, error);
	mw_weir_done(g->weir, r, a, now_ms());
	pthread_mutex_unlock(&g->core);
}

/* Moves the inbox into the weir once enough has come or the first of it waited long enough. Ms until there
 * is something to take. */
static int64_t take_inbox(struct mw_engine *g, bool *stop)
{
	int64_t wait = MW_FOREVER_MS;
	pthread_mutex_lock(&g->core);
	int64_t now = now_ms();
	pthread_mutex_lock(&g->gate);
	*stop = g->stop;
	bool flush = g->flushers > 0;
	if (g->taken_left == 0 && g->inbox.count > 0) {
		int64_t age = now - g->inbox_since;
		if (age >= MW_COLLECT_MS || g->inbox.bytes.len >= MW_COLLECT_BYTES || g->flushers > 0) {
			struct mw_outbox empty = g->taken;
			g->taken = g->inbox;
			g->inbox = empty;
			g->taken_at = 0;
			g->taken_left = g->taken.count;
			g->held += g->taken.bytes.len;
		} else {
			wait = MW_COLLECT_MS - age;
		}
	}
	pthread_mutex_unlock(&g->gate);

	struct mw_parcel p;
	size_t next = g->taken_at;
	while (g->taken_left > 0 && mw_outbox_next(&g->taken, &next, &p)) {
		/* Sizes were checked by push and the weir has no bound of its own: only memory can be short.
		 */
		if (mw_weir_push(g->weir, p.account, p.message, p.tag, now) != MW_OK) {
			wait = MEMORY_RETRY_MS;
			break;
		}
		g->weir_bytes += p.message.len;
		g->taken_at = next;
		if (--g->taken_left == 0) {
			mw_outbox_clear(&g->taken);
			if (g->taken.bytes.cap > KEEP_BYTES)
				mw_outbox_deinit(&g->taken);
			break;
		}
	}
	/* A queue half full of partial batches would be full before they had company enough. */
	mw_weir_hurry(g->weir, flush || g->weir_bytes > g->queue_max / 2, now);
	pthread_mutex_unlock(&g->core);
	return wait;
}

/* Under core: put a request on its way. */
static void send_batch(struct mw_engine *g, const struct mw_request *r, int64_t now)
{
	struct mw_key key;
	struct mw_span account = {(const uint8_t *)r->lane->name, r->lane->name_len};
	struct mw_endpoint endpoint = g->endpoint;
	struct mw_answer answer = {.status = MW_STATUS_NO_KEY, .retry_after_ms = -1};
	/* Core is held from here to done: a key that is saved in between finds a parked lane to resume. */
	if (!mw_keyring_get(g->keyring, account, &key, &endpoint)) {
		mw_trouble_note(&g->trouble, r->lane, "no write key is saved for this account");
		mw_weir_done(g->weir, r, &answer, now);
		return;
	}
	mw_buf_clear(&g->batch);
	enum mw_err err = mw_weir_batch(g->weir, r, &g->batch);
	if (err == MW_OK)
		err =
		    mw_http_post(g->http, r, &endpoint, (struct mw_span){(const uint8_t *)key.text, key.len},
				 mw_buf_span(&g->batch), mw_engine_now(CLOCK_REALTIME));
	sodium_memzero(&key, sizeof key);
	if (err == MW_OK) {
		g->in_flight++;
		return;
	}
	/* As if the network had failed: the back-off gives memory time to come back. */
	mw_trouble_note(&g->trouble, r->lane, mw_err_sentence(err));
	answer.status = MW_STATUS_NETWORK;
	mw_weir_done(g->weir, r, &answer, now);
}

/* Starts all requests that may start. Ms until the next may. */
static int64_t send_ready(struct mw_engine *g)
{
	struct mw_request r;
	int64_t wait = MW_FOREVER_MS;
	pthread_mutex_lock(&g->core);
	int64_t now = now_ms();
	while (mw_weir_next(g->weir, now, &r, &wait))
		send_batch(g, &r, now);
	pthread_mutex_unlock(&g->core);
	return wait;
}

/* Lets waiting callers see what came of the last step. */
static void publish(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	size_t held = g->weir_bytes + (g->taken_left > 0 ? g->taken.bytes.len - g->taken_at : 0);
	bool changed = g->flushers > 0 || held != g->held || g->settled != g->finished;
	g->held = held;
	g->finished = g->settled;
	if (changed)
		pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->gate);
}

void *mw_engine_run(void *context)
{
	struct mw_engine *g = context;
	for (;;) {
		bool stop;
		int64_t inbox_wait = take_inbox(g, &stop);
		if (stop)
			return NULL;
		send_ready(g);
		mw_http_work(g->http);
		int64_t wait = send_ready(g); /* answers made lanes ready */
		publish(g);
		mw_http_wait(g->http, wait < inbox_wait ? wait : inbox_wait);
	}
}
