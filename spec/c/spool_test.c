#include "../../csrc/io/spool_own.h"
#include "spool_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct spool_rig r;

/* Ours is found before LMDB's own. */
static int cursor_fault, renew_fault;
static unsigned counts_of_free_pages; /* LMDB keeps them in its database 0 */

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
	int (*open)(MDB_txn *, MDB_dbi, MDB_cursor **);
	*(void **)&open = dlsym(RTLD_NEXT, "mdb_cursor_open");
	counts_of_free_pages += dbi == 0;
	return cursor_fault ? cursor_fault : open(txn, dbi, cursor);
}

int mdb_txn_renew(MDB_txn *txn)
{
	int (*renew)(MDB_txn *);
	*(void **)&renew = dlsym(RTLD_NEXT, "mdb_txn_renew");
	return renew_fault ? renew_fault : renew(txn);
}

/* How often it is interrupted by a signal before it does something. */
static int interruptions;

int fallocate(int fd, int mode, off_t from, off_t len)
{
	int (*allocate)(int, int, off_t, off_t);
	*(void **)&allocate = dlsym(RTLD_NEXT, "fallocate");
	if (interruptions == 0)
		return allocate(fd, mode, from, len);
	interruptions--;
	errno = EINTR;
	return -1;
}

static void set_up(void)
{
	rig_set_up(&r, "spool");
}

static void push(const char *account, const char *message)
{
	rig_add(&r, account, rig_span(message), 7, MW_PARCEL_MESSAGE);
}

static bool batch_is(const char *text)
{
	return mw_span_is(mw_buf_span(&r.batch), text);
}

static void reopen(void)
{
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
}

TEST(what_is_committed_is_there_after_a_crash_and_in_order)
{
	push("a", "{1}");
	push("b", "{2}");
	push("a", "{3}");
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).queued == 3);
	push("a", "{4}");
	CHECK(rig_commit(&r) == MW_OK);
	push("a", "{not committed}");
	reopen();
	CHECK(rig_counts(&r).accepted == 4 && mw_weir_totals(r.weir)->queued_bytes == 12);
	CHECK(rig_next(&r) == 3 && batch_is("{1},{3},{4}"));
	rig_answer(&r, 200);
	CHECK(rig_next(&r) == 1 && batch_is("{2}"));
}

TEST(what_is_settled_leaves_with_the_next_commit)
{
	r.weir_config.batch_messages = 2;
	reopen();
	push("a", "{1}");
	push("a", "{2}");
	push("a", "{3}");
	CHECK(rig_commit(&r) == MW_OK && rig_next(&r) == 2);
	rig_answer(&r, 200);
	reopen();
	CHECK(rig_counts(&r).queued == 3 && rig_next(&r) == 2 && batch_is("{1},{2}")); /* once more */
	rig_answer(&r, 200);
	CHECK(mw_spool_has_settled(r.spool) && rig_commit(&r) == MW_OK && !mw_spool_has_settled(r.spool));
	reopen();
	const struct mw_counts c = rig_counts(&r);
	CHECK(c.accepted == 3 && c.delivered == 2 && c.queued == 1);
	CHECK(rig_next(&r) == 1 && batch_is("{3}"));
	rig_answer(&r, 404);
	CHECK(rig_commit(&r) == MW_OK);
	reopen();
	CHECK(rig_counts(&r).dead == 1 && rig_counts(&r).accepted == 3 && rig_next(&r) == 0);
}

/* What is measured is put together at once, and may be read when others were measured since, or twice. */
TEST(a_batch_is_its_own_however_late_it_is_read)
{
	struct mw_request a, b;
	int64_t wait;
	push("a", "{1}");
	push("a", "{2}");
	push("b", "{3}");
	push("b", "{4}");
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(mw_weir_next(r.weir, r.now, &a, &wait) && mw_weir_next(r.weir, r.now, &b, &wait));
	CHECK(mw_spool_read(r.spool, &a, &r.batch) == MW_OK && batch_is("{1},{2}"));
	CHECK(mw_spool_read(r.spool, &b, &r.batch) == MW_OK && batch_is("{3},{4}"));
	CHECK(mw_spool_read(r.spool, &b, &r.batch) == MW_OK && batch_is("{3},{4}"));
}

TEST(a_wall_clock_that_was_set_back_makes_nothing_wait)
{
	r.weir_config.batch_messages = 2;
	r.now += 3600 * 1000;
	push("a", "{1}");
	push("a", "{2}");
	push("a", "{3}");
	CHECK(rig_commit(&r) == MW_OK);
	r.now -= 3600 * 1000; /* and the wall clock did not go on */
	reopen();
	CHECK(rig_next(&r) == 2 && batch_is("{1},{2}"));
	rig_answer(&r, 200);
	CHECK(rig_next(&r) == 1 && batch_is("{3}"));
}

/* ---- against a model */

enum { ACCOUNTS = 5, KEPT = 4096 };

struct model {
	uint32_t pushed, planned, settled; /* messages, all; committed; answered for good */
	uint32_t settled_on_disk;
	bool is_flying;
};

static size_t length_of(uint32_t account, uint32_t number)
{
	uint32_t mixed = (account * 7919 + number) * 2654435761u;
	return mixed % 97 == 0 ? 20000 + mixed % 12000 : 12 + mixed % 600;
}

static void push_number(struct model *m, uint32_t account)
{
	static char text[MW_MESSAGE_MAX + 1];
	char name[8];
	size_t len = length_of(account, m->pushed);
	memset(text, 'x', len);
	snprintf(name, sizeof name, "a%u", account);
	int head = snprintf(text, sizeof text, "%u:%06u:", account, m->pushed);
	text[head] = 'x';
	rig_add(&r, name, (struct mw_span){(const uint8_t *)text, len}, (int64_t)m->pushed++,
		MW_PARCEL_MESSAGE);
}

static bool batch_is_right(const struct model *m, uint32_t account)
{
	const uint8_t *at = r.batch.data, *end = at + r.batch.len;
	for (uint32_t i = 0; i < r.request.count; i++) {
		char head[32];
		int len = snprintf(head, sizeof head, "%u:%06u:", account, m->settled + i);
		size_t message_len = length_of(account, m->settled + i);
		if ((size_t)(end - at) < message_len || memcmp(at, head, (size_t)len) != 0)
			return false;
		at += message_len;
		if (i + 1 < r.request.count && *at++ != ',')
			return false;
	}
	return at == end;
}

TEST(any_history_with_crashes_keeps_every_message_and_its_place)
{
	struct model model[ACCOUNTS] = {{0}};
	uint64_t random = check_seed("spool");
	for (int step = 0, steps = check_rounds(4000); step < steps; step++) {
		uint64_t what = check_random(&random) % 100;
		if (what < 30) {
			for (uint64_t n = check_random(&random) % 40; n > 0; n--) {
				uint32_t a = (uint32_t)(check_random(&random) % ACCOUNTS);
				push_number(&model[a], a);
			}
		} else if (what < 60) {
			CHECK(rig_commit(&r) == MW_OK);
			for (int a = 0; a < ACCOUNTS; a++) {
				model[a].planned = model[a].pushed;
				model[a].settled_on_disk = model[a].settled;
			}
		} else if (what < 95) {
			r.weir_config.batch_messages = 1;
			if (rig_next(&r) == 0)
				continue;
			uint32_t a = (uint32_t)r.request.lane->name[1] - '0';
			CHECK(batch_is_right(&model[a], a));
			CHECK(model[a].settled + r.request.count <= model[a].planned);
			int status = (int[]){200, 200, 200, 404, 500}[check_random(&random) % 5];
			rig_answer(&r, status);
			if (status != 500)
				model[a].settled += r.request.count;
			r.now += status == 500 ? 100000 : 1;
		} else {
			reopen();
			for (int a = 0; a < ACCOUNTS; a++) {
				model[a].pushed = model[a].planned;
				model[a].settled = model[a].settled_on_disk;
			}
		}
		uint64_t accepted = 0, settled = 0;
		for (int a = 0; a < ACCOUNTS; a++) {
			accepted += model[a].planned;
			settled += model[a].settled;
		}
		const struct mw_counts c = rig_counts(&r);
		CHECK(c.accepted == accepted && c.delivered + c.dead == settled &&
		      c.queued == accepted - settled);
	}
}

/* ---- repeats */

static void push_id(const char *account, const char *id)
{
	char text[200];
	snprintf(text, sizeof text, "{\"type\":\"track\",\"userId\":\"u\",\"messageId\":\"%s\"}", id);
	rig_add(&r, account, rig_span(text), 0, MW_PARCEL_REPEATABLE);
}

TEST(an_id_that_was_seen_is_not_queued_again)
{
	r.config.repeats_ms = 3600 * 1000;
	reopen();
	push_id("a", "s:a:1:0");
	push_id("a", "s:a:1:0"); /* in one commit */
	push_id("b", "s:a:1:0"); /* another account's own */
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 2);
	push_id("a", "s:a:1:0");
	push_id("a", "s:a:2:0");
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 3);
	reopen();
	push_id("a", "s:a:1:0");
	push("a", "{no id}");
	push("a", "{no id}");
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 5);
	CHECK(mw_spool_stats(r.spool).repeats == 1);
	r.now += 3600 * 1000 * 17 / 16 + 2000; /* forgotten */
	push_id("a", "s:a:1:0");
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 6);
}

TEST(a_commit_that_could_not_begin_takes_no_id_back)
{
	r.config.repeats_ms = 3600 * 1000;
	reopen();
	push_id("a", "s:a:1:0");
	CHECK(rig_commit(&r) == MW_OK);
	push_id("a", "s:a:2:0");
	cursor_fault = ENOMEM;
	CHECK(rig_commit(&r) == MW_NO_MEMORY);
	cursor_fault = 0;
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 2);
	push_id("a", "s:a:1:0");
	push_id("a", "s:a:2:0");
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).accepted == 2);
}

/* ---- bounds */

TEST(a_full_spool_refuses_what_is_new_and_still_drains)
{
	static char text[1000];
	memset(text, 'x', sizeof text);
	r.config.disk_max = MW_DISK_MIN;
	reopen();
	enum mw_err err;
	uint64_t pushed = 0;
	do {
		for (int i = 0; i < 100; i++)
			rig_add(&r, "a", (struct mw_span){(const uint8_t *)text, sizeof text}, 0,
				MW_PARCEL_MESSAGE);
		err = rig_commit(&r);
		pushed += err == MW_OK ? 100 : 0;
	} while (err == MW_OK && pushed < 100000);
	CHECK(err == MW_FULL && strstr(r.error.detail, "disk_bytes") && pushed > 2000);
	CHECK(rig_counts(&r).queued == pushed);
	/* What is planned gets in as soon as there is room for it. */
	int requests = 0;
	while (err == MW_FULL && rig_next(&r) > 0) {
		rig_answer(&r, 200);
		requests++;
		err = rig_commit(&r);
	}
	CHECK(err == MW_OK && requests > 0 && requests < 10);
	while (rig_next(&r) > 0) {
		rig_answer(&r, 200);
		CHECK(rig_commit(&r) == MW_OK);
	}
	CHECK(rig_counts(&r).delivered == pushed + 100 && rig_counts(&r).queued == 0);
	CHECK(mw_spool_stats(r.spool).disk_bytes <= MW_DISK_MIN + MW_DISK_MIN / 8);
}

/* Messages of "a", until there is no room for more. */
static void fill_up(void)
{
	static char text[1000];
	memset(text, 'x', sizeof text);
	do {
		mw_outbox_clear(&r.box);
		for (int i = 0; i < 130; i++)
			rig_add(&r, "a", (struct mw_span){(const uint8_t *)text, sizeof text}, 0,
				MW_PARCEL_MESSAGE);
	} while (rig_commit(&r) == MW_OK);
}

static void drain(void)
{
	while (rig_next(&r) > 0) {
		rig_answer(&r, 200);
		CHECK(rig_commit(&r) == MW_OK);
	}
	CHECK(rig_counts(&r).queued == 0);
}

TEST(a_spool_that_may_be_smaller_than_it_is_drains)
{
	r.config.disk_max = 16 << 20;
	reopen();
	fill_up();
	r.config.disk_max = MW_DISK_MIN;
	reopen();
	/* The map has moved, and what was mapped where it was is not ours to let go of. */
	int fd;
	CHECK(mdb_env_get_fd(r.spool->env, &fd) == 0);
	const struct mw_env_map map = mw_env_map_find(fd);
	CHECK(map.start && map.start == r.spool->map.start && map.len == r.spool->map.len);
	drain();
	CHECK(rig_counts(&r).delivered > 10000);
}

TEST(free_pages_are_not_counted_with_each_commit_once_the_file_was_full)
{
	r.config.disk_max = MW_DISK_MIN;
	reopen();
	fill_up();
	reopen();
	drain();
	counts_of_free_pages = 0;
	static uint8_t text[20000];
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 8; j++)
			rig_add(&r, "a", (struct mw_span){text, sizeof text}, 0, MW_PARCEL_MESSAGE);
		CHECK(rig_commit(&r) == MW_OK);
		drain();
	}
	CHECK(counts_of_free_pages > 0 && counts_of_free_pages < 50);
}

TEST(a_reader_that_died_does_not_make_the_file_grow)
{
	static char text[20000], path[300];
	memset(text, 'x', sizeof text);
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	pid_t child = fork();
	if (child == 0) {
		MDB_env *env;
		MDB_txn *txn;
		bool ok = mdb_env_create(&env) == 0 && mdb_env_open(env, path, MDB_RDONLY, 0600) == 0 &&
			  mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
		_exit(ok ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	uint64_t after_ten = 0;
	for (int i = 0; i < 100; i++) {
		rig_add(&r, "a", (struct mw_span){(const uint8_t *)text, sizeof text}, 0, MW_PARCEL_MESSAGE);
		CHECK(rig_commit(&r) == MW_OK && rig_next(&r) == 1);
		rig_answer(&r, 200);
		if (i == 10)
			after_ten = mw_spool_stats(r.spool).disk_bytes;
	}
	CHECK(mw_spool_stats(r.spool).disk_bytes <= after_ten + 5 * sizeof text);
}

TEST(what_found_no_room_is_no_repeat_of_itself)
{
	enum { BOX = 50 };
	static char text[1000];
	r.config.disk_max = MW_DISK_MIN;
	r.config.repeats_ms = 3600 * 1000;
	reopen();
	enum mw_err err;
	uint64_t pushed = 0, refused = 0, drained = 0;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < BOX; i++, pushed++) {
			int len =
			    snprintf(text, sizeof text,
				     "{\"type\":\"track\",\"messageId\":\"%06" PRIu64 "\",\"x\":\"", pushed);
			memset(text + len, 'x', sizeof text - (size_t)len);
			rig_add(&r, "a", (struct mw_span){(const uint8_t *)text, sizeof text}, 0,
				MW_PARCEL_REPEATABLE);
		}
		while ((err = rig_commit(&r)) == MW_FULL) {
			refused++;
			CHECK(rig_next(&r) > 0);
			drained += r.request.count;
			rig_answer(&r, 200);
		}
		CHECK(err == MW_OK && rig_counts(&r).accepted == pushed &&
		      rig_counts(&r).delivered == drained);
	}
	CHECK(refused > 5 && mw_spool_stats(r.spool).repeats == 0 && mw_spool_stats(r.spool).seen == pushed);
	/* A box that a crash takes was never seen. */
	push_id("a", "000000");
	push_id("a", "new");
	CHECK(mw_spool_plan(r.spool, r.weir, &r.box) == MW_OK);
	reopen();
	push_id("a", "000000");
	push_id("a", "new");
	while ((err = rig_commit(&r)) == MW_FULL && rig_next(&r) > 0)
		rig_answer(&r, 200);
	CHECK(err == MW_OK && mw_spool_stats(r.spool).repeats == 1 && rig_counts(&r).accepted == pushed + 1);
}

/* ---- large messages */

static uint8_t large[MW_MESSAGE_MAX];

static void push_large(size_t len)
{
	for (size_t i = 0; i < len; i++)
		large[i] = (uint8_t)('a' + (i * 7 + i / 4080) % 26);
	rig_add(&r, "a", (struct mw_span){large, len}, 0, MW_PARCEL_MESSAGE);
}

/* Entries of the messages database, and the length of the longest. */
static size_t entries(size_t *longest)
{
	char path[300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi db;
	MDB_cursor *cursor;
	MDB_val key, value;
	size_t count = 0;
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	*longest = 0;
	if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 8) != 0 ||
	    mdb_env_open(env, path, MDB_RDONLY, 0600) != 0 ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0 || mdb_dbi_open(txn, "messages", 0, &db) != 0 ||
	    mdb_cursor_open(txn, db, &cursor) != 0)
		abort();
	for (; mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; count++)
		*longest = value.mv_size > *longest ? value.mv_size : *longest;
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return count;
}

/* LMDB looks long for pages that are neighbours; so nothing may need two. */
TEST(no_value_is_longer_than_a_page_whatever_a_message_is)
{
	const size_t page = MW_PACK_MAX - sizeof(struct mw_pack_head) - mw_pack_record_size(0);
	const size_t lens[] = {page - 1,      page, page + 1, page + MW_PACK_MAX, page + MW_PACK_MAX + 1,
			       MW_MESSAGE_MAX};
	const size_t count = sizeof lens / sizeof *lens;
	size_t longest;
	r.weir_config.batch_messages = 1;
	reopen();
	for (size_t i = 0; i < count; i++) {
		push("a", "{small}");
		push_large(lens[i]);
		CHECK(rig_commit(&r) == MW_OK);
	}
	rig_close(&r);
	CHECK(entries(&longest) == count + 1 + 1 + 2 + 2 + 3 + 8 && longest == MW_PACK_MAX);
	CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 2 * count);
	for (size_t i = 0; i < count; i++) {
		CHECK(rig_next(&r) == 1 && batch_is("{small}"));
		rig_answer(&r, 200);
		CHECK(rig_next(&r) == 1 && r.batch.len == lens[i]);
		push_large(lens[i]);
		mw_outbox_clear(&r.box);
		CHECK(memcmp(r.batch.data, large, lens[i]) == 0);
		rig_answer(&r, i % 2 ? 404 : 200);
		CHECK(rig_commit(&r) == MW_OK);
		if (i == 2)
			reopen();
	}
	CHECK(rig_counts(&r).queued == 0);
	rig_close(&r);
	CHECK(entries(&longest) == 0);
	CHECK(rig_open(&r) == MW_OK);
}

/* Takes a piece of lane 0's pack away. */
static void lose_piece(uint64_t first, uint8_t piece)
{
	char path[300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi db;
	struct mw_spool_key at = mw_spool_key(0, first);
	uint8_t bytes[MW_PIECE_KEY_LEN] = {0};
	memcpy(bytes, at.bytes, sizeof at.bytes);
	bytes[MW_PIECE_KEY_LEN - 1] = piece;
	MDB_val key = {piece ? sizeof bytes : sizeof at.bytes, bytes};
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0);
	CHECK(mdb_env_open(env, path, 0, 0600) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0);
	CHECK(mdb_dbi_open(txn, "messages", 0, &db) == 0 && mdb_del(txn, db, &key, NULL) == 0);
	CHECK(mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
}

TEST(a_lost_piece_costs_its_message_and_no_other)
{
	for (uint8_t piece = 0; piece < 3; piece++) {
		uint64_t before = rig_counts(&r).accepted;
		push("a", "{before}");
		CHECK(rig_commit(&r) == MW_OK);
		push_large(2 * MW_PACK_MAX + 100);
		CHECK(rig_commit(&r) == MW_OK);
		push("a", "{behind}");
		CHECK(rig_commit(&r) == MW_OK);
		rig_close(&r);
		lose_piece(before + 1, piece);
		CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 3);
		CHECK(rig_next(&r) == 1 && batch_is("{before}"));
		rig_answer(&r, 200);
		CHECK(rig_next(&r) == 1 && batch_is("{behind}"));
		rig_answer(&r, 200);
		CHECK(rig_commit(&r) == MW_OK);
		CHECK(rig_counts(&r).dead == piece + 1u && rig_counts(&r).queued == 0);
	}
}

/* ---- opening */

TEST(each_process_has_a_partition_and_a_dead_ones_is_taken_over)
{
	struct spool_rig second = r;
	push("a", "{1}");
	CHECK(rig_commit(&r) == MW_OK);
	second.spool = NULL;
	mw_outbox_init(&second.box, SIZE_MAX);
	CHECK(rig_open(&second) == MW_OK && mw_spool_stats(second.spool).partition == 1);
	CHECK(rig_counts(&second).queued == 0);
	rig_close(&second);

	pid_t child = fork();
	if (child == 0) {
		/* The parent lives, so the first is not to be had. */
		bool ok = rig_open(&second) == MW_OK && mw_spool_stats(second.spool).partition == 1;
		rig_add(&second, "b", rig_span("{2}"), 0, MW_PARCEL_MESSAGE);
		ok = ok && rig_commit(&second) == MW_OK;
		_exit(ok ? 0 : 1); /* as a crash does */
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK && mw_spool_stats(r.spool).partition == 0 && rig_counts(&r).queued == 1);
	CHECK(rig_open(&second) == MW_OK && rig_next(&second) == 1);
	CHECK(mw_span_is(mw_buf_span(&second.batch), "{2}"));
	rig_deinit(&second);
}

TEST(a_signal_leaves_no_holes_in_the_lock_file)
{
	char path[300];
	struct stat st;
	rig_close(&r);
	snprintf(path, sizeof path, "%s/p0/lock.mdb", r.config.dir);
	CHECK(unlink(path) == 0);
	interruptions = 1;
	CHECK(rig_open(&r) == MW_OK && interruptions == 0);
	CHECK(stat(path, &st) == 0 && st.st_size > 65536 && st.st_blocks * 512 >= st.st_size);
}

static void change_format(uint32_t format)
{
	char path[300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 16) == 0);
	CHECK(mdb_env_open(env, path, 0, 0600) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0);
	CHECK(mdb_dbi_open(txn, "meta", 0, &meta) == 0);
	MDB_val key = {6, "format"}, value = {sizeof format, &format};
	CHECK(mdb_put(txn, meta, &key, &value, 0) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
}

TEST(what_cannot_be_looked_at_is_not_taken_for_damaged)
{
	push("a", "{1}");
	push("a", "{2}");
	CHECK(rig_commit(&r) == MW_OK);
	cursor_fault = ENOMEM;
	CHECK(rig_next(&r) == 2 && batch_is("{1},{2}"));
	cursor_fault = 0;
	rig_answer(&r, MW_STATUS_UNSENT);
	renew_fault = MDB_PANIC;
	CHECK(rig_next(&r) == 0 && rig_counts(&r).in_flight == 1 && rig_counts(&r).dead == 0);
	renew_fault = 0;
	rig_answer(&r, MW_STATUS_UNSENT);
	push("a", "{3}");
	CHECK(rig_commit(&r) == MW_IO);
	reopen();
	CHECK(rig_counts(&r).queued == 2 && rig_next(&r) == 2 && batch_is("{1},{2}"));
}

TEST(a_spool_of_a_newer_moonweir_is_refused)
{
	rig_close(&r);
	change_format(99);
	CHECK(rig_open(&r) == MW_VERSION && strstr(r.error.detail, "format 99"));
	change_format(1);
	CHECK(rig_open(&r) == MW_OK);
}

/* Changes a byte of `text` wherever the data file has it: copies of pages from before are there too. */
static void damage(const char *text)
{
	char path[300];
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	FILE *f = fopen(path, "r+b");
	static char bytes[1 << 20];
	size_t len = fread(bytes, 1, sizeof bytes, f);
	int found = 0;
	for (char *at = bytes; (at = memmem(at, len - (size_t)(at - bytes), text, strlen(text)));
	     at++, found++) {
		fseek(f, at - bytes, SEEK_SET);
		fputc('?', f);
	}
	fclose(f);
	CHECK(found > 0);
}

TEST(damage_costs_what_it_hit_and_nothing_else)
{
	push("a", "{first}");
	CHECK(rig_commit(&r) == MW_OK);
	push("a", "{second}");
	push("a", "{third}");
	CHECK(rig_commit(&r) == MW_OK);
	push("a", "{fourth}");
	push("b", "{other}");
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
	damage("{third}");
	CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 5);
	CHECK(rig_next(&r) == 1 && batch_is("{first}"));
	rig_answer(&r, 200);
	CHECK(rig_next(&r) == 1 && batch_is("{other}"));
	rig_answer(&r, 200);
	CHECK(rig_next(&r) == 1 && batch_is("{fourth}"));
	rig_answer(&r, 200);
	CHECK(rig_commit(&r) == MW_OK && mw_spool_stats(r.spool).damaged == 2);
	reopen();
	const struct mw_counts c = rig_counts(&r);
	CHECK(c.accepted == 5 && c.delivered == 3 && c.dead == 2 && rig_next(&r) == 0);
}

TEST(what_the_disk_changed_while_it_was_in_flight_is_a_letter_too)
{
	push("a", "{first}");
	push("a", "{second}");
	CHECK(rig_commit(&r) == MW_OK);
	push("a", "{third}");
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(rig_next(&r) == 3);
	damage("{third}");
	rig_answer(&r, 404);
	CHECK(rig_commit(&r) == MW_OK && rig_counts(&r).dead == 3);
	const struct mw_spool_stats stats = mw_spool_stats(r.spool);
	CHECK(stats.letters == 3 && stats.damaged == 1 && stats.letters_lost == 0);
}

TEST(a_letter_from_before_all_time_is_old)
{
	const struct mw_dead_letter letter = {.at = INT64_MIN, .code = MW_SPAN("refused"), .count = 1};
	struct mw_buf bytes;
	mw_buf_init(&bytes, SIZE_MAX);
	r.config.dead_ms = 1000;
	reopen();
	CHECK(mw_dead_letter_write(&bytes, &letter) == MW_OK);
	rig_add(&r, "a", mw_buf_span(&bytes), 0, MW_PARCEL_DEAD);
	mw_buf_deinit(&bytes);
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(mw_spool_stats(r.spool).letters == 0 && mw_spool_stats(r.spool).dead_dropped == 1);
}

TEST(a_file_that_was_cut_short_is_damaged_and_ends_nobody)
{
	char path[300];
	for (int i = 0; i < 200; i++)
		push("a", "{a message that takes some room, so that there is more than a page}");
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	CHECK(truncate(path, 10000) == 0 && rig_open(&r) == MW_CORRUPT);
}

#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		set_up();                                                                                    \
		RUN(name);                                                                                   \
		rig_deinit(&r);                                                                              \
	} while (0)

int main(void)
{
	RUN_FRESH(what_is_committed_is_there_after_a_crash_and_in_order);
	RUN_FRESH(what_is_settled_leaves_with_the_next_commit);
	RUN_FRESH(a_batch_is_its_own_however_late_it_is_read);
	RUN_FRESH(a_wall_clock_that_was_set_back_makes_nothing_wait);
	RUN_FRESH(any_history_with_crashes_keeps_every_message_and_its_place);
	RUN_FRESH(an_id_that_was_seen_is_not_queued_again);
	RUN_FRESH(a_commit_that_could_not_begin_takes_no_id_back);
	RUN_FRESH(a_full_spool_refuses_what_is_new_and_still_drains);
	RUN_FRESH(a_spool_that_may_be_smaller_than_it_is_drains);
	RUN_FRESH(free_pages_are_not_counted_with_each_commit_once_the_file_was_full);
	RUN_FRESH(a_reader_that_died_does_not_make_the_file_grow);
	RUN_FRESH(what_found_no_room_is_no_repeat_of_itself);
	RUN_FRESH(no_value_is_longer_than_a_page_whatever_a_message_is);
	RUN_FRESH(a_lost_piece_costs_its_message_and_no_other);
	RUN_FRESH(each_process_has_a_partition_and_a_dead_ones_is_taken_over);
	RUN_FRESH(a_signal_leaves_no_holes_in_the_lock_file);
	RUN_FRESH(what_cannot_be_looked_at_is_not_taken_for_damaged);
	RUN_FRESH(a_spool_of_a_newer_moonweir_is_refused);
	RUN_FRESH(damage_costs_what_it_hit_and_nothing_else);
	RUN_FRESH(what_the_disk_changed_while_it_was_in_flight_is_a_letter_too);
	RUN_FRESH(a_letter_from_before_all_time_is_old);
	RUN_FRESH(a_file_that_was_cut_short_is_damaged_and_ends_nobody);
	return CHECK_END();
}
