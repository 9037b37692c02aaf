/* What servers and clocks do to an engine with a spool: answers of every kind, connections cut at every byte,
 * clocks that jump, a fork. After each of them the counts add up and the lane drains.
 */
#include "folder.h"
#include "rig.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The wall clock as this test wants it: everybody in this process asks here. */
static atomic_long wall_ahead_s;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, t);
	if (rc == 0 && clock == CLOCK_REALTIME)
		t->tv_sec += wall_ahead_s;
	return rc;
}

static struct mw_spool_config spool;

static struct mw_engine_config fault_config(const char *name)
{
	static char dir[256];
	snprintf(dir, sizeof dir, "%s", folder_path(name));
	spool = (struct mw_spool_config){.dir = dir, .disk_max = 64 << 20};
	struct mw_engine_config c = rig_config();
	c.spool = &spool;
	return c;
}

static bool reopen(struct rig *r, struct mw_engine_config config)
{
	mw_engine_free(r->engine);
	r->engine = NULL;
	if (mw_endpoint_parse(span(r->mock.url), &config.endpoint, &r->error) == MW_OK &&
	    mw_engine_open(&config, &r->engine, &r->error) == MW_OK)
		return true;
	fprintf(stderr, "reopen: %s\n", r->error.detail);
	return false;
}

static bool push_and_sync(struct rig *r, const char *account, int count)
{
	return rig_push(r, account, count) == MW_OK &&
	       mw_engine_sync(r->engine, RIG_PATIENCE_MS, &r->error) == MW_OK;
}

static bool is_tried(struct rig *r, const char *account, struct mw_engine_lane *lane)
{
	return rig_lane(r, account, lane) && lane->requests > 0 && lane->counts.in_flight == 0 &&
	       lane->state != MW_LANE_READY;
}

/* One more process has a try at the message; what is it then? */
static bool try_once(struct rig *r, struct mw_engine_config config, struct mw_engine_lane *lane)
{
	if (!reopen(r, config) || !rig_key(r, "", "key"))
		return false;
	RIG_UNTIL(is_tried(r, "a", lane));
	return stats_add_up(&lane->counts) && lane->counts.accepted == 1;
}

/* The script's line for each byte from 0 to `whole`, which is the first that is enough. */
static bool cut_everywhere(struct rig *r, struct mw_engine_config config, const char *line, size_t whole)
{
	struct mw_engine_lane lane;
	size_t step = getenv("MW_VALGRIND") ? 41 : 1;
	for (size_t cut = whole % step; cut <= whole; cut += step) {
		if (!mock_script(&r->mock, "reset\n%s %zu", line, cut) || !try_once(r, config, &lane))
			return false;
		bool as_it_should = cut < whole ? lane.counts.queued == 1 && lane.state == MW_LANE_WAITING
						: lane.counts.delivered == 1;
		if (!as_it_should) {
			fprintf(stderr, "%s %zu of %zu: %d, %" PRIu64 " queued\n", line, cut, whole,
				lane.last_status, lane.counts.queued);
			return false;
		}
	}
	return true;
}

TEST(a_request_cut_at_any_byte_leaves_the_message_queued)
{
	struct rig r;
	struct mw_engine_lane lane;
	struct mw_engine_config config = fault_config("request");
	rig_open(&r, fault_config("measured"));
	CHECK(rig_key(&r, "", "key") && rig_push(&r, "a", 1) == MW_OK);
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	size_t head_len, body_len;
	free(mock_read(&r.mock, "heads", &head_len));
	free(mock_read(&r.mock, "bodies", &body_len));
	config = fault_config("request");
	CHECK(reopen(&r, config) && push_and_sync(&r, "a", 1));
	/* A head ends with a NUL instead of its empty line, a body with a newline. */
	CHECK(cut_everywhere(&r, config, "cut-request", head_len - 1 + 2 + body_len - 1));
	CHECK(reopen(&r, config) && rig_lane(&r, "a", &lane) && lane.counts.delivered == 1);
	rig_close(&r);
}

TEST(an_answer_cut_at_any_byte_is_none)
{
	static const char answer[] = "HTTP/1.1 200 Mock\r\nContent-Length: 16\r\n\r\n{\"success\":true}";
	struct rig r;
	struct mw_engine_config config = fault_config("answer");
	rig_open(&r, config);
	CHECK(push_and_sync(&r, "a", 1));
	CHECK(cut_everywhere(&r, config, "cut-response", sizeof answer - 1));
	rig_close(&r);
}

enum { STATUSES_FROM = 100, STATUSES_TO = 600, STATUSES_AT_ONCE = 250 };

enum fate { DELIVERED, RETRIED, PARKED, DEAD };

/* DESIGN's list of verdicts once more, in other words. */
static enum fate fate_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return PARKED;
	case 408:
	case 410:
	case 429:
	case 460:
		return RETRIED;
	case 501:
	case 505:
		return DEAD;
	default:
		/* Below 200 an answer is still to come. */
		return status / 100 == 1 || status / 100 == 5 ? RETRIED
		       : status / 100 == 2                    ? DELIVERED
							      : DEAD;
	}
}

/* The longest pause there can be: on a slow machine the first of many lanes have had more than one try by the
 * time the last has had one. */
static int64_t pause_max_ms(const struct mw_engine_lane *l)
{
	int64_t ms = MW_BACKOFF_BASE_MS;
	for (uint32_t i = 1; i < l->attempts && ms < MW_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return ms;
}

static bool met_its_fate(const struct mw_engine_lane *l)
{
	switch (fate_of(atoi(l->account))) {
	case DELIVERED:
		return l->counts.delivered == 2;
	case RETRIED:
		return l->counts.queued == 2 && l->state == MW_LANE_WAITING &&
		       l->due_in_ms <= pause_max_ms(l);
	case PARKED:
		return l->counts.queued == 2 && l->state == MW_LANE_PARKED;
	case DEAD:
		return l->counts.dead == 2;
	}
	return false;
}

static struct mw_engine_lane status_lanes[STATUSES_AT_ONCE];

static bool all_are_tried(struct rig *r)
{
	size_t n = mw_engine_lanes(r->engine, status_lanes, STATUSES_AT_ONCE);
	for (size_t i = 0; i < n; i++)
		if (status_lanes[i].requests == 0 || status_lanes[i].counts.in_flight > 0 ||
		    status_lanes[i].state == MW_LANE_READY)
			return false;
	return n == STATUSES_AT_ONCE;
}

/* A lane for each status, of two messages. */
static bool answer_with(struct rig *r, int from, int to)
{
	char name[16], key[16];
	unsigned wrong = 0, dead = 0;
	bool ok = mock_script(&r->mock, "reset");
	for (int status = from; ok && status < to; status++) {
		snprintf(name, sizeof name, "%d", status);
		snprintf(key, sizeof key, "key%d", status);
		ok = mock_script(&r->mock, "key %s %d", key, status) && rig_push(r, name, 2) == MW_OK;
	}
	ok = ok && mw_engine_sync(r->engine, RIG_PATIENCE_MS, &r->error) == MW_OK;
	/* Keys only now, so that both messages go in one request. */
	for (int status = from; ok && status < to; status++) {
		snprintf(name, sizeof name, "%d", status);
		snprintf(key, sizeof key, "key%d", status);
		ok = rig_key(r, name, key);
	}
	RIG_UNTIL(all_are_tried(r));
	for (int i = 0; i < to - from; i++) {
		const struct mw_engine_lane *l = &status_lanes[i];
		if (!met_its_fate(l) || !stats_add_up(&l->counts)) {
			fprintf(
			    stderr, "%s: %" PRIu64 " delivered, %" PRIu64 " dead, %" PRIu64 " queued, %s\n",
			    l->account, l->counts.delivered, l->counts.dead, l->counts.queued, l->last_error);
			wrong++;
		}
		dead += fate_of(atoi(l->account)) == DEAD;
	}
	/* The server is mended: all but the dead get through, at once when a key is saved. */
	ok = ok && wrong == 0 && mock_script(&r->mock, "reset");
	for (int status = from; ok && status < to; status++) {
		snprintf(name, sizeof name, "%d", status);
		ok = rig_key(r, name, "good");
	}
	ok = ok && mw_engine_flush(r->engine, RIG_PATIENCE_MS) == MW_OK;
	struct mw_counts c = rig_counts(r);
	return ok && c.queued == 0 && c.dead == 2 * dead && stats_add_up(&c);
}

TEST(every_status_has_its_verdict_and_every_lane_drains)
{
	for (int from = STATUSES_FROM; from < STATUSES_TO; from += STATUSES_AT_ONCE) {
		struct rig r;
		char name[32];
		snprintf(name, sizeof name, "statuses-%d", from);
		struct mw_engine_config config = fault_config(name);
		rig_open(&r, config);
		CHECK(answer_with(&r, from, from + STATUSES_AT_ONCE));
		struct mw_counts before = rig_counts(&r);
		CHECK(reopen(&r, config));
		struct mw_counts after = rig_counts(&r);
		CHECK(memcmp(&before, &after, sizeof before) == 0);
		rig_close(&r);
	}
}

TEST(a_server_may_ask_for_any_pause_and_is_believed_within_reason)
{
	static const struct {
		const char *header;
		int64_t from_ms, to_ms;
	} asked[] = {
	    {"Retry-After: 3", 3000, 3600},
	    {"Retry-After: 0", MW_RETRY_AFTER_MIN_MS, 1600},
	    {"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", MW_RETRY_AFTER_MIN_MS, 1600},
	    {"Retry-After: Wed, 01 Jan 2121 00:00:00 GMT", MW_RETRY_AFTER_MAX_MS,
	     MW_RETRY_AFTER_MAX_MS + 60000},
	    {"Retry-After: 99999999999999999999999999", MW_RETRY_AFTER_MAX_MS, MW_RETRY_AFTER_MAX_MS + 60000},
	    {"Retry-After: -5", 0, 500},
	    {"Retry-After: soon", 0, 500},
	    {"Retry-After:", 0, 500},
	    {"Retry-After: 1e3", 0, 500},
	    {"X-Other: 7", 0, 500},
	};
	struct rig r;
	struct mw_engine_lane lane;
	struct mw_engine_config config = fault_config("pauses");
	rig_open(&r, config);
	CHECK(push_and_sync(&r, "a", 1));
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		CHECK(mock_script(&r.mock, "reset\nheader %s\nalways 429", asked[i].header));
		int64_t before = monotonic_ms();
		CHECK(try_once(&r, config, &lane));
		/* The answer came somewhere in between. And a slow machine may look after more than one try.
		 */
		int64_t at_most = pause_max_ms(&lane), due_ms = lane.due_in_ms + monotonic_ms() - before;
		at_most = at_most > asked[i].to_ms ? at_most : asked[i].to_ms;
		bool fine = lane.last_status == 429 && due_ms >= asked[i].from_ms &&
			    lane.due_in_ms <= at_most && lane.counts.queued == 1;
		if (!fine)
			fprintf(stderr, "%s: due in %" PRId64 "\n", asked[i].header, lane.due_in_ms);
		CHECK(fine);
	}
	CHECK(mock_script(&r.mock, "reset") && try_once(&r, config, &lane) && lane.counts.delivered == 1);
	rig_close(&r);
}

/* ---- clocks */

enum { DAY_S = 86400, BATCH = 10, IN_BATCHES = 95 };

static uint64_t delivered(struct rig *r)
{
	return rig_counts(r).delivered;
}

/* Messages of many batches and the last not full: nobody may wait for a time that never comes. */
static bool survives(const char *name, long before_s, long after_s)
{
	struct rig r;
	struct mw_engine_stats s;
	struct mw_engine_config config = fault_config(name);
	config.weir.batch_messages = BATCH;
	config.weir.linger_ms = 50;
	spool.repeats_ms = DAY_S * 1000;
	wall_ahead_s = before_s;
	rig_open(&r, config);
	bool fine = push_and_sync(&r, "a", IN_BATCHES);
	wall_ahead_s = after_s; /* with the engine open ... */
	fine = fine && push_and_sync(&r, "b", IN_BATCHES);
	wall_ahead_s = after_s + after_s - before_s; /* ... and between two processes */
	fine = fine && reopen(&r, config) && rig_key(&r, "", "key");
	if (fine)
		RIG_UNTIL(delivered(&r) == 2 * IN_BATCHES);
	fine = fine && delivered(&r) == 2 * IN_BATCHES && rig_push(&r, "c", IN_BATCHES) == MW_OK;
	wall_ahead_s = before_s;
	if (fine)
		RIG_UNTIL(delivered(&r) == 3 * IN_BATCHES);
	fine = fine && delivered(&r) == 3 * IN_BATCHES;
	fine = fine && mw_engine_stats(r.engine, &s) == MW_OK && s.weir.oldest == -1 &&
	       stats_add_up(&s.weir.counts);
	if (!fine)
		fprintf(stderr, "%s: %" PRIu64 " delivered\n", name, delivered(&r));
	rig_close(&r);
	wall_ahead_s = 0;
	return fine;
}

TEST(a_clock_may_jump_either_way_and_delays_nothing)
{
	CHECK(survives("forward", 0, 30L * DAY_S));
	CHECK(survives("back", 0, -30L * DAY_S));
	CHECK(survives("far", 0, 40000L * DAY_S));
	CHECK(survives("before-1970", 0, -30000L * DAY_S));
	CHECK(survives("hour", 0, 3600));
}

/* ---- fork */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif

#ifndef UNDER_TSAN
/* What a child has of its parent's engine is of no use to it, and its own gets a partition of its own. */
static int in_child(struct rig *r, struct mw_engine_config config)
{
	struct mw_error e = {.code = MW_OK};
	struct mw_engine *own = NULL;
	struct mw_engine_stats s;
	bool refused = mw_engine_sync(r->engine, 1000, &e) == MW_FORKED && rig_push(r, "a", 1) == MW_FORKED &&
		       mw_engine_close(r->engine, 1000, &e) == MW_FORKED;
	mw_engine_free(r->engine);
	bool opened = mw_endpoint_parse(span(r->mock.url), &config.endpoint, &e) == MW_OK &&
		      mw_engine_open(&config, &own, &e) == MW_OK && mw_engine_stats(own, &s) == MW_OK &&
		      s.spool.partition == 1;
	mw_engine_free(own);
	return refused && opened ? 0 : 1;
}

TEST(a_fork_leaves_the_spool_to_the_parent)
{
	struct rig r;
	int status;
	struct mw_engine_config config = fault_config("forked");
	rig_open(&r, config);
	CHECK(push_and_sync(&r, "a", 100));
	pid_t child = fork();
	if (child == 0)
		_exit(in_child(&r, config));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(push_and_sync(&r, "a", 100) && rig_key(&r, "", "key"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 200);
	CHECK(reopen(&r, config) && rig_counts(&r).delivered == 200);
	rig_close(&r);
}
#endif

int main(int argc, char **argv)
{
	alarm(900);
	mock_main(argc, argv);
	RUN(a_request_cut_at_any_byte_leaves_the_message_queued);
	RUN(an_answer_cut_at_any_byte_is_none);
	RUN(every_status_has_its_verdict_and_every_lane_drains);
	RUN(a_server_may_ask_for_any_pause_and_is_believed_within_reason);
	RUN(a_clock_may_jump_either_way_and_delays_nothing);
#ifndef UNDER_TSAN
	RUN(a_fork_leaves_the_spool_to_the_parent);
#endif
	return CHECK_END();
}
