/* backoff.h -- how long to leave a server alone after a failure.
 *
 *     1st failure   250 to 500 ms
 *     2nd           500 to 1000 ms
 *     8th and on    30 to 60 s
 *
 * Exponential back-off whose upper half is jitter: clients that failed together do not come back together.
 *
 * Pure: `random` is any 64 random bits.
 */
#ifndef MW_BACKOFF_H
#define MW_BACKOFF_H

#include <stdint.h>

/* Before attempt number `attempts` + 1: between half and the whole of MW_BACKOFF_BASE_MS * 2^(attempts-1),
 * the whole MW_BACKOFF_MAX_MS at most. */
int64_t mw_backoff_ms(uint32_t attempts, uint64_t random);

/* The same after an answer that says retry, or longer if that asked for longer (429 and 503; at most
 * MW_RETRY_AFTER_MAX_MS is granted). retry_after_ms -1: it did not ask. */
int64_t mw_backoff_pause_ms(uint32_t attempts, int status, int64_t retry_after_ms, uint64_t random);

#endif
