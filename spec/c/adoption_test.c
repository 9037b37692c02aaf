#include "../../csrc/io/adoption.h"
#include "../../csrc/io/spool_own.h"
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

/* The last byte of lane 0's pack of this message becomes another. */
static void damage(uint64_t number)
{
	char path[300];
	uint8_t bytes[MW_PACK_MAX];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi db;
	MDB_val value;
	struct mw_spool_key at = mw_spool_key(0, number);
	MDB_val key = {sizeof at.bytes, at.bytes};
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0);
	CHECK(mdb_env_open(env, path, 0, 0600) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0);
	CHECK(mdb_dbi_open(txn, "messages", 0, &db) == 0 && mdb_get(txn, db, &key, &value) == 0);
	memcpy(bytes, value.mv_data, value.mv_size);
	bytes[value.mv_size - 1] ^= 1;
	value.mv_data = bytes;
	CHECK(mdb_put(txn, db, &key, &value, 0) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
}

TEST(what_is_behind_damage_is_taken_and_the_damage_becomes_a_letter)
{
	struct mw_parcel p;
	struct mw_dead_letter letter;
	size_t at = 0;
	own_again(); /* "a" has {1} and {3} now, in packs of their own */
	damage(0);
	CHECK(next() > 0);
	while (mw_outbox_next(&box, &at, &p))
		CHECK(p.kind != MW_PARCEL_DEAD && !mw_span_is(p.message, "{1}"));
	CHECK(box.count >= 2); /* {3} and "b"'s {2} */
	mw_adoption_done(adoption, r.now);
	at = 0;
	CHECK(next() == 1 && mw_outbox_next(&box, &at, &p) && p.kind == MW_PARCEL_DEAD);
	CHECK(mw_dead_letter_read(p.message, &letter) && letter.count == 1);
	CHECK(mw_span_is(letter.account, "a") && mw_span_is(letter.code, "corrupt"));
	mw_adoption_done(adoption, r.now);
	CHECK(next() == 0);
	CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 0 && rig_counts(&r).dead == 1);
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
	RUN_FRESH(what_is_behind_damage_is_taken_and_the_damage_becomes_a_letter);
	return CHECK_END();
}
