/* identities_bench.c -- what it costs to ask who somebody is, in nanoseconds of CPU, by how many are known:
 * medians of nine. */
#include "../c/identities_fixture.h"

enum { BATCH = 10000, ASKED = 100000, RUNS = 9 };

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median_of_asking(struct fixture *f, int known, const char *who)
{
	double all[RUNS];
	for (int run = 0; run < RUNS; run++) {
		uint64_t seed = 1;
		double start_ns = cpu_ns();
		for (int i = 0; i < ASKED; i++) {
			char id[48];
			uint8_t room[MW_IDENTITY_MAX];
			struct mw_identity_found found;
			int len = snprintf(id, sizeof id, "%s-%d@example.com", who,
					   (int)(check_random(&seed) % (uint64_t)known));
			struct mw_span text = {(const uint8_t *)id, (size_t)len};
			if (mw_identities_find(f->d, MW_SPAN("acme"), MW_IDENTITY_EMAIL, text, room, &found,
					       &error))
				abort();
		}
		all[run] = (cpu_ns() - start_ns) / ASKED;
	}
	qsort(all, RUNS, sizeof *all, by_size);
	return all[RUNS / 2];
}

int main(void)
{
	struct fixture f;
	static struct mw_identity_fact facts[BATCH];
	static char ids[BATCH][48], users[BATCH][48];
	if (!start(&f, "bench"))
		abort();
	do_not_sync(&f);
	for (int known = 0, next = BATCH; next <= 100000; next *= 10) {
		for (; known < next; known += BATCH) {
			for (int i = 0; i < BATCH; i++) {
				snprintf(ids[i], sizeof ids[i], "person-%d@example.com", known + i);
				snprintf(users[i], sizeof users[i], "5f2b7c1e-%08d", known + i);
				facts[i] = fact(E, ids[i], users[i], 1);
			}
			if (mw_identities_teach(f.d, facts, BATCH, &f.tally, &error) != MW_OK)
				abort();
		}
		(void)check_failures;
		printf("%8d known: %5.0f ns who is known, %5.0f ns who is not\n", known,
		       median_of_asking(&f, known, "person"), median_of_asking(&f, known, "nobody"));
	}
	stop(&f);
	return check_passed + check_failed;
}
