#include "engine_state.h"

#include <sys/eventfd.h>

/* Whatever can be wrong with a record is found here: behind push nothing may be lost. */
static enum mw_err check_box(const struct mw_outbox *box, size_t queue_max)
{
	struct mw_parcel p;
	for (size_t position = 0; mw_outbox_next(box, &position, &p);)
		if (p.message.len == 0)
			return MW_INVALID;
		else if ((p.message.len > MW_MESSAGE_MAX && p.kind != MW_PARCEL_DEAD) ||
			 p.account.len > MW_ACCOUNT_MAX)
			return MW_TOO_LARGE;
	return box->bytes.len > queue_max ? MW_TOO_LARGE : MW_OK;
}

/* Under the gate. A box that is alone always fits: it is within queue_max. */
static bool has_room(const struct mw_engine *g, size_t bytes)
{
	size_t waiting = g->taken_bytes + g->inbox.bytes.len;
	if (g->is_full)
		return false;
	if (g->has_spool) {
		size_t most = g->is_crowded && g->unwritten_max > MW_UNWRITTEN_CROWD ? MW_UNWRITTEN_CROWD
										     : g->unwritten_max;
		return waiting == 0 || waiting + bytes <= most;
	}
	return waiting + g->queued_bytes + bytes <= g->queue_max;
}

enum mw_err mw_engine_push(struct mw_engine *g, const struct mw_outbox *box)
{
	if (mw_engine_is_forked(g))
		return MW_FORKED;
	enum mw_err err = check_box(box, g->queue_max);
	if (err != MW_OK || box->count == 0)
		return err;
	pthread_mutex_lock(&g->gate);
	size_t before = g->inbox.bytes.len;
	if (g->closing)
		err = MW_CLOSED;
	else if (g->failure.code != MW_OK)
		err = g->failure.code;
	else if (!has_room(g, box->bytes.len))
		err = MW_FULL;
	else
		err = mw_outbox_append(&g->inbox, box);
	if (err == MW_OK) {
		g->pushed += box->count;
		if (before == 0)
			g->inbox_since = mw_engine_now(CLOCK_MONOTONIC);
		if (before == 0 || (before < MW_COLLECT_BYTES && g->inbox.bytes.len >= MW_COLLECT_BYTES))
			mw_engine_wake(g);
	}
	pthread_mutex_unlock(&g->gate);
	return err;
}

enum mw_err mw_engine_wait_room(struct mw_engine *g, size_t bytes, int64_t timeout_ms)
{
	if (mw_engine_is_forked(g))
		return MW_FORKED;
	if (bytes > g->queue_max)
		return MW_TOO_LARGE;
	int64_t deadline = mw_engine_deadline(timeout_ms);
	enum mw_err err = MW_OK;
	pthread_mutex_lock(&g->gate);
	while (!g->closing && !has_room(g, bytes) && g->failure.code == MW_OK && err == MW_OK)
		if (!mw_engine_wait(g, deadline))
			err = MW_TIMEOUT;
	if (g->closing)
		err = MW_CLOSED;
	pthread_mutex_unlock(&g->gate);
	return err;
}

/* Under the gate: what has become of all that was pushed before the mark. */
static enum mw_err safe_result(const struct mw_engine *g, uint64_t mark, struct mw_error *e)
{
	if (g->stored >= mark)
		return MW_OK;
	if (g->failure.code != MW_OK)
		return mw_error_set(e, g->failure.code, 0, "%s", g->failure.detail);
	if (!g->closed && g->is_full)
		return mw_error_set(e, MW_FULL, 0, "%s", g->shortage.detail);
	enum mw_err err = g->closed ? MW_CLOSED : MW_TIMEOUT;
	return mw_error_set(e, err, 0, "%s", mw_err_sentence(err));
}

enum mw_err mw_engine_sync(struct mw_engine *g, int64_t timeout_ms, struct mw_error *e)
{
	if (mw_engine_is_forked(g))
		return mw_error_set(e, MW_FORKED, 0, "%s", mw_err_sentence(MW_FORKED));
	if (!g->has_spool)
		return MW_OK;
	int64_t deadline = mw_engine_deadline(timeout_ms);
	bool late = false;
	pthread_mutex_lock(&g->gate);
	uint64_t mark = g->pushed;
	while (g->stored < mark && g->failure.code == MW_OK && !g->closed && !late)
		late = !mw_engine_wait(g, deadline);
	enum mw_err err = safe_result(g, mark, e);
	pthread_mutex_unlock(&g->gate);
	return err;
}

uint64_t mw_engine_mark(struct mw_engine *g)
{
	if (mw_engine_is_forked(g) || !g->has_spool)
		return 0;
	pthread_mutex_lock(&g->gate);
	uint64_t mark = g->pushed;
	pthread_mutex_unlock(&g->gate);
	return mark;
}

enum mw_err mw_engine_is_safe(struct mw_engine *g, uint64_t mark, struct mw_error *e)
{
	if (mw_engine_is_forked(g))
		return mw_error_set(e, MW_FORKED, 0, "%s", mw_err_sentence(MW_FORKED));
	if (!g->has_spool)
		return MW_OK;
	pthread_mutex_lock(&g->gate);
	enum mw_err err = safe_result(g, mark, e);
	pthread_mutex_unlock(&g->gate);
	return err;
}

int mw_engine_safe_fd(struct mw_engine *g)
{
	if (mw_engine_is_forked(g))
		return -1;
	pthread_mutex_lock(&g->gate);
	if (g->safe_fd < 0)
		g->safe_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fd = g->safe_fd;
	pthread_mutex_unlock(&g->gate);
	return fd;
}
