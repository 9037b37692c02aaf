/* Every allocation of the weir made to fail, one after the other. */
#include "../../csrc/core/turns.h"
#include "check.h"
#include "short_memory.h"
#include "weir_over.h"

/* Allocations left before one fails; negative: none does. */
static int64_t until_failure = -1;
static uint64_t failures;

static bool fails(void)
{
	if (until_failure < 0 || until_failure-- > 0)
		return false;
	failures++;
	return true;
}

enum { PUSHES = 600, ACCOUNTS = 90 };

static struct mw_span name_of(char name[8], int i)
{
	return (struct mw_span){(const uint8_t *)name, (size_t)snprintf(name, 8, "%d", i % ACCOUNTS)};
}

/* All messages out, each lane's in the order of its tags. */
static int64_t last_tag[ACCOUNTS];
static int drained;

static void note(void *context, const struct mw_report *r)
{
	(void)context;
	int account = atoi((const char *)r->account.at);
	if (r->outcome == MW_OUTCOME_DELIVERED && r->tag > last_tag[account] && r->tag % ACCOUNTS == account)
		drained++;
	last_tag[account] = r->tag;
}

static struct mw_queues queues;

static struct mw_weir *weir(void)
{
	struct mw_weir_config config = mw_weir_defaults();
	config.rate = 0;
	config.linger_ms = 0;
	config.report.call = note;
	return weir_over(&queues, &config, MW_QUEUE_DEFAULT);
}

static int drain(struct mw_weir *w)
{
	struct mw_request r;
	int64_t wait;
	drained = 0;
	for (int i = 0; i < ACCOUNTS; i++)
		last_tag[i] = -1;
	while (mw_weir_next(w, 0, &r, &wait))
		mw_weir_done(w, &r, &(struct mw_answer){.status = 200, .retry_after_ms = -1}, 0);
	return drained;
}

/* Push i fails at its k-th allocation, for every i and k: it is refused, leaves the messages as they were,
 * and succeeds when tried again. */
TEST(a_push_without_memory_adds_nothing)
{
	static uint8_t message[1000];
	struct mw_weir *w = weir();
	char name[8];
	memset(message, 'x', sizeof message);
	CHECK(w);
	for (int i = 0; i < PUSHES; i++) {
		const struct mw_span account = name_of(name, i), m = {message, 1 + (size_t)i};
		const struct mw_weir_stats before = mw_weir_stats(w);
		const struct mw_lane *lane = mw_weir_lane(w, account);
		for (int64_t k = 0;; k++) {
			until_failure = k;
			enum mw_err err = mw_queues_push(&queues, w, account, m, i, 0);
			bool all_came = until_failure >= 0;
			until_failure = -1;
			if (all_came) {
				CHECK(err == MW_OK);
				break;
			}
			struct mw_weir_stats after = mw_weir_stats(w);
			CHECK(err == MW_NO_MEMORY);
			/* An empty lane may stay behind: the next message of its account finds it. */
			CHECK(after.lanes <= before.lanes + !lane);
			after.lanes = before.lanes;
			CHECK(memcmp(&before, &after, sizeof before) == 0);
		}
	}
	CHECK(failures > 2 * ACCOUNTS && drain(w) == PUSHES);
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

TEST(a_weir_without_memory_is_null)
{
	until_failure = 0;
	struct mw_weir *w = weir();
	until_failure = -1;
	CHECK(!w);
}

TEST(sending_and_answering_allocate_nothing)
{
	struct mw_weir *w = weir();
	char name[8];
	for (int i = 0; i < PUSHES; i++)
		CHECK(mw_queues_push(&queues, w, name_of(name, i), MW_SPAN("{}"), i, 0) == MW_OK);
	until_failure = 0;
	failures = 0;
	int all = drain(w);
	until_failure = -1;
	CHECK(all == PUSHES && failures == 0);
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

TEST(a_lane_without_memory_for_its_turn_waits_for_some)
{
	static struct mw_turns t;
	char name[8];
	struct mw_request r;
	int64_t wait;
	struct mw_weir *w = weir();
	mw_turns_init(&t, 50, 1, 64);
	mw_queues_push(&queues, w, name_of(name, 1), MW_SPAN("{}"), 1, 0);
	CHECK(mw_weir_next(w, 0, &r, &wait));
	until_failure = 0;
	CHECK(!mw_turns_admit(&t, w, &r, 0) && !mw_turns_is_awaited(&t) && !r.lane->turn);
	until_failure = -1;
	CHECK(!mw_weir_next(w, 50, &r, &wait) && wait > 0 && mw_weir_next(w, 50 + wait, &r, &wait));
	CHECK(!mw_turns_admit(&t, w, &r, 200000) && mw_turns_is_awaited(&t));
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

int main(void)
{
	if (!memory_is_ours())
		return CHECK_END();
	RUN(a_push_without_memory_adds_nothing);
	RUN(a_weir_without_memory_is_null);
	RUN(sending_and_answering_allocate_nothing);
	RUN(a_lane_without_memory_for_its_turn_waits_for_some);
	return CHECK_END();
}
