/* grant.h -- one OAuth token's life: when to ask for one, when to use it, when to leave the server alone.
 *
 *     mw_grant_ask(g, now)     -> USE the token | WAIT for one | REFUSED; and `start`: send a request for one
 *     mw_grant_sent(g)            the request is on its way
 *     mw_grant_done(g, a, now)    what came of it
 *     mw_grant_reject(g, n, now)  the API answered 401 to token number n
 *
 * However many lanes ask, one request is in flight. A token is asked for when somebody needs it and never
 * before; from half of its life on (with a tenth of jitter) whoever uses it has the next one fetched beside.
 *
 *     nothing --ask--> in flight --200--> token --half life, ask--> token, and in flight
 *        ^                | 429, 5xx, network: back-off, as lanes do; a token that is still good is used on
 *        +----------------+ 400, 401, ...: refused, until MW_PROBE_MS later or when the app is saved anew
 *
 * A 401 makes the token void, once: while the one that came in its place is MW_GRANT_FRESH_MS young, a 401
 * says something about the account, not about the token.
 *
 * A refusal whose Date shows that the clocks differ by other than was reckoned with is tried again at once.
 *
 * Pure: `now` is monotonic ms, chance an argument. The token's text is somebody else's.
 */
#ifndef MW_GRANT_H
#define MW_GRANT_H

#include <stdbool.h>
#include <stdint.h>

/* Nobody waits longer without asking again, should the answer get lost on its way. */
#define MW_GRANT_PATIENCE_MS 60000

#define MW_GRANT_FRESH_MS 60000

/* A token is not used in the last tenth of its life, or this much of it: requests take time. */
#define MW_GRANT_MARGIN_MS 30000

/* Segment's tokens live for 30 days at most. */
#define MW_GRANT_LIFE_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

struct mw_grant {
	int64_t until;       /* the token is good before it */
	int64_t refresh_at;  /* ... and worth replacing from here on */
	int64_t retry_at;    /* no request before it */
	int64_t renewed_at;  /* when the token came that took the place of a rejected one */
	int64_t skew_ms;     /* how far the server's clock is ahead of ours */
	int64_t skew_used;   /* what the request in flight reckoned with */
	uint32_t generation; /* number of the token; 0: there was none yet */
	uint32_t failures;   /* requests in a row that came to nothing */
	bool has_token;
	bool in_flight;
	bool is_stale; /* the request in flight asks for what nobody wants any more */
	bool is_refused;
	bool is_rejected; /* the next token takes the place of a rejected one */
	bool is_renewed;  /* this one did */
	bool is_adjusted; /* the clock was corrected since the last success */
};

enum mw_grant_verdict { MW_GRANT_USE, MW_GRANT_WAIT, MW_GRANT_REFUSED };

struct mw_grant_say {
	enum mw_grant_verdict verdict;
	bool start;    /* send a request now, and say so with mw_grant_sent */
	int64_t until; /* WAIT: ask again then at the latest */
};

struct mw_grant_answer {
	int status;             /* HTTP, or MW_STATUS_NETWORK and MW_STATUS_UNSENT (verdict.h) */
	int64_t life_ms;        /* of the token that came with it; 0: none did */
	int64_t retry_after_ms; /* -1: none */
	bool has_date;
	int64_t skew_ms; /* its Date is ahead of our clock by so much */
};

/* All zeros is a new one. */
struct mw_grant_say mw_grant_ask(const struct mw_grant *g, int64_t now);

void mw_grant_sent(struct mw_grant *g);

/* True: there is a new token. */
bool mw_grant_done(struct mw_grant *g, const struct mw_grant_answer *a, uint64_t random, int64_t now);

/* True: send the same batch again when there is another token. False: it would be refused again. */
bool mw_grant_reject(struct mw_grant *g, uint32_t generation, int64_t now);

/* The app was saved anew: neither its token nor what was said of it counts any longer. */
void mw_grant_reset(struct mw_grant *g);

#endif
