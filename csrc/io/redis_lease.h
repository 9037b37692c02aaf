/* redis_lease.h -- a thread that fetches an engine's turns from Redis (core/turns.h, lessee.h).
 *
 * It has a connection of its own: a read that waits for entries, or a large batch of them, would make the
 * turns late. It sleeps while nothing is wanted. The script is moonweir.redis.budget's; it is called with
 *
 *     KEYS     those that it was started with
 *     ARGV     us between two slots, us that they may lie ahead, ms to close the gate, 1 to begin anew,
 *              then for each account that asks a digit and its name:
 *              the digit is the sum of 1 (a full batch waits) and 2 (it is owed a turn);
 *              the name is "a" and the account's, or "t" and what a worker's requests for tokens are called
 *
 * and answers with integers: its clock, for how long the gate is closed, both in us; then two for each of
 * those who asked, enum mw_turns_say and us.
 */
#ifndef MW_REDIS_LEASE_H
#define MW_REDIS_LEASE_H

#include "lessee.h"
#include "redis.h"

struct mw_redis_lease;

enum { MW_REDIS_LEASE_KEYS = 5 };

/* `r` is the lease's own from now on, whatever the answer is; script and keys are copied. MW_NO_MEMORY;
 * MW_IO: no thread or eventfd. */
enum mw_err mw_redis_lease_start(struct mw_redis *r, const struct mw_lessee *lessee, struct mw_span script,
				 const struct mw_span keys[MW_REDIS_LEASE_KEYS], struct mw_redis_lease **out,
				 struct mw_error *e);

/* Waits for an answer under way. The engine must still be there. In a child process it does nothing. */
void mw_redis_lease_stop(struct mw_redis_lease *l);

#endif
