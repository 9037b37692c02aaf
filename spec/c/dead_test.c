#include "../../csrc/core/dead_letter.h"
#include "../../csrc/io/dead.h"
#include "spool_rig.h"

#include <lmdb.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct spool_rig r;
static struct mw_error error;
static const struct mw_dead_filter any;

static int64_t wall(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_up(void)
{
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "dead-%u", count++);
	rig_init(&r, name);
	CHECK(rig_open(&r) == MW_OK);
}

/* A letter into the box, as a mapper does it. */
static void write_letter(const struct mw_dead_letter *letter)
{
	struct mw_outbox_mark mark = mw_outbox_mark(&r.box);
	if (mw_outbox_begin(&r.box, letter->account, 0, MW_PARCEL_DEAD) != MW_OK ||
	    mw_dead_letter_write(&r.box.bytes, letter) != MW_OK || mw_outbox_end(&r.box, mark) != MW_OK)
		abort();
}

static void die(const char *account, const char *code, const char *event)
{
	write_letter(&(struct mw_dead_letter){.at = wall(),
					      .account = rig_span(account),
					      .code = rig_span(code),
					      .source = MW_SPAN("acme 1.0"),
					      .event = rig_span(event)});
}

/* "0-0:event 0-1:event ", of those that match */
static char listed[4096];

static bool list_one(void *context, struct mw_dead_id id, const struct mw_dead_letter *letter)
{
	char name[MW_DEAD_ID_MAX];
	size_t *left = context, len = strlen(listed);
	mw_dead_id_write(id, name);
	struct mw_span text = letter->event.len > 0 ? letter->event : letter->message;
	snprintf(listed + len, sizeof listed - len, "%s:%.*s ", name, (int)text.len, (const char *)text.at);
	return --*left > 0;
}

static const char *list(const struct mw_dead_filter *filter, size_t max)
{
	listed[0] = '\0';
	mw_error_clear(&error);
	return mw_dead_each(r.config.dir, filter, list_one, &max, &error) == MW_OK ? listed : error.detail;
}

static bool lists(const struct mw_dead_filter *filter, const char *expected)
{
	const char *found = list(filter, SIZE_MAX);
	if (strcmp(found, expected) != 0)
		fprintf(stderr, "found: %s\n", found);
	return strcmp(found, expected) == 0;
}

TEST(a_letter_is_written_and_read_whole_and_damage_is_seen)
{
	const struct mw_dead_letter written = {
	    .at = 12345,
	    .tag = -7,
	    .status = 400,
	    .attempts = 3,
	    .count = 1,
	    .format = 2,
	    .account = MW_SPAN("acct"),
	    .code = MW_SPAN("refused"),
	    .reason = MW_SPAN("why"),
	    .place = MW_SPAN("a.lua:3"),
	    .source = MW_SPAN("acme 1"),
	    .answer = MW_SPAN("no"),
	    .headers = MW_SPAN("X-A\0one\0X-B\0\0"),
	    .event = MW_SPAN("{}"),
	    .message = MW_SPAN("{\"a\":1}"),
	};
	struct mw_buf b;
	mw_buf_init(&b, SIZE_MAX);
	CHECK(mw_dead_letter_write(&b, &written) == MW_OK);
	struct mw_dead_letter l;
	CHECK(mw_dead_letter_read(mw_buf_span(&b), &l));
	CHECK(l.at == 12345 && l.tag == -7 && l.status == 400 && l.attempts == 3 && l.count == 1 &&
	      l.format == 2);
	CHECK(mw_span_is(l.account, "acct") && mw_span_is(l.code, "refused") && mw_span_is(l.reason, "why"));
	CHECK(mw_span_is(l.place, "a.lua:3") && mw_span_is(l.source, "acme 1") && mw_span_is(l.answer, "no"));
	CHECK(mw_span_is(l.event, "{}") && mw_span_is(l.message, "{\"a\":1}"));
	struct mw_span name, value;
	size_t position = 0;
	CHECK(mw_dead_letter_header(&l, &position, &name, &value));
	CHECK(mw_span_is(name, "X-A") && mw_span_is(value, "one"));
	CHECK(mw_dead_letter_header(&l, &position, &name, &value));
	CHECK(mw_span_is(name, "X-B") && value.len == 0);
	CHECK(!mw_dead_letter_header(&l, &position, &name, &value));
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 1;
		CHECK(!mw_dead_letter_read(mw_buf_span(&b), &l));
		b.data[i] ^= 1;
		CHECK(!mw_dead_letter_read((struct mw_span){b.data, i}, &l));
	}
	CHECK(mw_dead_letter_at(mw_buf_span(&b)) == 12345);
	mw_buf_deinit(&b);
}

TEST(the_place_in_a_script_is_taken_out_of_an_error)
{
	const struct {
		const char *text, *place, *reason;
	} cases[] = {
	    {"acme.lua:14: order_id: no", "acme.lua:14", "order_id: no"},
	    {"/a b/acme.lua:1: x", "/a b/acme.lua:1", "x"},
	    {"byte 15: expected a value", "", "byte 15: expected a value"},
	    {"the source has no entry for \"a:1: b\"", "", "the source has no entry for \"a:1: b\""},
	    {":14: x", "", ":14: x"},
	    {"acme.lua:14", "", "acme.lua:14"},
	    {"acme.lua:: x", "", "acme.lua:: x"},
	    {"", "", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mw_span place, reason;
		mw_dead_letter_place(rig_span(cases[i].text), &place, &reason);
		CHECK(mw_span_is(place, cases[i].place) && mw_span_is(reason, cases[i].reason));
	}
}

TEST(headers_that_hold_secrets_are_known_by_their_names)
{
	CHECK(mw_dead_letter_is_secret(MW_SPAN("Authorization")));
	CHECK(mw_dead_letter_is_secret(MW_SPAN("PROXY-AUTHORIZATION")));
	CHECK(mw_dead_letter_is_secret(MW_SPAN("Set-Cookie")) &&
	      mw_dead_letter_is_secret(MW_SPAN("x-api-KEY")));
	CHECK(mw_dead_letter_is_secret(MW_SPAN("Stripe-Signature")));
	CHECK(!mw_dead_letter_is_secret(MW_SPAN("X-Topic")) && !mw_dead_letter_is_secret(MW_SPAN("")));
}

TEST(a_letters_name_is_read_back_and_nothing_else_is)
{
	struct mw_dead_id id;
	char text[MW_DEAD_ID_MAX];
	CHECK(mw_dead_id_write((struct mw_dead_id){63, UINT64_MAX}, text) ==
	      strlen("63-18446744073709551615"));
	CHECK(mw_dead_id_parse(rig_span(text), &id) && id.partition == 63 && id.number == UINT64_MAX);
	CHECK(mw_dead_id_parse(MW_SPAN("0-0"), &id) && id.partition == 0 && id.number == 0);
	const char *const bad[] = {"",     "0",    "0-",   "-1",    "0-1x",
				   "64-0", "00-1", "0-01", "0--1",  "0-1-2",
				   " 0-1", "0 1",  "+0-1", "0x0-1", "0-18446744073709551616"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(!mw_dead_id_parse(rig_span(bad[i]), &id));
}

TEST(letters_are_found_by_account_code_source_and_time)
{
	set_up();
	write_letter(&(struct mw_dead_letter){
	    .at = 100, .account = MW_SPAN("a"), .code = MW_SPAN("mapping"), .event = MW_SPAN("e1")});
	write_letter(&(struct mw_dead_letter){.at = 200,
					      .account = MW_SPAN("b"),
					      .code = MW_SPAN("no_user"),
					      .source = MW_SPAN("acme 1.0"),
					      .event = MW_SPAN("e2")});
	write_letter(&(struct mw_dead_letter){
	    .at = 300, .code = MW_SPAN("mapping"), .source = MW_SPAN("acmes 1.0"), .event = MW_SPAN("e3")});
	r.config.dead_ms = 0;
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(lists(&any, "0-0:e1 0-1:e2 0-2:e3 "));
	CHECK(lists(&(struct mw_dead_filter){.account = MW_SPAN("b")}, "0-1:e2 "));
	CHECK(lists(&(struct mw_dead_filter){.account = MW_SPAN("")}, "0-2:e3 "));
	CHECK(lists(&(struct mw_dead_filter){.code = MW_SPAN("mapping")}, "0-0:e1 0-2:e3 "));
	CHECK(lists(&(struct mw_dead_filter){.source = MW_SPAN("acme")}, "0-1:e2 "));
	CHECK(lists(&(struct mw_dead_filter){.source = MW_SPAN("acmes 1.0")}, "0-2:e3 "));
	CHECK(lists(&(struct mw_dead_filter){.since = 200}, "0-1:e2 0-2:e3 "));
	CHECK(lists(&(struct mw_dead_filter){.until = 200}, "0-0:e1 "));
	CHECK(lists(&(struct mw_dead_filter){.since = 200, .until = 300, .code = MW_SPAN("mapping")}, ""));
	CHECK(strcmp(list(&any, 2), "0-0:e1 0-1:e2 ") == 0);
	rig_deinit(&r);
}

TEST(one_letter_is_found_by_its_name)
{
	set_up();
	die("a", "mapping", "whole event");
	CHECK(rig_commit(&r) == MW_OK);
	struct mw_buf room;
	mw_buf_init(&room, SIZE_MAX);
	struct mw_dead_letter l;
	bool found;
	CHECK(mw_dead_get(r.config.dir, (struct mw_dead_id){0, 0}, &room, &l, &found, &error) == MW_OK &&
	      found);
	CHECK(mw_span_is(l.event, "whole event") && mw_span_is(l.account, "a"));
	CHECK(mw_dead_get(r.config.dir, (struct mw_dead_id){0, 1}, &room, &l, &found, &error) == MW_OK &&
	      !found);
	CHECK(mw_dead_get(r.config.dir, (struct mw_dead_id){9, 0}, &room, &l, &found, &error) == MW_OK &&
	      !found);
	CHECK(mw_dead_get("/nowhere/at/all", (struct mw_dead_id){0, 0}, &room, &l, &found, &error) == MW_IO);
	CHECK(strstr(error.detail, "/nowhere/at/all"));
	mw_buf_deinit(&room);
	rig_deinit(&r);
}

TEST(a_refused_message_has_its_letter_with_the_answer)
{
	set_up();
	r.weir_config.batch_messages = 1;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	rig_add(&r, "a", MW_SPAN("{\"messageId\":\"m1\"}"), 42, MW_PARCEL_MESSAGE);
	CHECK(rig_commit(&r) == MW_OK && rig_next(&r) == 1);
	rig_answer(&r, 400);
	CHECK(rig_commit(&r) == MW_OK);
	struct mw_buf room;
	mw_buf_init(&room, SIZE_MAX);
	struct mw_dead_letter l;
	bool found;
	CHECK(mw_dead_get(r.config.dir, (struct mw_dead_id){0, 0}, &room, &l, &found, &error) == MW_OK &&
	      found);
	CHECK(mw_span_is(l.code, "refused") && mw_span_is(l.answer, "because") && l.status == 400 &&
	      l.tag == 42);
	CHECK(mw_span_is(l.message, "{\"messageId\":\"m1\"}") && l.attempts == 1 && l.count == 1);
	mw_buf_deinit(&room);
	rig_deinit(&r);
}

TEST(letters_are_dropped_by_name_or_by_filter_and_stay_dropped)
{
	set_up();
	for (int i = 0; i < 4; i++)
		die(i % 2 ? "odd" : "even", "mapping", "e");
	CHECK(rig_commit(&r) == MW_OK);
	const struct mw_dead_id ids[] = {{0, 1}, {0, 7}, {5, 1}, {0, 1}};
	uint64_t dropped;
	CHECK(mw_dead_drop(r.config.dir, ids, 4, &dropped, &error) == MW_OK && dropped == 1);
	CHECK(lists(&any, "0-0:e 0-2:e 0-3:e "));
	CHECK(mw_dead_drop_all(r.config.dir, &(struct mw_dead_filter){.account = MW_SPAN("even")}, &dropped,
			       &error) == MW_OK &&
	      dropped == 2);
	rig_close(&r);
	CHECK(lists(&any, "0-3:e "));
	CHECK(mw_dead_drop_all(r.config.dir, &any, &dropped, &error) == MW_OK && dropped == 1);
	CHECK(lists(&any, ""));
	rig_deinit(&r);
}

TEST(a_letters_name_is_never_given_again)
{
	uint64_t dropped;
	set_up();
	die("a", "mapping", "first");
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(mw_dead_drop_all(r.config.dir, &any, &dropped, &error) == MW_OK && dropped == 1);
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	die("a", "mapping", "second");
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(lists(&any, "0-1:second "));
	rig_deinit(&r);
}

TEST(a_long_list_is_whole_whatever_the_slices)
{
	set_up();
	enum { LETTERS = 1500 };
	static char large[700 * 1024];
	memset(large, 'x', sizeof large - 1);
	for (int i = 0; i < LETTERS; i++)
		die(i % 3 ? "a" : "b", "mapping", i == 700 ? large : "e");
	r.config.dead_bytes = 32 << 20;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	for (int i = 0; i < LETTERS; i++)
		die(i % 3 ? "a" : "b", "mapping", i == 700 || i == 701 || i == 702 ? large : "e");
	CHECK(rig_commit(&r) == MW_OK);
	size_t left = SIZE_MAX;
	CHECK(mw_dead_each(r.config.dir, &any, list_one, &left, &error) == MW_OK &&
	      SIZE_MAX - left == LETTERS);
	uint64_t dropped;
	CHECK(mw_dead_drop_all(r.config.dir, &(struct mw_dead_filter){.account = MW_SPAN("b")}, &dropped,
			       &error) == MW_OK &&
	      dropped == LETTERS / 3);
	left = SIZE_MAX;
	CHECK(mw_dead_each(r.config.dir, &any, list_one, &left, &error) == MW_OK);
	CHECK(SIZE_MAX - left == LETTERS - LETTERS / 3);
	rig_deinit(&r);
}

/* ---- several owners */

TEST(another_process_reads_and_drops_beside_the_owner)
{
	set_up();
	die("a", "mapping", "e1");
	die("a", "mapping", "e2");
	CHECK(rig_commit(&r) == MW_OK);
	const struct mw_dead_id first = {0, 0};
	uint64_t dropped;
	pid_t child = fork();
	if (child == 0) /* which opens it anew: what it inherited is not its own */
		_exit(lists(&any, "0-0:e1 0-1:e2 ") &&
			      mw_dead_drop(r.config.dir, &first, 1, &dropped, &error) == MW_OK && dropped == 1
			  ? 0
			  : 1);
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(lists(&any, "0-1:e2 "));
	die("a", "mapping", "e3"); /* the owner works on */
	CHECK(rig_commit(&r) == MW_OK && lists(&any, "0-1:e2 0-2:e3 "));
	rig_deinit(&r);
}

TEST(the_owner_keeps_its_lock_while_its_letters_are_read)
{
	set_up();
	die("a", "mapping", "e");
	CHECK(rig_commit(&r) == MW_OK && lists(&any, "0-0:e "));
	pid_t child = fork();
	if (child == 0) {
		struct mw_spool *other;
		bool is_second = mw_spool_open(&r.config, 0, &other, &error) == MW_OK &&
				 mw_spool_stats(other).partition == 1;
		_exit(is_second ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	rig_deinit(&r);
}

TEST(all_partitions_of_a_spool_are_looked_at)
{
	set_up();
	struct spool_rig first = r;
	die("a", "mapping", "in the first");
	CHECK(rig_commit(&r) == MW_OK);
	first = r;
	mw_outbox_init(&r.box, SIZE_MAX);
	mw_buf_init(&r.batch, SIZE_MAX);
	CHECK(rig_open(&r) == MW_OK); /* the same directory, by the same process */
	die("a", "mapping", "in the second");
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(lists(&any, "0-0:in the first 1-0:in the second "));
	rig_close(&r); /* which is then nobody's */
	CHECK(lists(&any, "0-0:in the first 1-0:in the second "));
	rig_deinit(&r);
	r = first;
	CHECK(lists(&any, "0-0:in the first 1-0:in the second "));
	rig_deinit(&r);
}

TEST(a_partition_that_is_not_made_yet_has_no_letters)
{
	set_up();
	die("a", "mapping", "e");
	CHECK(rig_commit(&r) == MW_OK);
	char path[512];
	MDB_env *env;
	snprintf(path, sizeof path, "%s/p1", r.config.dir);
	CHECK(mkdir(path, 0700) == 0 && lists(&any, "0-0:e "));
	CHECK(mdb_env_create(&env) == 0 && mdb_env_open(env, path, 0, 0600) == 0);
	mdb_env_close(env);
	uint64_t dropped;
	CHECK(lists(&any, "0-0:e "));
	CHECK(mw_dead_drop_all(r.config.dir, &any, &dropped, &error) == MW_OK && dropped == 1);
	rig_deinit(&r);
}

static void *read_on(void *stop)
{
	size_t rounds = 0;
	const char *dir = r.config.dir;
	while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE) || rounds == 0) {
		struct mw_error e;
		struct mw_buf room;
		struct mw_dead_letter l;
		bool found;
		mw_buf_init(&room, SIZE_MAX);
		if (mw_dead_get(dir, (struct mw_dead_id){0, rounds % 50}, &room, &l, &found, &e) != MW_OK)
			return NULL;
		if (rounds % 2) {
			const struct mw_dead_id id = {0, rounds % 50};
			uint64_t dropped;
			if (mw_dead_drop(dir, &id, 1, &dropped, &e) != MW_OK)
				return NULL;
		}
		mw_buf_deinit(&room);
		rounds++;
	}
	return stop;
}

TEST(other_threads_read_and_drop_while_the_spool_commits_closes_and_opens)
{
	set_up();
	bool stop = false;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, read_on, &stop) == 0);
	bool well = true;
	for (int i = 0; well && i < 50; i++) {
		die("a", "mapping", "e");
		well = rig_commit(&r) == MW_OK;
		if (i % 10 == 9) {
			rig_close(&r);
			well = well && rig_open(&r) == MW_OK;
		}
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		void *result;
		CHECK(pthread_join(threads[i], &result) == 0 && result == &stop);
	}
	CHECK(well);
	rig_deinit(&r);
}

/* ---- retention */

TEST(letters_that_are_too_old_go_with_the_next_commit_and_are_counted)
{
	set_up();
	r.config.dead_ms = 1000 * 1000;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	die("a", "mapping", "old");
	CHECK(rig_commit(&r) == MW_OK && mw_spool_stats(r.spool).letters == 1);
	r.now += 999 * 1000;
	write_letter(&(struct mw_dead_letter){.at = wall() + 999 * 1000, .event = MW_SPAN("young")});
	CHECK(rig_commit(&r) == MW_OK && mw_spool_stats(r.spool).letters == 2);
	r.now += 2000;
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(lists(&any, "0-1:young "));
	CHECK(mw_spool_stats(r.spool).letters == 1 && mw_spool_stats(r.spool).dead_dropped == 1);
	rig_deinit(&r);
}

TEST(letters_that_take_too_much_room_make_the_oldest_go)
{
	enum { LETTERS = 400, MAX = 256 * 1024 };
	static char event[4000];
	memset(event, 'x', sizeof event - 1);
	set_up();
	r.config.dead_bytes = MAX;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	for (int i = 0; i < LETTERS; i++) {
		die("a", "mapping", event);
		CHECK(rig_commit(&r) == MW_OK);
		CHECK(mw_spool_stats(r.spool).letter_bytes <= MAX + 4 * 4096);
	}
	const struct mw_spool_stats s = mw_spool_stats(r.spool);
	CHECK(s.letters + s.dead_dropped == LETTERS && s.letters > 20 && s.dead_dropped > 200);
	listed[0] = '\0';
	size_t left = 1;
	CHECK(mw_dead_each(r.config.dir, &any, list_one, &left, &error) == MW_OK);
	char oldest[32];
	snprintf(oldest, sizeof oldest, "0-%llu:", (unsigned long long)s.dead_dropped);
	CHECK(strncmp(listed, oldest, strlen(oldest)) == 0);
	rig_deinit(&r);
}

TEST(the_newest_letter_stays_however_large_it_is)
{
	static char event[300 * 1024];
	memset(event, 'x', sizeof event - 1);
	set_up();
	r.config.dead_bytes = 64 * 1024;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	die("a", "mapping", "e");
	die("a", "mapping", event);
	CHECK(rig_commit(&r) == MW_OK);
	CHECK(mw_spool_stats(r.spool).letters == 1 && mw_spool_stats(r.spool).dead_dropped == 1);
	die("a", "mapping", "next");
	CHECK(rig_commit(&r) == MW_OK && lists(&any, "0-2:next "));
	rig_deinit(&r);
}

TEST(one_commit_drops_a_bounded_number)
{
	set_up();
	for (int i = 0; i < 1000; i++)
		die("a", "mapping", "e");
	CHECK(rig_commit(&r) == MW_OK);
	r.config.dead_ms = 1000;
	rig_close(&r);
	CHECK(rig_open(&r) == MW_OK);
	r.now += 10000;
	CHECK(rig_commit(&r) == MW_OK);
	const struct mw_spool_stats s = mw_spool_stats(r.spool);
	CHECK(s.dead_dropped > 0 && s.dead_dropped < 100 && s.letters + s.dead_dropped == 1000);
	rig_deinit(&r);
}

TEST(a_letter_that_the_disk_has_changed_is_still_listed_and_can_be_dropped)
{
	set_up();
	die("a", "mapping", "find me in the file");
	die("a", "mapping", "e2");
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
	char path[512];
	snprintf(path, sizeof path, "%s/p0/data.mdb", r.config.dir);
	FILE *f = fopen(path, "r+b");
	CHECK(f);
	static uint8_t file[1 << 20];
	size_t len = fread(file, 1, sizeof file, f);
	uint8_t *at = memmem(file, len, "find me", 7);
	CHECK(at);
	for (; at; at = memmem(at + 7, len - (size_t)(at + 7 - file), "find me", 7)) {
		fseek(f, at - file, SEEK_SET);
		fputc('F', f);
	}
	fclose(f);
	CHECK(rig_open(&r) == MW_OK);
	CHECK(strstr(list(&(struct mw_dead_filter){.code = MW_SPAN("corrupt")}, SIZE_MAX), "0-0:"));
	CHECK(lists(&(struct mw_dead_filter){.code = MW_SPAN("mapping")}, "0-1:e2 "));
	const struct mw_dead_id id = {0, 0};
	uint64_t dropped;
	CHECK(mw_dead_drop(r.config.dir, &id, 1, &dropped, &error) == MW_OK && dropped == 1);
	rig_deinit(&r);
}

TEST(a_newer_format_is_refused)
{
	set_up();
	die("a", "mapping", "e");
	CHECK(rig_commit(&r) == MW_OK);
	rig_close(&r);
	char path[512];
	snprintf(path, sizeof path, "%s/p0", r.config.dir);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	uint32_t format = 99;
	MDB_val key = {6, (char[]){"format"}}, value = {sizeof format, &format};
	CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0 &&
	      mdb_env_open(env, path, 0, 0600) == 0);
	CHECK(mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, "meta", 0, &meta) == 0);
	CHECK(mdb_put(txn, meta, &key, &value, 0) == 0 && mdb_txn_commit(txn) == 0);
	mdb_env_close(env);
	size_t left = SIZE_MAX;
	CHECK(mw_dead_each(r.config.dir, &any, list_one, &left, &error) == MW_VERSION);
	rig_deinit(&r);
}

int main(void)
{
	RUN(a_letter_is_written_and_read_whole_and_damage_is_seen);
	RUN(the_place_in_a_script_is_taken_out_of_an_error);
	RUN(headers_that_hold_secrets_are_known_by_their_names);
	RUN(a_letters_name_is_read_back_and_nothing_else_is);
	RUN(letters_are_found_by_account_code_source_and_time);
	RUN(one_letter_is_found_by_its_name);
	RUN(a_refused_message_has_its_letter_with_the_answer);
	RUN(letters_are_dropped_by_name_or_by_filter_and_stay_dropped);
	RUN(a_letters_name_is_never_given_again);
	RUN(a_long_list_is_whole_whatever_the_slices);
	RUN(another_process_reads_and_drops_beside_the_owner);
	RUN(the_owner_keeps_its_lock_while_its_letters_are_read);
	RUN(all_partitions_of_a_spool_are_looked_at);
	RUN(a_partition_that_is_not_made_yet_has_no_letters);
	RUN(other_threads_read_and_drop_while_the_spool_commits_closes_and_opens);
	RUN(letters_that_are_too_old_go_with_the_next_commit_and_are_counted);
	RUN(letters_that_take_too_much_room_make_the_oldest_go);
	RUN(the_newest_letter_stays_however_large_it_is);
	RUN(one_commit_drops_a_bounded_number);
	RUN(a_letter_that_the_disk_has_changed_is_still_listed_and_can_be_dropped);
	RUN(a_newer_format_is_refused);
	return CHECK_END();
}
