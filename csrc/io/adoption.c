#include "adoption.h"

#include "spool_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A box: some commits' worth, far below what a message may wait for. */
enum { BOX_BYTES = 1024 * 1024 };

struct mw_adoption {
	struct mw_spool_config config;
	unsigned own;
	unsigned number; /* of the next partition to look at */
	struct mw_spool *from;
	struct mw_weir *weir; /* knows the other's lanes; sends nothing */
	/* When each was last written to, as of when we left it. Nobody did so since: there still is nothing
	 * to take, and opening it, which writes, would only tell so again. */
	struct timespec left[MW_PARTITIONS_MAX];
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
	a->config.repeats_ms = 0; /* they stay where they are */
	return a;
}

/* All zeros: there is no such partition. */
static struct timespec written_at(const struct mw_adoption *a, unsigned number)
{
	char path[MW_PARTITION_PATH_ROOM];
	struct stat st;
	snprintf(path, sizeof path, "%.4000s/p%u/data.mdb", a->dir, number);
	return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static void leave(struct mw_adoption *a)
{
	mw_spool_close(a->from);
	mw_weir_free(a->weir);
	a->from = NULL;
	a->weir = NULL;
}

/* For good, if nobody else writes to it. */
static void finish(struct mw_adoption *a)
{
	unsigned number = mw_spool_stats(a->from).partition;
	leave(a);
	a->left[number] = written_at(a, number);
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
	const unsigned number = a->number++;
	const struct timespec written = written_at(a, number), *left = &a->left[number];
	if (written.tv_sec == left->tv_sec && written.tv_nsec == left->tv_nsec)
		return false;
	mw_partition_enter();
	if (mw_partition_take_number(&partition, a->dir, number, &e) != MW_OK) {
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
	enum mw_err err = a->weir ? mw_spool_restore(a->from, a->weir, now, &e) : MW_NO_MEMORY;
	if (err == MW_CORRUPT)
		finish(a);
	else if (err != MW_OK)
		leave(a);
	return err == MW_OK;
}

bool mw_adoption_next(struct mw_adoption *a, struct mw_outbox *box, int64_t now)
{
	struct mw_error e;
	for (;;) {
		if (a->from) {
			mw_spool_copy(a->from, a->weir, BOX_BYTES, box);
			if (box->count > 0)
				return true;
			/* Damage that was buried is letters from now on. */
			if (mw_spool_has_settled(a->from) && mw_spool_commit(a->from, now, &e) == MW_OK)
				continue;
			finish(a);
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
		finish(a);
}
