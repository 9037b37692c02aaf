/* json_bench.c -- what reading and writing JSON costs, in nanoseconds; medians of five runs.
 *
 * The event is what an e-mail tool's webhook looks like; 1,024 variants of it, so that the branch
 * predictor can't learn a single one by heart.
 */
#include "../../csrc/core/json_read.h"
#include "../../csrc/core/json_write.h"
#include "../../csrc/core/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VARIANTS = 1024, RUNS = 5, ROUNDS = 200 };

static char *events[VARIANTS];
static size_t lengths[VARIANTS];
static struct mw_json doc;
static struct mw_buf out;
static volatile uint64_t sink;

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void report(const char *what, void (*once)(int i))
{
	double runs[RUNS];
	for (int r = 0; r < RUNS; r++) {
		double start = now_ns();
		for (int round = 0; round < ROUNDS; round++)
			for (int i = 0; i < VARIANTS; i++)
				once(i);
		runs[r] = (now_ns() - start) / ((double)ROUNDS * VARIANTS);
	}
	qsort(runs, RUNS, sizeof runs[0], by_value);
	printf("%-44s %7.1f ns\n", what, runs[RUNS / 2]);
}

static void make_events(void)
{
	static const char *const types[] = {"message.opened", "message.clicked", "message.bounced",
					    "contact.updated", "message.delivered"};
	static const char *const subjects[] = {"Your weekly digest",
					       "Last chance: 20 % off everything this weekend", "Hi",
					       "Please confirm your address"};
	srand(1);
	for (int i = 0; i < VARIANTS; i++) {
		char text[1024];
		int n = snprintf(
		    text, sizeof text,
		    "{\"id\":\"evt_%08x%04x\",\"type\":\"%s\",\"created\":17%08d,\"account_id\":\"acct_%d\","
		    "\"livemode\":%s,\"contact\":{\"id\":%d,\"external_id\":\"user-%d\",\"email\":"
		    "\"person%d@example.com\",\"first\":\"Ada\",\"last\":\"Lovelace\",\"tags\":[\"vip\","
		    "\"eu\"]},"
		    "\"message\":{\"id\":\"msg_%d\",\"subject\":\"%s\",\"size\":%d,\"score\":%d.%02d},"
		    "\"campaign\":{\"id\":%d,\"name\":\"spring\"},\"ip\":\"203.0.113.%d\",\"ua\":null,"
		    "\"url\":\"https://example.com/offers?c=%d\",\"region\":\"eu-west\",\"count\":%d}",
		    (unsigned)rand(), (unsigned)rand() & 0xFFFF, types[rand() % 5], rand() % 100000000,
		    rand() % 1000, rand() % 2 ? "true" : "false", rand() % 1000000, rand() % 100000,
		    rand() % 10000, rand() % 1000000, subjects[rand() % 4], rand() % 100000, rand() % 100,
		    rand() % 100, rand() % 1000, rand() % 256, rand() % 10000, rand() % 30);
		lengths[i] = (size_t)n;
		events[i] = malloc(lengths[i]);
		if (!events[i])
			exit(1);
		memcpy(events[i], text, lengths[i]);
	}
}

static void read_event(int i)
{
	if (mw_json_read(&doc, events[i], lengths[i], NULL) != MW_OK)
		abort();
}

static void read_and_look(int i)
{
	static const char *const paths[][2] = {{"id", 0},
					       {"type", 0},
					       {"created", 0},
					       {"account_id", 0},
					       {"contact", "email"},
					       {"contact", "external_id"},
					       {"message", "subject"},
					       {"message", "id"},
					       {"campaign", "id"},
					       {"ip", 0}};
	static uint32_t tags[10][2];
	static size_t lens[10][2];
	if (tags[0][0] == 0)
		for (int k = 0; k < 10; k++)
			for (int j = 0; j < 2; j++) {
				lens[k][j] = paths[k][j] ? strlen(paths[k][j]) : 0;
				tags[k][j] = mw_json_tag(paths[k][j], lens[k][j]);
			}
	read_event(i);
	for (int k = 0; k < 10; k++) {
		uint32_t node = 0;
		for (int j = 0; j < 2 && paths[k][j]; j++)
			node = mw_json_member(&doc, node, paths[k][j], lens[k][j], tags[k][j]);
		sink += node;
	}
}

static void write_strings(int i)
{
	(void)i;
	mw_buf_clear(&out);
	for (int k = 0; k < 10; k++)
		mw_json_write_string(&out, "Last chance: 20 % off everything", 32);
}

static void write_prices(int i)
{
	mw_buf_clear(&out);
	for (int k = 0; k < 10; k++)
		mw_json_write_double(&out, (double)(i * 37 + k) / 100);
}

static void write_ragged(int i)
{
	mw_buf_clear(&out);
	for (int k = 0; k < 10; k++)
		mw_json_write_double(&out, (double)(i * 37 + k) / 7);
}

static void read_prices(int i)
{
	double sum = i;
	for (int k = 0; k < 10; k++)
		sum += mw_number_read_double(MW_SPAN("1373.29"));
	sink += (uint64_t)sum;
}

int main(void)
{
	make_events();
	mw_json_init(&doc);
	mw_buf_init(&out, 1 << 20);
	size_t total = 0, members = 0;
	for (int i = 0; i < VARIANTS; i++) {
		total += lengths[i];
		read_event(i);
		for (uint32_t n = 0; n < doc.count; n++)
			members += doc.nodes[n].type == MW_JSON_KEY;
	}
	printf("%zu bytes, %zu members an event\n", total / VARIANTS, members / VARIANTS);
	report("read an event", read_event);
	report("read an event, ten look-ups", read_and_look);
	report("write ten strings of 32 bytes", write_strings);
	report("write ten doubles of two decimals", write_prices);
	report("write ten doubles of 17 digits", write_ragged);
	report("read ten doubles of two decimals", read_prices);
	for (int i = 0; i < VARIANTS; i++)
		free(events[i]);
	mw_json_deinit(&doc);
	mw_buf_deinit(&out);
	return 0;
}
