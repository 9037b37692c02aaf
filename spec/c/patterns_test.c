/* Whatever one of many patterns takes must be what the reader makes of it; and they take what any of them
 * takes alone. */
#include "../../csrc/core/patterns.h"

#include "check.h"
#include "same_nodes.h"

static struct mw_json doc, again;
static struct mw_patterns *set;

/* A text of a few forms, many of which begin alike. `form` decides what stands there, `values` the values. */
struct text {
	char at[MW_PATTERN_TEXT];
	size_t len;
	uint64_t form, values;
	int slip; /* so many values before one that is none */
};

static void put(struct text *t, const char *s)
{
	size_t len = strlen(s);
	if (t->len + len > sizeof t->at)
		abort();
	memcpy(t->at + t->len, s, len);
	t->len += len;
}

static void put_value(struct text *t)
{
	static const char *const values[] = {"0",     "-17",  "3.25",      "null",   "true",
					     "\"x\"", "\"\"", "\"a\\nb\"", "\"[{\"", "12345678901234567890"};
	static const char *const slips[] = {"",   "-",   "nul",      "\"", "{}",
					    "[]", "1,2", "\"\xC3\"", "1]", "\"a\":1"};
	uint64_t n = check_random(&t->values);
	put(t, t->slip-- == 0 ? slips[n % 10] : values[n % 10]);
}

static void put_any(struct text *t, int depth)
{
	static const char *const names[] = {
	    "\"id\":", "\"to\":", "\"to\" :", "\"a name of more than thirty-two bytes\":"};
	uint64_t n = check_random(&t->form);
	if (depth == 0 || (depth < 3 && n % 3 == 0)) {
		put_value(t);
		return;
	}
	bool is_object = depth == 3 || n % 3 == 1;
	put(t, is_object ? "{" : "[");
	for (uint64_t i = 0, count = (n >> 8) % 4; i < count; i++) {
		if (i > 0)
			put(t, ",");
		if (is_object)
			put(t, names[check_random(&t->form) % 4]);
		put_any(t, depth - 1);
	}
	put(t, is_object ? "}" : "]");
}

/* Forms that have a seed's lower bits in common begin alike. */
static void make(struct text *t, uint64_t form, uint64_t *random, bool slip)
{
	static const char *const heads[] = {"{\"kind\":", "{\"kind\":", "{ \"kind\":", "{\"n\":"};
	t->len = 0;
	t->values = check_random(random);
	t->slip = slip ? (int)(check_random(random) % 8) : -1;
	put(t, heads[form % 4]);
	put_value(t);
	t->form = form % 16;
	put(t, ",\"first\":");
	put_any(t, 2);
	t->form = form;
	put(t, ",\"rest\":");
	put_any(t, 3);
	put(t, form % 5 ? "}" : "}\n");
}

static bool is_taken_alone(uint32_t which, struct mw_span text)
{
	struct mw_pattern_reading r;
	return mw_pattern_begin(&r, &again, text) && mw_pattern_follow(&set->each[which], &r) &&
	       mw_pattern_read(&set->each[which], &r);
}

/* In memory of its own, so that a read past its end is seen. */
static bool is_right(const struct text *t, uint32_t first, bool *taken)
{
	uint8_t *exact = malloc(t->len);
	if (!exact)
		abort();
	memcpy(exact, t->at, t->len);
	struct mw_span text = {exact, t->len};
	uint32_t which = mw_patterns_read(set, first, &again, text);
	*taken = which != MW_PATTERNS;
	bool is_json = mw_json_read(&doc, exact, t->len, NULL) == MW_OK, same = true;
	if (*taken)
		same = is_json && has_same_nodes(&again, &doc) && again.text == doc.text &&
		       again.len == doc.len && again.pattern == set->each[which].number &&
		       again.keys == set->each[which].text;
	else
		same = again.count == 0 && again.pattern == 0;
	for (uint32_t i = 0; same && !*taken && i < MW_PATTERNS; i++)
		same = !is_taken_alone(i, text);
	free(exact);
	if (!same)
		fprintf(stderr, "%.*s\n", (int)t->len, t->at);
	return same;
}

static void take(uint32_t which, const struct text *t)
{
	if (mw_json_read(&doc, t->at, t->len, NULL))
		abort();
	mw_patterns_take(set, which, &doc);
}

static void begin(void)
{
	static const char large[] = "[[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0]"
				    ",[0],[0],[0],[0],[0],[0],"
				    "[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],[0],"
				    "[0],[0],[0],[0],[0],[0]]";
	mw_json_init(&doc);
	mw_json_init(&again);
	/* Room for any form's nodes, which patterns do not make. */
	if (mw_json_read(&again, large, sizeof large - 1, NULL))
		abort();
	set = calloc(1, sizeof *set);
	if (!set)
		abort();
	mw_patterns_init(set);
}

static void end(void)
{
	free(set);
	mw_json_deinit(&doc);
	mw_json_deinit(&again);
}

TEST(one_of_many_takes_what_the_reader_makes_of_it)
{
	static struct text t;
	uint64_t random = check_seed("forms"), forms[MW_PATTERNS];
	int fitted = 0, rounds = check_rounds(300000);
	begin();
	for (uint32_t i = 0; i < MW_PATTERNS; i++)
		forms[i] = check_random(&random) % 4096;
	for (int i = 0; i < rounds; i++) {
		uint64_t n = check_random(&random);
		uint32_t which = (uint32_t)(n >> 8) % MW_PATTERNS;
		bool taken, is_known = set->each[which].count > 0, slips = n % 8 == 0;
		if (n % 32 == 1) {
			forms[which] = (n >> 32) % 4096;
			make(&t, forms[which], &random, false);
			take(which, &t);
			continue;
		} else if (n % 256 == 2) {
			mw_patterns_drop(set, which);
			continue;
		}
		make(&t, n % 16 == 3 ? (n >> 32) % 4096 : forms[which], &random, slips);
		CHECK(is_right(&t, (uint32_t)(n >> 16) % MW_PATTERNS, &taken));
		CHECK(taken || slips || n % 16 == 3 || !is_known);
		fitted += taken;
	}
	CHECK(fitted > rounds / 2);
	end();
}

/* Wherever a text departs from the one before it. */
TEST(a_text_goes_from_pattern_to_pattern)
{
	static struct text t;
	static const char *const texts[] = {"{\"a\":1,\"b\":2,\"c\":3}",
					    "{\"a\":1,\"b\":{\"x\":2},\"c\":3}",
					    "{\"a\":1,\"b\":{\"x\":2,\"y\":[]},\"c\":3}",
					    "{\"a\":1,\"b\":{\"x\":2,\"y\":[]},\"c\":3,\"d\":4}",
					    "{\"a\":[1]}",
					    "{}"};
	enum { TEXTS = sizeof texts / sizeof *texts };
	begin();
	for (uint32_t i = 0; i < TEXTS; i++) {
		t.len = 0;
		put(&t, texts[i]);
		take(i + 3, &t);
	}
	for (uint32_t first = 0; first < MW_PATTERNS; first++) {
		for (uint32_t i = 0; i < TEXTS; i++) {
			bool taken;
			t.len = 0;
			put(&t, texts[i]);
			CHECK(is_right(&t, first, &taken));
			CHECK(taken);
		}
	}
	for (uint32_t i = 0; i < TEXTS; i++) {
		bool taken;
		t.len = 0;
		put(&t, texts[i]);
		mw_patterns_drop(set, i + 3);
		CHECK(is_right(&t, i + 3, &taken));
		CHECK(!taken);
	}
	end();
}

int main(void)
{
	RUN(one_of_many_takes_what_the_reader_makes_of_it);
	RUN(a_text_goes_from_pattern_to_pattern);
	return CHECK_END();
}
