/* spool_bench.c -- what the spool adds to a message: nanoseconds of CPU, kernel and all, of plan, commit and
 * apply, by the size of the groups that are committed; without ids, with new ones and with known ones.
 *
 * Messages of 420 bytes for 50 accounts. The queue is drained as it grows; what that costs is not counted,
 * but for the rows that the next commit drops.
 */
#include "../c/spool_rig.h"

#include <time.h>

enum { ACCOUNTS = 50, LEN = 420, MESSAGES = 250000, KEPT = 20000 };

static struct spool_rig r;
static uint64_t next_number;

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void add(uint64_t number, enum mw_parcel_kind kind)
{
	static char text[LEN];
	char account[16];
	snprintf(account, sizeof account, "acct_%u", (unsigned)(number * 7919 % ACCOUNTS));
	int len = snprintf(text, sizeof text,
			   "{\"type\":\"track\",\"userId\":\"user-%07u\",\"messageId\":\"acme-mail:%s:evt_%"
			   "08llx:0\",\"p\":\"",
			   (unsigned)(number % 1000003), account, (unsigned long long)number);
	memset(text + len, 'x', sizeof text - (size_t)len);
	rig_add(&r, account, (struct mw_span){(const uint8_t *)text, LEN}, 0, kind);
}

static void drain(void)
{
	while (rig_counts(&r).queued > KEPT && rig_next(&r) > 0)
		rig_answer(&r, 200);
}

/* Nanoseconds a message. */
static double measure(size_t group, enum mw_parcel_kind kind, uint64_t first)
{
	double total = 0;
	uint64_t done = 0;
	while (done < MESSAGES) {
		for (size_t bytes = 0; bytes + LEN <= group; bytes += LEN, done++)
			add(first + done, kind);
		double start = cpu_ns();
		if (rig_commit(&r) != MW_OK) {
			fprintf(stderr, "%s\n", r.error.detail);
			exit(1);
		}
		total += cpu_ns() - start;
		drain();
	}
	next_number = first + done > next_number ? first + done : next_number;
	return total / (double)done;
}

int main(void)
{
	static const size_t groups[] = {32 << 10, 128 << 10, 512 << 10, 1 << 20};
	const char *only = getenv("MW_GROUP"); /* KB */
	rig_init(&r, "bench");
	r.config.disk_max = (uint64_t)4 << 30;
	r.config.repeats_ms = 48 * 3600 * 1000;
	if (rig_open(&r) != MW_OK) {
		fprintf(stderr, "%s\n", r.error.detail);
		return 1;
	}
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		if (only && groups[i] >> 10 != strtoull(only, NULL, 10))
			continue;
		double none = measure(groups[i], MW_PARCEL_MESSAGE, 0);
		uint64_t first = next_number;
		double fresh = measure(groups[i], MW_PARCEL_REPEATABLE, first);
		double known = measure(groups[i], MW_PARCEL_REPEATABLE, first);
		printf("commits of %4zu KB: without ids %6.0f ns, new ids %6.0f ns, known ids %6.0f ns\n",
		       groups[i] >> 10, none, fresh, known);
	}
	rig_deinit(&r);
	(void)check_failures, (void)check_passed, (void)check_failed;
	return 0;
}
