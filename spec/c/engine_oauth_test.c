/* An engine whose accounts send with the tokens of OAuth apps: who asks, with what, and whose token it is. */
#include "oauth_rig.h"

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
	const int apps = getenv("MW_VALGRIND") ? 3 : 40; /* each signs with a key of its own */
	c.weir.rate = 50;
	CHECK(open_all(&r, &h, &c, 0));
	for (int i = 0; i < apps; i++) {
		snprintf(name, sizeof name, "app-%d", i);
		snprintf(account, sizeof account, "a%d", i);
		CHECK(set_app(&h, name, rsa_key(2048, 0), r.mock.url) && set_account(&h, account, name));
	}
	CHECK(push_each(&r, apps, 1) && flush(&r));
	CHECK(requests(&r, "/token", NULL) == (size_t)apps &&
	      requests(&r, "/v1/batch", NULL) == (size_t)apps);
	size_t busiest = mock_busiest_second(&r.mock);
	printf("%zu requests in the busiest second\n", busiest);
	CHECK(busiest <= 50);
	close_all(&r, &h);
}

int main(int argc, char **argv)
{
	oauth_main(argc, argv);
	RUN(many_accounts_wait_and_one_request_fetches_the_token);
	RUN(what_asks_for_the_token_is_what_segment_wants);
	RUN(a_refused_token_is_replaced_once_and_the_same_batch_goes_again);
	RUN(a_first_token_that_is_refused_is_replaced_before_the_lane_is_parked);
	RUN(an_old_token_is_replaced_at_half_its_life);
	RUN(clocks_that_differ_by_ten_minutes_are_no_trouble);
	RUN(an_app_that_is_refused_parks_its_lanes_until_it_is_saved_anew);
	RUN(an_app_that_can_not_be_opened_parks_its_lanes_and_says_why);
	RUN(a_custom_endpoint_needs_a_token_server);
	RUN(an_account_that_goes_back_to_basic_waits_for_no_token);
	RUN(requests_for_tokens_count_in_the_budget);
	return CHECK_END();
}
