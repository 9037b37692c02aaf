#include "../../csrc/core/version.h"
#include "http_world.h"

static const struct mw_http_config plain;

TEST(a_request_has_these_headers_and_no_others)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(world_status(w, m.url) == 200);
	CHECK(strcmp(w->body, "{\"success\":true}") == 0 && w->error[0] == '\0' && w->retry_after_ms == -1);
	char expected[512], *heads = mock_read(&m, "heads", NULL), *bodies = mock_read(&m, "bodies", NULL);
	const char *body = "{\"writeKey\":\"Key_1-z\",\"sentAt\":\"2023-11-14T22:13:20.123Z\",\"batch\":["
			   "{\"messageId\":\"1\"}]}";
	snprintf(expected, sizeof expected,
		 "POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Basic S2V5XzEtejo=\r\n"
		 "User-Agent: moonweir/" MW_VERSION_TEXT
		 "\r\nAccept: */*\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n",
		 m.port, strlen(body));
	if (strcmp(heads, expected) != 0)
		fprintf(stderr, "%s", heads);
	CHECK(strcmp(heads, expected) == 0);
	CHECK(strncmp(bodies, body, strlen(body)) == 0 && strcmp(bodies + strlen(body), "\n") == 0);
	free(heads);
	free(bodies);
	world_close(w);
	mock_stop(&m);
}

TEST(a_retry_says_which_and_the_user_agent_can_be_chosen)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open((struct mw_http_config){.user_agent = "acme/2"});
	CHECK(world_post(w, m.url, MW_SPAN("{}"), 1) && world_finish(w));
	char *heads = mock_read(&m, "heads", NULL);
	CHECK(strstr(heads, "\r\nX-Retry-Count: 1\r\n") && strstr(heads, "\r\nUser-Agent: acme/2\r\n"));
	free(heads);
	mock_forget(&m);
	CHECK(world_post(w, m.url, MW_SPAN("{}"), 0) && world_finish(w));
	heads = mock_read(&m, "heads", NULL);
	CHECK(*heads && !strstr(heads, "X-Retry-Count"));
	free(heads);
	world_close(w);
	mock_stop(&m);
}

TEST(a_full_batch_goes_without_expect_and_arrives_whole)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	size_t len = MW_BATCH_TARGET, got;
	uint8_t *messages = malloc(len);
	memset(messages, 'm', len);
	memcpy(messages, "{\"a\":\"", 6);
	memcpy(messages + len - 2, "\"}", 2);
	CHECK(world_post(w, m.url, (struct mw_span){messages, len}, 0) && world_finish(w) &&
	      w->status == 200);
	char *heads = mock_read(&m, "heads", NULL), *arrived = mock_read(&m, "messages", &got);
	CHECK(!strcasestr(heads, "expect") && !strcasestr(heads, "transfer-encoding"));
	CHECK(got == len + 1 && memcmp(arrived, messages, len) == 0);
	free(heads);
	free(arrived);
	free(messages);
	world_close(w);
	mock_stop(&m);
}

TEST(more_than_a_batch_is_refused)
{
	struct world *w = world_open(plain);
	size_t len = MW_BATCH_TARGET + MW_MESSAGE_MAX + 1024;
	uint8_t *messages = calloc(1, len);
	struct mw_request r = {.count = 1};
	struct mw_endpoint endpoint = {"http://127.0.0.1:9/v1/batch"};
	struct mw_buf large = {.data = messages, .len = len, .cap = len, .max = len}, small = large;
	struct mw_span key = {messages, MW_WRITE_KEY_MAX + 1};
	small.len = 2;
	CHECK(mw_http_post(w->http, &r, &endpoint, MW_SPAN("k"), NULL, &large, 0) == MW_TOO_LARGE);
	CHECK(mw_http_post(w->http, &r, &endpoint, key, NULL, &small, 0) == MW_TOO_LARGE && small.len == 2);
	free(messages);
	world_close(w);
}

TEST(a_redirect_is_an_answer_and_not_a_way)
{
	struct mock m = mock_start(NULL, NULL), trap = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	size_t count;
	for (int status = 301; status <= 308; status++) {
		CHECK(mock_script(&m, "always %d\nheader Location: %s/v1/batch", status, trap.url));
		CHECK(world_status(w, m.url) == status && w->error[0]);
	}
	free(mock_log(&trap, &count));
	CHECK(count == 0);
	world_close(w);
	mock_stop(&m);
	mock_stop(&trap);
}

TEST(proxies_and_netrc_of_the_environment_are_ignored)
{
	static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy",
					    "ALL_PROXY"};
	struct mock m = mock_start(NULL, NULL), trap = mock_start(NULL, NULL);
	char path[160], *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
	snprintf(path, sizeof path, "%s/.netrc", trap.folder);
	FILE *netrc = fopen(path, "w");
	CHECK(netrc && fputs("machine 127.0.0.1 login intruder password x\n", netrc) >= 0 &&
	      fclose(netrc) == 0);
	setenv("HOME", trap.folder, 1);
	unsetenv("no_proxy"); /* which would spare us the proxies, too */
	unsetenv("NO_PROXY");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		setenv(names[i], trap.url, 1);
	struct world *w = world_open(plain);
	int status = world_status(w, m.url);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	if (home)
		setenv("HOME", home, 1);
	free(home);
	size_t count;
	free(mock_log(&trap, &count));
	CHECK(status == 200 && count == 0);
	struct mock_request *log = mock_log(&m, &count);
	CHECK(count == 1 && strcmp(log->key, "Key_1-z") == 0 && strcmp(log->body_key, "Key_1-z") == 0);
	free(log);
	world_close(w);
	mock_stop(&m);
	mock_stop(&trap);
}

TEST(a_configured_proxy_is_used_whatever_no_proxy_says)
{
	struct mock proxy = mock_start(NULL, NULL);
	setenv("no_proxy", "*", 1);
	struct world *w = world_open((struct mw_http_config){.proxy = proxy.url});
	int status = world_status(w, "http://127.0.0.1:9");
	unsetenv("no_proxy");
	CHECK(status == 200);
	world_close(w);
	mock_stop(&proxy);
}

TEST(a_huge_answer_is_cut_and_counts_by_its_status)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(mock_script(&m, "huge 50000000"));
	CHECK(world_status(w, m.url) == 200 && w->body_len == MW_RESPONSE_MAX);
	CHECK(mock_script(&m, "always 400"));
	CHECK(world_status(w, m.url) == 400 && w->body_len == MW_RESPONSE_MAX && strlen(w->error) < 600);
	CHECK(mock_script(&m, "reset\nhuge %d", MW_RESPONSE_MAX));
	CHECK(world_status(w, m.url) == 200 && w->body_len == MW_RESPONSE_MAX);
	world_close(w);
	mock_stop(&m);
}

TEST(a_flood_of_headers_is_cut_and_counts_by_its_status)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(mock_script(&m, "always 400\nflood 50000000"));
	CHECK(world_status(w, m.url) == 400 && w->body_len == 0);
	CHECK(mock_script(&m, "reset\nflood 50000"));
	CHECK(world_status(w, m.url) == 200);
	world_close(w);
	mock_stop(&m);
}

TEST(a_server_may_ask_for_a_pause)
{
	static const struct {
		const char *header;
		int64_t ms;
	} cases[] = {
	    {"Retry-After: 7", 7000},
	    {"retry-after:  7 ", 7000},
	    {"Retry-After: 0", MW_RETRY_AFTER_MIN_MS},
	    {"Retry-After: 1000000000", MW_RETRY_AFTER_MAX_MS},
	    {"Retry-After: soon", -1},
	    {"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT", MW_RETRY_AFTER_MIN_MS},
	    {"Retry-After: Fri, 01 Jan 2100 00:00:00 GMT", MW_RETRY_AFTER_MAX_MS},
	    {"X-RateLimit-Reset: 9", 9000},
	    {"X-Other: 1", -1},
	};
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK(mock_script(&m, "always 429\nheader %s", cases[i].header));
		CHECK(world_status(w, m.url) == 429);
		if (w->retry_after_ms != cases[i].ms)
			fprintf(stderr, "%s gave %" PRId64 "\n", cases[i].header, w->retry_after_ms);
		CHECK(w->retry_after_ms == cases[i].ms);
	}
	world_close(w);
	mock_stop(&m);
}

TEST(every_status_comes_through)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	for (int status = 100; status <= 599; status++) {
		CHECK(mock_script(&m, "always %d", status));
		int got = world_status(w, m.url);
		/* 1xx announces an answer that never comes. */
		int expected = status < 200 ? MW_STATUS_NETWORK : status;
		if (got != expected)
			fprintf(stderr, "%d gave %d: %s\n", status, got, w->error);
		CHECK(got == expected && (w->error[0] == '\0') == (status / 100 == 2));
	}
	world_close(w);
	mock_stop(&m);
}

TEST(an_echoed_key_is_blotted_out)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(
	    mock_script(&m, "always 400\nbody no Key_1-z, Key_1-zKey_1-z, Basic S2V5XzEtejo= and\x1b[1mKey"));
	CHECK(world_status(w, m.url) == 400);
	CHECK(strcmp(w->body, "no *******, **************, Basic ***********= and\x1b[1mKey") == 0);
	CHECK(strstr(w->error, "answered 400: no *******") && !strchr(w->error, 0x1b));
	world_close(w);
	mock_stop(&m);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	RUN(a_request_has_these_headers_and_no_others);
	RUN(a_retry_says_which_and_the_user_agent_can_be_chosen);
	RUN(a_full_batch_goes_without_expect_and_arrives_whole);
	RUN(more_than_a_batch_is_refused);
	RUN(a_redirect_is_an_answer_and_not_a_way);
	RUN(proxies_and_netrc_of_the_environment_are_ignored);
	RUN(a_configured_proxy_is_used_whatever_no_proxy_says);
	RUN(a_huge_answer_is_cut_and_counts_by_its_status);
	RUN(a_flood_of_headers_is_cut_and_counts_by_its_status);
	RUN(a_server_may_ask_for_a_pause);
	RUN(every_status_comes_through);
	RUN(an_echoed_key_is_blotted_out);
	return CHECK_END();
}
