/* An engine whose accounts send with the tokens of OAuth apps, against a server that gives them. */
#include "../../csrc/io/vault_app.h"
#include "folder.h"
#include "rig.h"
#include "rsa_fixture.h"

#include <signal.h>
#include <sys/wait.h>

static const char master_file[] = "master";

/* A spool with a vault of its own for each test. */
static struct mw_engine_config oauth_config(void)
{
	static struct mw_spool_config spool;
	static char dir[256], master[256];
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "spool-%u", count++);
	snprintf(dir, sizeof dir, "%s", folder_path(name));
	snprintf(master, sizeof master, "%s", folder_path(master_file));
	spool = (struct mw_spool_config){.dir = dir, .disk_max = 64 << 20};
	struct mw_engine_config c = rig_config();
	c.spool = &spool;
	c.master_key_file = master;
	return c;
}

/* What another process would do: through a vault of its own on the same spool. */
struct hand {
	struct mw_state *state;
	struct mw_vault *vault;
	struct mw_error error;
};

static bool take_hand(struct hand *h, const struct mw_engine_config *c)
{
	*h = (struct hand){0};
	return mw_state_open(c->spool->dir, 0, &h->state, &h->error) == MW_OK &&
	       mw_vault_open(h->state, c->master_key_file, &h->vault, &h->error) == MW_OK;
}

static void drop_hand(struct hand *h)
{
	mw_vault_close(h->vault);
	mw_state_close(h->state);
}

static bool set_app(struct hand *h, const char *name, EVP_PKEY *key, const char *server)
{
	char pem[PEM_ROOM];
	struct mw_app_change c = {.client_id = MW_SPAN("client-1"), .key_id = MW_SPAN("key-1")};
	c.private_key = span(pem_of(key, PKCS8, pem));
	if (server)
		c.token_server = span(server);
	bool done = mw_vault_app_set(h->vault, span(name), &c, &h->error) == MW_OK;
	memset(pem, 0, sizeof pem);
	return done;
}

static bool set_account(struct hand *h, const char *account, const char *app)
{
	char key[64];
	snprintf(key, sizeof key, "write-key-of-%s", account);
	struct mw_account_change c = {.write_key = span(key), .app = span(app)};
	return mw_vault_set(h->vault, span(account), &c, &h->error) == MW_OK;
}

/* An engine, and `accounts` of them, a0 and so on, with the app "app". */
static bool open_all(struct rig *r, struct hand *h, struct mw_engine_config *c, int accounts)
{
	char account[16];
	rig_open(r, *c);
	bool ok = take_hand(h, c) && mock_script(&r->mock, "bearer") &&
		  set_app(h, "app", rsa_key(2048, 0), r->mock.url);
	for (int i = 0; ok && i < accounts; i++) {
		snprintf(account, sizeof account, "a%d", i);
		ok = set_account(h, account, "app");
	}
	if (!ok)
		fprintf(stderr, "%s\n", h->error.detail);
	return ok;
}

static void close_all(struct rig *r, struct hand *h)
{
	drop_hand(h);
	rig_close(r);
}

static bool push_each(struct rig *r, int accounts, int messages)
{
	char account[16];
	for (int i = 0; i < accounts; i++) {
		snprintf(account, sizeof account, "a%d", i);
		if (rig_push(r, account, messages) != MW_OK)
			return false;
	}
	return true;
}

static bool flush(struct rig *r)
{
	return mw_engine_flush(r->engine, RIG_PATIENCE_MS) == MW_OK;
}

/* Requests of this kind in the server's log, and the last of them. */
static size_t requests(struct rig *r, const char *path, struct mock_request *last)
{
	size_t count, found = 0;
	struct mock_request *log = mock_log(&r->mock, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(log[i].path, path) == 0) {
			found++;
			if (last)
				*last = log[i];
		}
	free(log);
	return found;
}

static bool lane_is(struct rig *r, const char *account, enum mw_lane_state state)
{
	struct mw_engine_lane lane;
	return rig_lane(r, account, &lane) && lane.state == state;
}

static bool lane_says(struct rig *r, const char *account, const char *words)
{
	struct mw_engine_lane lane;
	bool says = rig_lane(r, account, &lane) && strstr(lane.last_error, words);
	if (!says)
		fprintf(stderr, "%s says: %s\n", account, lane.last_error);
	return says;
}

TEST(many_accounts_wait_and_one_request_fetches_the_token)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 40));
	CHECK(push_each(&r, 40, 3) && flush(&r));
	CHECK(requests(&r, "/token", NULL) == 1 && requests(&r, "/v1/batch", NULL) == 40);
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(log[i].path, "/v1/batch") == 0)
			CHECK(strcmp(log[i].key, "mock-token-of-sixteen-1") == 0 && log[i].status == 200 &&
			      strncmp(log[i].body_key, "write-key-of-a", 14) == 0 && log[i].retry == 0);
	free(log);
	struct mw_engine_stats s;
	CHECK(mw_engine_stats(r.engine, &s) == MW_OK && s.token_requests == 1 && s.weir.requests == 41);
	/* And once more: the token is kept. */
	CHECK(push_each(&r, 40, 1) && flush(&r) && requests(&r, "/token", NULL) == 1);
	close_all(&r, &h);
}

TEST(what_asks_for_the_token_is_what_segment_wants)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	char header[2048], claims[2048], want[256];
	const char *at;
	size_t len;
	CHECK(open_all(&r, &h, &c, 1));
	mock_forget(&r.mock);
	CHECK(push_each(&r, 1, 1) && flush(&r));
	char *bodies = mock_read(&r.mock, "bodies", NULL), *heads = mock_read(&r.mock, "heads", NULL);
	CHECK(strncmp(heads, "POST /token HTTP/1.1", 20) == 0 && !strstr(heads, "Authorization"));
	CHECK(strstr(heads, "Content-Type: application/x-www-form-urlencoded"));
	CHECK(form_field(bodies, "grant_type=", &at, &len) && strncmp(at, "client_credentials", len) == 0);
	CHECK(form_field(bodies, "client_assertion_type=", &at, &len) &&
	      strncmp(at, "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer", len) == 0);
	CHECK(form_field(bodies, "&scope=", &at, &len) && strncmp(at, "tracking_api%3Awrite", len) == 0);
	CHECK(form_field(bodies, "client_assertion=", &at, &len));
	CHECK(jwt_opens(at, len, rsa_key(2048, 0), header, claims));
	CHECK(!jwt_opens(at, len, rsa_key(2048, 1), header, claims));
	CHECK(strcmp(header, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key-1\"}") == 0);
	snprintf(want, sizeof want,
		 "{\"iss\":\"client-1\",\"sub\":\"client-1\",\"aud\":\"%s\",\"iat\":", r.mock.url);
	CHECK(strncmp(claims, want, strlen(want)) == 0 && strstr(claims, "\"jti\":\""));
	free(bodies);
	free(heads);
	close_all(&r, &h);
}

TEST(a_refused_token_is_replaced_once_and_the_same_batch_goes_again)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 10) && push_each(&r, 10, 1) && flush(&r));
	mock_forget(&r.mock);
	CHECK(mock_script(&r.mock, "void-tokens"));
	CHECK(push_each(&r, 10, 7) && flush(&r));
	CHECK(requests(&r, "/token", NULL) == 1);
	size_t count, refused = 0, taken = 0;
	struct mock_request *log = mock_log(&r.mock, &count);
	for (size_t i = 0; i < count; i++) {
		bool batch = strcmp(log[i].path, "/v1/batch") == 0;
		refused += batch && log[i].status == 401 && log[i].messages == 7;
		taken += batch && log[i].status == 200 && log[i].messages == 7;
	}
	free(log);
	CHECK(taken == 10 && refused >= 1 && refused + taken + 1 == count);
	struct mw_counts counts = rig_counts(&r);
	CHECK(counts.delivered == 80 && counts.dead == 0);
	/* One account alone is refused: its key is no good, whatever the token. */
	mock_forget(&r.mock);
	CHECK(mock_script(&r.mock, "key write-key-of-a3 401"));
	CHECK(push_each(&r, 10, 1) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(lane_is(&r, "a3", MW_LANE_PARKED) && lane_is(&r, "a4", MW_LANE_EMPTY));
	CHECK(requests(&r, "/token", NULL) == 0 && lane_says(&r, "a3", "answered 401"));
	close_all(&r, &h);
}

TEST(a_first_token_that_is_refused_is_replaced_before_the_lane_is_parked)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 1) && mock_script(&r.mock, "key write-key-of-a0 401"));
	CHECK(push_each(&r, 1, 5) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	struct mock_request last;
	CHECK(requests(&r, "/token", NULL) == 2 && requests(&r, "/v1/batch", &last) == 2);
	CHECK(last.messages == 0 || last.retry == 1);
	close_all(&r, &h);
}

TEST(an_old_token_is_replaced_at_half_its_life)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 1) && mock_script(&r.mock, "token-life 2"));
	int64_t end = monotonic_ms() + RIG_PATIENCE_MS;
	while (requests(&r, "/token", NULL) < 4 && monotonic_ms() < end)
		CHECK(push_each(&r, 1, 1) && flush(&r));
	CHECK(requests(&r, "/token", NULL) >= 4);
	size_t count;
	struct mock_request *log = mock_log(&r.mock, &count);
	long long since = 0;
	for (size_t i = 0; i < count; i++) {
		CHECK(log[i].status == 200);
		if (strcmp(log[i].path, "/token") != 0)
			continue;
		CHECK(since == 0 ||
		      log[i].ns - since >= 850000000); /* half of 2 s, less a tenth, and the way */
		since = log[i].ns;
	}
	free(log);
	close_all(&r, &h);
}

TEST(clocks_that_differ_by_ten_minutes_are_no_trouble)
{
	for (int skew = -600; skew <= 600; skew += 1200) {
		struct rig r;
		struct hand h;
		struct mw_engine_config c = oauth_config();
		CHECK(open_all(&r, &h, &c, 3) && mock_script(&r.mock, "clock %d", skew));
		CHECK(push_each(&r, 3, 2) && flush(&r));
		CHECK(requests(&r, "/token", NULL) == 2 && requests(&r, "/v1/batch", NULL) == 3);
		struct mw_counts counts = rig_counts(&r);
		CHECK(counts.delivered == 6);
		close_all(&r, &h);
	}
}

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
	CHECK(flush(&r) && requests(&r, "/token", NULL) == 4);
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

TEST(an_app_that_is_refused_parks_its_lanes_until_it_is_saved_anew)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 20));
	CHECK(mock_script(&r.mock, "token-status 400\ntoken-body {\"error\":\"invalid_client\","
				   "\"error_description\":\"no key key-1 of "
				   "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9\"}"));
	CHECK(push_each(&r, 20, 2) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(requests(&r, "/token", NULL) == 1 && requests(&r, "/v1/batch", NULL) == 0);
	CHECK(lane_is(&r, "a7", MW_LANE_PARKED) &&
	      lane_says(&r, "a7", "400: invalid_client: no key key-1 of ..."));
	struct mw_engine_lane lane;
	CHECK(rig_lane(&r, "a7", &lane) && lane.last_status == MW_STATUS_NO_TOKEN);
	CHECK(mock_script(&r.mock, "token-body"));
	int64_t saved = monotonic_ms();
	CHECK(set_app(&h, "app", rsa_key(2048, 1), r.mock.url));
	RIG_UNTIL(rig_counts(&r).delivered == 40);
	CHECK(rig_counts(&r).delivered == 40);
	printf("resumed and delivered %lld ms after the app was saved\n",
	       (long long)(monotonic_ms() - saved));
	char *bodies = mock_read(&r.mock, "bodies", NULL), header[2048], claims[2048];
	const char *at, *second = strstr(strstr(bodies, "client_assertion=") + 1, "client_assertion=");
	size_t len;
	CHECK(second && form_field(second, "client_assertion=", &at, &len) &&
	      jwt_opens(at, len, rsa_key(2048, 1), header, claims));
	free(bodies);
	close_all(&r, &h);
}

TEST(an_app_that_can_not_be_opened_parks_its_lanes_and_says_why)
{
	struct rig r;
	struct hand h, other;
	struct mw_engine_config c = oauth_config(), elsewhere = c;
	CHECK(open_all(&r, &h, &c, 1));
	elsewhere.master_key_file = folder_path("other-master");
	CHECK(mw_master_key_create(elsewhere.master_key_file, &r.error) == MW_OK);
	CHECK(take_hand(&other, &elsewhere) && set_app(&other, "app", rsa_key(2048, 0), r.mock.url));
	CHECK(push_each(&r, 1, 1) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(lane_says(&r, "a0", "OAuth app \"app\": sealed with master key"));
	CHECK(set_app(&h, "app", rsa_key(2048, 0), r.mock.url));
	RIG_UNTIL(rig_counts(&r).delivered == 1);
	CHECK(rig_counts(&r).delivered == 1);
	drop_hand(&other);
	close_all(&r, &h);
}

TEST(a_custom_endpoint_needs_a_token_server)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 1) && set_app(&h, "app", rsa_key(2048, 0), ""));
	CHECK(push_each(&r, 1, 1) && mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(lane_says(&r, "a0", "needs a token server"));
	CHECK(set_app(&h, "app", rsa_key(2048, 0), r.mock.url));
	RIG_UNTIL(rig_counts(&r).delivered == 1);
	CHECK(rig_counts(&r).delivered == 1);
	close_all(&r, &h);
}

TEST(an_account_that_goes_back_to_basic_waits_for_no_token)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	CHECK(open_all(&r, &h, &c, 2) && mock_script(&r.mock, "reset\ntoken-stall") && push_each(&r, 2, 1));
	struct mw_engine_lane lane = {.account_len = 0};
	RIG_UNTIL(rig_lane(&r, "a0", &lane) && lane.awaits_token);
	struct mw_account_change basic = {.app = MW_SPAN("")};
	CHECK(mw_vault_set(h.vault, MW_SPAN("a0"), &basic, &h.error) == MW_OK);
	RIG_UNTIL(rig_counts(&r).delivered == 1);
	struct mock_request last;
	CHECK(requests(&r, "/v1/batch", &last) == 1 && strcmp(last.key, "write-key-of-a0") == 0);
	CHECK(lane_is(&r, "a1", MW_LANE_WAITING));
	close_all(&r, &h);
}

TEST(requests_for_tokens_count_in_the_budget)
{
	struct rig r;
	struct hand h;
	struct mw_engine_config c = oauth_config();
	char name[16], account[16];
	c.weir.rate = 50;
	CHECK(open_all(&r, &h, &c, 0));
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "app-%d", i);
		snprintf(account, sizeof account, "a%d", i);
		CHECK(set_app(&h, name, rsa_key(2048, 0), r.mock.url) && set_account(&h, account, name));
	}
	CHECK(push_each(&r, 40, 1) && flush(&r));
	CHECK(requests(&r, "/token", NULL) == 40 && requests(&r, "/v1/batch", NULL) == 40);
	size_t busiest = mock_busiest_second(&r.mock);
	printf("%zu requests in the busiest second\n", busiest);
	CHECK(busiest <= 50);
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
		RIG_UNTIL(rig_lane(&r, "a0", &lane) && strstr(lane.last_error, "the answer holds none"));
		CHECK(lane.awaits_token && requests(&r, "/v1/batch", NULL) == 0);
	}
	CHECK(mock_script(&r.mock, "token-body") && flush(&r));
	close_all(&r, &h);
}

int main(int argc, char **argv)
{
	struct mw_error e;
	mock_main(argc, argv);
	folder();
	if (mw_master_key_create(folder_path(master_file), &e) != MW_OK)
		return 2;
	RUN(many_accounts_wait_and_one_request_fetches_the_token);
	RUN(what_asks_for_the_token_is_what_segment_wants);
	RUN(a_refused_token_is_replaced_once_and_the_same_batch_goes_again);
	RUN(a_first_token_that_is_refused_is_replaced_before_the_lane_is_parked);
	RUN(an_old_token_is_replaced_at_half_its_life);
	RUN(clocks_that_differ_by_ten_minutes_are_no_trouble);
	RUN(a_server_that_asks_for_time_gets_it);
	RUN(a_failing_token_server_is_tried_again_and_the_lanes_wait);
	RUN(a_token_server_that_is_not_there_parks_nobody);
	RUN(an_app_that_is_refused_parks_its_lanes_until_it_is_saved_anew);
	RUN(an_app_that_can_not_be_opened_parks_its_lanes_and_says_why);
	RUN(a_custom_endpoint_needs_a_token_server);
	RUN(an_account_that_goes_back_to_basic_waits_for_no_token);
	RUN(requests_for_tokens_count_in_the_budget);
	RUN(an_engine_ends_while_a_token_is_on_its_way);
	RUN(a_kill_in_between_loses_nothing);
	RUN(an_answer_that_is_no_token_is_none);
	return CHECK_END();
}
