/* redis.h -- commands to a Redis, a Valkey or a cluster of them, and what came of each.
 *
 *     mw_redis_begin(r);
 *     mw_redis_command(r, 3);                 any number of these, each with its arguments: a pipeline
 *     mw_redis_arg(r, MW_SPAN("XACK")); ...
 *     mw_redis_run(r, true);                  sends all, reads all
 *     mw_redis_reply(r, 0)                    good until the next begin
 *
 * Every command gets a reply; one that failed, for whatever reason, an error with a code and a sentence.
 * Commands of a pipeline stand for themselves: one that is tried again runs behind the others. For what must
 * happen together there are scripts.
 *
 *     the server's code        what is done about it, for up to `patience_ms`
 *     MOVED, ASK               the command goes to the node that is named; who holds which slot is remembered
 *     LOADING, BUSY, TRYAGAIN,
 *     CLUSTERDOWN, MASTERDOWN  the command did not run: again, with back-off and jitter
 *     READONLY                 a master became a replica: connect anew, again
 *     NOAUTH                   connect anew, with the password there is
 *     NOSCRIPT                 EVAL in place of EVALSHA
 *     WRONGPASS, NOPERM, OOM,
 *     all others               an error at once
 *
 * A connection that breaks is made anew. A command that had not gone out is sent again; one that may have run
 * is only if the caller says that it may run twice, else its error is "io" or "timeout" and what became of it
 * is not known. Pauses between attempts to connect double from 50 ms to 5 s, with jitter.
 *
 * Used by one thread at a time; refuses to work after fork. User and password lie in locked memory, and are
 * in no error.
 */
#ifndef MW_REDIS_H
#define MW_REDIS_H

#include "redis_link.h"
#include "redis_url.h"

struct mw_redis;

struct mw_redis_config {
	const struct mw_redis_url *url;             /* copied */
	const char *ca_file, *cert_file, *key_file; /* of rediss://, see redis_link.h */
	struct mw_redis_tls *tls;                   /* of another client, in their place */
	const char *name;                           /* shown by CLIENT LIST; NULL: none */
	int64_t timeout_ms;                         /* without a byte moving; 0: 5,000 */
	int64_t patience_ms; /* a command is tried again this long; 0: each is tried once */
};

/* Does not connect yet. MW_IO: a file that TLS needs; MW_NO_MEMORY. */
enum mw_err mw_redis_new(const struct mw_redis_config *config, struct mw_redis **out, struct mw_error *e);
/* Another to the same place, with connections of its own, for another thread. */
enum mw_err mw_redis_twin(const struct mw_redis *r, struct mw_redis **out, struct mw_error *e);
void mw_redis_free(struct mw_redis *r); /* NULL is fine; after fork it only closes this process's copies */

/* Where it is, without user and password. Borrowed. */
const char *mw_redis_address(const struct mw_redis *r);

/* A Lua script of the server's: sent by its name, and whole where that is not known. The text is borrowed. */
struct mw_redis_script {
	struct mw_span text;
	char sha1[41];
};
void mw_redis_script_init(struct mw_redis_script *s, struct mw_span text);

void mw_redis_begin(struct mw_redis *r);
/* The next command, of so many arguments, its name among them. */
void mw_redis_command(struct mw_redis *r, size_t args);
/* The same for a script: the arguments are the number of keys, the keys, the rest. */
void mw_redis_command_script(struct mw_redis *r, const struct mw_redis_script *script, size_t args);
void mw_redis_arg(struct mw_redis *r, struct mw_span arg);

/* MW_FORKED; MW_NO_MEMORY, MW_TOO_LARGE (MW_REDIS_PIPELINE_MAX): nothing was sent. MW_OK: see the replies. */
enum { MW_REDIS_PIPELINE_MAX = 512 * 1024 * 1024 };
enum mw_err mw_redis_run(struct mw_redis *r, bool may_run_twice);

size_t mw_redis_count(const struct mw_redis *r);
const struct mw_redis_reply *mw_redis_reply(const struct mw_redis *r, size_t i);

struct mw_redis_stats {
	uint64_t commands, connects, redirects, repeats;
};
struct mw_redis_stats mw_redis_stats(const struct mw_redis *r);

#endif
