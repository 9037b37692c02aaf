/* histogram.h -- how long something took, counted in buckets that double.
 *
 *     mw_histogram_add(&h, 1700);               1.7 ms, in microseconds
 *     h.counts[mw_histogram_bucket(1700)]       those of more than 1,000 and at most 2,000 us
 *
 * Bucket i holds what took at most MW_HISTOGRAM_FIRST * 2^i, the last one whatever took longer: 250 us, 500
 * us, 1 ms ... 4 s, more. Counts and sum never go back, as monitoring wants them. Zeroed is empty.
 */
#ifndef MW_HISTOGRAM_H
#define MW_HISTOGRAM_H

#include <stdint.h>

enum { MW_HISTOGRAM_FIRST = 250, MW_HISTOGRAM_BUCKETS = 16 };

struct mw_histogram {
	uint64_t counts[MW_HISTOGRAM_BUCKETS];
	uint64_t sum;
};

static inline int mw_histogram_bucket(int64_t took)
{
	int i = 0;
	for (int64_t most = MW_HISTOGRAM_FIRST; took > most && i < MW_HISTOGRAM_BUCKETS - 1; most *= 2)
		i++;
	return i;
}

static inline void mw_histogram_add(struct mw_histogram *h, int64_t took)
{
	h->counts[mw_histogram_bucket(took)]++;
	h->sum += took > 0 ? (uint64_t)took : 0;
}

#endif
