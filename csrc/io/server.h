/* server.h -- an HTTP/1.1 server on libmicrohttpd whose handlers run where the caller wants.
 *
 * The server collects whole requests within its limits; the caller takes them one by one and answers, now or
 * later. Nothing is called back from inside libmicrohttpd, so a handler may raise, wait for a
 * commit or answer out of order.
 *
 *     mw_server_watch(s, fd);                       what else to wake up for: a commit, another server
 *     mw_server_wait(s, 1000);                      serves sockets until there is something to do
 *     while ((x = mw_server_take(s)))               all that is ready, without a system call between
 *             mw_exchange_answer(x, 200, ...);      or mw_exchange_hold, and later mw_server_release
 *
 * Refused without the caller: what passes a limit (408 by closing, 413, 414, 431, 503) and whatever two
 * servers might read in two ways (400, server_framing.h). After any status from 400 up the connection is
 * closed. A peer that is too slow loses its connection (server_peers.h).
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
	int listener;     /* > 0: a socket of mw_server_listen in place of them, which the server closes */
	size_t body_max;
	size_t memory_max;           /* of all bodies together; beyond it 503, the slow first. 0: no bound */
	size_t head_max;             /* request line and headers, at most MW_SERVER_HEAD_MAX; 0: that */
	unsigned connections_max;    /* fewer if the process may not have so many descriptors */
	unsigned connections_per_ip; /* 0: no limit */
	unsigned idle_timeout_s;     /* a connection without a request under way, and without progress */
	unsigned head_timeout_s;     /* request line and headers; 0: the idle one */
	unsigned body_rate_min;      /* bytes a second of a body, in every 10 s of it; 0: any */
};

enum { MW_SERVER_HEAD_MAX = 24 * 1024 };

/* A socket that listens, for several processes to share: they take connections from one queue, and what waits
 * in it is nobody's who may die. -1 and MW_IO with the reason (address in use, ...); else `port` is the one
 * it has. */
int mw_server_listen(const char *host, uint16_t *port, struct mw_error *e);

/* MW_IO with the reason. */
enum mw_err mw_server_open(const struct mw_server_config *config, struct mw_server **out, struct mw_error *e);
void mw_server_close(struct mw_server *s);
uint16_t mw_server_port(const struct mw_server *s);

/* Wake mw_server_wait when this becomes readable, until the server is closed; an eventfd is read empty then.
 * At most MW_SERVER_WATCHED, false beyond. */
enum { MW_SERVER_WATCHED = 4 };
bool mw_server_watch(struct mw_server *s, int fd);

/* Readable when mw_server_wait has something to do: for another server's mw_server_watch. -1: there is none.
 */
int mw_server_fd(const struct mw_server *s);

/* Serve sockets until a request is complete, a watched descriptor is readable, a signal came or `timeout_ms`
 * passed. */
void mw_server_wait(struct mw_server *s, int64_t timeout_ms);

/* Is there something to do at once, of which mw_server_fd tells nothing: an answer to be sent, a connection
 * to be closed? Whoever sleeps in another server's mw_server_wait asks first, or that waits until it wakes
 * up. */
bool mw_server_is_due(struct mw_server *s);

bool mw_server_is_ready(struct mw_server *s);

/* A complete request, in the order in which they became so; NULL: there is none now. */
struct mw_exchange *mw_server_take(struct mw_server *s);

/* Both in one: for who serves one at a time. */
struct mw_exchange *mw_server_next(struct mw_server *s, int64_t timeout_ms);

/* Accept no more connections, and close each after the answer under way. */
void mw_server_quiesce(struct mw_server *s);

/* Requests of which at least the first line has come and whose answer has not gone out. */
size_t mw_server_busy(const struct mw_server *s);

struct mw_server_stats {
	uint64_t accepted;    /* connections */
	uint64_t connections; /* now */
	uint64_t refused;     /* requests that the caller never saw */
	uint64_t too_slow;    /* connections that were closed for it */
};
struct mw_server_stats mw_server_stats(const struct mw_server *s);

const char *mw_exchange_method(const struct mw_exchange *x);
const char *mw_exchange_path(const struct mw_exchange *x);   /* percent signs undone */
const char *mw_exchange_target(const struct mw_exchange *x); /* path and query as they came */
const char *mw_exchange_query(const struct mw_exchange *x);  /* "" if none, raw */
struct mw_span mw_exchange_body(const struct mw_exchange *x);
/* The peer's IP address as text, without a port; "unknown" once it is gone. */
void mw_exchange_remote(const struct mw_exchange *x, char out[64]);
/* NULL if absent; names without regard to case. `count`: how often it came; the first is given. NULL: never
 * mind. */
const char *mw_exchange_header(const struct mw_exchange *x, const char *name, unsigned *count);
void mw_exchange_each_header(const struct mw_exchange *x,
			     void (*each)(void *context, const char *name, const char *value), void *context);

/* Has the client closed its connection meanwhile? Asked of an exchange that was kept over a mw_server_wait:
 * its headers and its remote address are gone, too. */
bool mw_exchange_is_gone(const struct mw_exchange *x);

/* Answer; the exchange is gone then. `names` and `values` are header pairs. */
enum mw_err mw_exchange_answer(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, struct mw_span body);

/* Close the connection without an answer; the exchange is gone then. */
void mw_exchange_cut(struct mw_exchange *x);

/* An answer that is to wait, for a commit: put together now, and sent when it is its turn. The exchange is no
 * longer the caller's. */
enum mw_err mw_exchange_hold(struct mw_exchange *x, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body);
/* Send the oldest `count` of the answers that are held. */
void mw_server_release(struct mw_server *s, size_t count);
/* Answer the oldest `count` so, in place of what was held. */
enum mw_err mw_server_refuse(struct mw_server *s, size_t count, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body);

#endif
