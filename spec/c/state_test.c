#include "../../csrc/io/state.h"
#include "check.h"
#include "folder.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct mw_error error;

static bool opens(const char *spool, struct mw_state **s)
{
	mw_error_clear(&error);
	bool opened = mw_state_open(spool, 0, s, &error) == MW_OK;
	if (!opened)
		fprintf(stderr, "%s\n", error.detail);
	return opened;
}

/* One row of a database, written and read as the stores do. */
struct row {
	struct mw_state *s;
	unsigned dbi;
	const char *key;
	const void *value;
	size_t len;
	int calls;
};

static enum mw_err put_row(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	struct row *r = context;
	MDB_val key = {strlen(r->key), (void *)(uintptr_t)r->key},
		value = {r->len, (void *)(uintptr_t)r->value};
	r->calls++;
	int answer = mdb_put(txn, r->dbi, &key, &value, 0);
	return answer == 0 ? MW_OK : mw_state_fail(r->s, answer, e);
}

static bool put(struct mw_state *s, unsigned dbi, const char *key, const char *value)
{
	struct row r = {.s = s, .dbi = dbi, .key = key, .value = value, .len = strlen(value)};
	return mw_state_write(s, put_row, &r, &error) == MW_OK;
}

static bool holds(struct mw_state *s, unsigned dbi, const char *key, const char *expected)
{
	struct MDB_txn *txn;
	MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v;
	if (mw_state_read(s, &txn, &error) != MW_OK)
		return false;
	int answer = mdb_get(txn, dbi, &k, &v);
	bool same = expected ? answer == 0 && v.mv_size == strlen(expected) &&
				   memcmp(v.mv_data, expected, v.mv_size) == 0
			     : answer == MDB_NOTFOUND;
	mw_state_read_end(s, txn);
	return same;
}

TEST(what_was_written_is_there_after_closing)
{
	struct mw_state *s;
	unsigned dbi;
	CHECK(opens(folder_path("kept"), &s) && mw_state_database(s, "a", &dbi, &error) == MW_OK);
	CHECK(holds(s, dbi, "k", NULL) && put(s, dbi, "k", "v") && holds(s, dbi, "k", "v"));
	mw_state_close(s);
	CHECK(opens(folder_path("kept"), &s) && mw_state_database(s, "a", &dbi, &error) == MW_OK);
	CHECK(holds(s, dbi, "k", "v"));
	mw_state_close(s);
	mw_state_close(NULL);
}

TEST(only_the_owner_may_read_the_files)
{
	struct mw_state *s;
	struct stat st;
	mode_t before = umask(0);
	CHECK(opens(folder_path("modes"), &s));
	umask(before);
	mw_state_close(s);
	CHECK(stat(folder_path("modes/state"), &st) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(stat(folder_path("modes/state/data.mdb"), &st) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(stat(folder_path("modes/state/lock.mdb"), &st) == 0 && (st.st_mode & 07777) == 0600);
	static const char *const names[] = {"modes/state/data.mdb", "modes/state/lock.mdb"};
	for (int i = 0; i < 2; i++) {
		chmod(folder_path(names[i]), 0640);
		CHECK(mw_state_open(folder_path("modes"), 0, &s, &error) == MW_IO);
		CHECK(strstr(error.detail, folder_path(names[i])) && strstr(error.detail, "chmod 600"));
		chmod(folder_path(names[i]), 0600);
	}
	chmod(folder_path("modes"), 0750);
	CHECK(mw_state_open(folder_path("modes"), 0, &s, &error) == MW_IO && strstr(error.detail, "0750"));
	chmod(folder_path("modes"), 0700);
	CHECK(opens(folder_path("modes"), &s));
	mw_state_close(s);
}

TEST(the_lock_file_has_all_its_blocks)
{
	struct mw_state *s;
	struct stat st;
	CHECK(opens(folder_path("blocks"), &s));
	CHECK(stat(folder_path("blocks/state/lock.mdb"), &st) == 0);
	CHECK(st.st_size >= 1024 * 64 && st.st_blocks * 512 >= st.st_size);
	mw_state_close(s);
}

TEST(a_link_in_place_of_a_file_is_refused)
{
	struct mw_state *s;
	mkdir(folder_path("links"), 0700);
	mkdir(folder_path("links/state"), 0700);
	CHECK(symlink("/dev/null", folder_path("links/state/data.mdb")) == 0);
	CHECK(mw_state_open(folder_path("links"), 0, &s, &error) == MW_IO &&
	      strstr(error.detail, "is not a file"));
}

TEST(one_process_opens_one_directory_once)
{
	struct mw_state *s, *again, *other;
	CHECK(opens(folder_path("once"), &s));
	symlink("once", folder_path("alias"));
	CHECK(opens(folder_path("alias"), &again) && again == s);
	CHECK(opens(folder_path("other"), &other) && other != s);
	mw_state_close(again);
	unsigned dbi;
	CHECK(mw_state_database(s, "a", &dbi, &error) == MW_OK && put(s, dbi, "k", "v"));
	mw_state_close(s);
	mw_state_close(other);
}

TEST(after_fork_the_parents_state_is_refused_and_an_own_one_works)
{
	struct mw_state *s, *own = NULL;
	struct MDB_txn *txn;
	unsigned dbi;
	CHECK(opens(folder_path("fork"), &s) && mw_state_database(s, "a", &dbi, &error) == MW_OK);
	CHECK(put(s, dbi, "k", "parent's") && holds(s, dbi, "k", "parent's"));
	pid_t child = fork();
	if (child == 0) {
		bool good = mw_state_read(s, &txn, &error) == MW_FORKED && !put(s, dbi, "k", "child's") &&
			    error.code == MW_FORKED && mw_state_database(s, "b", &dbi, &error) == MW_FORKED;
		mw_state_close(s);
		good = good && opens(folder_path("fork"), &own) && own != s &&
		       mw_state_database(own, "a", &dbi, &error) == MW_OK &&
		       holds(own, dbi, "k", "parent's") && put(own, dbi, "k", "child's");
		mw_state_close(own);
		_exit(good ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(holds(s, dbi, "k", "child's") && put(s, dbi, "k", "parent's again"));
	mw_state_close(s);
}

/* Puts a number where the store's format stands. */
static void write_format(const char *spool, uint32_t format, size_t len)
{
	struct mw_state *s;
	unsigned meta;
	uint8_t bytes[4] = {(uint8_t)format, (uint8_t)(format >> 8), 0, 0};
	if (!opens(spool, &s) || mw_state_database(s, "meta", &meta, &error) != MW_OK)
		return;
	struct row r = {.s = s, .dbi = meta, .key = "format", .value = bytes, .len = len};
	mw_state_write(s, put_row, &r, &error);
	mw_state_close(s);
}

TEST(a_newer_store_is_refused_with_both_formats_and_left_alone)
{
	struct mw_state *s;
	write_format(folder_path("newer"), 259, 4);
	for (int i = 0; i < 2; i++) {
		CHECK(mw_state_open(folder_path("newer"), 0, &s, &error) == MW_VERSION);
		CHECK(strstr(error.detail, "format 259") && strstr(error.detail, "up to 1") &&
		      strstr(error.detail, folder_path("newer/state")));
	}
}

TEST(a_store_without_a_format_is_damaged)
{
	struct mw_state *s;
	write_format(folder_path("zero"), 0, 4);
	CHECK(mw_state_open(folder_path("zero"), 0, &s, &error) == MW_CORRUPT);
	write_format(folder_path("short"), 1, 3);
	CHECK(mw_state_open(folder_path("short"), 0, &s, &error) == MW_CORRUPT);
}

TEST(what_is_no_store_is_refused)
{
	struct mw_state *s;
	mkdir(folder_path("junk"), 0700);
	mkdir(folder_path("junk/state"), 0700);
	int fd = open(folder_path("junk/state/data.mdb"), O_CREAT | O_WRONLY, 0600);
	char junk[16384];
	memset(junk, 'j', sizeof junk);
	CHECK(write(fd, junk, sizeof junk) == (ssize_t)sizeof junk);
	close(fd);
	CHECK(mw_state_open(folder_path("junk"), 0, &s, &error) == MW_CORRUPT);
	/* Somebody else's LMDB, in which our name does not stand. */
	mkdir(folder_path("foreign"), 0700);
	mkdir(folder_path("foreign/state"), 0700);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key = {1, (void *)(uintptr_t) "k"}, value = {1, (void *)(uintptr_t) "v"};
	CHECK(mdb_env_create(&env) == 0 && mdb_env_open(env, folder_path("foreign/state"), 0, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, NULL, 0, &dbi) == 0);
	CHECK(mdb_put(txn, dbi, &key, &value, 0) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
	CHECK(mw_state_open(folder_path("foreign"), 0, &s, &error) == MW_CORRUPT);
}

enum { SMALL_MAP = 256 * 1024, BIG_VALUE = 20000, MANY = 64 };

static bool put_many(struct mw_state *s, unsigned dbi, int *calls)
{
	static char big[BIG_VALUE];
	char key[16];
	*calls = 0;
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "%d", i);
		struct row r = {.s = s, .dbi = dbi, .key = key, .value = big, .len = sizeof big};
		if (mw_state_write(s, put_row, &r, &error) != MW_OK)
			return false;
		*calls += r.calls;
	}
	return true;
}

TEST(a_full_map_grows_and_the_step_is_repeated)
{
	struct mw_state *s;
	unsigned dbi;
	int calls;
	CHECK(mw_state_open(folder_path("grow"), SMALL_MAP, &s, &error) == MW_OK);
	CHECK(mw_state_database(s, "a", &dbi, &error) == MW_OK && put(s, dbi, "first", "1"));
	CHECK(put_many(s, dbi, &calls) && calls > MANY);
	CHECK(holds(s, dbi, "first", "1") && put(s, dbi, "last", "1"));
	mw_state_close(s);
}

TEST(a_process_follows_when_another_made_the_map_grow)
{
	struct mw_state *s, *own = NULL;
	unsigned dbi;
	int calls, status;
	CHECK(mw_state_open(folder_path("follow"), SMALL_MAP, &s, &error) == MW_OK);
	CHECK(mw_state_database(s, "a", &dbi, &error) == MW_OK && put(s, dbi, "first", "1"));
	CHECK(holds(s, dbi, "first", "1")); /* leaves a transaction for the next reader */
	for (int round = 0; round < 2; round++) {
		pid_t child = fork();
		if (child == 0) {
			bool good = mw_state_open(folder_path("follow"), SMALL_MAP, &own, &error) == MW_OK &&
				    mw_state_database(own, "a", &dbi, &error) == MW_OK &&
				    put_many(own, dbi, &calls) && put(own, dbi, "last", round ? "1" : "0");
			mw_state_close(own);
			_exit(good ? 0 : 1);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		/* Once it is a reader that finds out, once a writer. */
		if (round == 0)
			CHECK(holds(s, dbi, "last", "0"));
		CHECK(put(s, dbi, "mine", "1") && holds(s, dbi, "last", round ? "1" : "0"));
	}
	mw_state_close(s);
}

TEST(readers_that_were_killed_are_cleared_by_the_next_to_open)
{
	struct mw_state *s, *own;
	struct MDB_txn *txn;
	int status, dead = -1;
	CHECK(opens(folder_path("killed"), &s));
	for (int i = 0; i < 4; i++) {
		pid_t child = fork();
		if (child == 0) {
			if (!opens(folder_path("killed"), &own))
				_exit(1);
			if (i == 3) {
				mw_state_close(own);
				_exit(0);
			}
			if (mw_state_read(own, &txn, &error) == MW_OK)
				kill(getpid(), SIGKILL);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(i == 3 ? status == 0 : WIFSIGNALED(status));
	}
	CHECK(mw_state_read(s, &txn, &error) == MW_OK);
	CHECK(mdb_reader_check(mdb_txn_env(txn), &dead) == 0 && dead == 0);
	mw_state_read_end(s, txn);
	mw_state_close(s);
}

static void *read_and_write(void *argument)
{
	struct mw_state *s;
	struct mw_error e;
	unsigned dbi;
	const char *name = argument;
	for (int i = 0; i < 50; i++) {
		if (mw_state_open(name, SMALL_MAP, &s, &e) != MW_OK)
			return argument;
		if (mw_state_database(s, "a", &dbi, &e) != MW_OK)
			return argument;
		struct MDB_txn *txn;
		for (int k = 0; k < 20; k++) {
			if (mw_state_read(s, &txn, &e) != MW_OK)
				return argument;
			mw_state_read_end(s, txn);
		}
		mw_state_close(s);
	}
	return NULL;
}

TEST(threads_may_open_read_and_close_at_once)
{
	char name[256];
	snprintf(name, sizeof name, "%s", folder_path("threads"));
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_and_write, name);
	for (int i = 0; i < 3; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		CHECK(!failed);
	}
}

static enum mw_err refuse_after_put(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	enum mw_err err = put_row(txn, context, e);
	return err == MW_OK ? mw_error_set(e, MW_INVALID, 0, "no") : err;
}

TEST(a_step_that_fails_has_done_nothing)
{
	struct mw_state *s;
	unsigned dbi;
	CHECK(opens(folder_path("abort"), &s) && mw_state_database(s, "a", &dbi, &error) == MW_OK);
	struct row r = {.s = s, .dbi = dbi, .key = "k", .value = "v", .len = 1};
	CHECK(mw_state_write(s, refuse_after_put, &r, &error) == MW_INVALID && r.calls == 1);
	CHECK(holds(s, dbi, "k", NULL));
	mw_state_close(s);
}

int main(void)
{
	RUN(what_was_written_is_there_after_closing);
	RUN(only_the_owner_may_read_the_files);
	RUN(the_lock_file_has_all_its_blocks);
	RUN(a_link_in_place_of_a_file_is_refused);
	RUN(one_process_opens_one_directory_once);
	RUN(after_fork_the_parents_state_is_refused_and_an_own_one_works);
	RUN(a_newer_store_is_refused_with_both_formats_and_left_alone);
	RUN(a_store_without_a_format_is_damaged);
	RUN(what_is_no_store_is_refused);
	RUN(a_full_map_grows_and_the_step_is_repeated);
	RUN(a_process_follows_when_another_made_the_map_grow);
	RUN(readers_that_were_killed_are_cleared_by_the_next_to_open);
	RUN(threads_may_open_read_and_close_at_once);
	RUN(a_step_that_fails_has_done_nothing);
	return CHECK_END();
}
