/* Which token is whose, without a network: what a server would say is made up here. */
#include "../../csrc/io/oauth.h"
#include "rsa_fixture.h"
#include "vault_fixture.h"

static struct mw_endpoint at_us, at_eu, at_custom;

static bool set_app(struct fixture *f, const char *app, const char *server)
{
	char pem[PEM_ROOM];
	struct mw_app_change c = {
	    .client_id = MW_SPAN("client"), .key_id = MW_SPAN("kid"), .token_server = span(server)};
	c.private_key = span(pem_of(rsa_key(2048, 0), PKCS8, pem));
	return mw_vault_app_set(f->v, span(app), &c, &error) == MW_OK;
}

static uint32_t ticket(struct mw_oauth *o, struct fixture *f, const char *app,
		       const struct mw_endpoint *endpoint, uint32_t hint)
{
	uint32_t t;
	mw_error_clear(&error);
	return mw_oauth_ticket(o, f->v, span(app), endpoint, hint, &t, &error) == MW_OK ? t : 0;
}

static const char *url;
static struct mw_span form;

static enum mw_err ask(struct mw_oauth *o, struct fixture *f, uint32_t t, int64_t now)
{
	mw_error_clear(&error);
	return mw_oauth_form(o, t, f->v, 1763935080000, now, &form, &url, &error);
}

static bool answer(struct mw_oauth *o, uint32_t t, int status, const char *body, int64_t now)
{
	char error_text[40] = "";
	if (status / 100 != 2)
		snprintf(error_text, sizeof error_text, "the.host answered %d", status);
	struct mw_token_answer a = {
	    .status = status, .retry_after_ms = -1, .body = span(body), .error = error_text};
	return mw_oauth_done(o, t, &a, now);
}

static bool has_token(struct mw_oauth *o, uint32_t t, const char *token, uint32_t generation)
{
	uint32_t got;
	return mw_oauth_ask(o, t, 0).verdict == MW_GRANT_USE &&
	       strcmp(mw_oauth_token(o, t, &got), token) == 0 && got == generation;
}

TEST(an_app_has_one_token_for_each_region)
{
	struct fixture f;
	struct mw_oauth *o = mw_oauth_new();
	CHECK(start(&f, "regions", master(0)) && set_app(&f, "a", "") && set_app(&f, "b", "") &&
	      set_app(&f, "own", "https://auth.example"));
	uint32_t in_us = ticket(o, &f, "a", &at_us, 0), in_eu = ticket(o, &f, "a", &at_eu, in_us);
	CHECK(in_us && in_eu && in_us != in_eu && ticket(o, &f, "a", &at_us, in_eu) == in_us &&
	      ticket(o, &f, "a", &at_us, in_us) == in_us && ticket(o, &f, "a", &at_us, 77) == in_us);
	CHECK(ticket(o, &f, "b", &at_us, in_us) != in_us);
	/* One with a server of its own has one token, wherever it is used. */
	uint32_t own = ticket(o, &f, "own", &at_us, 0);
	CHECK(own && ticket(o, &f, "own", &at_eu, 0) == own && ticket(o, &f, "own", &at_custom, 0) == own);
	CHECK(ticket(o, &f, "a", &at_custom, 0) == 0 && error.code == MW_BAD_ENDPOINT);
	CHECK(ticket(o, &f, "none", &at_us, 0) == 0 && error.code == MW_NO_ACCOUNT);
	CHECK(mw_oauth_is_of(o, in_us, MW_SPAN("a")) && mw_oauth_is_of(o, in_eu, MW_SPAN("a")) &&
	      !mw_oauth_is_of(o, own, MW_SPAN("a")) && !mw_oauth_is_of(o, 0, MW_SPAN("a")) &&
	      !mw_oauth_is_of(o, 77, MW_SPAN("a")));
	CHECK(ask(o, &f, in_us, 0) == MW_OK && strcmp(url, "https://oauth2.segment.io/token") == 0);
	CHECK(ask(o, &f, in_eu, 0) == MW_OK && strcmp(url, "https://oauth2.eu1.segmentapis.com/token") == 0);
	CHECK(ask(o, &f, own, 0) == MW_OK && strcmp(url, "https://auth.example/token") == 0);
	CHECK(answer(o, in_us, 200, "{\"access_token\":\"of-us\",\"expires_in\":100}", 0) &&
	      has_token(o, in_us, "of-us", 1));
	CHECK(mw_oauth_ask(o, in_eu, 0).verdict == MW_GRANT_WAIT);
	mw_oauth_free(o);
	stop(&f);
}

TEST(an_app_saved_anew_forgets_what_it_got_before)
{
	struct fixture f;
	struct mw_oauth *o = mw_oauth_new();
	CHECK(start(&f, "forgets", master(0)) && set_app(&f, "a", "us"));
	uint32_t t = ticket(o, &f, "a", &at_us, 0);
	CHECK(ask(o, &f, t, 0) == MW_OK &&
	      answer(o, t, 200, "{\"access_token\":\"one\",\"expires_in\":100}", 0));
	mw_oauth_forget(o, MW_SPAN("a"), 1); /* it was asked for by this very revision */
	CHECK(has_token(o, t, "one", 1));
	mw_oauth_forget(o, MW_SPAN("b"), 2);
	CHECK(has_token(o, t, "one", 1));
	mw_oauth_forget(o, MW_SPAN("a"), 2);
	CHECK(mw_oauth_ask(o, t, 600).start);
	/* What was under way then is no trouble of the app's as it is now, whatever it comes to. */
	for (int status = 200; status <= 400; status += 200) {
		CHECK(ask(o, &f, t, 600) == MW_OK);
		mw_oauth_forget(o, MW_SPAN("a"), UINT64_MAX);
		CHECK(!answer(o, t, status, "{\"access_token\":\"late\",\"expires_in\":100}", 600));
		CHECK(!*mw_oauth_trouble(o, t) && mw_oauth_ask(o, t, 600).start);
	}
	mw_oauth_free(o);
	stop(&f);
}

TEST(trouble_is_told_in_words_and_goes_with_a_token)
{
	struct fixture f;
	struct mw_oauth *o = mw_oauth_new();
	CHECK(start(&f, "trouble", master(0)) && set_app(&f, "a", "us"));
	uint32_t t = ticket(o, &f, "a", &at_us, 0);
	CHECK(!*mw_oauth_trouble(o, t) && ask(o, &f, t, 0) == MW_OK);
	CHECK(!answer(o, t, 400, "{\"error\":\"invalid_client\"}", 0));
	CHECK(!strcmp(mw_oauth_trouble(o, t),
		      "no token for OAuth app \"a\": the.host answered 400: invalid_client"));
	CHECK(ask(o, &f, t, 1000000) == MW_OK &&
	      !answer(o, t, 200, "{\"access_token\":\"two words\"}", 1000000));
	CHECK(!strcmp(mw_oauth_trouble(o, t), "no token for OAuth app \"a\": the answer holds none"));
	/* A server that repeats what it was sent. */
	char echo[MW_ASSERTION_FORM_MAX + 100];
	CHECK(ask(o, &f, t, 2000000) == MW_OK);
	snprintf(echo, sizeof echo, "{\"error\":\"bad\",\"error_description\":\"%.*s\"}", (int)form.len,
		 (const char *)form.at);
	CHECK(!answer(o, t, 401, echo, 2000000) && !strstr(mw_oauth_trouble(o, t), "eyJ"));
	CHECK(ask(o, &f, t, 3000000) == MW_OK &&
	      answer(o, t, 200, "{\"access_token\":\"x\",\"expires_in\":100}", 3000000) &&
	      !*mw_oauth_trouble(o, t));
	mw_oauth_free(o);
	stop(&f);
}

TEST(an_app_that_can_not_sign_is_as_one_that_is_refused)
{
	struct fixture f;
	struct mw_oauth *o = mw_oauth_new();
	CHECK(start(&f, "unsigned", master(0)) && set_app(&f, "a", "us"));
	stop(&f);
	CHECK(start(&f, "unsigned", master(1)));
	uint32_t t = ticket(o, &f, "a", &at_us, 0);
	CHECK(t && ask(o, &f, t, 0) == MW_BAD_MASTER_KEY &&
	      mw_oauth_ask(o, t, 0).verdict == MW_GRANT_REFUSED);
	CHECK(strstr(mw_oauth_trouble(o, t), "sealed with master key"));
	mw_oauth_free(o);
	stop(&f);
}

int main(void)
{
	folder();
	if (mw_endpoint_parse(MW_SPAN("us"), &at_us, &error) != MW_OK ||
	    mw_endpoint_parse(MW_SPAN("eu"), &at_eu, &error) != MW_OK ||
	    mw_endpoint_parse(MW_SPAN("https://t.example"), &at_custom, &error) != MW_OK)
		return 2;
	RUN(an_app_has_one_token_for_each_region);
	RUN(an_app_saved_anew_forgets_what_it_got_before);
	RUN(trouble_is_told_in_words_and_goes_with_a_token);
	RUN(an_app_that_can_not_sign_is_as_one_that_is_refused);
	return CHECK_END();
}
