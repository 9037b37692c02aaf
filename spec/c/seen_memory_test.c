/* Every allocation of the known ids made to fail, one after the other and many at once. */
#include "seen_rig.h"
#include "short_memory.h"

#include <errno.h>

/* One allocation in so many fails, by chance; 0: none does. Or, not negative, the one after so many. */
static uint64_t one_in, failures, chance = 1;
static int64_t until_failure = -1;

static bool fails(void)
{
	bool is_it = until_failure >= 0 && until_failure-- == 0;
	is_it = is_it || (one_in > 0 && check_random(&chance) % one_in == 0);
	failures += is_it;
	return is_it;
}

static struct seen_rig r;

TEST(without_memory_ids_are_forgotten_and_none_is_taken_for_a_known_one)
{
	enum { ALL = 20000, GROUP = 50 };
	uint64_t known = 0;
	chance = check_seed("memory");
	seen_init(&r, 3600, 16 * 1000);
	for (uint32_t done = 0; done < ALL; done += GROUP) {
		one_in = done < ALL / 2 ? 2 : 20;
		known += seen_push(&r, done, GROUP, GROUP);
		one_in = 0;
	}
	CHECK(known == 0 && failures > 20);
	/* With memory again, all is as it should be. */
	CHECK(seen_push(&r, ALL, 5000, GROUP) == 0 && seen_push(&r, ALL, 5000, GROUP) == 5000);
	CHECK(seen_reopen(&r) == 0 && seen_push(&r, ALL, 5000, GROUP) == 5000);
	CHECK(mw_seen_stats(r.seen).count <= 16 * 1000 + 1000);
	seen_deinit(&r);
}

TEST(to_open_without_memory_fails_and_changes_nothing)
{
	seen_init(&r, 3600, 16 * 1000);
	CHECK(seen_push(&r, 0, 5300, 50) == 0);
	for (int64_t k = 0;; k++) {
		until_failure = k;
		int rc = seen_reopen(&r);
		bool all_came = until_failure >= 0;
		until_failure = -1;
		if (all_came) {
			CHECK(rc == 0 && k > 10);
			break;
		}
		CHECK(rc == ENOMEM);
	}
	CHECK(seen_push(&r, 0, 5300, 50) == 5300);
	seen_deinit(&r);
}

int main(void)
{
	if (!memory_is_ours())
		return CHECK_END();
	RUN(without_memory_ids_are_forgotten_and_none_is_taken_for_a_known_one);
	RUN(to_open_without_memory_fails_and_changes_nothing);
	return CHECK_END();
}
