/* weir_over.h -- a weir over queues in memory, as the tests of the weir use it. */
#ifndef MW_WEIR_OVER_H
#define MW_WEIR_OVER_H

#include "../../csrc/core/queues.h"

static inline struct mw_weir *weir_over(struct mw_queues *q, const struct mw_weir_config *config,
					size_t bytes_max)
{
	struct mw_weir_config c = *config;
	mw_queues_init(q, bytes_max, c.report);
	c.store = mw_queues_store(q);
	return mw_weir_new(&c, 0);
}

#endif
