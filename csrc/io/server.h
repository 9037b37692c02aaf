/* server.h -- a small HTTP server on libmicrohttpd whose handlers run where the caller wants.
 *
 * The server collects whole requests within its limits; the caller takes them one by one and answers, now or
 * later. Nothing is called back from inside libmicrohttpd, so a handler may raise, wait for a
 * commit or answer out of order.
 *
 * Used by one thread. Linked into moonweir.server only: who embeds the library does not need libmicrohttpd.
 */
#ifndef MW_SERVER_H
#define MW_SERVER_H

#include "../core/buf.h"

struct mw_server;
struct mw_exchange; /* one request and its answer */

struct mw_server_config {
	const char *host; /* "127.0.0.1", "::1", ... */
	uint16_t port;    /* 0: any free one */
	size_t body_max;
	unsigned connections_max;
	unsigned idle_timeout_s;
};

/* MW_IO with the reason (address in use, ...). */
enum mw_err mw_server_open(const struct mw_server_config *config, struct mw_server **out, struct mw_error *e);
void mw_server_close(struct mw_server *s);
uint16_t mw_server_port(const struct mw_server *s);

/* Serve sockets until a request is complete or `timeout_ms` passed. */
struct mw_exchange *mw_server_next(struct mw_server *s, int64_t timeout_ms);

const char *mw_exchange_method(const struct mw_exchange *x);
const char *mw_exchange_path(const struct mw_exchange *x);
const char *mw_exchange_query(const struct mw_exchange *x); /* "" if none, raw */
struct mw_span mw_exchange_body(const struct mw_exchange *x);
/* NULL if absent; names without regard to case. */
const char *mw_exchange_header(const struct mw_exchange *x, const char *name);
void mw_exchange_each_header(const struct mw_exchange *x,
			     void (*each)(void *context, const char *name, const char *value), void *context);

/* Answer; the exchange is gone then. `names` and `values` are header pairs. */
enum mw_err mw_exchange_answer(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, struct mw_span body);

/* Close the connection without an answer; the exchange is gone then. */
void mw_exchange_cut(struct mw_exchange *x);

#endif
