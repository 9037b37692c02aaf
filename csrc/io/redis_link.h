/* redis_link.h -- one connection to one Redis: TCP or a Unix socket, in clear or over TLS.
 *
 * Bytes go out while replies come in, so a pipeline may be of any size: neither end waits for the other with
 * full buffers. Nothing here is tried again; a link that failed is closed and another one opened.
 *
 * The socket never blocks and raises no SIGPIPE; `timeout_ms` is how long nothing at all may move. Used by
 * one thread at a time. Host names are resolved by the system, which may take its own time.
 */
#ifndef MW_REDIS_LINK_H
#define MW_REDIS_LINK_H

#include "redis_reply.h"

struct mw_redis_link;
struct mw_redis_tls;

/* What rediss:// needs, for any number of links. Paths of PEM files; NULL: the system's authorities, no
 * certificate of our own. MW_IO with the file's name; MW_NO_MEMORY. */
enum mw_err mw_redis_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
			     struct mw_redis_tls **out, struct mw_error *e);
struct mw_redis_tls *mw_redis_tls_share(struct mw_redis_tls *t); /* one more to free it */
void mw_redis_tls_free(struct mw_redis_tls *t);

/* `host` "": the Unix socket at `path`. `tls` NULL: in clear. MW_IO with the reason, MW_TIMEOUT,
 * MW_NO_MEMORY.
 */
struct mw_redis_place {
	const char *host;
	int port;
	const char *path;
	struct mw_redis_tls *tls;
};
enum mw_err mw_redis_link_open(const struct mw_redis_place *place, int64_t timeout_ms,
			       struct mw_redis_link **out, struct mw_error *e);
void mw_redis_link_close(struct mw_redis_link *k); /* NULL is fine */

/* Sends `bytes` and reads `count` replies into `replies`; they lie in `arena`. MW_IO, MW_TIMEOUT,
 * MW_NO_MEMORY: the link is of no use any more; *got replies had come, and of the bytes at most *sent are on
 * the other side.
 */
enum mw_err mw_redis_link_exchange(struct mw_redis_link *k, struct mw_span bytes,
				   struct mw_redis_arena *arena, struct mw_redis_reply **replies,
				   size_t count, int64_t timeout_ms, size_t *sent, size_t *got,
				   struct mw_error *e);

/* Did the other end close it while it was idle? */
bool mw_redis_link_is_stale(const struct mw_redis_link *k);

#endif
