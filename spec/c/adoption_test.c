#include "../../csrc/io/adoption.h"
#include "spool_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <sys/stat.h>

/* What a process left in partition 0, and who takes it. */
static struct spool_rig r;
static struct mw_adoption *adoption;
static struct mw_outbox box;

/* Found before LMDB's own. */
static int commit_fault;

int mdb_txn_commit(MDB_txn *txn)
{
	int (*commit)(MDB_txn *);
	*(void **)&commit = dlsym(RTLD_NEXT, "mdb_txn_commit");
	if (!commit_fault)
		return commit(txn);
	mdb_txn_abort(txn);
	return commit_fault;
}

static void set_up(void)
{
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "spool-%u", count++);
	rig_init(&r, name);
	CHECK(rig_open(&r) == MW_OK);
	rig_add(&r, "a", rig_span("{1}"), 7, MW_PARCEL_MESSAGE);
	rig_add(&r, "b", rig_span("{2}"), 8, MW_PARCEL_MESSAGE);
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
	adoption = mw_adoption_new(&r.config, 1);
	mw_outbox_init(&box, SIZE_MAX);
}

static void tear_down(void)
{
	mw_adoption_free(adoption);
	mw_outbox_deinit(&box);
	rig_deinit(&r);
}

/* How many messages come next; 0: no more. They are not done with. */
static size_t next(void)
{
	mw_outbox_clear(&box);
	return mw_adoption_next(adoption, &box, r.now) ? box.count : 0;
}

static struct timespec written(void)
{
	char path[300];
	struct stat st = {0};
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	if (stat(path, &st) != 0)
		abort();
	return st.st_mtim;
}

static bool is_same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Its next owner comes and goes. Until the file's clock has moved on. */
static void own_again(void)
{
	const struct timespec before = written();
	while (is_same(before, written())) {
		CHECK(rig_open(&r) == MW_OK);
		rig_add(&r, "a", rig_span("{3}"), 9, MW_PARCEL_MESSAGE);
		CHECK(rig_commit(&r) == MW_OK);
		rig_close(&r);
	}
}

TEST(a_partition_is_taken_once_and_left_alone_until_somebody_writes_to_it)
{
	CHECK(next() == 2);
	mw_adoption_done(adoption, r.now);
	CHECK(next() == 0);
	const struct timespec left = written();
	own_again();
	CHECK(!is_same(left, written()) && next() > 0);
	mw_adoption_done(adoption, r.now);
	CHECK(next() == 0);
	const struct timespec again = written();
	CHECK(next() == 0 && next() == 0 && is_same(again, written()));
}

TEST(what_its_partition_does_not_let_go_is_not_taken_twice)
{
	CHECK(next() == 2);
	commit_fault = ENOSPC;
	mw_adoption_done(adoption, r.now);
	commit_fault = 0;
	CHECK(next() == 0 && next() == 0);
	/* Another process may have more luck, or this one once somebody was there. */
	own_again();
	CHECK(next() > 2);
}

#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		set_up();                                                                                    \
		RUN(name);                                                                                   \
		tear_down();                                                                                 \
	} while (0)

int main(void)
{
	RUN_FRESH(a_partition_is_taken_once_and_left_alone_until_somebody_writes_to_it);
	RUN_FRESH(what_its_partition_does_not_let_go_is_not_taken_twice);
	return CHECK_END();
}
