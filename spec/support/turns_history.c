/* turns_history -- random questions to the budget's script, and what its model (spec/c/turns_model.h)
 * answers: turns_history SEED STEPS. spec/redis_turns_spec.lua asks the script the same.
 *
 *     ask <now us> <interval us> <gate ms> <1: anew> <digit and name> ...
 *     told <gate us> <say> <us> <say> <us> ...
 *     restarted                what runs the script has another run id from now on
 *     evicted budget|given     Redis has lost that key
 */
#include "../c/turns_model.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST = 300 };

static uint64_t random_state;

/* SplitMix64. */
static uint64_t below(uint64_t n)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % n;
}

static void evict(struct model *m)
{
	if (below(2)) {
		printf("evicted budget\n");
		m->exists = false;
		return;
	}
	printf("evicted given\n");
	for (uint32_t i = 0; i < m->accounts_count; i++)
		m->accounts[i].slot = -1;
}

static int64_t pass(int64_t now)
{
	switch (below(40)) {
	case 0:
		return now + (int64_t)below(12000000);
	case 1:
		return now - (int64_t)below(2000000);
	case 2:
	case 3:
		return now + (int64_t)below(1000000);
	default:
		return now + (int64_t)below(30000);
	}
}

static void ask(struct model *m, int64_t now, int64_t interval_us, uint64_t run)
{
	struct mw_turns_ask a = {.count = (uint32_t)below(2 + below(MW_TURNS_ASKED - 1)),
				 .interval_us = interval_us,
				 .gate_ms = below(30) ? 0 : (int64_t)below(3000),
				 .anew = below(100) == 0};
	struct mw_turns_answer answer;
	uint32_t accounts[MW_TURNS_ASKED], first = (uint32_t)below(m->accounts_count);
	printf("ask %" PRId64 " %" PRId64 " %" PRId64 " %d", now, interval_us, a.gate_ms, a.anew);
	for (uint32_t i = 0; i < a.count; i++) {
		accounts[i] = (first + i) % m->accounts_count;
		a.accounts[i].is_full = below(4) == 0;
		a.accounts[i].is_owed = below(8) == 0;
		printf(" %da%05" PRIu32, a.accounts[i].is_full + 2 * a.accounts[i].is_owed, accounts[i]);
	}
	model_run(m, &a, accounts, now, run, &answer);
	printf("\ntold %" PRId64, answer.gate_us);
	for (uint32_t i = 0; i < answer.count; i++)
		printf(" %d %" PRId64, answer.accounts[i].say, answer.accounts[i].us);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const int64_t intervals[] = {21601, 21601, 217, 1080001};
	struct model m;
	if (argc != 3)
		return 2;
	random_state = strtoull(argv[1], NULL, 10);
	int64_t now = INT64_C(1700000000) * 1000000, interval_us = intervals[below(4)];
	uint64_t run = 1;
	model_init(&m, MW_TURNS_ASKED + (uint32_t)below(MOST));
	for (long steps = atol(argv[2]); steps > 0; steps--) {
		now = pass(now);
		if (below(100) == 0) {
			printf("restarted\n");
			run++;
		}
		if (below(100) == 0)
			evict(&m);
		ask(&m, now, interval_us, run);
	}
	model_deinit(&m);
	return 0;
}
