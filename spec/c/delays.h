/* delays.h -- how long many messages waited, and which delay a share of them stayed below.
 *
 *     delays_add(&d, 1700);        ms
 *     delays_at(&d, 0.99)          within 2 %
 *
 * Zeroed is empty.
 */
#ifndef MW_DELAYS_H
#define MW_DELAYS_H

#include <math.h>
#include <stdint.h>

/* The first hundred a millisecond each, then each 2 % longer than the one before: days, in the end. */
enum { DELAY_BUCKETS = 1200 };

struct delays {
	uint64_t counts[DELAY_BUCKETS];
	uint64_t all, worst;
};

static inline uint32_t delay_bucket(int64_t ms)
{
	return ms < 100 ? (uint32_t)ms : (uint32_t)(100 + log((double)ms / 100) / log(1.02));
}

static inline void delays_add(struct delays *d, int64_t ms)
{
	uint32_t bucket = delay_bucket(ms);
	d->counts[bucket < DELAY_BUCKETS ? bucket : DELAY_BUCKETS - 1]++;
	d->all++;
	if ((uint64_t)ms > d->worst)
		d->worst = (uint64_t)ms;
}

/* The delay in ms that a share of the messages stays below, within 2 %. */
static inline double delays_at(const struct delays *d, double share)
{
	uint64_t seen = 0;
	for (uint32_t i = 0; i < DELAY_BUCKETS; i++) {
		seen += d->counts[i];
		if (seen > 0 && (double)seen >= share * (double)d->all)
			return i < 100 ? i : fmin(100 * pow(1.02, i - 99), (double)d->worst);
	}
	return 0;
}

#endif
