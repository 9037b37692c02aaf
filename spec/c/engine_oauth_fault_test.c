/* Token servers that fail, and processes that end while a token is on its way. */
#include "oauth_rig.h"

#include <signal.h>
#include <sys/wait.h>

TEST(a_server_that_asks_for_time_gets_it)
{
	static const char *const headers[] = {"Retry-After: 2", "X-RateLimit-Reset: 2"};
	for (int i = 0; i < 2; i++) {
		struct rig r;
		struct hand h;
		struct mw_engine_config c = oauth_config();
		CHECK(open_all(&r, &h, &c, 5));
		CHECK(mock_script(&r.mock, "token-status 429\ntoken-header %s", headers[i]));
		CHECK(push_each(&r, 5, 1) && flush(&r));
		size_t count;
		struct mock_request *log = mock_log(&r.mock, &count);
		CHECK(count == 7 && log[0].status == 429 && strcmp(log[1].path, "/token") == 0);
		CHECK(log[1].ns - log[0].ns >= 1990000000);
		free(log);
		close_all(&r, &h);
	}
}

TEST(a_failing_token_server_is_tried_again_and_the_lanes_wait)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 5) && mock_script(&r.mock, "token-status 503 500 503"));
	CHECK(push_each(&r, 5, 1));
	struct mw_engine_lane lane = {.account_len = 0};
	RIG_UNTIL(rig_lane(&r, "a2", &lane) && lane.awaits_token && strstr(lane.last_error, "answered 50"));
	CHECK(lane.awaits_token && lane.state == MW_LANE_WAITING &&
	      lane_says(&r, "a2", "no token for OAuth app \"app\""));
	struct mw_engine_stats s;
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK && s.weir.lanes_parked == 0);
	CHECK(s.lanes_tokenless > 0 && strstr(s.token_trouble, "answered 50"));
	CHECK(flush(&r) && requests(&r, "/token", NULL) == 4);
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK && s.lanes_tokenless == 0 && !*s.token_trouble);
	close_all(&r, &h);
}

TEST(a_token_server_that_is_not_there_parks_nobody)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 2) && set_app(&h, "app", rsa_key(2048, 0), "http://127.0.0.1:9"));
	CHECK(push_each(&r, 2, 1));
	struct mw_engine_lane lane;
	RIG_UNTIL(rig_lane(&r, "a1", &lane) && *lane.last_error);
	CHECK(lane_says(&r, "a1", "connection refused by 127.0.0.1:9") && !lane_is(&r, "a1", MW_LANE_PARKED));
	CHECK(set_app(&h, "app", rsa_key(2048, 0), r.mock.url) && flush(&r));
	close_all(&r, &h);
}

TEST(an_engine_ends_while_a_token_is_on_its_way)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 3) && mock_script(&r.mock, "token-stall") && push_each(&r, 3, 5));
	RIG_UNTIL(requests(&r, "/token", NULL) == 1);
	CHECK(mw_engine_sync(r.engine, RIG_PATIENCE_MS, &r.error) == MW_OK);
	CHECK(mw_engine_close(r.engine, 0, &r.error) == MW_TIMEOUT && strstr(r.error.detail, "15 messages"));
	mw_engine_free(r.engine);
	CHECK(mock_script(&r.mock, "reset\nbearer"));
	CHECK(mw_endpoint_parse(span(r.mock.url), &c.endpoint, &r.error) == MW_OK &&
	      mw_engine_open(&c, &r.engine, &r.error) == MW_OK && flush(&r));
	CHECK(rig_counts(&r).delivered == 15);
	close_all(&r, &h);
}

/* A process of its own that has synced, and has asked for a token, or had its token refused. */
static pid_t fork_sender(const struct rig *parent, struct mw_engine_config c)
{
	int ready[2];
	char answer = 0;
	pid_t child = pipe(ready) == 0 ? fork() : -1;
	if (child == 0) {
		struct rig r = {.mock = parent->mock};
		mw_outbox_init(&r.box, 64u << 20);
		bool ok = mw_endpoint_parse(span(r.mock.url), &c.endpoint, &r.error) == MW_OK &&
			  mw_engine_open(&c, &r.engine, &r.error) == MW_OK && push_each(&r, 3, 5) &&
			  mw_engine_sync(r.engine, RIG_PATIENCE_MS, &r.error) == MW_OK;
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

TEST(a_kill_in_between_loses_nothing)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 3));
	mw_engine_free(r.engine);
	r.engine = NULL;
	drop_hand(&h);
	for (int i = 0; i < 3; i++) {
		/* While the token is on its way; while it is refused again and again; as it likes. */
		CHECK(mock_script(&r.mock, "reset\nbearer\n%s",
				  i == 0   ? "token-stall"
				  : i == 1 ? "always 401"
					   : ""));
		mock_forget(&r.mock);
		pid_t child = fork_sender(&r, c);
		CHECK(child > 0);
		RIG_UNTIL(requests(&r, i == 1 ? "/v1/batch" : "/token", NULL) > 0);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		CHECK(mock_script(&r.mock, "reset\nbearer"));
		CHECK(mw_endpoint_parse(span(r.mock.url), &c.endpoint, &r.error) == MW_OK &&
		      mw_engine_open(&c, &r.engine, &r.error) == MW_OK && flush(&r));
		struct mw_counts counts = rig_counts(&r);
		CHECK(counts.accepted == 15u * (unsigned)(i + 1) && counts.delivered == counts.accepted);
		mw_engine_free(r.engine);
		r.engine = NULL;
	}
	rig_close(&r);
}

TEST(an_answer_that_is_no_token_is_none)
{
	static const char *const bodies[] = {"{}",
					     "<html>",
					     "{\"access_token\":\"a b\"}",
					     "{\"access_token\":7}",
					     "[\"access_token\"]",
					     "{\"access_token\":\"a\",\"expires_in\":0}"};
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 1));
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		mock_forget(&r.mock);
		CHECK(mock_script(&r.mock, "token-body %s", bodies[i]));
		CHECK(set_app(&h, "app", rsa_key(2048, 0), r.mock.url));
		CHECK(i > 0 || push_each(&r, 1, 1));
		RIG_UNTIL(requests(&r, "/token", NULL) > 0);
		struct mw_engine_lane lane = {.account_len = 0};
		RIG_UNTIL(rig_lane(&r, "a0", &lane) && lane.awaits_token &&
			  strstr(lane.last_error, "the answer holds none"));
		CHECK(requests(&r, "/v1/batch", NULL) == 0);
	}
	CHECK(mock_script(&r.mock, "token-body") && flush(&r));
	close_all(&r, &h);
}

int main(int argc, char **argv)
{
	oauth_main(argc, argv);
	RUN(a_server_that_asks_for_time_gets_it);
	RUN(a_failing_token_server_is_tried_again_and_the_lanes_wait);
	RUN(a_token_server_that_is_not_there_parks_nobody);
	RUN(an_engine_ends_while_a_token_is_on_its_way);
	RUN(a_kill_in_between_loses_nothing);
	RUN(an_answer_that_is_no_token_is_none);
	return CHECK_END();
}
