/* redis_lease.h -- a thread that fetches an engine's permits from Redis (core/slots.h, lessee.h).
 *
 * It has a connection of its own: a read that waits for entries, or a large batch of them, would make the
 * permits late. It sleeps while nothing is wanted. The script is moonweir.redis.budget's; it is called with
 *
 *     KEYS[1]  the budget
 *     ARGV     slots wanted, us between two, us that they may lie ahead, ms to close the gate, 1 to begin
 * anew
 *
 * and answers the five numbers of struct mw_lease but for the interval, which is the one that was asked for.
 */
#ifndef MW_REDIS_LEASE_H
#define MW_REDIS_LEASE_H

#include "lessee.h"
#include "redis.h"

struct mw_redis_lease;

/* `r` is the lease's own from now on, whatever the answer is; script and key are copied. MW_NO_MEMORY; MW_IO:
 * no thread or eventfd. */
enum mw_err mw_redis_lease_start(struct mw_redis *r, const struct mw_lessee *lessee, struct mw_span script,
				 struct mw_span key, struct mw_redis_lease **out, struct mw_error *e);

/* Waits for an answer under way. The engine must still be there. In a child process it does nothing. */
void mw_redis_lease_stop(struct mw_redis_lease *l);

#endif
