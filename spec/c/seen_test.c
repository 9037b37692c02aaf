#include "seen_rig.h"

#include <malloc.h>

static struct seen_rig r;

TEST(an_id_is_known_from_its_own_transaction_on)
{
	seen_init(&r, 3600, 1000);
	const struct mw_seen_id ids[] = {seen_id_of(1), seen_id_of(2), seen_id_of(1)};
	bool known[3];
	seen_look(&r, ids, 3, known, true);
	CHECK(!known[0] && !known[1] && known[2]);
	CHECK(seen_reopen(&r) == 0 && seen_knows(&r, ids[0]) && !seen_knows(&r, seen_id_of(3)));
	seen_deinit(&r);
}

TEST(what_is_not_committed_is_not_known)
{
	seen_init(&r, 3600, 1000);
	const struct mw_seen_id id = seen_id_of(1);
	bool known;
	for (int i = 0; i < 3; i++) {
		seen_look(&r, &id, 1, &known, false);
		CHECK(!known && mw_seen_stats(r.seen).count == 0);
	}
	seen_look(&r, &id, 1, &known, true);
	CHECK(!known && seen_knows(&r, id));
	seen_deinit(&r);
}

TEST(the_same_id_of_another_account_is_another)
{
	seen_init(&r, 3600, 1000);
	struct mw_seen_id a, b, c;
	CHECK(mw_seen_id(r.seen, MW_SPAN("a"), MW_SPAN("id"), &a) &&
	      mw_seen_id(r.seen, MW_SPAN("b"), MW_SPAN("id"), &b));
	CHECK(mw_seen_id(r.seen, MW_SPAN("a"), MW_SPAN("id"), &c));
	CHECK(mw_seen_is_same(&a, &c) && !mw_seen_is_same(&a, &b));
	CHECK(!mw_seen_id(r.seen, MW_SPAN("a"), (struct mw_span){NULL, 0}, &a));
	seen_deinit(&r);
}

/* ---- against a model */

enum { NUMBERS = 5000, WINDOW = 16000, STEP_MAX = 60, BOX_MAX = 300 };

/* When each number was seen, as committed and as in the transaction under way; 0: never. */
static uint32_t seen_at[NUMBERS], seen_now[NUMBERS];

/* What must be said of an id that was seen then: 1 known, 0 not known, -1 either. */
static int expected(uint32_t then, uint32_t now)
{
	if (then == 0)
		return 0;
	if (now - then <= WINDOW)
		return 1;
	return now - then > WINDOW + WINDOW / 16 + 2 * STEP_MAX ? 0 : -1;
}

static bool step_is_right(uint64_t *random, uint32_t numbers)
{
	static struct mw_seen_id ids[BOX_MAX];
	static uint32_t number[BOX_MAX];
	static bool known[BOX_MAX];
	uint32_t count = (uint32_t)(check_random(random) % BOX_MAX);
	bool commits = check_random(random) % 5 != 0;
	for (uint32_t i = 0; i < count; i++) {
		number[i] = (uint32_t)(check_random(random) % numbers);
		ids[i] = seen_id_of(number[i]);
	}
	seen_look(&r, ids, count, known, commits);
	memcpy(seen_now, seen_at, sizeof seen_now);
	for (uint32_t i = 0; i < count; i++) {
		int want = expected(seen_now[number[i]], r.now_s);
		if (want >= 0 && known[i] != (want == 1)) {
			fprintf(stderr, "number %u, seen at %u, is %sknown at %u\n", number[i],
				seen_now[number[i]], known[i] ? "" : "not ", r.now_s);
			return false;
		}
		if (!known[i])
			seen_now[number[i]] = r.now_s;
	}
	if (commits)
		memcpy(seen_at, seen_now, sizeof seen_at);
	return true;
}

/* Runs of few ids, so that some are always being sealed, indexed, forgotten and swept. */
TEST(any_history_with_crashes_and_failed_commits_keeps_to_the_window)
{
	uint64_t random = check_seed("seen");
	uint32_t runs = 0;
	seen_init(&r, WINDOW, 16 * 1500);
	memset(seen_at, 0, sizeof seen_at);
	for (int step = 0, steps = getenv("MW_VALGRIND") ? 2000 : 6000; step < steps; step++) {
		/* Now few ids and now many. */
		uint32_t numbers = step / 500 % 2 ? 100 : NUMBERS;
		CHECK(step_is_right(&random, numbers));
		if (check_random(&random) % 20 == 0)
			CHECK(seen_reopen(&r) == 0);
		r.now_s += (uint32_t)(check_random(&random) % STEP_MAX);
		if (mw_seen_stats(r.seen).runs > runs)
			runs = mw_seen_stats(r.seen).runs;
	}
	CHECK(runs > (getenv("MW_VALGRIND") ? 3 : 10) && mw_seen_stats(r.seen).dropped == 0);
	seen_deinit(&r);
}

TEST(a_crash_at_any_point_of_sealing_forgets_nothing)
{
	enum { MAX = 16 * 5000, COUNT = 11000, GROUP = 50 };
	seen_init(&r, 3600, MAX);
	for (uint32_t done = 0; done < COUNT; done += GROUP) {
		CHECK(seen_push(&r, done, GROUP, GROUP) == 0);
		/* Sealing takes five commits, and begins anew. */
		if (done / GROUP % 7 == 0)
			CHECK(seen_reopen(&r) == 0);
		CHECK(mw_seen_stats(r.seen).count == done + GROUP);
		CHECK(seen_knows(&r, seen_id_of(done / 2)) && !seen_knows(&r, seen_id_of(COUNT + done)));
	}
	CHECK(mw_seen_stats(r.seen).runs == 2 && seen_push(&r, 0, COUNT, 4096) == COUNT);
	seen_deinit(&r);
}

TEST(what_is_forgotten_leaves_the_tables_too)
{
	seen_init(&r, 1600, 16 * 1000);
	for (uint32_t i = 0; i < 100; i++, r.now_s += 10)
		CHECK(seen_push(&r, 100 * i, 100, 100) == 0);
	CHECK(mw_seen_stats(r.seen).runs > 5 && seen_rows(&r) > 50);
	r.now_s += 1800;
	for (uint32_t i = 0; i < 100; i++)
		CHECK(seen_push(&r, 20000, 1, 1) == (i > 0));
	CHECK(mw_seen_stats(r.seen).count == 1 && mw_seen_stats(r.seen).runs == 0 && seen_rows(&r) == 1);
	CHECK(mw_seen_stats(r.seen).dropped == 0);
	seen_deinit(&r);
}

/* ---- bounds */

TEST(of_too_many_the_oldest_are_forgotten)
{
	enum { MAX = 8000, ALL = 50000, GROUP = 100 };
	seen_init(&r, 3600, MAX);
	for (uint32_t done = 0; done < ALL; done += GROUP) {
		CHECK(seen_push(&r, done, GROUP, GROUP) == 0);
		CHECK(mw_seen_stats(r.seen).count <= MAX);
	}
	const struct mw_seen_stats stats = mw_seen_stats(r.seen);
	CHECK(stats.count + stats.dropped == ALL && stats.count > MAX - MAX / 16 - GROUP);
	CHECK(!seen_knows(&r, seen_id_of(ALL - MAX - 1)) &&
	      seen_knows(&r, seen_id_of(ALL - MAX + MAX / 16 + GROUP)));
	CHECK(seen_reopen(&r) == 0 && mw_seen_stats(r.seen).count <= MAX + MAX / 16);
	CHECK(seen_push(&r, ALL - MAX / 2, MAX / 2, GROUP) == MAX / 2);
	CHECK(seen_rows(&r) < 3 * MAX / 100);
	seen_deinit(&r);
}

TEST(a_clock_that_goes_back_makes_ids_young_and_not_eternal)
{
	seen_init(&r, 3600, 16 * 500);
	CHECK(seen_push(&r, 0, 1200, 100) == 0); /* in runs, in what is being sealed, and recent */
	r.now_s -= 500000;
	CHECK(seen_push(&r, 0, 1200, 100) == 1200);
	CHECK(seen_reopen(&r) == 0);
	r.now_s += 3600;
	CHECK(seen_knows(&r, seen_id_of(0)) && seen_knows(&r, seen_id_of(1199)));
	CHECK(seen_reopen(&r) == 0);
	r.now_s += 3600 / 16 + 1;
	CHECK(!seen_knows(&r, seen_id_of(0)));
	r.now_s += 3600;
	CHECK(!seen_knows(&r, seen_id_of(1199)));
	CHECK(mw_seen_stats(r.seen).count == 0);
	seen_deinit(&r);
}

TEST(a_clock_that_jumps_ahead_forgets_and_loses_nothing)
{
	seen_init(&r, 3600, 16 * 500);
	CHECK(seen_push(&r, 0, 1200, 100) == 0);
	r.now_s += 5000000;
	CHECK(seen_push(&r, 0, 1200, 100) == 0);
	r.now_s -= 5000000;
	CHECK(seen_push(&r, 0, 1200, 100) == 1200);
	seen_deinit(&r);
}

/* Each jump seals what is recent, however few that are. */
TEST(a_clock_gone_mad_keeps_to_the_bounds_and_takes_no_new_id_for_a_known_one)
{
	enum { MAX = 16 * 256 };
	uint64_t random = check_seed("clock");
	seen_init(&r, 3600, MAX);
	for (uint32_t i = 0, steps = (uint32_t)check_rounds(6000); i < steps; i++) {
		CHECK(seen_push(&r, 20 * (uint64_t)i, 20, 20) == 0);
		const struct mw_seen_stats stats = mw_seen_stats(r.seen);
		CHECK(stats.count <= MAX && stats.runs <= 192 && seen_rows(&r) < 5000);
		switch (check_random(&random) % 8) {
		case 0:
			r.now_s = (uint32_t)check_random(&random);
			break;
		case 1:
			r.now_s = check_random(&random) % 2 ? 0 : UINT32_MAX;
			break;
		case 2:
			CHECK(seen_reopen(&r) == 0);
			break;
		default:
			r.now_s += (uint32_t)(check_random(&random) % 300);
		}
	}
	seen_deinit(&r);
}

/* ---- many */

static size_t heap_bytes(void)
{
	const struct mallinfo2 heap = mallinfo2();
	return heap.uordblks + heap.hblkhd;
}

TEST(millions_of_ids_are_told_apart_and_take_little_more_than_two_bytes_each)
{
	enum { FEW = 100, MANY = 5000000, FIXED = 24 << 20 };
	seen_init(&r, 3600, 32 << 20);
	seen_push(&r, 0, 1, 1);
	size_t before = heap_bytes();
	CHECK(seen_push(&r, 1, FEW, FEW) == 0 && heap_bytes() - before < 64 * 1024);
	CHECK(seen_push(&r, 1 + FEW, MANY, 2500) == 0);
	CHECK(mw_seen_stats(r.seen).count == 1 + FEW + MANY);
	/* Sets, LMDB's own pages for a transaction, and the index. */
	CHECK(heap_bytes() - before < FIXED + 9 * (size_t)MANY / 4);
	for (uint64_t i = 0; i < 200000; i++) {
		struct mw_seen_id id = seen_id_of(i * 25);
		if (i % 100 == 0)
			CHECK(seen_knows(&r, id));
		id.word[2 - i % 2] ^= 1u << i % 32; /* all but one bit */
		if (i % 100 < 2)
			CHECK(!seen_knows(&r, id));
	}
	CHECK(seen_push(&r, 0, 100000, 2500) == 100000 &&
	      seen_push(&r, MANY - 100000, 100000, 2500) == 100000);
	CHECK(seen_reopen(&r) == 0 && mw_seen_stats(r.seen).count == 1 + FEW + MANY);
	CHECK(seen_push(&r, MANY / 2, 100000, 2500) == 100000 &&
	      seen_push(&r, 2 * (uint64_t)MANY, 500000, 2500) == 0);
	seen_deinit(&r);
}

int main(void)
{
	RUN(an_id_is_known_from_its_own_transaction_on);
	RUN(what_is_not_committed_is_not_known);
	RUN(the_same_id_of_another_account_is_another);
	RUN(any_history_with_crashes_and_failed_commits_keeps_to_the_window);
	RUN(a_crash_at_any_point_of_sealing_forgets_nothing);
	RUN(what_is_forgotten_leaves_the_tables_too);
	RUN(of_too_many_the_oldest_are_forgotten);
	RUN(a_clock_that_goes_back_makes_ids_young_and_not_eternal);
	RUN(a_clock_that_jumps_ahead_forgets_and_loses_nothing);
	RUN(a_clock_gone_mad_keeps_to_the_bounds_and_takes_no_new_id_for_a_known_one);
	if (!check_is_slow()) /* five million, which say nothing more about memory */
		RUN(millions_of_ids_are_told_apart_and_take_little_more_than_two_bytes_each);
	return CHECK_END();
}
