/* rate.h -- may one more request go now?
 *
 * GCRA: the limiter keeps one number, the theoretical arrival time of the next request. At 50
 * requests/s each one pushes it 21 ms ahead (20 ms and 5 % for jitter between here and the
 * server, so that the server counts at most 50 in any second too). There is no burst, and
 * a new limiter starts empty: the first request may go at once, the second 21 ms later. Less than
 * one tick of the clock (1 ms) counts as arrived, so that rates above 1000/s work.
 *
 * A server can also close the gate for a while (429 with Retry-After); a closed gate outranks
 * everything, and a later, shorter answer does not open it early.
 *
 * Never reads a clock: `now` is milliseconds on a clock that does not run backwards. Should it do so
 * all the same, nothing is blocked for longer than one interval, or MW_RETRY_AFTER_MAX_MS at the gate.
 * Allocates nothing. Not thread-safe; the engine thread owns it.
 */
#ifndef MW_RATE_H
#define MW_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct mw_rate {
	int64_t interval_us; /* 0: unlimited */
	int64_t arrival_us;
	int64_t gate_until; /* ms; the gate is closed before it */
};

/* `per_second` 0 means unlimited (the gate still counts). */
void mw_rate_init(struct mw_rate *r, double per_second, int64_t now);

/* Milliseconds until one request may go; 0 if it may go now. Changes nothing but a clock gone wrong. */
int64_t mw_rate_wait(struct mw_rate *r, int64_t now);

/* Take a permit; false, and nothing taken, if mw_rate_wait is not 0. */
bool mw_rate_take(struct mw_rate *r, int64_t now);

/* The permit just taken was not used. */
void mw_rate_give_back(struct mw_rate *r);

/* No permit for `for_ms` from now on, at most MW_RETRY_AFTER_MAX_MS. */
void mw_rate_close(struct mw_rate *r, int64_t now, int64_t for_ms);

#endif
