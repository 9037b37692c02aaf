/* verdict.h -- what an answer means for the batch that got it.
 *
 * A pure function of the status. Sources: the HTTP Tracking API page (200, 400, 429, 5xx) and the
 * retry policy of Segment's newest library (408, 410, 460; not 501, 505).
 *
 *   2xx                                          delivered
 *   408 410 429 460, 5xx but 501 505, network    retry
 *   400                                          split until the culprit stands alone
 *   413                                          split: smaller batches
 *   401 403                                      park: keep the messages, wait for a new key
 *   else, 3xx included                           dead
 */
#ifndef MW_VERDICT_H
#define MW_VERDICT_H

#include <stdint.h>

enum mw_verdict {
	MW_DELIVERED,
	MW_RETRY,
	MW_SPLIT,
	MW_SHRINK,
	MW_PARK,
	MW_DEAD,
};

enum {
	MW_STATUS_NETWORK = 0,   /* no answer: refused, reset, timed out, TLS failure */
	MW_STATUS_UNSENT = -1,   /* never put on the wire: the permit was refused */
	MW_STATUS_NO_KEY = -2,   /* never put on the wire: no write key is known for the account */
	MW_STATUS_DAMAGED = -3,  /* never put on the wire: the store can't read it any more */
	MW_STATUS_NO_TOKEN = -4, /* never put on the wire: the account's OAuth app gets no token */
};

enum mw_verdict mw_verdict_of(int status);

/* A Retry-After header (seconds, or an HTTP date read against `now_wall` ms since 1970), clamped to
 * MW_RETRY_AFTER_MIN_MS .. MW_RETRY_AFTER_MAX_MS. -1 if there is none or it is garbage. */
int64_t mw_verdict_retry_after(const char *value, int64_t now_wall);

#endif
