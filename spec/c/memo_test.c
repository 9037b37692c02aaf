/* What a memo recalls of earlier documents must be what following each path anew finds. */
#include "../../csrc/core/expr.h"
#include "../../csrc/core/number.h"
#include "../../csrc/core/shape.h"

#include "check.h"
#include "map_host.h"

static struct map_host host;
static struct mw_exprs *x;
static struct mw_json doc;
static struct mw_arena arena;
static struct mw_memo recalling, starting;
static uint32_t all;

/* `user` and `uaer`, `a` and `\u0061` have much in common: tags, or characters. */
static const char *const names[] = {"user",
				    "uaer",
				    "uter",
				    "id",
				    "a",
				    "b",
				    "c",
				    "\\u0061",
				    "",
				    "long_name_1",
				    "long_name_2_of_many_characters",
				    "long_name_2_of_nany_characters"};
enum { NAMES = sizeof names / sizeof *names };

struct text {
	char at[65536];
	size_t len;
	uint64_t shape;  /* random numbers of what documents laid out alike share ... */
	uint64_t values; /* ... and of the rest */
	int twist;       /* how many names until one is replaced by another */
};

static void put(struct text *t, const char *s)
{
	size_t len = strlen(s);
	if (t->len + len < sizeof t->at) {
		memcpy(t->at + t->len, s, len);
		t->len += len;
	}
}

static void put_scalar(struct text *t)
{
	static const char *const scalars[] = {"1",     "-2.5e3",      "null", "true",
					      "\"x\"", "\"a \\n b\"", "\"\"", "12345678901234567890",
					      "[]",    "{}"};
	/* Empty containers only now and then: they are laid out differently most of the time. */
	uint64_t n = check_random(&t->values);
	put(t, scalars[n % (n >> 32 & 7 ? 8 : 10)]);
}

static void put_any(struct text *t, int depth)
{
	uint64_t kind = check_random(&t->shape) % 8;
	if (depth > 0 && (depth == 3 || kind > 4)) {
		bool is_object = depth == 3 || kind < 7;
		uint64_t count = check_random(&t->shape) % 6;
		put(t, is_object ? "{" : "[");
		for (uint64_t i = 0; i < count; i++) {
			uint64_t name = check_random(&t->shape);
			if (t->twist-- == 0)
				name = check_random(&t->values);
			put(t, i ? "," : "");
			if (is_object) {
				put(t, "\"");
				put(t, names[name % NAMES]);
				put(t, "\":");
			}
			put_any(t, depth - 1);
		}
		put(t, is_object ? "}" : "]");
		return;
	}
	put_scalar(t);
}

static void make_paths(void)
{
	static const char *const paths[] = {"user",      "uter",
					    "id",        "a",
					    "a.a",       "a.b.c",
					    "b",         "b.user",
					    "b[1]",      "b[2].a",
					    "b[-1]",     "c.a[1]",
					    "user.user", "long_name_1",
					    "c",         "long_name_2_of_many_characters",
					    "a.id",      "user.long_name_2_of_many_characters"};
	enum { PATHS = sizeof paths / sizeof *paths };
	enum { OBJECTS = 5 };
	struct mw_span keys[PATHS + OBJECTS];
	uint32_t values[PATHS + OBJECTS];
	for (size_t i = 0; i < PATHS; i++) {
		keys[i] = span(paths[i]);
		values[i] = get(x, paths[i]);
	}
	/* Followed from many nodes of one document. */
	keys[PATHS] = MW_SPAN("map");
	values[PATHS] =
	    mw_expr_binary(x, MW_OP_MAP, mw_expr_binary(x, MW_OP_FILTER, get(x, "b"), mw_expr_bool(x, true)),
			   object(x, "a", get(x, "a"), "u", get(x, "user.id"), NULL));
	/* Fields alone, of which few are there; and what can't be copied from the event. */
	keys[PATHS + 1] = MW_SPAN("fields");
	values[PATHS + 1] = object(x, "u", get(x, "user"), "b", get(x, "a.b"),
				   "a key of more than thirty-two bytes", get(x, "id"), NULL);
	keys[PATHS + 2] = MW_SPAN("a \"key\" of thirty-two bytes");
	values[PATHS + 2] = object(x, "x", get(x, "c.a[1]"), "u", get(x, "user"), NULL);
	keys[PATHS + 3] = MW_SPAN("mixed");
	values[PATHS + 3] =
	    object(x, "u", get(x, "user"), "type", get(x, "a"), "inner",
		   object(x, "a", get(x, "a.a"), "k", mw_expr_string(x, span("constant")), NULL), NULL);
	keys[PATHS + 4] = MW_SPAN("channel"); /* watched */
	values[PATHS + 4] = object(x, "u", get(x, "user"), "id", get(x, "id"), NULL);
	all = mw_expr_object(x, keys, values, PATHS + OBJECTS);
}

static enum mw_err evaluate(struct mw_memo *memo, struct mw_buf *out, uint64_t *shape)
{
	struct mw_mapper_host h = host_of(&host);
	struct mw_scene s = {
	    .doc = &doc, .arena = &arena, .memo = memo, .host = &h.host, .counts_shapes = true};
	mw_buf_clear(out);
	return mw_expr_write_members(x, all, &s, out, shape, NULL);
}

/* Is it the shape of what was written, all of it or nothing? */
static bool is_shape_of(uint64_t shape, const struct mw_buf *out)
{
	return shape == (out->len > 0 ? mw_shape_of_json(mw_buf_span(out)) : (uint64_t)MW_CLASS_ABSENT);
}

static void begin(void)
{
	mw_json_init(&doc);
	mw_arena_init(&arena, MW_ARENA_MAX);
	x = mw_exprs_new();
	make_paths();
}

static void end(void)
{
	mw_memo_deinit(&recalling);
	mw_memo_deinit(&starting);
	mw_exprs_free(x);
	mw_arena_deinit(&arena);
	mw_json_deinit(&doc);
}

TEST(documents_laid_out_alike_are_evaluated_like_others)
{
	static struct text t;
	struct mw_buf recalled, anew;
	uint64_t seed = check_seed("documents");
	enum { KINDS = 40 }; /* more than are remembered */
	uint64_t shapes[KINDS], counted, counted_anew, kinds = 1;
	int again = 0, fitted = 0;
	mw_buf_init(&recalled, 1 << 20);
	mw_buf_init(&anew, 1 << 20);
	for (size_t i = 0; i < KINDS; i++)
		shapes[i] = check_random(&seed);
	for (int i = 0, rounds = check_rounds(200000); i < rounds; i++) {
		uint64_t n = check_random(&seed);
		if (i % 1000 == 0)
			kinds = 1 + check_random(&seed) % KINDS;
		uint64_t *shape = &shapes[n % kinds];
		if ((n >> 8) % 64 == 0)
			*shape = check_random(&seed);
		t.len = 0;
		t.shape = *shape;
		t.values = n;
		t.twist = (int)((n >> 16) % 40);
		put_any(&t, 3);
		char *exact = malloc(t.len); /* so that a read past its end is seen */
		if (!exact)
			abort();
		memcpy(exact, t.at, t.len);
		mw_arena_clear(&arena);
		uint64_t before = recalling.last_serial;
		bool ok = mw_memo_read(&recalling, x, &doc, (struct mw_span){(uint8_t *)exact, t.len});
		fitted += ok;
		ok = ok || (!mw_json_read(&doc, exact, t.len, NULL) && !mw_memo_recall(&recalling, x, &doc));
		ok = ok && !mw_memo_start(&starting, x);
		again += recalling.last_serial == before;
		/* In a new buffer fields meet the end of its room at any byte. */
		if ((n >> 24) % 4 == 0)
			mw_buf_deinit(&recalled);
		ok = ok &&
		     evaluate(&recalling, &recalled, &counted) == evaluate(&starting, &anew, &counted_anew);
		ok = ok && is_shape_of(counted, &recalled) && is_shape_of(counted_anew, &anew);
		ok = ok && recalled.len == anew.len && memcmp(recalled.data, anew.data, anew.len) == 0;
		free(exact);
		if (!ok)
			fprintf(stderr, "%.*s\n%.*s\n%.*s\n", (int)t.len, t.at, (int)recalled.len,
				(char *)recalled.data, (int)anew.len, (char *)anew.data);
		CHECK(ok);
	}
	printf("%d documents were laid out like an earlier one, %d of them read by its pattern\n", again,
	       fitted);
	CHECK(again > check_rounds(20000) && fitted > check_rounds(2000));
	mw_buf_deinit(&recalled);
	mw_buf_deinit(&anew);
}

static bool is_recalled(const char *text)
{
	struct mw_buf out;
	uint64_t before = recalling.last_serial, counted;
	mw_buf_init(&out, 1 << 20);
	bool ok = mw_json_read(&doc, text, strlen(text), NULL) == MW_OK &&
		  mw_memo_recall(&recalling, x, &doc) == MW_OK &&
		  evaluate(&recalling, &out, &counted) == MW_OK;
	mw_buf_deinit(&out);
	return ok && recalling.last_serial == before;
}

TEST(values_do_not_make_a_layout_and_names_do)
{
	CHECK(!is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"}}"));
	CHECK(is_recalled("{\"user\":\"u\",\"a\":{\"b\":null}}"));
	CHECK(!is_recalled("{\"uaer\":1,\"a\":{\"b\":\"x\"}}")); /* the same tag */
	CHECK(!is_recalled("{\"user\":1,\"a\":{\"b\":\"x\",\"c\":1}}"));
	CHECK(is_recalled("{\"user\":1,\"a\":{\"b\":\"x\",\"c\":1}}"));
	CHECK(is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"}}"));
	CHECK(!is_recalled("{\"user\":1,\"a\":[\"b\",\"x\"]}"));
	CHECK(!is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"},\"c\":1}"));
	CHECK(!is_recalled("[{\"user\":1}]"));
	CHECK(!is_recalled("[{\"user\":1}]")); /* is split: never remembered */
}

/* Whose keys are met once for each item, in each document. */
TEST(items_do_not_make_a_memo_forget)
{
	for (int i = 0; i < 20; i++)
		CHECK(is_recalled(
			  "{\"b\":[{\"a\":1,\"user\":{\"id\":2}},{\"a\":3,\"user\":{\"id\":4}},{\"a\":5,"
			  "\"user\":{\"id\":6}}]}") == (i > 0));
}

TEST(more_paths_make_a_memo_forget)
{
	CHECK(is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"},\"c\":1}"));
	get(x, "one.more");
	CHECK(!is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"},\"c\":1}"));
	CHECK(is_recalled("{\"user\":1,\"a\":{\"b\":\"x\"},\"c\":1}"));
}

/* Where the path leads in a document that is read as the mapper reads it; 0 if nowhere. */
static int64_t number_at(const char *text, uint32_t path)
{
	struct mw_mapper_host h = host_of(&host);
	struct mw_scene s = {.doc = &doc, .arena = &arena, .memo = &recalling, .host = &h.host};
	struct mw_value v;
	int64_t number = 0;
	mw_arena_clear(&arena);
	if (!mw_memo_read(&recalling, x, &doc, span(text)) &&
	    (mw_json_read(&doc, text, strlen(text), NULL) || mw_memo_recall(&recalling, x, &doc)))
		abort();
	if (mw_expr_eval(x, path, &s, &v, NULL))
		abort();
	return v.kind == MW_VALUE_NUMBER && mw_number_read_int64(v.text, &number) ? number : 0;
}

/* Events of one layout may be of two kinds, and only one of them asks for a member. */
TEST(a_name_met_after_the_pattern_was_taken_is_none_of_its_names)
{
	uint32_t a = get(x, "a"), user = get(x, "b.user");
	for (int i = 0; i < 3; i++) /* the pattern is taken when a layout comes again */
		CHECK(number_at("{\"a\":1,\"b\":{\"uaer\":2}}", a) == 1);
	CHECK(number_at("{\"a\":1,\"b\":{\"user\":3}}", user) == 3); /* the same tag: laid out alike */
	CHECK(number_at("{\"a\":1,\"b\":{\"uaer\":4}}", user) == 0);
	CHECK(number_at("{\"a\":1,\"b\":{\"user\":5}}", user) == 5);
}

/* An item that has no `user` hides that of its event neither from what comes later nor in the next event. */
TEST(a_path_leads_where_it_did_before_items_in_which_it_leads_nowhere)
{
	static const char *const texts[] = {"{\"user\":{\"id\":1},\"b\":[{\"a\":1},{\"a\":2}]}",
					    "{\"user\":{\"id\":2},\"b\":[{\"a\":1},{\"a\":2}]}"};
	uint32_t user = get(x, "user.id");
	uint32_t in_items = mw_expr_unary(x, MW_OP_LAST, mw_expr_binary(x, MW_OP_MAP, get(x, "b"), user));
	for (int i = 0; i < 6; i++) {
		CHECK(number_at(texts[i % 2], user) == i % 2 + 1);
		CHECK(number_at(texts[i % 2], in_items) == 0);
		CHECK(number_at(texts[i % 2], user) == i % 2 + 1);
	}
}

int main(void)
{
	begin();
	RUN(values_do_not_make_a_layout_and_names_do);
	RUN(items_do_not_make_a_memo_forget);
	RUN(more_paths_make_a_memo_forget);
	RUN(a_path_leads_where_it_did_before_items_in_which_it_leads_nowhere);
	RUN(a_name_met_after_the_pattern_was_taken_is_none_of_its_names);
	RUN(documents_laid_out_alike_are_evaluated_like_others);
	end();
	return CHECK_END();
}
