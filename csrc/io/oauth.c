#include "oauth.h"

#include "assertion.h"
#include "secret_heap.h"
#include "token_reply.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Whoever shows it may cut it. */
enum { TROUBLE_MAX = 400 };

struct entry {
	struct mw_grant grant;
	char *token; /* in the secret heap; NULL: none */
	char app[MW_APP_NAME_MAX + 1];
	uint64_t revision; /* of the app that last asked */
	struct mw_token_server server;
	char trouble[TROUBLE_MAX];
};

struct mw_oauth {
	struct entry **entries;
	uint32_t count, room;
	struct mw_buf form; /* in the secret heap, and does not grow */
};

struct mw_oauth *mw_oauth_new(void)
{
	return calloc(1, sizeof(struct mw_oauth));
}

void mw_oauth_free(struct mw_oauth *o)
{
	if (!o)
		return;
	for (uint32_t i = 0; i < o->count; i++) {
		mw_secret_free(o->entries[i]->token);
		free(o->entries[i]);
	}
	free(o->entries);
	mw_secret_free(o->form.data);
	free(o);
}

static struct entry *entry_of(const struct mw_oauth *o, uint32_t ticket)
{
	return o->entries[ticket - 1];
}

static bool is_named(const struct entry *n, struct mw_span app)
{
	return mw_span_is(app, n->app);
}

static bool is_entry(const struct mw_oauth *o, uint32_t ticket, struct mw_span app, const char *url)
{
	return ticket > 0 && ticket <= o->count && is_named(entry_of(o, ticket), app) &&
	       strcmp(entry_of(o, ticket)->server.url, url) == 0;
}

static uint32_t add(struct mw_oauth *o, struct mw_span app, const struct mw_token_server *server)
{
	if (o->count == o->room) {
		uint32_t room = o->room > 0 ? 2 * o->room : 8;
		struct entry **more = realloc(o->entries, room * sizeof *more);
		if (!more)
			return 0;
		o->entries = more;
		o->room = room;
	}
	struct entry *n = calloc(1, sizeof *n);
	if (!n)
		return 0;
	memcpy(n->app, app.at, app.len);
	n->server = *server;
	o->entries[o->count++] = n;
	return o->count;
}

enum mw_err mw_oauth_ticket(struct mw_oauth *o, struct mw_vault *v, struct mw_span app,
			    const struct mw_endpoint *endpoint, uint32_t hint, uint32_t *ticket,
			    struct mw_error *e)
{
	struct mw_token_server server;
	bool own;
	enum mw_err err = mw_vault_app_server(v, app, &own, &server, e);
	if (err != MW_OK)
		return err;
	if (!own && !mw_token_server_of(endpoint, &server))
		return mw_error_set(
		    e, MW_BAD_ENDPOINT, 0,
		    "the account's endpoint is none of Segment's, so OAuth app \"%.*s\" needs a "
		    "token server: moonweir oauth set",
		    (int)app.len, (const char *)app.at);
	*ticket = hint;
	if (is_entry(o, hint, app, server.url))
		return MW_OK;
	for (*ticket = 1; *ticket <= o->count; (*ticket)++)
		if (is_entry(o, *ticket, app, server.url))
			return MW_OK;
	*ticket = add(o, app, &server);
	return *ticket > 0 ? MW_OK : mw_error_set(e, MW_NO_MEMORY, 0, "no memory for another OAuth app");
}

struct mw_grant_say mw_oauth_ask(const struct mw_oauth *o, uint32_t ticket, int64_t now)
{
	return mw_grant_ask(&entry_of(o, ticket)->grant, now);
}

const char *mw_oauth_token(const struct mw_oauth *o, uint32_t ticket, uint32_t *generation)
{
	*generation = entry_of(o, ticket)->grant.generation;
	return entry_of(o, ticket)->token;
}

const char *mw_oauth_trouble(const struct mw_oauth *o, uint32_t ticket)
{
	return ticket > 0 && ticket <= o->count ? entry_of(o, ticket)->trouble : "";
}

static enum mw_err write_form(struct mw_oauth *o, const struct entry *n, const struct mw_app *app,
			      int64_t now_wall, struct mw_error *e)
{
	if (!o->form.data) {
		o->form.data = mw_secret_malloc(MW_ASSERTION_FORM_MAX);
		if (!o->form.data)
			return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a request for a token");
		o->form.cap = o->form.max = MW_ASSERTION_FORM_MAX;
	}
	mw_buf_clear(&o->form);
	struct mw_assertion a = {
	    .client_id = {(const uint8_t *)app->client_id, app->client_id_len},
	    .key_id = {(const uint8_t *)app->key_id, app->key_id_len},
	    .scope = {(const uint8_t *)app->scope, app->scope_len},
	    .audience = {(const uint8_t *)n->server.url, n->server.audience_len},
	    .now_s = (now_wall + n->grant.skew_ms) / 1000,
	};
	randombytes_buf(a.jti, sizeof a.jti);
	return mw_assertion_write(&a, (struct mw_span){app->der, app->der_len}, &o->form, e);
}

static void note(struct entry *n, const char *why, const char *reason)
{
	snprintf(n->trouble, sizeof n->trouble, "no token for OAuth app \"%.64s\": %s%s%s", n->app, why,
		 *reason ? ": " : "", reason);
}

static uint64_t chance(void)
{
	uint64_t random;
	randombytes_buf(&random, sizeof random);
	return random;
}

enum mw_err mw_oauth_form(struct mw_oauth *o, uint32_t ticket, struct mw_vault *v, int64_t now_wall,
			  int64_t now, struct mw_span *form, const char **url, struct mw_error *e)
{
	struct entry *n = entry_of(o, ticket);
	struct mw_app *app = NULL;
	enum mw_err err =
	    mw_vault_app_get(v, (struct mw_span){(const uint8_t *)n->app, strlen(n->app)}, &app, e);
	if (err == MW_OK) {
		n->revision = app->revision;
		err = write_form(o, n, app, now_wall, e);
	}
	mw_app_free(app);
	mw_grant_sent(&n->grant);
	*form = mw_buf_span(&o->form);
	*url = n->server.url;
	if (err == MW_OK)
		return MW_OK;
	/* What passes by itself is as a fault of the network, and the rest as a refusal. */
	bool passes = err == MW_NO_MEMORY || err == MW_IO;
	const struct mw_grant_answer none = {.status = passes ? MW_STATUS_NETWORK : 400,
					     .retry_after_ms = -1};
	mw_grant_done(&n->grant, &none, chance(), now);
	snprintf(n->trouble, sizeof n->trouble, "%.*s", TROUBLE_MAX - 1, e->detail);
	return err;
}

bool mw_oauth_done(struct mw_oauth *o, uint32_t ticket, const struct mw_token_answer *a, int64_t now)
{
	struct entry *n = entry_of(o, ticket);
	struct mw_grant_answer answer = {.status = a->status,
					 .retry_after_ms = a->retry_after_ms,
					 .has_date = a->has_date,
					 .skew_ms = a->skew_ms};
	struct mw_span text;
	char reason[MW_TOKEN_REASON_MAX] = "";
	char *token = NULL;
	if (a->status / 100 == 2 && mw_token_reply_read(a->body, &text, &answer.life_ms)) {
		token = mw_secret_malloc(text.len + 1);
		if (token) {
			memcpy(token, text.at, text.len);
			token[text.len] = '\0';
		} else {
			answer.life_ms = 0;
		}
	}
	bool is_stale = n->grant.is_stale;
	if (mw_grant_done(&n->grant, &answer, chance(), now)) {
		mw_secret_free(n->token);
		n->token = token;
		n->trouble[0] = '\0';
		return true;
	}
	mw_secret_free(token); /* nobody wants it any more */
	/* It says nothing of the app as it is now. */
	if (is_stale)
		return false;
	if (a->status / 100 == 2)
		note(n, "the answer holds none", "");
	else if (a->status > 0)
		mw_token_reply_reason(a->body, reason);
	if (*a->error)
		note(n, a->error, reason);
	return false;
}

bool mw_oauth_reject(struct mw_oauth *o, uint32_t ticket, uint32_t generation, int64_t now)
{
	struct entry *n = entry_of(o, ticket);
	bool again = mw_grant_reject(&n->grant, generation, now);
	if (!n->grant.has_token) {
		mw_secret_free(n->token);
		n->token = NULL;
	}
	return again;
}

void mw_oauth_forget(struct mw_oauth *o, struct mw_span app, uint64_t revision)
{
	for (uint32_t i = 0; i < o->count; i++) {
		struct entry *n = o->entries[i];
		if (!is_named(n, app) || n->revision >= revision)
			continue;
		mw_grant_reset(&n->grant);
		mw_secret_free(n->token);
		n->token = NULL;
		n->trouble[0] = '\0';
	}
}

bool mw_oauth_is_of(const struct mw_oauth *o, uint32_t ticket, struct mw_span app)
{
	return ticket > 0 && ticket <= o->count && is_named(entry_of(o, ticket), app);
}
