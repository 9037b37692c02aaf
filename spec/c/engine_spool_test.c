#include "folder.h"
#include "rig.h"

#include <signal.h>
#include <sys/wait.h>

static struct mw_spool_config spool;

/* A spool of its own for each test. */
static struct mw_engine_config spool_config(void)
{
	static char dirs[32][256];
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "spool-%u", count);
	snprintf(dirs[count], sizeof dirs[0], "%s", folder_path(name));
	spool = (struct mw_spool_config){.dir = dirs[count++ % 32], .disk_max = 64 << 20};
	struct mw_engine_config c = rig_config();
	c.spool = &spool;
	return c;
}

static void reopen(struct rig *r, struct mw_engine_config config)
{
	mw_engine_free(r->engine);
	r->engine = NULL;
	if (mw_endpoint_parse(span(r->mock.url), &config.endpoint, &r->error) != MW_OK ||
	    mw_engine_open(&config, &r->engine, &r->error) != MW_OK) {
		fprintf(stderr, "reopen: %s\n", r->error.detail);
		exit(2);
	}
}

static bool sync_all(struct rig *r)
{
	return mw_engine_sync(r->engine, RIG_PATIENCE_MS, &r->error) == MW_OK;
}

TEST(what_was_synced_is_sent_by_the_next_start)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(rig_push(&r, "a", 1000) == MW_OK && sync_all(&r)); /* no key: it stays */
	struct mw_counts c = rig_counts(&r);
	CHECK(c.accepted == 1000 && stats_add_up(&c));
	CHECK(mw_engine_close(r.engine, 0, &r.error) == MW_TIMEOUT || r.error.code == MW_PARKED);
	CHECK(strstr(r.error.detail, "the spool keeps them"));
	reopen(&r, config);
	c = rig_counts(&r);
	CHECK(c.queued + c.in_flight == 1000 && c.accepted == 1000);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	reopen(&r, config);
	c = rig_counts(&r);
	CHECK(c.delivered == 1000 && c.queued == 0 && c.accepted == 1000);
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	CHECK(count == 1 && log[0].messages == 1000);
	free(log);
	rig_close(&r);
}

TEST(flush_waits_until_the_answers_are_on_disk)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(rig_key(&r, "", "key"));
	for (int i = 0; i < 20; i++) {
		CHECK(rig_push(&r, "a", 10) == MW_OK && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
		reopen(&r, config);
		struct mw_counts c = rig_counts(&r);
		CHECK(c.delivered == 10u * (unsigned)(i + 1) && c.queued == 0);
		CHECK(rig_key(&r, "", "key"));
	}
	rig_close(&r);
}

TEST(close_writes_what_was_pushed_just_before)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(rig_push(&r, "a", 100) == MW_OK);
	mw_engine_close(r.engine, 0, &r.error);
	reopen(&r, config);
	CHECK(rig_counts(&r).queued + rig_counts(&r).in_flight == 100);
	rig_close(&r);
}

TEST(a_killed_process_leaves_all_that_it_synced)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	r.mock = mock_start(NULL, NULL);
	mw_outbox_init(&r.box, 64u << 20);
	int ready[2];
	CHECK(pipe(ready) == 0);
	pid_t child = fork();
	if (child == 0) {
		r.engine = NULL;
		reopen(&r, config);
		bool ok = rig_push(&r, "a", 500) == MW_OK && sync_all(&r);
		if (write(ready[1], ok ? "y" : "n", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char answer = 0;
	CHECK(read(ready[0], &answer, 1) == 1 && answer == 'y');
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	r.engine = NULL;
	reopen(&r, config);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(rig_counts(&r).delivered == 500);
	rig_close(&r);
}

TEST(a_full_disk_refuses_and_drains)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	spool.disk_max = MW_DISK_MIN;
	rig_open(&r, config);
	uint64_t accepted = 0;
	int refused = 0;
	/* Without a key nothing leaves: the disk's budget is soon spent. */
	for (int64_t deadline = monotonic_ms() + RIG_PATIENCE_MS; refused < 1000 && monotonic_ms() < deadline;) {
		enum mw_err err = rig_push(&r, "a", 1000);
		CHECK(err == MW_OK || err == MW_FULL);
		accepted += err == MW_OK ? 1000 : 0;
		refused += err == MW_FULL;
		if (err == MW_FULL)
			CHECK(mw_engine_wait_room(r.engine, r.box.bytes.len, 2) != MW_IO);
	}
	CHECK(refused == 1000 && accepted > 10000);
	enum mw_err err = mw_engine_sync(r.engine, 0, &r.error);
	CHECK(err == MW_FULL || err == MW_TIMEOUT);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	struct mw_counts c = rig_counts(&r);
	CHECK(c.delivered == accepted && stats_add_up(&c) && sync_all(&r));
	CHECK(rig_push(&r, "a", 1000) == MW_OK && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	rig_close(&r);
}

TEST(refused_messages_are_dead_and_the_rest_is_delivered_across_a_restart)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(mock_script(&r.mock, "status 404") && rig_key(&r, "", "key"));
	CHECK(rig_push(&r, "a", 3) == MW_OK && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	reopen(&r, config);
	CHECK(rig_counts(&r).dead == 3 && rig_key(&r, "", "key"));
	CHECK(rig_push(&r, "a", 3) == MW_OK && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(rig_counts(&r).dead == 3 && rig_counts(&r).delivered == 3);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	alarm(300);
	mock_main(argc, argv);
	RUN(what_was_synced_is_sent_by_the_next_start);
	RUN(flush_waits_until_the_answers_are_on_disk);
	RUN(close_writes_what_was_pushed_just_before);
	RUN(a_killed_process_leaves_all_that_it_synced);
	RUN(a_full_disk_refuses_and_drains);
	RUN(refused_messages_are_dead_and_the_rest_is_delivered_across_a_restart);
	return CHECK_END();
}
