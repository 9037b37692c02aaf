/* map_bench.c -- what mapping an event costs, raw bytes to message bytes, in nanoseconds; medians of five.
 *
 * The source is a declarative one with ten look-ups: account, id, time, user, e-mail, a context and
 * six properties. 1,024 variants of a 470-byte event, so that the branch predictor can't learn one by heart;
 * then of eight kinds that take turns at random, each with another member, one of them with none.
 * With and without the check that each message is of a known, flawless kind, taking turns.
 */
#include "../c/map_host.h"

#include <time.h>

enum { VARIANTS = 1024, RUNS = 5, ROUNDS = 300 };

static char events[VARIANTS][1024];
static size_t lengths[VARIANTS];

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

static size_t make_events(bool of_many_kinds)
{
	static const char *const more[] = {"",
					   "\"batch\":{\"of\":7},",
					   "\"list\":[1,2],",
					   "\"test\":false,",
					   "\"region\":\"eu\",",
					   "\"device\":{\"kind\":\"phone\",\"os\":null},",
					   "\"tags\":[],",
					   "\"parent\":{\"id\":17},"};
	static const char *const subjects[] = {"Your statement for March", "Hi",
					       "Caf\xC3\xA9 & \\\"tea\\\" this weekend",
					       "Last chance: 20 % off everything"};
	size_t bytes = 0;
	srand(1);
	for (int i = 0; i < VARIANTS; i++) {
		int n = snprintf(
		    events[i], sizeof events[i],
		    "{\"event_id\":\"evt_%08x\",\"type\":\"message.opened\",%s\"account_id\":\"acct_%d\","
		    "\"occurred_at\":\"2026-11-%02dT%02d:58:%02d.%03dZ\",\"contact\":{\"id\":%d,\"external_"
		    "id\":\"user-%d\","
		    "\"email\":\"person%d@example.com\",\"first\":\"Ann\",\"last\":\"Mueller\"},\"message\":{"
		    "\"id\":\"msg_%d\","
		    "\"subject\":\"%s\"},\"campaign\":{\"id\":\"c%d\",\"name\":\"Newsletter\"},\"client\":{"
		    "\"ip\":\"192.0.2.%d\","
		    "\"agent\":\"Mozilla/5.0 (X11; Linux x86_64) "
		    "AppleWebKit/537.36\"},\"count\":%d,\"score\":%d.%d}",
		    (unsigned)rand(), more[of_many_kinds ? rand() % 8 : 0], rand() % 50, rand() % 28 + 1,
		    rand() % 24, rand() % 60, rand() % 1000, rand(), rand() % 100000, rand() % 100000, rand(),
		    subjects[rand() % 4], rand() % 50, rand() % 256, rand() % 5, rand() % 100,
		    rand() % 9 + 1);
		lengths[i] = (size_t)n;
		bytes += lengths[i];
	}
	return bytes / VARIANTS;
}

static struct mw_map *make_map(void)
{
	struct mw_map *m = new_map("acme-mail");
	struct mw_exprs *x = mw_map_exprs(m);
	uint32_t users[] = {get(x, "contact.external_id"), get(x, "contact.user")};
	mw_map_set(m, MW_PART_ACCOUNT, get(x, "account_id"));
	mw_map_set(m, MW_PART_EVENT, get(x, "type"));
	mw_map_set(m, MW_PART_ID, get(x, "event_id"));
	mw_map_set(m, MW_PART_TIME, get(x, "occurred_at"));
	mw_map_set(m, MW_PART_USER, mw_expr_list(x, MW_OP_ANY, users, 2));
	mw_map_set(m, MW_PART_CONTEXT,
		   object(x, "acmeMailId", get(x, "contact.id"), "ip", get(x, "client.ip"), "traits",
			  object(x, "email", get(x, "contact.email"), NULL), NULL));
	struct mw_map_call call = {
	    .call = MW_TRACK,
	    .name = mw_expr_string(x, MW_SPAN("Email Opened")),
	    .payload = object(x, "email_id", get(x, "message.id"), "email_subject", get(x, "message.subject"),
			      "campaign_id", get(x, "campaign.id"), "campaign_name", get(x, "campaign.name"),
			      "open_count", get(x, "count"), "score", get(x, "score"), NULL),
	    .place = MW_SPAN("acme.lua:14"),
	};
	if (mw_map_add_call(m, MW_SPAN("message.opened"), &call))
		abort();
	mw_map_add_ignore(m, MW_SPAN("message.sent"));
	return m;
}

static enum mw_err flawless(void *context, uint64_t shape, struct mw_span message, struct mw_error *e)
{
	(void)message, (void)e;
	mw_review_learn(((struct map_host *)context)->review, shape, 0, false);
	return MW_OK;
}

/* All events, once: nanoseconds. */
static double map_all(const struct mw_map *map, struct mw_mapper *p, struct mw_tally *tally)
{
	double start = now_ns();
	mw_outbox_clear(mw_mapper_outbox(p));
	for (int i = 0; i < VARIANTS; i++) {
		struct mw_delivery d = {.body = {(const uint8_t *)events[i], lengths[i]}, .now = 1};
		mw_map_run(map, p, &d, tally);
	}
	return now_ns() - start;
}

int main(void)
{
	struct map_host h = {0};
	struct mw_mapper_host host = host_of(&h);
	struct mw_map *map = make_map();
	struct mw_mapper *p = mw_mapper_new(&host);
	h.review = host.review = calloc(1, sizeof *h.review);
	host.judge = flawless;
	mw_review_init(h.review, false);
	struct mw_mapper *checked = mw_mapper_new(&host);
	struct mw_outbox *out = mw_mapper_outbox(p);
	struct mw_tally tally = {0};
	struct mw_json doc;
	double mapping[RUNS], checking[RUNS], reading[RUNS], turns[RUNS];
	size_t in_len = make_events(false), out_len = 0;
	mw_json_init(&doc);
	for (int r = 0; r < RUNS; r++) {
		double start = now_ns();
		for (int i = 0; i < ROUNDS * VARIANTS; i++)
			mw_json_read(&doc, events[i % VARIANTS], lengths[i % VARIANTS], NULL);
		reading[r] = (now_ns() - start) / (ROUNDS * VARIANTS);
		mapping[r] = checking[r] = 0;
		for (int i = 0; i < ROUNDS; i++) {
			mapping[r] += map_all(map, p, &tally);
			checking[r] += map_all(map, checked, &tally);
		}
		mapping[r] /= ROUNDS * VARIANTS;
		checking[r] /= ROUNDS * VARIANTS;
	}
	struct mw_parcel parcel;
	for (size_t at = 0; mw_outbox_next(out, &at, &parcel);)
		out_len += parcel.message.len;
	make_events(true);
	for (int r = 0; r < RUNS; r++) {
		turns[r] = 0;
		for (int i = 0; i < ROUNDS; i++)
			turns[r] += map_all(map, p, &tally);
		turns[r] /= ROUNDS * VARIANTS;
	}
	qsort(turns, RUNS, sizeof *turns, by_value);
	qsort(mapping, RUNS, sizeof *mapping, by_value);
	qsort(checking, RUNS, sizeof *checking, by_value);
	qsort(reading, RUNS, sizeof *reading, by_value);
	printf("%-44s %7.1f ns\n", "reading the event alone", reading[RUNS / 2]);
	printf("%-44s %7.1f ns   (%zu bytes to %zu)\n", "raw event to message", mapping[RUNS / 2], in_len,
	       out->count ? out_len / out->count : 0);
	printf("%-44s %7.1f ns   (%+.1f)\n", "the same, checked by Segment's Spec", checking[RUNS / 2],
	       checking[RUNS / 2] - mapping[RUNS / 2]);
	printf("%-44s %7.1f ns   (%+.1f)\n", "raw event to message, eight kinds taking turns",
	       turns[RUNS / 2], turns[RUNS / 2] - mapping[RUNS / 2]);
	if (tally.failed > 0 || out->count != VARIANTS) {
		printf("%d problems, the last: %s\n", h.problems, h.error.detail);
		return 1;
	}
	if (getenv("MW_SHOW")) {
		size_t at = 0;
		mw_outbox_next(out, &at, &parcel);
		printf("%.*s\n", (int)parcel.message.len, (const char *)parcel.message.at);
	}
	mw_mapper_free(checked);
	free(h.review);
	mw_mapper_free(p);
	mw_map_free(map);
	mw_json_deinit(&doc);
	return 0;
}
