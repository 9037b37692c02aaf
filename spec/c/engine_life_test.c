/* Opening, closing, forking, and many threads at once. MW_STRESS_S in the environment: seconds of the last,
 * default 1. */
#include "../../csrc/io/engine_state.h"
#include "rig.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif

TEST(close_delivers_what_is_there)
{
	struct rig r;
	struct mw_engine_config config = rig_config();
	config.weir.linger_ms = 60000; /* closing does not wait for company */
	rig_open(&r, config);
	CHECK(rig_key(&r, "a", "key") && rig_push(&r, "a", 10) == MW_OK);
	CHECK(mw_engine_close(r.engine, RIG_PATIENCE_MS, &r.error) == MW_OK);
	struct mw_counts c = rig_counts(&r);
	CHECK(c.delivered == 10 && stats_add_up(&c));
	rig_close(&r);
}

TEST(a_stalled_server_cannot_hold_up_close)
{
	struct rig r;
	rig_open(&r, rig_config());
	CHECK(mock_script(&r.mock, "stall") && rig_key(&r, "", "key"));
	CHECK(rig_push(&r, "a", 2) == MW_OK && rig_push(&r, "b", 1) == MW_OK);
	CHECK(mw_engine_close(r.engine, 100, &r.error) == MW_TIMEOUT);
	CHECK(strstr(r.error.detail, "3 messages were left undelivered"));
	struct mw_counts c = rig_counts(&r);
	CHECK(c.accepted == 3 && stats_add_up(&c));
	CHECK(mw_engine_close(r.engine, 100, &r.error) == MW_TIMEOUT); /* the same answer, at once */
	rig_close(&r);
}

TEST(close_says_that_only_parked_messages_are_left)
{
	struct rig r;
	rig_open(&r, rig_config());
	CHECK(rig_push(&r, "a", 1) == MW_OK);
	CHECK(mw_engine_close(r.engine, RIG_PATIENCE_MS, &r.error) == MW_PARKED);
	CHECK(strstr(r.error.detail, "1 message was left"));
	rig_close(&r);
}

TEST(a_closed_engine_takes_nothing_and_still_answers)
{
	struct rig r;
	struct mw_engine_lane lane;
	rig_open(&r, rig_config());
	CHECK(rig_key(&r, "", "key") && rig_push(&r, "a", 1) == MW_OK);
	CHECK(mw_engine_close(r.engine, RIG_PATIENCE_MS, NULL) == MW_OK);
	CHECK(rig_push(&r, "a", 1) == MW_CLOSED && mw_engine_wait_room(r.engine, 1, 1000) == MW_CLOSED);
	CHECK(mw_engine_flush(r.engine, 1000) == MW_OK && rig_key(&r, "a", "other"));
	CHECK(rig_lane(&r, "a", &lane) && lane.counts.delivered == 1);
	rig_close(&r);
}

TEST(free_at_any_moment_cuts_and_leaks_nothing)
{
	uint64_t seed = check_seed("free_at_any_moment");
	struct mock mock = mock_start(NULL, NULL);
	struct mw_engine_config config = rig_config();
	struct mw_outbox box;
	mw_outbox_init(&box, 1 << 20);
	CHECK(mw_endpoint_parse(span(mock.url), &config.endpoint, NULL) == MW_OK);
	CHECK(box_add(&box, "a", "1", 300, 0) && box_add(&box, "b", "2", 300, 0));
	for (int i = 0; i < 60; i++) {
		struct mw_engine *g;
		if (i == 30)
			CHECK(mock_script(&mock, "stall"));
		CHECK(mw_engine_open(&config, &g, NULL) == MW_OK);
		CHECK(mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("k"), NULL, NULL) == MW_OK);
		CHECK(mw_engine_push(g, &box) == MW_OK);
		nanosleep(&(struct timespec){0, (long)(check_random(&seed) % 8000000)},
			  NULL); /* the moment, not a wait */
		mw_engine_free(g);
	}
	mw_outbox_deinit(&box);
	mock_stop(&mock);
}

TEST(an_engine_that_cannot_open_says_why)
{
	struct mw_engine_config config = rig_config();
	struct mw_engine *g = NULL;
	struct mw_error e = {0};
	CHECK(mw_engine_open(&config, &g, &e) == MW_BAD_ENDPOINT && !g && e.detail[0]);
	CHECK(mw_endpoint_parse(MW_SPAN("us"), &config.endpoint, NULL) == MW_OK);
	config.ca_file = "/nonexistent.pem";
	CHECK(mw_engine_open(&config, &g, &e) == MW_IO && !g && strstr(e.detail, "/nonexistent.pem"));
}

/* Of all threads but this one, how many let SIGTERM through? */
static int threads_that_take_signals(void)
{
	int taking = 0;
	DIR *d = opendir("/proc/self/task");
	for (struct dirent *t; d && (t = readdir(d));) {
		char path[300], line[256];
		if (t->d_name[0] == '.' || atoi(t->d_name) == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%.20s/status", t->d_name);
		FILE *f = fopen(path, "r");
		while (f && fgets(line, sizeof line, f))
			if (strncmp(line, "SigBlk:", 7) == 0)
				taking += !(strtoull(line + 7, NULL, 16) >> (SIGTERM - 1) & 1);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return taking;
}

TEST(the_thread_leaves_signals_and_handlers_to_the_host)
{
	struct rig r;
	struct sigaction before[32], after;
	memset(before, 0, sizeof before);
	for (int i = 1; i < 32; i++)
		sigaction(i, NULL, &before[i]);
	int taking = threads_that_take_signals();
	rig_open(&r, rig_config());
	CHECK(rig_key(&r, "", "key") && rig_push(&r, "a", 1) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(threads_that_take_signals() == taking);
	for (int i = 1; i < 32; i++)
		CHECK(sigaction(i, NULL, &after) != 0 || after.sa_handler == before[i].sa_handler);
	rig_close(&r);
}

#ifndef UNDER_TSAN
static int use_in_child(struct rig *r)
{
	struct mw_engine_stats s;
	struct mw_engine_lane lane;
	bool refused = rig_push(r, "a", 1) == MW_FORKED && mw_engine_flush(r->engine, 1000) == MW_FORKED &&
		       mw_engine_wait_room(r->engine, 1, 1000) == MW_FORKED &&
		       mw_engine_stats(r->engine, &s) == MW_FORKED && !rig_key(r, "a", "key") &&
		       mw_engine_lanes(r->engine, &lane, 1) == 0 &&
		       mw_engine_poll(r->engine, 1, NULL, NULL) == 0 &&
		       mw_engine_close(r->engine, 1000, &r->error) == MW_FORKED && r->error.code == MW_FORKED;
	mw_engine_free(r->engine);
	/* A child may open its own. What it has of its parent's stays where it is, unused. */
	struct mw_engine_config config = rig_config();
	struct rig own = {.mock = r->mock, .box = r->box};
	bool opened = mw_endpoint_parse(span(r->mock.url), &config.endpoint, NULL) == MW_OK &&
		      mw_engine_open(&config, &own.engine, NULL) == MW_OK;
	if (opened) {
		opened = rig_key(&own, "", "child") && rig_push(&own, "c", 1) == MW_OK &&
			 mw_engine_close(own.engine, RIG_PATIENCE_MS, NULL) == MW_OK;
		mw_engine_free(own.engine);
	}
	return refused && opened ? 0 : 1;
}

TEST(starting_in_a_child_process_waits_for_nobody)
{
	struct rig r;
	int status;
	rig_open(&r, rig_config());
	pthread_mutex_lock(&r.engine->gate); /* as its thread may when this process forks */
	pid_t child = fork();
	if (child == 0) {
		alarm(20);
		mw_engine_start(r.engine);
		_exit(0);
	}
	pthread_mutex_unlock(&r.engine->gate);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	rig_close(&r);
}

TEST(a_child_process_is_refused_and_the_parent_goes_on)
{
	struct rig r;
	int status;
	rig_open(&r, rig_config());
	CHECK(rig_key(&r, "", "key") && rig_push(&r, "a", 100) == MW_OK);
	pid_t child = fork();
	if (child == 0)
		_exit(use_in_child(&r));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(rig_push(&r, "a", 100) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 200);
	rig_close(&r);
}
#endif

/* Everything at once. */
struct stress {
	struct mw_engine *engine;
	int64_t until;
	int number;
	uint64_t pushed;
	uint64_t polled;
	const char *failure;
};

static void *stress_push(void *context)
{
	struct stress *s = context;
	struct mw_outbox box;
	char account[16], id[48];
	mw_outbox_init(&box, 1 << 20);
	for (unsigned n = 0; monotonic_ms() < s->until; n++) {
		mw_outbox_clear(&box);
		for (int i = 0; i < 20; i++) {
			snprintf(account, sizeof account, "a%u", n % 13);
			snprintf(id, sizeof id, "%d-%u-%d", s->number, n, i);
			box_add(&box, account, id, 200, (int64_t)n);
		}
		enum mw_err err = mw_engine_push(s->engine, &box);
		if (err == MW_OK)
			s->pushed += box.count;
		else if (err != MW_FULL)
			s->failure = mw_err_word(err);
		else if (mw_engine_wait_room(s->engine, box.bytes.len, 50) == MW_CLOSED)
			break;
	}
	mw_outbox_deinit(&box);
	return NULL;
}

static void *stress_watch(void *context)
{
	struct stress *s = context;
	struct mw_engine_lane lanes[5];
	uint64_t accepted = 0;
	while (monotonic_ms() < s->until) {
		struct mw_engine_stats st;
		if (mw_engine_stats(s->engine, &st) != MW_OK || !stats_add_up(&st.weir.counts) ||
		    st.weir.counts.accepted < accepted)
			s->failure = "counters do not add up";
		accepted = st.weir.counts.accepted;
		mw_engine_lanes(s->engine, lanes, 5);
	}
	return NULL;
}

static void count_report(void *context, const struct mw_report *r)
{
	struct stress *s = context;
	s->polled += r->outcome != MW_OUTCOME_PARKED;
}

static void *stress_poll(void *context)
{
	struct stress *s = context;
	char key[16];
	for (int n = 0; monotonic_ms() < s->until; n++) {
		mw_engine_poll(s->engine, 100, count_report, s);
		snprintf(key, sizeof key, "key%d", n % 3);
		mw_engine_set_key(s->engine, n % 2 ? MW_SPAN("") : MW_SPAN("a3"), span(key), NULL, NULL);
		mw_engine_flush(s->engine, 2);
	}
	return NULL;
}

TEST(many_threads_may_use_an_engine_at_once)
{
	struct rig r;
	struct mw_engine_config config = rig_config();
	const char *seconds = getenv("MW_STRESS_S");
	config.queue_max = 1 << 20;
	config.report_delivered = true;
	rig_open(&r, config);
	CHECK(mock_script(&r.mock, "key key1 200 200 200 401\nkey key2 200 413 200 400 500 200 429 200\n"));
	struct stress s[5];
	pthread_t threads[5];
	void *(*const work[5])(void *) = {stress_push, stress_push, stress_push, stress_watch, stress_poll};
	for (int i = 0; i < 5; i++) {
		s[i] = (struct stress){.engine = r.engine, .number = i};
		s[i].until = monotonic_ms() + (seconds ? atoi(seconds) : 1) * 1000;
		CHECK(pthread_create(&threads[i], NULL, work[i], &s[i]) == 0);
	}
	uint64_t pushed = 0;
	for (int i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		pushed += s[i].pushed;
		if (s[i].failure)
			fprintf(stderr, "thread %d: %s\n", i, s[i].failure);
		CHECK(!s[i].failure);
	}
	CHECK(mock_script(&r.mock, "reset") && rig_key(&r, "", "good") && rig_key(&r, "a3", "good"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS * 3) == MW_OK);
	struct mw_engine_stats st;
	while (mw_engine_poll(r.engine, 1000, count_report, &s[4]) > 0)
		continue;
	CHECK(mw_engine_stats(r.engine, &st) == MW_OK && st.weir.counts.accepted == pushed && pushed > 0);
	CHECK(st.weir.counts.delivered + st.weir.counts.dead == pushed);
	CHECK(st.reports_lost > 0 || s[4].polled == pushed);
	printf("%" PRIu64 " messages, %" PRIu64 " requests\n", pushed, st.weir.requests);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	alarm(900);
	mock_main(argc, argv);
	RUN(close_delivers_what_is_there);
	RUN(a_stalled_server_cannot_hold_up_close);
	RUN(close_says_that_only_parked_messages_are_left);
	RUN(a_closed_engine_takes_nothing_and_still_answers);
	RUN(free_at_any_moment_cuts_and_leaks_nothing);
	RUN(an_engine_that_cannot_open_says_why);
	RUN(the_thread_leaves_signals_and_handlers_to_the_host);
#ifndef UNDER_TSAN
	RUN(starting_in_a_child_process_waits_for_nobody);
	RUN(a_child_process_is_refused_and_the_parent_goes_on);
#endif
	RUN(many_threads_may_use_an_engine_at_once);
	return CHECK_END();
}
