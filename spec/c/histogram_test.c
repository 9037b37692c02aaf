#include "../../csrc/core/histogram.h"

#include "check.h"

TEST(a_bucket_holds_what_took_at_most_its_bound)
{
	int64_t most = MW_HISTOGRAM_FIRST;
	CHECK(mw_histogram_bucket(-5) == 0 && mw_histogram_bucket(0) == 0);
	for (int i = 0; i < MW_HISTOGRAM_BUCKETS - 1; i++, most *= 2) {
		CHECK(mw_histogram_bucket(most) == i);
		CHECK(mw_histogram_bucket(most + 1) == i + 1);
	}
	CHECK(mw_histogram_bucket(INT64_MAX) == MW_HISTOGRAM_BUCKETS - 1);
}

TEST(counts_and_sum_only_grow)
{
	struct mw_histogram h = {0};
	mw_histogram_add(&h, 1700);
	mw_histogram_add(&h, 1800);
	mw_histogram_add(&h, -1); /* a clock that went back */
	CHECK(h.counts[3] == 2 && h.counts[0] == 1 && h.sum == 3500);
}

int main(void)
{
	RUN(a_bucket_holds_what_took_at_most_its_bound);
	RUN(counts_and_sum_only_grow);
	return CHECK_END();
}
