/* http.h -- batches over libcurl's multi interface. The only files that know curl.
 *
 * HTTP/1.1 with keep-alive, TLS 1.2 or newer and verified, no redirects, no proxy and no netrc unless
 * configured, no "Expect: 100-continue". One POST a request:
 *
 *     POST /v1/batch   Authorization: Basic base64(writeKey + ":")
 *     {"writeKey":"...","sentAt":"<now>","batch":[<messages>]}
 *
 * or, if the account has an OAuth app, "Authorization: Bearer <token>" with the same body. Requests for
 * tokens go the same way, under the same limits.
 *
 * libcurl re-sends a POST by itself when a kept connection turns out dead, so the permit is asked
 * for where it really sends (CURLOPT_PREREQFUNCTION), not here.
 *
 * An answer counts when it came whole. One longer than MW_RESPONSE_MAX is cut there and counts by its
 * status. Write key and token are blotted out of what a server sends back.
 *
 * Owned by one thread.
 */
#ifndef MW_HTTP_H
#define MW_HTTP_H

#include "../core/weir.h"
#include "endpoint.h"

/* Connecting: the network's round trips and a TLS handshake. */
#define MW_HTTP_CONNECT_MS 10000

/* A whole request, unless configured. */
#define MW_HTTP_TIMEOUT_MS 30000

/* A permit this near is slept for: nothing may be sent before it anyway. A farther one is a closed gate. */
#define MW_HTTP_PERMIT_WAIT_MS 50

/* An answer that may hold a token: one of a few hundred bytes, or a JWT of some thousand. */
#define MW_TOKEN_RESPONSE_MAX 16384

struct mw_http;

/* What came of a request for a token. */
struct mw_token_answer {
	int status;             /* HTTP, or MW_STATUS_NETWORK, MW_STATUS_UNSENT */
	int64_t retry_after_ms; /* -1: none */
	bool has_date;
	int64_t skew_ms;     /* the server's clock is ahead of ours by so much */
	struct mw_span body; /* not to be shown: it may repeat anything. Empty if it is too long */
	const char *error;   /* for people, without the body; "" after a 2xx */
};

struct mw_http_config {
	const char *proxy;      /* NULL or "": none, whatever the environment says */
	const char *ca_file;    /* NULL: the system's */
	const char *user_agent; /* NULL: "moonweir/<version>" */
	int64_t timeout_ms;     /* 0: MW_HTTP_TIMEOUT_MS */
	/* Asked right before bytes leave (r NULL: of a request for a token): 0 to go, else ms to wait; above
	 * MW_HTTP_PERMIT_WAIT_MS the request ends as MW_STATUS_UNSENT. */
	int64_t (*permit)(void *context, const struct mw_request *r);
	/* One request came to its end. `error` is for people: empty after a 2xx, and never holds a secret.
	 * Must not free the mw_http. */
	void (*done)(void *context, const struct mw_request *r, const struct mw_answer *a, const char *error);
	/* As done, for a request of mw_http_ask. May be NULL if there are none. */
	void (*token_done)(void *context, uint32_t ticket, const struct mw_token_answer *a);
	void *context;
};

/* Strings are copied. MW_NO_MEMORY, MW_IO (an unusable proxy or CA file). */
enum mw_err mw_http_new(const struct mw_http_config *config, struct mw_http **out, struct mw_error *e);

/* Cuts what is under way, without calling done. */
void mw_http_free(struct mw_http *h);

/* Start a request; `messages` (joined with commas) are its own from then on, and have another buffer. The key
 * is one that the keyring took; with a token, that goes into the header in its place.
 * MW_NO_MEMORY, MW_TOO_LARGE, MW_IO: nothing was started. */
enum mw_err mw_http_post(struct mw_http *h, const struct mw_request *r, const struct mw_endpoint *endpoint,
			 struct mw_span write_key, const char *token, struct mw_buf *messages,
			 int64_t now_wall);

/* Start a request for a token: a form, which is copied. `ticket`, not 0, tells one from another. As above. */
enum mw_err mw_http_ask(struct mw_http *h, uint32_t ticket, const char *url, struct mw_span form);

/* Do what can be done without waiting; calls permit and done. True if a request came to its end. */
bool mw_http_work(struct mw_http *h);

/* Wait for sockets, a wake-up or the time. */
void mw_http_wait(struct mw_http *h, int64_t timeout_ms);

/* End mw_http_wait early; from any thread. */
void mw_http_wake(struct mw_http *h);

#endif
