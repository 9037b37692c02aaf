/* oauth.h -- the tokens that OAuth apps send with, one for each app and token server.
 *
 *     mw_oauth_ticket(o, vault, app, &endpoint, hint, &ticket, &e)     which token is this account's?
 *     mw_oauth_ask(o, ticket, now)                                     core/grant.h: use it, wait, refused
 *     mw_oauth_form(o, ticket, vault, now_wall, &form, &url, &e)       start: what to ask the server with
 *     mw_oauth_done(o, ticket, &answer, random, now)                   what came of that
 *
 * All accounts of an app that send to one region share one token. The private key is fetched from the vault
 * when a request is signed, and wiped behind it; tokens are in the secret heap (secret_heap.h).
 *
 * Tickets count from 1 and live as long as the mw_oauth: a few hundred bytes for each app and server.
 * Not thread-safe: the engine calls it under its core lock.
 */
#ifndef MW_OAUTH_H
#define MW_OAUTH_H

#include "../core/grant.h"
#include "http.h"
#include "vault_app.h"

struct mw_oauth;

struct mw_oauth *mw_oauth_new(void);    /* NULL if memory is short */
void mw_oauth_free(struct mw_oauth *o); /* wipes; NULL is fine */

/* `hint` is a ticket that it may well be, 0 if there is none. MW_NO_ACCOUNT: there is no such app;
 * MW_BAD_ENDPOINT: it has no token server and the endpoint no region; what the vault says. */
enum mw_err mw_oauth_ticket(struct mw_oauth *o, struct mw_vault *v, struct mw_span app,
			    const struct mw_endpoint *endpoint, uint32_t hint, uint32_t *ticket,
			    struct mw_error *e);

struct mw_grant_say mw_oauth_ask(const struct mw_oauth *o, uint32_t ticket, int64_t now);

/* The token to use, borrowed until the next call, and its number. */
const char *mw_oauth_token(const struct mw_oauth *o, uint32_t ticket, uint32_t *generation);

/* Why there is none, for people; "" if nothing is known against it, or this is no ticket. Never holds a
 * secret. */
const char *mw_oauth_trouble(const struct mw_oauth *o, uint32_t ticket);

/* The form of a request, signed now, borrowed until the next one; the app counts as asking from then on.
 * Whatever goes wrong is noted as if the server had said no, or nothing, and told. */
enum mw_err mw_oauth_form(struct mw_oauth *o, uint32_t ticket, struct mw_vault *v, int64_t now_wall,
			  int64_t now, struct mw_span *form, const char **url, struct mw_error *e);

/* True: there is a new token. In any case the lanes that wait for it should ask again. */
bool mw_oauth_done(struct mw_oauth *o, uint32_t ticket, const struct mw_token_answer *a, int64_t now);

/* As mw_grant_reject. */
bool mw_oauth_reject(struct mw_oauth *o, uint32_t ticket, uint32_t generation, int64_t now);

/* The app was saved anew: tokens that were asked for by what it was before this revision are forgotten. */
void mw_oauth_forget(struct mw_oauth *o, struct mw_span app, uint64_t revision);

/* Is this ticket the app's? */
bool mw_oauth_is_of(const struct mw_oauth *o, uint32_t ticket, struct mw_span app);

#endif
