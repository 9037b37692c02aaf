/* redis_nodes.h -- the servers that commands may go to: one, or those of a cluster as they are heard of.
 *
 * The first is the URL's. MOVED tells who holds a slot; that is remembered, and forgotten when the node can't
 * be reached any more. Each node has one link, made when it is first needed, and pauses between attempts.
 */
#ifndef MW_REDIS_NODES_H
#define MW_REDIS_NODES_H

#include "redis_link.h"
#include "redis_url.h"

enum { MW_REDIS_NODES_MAX = 128 };

struct mw_redis_node {
	char host[MW_REDIS_HOST_MAX + 1];
	int port;
	struct mw_redis_link *link; /* NULL: not connected */
	unsigned failures;          /* to connect, in a row */
	int64_t not_before;         /* monotonic ms: the pause behind the last failure */
	struct mw_error why;        /* it failed */
	char code[24];              /* the same for programs */
};

struct mw_redis_nodes {
	struct mw_redis_url *url; /* in locked memory */
	struct mw_redis_tls *tls; /* NULL: in clear */
	char name[64];
	int64_t timeout_ms;
	struct mw_redis_node *node;
	size_t count;
	size_t home;    /* where commands without a known slot go */
	uint8_t *slots; /* the node of each; NULL: no cluster so far */
	uint64_t connects;
};

void mw_redis_nodes_deinit(struct mw_redis_nodes *n);

/* The node for a slot, or for none (MW_REDIS_NO_SLOT). */
size_t mw_redis_nodes_of(const struct mw_redis_nodes *n, int slot);

/* "3999 10.0.0.7:6381", what stands behind MOVED or ASK: the node, taken up if it is new. `from` is who said
 * so: an empty host is its own. MW_INVALID: it reads otherwise, or there are too many; MW_NO_MEMORY. */
enum mw_err mw_redis_nodes_moved(struct mw_redis_nodes *n, size_t from, const char *text, bool remember,
				 size_t *out);

/* A link to it, authenticated, with the database selected. MW_IO, MW_TIMEOUT: not reached, and not to be
 * tried before node->not_before; MW_BAD_KEY: reached, and not let in. node->why says it in words. */
enum mw_err mw_redis_nodes_connect(struct mw_redis_nodes *n, size_t node, int64_t now);

/* The link failed, or is of no use any more. `away`: the node does not answer, so its slots may be elsewhere.
 */
void mw_redis_nodes_drop(struct mw_redis_nodes *n, size_t node, bool away);

#endif
