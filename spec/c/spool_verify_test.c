#include "../../csrc/io/spool_own.h"
#include "../../csrc/io/spool_verify.h"
#include "spool_rig.h"

#include <sys/stat.h>
#include <sys/wait.h>

static struct spool_rig r;

static void set_up(void)
{
	rig_set_up(&r, "verify");
}

/* ---- a spool with something of everything: lane a 10 messages in 3 packs, 2 delivered; b 2 messages; c a
 * dead one */

static void push(const char *account, const char *message)
{
	rig_add(&r, account, rig_span(message), 7, MW_PARCEL_REPEATABLE);
}

static void push_number(const char *account, int number)
{
	char text[100];
	snprintf(text, sizeof text, "{\"type\":\"track\",\"userId\":\"u\",\"messageId\":\"%s-%d\"}", account,
		 number);
	push(account, text);
}

static void furnish(void)
{
	r.config.repeats_ms = 1000000;
	r.weir_config.batch_messages = 2;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	push_number("c", 1);
	CHECK(rig_commit(&r) == MW_OK && rig_next(&r) == 1);
	rig_answer(&r, 404);
	for (int i = 0; i < 9; i += 3) {
		for (int k = 0; k < 3; k++)
			push_number("a", i + k);
		CHECK(rig_commit(&r) == MW_OK);
	}
	CHECK(rig_next(&r) == 2);
	rig_answer(&r, 200);
	push_number("b", 1);
	push_number("b", 2);
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
}

/* Lanes, in the order of their first message. */
enum { LANE_C, LANE_A, LANE_B };

/* ---- what verify says */

static struct {
	enum mw_err err;
	struct mw_verify_counts sums, a;
	bool is_balanced;
	uint64_t lanes, letters, count, partitions;
	pid_t owner;
	enum mw_finding first;
	char text[300];
} seen;

static void verify(void)
{
	struct mw_verify *v = NULL;
	struct mw_verify_record record = {.kind = MW_VERIFY_PROGRESS};
	memset(&seen, 0, sizeof seen);
	seen.is_balanced = true;
	seen.err = mw_verify_open(r.config.dir, &v, &r.error);
	while (seen.err == MW_OK && (seen.err = mw_verify_next(v, &record, &r.error)) == MW_OK &&
	       record.kind != MW_VERIFY_END) {
		if (record.kind == MW_VERIFY_FINDING && seen.count++ == 0) {
			seen.first = record.finding;
			snprintf(seen.text, sizeof seen.text, "%.*s|%.*s", (int)record.account.len,
				 (const char *)record.account.at, (int)record.text.len,
				 (const char *)record.text.at);
		} else if (record.kind == MW_VERIFY_LANE && mw_span_is(record.account, "a")) {
			seen.a = record.counts;
		} else if (record.kind == MW_VERIFY_PARTITION) {
			seen.sums = record.counts;
			seen.lanes += record.lanes;
			seen.letters += record.letters;
			seen.owner = record.owner;
			seen.is_balanced &= record.is_balanced;
			seen.partitions++;
		}
	}
	mw_verify_close(v);
}

static bool finds(enum mw_finding finding, const char *text)
{
	verify();
	bool right = seen.err == MW_OK && seen.count > 0 && seen.first == finding && strstr(seen.text, text);
	if (!right)
		fprintf(stderr, "%llu findings, the first: %s: %s\n", (unsigned long long)seen.count,
			seen.count ? mw_finding_word(seen.first) : "", seen.text);
	return right;
}

/* ---- damage, through LMDB */

static MDB_env *env;
static MDB_txn *txn;

static MDB_dbi begin(const char *name)
{
	char path[300];
	MDB_dbi db = 0;
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 8) != 0 ||
	    mdb_env_open(env, path, 0, 0600) != 0 || mdb_txn_begin(env, NULL, 0, &txn) != 0 ||
	    mdb_dbi_open(txn, name, 0, &db) != 0)
		abort();
	return db;
}

static void end(void)
{
	if (mdb_txn_commit(txn) != 0)
		abort();
	mdb_env_close(env);
}

/* An entry's value, copied; the entry is deleted. */
static size_t take(MDB_dbi db, const void *key, size_t key_len, uint8_t *bytes, size_t room)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v;
	if (mdb_get(txn, db, &k, &v) != 0 || v.mv_size > room)
		abort();
	size_t len = v.mv_size;
	memcpy(bytes, v.mv_data, len);
	if (mdb_del(txn, db, &k, NULL) != 0)
		abort();
	return len;
}

static void put(MDB_dbi db, const void *key, size_t key_len, const void *bytes, size_t len)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, (void *)(uintptr_t)bytes};
	if (mdb_put(txn, db, &k, &v, 0) != 0)
		abort();
}

/* Changes a bit of a value. */
static void flip(const char *name, const void *key, size_t key_len, size_t at)
{
	uint8_t bytes[4096];
	MDB_dbi db = begin(name);
	size_t len = take(db, key, key_len, bytes, sizeof bytes);
	bytes[at < len ? at : len - 1] ^= 0x10;
	put(db, key, key_len, bytes, len);
	end();
}

/* Gives a pack another place, or takes it away (`to` NULL). */
static void move_pack(uint32_t lane, uint64_t first, const struct mw_spool_key *to)
{
	uint8_t bytes[4096];
	struct mw_spool_key from = mw_spool_key(lane, first);
	MDB_dbi db = begin("messages");
	size_t len = take(db, from.bytes, sizeof from.bytes, bytes, sizeof bytes);
	if (to)
		put(db, to->bytes, sizeof to->bytes, bytes, len);
	end();
}

/* Lane a's row says something else, with a sum that is right. */
static void rewrite_row(void (*change)(struct mw_spool_row *))
{
	const uint8_t key[4] = {0, 0, 0, LANE_A};
	struct {
		struct mw_spool_row row;
		uint8_t name[256];
	} value;
	MDB_dbi db = begin("lanes");
	size_t len = take(db, key, sizeof key, (uint8_t *)&value, sizeof value);
	change(&value.row);
	value.row.sum = mw_spool_row_sum(&value.row, (struct mw_span){value.name, len - sizeof value.row});
	put(db, key, sizeof key, &value, len);
	end();
}

/* Lane a's pack says something else, with sums that are right. */
static void rewrite_pack(uint64_t first, uint64_t bytes_more, uint32_t count_more)
{
	static uint8_t bytes[4096], copy[4096];
	struct mw_spool_key key = mw_spool_key(LANE_A, first);
	MDB_dbi db = begin("messages");
	size_t len = take(db, key.bytes, sizeof key.bytes, bytes, sizeof bytes);
	struct mw_pack pack;
	struct mw_pack_writer w;
	struct mw_span message;
	int64_t tag;
	if (!mw_pack_open((struct mw_span){bytes, len}, &pack))
		abort();
	mw_pack_begin(&w, copy, pack.head.bytes_before + bytes_more, pack.head.since);
	while (mw_pack_next(&pack, &message, &tag))
		mw_pack_add(&w, message, tag);
	w.head.count += count_more;
	mw_pack_end(&w);
	put(db, key.bytes, sizeof key.bytes, copy, len);
	end();
}

/* ---- nothing wrong */

TEST(a_spool_at_rest_is_counted_and_found_whole)
{
	furnish();
	verify();
	CHECK(seen.err == MW_OK && seen.count == 0 && seen.is_balanced && seen.owner == 0);
	CHECK(seen.partitions == 1 && seen.lanes == 3 && seen.letters == 1);
	CHECK(seen.sums.accepted == 12 && seen.sums.delivered == 2 && seen.sums.dead == 1 &&
	      seen.sums.queued == 9);
	CHECK(seen.a.accepted == 9 && seen.a.delivered == 2 && seen.a.queued == 7 && seen.a.packs == 3);
	CHECK(seen.a.queued_bytes == 7 * 47);
	CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 9); /* and is as it was */
}

TEST(a_spool_is_verified_by_the_process_that_owns_it_and_stays_its_own)
{
	furnish();
	CHECK(rig_open(&r) == MW_OK);
	verify();
	CHECK(seen.err == MW_OK && seen.count == 0 && seen.owner == getpid() && seen.sums.accepted == 12);
	push_number("a", 100);
	CHECK(rig_commit(&r) == MW_OK);
	verify();
	CHECK(seen.count == 0 && seen.owner == getpid() && seen.sums.accepted == 13 &&
	      seen.sums.queued == 10);
	pid_t child = fork();
	if (child == 0) { /* the lock is still held */
		struct mw_spool *other;
		bool ok = mw_spool_open(&r.config, r.now, &other, &r.error) == MW_OK &&
			  mw_spool_stats(other).partition == 1;
		_exit(ok ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(every_instant_of_a_spool_at_work_is_balanced)
{
	int pipes[2];
	rig_close(&r);
	CHECK(pipe(pipes) == 0);
	pid_t child = fork();
	if (child == 0) {
		uint64_t random = 1;
		bool ok = rig_open(&r) == MW_OK;
		for (int step = 0; ok; step++) {
			char name[8];
			for (uint64_t n = check_random(&random) % 200; n > 0; n--) {
				snprintf(name, sizeof name, "a%d", (int)(check_random(&random) % 20));
				push_number(name, step);
			}
			ok = rig_commit(&r) == MW_OK;
			while (ok && check_random(&random) % 20 != 0 && rig_next(&r) > 0)
				rig_answer(&r, check_random(&random) % 10 == 0 ? 404 : 200);
			if (step == 5 && write(pipes[1], "!", 1) != 1)
				ok = false;
		}
		_exit(1);
	}
	char go;
	CHECK(read(pipes[0], &go, 1) == 1);
	uint64_t accepted = 0;
	for (int i = 0, times = getenv("MW_VALGRIND") ? 5 : 50; i < times; i++) {
		verify();
		CHECK(seen.err == MW_OK && seen.count == 0 && seen.is_balanced && seen.owner == child);
		CHECK(seen.sums.accepted >= accepted);
		accepted = seen.sums.accepted;
	}
	kill(child, SIGKILL);
	CHECK(waitpid(child, NULL, 0) == child);
	verify();
	CHECK(seen.count == 0 && seen.owner == 0 && seen.is_balanced && accepted > 0);
}

TEST(a_pack_of_which_a_part_is_settled_is_no_finding)
{
	r.weir_config.batch_messages = 1;
	furnish();
	CHECK(rig_open(&r) == MW_OK);
	for (int i = 0; i < 9; i++) {
		CHECK(rig_next(&r) > 0);
		rig_answer(&r, i % 3 ? 200 : 404);
		CHECK(rig_commit(&r) == MW_OK);
		verify();
		CHECK(seen.count == 0 && seen.is_balanced);
		if (seen.sums.queued == 0)
			break;
	}
	CHECK(seen.sums.queued == 0 && seen.sums.accepted == 12);
}

TEST(what_is_no_spool_is_said_and_not_made)
{
	struct mw_verify *v;
	struct stat st;
	rig_close(&r);
	CHECK(mw_verify_open(folder_path("nowhere"), &v, &r.error) == MW_IO &&
	      strstr(r.error.detail, "nowhere"));
	CHECK(stat(folder_path("nowhere"), &st) != 0);
	CHECK(mkdir(folder_path("empty"), 0700) == 0);
	CHECK(mw_verify_open(folder_path("empty"), &v, &r.error) == MW_IO &&
	      strstr(r.error.detail, "holds no spool"));
}

TEST(a_partition_that_was_never_written_to_is_no_finding)
{
	char path[300];
	rig_close(&r);
	snprintf(path, sizeof path, "%s/p1", r.config.dir);
	CHECK(mkdir(path, 0700) == 0);
	verify();
	CHECK(seen.err == MW_OK && seen.count == 0 && seen.partitions == 1);
	CHECK(mdb_env_create(&env) == 0 && mdb_env_open(env, path, 0, 0600) == 0);
	mdb_env_close(env);
	verify();
	CHECK(seen.err == MW_OK && seen.count == 0 && seen.partitions == 2);
}

/* ---- one test for each kind of damage */

TEST(a_changed_row_is_found)
{
	const uint8_t key[4] = {0, 0, 0, LANE_A};
	furnish();
	for (size_t at = 0; at <= sizeof(struct mw_spool_row); at += 8) {
		flip("lanes", key, sizeof key, at);
		CHECK(finds(MW_FINDING_LANE, "lane 1: its row is damaged"));
		flip("lanes", key, sizeof key, at);
		verify();
		CHECK(seen.count == 0);
	}
}

TEST(a_missing_row_is_found_and_its_packs_are_strays)
{
	const uint8_t key[4] = {0, 0, 0, LANE_A};
	uint8_t bytes[300];
	furnish();
	MDB_dbi db = begin("lanes");
	take(db, key, sizeof key, bytes, sizeof bytes);
	end();
	CHECK(finds(MW_FINDING_LANE, "lane 1 is missing"));
	CHECK(seen.count == 1 + 3 + 1 && !seen.is_balanced); /* its packs and the total */
}

static void too_many_dead(struct mw_spool_row *row)
{
	row->dead = row->head + 1;
}

static void other_bytes(struct mw_spool_row *row)
{
	row->head_bytes++;
}

static void head_beyond_all(struct mw_spool_row *row)
{
	row->head = 12;
}

static void further_head(struct mw_spool_row *row)
{
	row->head = 4;
}

TEST(a_row_that_does_not_fit_its_packs_is_found)
{
	furnish();
	rewrite_row(other_bytes);
	CHECK(finds(MW_FINDING_BYTES, "the row counts other bytes"));
	rewrite_row(further_head);
	CHECK(finds(MW_FINDING_SETTLED, "a|lane 1: messages 0 to 2"));
	rewrite_row(too_many_dead);
	CHECK(finds(MW_FINDING_LANE, "a|lane 1: 5 dead messages of 4 settled"));
}

TEST(packs_that_are_settled_and_still_there_are_not_queued)
{
	furnish();
	rewrite_row(head_beyond_all);
	CHECK(finds(MW_FINDING_SETTLED, "a|lane 1: messages 0 to 2"));
	CHECK(rig_open(&r) == MW_OK && rig_counts(&r).queued == 2);
	CHECK(rig_next(&r) == 2);
}

TEST(a_missing_pack_is_found_wherever_it_was)
{
	furnish();
	move_pack(LANE_A, 6, NULL); /* the newest: no other pack tells of it */
	CHECK(finds(MW_FINDING_TOTAL, "12 messages were accepted, the lanes tell of 9") && !seen.is_balanced);
	move_pack(LANE_B, 0, NULL); /* the only one */
	CHECK(finds(MW_FINDING_TOTAL, "12 messages were accepted, the lanes tell of 7"));
}

TEST(a_missing_pack_between_others_is_a_gap)
{
	furnish();
	move_pack(LANE_A, 3, NULL);
	CHECK(finds(MW_FINDING_GAP, "a|lane 1: messages 3 to 5: missing") && !seen.is_balanced);
	move_pack(LANE_A, 0, NULL);
	CHECK(finds(MW_FINDING_GAP, "a|lane 1: messages 2 to 5: missing"));
}

TEST(packs_out_of_place_are_found)
{
	struct mw_spool_key to = mw_spool_key(LANE_A, 2), back = mw_spool_key(LANE_A, 3);
	furnish();
	move_pack(LANE_A, 3, &to);
	CHECK(finds(MW_FINDING_OVERLAP, "a|lane 1: messages 2 to 2: in two packs"));
	move_pack(LANE_A, 2, &back);
	to = mw_spool_key(77, 5);
	move_pack(LANE_B, 0, &to);
	CHECK(finds(MW_FINDING_STRAY, "lane 77 is not known"));
}

TEST(every_byte_of_a_pack_counts)
{
	struct mw_spool_key key = mw_spool_key(LANE_A, 3);
	furnish();
	for (size_t at = 0; at < sizeof(struct mw_pack_head) + 3 * mw_pack_record_size(47);
	     at += getenv("MW_VALGRIND") ? 29 : 3) {
		flip("messages", key.bytes, sizeof key.bytes, at);
		CHECK(finds(MW_FINDING_PACK, "lane 1: "));
		flip("messages", key.bytes, sizeof key.bytes, at);
	}
	verify();
	CHECK(seen.count == 0);
}

TEST(a_pack_that_says_something_wrong_about_itself_is_found)
{
	furnish();
	rewrite_pack(3, 1, 0);
	CHECK(finds(MW_FINDING_BYTES, "messages 3 to 5: the pack before says"));
	rewrite_pack(3, UINT64_MAX, 0); /* right again */
	rewrite_pack(6, 0, 1);
	CHECK(finds(MW_FINDING_TOTAL, "12 messages were accepted, the lanes tell of 13"));
	verify();
	CHECK(seen.count == 2); /* and that it holds three */
}

/* Lane a gets a message of four pieces, and one behind it. */
static void push_large(void)
{
	static uint8_t text[3 * MW_PIECE_MAX + 100];
	memset(text, 'x', sizeof text);
	CHECK(rig_open(&r) == MW_OK);
	rig_add(&r, "a", (struct mw_span){text, sizeof text}, 0, MW_PARCEL_MESSAGE);
	push_number("a", 1000);
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
}

TEST(a_pack_in_pieces_is_whole_only_with_all_of_them)
{
	uint8_t key[MW_PIECE_KEY_LEN] = {0}, bytes[MW_PIECE_MAX];
	struct mw_spool_key at = mw_spool_key(LANE_A, 9);
	furnish();
	push_large();
	verify();
	CHECK(seen.count == 0 && seen.a.queued == 9 && seen.a.packs == 5);
	CHECK(seen.a.queued_bytes == 7 * 47 + 50 + 3 * MW_PIECE_MAX + 100);
	memcpy(key, at.bytes, sizeof at.bytes);
	for (uint8_t piece = 1; piece <= 3; piece++) {
		key[13] = piece;
		flip("messages", key, sizeof key, 50);
		CHECK(finds(MW_FINDING_PACK, "lane 1: messages 9 to 9: damaged") && seen.count == 1);
		flip("messages", key, sizeof key, 50);
		MDB_dbi db = begin("messages");
		size_t len = take(db, key, sizeof key, bytes, sizeof bytes);
		end();
		CHECK(finds(MW_FINDING_PACK, "lane 1: messages 9 to 9: damaged") && seen.is_balanced);
		db = begin("messages");
		put(db, key, sizeof key, bytes, len);
		end();
	}
	verify();
	CHECK(seen.count == 0);
	key[13] = 4;
	MDB_dbi db = begin("messages");
	put(db, key, sizeof key, "more", 4);
	end();
	CHECK(finds(MW_FINDING_STRAY, "a piece of a pack") && seen.count == 1);
}

TEST(damaged_letters_and_metadata_are_found)
{
	const uint8_t letter[8] = {0};
	furnish();
	flip("meta", "total", 5, 0);
	CHECK(finds(MW_FINDING_META, "accepted is damaged"));
	flip("meta", "total", 5, 0);
	flip("dead", letter, sizeof letter, 20);
	CHECK(finds(MW_FINDING_LETTER, "dead letter 0 is damaged"));
	flip("dead", letter, sizeof letter, 20);
	const uint32_t format = 99;
	MDB_dbi db = begin("meta");
	put(db, "format", 6, &format, sizeof format);
	end();
	CHECK(finds(MW_FINDING_FORMAT, "format 99") && seen.count == 1);
}

TEST(a_file_that_was_cut_off_is_a_finding_and_no_crash)
{
	char path[300];
	struct stat st;
	furnish();
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	CHECK(truncate(path, 3 * 4096) == 0 && stat(path, &st) == 0);
	CHECK(finds(MW_FINDING_CRASH, "can't be read"));
}

TEST(no_byte_of_the_file_can_crash_verify_or_keep_it_from_ending)
{
	static uint8_t bytes[1 << 20];
	char path[300];
	uint64_t random = check_seed("spool_verify");
	unsigned found = 0, rounds = getenv("MW_VALGRIND") ? 30 : 300;
	furnish();
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	FILE *f = fopen(path, "r+b");
	size_t len = fread(bytes, 1, sizeof bytes, f);
	for (unsigned i = 0; i < rounds; i++) {
		/* Where there is something: most of the file is empty. */
		size_t at, run = 1 + check_random(&random) % 8;
		do
			at = check_random(&random) % len;
		while (bytes[at] == 0);
		for (size_t k = at; k < at + run && k < len; k++) {
			fseek(f, (long)k, SEEK_SET);
			fputc((int)(check_random(&random) & 0xff), f);
		}
		fflush(f);
		verify();
		CHECK(seen.err == MW_OK);
		found += seen.count > 0;
		fseek(f, (long)at, SEEK_SET);
		fwrite(bytes + at, 1, at + run < len ? run : len - at, f);
		fflush(f);
	}
	fclose(f);
	CHECK(found > 0);
	verify();
	CHECK(seen.err == MW_OK && seen.count == 0);
}

#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		set_up();                                                                                    \
		RUN(name);                                                                                   \
		rig_deinit(&r);                                                                              \
	} while (0)

int main(void)
{
	RUN_FRESH(a_spool_at_rest_is_counted_and_found_whole);
	RUN_FRESH(a_spool_is_verified_by_the_process_that_owns_it_and_stays_its_own);
	RUN_FRESH(every_instant_of_a_spool_at_work_is_balanced);
	RUN_FRESH(a_pack_of_which_a_part_is_settled_is_no_finding);
	RUN_FRESH(what_is_no_spool_is_said_and_not_made);
	RUN_FRESH(a_partition_that_was_never_written_to_is_no_finding);
	RUN_FRESH(a_changed_row_is_found);
	RUN_FRESH(a_missing_row_is_found_and_its_packs_are_strays);
	RUN_FRESH(a_row_that_does_not_fit_its_packs_is_found);
	RUN_FRESH(packs_that_are_settled_and_still_there_are_not_queued);
	RUN_FRESH(a_missing_pack_is_found_wherever_it_was);
	RUN_FRESH(a_missing_pack_between_others_is_a_gap);
	RUN_FRESH(packs_out_of_place_are_found);
	RUN_FRESH(every_byte_of_a_pack_counts);
	RUN_FRESH(a_pack_that_says_something_wrong_about_itself_is_found);
	RUN_FRESH(a_pack_in_pieces_is_whole_only_with_all_of_them);
	RUN_FRESH(damaged_letters_and_metadata_are_found);
	RUN_FRESH(a_file_that_was_cut_off_is_a_finding_and_no_crash);
	RUN_FRESH(no_byte_of_the_file_can_crash_verify_or_keep_it_from_ending);
	return CHECK_END();
}
