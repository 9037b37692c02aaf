/* claims.h -- what may be done once until a time: the use of a link, a slot of a limit.
 *
 *     mw_claims_take(c, MW_SPAN("link 7f3a"), until, now, &taken, &e);       taken
 *     mw_claims_take(c, MW_SPAN("link 7f3a"), until, now, &taken, &e);       not taken, in any process,
 *                                                                            until `until` has passed
 *     mw_claims_holds(c, MW_SPAN("link 7f3a"), now, &holds, &e);             holds, in every process
 *
 * Rows of the state that all processes of a host share: a hash of the name and when it ends. A take is one
 * synced commit, so a claim outlives a crash. Each take that succeeds also looks at some rows beside its own,
 * which is anywhere, and drops those that have ended: the database stays within a small multiple of the
 * claims that hold.
 *
 * Times are ms since 1970. Borrows the state. Thread-safe; MW_FORKED after fork.
 */
#ifndef MW_CLAIMS_H
#define MW_CLAIMS_H

#include "state.h"

#include "../core/buf.h"

struct mw_claims;

enum mw_err mw_claims_open(struct mw_state *s, struct mw_claims **out, struct mw_error *e);
void mw_claims_close(struct mw_claims *c); /* before its state; NULL is fine */

/* `*taken` says whether it is the caller's now. MW_IO, MW_FULL, MW_NO_MEMORY: it is not. */
enum mw_err mw_claims_take(struct mw_claims *c, struct mw_span name, int64_t until, int64_t now, bool *taken,
			   struct mw_error *e);

/* Does a claim of this name hold, whoever took it? */
enum mw_err mw_claims_holds(struct mw_claims *c, struct mw_span name, int64_t now, bool *holds,
			    struct mw_error *e);

#endif
