/* soak.c -- does a spool slow down or grow as messages pass through it?
 *
 *     soak DIRECTORY [MESSAGES [BACKLOG [LANES [SECONDS [COMMIT [DISK_MAX [LARGE]]]]]]]   make soak
 *
 * Pushes messages of some 500 bytes, one in LARGE of up to 30,000, in group commits of COMMIT bytes (128 KB)
 * and answers each request with 200 at once, with no HTTP between. Some lanes are busy and most are not: of a
 * hundred, the first gets a fifth of all messages, the last a three-hundredth. The backlog swings, in rounds
 * of five phases:
 *
 *     fill      from nothing to BACKLOG bytes
 *     level     half of what is to be pushed, the backlog kept at 80 %
 *     drain     down to nothing
 *     up, down  to a tenth and back, as a day without much trouble goes
 *
 * until MESSAGES are through or SECONDS have passed. Each request's first message is looked at: it must be
 * the next of its lane. A line per phase: messages, ns of CPU for each (two clocks: this thread's), the time
 * of a commit, the file, how much of it is in use, what LMDB keeps of free pages, and memory.
 *
 * Seen on 2 cores that had other work too, with LMDB 0.9.24: 100 lanes, commits of 128 KB; us of CPU for each
 * message, ms for a commit. "again" is the last fill, of pages that were in use before.
 *
 *     backlog  packs       large     fill  again  level  drain   again: p50  p99  max   file MB, from and to
 *     0.2 GB   16 pages      -       3.3    4.3    6.3    0.4         4.4   13   38    296    311
 *     1 GB     16 pages      -       4.1   17.5   15.6    0.4         4.2  110  529   1475   1552
 *     1 GB      1 page       -       3.5    7.8    9.7    0.5         8.0   28   54   1445   1449
 *     0.5 GB   16 pages   1 in 100   5.0   10.8    7.0    0.6         9.1   62  219    686    797
 *     0.5 GB   in pieces  1 in 100   4.7   10.5   12.7    0.8         5.8   10   47    677    680
 *     10 GB    16 pages      -       4.4                    level: 240 ms a commit, 88 % in LMDB's free list
 *     10 GB     1 page       -       4.2    9.7   13.2    0.7         4.5    8  153  14424  14424
 *
 * (The last one: 41 million messages, records of the free list up to 15,395.) So looking for neighbouring
 * free pages is what slows LMDB down and makes the file grow, and nothing else does. Packs of 2 KB, two to a
 * page, fill half of it: 492 MB for 0.2 GB. 32 and 64 pages are as 16 at 0.2 GB.
 *
 * What is left is the kernel's, three quarters of it: each commit writes a page or more for every lane it
 * touches. us of CPU for each message pushed into a new file, by lanes:
 *
 *     lanes                     1     10    100   1000  100000
 *     commits of 128 KB       1.0    1.1    3.0    6.9    12.6
 *     commits of 1 MB         0.5      -    0.7    3.6     8.6
 */
#include "../../csrc/io/spool_own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	SETTLE_BYTES = MW_BATCH_TARGET,
	SETTLE_REQUESTS = 64,
	LEN_MIN = 400,
	LEN_SPREAD = 200,
	LARGE_SPREAD = 29000,
};

struct soak {
	struct mw_spool *spool;
	struct mw_weir *weir;
	struct mw_outbox box;
	struct mw_buf batch;
	uint32_t lanes;
	uint64_t *pushed;  /* of each lane */
	uint64_t *drained; /* of each lane */
	uint64_t random;
	uint64_t commit_bytes;
	uint64_t large;   /* one in so many; 0: none */
	uint64_t backlog; /* bytes, now */
	uint64_t messages;
	int64_t end_us;
	bool is_full;
	uint32_t *times; /* us, of the phase's commits */
	size_t times_len, times_room;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "soak: %s: %s\n", what, why);
	exit(1);
}

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

static uint64_t draw(struct soak *s)
{
	uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void commit(struct soak *s)
{
	struct mw_error e = {.code = MW_OK};
	int64_t start = clock_us(CLOCK_MONOTONIC);
	if (s->box.count > 0 && !mw_spool_is_planned(s->spool) &&
	    mw_spool_plan(s->spool, s->weir, &s->box) != MW_OK)
		die("plan", "no memory");
	enum mw_err err = mw_spool_commit(s->spool, now_ms(), &e);
	s->is_full = err == MW_FULL;
	if (err != MW_OK && err != MW_FULL)
		die("commit", e.detail);
	if (s->times_len == s->times_room) {
		s->times_room = 2 * s->times_room + 1024;
		s->times = realloc(s->times, s->times_room * sizeof *s->times);
		if (!s->times)
			die("times", "no memory");
	}
	s->times[s->times_len++] = (uint32_t)(clock_us(CLOCK_MONOTONIC) - start);
	if (err != MW_OK)
		return;
	mw_spool_apply(s->spool, s->weir, now_ms());
	s->messages += s->box.count;
	mw_outbox_clear(&s->box);
}

static void fill_box(struct soak *s)
{
	static uint8_t text[LEN_MIN + LEN_SPREAD + LARGE_SPREAD];
	char name[16];
	while (s->box.bytes.len < s->commit_bytes) {
		uint64_t r = draw(s);
		double share = (double)(r >> 32) / 4294967296.0;
		uint32_t lane = (uint32_t)(share * share * share * s->lanes);
		size_t len = LEN_MIN + r % LEN_SPREAD;
		if (s->large > 0 && draw(s) % s->large == 0)
			len += draw(s) % LARGE_SPREAD;
		int name_len = snprintf(name, sizeof name, "a%" PRIu32, lane);
		uint64_t place[2] = {lane, s->pushed[lane]++};
		memcpy(text, place, sizeof place);
		const struct mw_parcel p = {.account = {(const uint8_t *)name, (size_t)name_len},
					    .message = {text, len},
					    .kind = MW_PARCEL_MESSAGE};
		if (mw_outbox_add(&s->box, &p) != MW_OK)
			die("box", "no memory");
		s->backlog += len;
	}
}

/* Some requests' worth leaves; false: nothing is queued. */
static bool settle(struct soak *s)
{
	size_t bytes = 0;
	struct mw_request r;
	int64_t wait;
	for (int n = 0; n < SETTLE_REQUESTS && bytes < SETTLE_BYTES; n++) {
		if (!mw_weir_next(s->weir, now_ms(), &r, &wait))
			break;
		mw_buf_clear(&s->batch);
		if (mw_spool_read(s->spool, &r, &s->batch) != MW_OK)
			die("read", "damaged");
		uint64_t place[2];
		memcpy(place, s->batch.data, sizeof place);
		if (s->drained[place[0]] != place[1])
			die("order", "not the next message of its lane");
		s->drained[place[0]] += r.count;
		const struct mw_answer answer = {.status = 200, .retry_after_ms = -1};
		mw_weir_done(s->weir, &r, &answer, now_ms());
		bytes += r.bytes;
		s->backlog -= r.bytes - (r.count - 1);
	}
	return bytes > 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

struct free_list {
	uint64_t records, pages, longest;
};

static struct free_list look_at_free_list(MDB_env *env)
{
	struct free_list f = {0};
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0)
		return f;
	if (mdb_cursor_open(txn, 0, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			size_t count;
			memcpy(&count, value.mv_data, sizeof count);
			f.records++;
			f.pages += count;
			f.longest = count > f.longest ? count : f.longest;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return f;
}

static double anonymous_mb(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "RssAnon: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kb / 1024;
}

struct phase {
	const char *name;
	int64_t wall, cpu;
	uint64_t messages;
};

static struct phase begin(struct soak *s, const char *name)
{
	s->times_len = 0;
	return (struct phase){name, clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_THREAD_CPUTIME_ID), 0};
}

static void end(struct soak *s, const struct phase *p)
{
	MDB_envinfo info;
	double cpu = (double)(clock_us(CLOCK_THREAD_CPUTIME_ID) - p->cpu);
	double wall = (double)(clock_us(CLOCK_MONOTONIC) - p->wall) / 1e6;
	if (s->times_len == 0)
		return;
	qsort(s->times, s->times_len, sizeof *s->times, by_value);
	mdb_env_info(s->spool->env, &info);
	double page = (double)s->spool->page / (1 << 20);
	struct free_list f = look_at_free_list(s->spool->env);
	printf("%-8s %6.1f %6.1f %6.0f %7zu %7.2f %7.2f %7.1f %7.0f %7.0f %7" PRIu64 " %7" PRIu64 " %6.0f\n",
	       p->name, (double)s->messages / 1e6, wall, p->messages ? cpu * 1000 / (double)p->messages : 0,
	       s->times_len, s->times[s->times_len / 2] / 1e3, s->times[s->times_len * 99 / 100] / 1e3,
	       s->times[s->times_len - 1] / 1e3, (double)(info.me_last_pgno + 1) * page,
	       ((double)(info.me_last_pgno + 1) - (double)f.pages) * page, f.records, f.longest,
	       anonymous_mb());
	fflush(stdout);
}

static bool is_over(const struct soak *s)
{
	return clock_us(CLOCK_MONOTONIC) > s->end_us;
}

static void fill(struct soak *s, const char *name, uint64_t to)
{
	struct phase p = begin(s, name);
	uint64_t before = s->messages;
	while (s->backlog < to && !is_over(s) && !s->is_full) {
		fill_box(s);
		commit(s);
	}
	p.messages = s->messages - before;
	end(s, &p);
}

/* Push this many bytes, with the backlog at `at`. Each message counts once, for push and drain together. */
static void level(struct soak *s, uint64_t bytes, uint64_t at)
{
	struct phase p = begin(s, "level");
	uint64_t before = s->messages, pushed = 0;
	while (pushed < bytes && !is_over(s)) {
		if (!s->is_full) {
			pushed += s->commit_bytes;
			fill_box(s);
		}
		if (s->backlog > at || s->is_full)
			settle(s);
		commit(s);
	}
	p.messages = s->messages - before;
	end(s, &p);
}

static void drain(struct soak *s, const char *name)
{
	struct phase p = begin(s, name);
	uint64_t before = mw_weir_totals(s->weir)->counts.delivered;
	while (settle(s) || s->box.count > 0)
		commit(s);
	p.messages = mw_weir_totals(s->weir)->counts.delivered - before;
	end(s, &p);
}

static uint64_t number(int argc, char **argv, int i, double otherwise)
{
	return (uint64_t)(argc > i ? atof(argv[i]) : otherwise);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		die("usage",
		    "soak DIRECTORY [MESSAGES [BACKLOG [LANES [SECONDS [COMMIT [DISK_MAX [LARGE]]]]]]], 1e6 "
		    "and the like");
	struct soak s = {.random = 1};
	struct mw_error e = {.code = MW_OK};
	uint64_t messages = number(argc, argv, 2, 1e7), backlog = number(argc, argv, 3, 1e9);
	s.lanes = (uint32_t)number(argc, argv, 4, 100);
	s.commit_bytes = number(argc, argv, 6, 128 * 1024);
	s.large = number(argc, argv, 8, 0);
	s.end_us = clock_us(CLOCK_MONOTONIC) + (int64_t)number(argc, argv, 5, 3600) * 1000000;
	s.pushed = calloc(s.lanes, sizeof *s.pushed);
	s.drained = calloc(s.lanes, sizeof *s.drained);
	const struct mw_spool_config config = {.dir = argv[1], .disk_max = number(argc, argv, 7, 64e9)};
	struct mw_weir_config weir = mw_weir_defaults();
	weir.rate = 0;
	weir.linger_ms = 0;
	weir.seed = 1;
	mw_outbox_init(&s.box, SIZE_MAX);
	mw_buf_init(&s.batch, SIZE_MAX);
	if (!s.pushed || !s.drained || mw_spool_open(&config, now_ms(), &s.spool, &e) != MW_OK)
		die(argv[1], e.detail);
	weir.store = mw_spool_store(s.spool);
	s.weir = mw_weir_new(&weir, now_ms());
	if (!s.weir || mw_spool_restore(s.spool, s.weir, now_ms(), &e) != MW_OK)
		die(argv[1], e.detail);
	if (mw_weir_totals(s.weir)->counts.accepted > 0)
		die(argv[1], "not new");
	printf("%.0f million messages, %.1f GB of backlog, %u lanes, commits of %.0f KB, packs of %d bytes\n",
	       (double)messages / 1e6, (double)backlog / 1e9, s.lanes, (double)s.commit_bytes / 1024,
	       MW_PACK_MAX);
	printf("%-8s %6s %6s %6s %7s %7s %7s %7s %7s %7s %7s %7s %6s\n", "phase", "10^6", "s", "ns/msg",
	       "commits", "p50 ms", "p99 ms", "max ms", "file MB", "used MB", "records", "longest", "RSS MB");
	while (s.messages < messages && !is_over(&s)) {
		fill(&s, "fill", backlog);
		level(&s, backlog / 2, backlog / 5 * 4);
		drain(&s, "drain");
		fill(&s, "up", backlog / 10);
		drain(&s, "down");
	}
	const struct mw_counts c = mw_weir_totals(s.weir)->counts;
	if (c.accepted != s.messages || c.delivered != s.messages || c.queued != 0)
		die("conservation", "accepted is not delivered");
	mw_spool_close(s.spool);
	mw_weir_free(s.weir);
	mw_outbox_deinit(&s.box);
	mw_buf_deinit(&s.batch);
	free(s.pushed);
	free(s.drained);
	free(s.times);
	return 0;
}
