#include "../../csrc/io/engine_state.h"
#include "folder.h"
#include "rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static struct mw_spool_config spool;

/* Found before LMDB's own. The next commit waits until this engine is to end, and then finds the disk full;
 * those behind it find room again. */
static struct mw_engine *_Atomic stopping;
static atomic_bool is_in_commit;

static bool is_stopped(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	bool stop = g->stop;
	pthread_mutex_unlock(&g->gate);
	return stop;
}

int mdb_txn_commit(MDB_txn *txn)
{
	int (*commit)(MDB_txn *);
	*(void **)&commit = dlsym(RTLD_NEXT, "mdb_txn_commit");
	struct mw_engine *g = atomic_exchange(&stopping, NULL);
	if (!g)
		return commit(txn);
	atomic_store(&is_in_commit, true);
	RIG_UNTIL(is_stopped(g));
	mdb_txn_abort(txn);
	return ENOSPC;
}

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

/* A process that has pushed, synced and not yet gone away, on this spool. */
static pid_t fork_pusher(struct mw_engine_config config, const char *url, const char *account, int count)
{
	int ready[2];
	char answer = 0;
	if (pipe(ready) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		struct rig r = {.engine = NULL};
		snprintf(r.mock.url, sizeof r.mock.url, "%s", url);
		mw_outbox_init(&r.box, 64u << 20);
		reopen(&r, config);
		bool ok = rig_push(&r, account, count) == MW_OK && sync_all(&r);
		if (write(ready[1], ok ? "y" : "n", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	bool is_ready = read(ready[0], &answer, 1) == 1 && answer == 'y';
	close(ready[0]);
	close(ready[1]);
	return is_ready ? child : -1;
}

static bool is_saved(struct mw_engine *g)
{
	pthread_mutex_lock(&g->gate);
	bool saved = !g->is_unsaved;
	pthread_mutex_unlock(&g->gate);
	return saved;
}

TEST(answers_are_written_though_another_request_never_ends)
{
	struct rig r;
	struct mw_engine_lane slow = {.state = MW_LANE_EMPTY};
	rig_open(&r, spool_config());
	CHECK(mock_script(&r.mock, "stall-key slow") && rig_key(&r, "slow", "slow") && rig_key(&r, "b", "b"));
	CHECK(rig_push(&r, "slow", 1) == MW_OK && sync_all(&r));
	RIG_UNTIL(rig_lane(&r, "slow", &slow) && slow.state == MW_LANE_FLYING);
	CHECK(rig_push(&r, "b", 1) == MW_OK && sync_all(&r));
	RIG_UNTIL(rig_counts(&r).delivered == 1 && is_saved(r.engine));
	CHECK(rig_counts(&r).delivered == 1 && rig_counts(&r).in_flight == 1 && is_saved(r.engine));
	rig_close(&r);
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

TEST(close_at_once_answers_for_nothing_it_was_not_given)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(mw_engine_close(r.engine, 0, &r.error) == MW_OK);
	reopen(&r, config);
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

TEST(close_writes_what_came_while_the_disk_was_full_too)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	CHECK(rig_push(&r, "a", 10) == MW_OK && sync_all(&r)); /* the adoption has had its look */
	atomic_store(&stopping, r.engine);
	CHECK(rig_push(&r, "a", 10) == MW_OK);
	RIG_UNTIL(atomic_load(&is_in_commit));
	CHECK(rig_push(&r, "a", 10) == MW_OK);
	mw_engine_close(r.engine, 0, &r.error);
	CHECK(strstr(r.error.detail, "the spool keeps them"));
	reopen(&r, config);
	CHECK(rig_counts(&r).queued + rig_counts(&r).in_flight == 30);
	rig_close(&r);
}

TEST(a_killed_process_leaves_all_that_it_synced)
{
	struct rig r;
	struct mw_engine_config config = spool_config();
	r.mock = mock_start(NULL, NULL);
	mw_outbox_init(&r.box, 64u << 20);
	pid_t child = fork_pusher(config, r.mock.url, "a", 500);
	CHECK(child > 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	r.engine = NULL;
	reopen(&r, config);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(rig_counts(&r).delivered == 500);
	rig_close(&r);
}

TEST(what_dead_processes_left_in_other_partitions_is_adopted)
{
	struct rig r = {.mock = mock_start(NULL, NULL)};
	struct mw_engine_config config = spool_config();
	mw_outbox_init(&r.box, 64u << 20);
	pid_t first = fork_pusher(config, r.mock.url, "a", 500);
	pid_t second = fork_pusher(config, r.mock.url, "b", 3000);
	pid_t third = fork_pusher(config, r.mock.url, "b", 20);
	CHECK(first > 0 && second > 0 && third > 0);
	kill(first, SIGKILL);
	kill(third, SIGKILL);
	waitpid(first, NULL, 0);
	waitpid(third, NULL, 0);
	reopen(&r, config); /* in the place of the first; the second lives */
	CHECK(rig_counts(&r).queued + rig_counts(&r).in_flight == 500 && rig_key(&r, "", "key"));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK && rig_counts(&r).delivered == 520);
	kill(second, SIGKILL);
	waitpid(second, NULL, 0);
	reopen(&r, config);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(rig_counts(&r).delivered == 3520);
	reopen(&r, config); /* and not again */
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	CHECK(rig_counts(&r).accepted == 3520);
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
	for (int64_t deadline = monotonic_ms() + RIG_PATIENCE_MS;
	     refused < 100 && monotonic_ms() < deadline;) {
		enum mw_err err = rig_push(&r, "a", 1000);
		CHECK(err == MW_OK || err == MW_FULL);
		accepted += err == MW_OK ? 1000 : 0;
		refused += err == MW_FULL;
		if (err == MW_FULL)
			CHECK(mw_engine_wait_room(r.engine, r.box.bytes.len, 2) != MW_IO);
	}
	CHECK(refused == 100 && accepted > 10000);
	enum mw_err err = mw_engine_sync(r.engine, 0, &r.error);
	CHECK(err == MW_FULL || err == MW_TIMEOUT);
	CHECK(rig_key(&r, "", "key") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	struct mw_counts c = rig_counts(&r);
	CHECK(c.delivered == accepted && stats_add_up(&c) && sync_all(&r));
	CHECK(rig_push(&r, "a", 1000) == MW_OK && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
	rig_close(&r);
}

TEST(what_the_disk_may_never_hold_is_too_large_and_not_waited_for)
{
	struct rig r;
	char id[32];
	struct mw_engine_config config = spool_config();
	spool.disk_max = MW_DISK_MIN;
	rig_open(&r, config);
	CHECK(rig_key(&r, "", "key"));
	mw_outbox_clear(&r.box);
	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof id, "%d", i);
		CHECK(box_add(&r.box, "a", id, 30000, i)); /* 6 MB, into a spool of 4 */
	}
	CHECK(mw_engine_push(r.engine, &r.box) == MW_TOO_LARGE);
	CHECK(mw_engine_wait_room(r.engine, r.box.bytes.len, 0) == MW_TOO_LARGE);
	/* Nor does what comes in pieces add up to more while the disk is busy. */
	mw_outbox_clear(&r.box);
	CHECK(box_add(&r.box, "a", "piece", 30000, 0));
	for (int i = 0; i < 1000; i++) {
		enum mw_err err = mw_engine_push(r.engine, &r.box);
		CHECK(err == MW_OK || err == MW_FULL);
	}
	CHECK(sync_all(&r) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_OK);
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

/* ---- keys that are kept in the spool's vault */

static struct mw_state *state;
static struct mw_vault *vault;

/* The vault as another process would have it open. */
static void open_vault(struct mw_engine_config *config)
{
	struct mw_error e;
	static char path[256];
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "master-%u", count++);
	snprintf(path, sizeof path, "%s", folder_path(name));
	config->master_key_file = path;
	CHECK(mw_master_key_create(path, &e) == MW_OK);
	CHECK(mw_state_open(spool.dir, 0, &state, &e) == MW_OK);
	CHECK(mw_vault_open(state, path, &vault, &e) == MW_OK);
}

static void close_vault(void)
{
	mw_vault_close(vault);
	mw_state_close(state);
}

static bool save_key(const char *account, const char *key)
{
	struct mw_error e;
	const struct mw_account_change change = {.write_key = span(key)};
	return mw_vault_set(vault, span(account), &change, &e) == MW_OK;
}

TEST(a_key_that_is_saved_later_sends_what_waited_for_it)
{
	struct rig r;
	struct mw_engine_lane lane;
	struct mw_engine_config config = spool_config();
	open_vault(&config);
	rig_open(&r, config);
	CHECK(rig_push(&r, "a", 10) == MW_OK && rig_push(&r, "b", 10) == MW_OK);
	RIG_UNTIL(rig_lane(&r, "a", &lane) && lane.state == MW_LANE_PARKED);
	CHECK(strstr(lane.last_error, "no write key is saved"));
	CHECK(save_key("a", "key-of-a"));
	RIG_UNTIL(rig_counts(&r).delivered == 10);
	CHECK(rig_counts(&r).delivered == 10 && rig_lane(&r, "b", &lane) && lane.counts.delivered == 0);
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	CHECK(count == 1 && strcmp(log[0].key, "key-of-a") == 0);
	free(log);
	close_vault();
	rig_close(&r);
}

TEST(a_refused_key_keeps_its_messages_until_another_is_saved)
{
	struct rig r;
	struct mw_engine_lane lane;
	struct mw_engine_config config = spool_config();
	open_vault(&config);
	CHECK(save_key("a", "revoked"));
	rig_open(&r, config);
	CHECK(mock_script(&r.mock, "key revoked 401") && rig_push(&r, "a", 10) == MW_OK);
	RIG_UNTIL(rig_lane(&r, "a", &lane) && lane.state == MW_LANE_PARKED);
	CHECK(lane.last_status == 401 && lane.counts.queued == 10);
	CHECK(save_key("a", "fresh") && mw_engine_flush(r.engine, RIG_PATIENCE_MS) != MW_TIMEOUT);
	RIG_UNTIL(rig_counts(&r).delivered == 10);
	CHECK(rig_counts(&r).delivered == 10);
	close_vault();
	rig_close(&r);
}

TEST(a_paused_account_waits_and_goes_on)
{
	struct rig r;
	struct mw_error e;
	struct mw_engine_lane lane;
	struct mw_engine_config config = spool_config();
	open_vault(&config);
	CHECK(save_key("a", "key-of-a") && mw_vault_pause(vault, span("a"), &e) == MW_OK);
	rig_open(&r, config);
	CHECK(rig_push(&r, "a", 10) == MW_OK);
	RIG_UNTIL(rig_lane(&r, "a", &lane) && lane.state == MW_LANE_PAUSED);
	CHECK(lane.state == MW_LANE_PAUSED && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(mw_vault_resume(vault, span("a"), &e) == MW_OK);
	RIG_UNTIL(rig_counts(&r).delivered == 10);
	CHECK(rig_counts(&r).delivered == 10);
	close_vault();
	rig_close(&r);
}

TEST(the_board_shows_what_the_engine_counts)
{
	static struct mw_board_copy copy;
	struct rig r;
	char path[300];
	struct mw_engine_config config = spool_config();
	rig_open(&r, config);
	snprintf(path, sizeof path, "%s/p0/board", spool.dir);
	CHECK(rig_push(&r, "shown", 10) == MW_OK);
	RIG_UNTIL(mw_board_read(path, &copy, &r.error) == MW_OK && copy.totals.accepted == 10 &&
		  copy.lanes[0].flags == MW_BOARD_PARKED);
	CHECK(copy.totals.queued == 10 && copy.head.lane_count == 1 && copy.head.pid == getpid());
	CHECK(strcmp(copy.lanes[0].account, "shown") == 0 && copy.totals.lanes_parked == 1);
	rig_close(&r);
}

int main(int argc, char **argv)
{
	alarm(900);
	mock_main(argc, argv);
	RUN(answers_are_written_though_another_request_never_ends);
	RUN(what_was_synced_is_sent_by_the_next_start);
	RUN(flush_waits_until_the_answers_are_on_disk);
	RUN(close_at_once_answers_for_nothing_it_was_not_given);
	RUN(close_writes_what_was_pushed_just_before);
	RUN(close_writes_what_came_while_the_disk_was_full_too);
	RUN(a_killed_process_leaves_all_that_it_synced);
	RUN(what_dead_processes_left_in_other_partitions_is_adopted);
	RUN(a_full_disk_refuses_and_drains);
	RUN(what_the_disk_may_never_hold_is_too_large_and_not_waited_for);
	RUN(refused_messages_are_dead_and_the_rest_is_delivered_across_a_restart);
	RUN(a_key_that_is_saved_later_sends_what_waited_for_it);
	RUN(a_refused_key_keeps_its_messages_until_another_is_saved);
	RUN(a_paused_account_waits_and_goes_on);
	RUN(the_board_shows_what_the_engine_counts);
	return CHECK_END();
}
