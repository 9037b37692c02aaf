/* How many customers can 50 requests a second serve, and is it fair, over many hosts?
 *
 *     build/test/hosts_simulation_test           whether the bound holds, in a small world
 *     make simulate                              the tables of the README: 100 workers, 10,000 accounts
 *     MW_SEED=123 build/test/hosts_simulation_test
 */
#include "hosts_world.h"

static struct hosts world;

/* A world of which `warm_s` go by before the `measure_s` that count. */
static struct hosts *run(enum budget budget, bool by_account, uint32_t workers, uint32_t accounts, double load,
			 double flood, int64_t warm_s, int64_t measure_s, uint64_t seed)
{
	world = (struct hosts){
	    .budget = budget,
	    .by_account = by_account,
	    .workers_count = workers,
	    .accounts_count = accounts,
	    .load = load,
	    .flood = flood,
	    .measure_from = warm_s * 1000,
	    .end = (warm_s + measure_s) * 1000,
	    .random = seed,
	};
	hosts_run(&world);
	return &world;
}

int main(void) { uint64_t seed = check_seed("hosts");
	static const double loads[] = {10, 40, 60, 100, 200, 500, 1000};
	for (int mode = 0; mode < 5; mode++)
	for (unsigned i = 0; i < sizeof loads / sizeof *loads; i++) {
		struct hosts *h = run((enum budget[]){OWN, SLOTS, SLOTS, TURNS, TURNS}[mode], (bool[]){1,1,0,1,0}[mode], mode == 0 ? 1 : 100, 10000, loads[i], 0, 400, 400, seed);
		printf("mode %d load %g: %.1f req/s turn over %" PRId64 " quiet over %" PRId64 "\n", mode, loads[i], (double)h->requests / 400, h->worst_turn_over, h->worst_quiet_over);
		for (int c = 0; c < CLASSES; c++)
			printf("   %-12s p50 %8.1f p95 %8.1f p99 %8.1f max %8.1f s  left %.0f %%\n", class_names[c], delays_at(&h->delays[c], .5)/1000, delays_at(&h->delays[c], .95)/1000, delays_at(&h->delays[c], .99)/1000, (double)h->delays[c].worst/1000, 100.0 * (double)h->left[c] / (double)(h->pushed[c] ? h->pushed[c] : 1));
		fflush(stdout);
		hosts_end(h);
	}
}
