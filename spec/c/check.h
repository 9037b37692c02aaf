/* check.h -- the smallest test harness that names its tests.
 *
 *     TEST(a_closed_gate_outranks_permits) { CHECK(mw_rate_wait(&r, 0) == 500); }
 *     int main(void) { return RUN(a_closed_gate_outranks_permits, ...); }   -- see check_run
 *
 * A failed CHECK prints its place and goes on with the next test. Randomized tests take their
 * seed from check_seed(), which prints it; MW_SEED in the environment repeats a run.
 */
#ifndef MW_CHECK_H
#define MW_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int check_failures;
static int check_passed;
static int check_failed;

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			check_failures++;                                                                    \
			return;                                                                              \
		}                                                                                            \
	} while (0)

#define TEST(name) static void name(void)

#define RUN(name)                                                                                            \
	do {                                                                                                 \
		check_failures = 0;                                                                          \
		name();                                                                                      \
		if (check_failures) {                                                                        \
			check_failed++;                                                                      \
			fprintf(stderr, "FAILED %s\n", #name);                                               \
		} else {                                                                                     \
			check_passed++;                                                                      \
		}                                                                                            \
	} while (0)

/* Ends main: prints the tally and gives the exit code. */
#define CHECK_END() (printf("%d passed, %d failed\n", check_passed, check_failed), check_failed ? 1 : 0)

__attribute__((unused)) static uint64_t check_seed(const char *what)
{
	const char *given = getenv("MW_SEED");
	uint64_t seed =
	    given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003u ^ (uint64_t)clock();
	printf("%s: MW_SEED=%" PRIu64 "\n", what, seed);
	fflush(stdout);
	return seed;
}

/* SplitMix64: enough randomness for a test, the same everywhere. */
__attribute__((unused)) static uint64_t check_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Are we in a run that looks at memory alone? What is a million times alike the plain run has shown. */
__attribute__((unused)) static bool check_is_slow(void)
{
#ifdef __SANITIZE_ADDRESS__
	return true;
#else
	return getenv("MW_VALGRIND");
#endif
}

/* Rounds of a test at random: a quarter of them under AddressSanitizer, and a twentieth under valgrind, where
 * each takes thirty times as long. */
__attribute__((unused)) static int check_rounds(int rounds)
{
	return getenv("MW_VALGRIND") ? rounds / 20 : check_is_slow() ? rounds / 4 : rounds;
}

#endif
