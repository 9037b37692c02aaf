/* engine_token.c -- how the requests of accounts with an OAuth app come by their token. Core is held in all
 * of it. */
#include "engine_state.h"

/* Of lanes that asked for a token and could not even be told which. */
static const uint32_t NO_TICKET = UINT32_MAX;

static int64_t now_ms(void)
{
	return mw_engine_now(CLOCK_MONOTONIC);
}

static void give_up(struct mw_engine *g, const struct mw_request *r, enum mw_err err, const char *why,
		    int64_t now)
{
	/* What passes by itself is as a fault of the network. */
	bool passes = err == MW_NO_MEMORY || err == MW_IO;
	const struct mw_answer answer = {.status = passes ? MW_STATUS_NETWORK : MW_STATUS_NO_TOKEN,
					 .retry_after_ms = -1};
	mw_trouble_note(&g->trouble, r->lane, why);
	mw_weir_done(g->weir, r, &answer, now);
}

/* Where permits are turns a request for a token waits for one, as lanes do: for one at a time. */
enum { TURN_LOOK_MS = 1000 };

static bool may_start(struct mw_engine *g, uint32_t ticket)
{
	if (mw_turns_admit_token(&g->commons.turns, &g->token_turn, mw_engine_now_us()))
		return true;
	g->token_wanted = ticket;
	return false;
}

/* True: a request for a token is on its way. */
static bool start_request(struct mw_engine *g, uint32_t ticket, int64_t now)
{
	struct mw_span form;
	struct mw_error e;
	const char *url;
	if (mw_oauth_form(g->oauth, ticket, g->commons.vault, mw_engine_now(CLOCK_REALTIME), now, &form, &url,
			  &e) != MW_OK)
		return false;
	enum mw_err err = mw_http_ask(g->http, ticket, url, form);
	if (err == MW_OK) {
		g->token_requests++;
		return true;
	}
	const struct mw_token_answer none = {
	    .status = MW_STATUS_NETWORK, .retry_after_ms = -1, .error = mw_err_sentence(err)};
	mw_oauth_done(g->oauth, ticket, &none, now);
	return false;
}

const char *mw_engine_token(struct mw_engine *g, const struct mw_request *r, struct mw_span app,
			    const struct mw_endpoint *endpoint, int64_t now)
{
	struct mw_lane *lane = r->lane;
	struct mw_error e;
	uint32_t ticket;
	enum mw_err err =
	    mw_oauth_ticket(g->oauth, g->commons.vault, app, endpoint, lane->grant, &ticket, &e);
	lane->grant = err == MW_OK ? ticket : NO_TICKET;
	if (err != MW_OK) {
		give_up(g, r, err, e.detail, now);
		return NULL;
	}
	struct mw_grant_say say = mw_oauth_ask(g->oauth, ticket, now);
	bool may = say.start && may_start(g, ticket), started = may && start_request(g, ticket, now);
	if (may && !started)
		say = mw_oauth_ask(g->oauth, ticket, now);
	else if (say.start && !may)
		say.until = now + TURN_LOOK_MS; /* another may have had the turn */
	const char *trouble = mw_oauth_trouble(g->oauth, ticket);
	switch (say.verdict) {
	case MW_GRANT_USE:
		return mw_oauth_token(g->oauth, ticket, &lane->generation);
	case MW_GRANT_WAIT:
		if (*trouble)
			mw_trouble_note(&g->trouble, lane, trouble);
		mw_weir_hold(g->weir, r, started, say.until, now);
		return NULL;
	case MW_GRANT_REFUSED:
		give_up(g, r, MW_BAD_KEY, trouble, now);
	}
	return NULL;
}

bool mw_engine_token_refused(struct mw_engine *g, const struct mw_request *r, const struct mw_answer *a)
{
	struct mw_lane *lane = r->lane;
	uint32_t generation = lane->generation;
	lane->generation = 0;
	return generation > 0 && a->status == 401 &&
	       mw_oauth_reject(g->oauth, lane->grant, generation, now_ms());
}

void mw_engine_call_token(struct mw_engine *g, int64_t now)
{
	const struct mw_lane *each;
	uint32_t ticket = g->token_wanted;
	g->token_wanted = 0;
	if (ticket > 0 && mw_oauth_ask(g->oauth, ticket, now).start && may_start(g, ticket))
		start_request(g, ticket, now);
	/* The others find out that they are to wait for another turn. */
	for (size_t position = 0; (each = mw_weir_each(g->weir, &position));)
		if (mw_lane_awaits_token(each))
			mw_weir_release(g->weir, mw_weir_lane(g->weir, mw_lane_account(each)), now);
}

void mw_engine_on_token(void *context, uint32_t ticket, const struct mw_token_answer *a)
{
	struct mw_engine *g = context;
	const struct mw_lane *each;
	pthread_mutex_lock(&g->core);
	int64_t now = now_ms();
	mw_oauth_done(g->oauth, ticket, a, now);
	for (size_t position = 0; (each = mw_weir_each(g->weir, &position));)
		if (each->grant == ticket && mw_lane_awaits_token(each))
			mw_weir_release(g->weir, mw_weir_lane(g->weir, mw_lane_account(each)), now);
	pthread_mutex_unlock(&g->core);
}

void mw_engine_on_app(void *context, struct mw_span app, uint64_t revision)
{
	struct mw_engine *g = context;
	const struct mw_lane *each;
	mw_oauth_forget(g->oauth, app, revision);
	for (size_t position = 0; (each = mw_weir_each(g->weir, &position));)
		if (!each->paused && (each->grant == NO_TICKET || mw_oauth_is_of(g->oauth, each->grant, app)))
			mw_weir_resume(g->weir, mw_weir_lane(g->weir, mw_lane_account(each)), now_ms());
}
