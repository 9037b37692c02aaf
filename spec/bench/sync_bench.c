/* sync_bench.c -- how long does a caller wait for "it is on disk" while 45,000 events a second come in?
 *
 *     sync_bench DIR SECONDS ENDPOINT      DIR: an empty directory that is to be the spool
 *
 * One thread pushes 45 messages of 500 bytes each millisecond and the engine posts them; another pushes one
 * and waits for its sync, again and again, as a webhook's answer would. Prints the median, the 99th
 * percentile and the longest, in ms.
 */
#include "../../csrc/io/engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EACH_MS = 45, MESSAGE = 500, WAITS_MAX = 1000000 };

static struct mw_engine *engine;
static atomic_bool is_over;
static int64_t waits[WAITS_MAX];
static size_t wait_count;
static uint8_t message[MESSAGE];

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *wait_for_disk(void *unused)
{
	struct mw_error e;
	struct mw_outbox box;
	mw_outbox_init(&box, 1 << 20);
	mw_outbox_add(&box, &(struct mw_parcel){.account = MW_SPAN("b"), .message = {message, MESSAGE}});
	while (!atomic_load(&is_over) && wait_count < WAITS_MAX) {
		int64_t start = now_us();
		if (mw_engine_push(engine, &box) != MW_OK || mw_engine_sync(engine, 30000, &e) != MW_OK)
			break;
		waits[wait_count++] = now_us() - start;
	}
	mw_outbox_deinit(&box);
	return unused;
}

static int by_length(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static double at(double share)
{
	return (double)waits[(size_t)(share * (double)(wait_count - 1))] / 1000;
}

int main(int argc, char **argv)
{
	struct mw_error e = {.code = MW_OK};
	if (argc != 4)
		return fprintf(stderr, "usage: sync_bench DIR SECONDS ENDPOINT\n"), 2;
	const struct mw_spool_config spool = {.dir = argv[1]};
	struct mw_engine_config config = {.weir = mw_weir_defaults(), .spool = &spool};
	const struct mw_span endpoint = {(const uint8_t *)argv[3], strlen(argv[3])};
	if (mw_endpoint_parse(endpoint, &config.endpoint, &e) != MW_OK ||
	    mw_engine_open(&config, &engine, &e) != MW_OK ||
	    mw_engine_set_key(engine, MW_SPAN(""), MW_SPAN("bench"), NULL, &e) != MW_OK)
		return fprintf(stderr, "sync_bench: %s\n", e.detail), 1;
	struct mw_outbox box;
	mw_outbox_init(&box, 1 << 20);
	memset(message, 'x', sizeof message);
	for (int i = 0; i < EACH_MS; i++)
		mw_outbox_add(&box,
			      &(struct mw_parcel){.account = MW_SPAN("a"), .message = {message, MESSAGE}});

	pthread_t waiter;
	pthread_create(&waiter, NULL, wait_for_disk, NULL);
	int64_t start = now_us(), end = start + 1000000 * (int64_t)atoi(argv[2]);
	uint64_t pushed = 0;
	for (int64_t next = start; next < end; next += 1000) {
		int64_t left = next - now_us();
		if (left > 0)
			nanosleep(&(struct timespec){0, left * 1000}, NULL);
		if (mw_engine_push(engine, &box) == MW_OK)
			pushed += EACH_MS;
	}
	atomic_store(&is_over, true);
	pthread_join(waiter, NULL);
	double seconds = (double)(now_us() - start) / 1e6;
	qsort(waits, wait_count, sizeof *waits, by_length);
	printf(
	    "%.0f events/s pushed; sync waits %.2f ms in the median, %.2f ms p99, %.2f ms at most, of %zu\n",
	    (double)pushed / seconds, at(0.5), at(0.99), at(1), wait_count);
	mw_engine_close(engine, 0, NULL);
	mw_engine_free(engine);
	mw_outbox_deinit(&box);
	return 0;
}
