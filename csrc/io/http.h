/* http.h -- batches over libcurl's multi interface. The only file that knows curl.
 *
 * HTTP/1.1 with keep-alive, TLS 1.2 or newer and verified, no redirects, no proxy and no netrc unless
 * configured, no "Expect: 100-continue". One POST a request:
 *
 *     POST /v1/batch   Authorization: Basic base64(writeKey + ":")
 *     {"writeKey":"...","sentAt":"<now>","batch":[<messages>]}
 *
 * libcurl re-sends a POST by itself when a kept connection turns out dead, so the permit is asked
 * for where it really sends (CURLOPT_PREREQFUNCTION), not here.
 *
 * An answer counts when it came whole. One longer than MW_RESPONSE_MAX is cut there and counts by its
 * status. The write key is blotted out of what a server sends back.
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

struct mw_http;

struct mw_http_config {
	const char *proxy;      /* NULL or "": none, whatever the environment says */
	const char *ca_file;    /* NULL: the system's */
	const char *user_agent; /* NULL: "moonweir/<version>" */
	int64_t timeout_ms;     /* 0: MW_HTTP_TIMEOUT_MS */
	/* Asked right before bytes leave: 0 to go, else ms to wait; above MW_HTTP_PERMIT_WAIT_MS the request
	 * ends as MW_STATUS_UNSENT. */
	int64_t (*permit)(void *context);
	/* One request came to its end. `error` is for people: empty after a 2xx, and never holds a secret.
	 * Must not free the mw_http. */
	void (*done)(void *context, const struct mw_request *r, const struct mw_answer *a, const char *error);
	void *context;
};

/* Strings are copied. MW_NO_MEMORY, MW_IO (an unusable proxy or CA file). */
enum mw_err mw_http_new(const struct mw_http_config *config, struct mw_http **out, struct mw_error *e);

/* Cuts what is under way, without calling done. */
void mw_http_free(struct mw_http *h);

/* Start a request; `messages` (joined with commas) are its own from then on, and have another buffer. The key
 * is one that the keyring took. MW_NO_MEMORY, MW_TOO_LARGE, MW_IO: nothing was started. */
enum mw_err mw_http_post(struct mw_http *h, const struct mw_request *r, const struct mw_endpoint *endpoint,
			 struct mw_span write_key, struct mw_buf *messages, int64_t now_wall);

/* Do what can be done without waiting; calls permit and done. True if it called done. */
bool mw_http_work(struct mw_http *h);

/* Wait for sockets, a wake-up or the time. */
void mw_http_wait(struct mw_http *h, int64_t timeout_ms);

/* End mw_http_wait early; from any thread. */
void mw_http_wake(struct mw_http *h);

#endif
