/* spool_rig.h -- a spool with a weir over it, driven by hand: push, commit, next, answer, reopen. */
#ifndef MW_SPOOL_RIG_H
#define MW_SPOOL_RIG_H

#include "../../csrc/io/spool.h"

#include "check.h"
#include "folder.h"

struct spool_rig {
	struct mw_spool_config config;
	struct mw_weir_config weir_config;
	struct mw_spool *spool;
	struct mw_weir *weir;
	struct mw_outbox box;
	struct mw_request request;
	struct mw_buf batch;
	struct mw_error error;
	int64_t now;
};

static inline void rig_init(struct spool_rig *r, const char *name)
{
	static char dirs[8][256];
	static unsigned next_dir;
	char *dir = dirs[next_dir++ % 8];
	snprintf(dir, sizeof dirs[0], "%s", folder_path(name));
	*r = (struct spool_rig){
	    .config = {.dir = dir, .disk_max = 64 << 20}, .weir_config = mw_weir_defaults(), .now = 1000000};
	r->weir_config.rate = 0;
	r->weir_config.linger_ms = 0;
	r->weir_config.seed = 1;
	mw_outbox_init(&r->box, SIZE_MAX);
	mw_buf_init(&r->batch, SIZE_MAX);
}

/* MW_OK, or what open or restore said. */
static inline enum mw_err rig_open(struct spool_rig *r)
{
	mw_error_clear(&r->error);
	enum mw_err err = mw_spool_open(&r->config, r->now, &r->spool, &r->error);
	if (err != MW_OK) {
		r->spool = NULL;
		return err;
	}
	r->weir_config.store = mw_spool_store(r->spool);
	r->weir = mw_weir_new(&r->weir_config, r->now);
	err = mw_spool_restore(r->spool, r->weir, r->now, &r->error);
	return err;
}

/* A spool of its own for each test: "name-0", ... */
static inline void rig_set_up(struct spool_rig *r, const char *name)
{
	static unsigned count;
	char numbered[32];
	snprintf(numbered, sizeof numbered, "%s-%u", name, count++);
	rig_init(r, numbered);
	CHECK(rig_open(r) == MW_OK);
}

/* As a crash does: what is not committed is gone. */
static inline void rig_close(struct spool_rig *r)
{
	mw_spool_close(r->spool);
	mw_weir_free(r->weir);
	r->spool = NULL;
	r->weir = NULL;
	mw_outbox_clear(&r->box);
}

static inline void rig_deinit(struct spool_rig *r)
{
	rig_close(r);
	mw_outbox_deinit(&r->box);
	mw_buf_deinit(&r->batch);
}

static inline struct mw_span rig_span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

/* Into the box; it is not accepted before rig_commit. */
static inline void rig_add(struct spool_rig *r, const char *account, struct mw_span message, int64_t tag,
			   enum mw_parcel_kind kind)
{
	const struct mw_parcel p = {
	    .account = rig_span(account), .message = message, .tag = tag, .kind = kind};
	if (mw_outbox_add(&r->box, &p) != MW_OK)
		abort();
}

static inline enum mw_err rig_commit(struct spool_rig *r)
{
	enum mw_err err = MW_OK;
	if (r->box.count > 0 && !mw_spool_is_planned(r->spool))
		err = mw_spool_plan(r->spool, r->weir, &r->box);
	if (err == MW_OK)
		err = mw_spool_commit(r->spool, r->now, &r->error);
	if (err == MW_OK) {
		mw_spool_apply(r->spool, r->weir, r->now);
		mw_outbox_clear(&r->box);
	}
	return err;
}

/* Messages in the next request, whose bytes are then in r->batch; 0: none may go. */
static inline uint32_t rig_next(struct spool_rig *r)
{
	int64_t wait;
	if (!mw_weir_next(r->weir, r->now, &r->request, &wait))
		return 0;
	mw_buf_clear(&r->batch);
	return mw_spool_read(r->spool, &r->request, &r->batch) == MW_OK ? r->request.count : 0;
}

static inline void rig_answer(struct spool_rig *r, int status)
{
	const struct mw_answer a = {.status = status, .retry_after_ms = -1, .body = MW_SPAN("because")};
	mw_weir_done(r->weir, &r->request, &a, r->now);
}

static inline struct mw_counts rig_counts(const struct spool_rig *r)
{
	return mw_weir_totals(r->weir)->counts;
}

#endif
