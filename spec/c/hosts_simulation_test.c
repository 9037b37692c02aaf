/* How many customers can 50 requests a second serve, and is it fair when they are served by many hosts?
 *
 *     build/test/hosts_simulation_test           whether the bounds hold, in a small world
 *     make simulate                              the README's tables: 100 workers, 10,000 accounts
 *     MW_SEED=123 build/test/hosts_simulation_test
 *
 * The bound: of an account with nothing else waiting, a message leaves within the time for which a lane waits
 * for company and a slot for each account that has something waiting, and one in MW_LADEN_EVERY for those
 * with full batches, whatever the others push, and wherever.
 */
#include "hosts_world.h"

static struct hosts world;

enum { SMALL_WORKERS = 20, SMALL_ACCOUNTS = 300, BIG_WORKERS = 100, BIG_ACCOUNTS = 10000 };

static bool is_big;
static uint32_t connects; /* of 100 requests so many have to connect first */

/* The world after a run of which `seconds` go by before as many count. The caller ends it. */
static struct hosts *run(enum budget budget, bool by_account, double load, double flood, int64_t seconds,
			 uint64_t seed)
{
	world = (struct hosts){
	    .budget = budget,
	    .by_account = by_account,
	    .workers_count = budget == OWN ? 1
			     : is_big      ? BIG_WORKERS
					   : SMALL_WORKERS,
	    .accounts_count = is_big ? BIG_ACCOUNTS : SMALL_ACCOUNTS,
	    .load = load,
	    .flood = flood,
	    .connects = connects,
	    .measure_from = seconds * 1000,
	    .end = 2 * seconds * 1000,
	    .random = seed,
	};
	hosts_run(&world);
	return &world;
}

static double seconds_at(const struct delays *d, double share)
{
	return delays_at(d, share) / 1000;
}

TEST(quiet_accounts_wait_their_share_wherever_the_others_lanes_are)
{
	uint64_t seed = check_seed("turns");
	for (int by_account = 0; by_account < 2; by_account++)
		for (int flooded = 0; flooded < 2; flooded++) {
			struct hosts *h = run(TURNS, by_account, 60, flooded ? 3000 : 0, 60, seed);
			const struct delays *quiet = &h->delays[QUIETEST];
			printf("%d workers, %s, %s: quiet accounts p50 %.2f s, at most %.2f s, %.2f fair "
			       "shares\n",
			       SMALL_WORKERS, by_account ? "an account on one" : "an account on all",
			       flooded ? "one flooded" : "undisturbed", seconds_at(quiet, 0.5),
			       (double)quiet->worst / 1000, h->worst_unfair);
			bool kept = h->worst_unfair > 0 && h->worst_unfair <= 1 && quiet->all > 100;
			hosts_end(h);
			CHECK(kept);
		}
}

/* One turn a round would be too little for the busiest, who would wait longer and longer: they are given some
 * out of turn, as in one process. */
TEST(the_busiest_do_not_fall_behind)
{
	uint64_t seed = check_seed("busiest");
	struct hosts *h = run(TURNS, true, 1600, 0, 60, seed);
	double busiest = (double)h->delays[0].worst / 1000, quiet = (double)h->delays[QUIETEST].worst / 1000;
	double unfair = h->worst_unfair;
	hosts_end(h);
	printf("the busiest wait at most %.1f s, quiet accounts %.1f s\n", busiest, quiet);
	CHECK(busiest > 0 && busiest < 2 * quiet && unfair <= 1);
}

/* Whoever has to connect loses its turn, and has another by what it is owed: two slots for one request. No
 * account is forgotten for it, and the others wait for one slot more each. */
TEST(lost_turns_are_made_up_for)
{
	uint64_t seed = check_seed("connects");
	connects = 25;
	for (int by_account = 0; by_account < 2; by_account++) {
		struct hosts *h = run(TURNS, by_account, 60, 3000, 60, seed);
		double unfair = h->worst_unfair, rate = (double)h->requests / 60;
		hosts_end(h);
		printf("one request in four has to connect: %.1f requests/s, %.2f fair shares\n", rate,
		       unfair);
		CHECK(unfair > 0 && unfair <= 4 && rate > 30);
	}
	connects = 0;
}

TEST(one_weir_keeps_every_quiet_account_within_its_share)
{
	uint64_t seed = check_seed("one weir");
	for (int flooded = 0; flooded < 2; flooded++) {
		struct hosts *h = run(OWN, true, 60, flooded ? 3000 : 0, 60, seed);
		double unfair = h->worst_unfair;
		hosts_end(h);
		CHECK(unfair > 0 && unfair <= 1);
	}
}

/* ---- the tables of the README */

static const struct arrangement {
	const char *name;
	enum budget budget;
	bool by_account;
} arrangements[] = {
    {"one process", OWN, true},
    {"100 workers, an account on one of them", TURNS, true},
    {"100 workers, an account on all of them", TURNS, false},
};
enum { ARRANGEMENTS = sizeof arrangements / sizeof *arrangements };

static void print_world(const struct hosts *h, int64_t seconds)
{
	printf("  %g events/s%s: %.1f requests/s", h->load, h->flood > 0 ? " beside a flood" : "",
	       (double)h->requests / (double)seconds);
	if (h->worst_unfair > 0)
		printf(", quiet accounts at most %.2f fair shares", h->worst_unfair);
	if (h->questions > 0)
		printf(", %.0f questions/s about %.0f accounts", (double)h->questions / (double)seconds,
		       (double)h->named / (double)seconds);
	printf("\n");
	for (uint32_t c = 0; c < CLASSES; c++) {
		const struct delays *d = &h->delays[c];
		printf("    %-11s p50 %8.2f  p95 %8.2f  p99 %8.2f  max %8.2f s", class_names[c],
		       seconds_at(d, 0.5), seconds_at(d, 0.95), seconds_at(d, 0.99), (double)d->worst / 1000);
		printf(h->behind[c] ? "  %u fall behind\n" : "\n", h->behind[c]);
	}
	fflush(stdout);
}

static void simulate(void)
{
	enum { SECONDS = 600 };
	static const double loads[] = {30, 40, 60, 100, 200, 500, 1000, 5000};
	uint64_t seed = check_seed("100 workers, 10,000 accounts");
	is_big = true;
	for (int i = 0; i < ARRANGEMENTS; i++) {
		const struct arrangement *a = &arrangements[i];
		printf("\n%s\n", a->name);
		for (size_t j = 0; j < sizeof loads / sizeof *loads; j++) {
			struct hosts *h = run(a->budget, a->by_account, loads[j], 0, SECONDS, seed);
			print_world(h, SECONDS);
			hosts_end(h);
		}
		struct hosts *h = run(a->budget, a->by_account, 30, 3000, SECONDS, seed);
		print_world(h, SECONDS);
		hosts_end(h);
	}
}

int main(void)
{
	if (getenv("MW_SIMULATE")) {
		simulate();
		return 0;
	}
	RUN(quiet_accounts_wait_their_share_wherever_the_others_lanes_are);
	RUN(the_busiest_do_not_fall_behind);
	RUN(lost_turns_are_made_up_for);
	RUN(one_weir_keeps_every_quiet_account_within_its_share);
	return CHECK_END();
}
