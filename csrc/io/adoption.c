#include "adoption.h"

#include "spool_own.h"

#include <stdlib.h>

/* A box: some commits' worth, far below what a message may wait for. */
enum { BOX_BYTES = 1024 * 1024 };

struct mw_adoption {
	struct mw_spool_config config;
	unsigned own;
	unsigned number; /* of the next partition to look at */
	struct mw_spool *from;
	struct mw_weir *weir; /* knows the other's lanes; sends nothing */
	char dir[];
};

struct mw_adoption *mw_adoption_new(const struct mw_spool_config *config, unsigned own_partition)
{
	size_t len = strlen(config->dir) + 1;
	struct mw_adoption *a = malloc(sizeof *a + len);
	if (!a)
		return NULL;
	*a = (struct mw_adoption){.config = *config, .own = own_partition};
	memcpy(a->dir, config->dir, len);
	a->config.dir = a->dir;
	a->config.report = (struct mw_report_to){NULL, NULL};
	return a;
}

static void leave(struct mw_adoption *a)
{
	mw_spool_close(a->from);
	mw_weir_free(a->weir);
	a->from = NULL;
	a->weir = NULL;
}

void mw_adoption_free(struct mw_adoption *a)
{
	if (a)
		leave(a);
	free(a);
}

/* What can't be opened stays as it is, for `moonweir verify` to tell why. */
static bool enter(struct mw_adoption *a, int64_t now)
{
	struct mw_error e;
	struct mw_partition partition;
	mw_partition_enter();
	if (mw_partition_take_number(&partition, a->dir, a->number++, &e) != MW_OK) {
		mw_partition_leave();
		return false;
	}
	if (mw_spool_open_partition(&a->config, &partition, now, &a->from, &e) != MW_OK) {
		a->from = NULL;
		return false;
	}
	struct mw_weir_config config = mw_weir_defaults();
	config.store = mw_spool_store(a->from);
	a->weir = mw_weir_new(&config, now);
	if (a->weir && mw_spool_restore(a->from, a->weir, now, &e) == MW_OK)
		return true;
	leave(a);
	return false;
}

bool mw_adoption_next(struct mw_adoption *a, struct mw_outbox *box, int64_t now)
{
	for (;;) {
		if (a->from) {
			mw_spool_copy(a->from, a->weir, BOX_BYTES, box);
			if (box->count > 0)
				return true;
			leave(a);
		}
		if (a->number == a->own)
			a->number++;
		if (a->number >= MW_PARTITIONS_MAX) {
			a->number = 0;
			return false;
		}
		enter(a, now);
	}
}

void mw_adoption_done(struct mw_adoption *a, int64_t now)
{
	struct mw_error e;
	/* If the other can't be written, its messages would be adopted again and again. */
	if (mw_spool_drop_copied(a->from, now, &e) != MW_OK)
		leave(a);
}
