#include "check.h"
#include "weir_over.h"

static struct mw_queues queues;
static struct mw_weir *w;
static const struct mw_lane *lane;

static void set_up(const size_t *lens, size_t n)
{
	static uint8_t message[MW_MESSAGE_MAX];
	struct mw_weir_config config = mw_weir_defaults();
	w = weir_over(&queues, &config, 1 << 20);
	for (size_t i = 0; i < n; i++)
		mw_queues_push(&queues, w, MW_SPAN("a"), (struct mw_span){message, lens[i]}, 0,
			       100 + (int64_t)i);
	lane = mw_weir_lane(w, MW_SPAN("a"));
}

static void tear_down(void)
{
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

static struct mw_batch measure(size_t bytes_max, uint32_t count_max)
{
	struct mw_batch b;
	struct mw_store store = mw_queues_store(&queues);
	store.measure(store.context, lane, bytes_max, count_max, &b);
	return b;
}

TEST(a_batch_is_the_oldest_messages_that_fit)
{
	set_up((const size_t[]){100, 200, 300, 1000}, 4);
	struct mw_batch all = measure(100000, 100), exact = measure(602, 100);
	CHECK(all.count == 4 && all.bytes == 1603 && all.since_next == -1 && !all.is_damaged);
	CHECK(exact.count == 3 && exact.bytes == 602 && exact.since_next == 103);
	CHECK(measure(601, 100).count == 2);
	CHECK(measure(100000, 2).count == 2 && measure(100000, 2).since_next == 102);
	CHECK(measure(10, 100).count == 1); /* one goes, however large */
	tear_down();
}

static unsigned reported;

static void count_report(void *context, const struct mw_report *r)
{
	(void)context;
	reported += r->outcome == MW_OUTCOME_DEAD && r->status == 404;
}

TEST(what_is_settled_is_reported_and_gone)
{
	set_up((const size_t[]){10, 20, 30}, 3);
	queues.report.call = count_report;
	struct mw_store store = mw_queues_store(&queues);
	store.settle(store.context, lane, 2, 30, MW_OUTCOME_DEAD, &(struct mw_answer){.status = 404});
	CHECK(reported == 2 && queues.bytes == 30 && measure(1000, 10).count == 1);
	tear_down();
}

int main(void)
{
	RUN(a_batch_is_the_oldest_messages_that_fit);
	RUN(what_is_settled_is_reported_and_gone);
	return CHECK_END();
}
