/* redis_advice.h -- what an error of Redis means, and what to do about it.
 *
 *     "OOM command not allowed when used memory > 'maxmemory'."
 *     Redis at redis://10.0.0.7:6379: OOM command not allowed when used memory > 'maxmemory': it is full
 *     and takes no writes; raise its maxmemory or make room
 */
#ifndef MW_REDIS_ADVICE_H
#define MW_REDIS_ADVICE_H

#include "redis_reply.h"

/* What the code means and what to do, for people; empty: the server's own words say it. */
const char *mw_redis_advice(const char *code);

/* The same error as a sentence that says where, and what to do. What a server says of a command it does not
 * know repeats the arguments, which may be anything: that is left out. */
struct mw_redis_reply *mw_redis_explain(struct mw_redis_arena *a, const char *where,
					const struct mw_redis_reply *error);

/* Did the command not run, and may it in a moment: LOADING, BUSY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN? */
bool mw_redis_says_not_now(const char *code);

#endif
