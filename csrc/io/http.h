/* http.h -- batches over libcurl's multi interface. The only file that knows curl.
 *
 * HTTP/1.1 with keep-alive, TLS verified, no redirects, no proxy and no netrc unless configured, no
 * "Expect: 100-continue". One POST a request:
 *
 *     POST /v1/batch   Authorization: Basic base64(writeKey + ":")
 *     {"writeKey":"...","sentAt":"<now>","batch":[<messages>]}
 *
 * libcurl re-sends a POST by itself when a kept connection turns out dead, so the permit is asked
 * for where it really sends (CURLOPT_PREREQFUNCTION), not here.
 *
 * Owned by one thread.
 */
#ifndef MW_HTTP_H
#define MW_HTTP_H

#include "../core/weir.h"
#include "endpoint.h"

struct mw_http;

struct mw_http_config {
	const char *proxy;
	const char *ca_file;
	const char *user_agent;
	int64_t timeout_ms;
	/* Asked right before bytes leave: 0 to go, else do not send. */
	int64_t (*permit)(void *context);
	/* One request came to its end. `error` is for people. */
	void (*done)(void *context, const struct mw_request *r, const struct mw_answer *a, const char *error);
	void *context;
};

enum mw_err mw_http_new(const struct mw_http_config *config, struct mw_http **out, struct mw_error *e);

/* Cuts what is under way, without calling done. */
void mw_http_free(struct mw_http *h);

/* Start a request; `messages` (joined with commas) are copied. MW_NO_MEMORY, MW_IO: nothing was started. */
enum mw_err mw_http_post(struct mw_http *h, const struct mw_request *r, const struct mw_endpoint *endpoint,
                         struct mw_span write_key, struct mw_span messages, int64_t now_wall);

/* Do what can be done without waiting; calls permit and done. */
void mw_http_work(struct mw_http *h);

/* Wait for sockets, a wake-up or the time. */
void mw_http_wait(struct mw_http *h, int64_t timeout_ms);

/* End mw_http_wait early; from any thread. */
void mw_http_wake(struct mw_http *h);

#endif
