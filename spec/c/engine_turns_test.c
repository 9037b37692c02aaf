/* An engine whose permits are turns: who is asked for, and when not. */
#include "lessor.h"
#include "oauth_rig.h"

static void begin(struct rig *r, struct hand *h, struct lessor *l, int accounts)
{
	struct mw_engine_config c = oauth_config();
	c.weir.rate = LESSOR_RATE;
	c.is_leased = true;
	memset(l, 0, sizeof *l);
	if (!open_all(r, h, &c, accounts))
		exit(2);
	lessor_start(l, r->engine);
}

static void end(struct rig *r, struct hand *h, struct lessor *l)
{
	lessor_stop(l);
	close_all(r, h);
}

TEST(a_request_for_a_token_takes_a_turn_of_its_own)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	begin(&r, &h, &l, 40);
	CHECK(push_each(&r, 40, 3) && flush(&r));
	CHECK(requests(&r, "/token", NULL) == 1 && requests(&r, "/v1/batch", NULL) == 40);
	CHECK(atomic_load(&l.tokens) > 0 && atomic_load(&l.granted) >= 41);
	end(&r, &h, &l);
}

TEST(tokens_of_many_apps_are_all_fetched)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	char name[16];
	begin(&r, &h, &l, 1);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "app%d", i);
		CHECK(set_app(&h, name, rsa_key(2048, 0), r.mock.url));
		char account[16];
		snprintf(account, sizeof account, "b%d", i);
		CHECK(set_account(&h, account, name) && rig_push(&r, account, 3) == MW_OK);
	}
	CHECK(flush(&r));
	CHECK(requests(&r, "/token", NULL) == 4 && requests(&r, "/v1/batch", NULL) == 4);
	end(&r, &h, &l);
}

TEST(a_lane_that_waits_for_its_turn_does_not_count_as_waiting_for_a_token)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	struct mw_engine_lane lane;
	struct mw_engine_stats s;
	begin(&r, &h, &l, 1);
	CHECK(push_each(&r, 1, 1) && flush(&r));
	atomic_store(&l.is_away, true);
	snprintf(l.named, sizeof l.named, "a0");
	CHECK(push_each(&r, 1, 1));
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms > 0);
	CHECK(rig_lane(&r, "a0", &lane) && lane.state == MW_LANE_WAITING && !lane.awaits_token);
	CHECK(s.weir.lanes_held == 0);
	atomic_store(&l.is_away, false);
	CHECK(flush(&r));
	end(&r, &h, &l);
}

TEST(no_turn_is_asked_for_an_account_that_has_no_key)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	begin(&r, &h, &l, 1);
	snprintf(l.named, sizeof l.named, "keyless");
	CHECK(rig_push(&r, "keyless", 3) == MW_OK);
	RIG_UNTIL(lane_is(&r, "keyless", MW_LANE_PARKED));
	CHECK(push_each(&r, 1, 1));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	CHECK(!atomic_load(&l.is_named) && requests(&r, "/v1/batch", NULL) == 1);
	end(&r, &h, &l);
}

TEST(a_lane_is_paused_and_resumed_while_it_waits)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	struct mw_engine_stats s;
	begin(&r, &h, &l, 1);
	CHECK(push_each(&r, 1, 1) && flush(&r));
	atomic_store(&l.is_away, true);
	CHECK(push_each(&r, 1, 1));
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms > 0);
	CHECK(mw_vault_pause(h.vault, span("a0"), &h.error) == MW_OK);
	RIG_UNTIL(lane_is(&r, "a0", MW_LANE_PAUSED));
	CHECK(mw_engine_flush(r.engine, RIG_PATIENCE_MS) == MW_PARKED);
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms == 0);
	CHECK(s.unleased_ms == 0); /* nothing waits any more */
	atomic_store(&l.is_away, false);
	CHECK(mw_vault_resume(h.vault, span("a0"), &h.error) == MW_OK);
	RIG_UNTIL(requests(&r, "/v1/batch", NULL) == 2);
	CHECK(flush(&r));
	end(&r, &h, &l);
}

TEST(an_engine_closes_while_its_lanes_wait)
{
	struct rig r;
	struct hand h;
	struct lessor l;
	struct mw_engine_stats s;
	begin(&r, &h, &l, 3);
	atomic_store(&l.is_away, true);
	CHECK(push_each(&r, 3, 2));
	RIG_UNTIL(mw_engine_stats(r.engine, &s) == MW_OK && s.unleased_ms > 0);
	CHECK(mw_engine_close(r.engine, 200, &r.error) == MW_TIMEOUT);
	end(&r, &h, &l);
}

int main(int argc, char **argv)
{
	alarm(300);
	oauth_main(argc, argv);
	RUN(a_request_for_a_token_takes_a_turn_of_its_own);
	RUN(tokens_of_many_apps_are_all_fetched);
	RUN(a_lane_that_waits_for_its_turn_does_not_count_as_waiting_for_a_token);
	RUN(no_turn_is_asked_for_an_account_that_has_no_key);
	RUN(a_lane_is_paused_and_resumed_while_it_waits);
	RUN(an_engine_closes_while_its_lanes_wait);
	return CHECK_END();
}
