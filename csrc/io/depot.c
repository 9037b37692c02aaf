#include "depot.h"

enum mw_err mw_depot_init(struct mw_depot *d, const struct mw_spool_config *spool, struct mw_report_to report,
			  int64_t now, struct mw_error *e)
{
	*d = (struct mw_depot){.spool = NULL};
	/* The bound is push's, where the caller still can be told. */
	mw_queues_init(&d->queues, SIZE_MAX, report);
	return spool ? mw_spool_open(spool, now, &d->spool, e) : MW_OK;
}

void mw_depot_deinit(struct mw_depot *d)
{
	mw_queues_deinit(&d->queues);
	mw_spool_close(d->spool);
	d->spool = NULL;
}

struct mw_store mw_depot_store(struct mw_depot *d)
{
	return d->spool ? mw_spool_store(d->spool) : mw_queues_store(&d->queues);
}

enum mw_err mw_depot_restore(struct mw_depot *d, struct mw_weir *w, int64_t now, struct mw_error *e)
{
	return d->spool ? mw_spool_restore(d->spool, w, now, e) : MW_OK;
}

enum mw_err mw_depot_admit(struct mw_depot *d, struct mw_weir *w, const struct mw_outbox *box, int64_t now)
{
	struct mw_parcel p;
	if (d->spool)
		return mw_spool_plan(d->spool, w, box);
	for (size_t next = d->admitted; mw_outbox_next(box, &next, &p);
	     d->admitted = next, d->admitted_count++) {
		/* Sizes were checked by push and the queues have no bound: only memory can be short. */
		enum mw_err err = p.kind == MW_PARCEL_DEAD
				      ? MW_OK
				      : mw_queues_push(&d->queues, w, p.account, p.message, p.tag, now);
		if (err != MW_OK)
			return err;
	}
	return MW_OK;
}

enum mw_err mw_depot_commit(struct mw_depot *d, int64_t now, struct mw_error *e)
{
	return d->spool ? mw_spool_commit(d->spool, now, e) : MW_OK;
}

void mw_depot_apply(struct mw_depot *d, struct mw_weir *w, int64_t now)
{
	d->admitted = 0;
	d->admitted_count = 0;
	if (d->spool)
		mw_spool_apply(d->spool, w, now);
}

struct mw_spool_stats mw_depot_stats(const struct mw_depot *d)
{
	return d->spool ? mw_spool_stats(d->spool) : (struct mw_spool_stats){0};
}

bool mw_depot_has_settled(const struct mw_depot *d)
{
	return d->spool && mw_spool_has_settled(d->spool);
}

enum mw_err mw_depot_read(struct mw_depot *d, const struct mw_request *r, struct mw_buf *out)
{
	return d->spool ? mw_spool_read(d->spool, r, out) : mw_queues_read(&d->queues, r, out);
}
