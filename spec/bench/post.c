/* post.c -- how fast does the engine take finished messages to a server?
 *
 *     post URL [MESSAGES [BYTES [ACCOUNTS]]]          default: 2,000,000 of 500 bytes, one account
 *
 * No mapping, no rate limit. Prints messages a second of wall time, and of processor time in this process.
 */
#include "../../csrc/io/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BOX = 256 };

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* BOX messages of one account. */
static void fill(struct mw_outbox *box, size_t bytes, int account)
{
	char name[32], text[MW_MESSAGE_MAX];
	int name_len = snprintf(name, sizeof name, "account%d", account);
	mw_outbox_clear(box);
	for (int i = 0; i < BOX; i++) {
		size_t len =
		    (size_t)snprintf(text, 64, "{\"messageId\":\"bench-%d-%d\",\"p\":\"", account, i);
		while (len + 2 < bytes)
			text[len++] = 'x';
		text[len++] = '"';
		text[len++] = '}';
		struct mw_parcel p = {.account = {(uint8_t *)name, (size_t)name_len},
				      .message = {(uint8_t *)text, len}};
		if (mw_outbox_add(box, &p) != MW_OK)
			exit(2);
	}
}

int main(int argc, char **argv)
{
	long messages = argc > 2 ? atol(argv[2]) : 2000000;
	size_t bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 500;
	int accounts = argc > 4 ? atoi(argv[4]) : 1;
	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	struct mw_error e = {0};
	struct mw_engine *g;
	config.weir.rate = 0;
	if (argc < 2 || accounts < 1 || bytes > MW_MESSAGE_MAX)
		return fprintf(stderr, "usage: post URL [MESSAGES [BYTES [ACCOUNTS]]]\n"), 2;
	struct mw_span url = {(const uint8_t *)argv[1], strlen(argv[1])};
	if (mw_endpoint_parse(url, &config.endpoint, &e) != MW_OK ||
	    mw_engine_open(&config, &g, &e) != MW_OK ||
	    mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("bench"), NULL, &e) != MW_OK)
		return fprintf(stderr, "post: %s\n", e.detail), 2;
	struct mw_outbox *boxes = calloc((size_t)accounts, sizeof *boxes);
	for (int i = 0; boxes && i < accounts; i++) {
		mw_outbox_init(&boxes[i], 64u << 20);
		fill(&boxes[i], bytes, i);
	}
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long pushed = 0;
	for (int i = 0; boxes && pushed < messages; i = (i + 1) % accounts, pushed += BOX) {
		enum mw_err err;
		while ((err = mw_engine_push(g, &boxes[i])) == MW_FULL)
			mw_engine_wait_room(g, boxes[i].bytes.len * 64, 1000);
		if (err != MW_OK)
			return fprintf(stderr, "post: %s\n", mw_err_sentence(err)), 1;
	}
	double pushing = seconds(CLOCK_MONOTONIC) - wall;
	enum mw_err err = mw_engine_close(g, 60000, &e);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	struct mw_engine_stats s;
	mw_engine_stats(g, &s);
	double n = (double)pushed;
	printf("%ld messages of %zu bytes, %d account%s: %.0f/s, %.0f ns CPU each, pushed in %.2f of %.2f s, "
	       "%llu requests%s\n",
	       pushed, bytes, accounts, accounts == 1 ? "" : "s", n / wall, cpu / n * 1e9, pushing, wall,
	       (unsigned long long)s.weir.requests, err == MW_OK ? "" : ", NOT ALL DELIVERED");
	mw_engine_free(g);
	for (int i = 0; boxes && i < accounts; i++)
		mw_outbox_deinit(&boxes[i]);
	free(boxes);
	return err == MW_OK ? 0 : 1;
}
