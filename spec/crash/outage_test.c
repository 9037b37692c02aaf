/* The server is away and the spool fills; many accounts; a large backlog: what it costs in memory, and that
 * all arrives.
 *
 *     MW_OUTAGE=60           seconds of the outage, at 1,000 messages a second; default: 60,000 at once
 *     MW_BACKLOG=10000000    messages in the large backlog, default 1,000,000
 *
 * Resident memory includes the pages of the spool's file that are mapped, which the system takes back as it
 * likes; what is the process's own is told apart.
 */
#include "../c/folder.h"
#include "../c/rig.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum {
	OUTAGE_MESSAGES = 60000,
	OUTAGE_ACCOUNTS = 20,
	MESSAGE_LEN = 400,
	CROWD = 100000,
	CROWD_EACH = 3,
	SMALL_BACKLOG = 20000,
	RESIDENT_MAX_KB = 64 * 1024,
	CROWD_MAX_KB = 60 * 1024,        /* in all, at rest and while they are found again */
	CROWD_COMING_MAX_KB = 80 * 1024, /* while they come, faster or slower than they are written */
	DRAIN_OWN_MAX_KB = 32 * 1024,
	/* Faults that opening a large backlog may cost more than a small one: up to 200 were seen, by how
	 * much of the file the system has at hand. To look at every pack would cost 1,400. */
	FAULTS_MORE_MAX = 700,
};

/* Of this process, in KB, by a line of /proc/self/status. */
static long memory_kb(const char *name)
{
	char line[160];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			kb = atol(line + strlen(name) + 1);
	if (f)
		fclose(f);
	return kb;
}

static void tell_memory(const char *when)
{
	printf("  %s: %ld KB resident, of which %ld its own, %ld files; at most %ld so far\n", when,
	       memory_kb("VmRSS"), memory_kb("RssAnon"), memory_kb("RssFile"), memory_kb("VmHWM"));
}

/* In a process of its own, so that memory is this test's alone. */
static bool apart(bool (*play)(void *context), void *context)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(900);
		bool fine = play(context);
		fflush(stdout);
		_exit(fine ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			return false;                                                                        \
		}                                                                                            \
	} while (0)

static struct mw_engine *open_at(const char *name, const char *url, struct mw_engine_config config)
{
	static char dir[256];
	static struct mw_spool_config spool;
	struct mw_engine *g = NULL;
	struct mw_error e = {.code = MW_OK};
	snprintf(dir, sizeof dir, "%s", folder_path(name));
	spool = (struct mw_spool_config){.dir = dir};
	config.spool = &spool;
	if (mw_endpoint_parse(span(url), &config.endpoint, &e) == MW_OK)
		mw_engine_open(&config, &g, &e);
	if (!g)
		fprintf(stderr, "open: %s\n", e.detail);
	return g;
}

/* Push the box, waiting for room. */
static enum mw_err push_all(struct mw_engine *g, struct mw_outbox *box)
{
	enum mw_err err;
	while ((err = mw_engine_push(g, box)) == MW_FULL)
		if ((err = mw_engine_wait_room(g, box->bytes.len, RIG_PATIENCE_MS)) != MW_OK)
			break;
	mw_outbox_clear(box);
	return err;
}

/* ---- an outage */

static bool sit_out(void *context)
{
	struct mock *m = context;
	const char *seconds = getenv("MW_OUTAGE");
	struct mw_engine_config config = {.weir = mw_weir_defaults()}; /* 50 requests a second, as in life */
	struct mw_engine *g = open_at("outage", m->url, config);
	struct mw_outbox box;
	char account[32], id[32];
	MUST(g && mock_script(m, "cut-request 0"));
	MUST(mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, NULL) == MW_OK);
	mw_outbox_init(&box, 1 << 20);
	int64_t start = monotonic_ms();
	for (int i = 0; i < OUTAGE_MESSAGES; i++) {
		snprintf(account, sizeof account, "account-%d", i % OUTAGE_ACCOUNTS);
		snprintf(id, sizeof id, "id-%05d", i);
		MUST(box_add(&box, account, id, MESSAGE_LEN, i));
		if (i % 100 != 99)
			continue;
		MUST(push_all(g, &box) == MW_OK);
		if (!seconds)
			continue;
		int64_t due = start + (int64_t)i * atoi(seconds) * 1000 / OUTAGE_MESSAGES,
			wait = due - monotonic_ms();
		if (wait > 0)
			nanosleep(&(struct timespec){wait / 1000, wait % 1000 * 1000000}, NULL);
	}
	MUST(mw_engine_sync(g, RIG_PATIENCE_MS, NULL) == MW_OK);
	struct mw_engine_stats s;
	MUST(mw_engine_stats(g, &s) == MW_OK && s.weir.counts.accepted == OUTAGE_MESSAGES);
	MUST(s.weir.counts.delivered == 0 && stats_add_up(&s.weir.counts));
	printf("%d messages in %" PRId64 " ms of outage\n", OUTAGE_MESSAGES, monotonic_ms() - start);
	tell_memory("at its end");
	MUST(mock_script(m, "reset"));
	int64_t back = monotonic_ms();
	MUST(mw_engine_flush(g, 120000) == MW_OK);
	MUST(mw_engine_stats(g, &s) == MW_OK && s.weir.counts.delivered == OUTAGE_MESSAGES);
	printf("  drained %" PRId64 " ms after the server was back, with %" PRIu64 " requests\n",
	       monotonic_ms() - back, s.weir.requests);
	tell_memory("drained");
	MUST(memory_kb("VmHWM") <= RESIDENT_MAX_KB);
	MUST(mw_engine_close(g, 1000, NULL) == MW_OK);
	mw_engine_free(g);
	mw_outbox_deinit(&box);
	return true;
}

/* Each message once, and no more than fifty requests in any second. */
static bool all_arrived(const struct mock *m)
{
	static bool seen[OUTAGE_MESSAGES];
	char *text = mock_read(m, "messages", NULL);
	int count = 0, number;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		MUST(sscanf(line, "{\"messageId\":\"id-%d\"", &number) == 1 && number < OUTAGE_MESSAGES);
		count += !seen[number];
		seen[number] = true;
	}
	free(text);
	MUST(count == OUTAGE_MESSAGES);
	MUST(mock_busiest_second(m) <= MW_RATE_DEFAULT);
	return true;
}

TEST(an_outage_loses_nothing_and_costs_little_memory)
{
	struct mock m = mock_start(NULL, NULL);
	bool fine = apart(sit_out, &m) && all_arrived(&m);
	mock_stop(&m);
	CHECK(fine);
}

/* ---- many accounts */

struct crowd {
	const char *name;
	const char *url;
	bool has_key;
};

static bool gather(void *context)
{
	const struct crowd *c = context;
	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	config.weir.rate = 1; /* they are to stay where they are */
	struct mw_engine *g = open_at(c->name, c->url, config);
	struct mw_outbox box;
	char account[32], id[32];
	MUST(g);
	if (c->has_key)
		MUST(mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, NULL) == MW_OK);
	mw_outbox_init(&box, 1 << 20);
	for (int i = 0; i < CROWD * CROWD_EACH; i++) {
		snprintf(account, sizeof account, "account-%d", i % CROWD);
		snprintf(id, sizeof id, "id-%d", i);
		MUST(box_add(&box, account, id, 200, i));
		if (i % 1000 == 999)
			MUST(push_all(g, &box) == MW_OK);
	}
	MUST(mw_engine_sync(g, RIG_PATIENCE_MS * 3, NULL) == MW_OK);
	struct mw_engine_stats s;
	MUST(mw_engine_stats(g, &s) == MW_OK && s.weir.lanes == CROWD && stats_add_up(&s.weir.counts));
	printf("%d accounts of %d messages each, %s\n", CROWD, CROWD_EACH,
	       c->has_key ? "waiting" : "none with a key");
	tell_memory("queued");
	MUST(memory_kb("VmHWM") <= CROWD_COMING_MAX_KB);
	mw_engine_close(g, 0, NULL);
	mw_engine_free(g);
	return true;
}

static bool find_again(void *context)
{
	const struct crowd *c = context;
	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	config.weir.rate = 1;
	int64_t start = monotonic_ms();
	struct mw_engine *g = open_at(c->name, c->url, config);
	struct mw_engine_stats s;
	MUST(g && mw_engine_stats(g, &s) == MW_OK && s.weir.lanes == CROWD);
	printf("  found again in %" PRId64 " ms\n", monotonic_ms() - start);
	tell_memory("found again");
	MUST(memory_kb("VmHWM") <= CROWD_MAX_KB);
	mw_engine_free(g);
	return true;
}

TEST(a_hundred_thousand_accounts_fit_into_sixty_megabytes)
{
	struct mock m = mock_start(NULL, NULL);
	struct crowd waiting = {"crowd", m.url, true}, parked = {"parked", m.url, false};
	bool fine = mock_script(&m, "stall") && apart(gather, &waiting) && apart(find_again, &waiting);
	bool keyless = apart(gather, &parked);
	mock_stop(&m);
	CHECK(fine);
	CHECK(keyless);
}

/* ---- a large backlog */

struct backlog {
	const char *name;
	char url[64];
	long count;
	long *faults; /* pages that opening touched */
};

static bool pile_up(void *context)
{
	const struct backlog *b = context;
	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	struct mw_engine *g = open_at(b->name, b->url, config);
	struct mw_outbox box;
	char account[32], id[32];
	MUST(g);
	mw_outbox_init(&box, 1 << 20);
	int64_t start = monotonic_ms();
	for (long i = 0; i < b->count; i++) {
		snprintf(account, sizeof account, "account-%ld", i / 100 % 50);
		snprintf(id, sizeof id, "id-%ld", i);
		MUST(box_add(&box, account, id, 100, i));
		if (i % 1000 == 999)
			MUST(push_all(g, &box) == MW_OK);
	}
	MUST(mw_engine_sync(g, RIG_PATIENCE_MS * 3, NULL) == MW_OK);
	printf("%ld messages queued in %" PRId64 " ms\n", b->count, monotonic_ms() - start);
	tell_memory("queued");
	MUST(memory_kb("RssAnon") <= DRAIN_OWN_MAX_KB);
	mw_engine_close(g, 0, NULL);
	mw_engine_free(g);
	return true;
}

static bool open_only(void *context)
{
	const struct backlog *b = context;
	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	struct rusage before, after;
	struct mw_engine_stats s;
	int64_t start = monotonic_ms();
	getrusage(RUSAGE_SELF, &before);
	struct mw_engine *g = open_at(b->name, b->url, config);
	getrusage(RUSAGE_SELF, &after);
	int64_t took = monotonic_ms() - start;
	MUST(g && mw_engine_stats(g, &s) == MW_OK && s.weir.counts.accepted == (uint64_t)b->count);
	*b->faults = after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
	printf("  %ld messages found in %" PRId64 " ms, %ld pages touched\n", b->count, took, *b->faults);
	mw_engine_free(g);
	return true;
}

static bool drain(void *context)
{
	const struct backlog *b = context;
	struct mw_engine_config config = rig_config();
	struct mw_engine *g = open_at(b->name, b->url, config);
	struct mw_engine_stats s;
	long own = 0;
	MUST(g && mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, NULL) == MW_OK);
	int64_t start = monotonic_ms();
	enum mw_err err;
	while ((err = mw_engine_flush(g, 20)) == MW_TIMEOUT) {
		long now = memory_kb("RssAnon");
		own = own > now ? own : now;
	}
	MUST(err == MW_OK && mw_engine_stats(g, &s) == MW_OK &&
	     s.weir.counts.delivered == (uint64_t)b->count);
	printf("  drained in %" PRId64 " ms; at most %ld KB its own\n", monotonic_ms() - start, own);
	tell_memory("drained");
	MUST(own <= DRAIN_OWN_MAX_KB);
	MUST(mw_engine_close(g, 1000, NULL) == MW_OK);
	mw_engine_free(g);
	return true;
}

/* The counting server of the benchmarks: the other one writes all of it down. */
static pid_t start_sink(char url[64])
{
	int out[2];
	char port[16] = "";
	const char *sink = getenv("MW_SINK");
	pid_t pid = pipe2(out, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		execl(sink ? sink : "build/test/sink", "sink", "--port", "0", NULL);
		_exit(127);
	}
	if (pid < 0 || read(out[0], port, sizeof port - 1) <= 0)
		exit(2);
	close(out[1]);
	snprintf(url, 64, "http://127.0.0.1:%d", atoi(port));
	return pid;
}

TEST(a_large_backlog_opens_as_a_small_one_does_and_drains_with_flat_memory)
{
	const char *given = getenv("MW_BACKLOG");
	long *faults = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(faults != MAP_FAILED);
	struct backlog small = {.name = "small", .count = SMALL_BACKLOG, .faults = &faults[0]};
	struct backlog large = {
	    .name = "large", .count = given ? atol(given) : 1000000, .faults = &faults[1]};
	pid_t sink = start_sink(small.url);
	memcpy(large.url, small.url, sizeof large.url);
	bool opened = apart(pile_up, &small) && apart(open_only, &small) && apart(pile_up, &large) &&
		      apart(open_only, &large);
	bool drained = apart(drain, &large);
	kill(sink, SIGTERM);
	waitpid(sink, NULL, 0);
	CHECK(opened && drained);
	CHECK(faults[1] <= faults[0] + FAULTS_MORE_MAX);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	folder();
	RUN(an_outage_loses_nothing_and_costs_little_memory);
	RUN(a_hundred_thousand_accounts_fit_into_sixty_megabytes);
	RUN(a_large_backlog_opens_as_a_small_one_does_and_drains_with_flat_memory);
	return CHECK_END();
}
