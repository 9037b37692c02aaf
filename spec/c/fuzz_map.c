/* fuzz_map.c -- random bodies through a source that uses every operation (libFuzzer).
 *
 *     clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE spec/c/fuzz_map.c csrc/core/[a-z]*.c \
 *         -lcrypto -lm
 *
 * The first byte picks the format, policy and kind of entry. Whatever the body: each message is JSON that our
 * own reader takes, has at most 32,000 bytes, one line, the stamp, and no member of its context twice; every
 * event is sent, ignored, unmatched or failed; and a mapper that has seen others makes of each line what a
 * new one makes of it.
 */
#include "map_host.h"

static struct map_host host;
static struct mw_map *map;
static struct mw_mapper *mapper;

static uint32_t rich_payload(struct mw_exprs *x)
{
	uint32_t a = get(x, "a"), b = get(x, "b"), lines = get(x, "lines");
	uint32_t pair[] = {a, b, get(x, "lines[1].a")};
	uint32_t line = object(
	    x, "id", get(x, "a"), "price", mw_expr_binary(x, MW_OP_MONEY, get(x, "b"), get(x, "c")), "deep",
	    object(x, "again", mw_expr_binary(x, MW_OP_MAP, get(x, "lines"), get(x, "a")), NULL), NULL);
	uint32_t numbers = mw_expr_binary(x, MW_OP_ADD, mw_expr_unary(x, MW_OP_NUMBER, get(x, "n")),
					  mw_expr_binary(x, MW_OP_MUL, get(x, "m"), mw_expr_int(x, 3)));
	uint32_t table = object(x, "x", mw_expr_int(x, 1), "y", b, NULL);
	return object(
	    x, "raw", a, "any", mw_expr_list(x, MW_OP_ANY, pair, 3), "all",
	    mw_expr_list(x, MW_OP_ARRAY, pair, 3), "text",
	    mw_expr_binary(x, MW_OP_CONCAT, mw_expr_unary(x, MW_OP_STRING, get(x, "t")), get(x, "u")),
	    "lower", mw_expr_unary(x, MW_OP_LOWER, get(x, "t")), "trim",
	    mw_expr_unary(x, MW_OP_TRIM, get(x, "t")), "time", mw_expr_unary(x, MW_OP_TIME, get(x, "at")),
	    "bool", mw_expr_unary(x, MW_OP_BOOLEAN, get(x, "flag")), "hash",
	    mw_expr_unary(x, MW_OP_SHA256, get(x, "t")), "sum", numbers, "is",
	    mw_expr_binary(x, MW_OP_IS, get(x, "t"), get(x, "u")), "map",
	    mw_expr_binary(x, MW_OP_MAP, mw_expr_binary(x, MW_OP_FILTER, lines, get(x, "a")), line), "first",
	    mw_expr_unary(x, MW_OP_FIRST, lines), "last",
	    mw_expr_unary(x, MW_OP_LAST, mw_expr_binary(x, MW_OP_MAP, lines, line)), "look",
	    mw_expr_binary(x, MW_OP_LOOKUP, get(x, "t"), table), "apply", mw_expr_apply(x, get(x, "t"), 0),
	    "made", mw_expr_apply(x, get(x, "n"), 2), "before",
	    mw_expr_binary(x, MW_OP_BEFORE, get(x, "t"), mw_expr_string(x, MW_SPAN("."))), "json",
	    mw_expr_unary(x, MW_OP_SNAKE,
			  mw_expr_binary(x, MW_OP_JSON, get(x, "u"), mw_expr_list(x, MW_OP_ARRAY, NULL, 0))),
	    "when",
	    mw_expr_binary(x, MW_OP_WHEN, get(x, "a"),
			   mw_expr_binary(x, MW_OP_CONTAINS, get(x, "t"), mw_expr_string(x, MW_SPAN("a")))),
	    "less", mw_expr_binary(x, MW_OP_WITHOUT, get(x, "o"), table), "snake",
	    mw_expr_unary(x, MW_OP_SNAKE, get(x, "o")), "total",
	    mw_expr_binary(x, MW_OP_SUM, get(x, "lines"), get(x, "b")), "whether",
	    mw_expr_list(x, MW_OP_NONE, pair, 3), "default",
	    mw_expr_binary(x, MW_OP_DEFAULT, get(x, "d"), mw_expr_null(x)), NULL);
}

static enum mw_err emit(struct map_host *h, int function, struct mw_mapper *p, const struct mw_json *doc,
			uint32_t event, struct mw_error *e)
{
	(void)h;
	(void)function;
	(void)doc;
	(void)event;
	struct mw_message m = {.call = MW_TRACK,
			       .name = MW_SPAN("Emitted"),
			       .context = MW_SPAN("\"ip\":1,\"x\":{},\"library\":2")};
	enum mw_err err = mw_mapper_emit(p, &m, false, (struct mw_span){NULL, 0}, e);
	m.context = (struct mw_span){NULL, 0};
	return err ? err : mw_mapper_emit(p, &m, false, MW_SPAN("other"), e);
}

static void build(void)
{
	struct mw_mapper_host h = host_of(&host);
	host.entry = emit;
	map = new_map("fuzz");
	struct mw_exprs *x = mw_map_exprs(map);
	uint32_t users[] = {get(x, "user"), get(x, "contact.id")};
	mw_map_set(map, MW_PART_EVENT, get(x, "type"));
	mw_map_set(map, MW_PART_EACH, get(x, "events"));
	mw_map_set(map, MW_PART_ID, get(x, "id"));
	mw_map_set(map, MW_PART_TIME, get(x, "at"));
	mw_map_set(map, MW_PART_ACCOUNT, get(x, "account"));
	mw_map_set(map, MW_PART_USER, mw_expr_list(x, MW_OP_ANY, users, 2));
	mw_map_set(map, MW_PART_EMAIL, get(x, "email"));
	mw_map_set(map, MW_PART_CONTEXT,
		   object(x, "ip", get(x, "ip"), "traits", object(x, "email", get(x, "email"), NULL), NULL));
	mw_map_set(map, MW_PART_INTEGRATIONS, get(x, "integrations"));
	struct mw_map_call rich = {.call = MW_TRACK,
				   .name = get(x, "name"),
				   .payload = rich_payload(x),
				   .place = MW_SPAN("fuzz.lua:1")};
	struct mw_map_call open = {
	    .call = MW_IDENTIFY, .payload = get(x, "a"), .place = MW_SPAN("fuzz.lua:2")};
	open.parts[MW_PART_CONTEXT] = get(x, "context");
	struct mw_map_call page = {
	    .call = MW_PAGE, .name = get(x, "t"), .category = get(x, "u"), .when = get(x, "flag")};
	struct mw_map_call each = {.call = MW_TRACK, .name = get(x, "t"), .payload = get(x, "o")};
	each.parts[MW_PART_EACH] = get(x, "lines");
	each.parts[MW_PART_USER] = get(x, "a");
	if (mw_exprs_error(x).code || mw_map_add_call(map, MW_SPAN("e*"), &each) ||
	    mw_map_add_call(map, MW_SPAN("t"), &rich) || mw_map_add_call(map, MW_SPAN("o"), &open) ||
	    mw_map_add_call(map, MW_SPAN("o"), &page) ||
	    mw_map_add_function(map, MW_SPAN("f"), 0, MW_SPAN("fuzz.lua:3")) ||
	    mw_map_add_ignore(map, MW_SPAN("i")))
		abort();
	mapper = mw_mapper_new(&h);
}

static void need(bool condition, const char *what, const struct mw_parcel *p)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %.*s\n", what, (int)p->message.len, (const char *)p->message.at);
	abort();
}

static void check_message(const struct mw_parcel *p)
{
	static struct mw_json doc;
	struct mw_error e = {.code = MW_OK};
	enum mw_err err = mw_json_read(&doc, p->message.at, p->message.len, &e);
	/* An event nested 127 deep is 129 deep inside of `properties`: valid, but more than we read. */
	if (err == MW_TOO_LARGE)
		return;
	need(err == MW_OK, e.detail, p);
	need(p->message.len <= MW_MESSAGE_MAX, "too large", p);
	need(!memchr(p->message.at, '\n', p->message.len), "several lines", p);
	need(p->account.len > 0 && p->account.len <= MW_ACCOUNT_MAX, "no account", p);
	uint32_t context = mw_json_member(&doc, 0, "context", 7, mw_json_tag("context", 7));
	need(context != 0, "no context", p);
	int stamps = 0;
	for (uint32_t key = context + 1; key < mw_json_after(&doc, context);
	     key = mw_json_after(&doc, key + 1)) {
		struct mw_span name = mw_json_raw(&doc, key);
		if (!(doc.nodes[key].flags & MW_JSON_ESCAPED))
			need(mw_json_member(&doc, context, name.at, name.len,
					    mw_json_tag(name.at, name.len)) == key + 1,
			     "twice", p);
		stamps += mw_span_is(name, "integration") || mw_span_is(name, "library");
	}
	need(stamps == 2, "stamp", p);
}

/* What a new mapper makes of one body must come next in the outbox. */
static void check_anew(struct mw_delivery d, size_t *at)
{
	struct mw_mapper_host h = host_of(&host);
	struct mw_mapper *anew = mw_mapper_new(&h);
	struct mw_tally tally = {0};
	struct mw_parcel p, q;
	if (!anew)
		abort();
	mw_map_run(map, anew, &d, &tally);
	for (size_t i = 0; mw_outbox_next(mw_mapper_outbox(anew), &i, &p);) {
		need(mw_outbox_next(mw_mapper_outbox(mapper), at, &q), "missing", &p);
		need(mw_span_equal(p.account, q.account) && mw_span_equal(p.message, q.message), "not so",
		     &q);
	}
	mw_mapper_free(anew);
}

static void check_each_anew(const struct mw_delivery *d)
{
	struct mw_parcel rest;
	size_t at = 0;
	struct mw_delivery line = *d;
	const uint8_t *p = d->body.at, *end = p + d->body.len;
	host.randoms = 0;
	while (d->format == MW_FORMAT_NDJSON && p < end) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		line.body = (struct mw_span){p, (size_t)((newline ? newline : end) - p)};
		check_anew(line, &at);
		p += line.body.len + 1;
	}
	if (d->format != MW_FORMAT_NDJSON)
		check_anew(line, &at);
	if (mw_outbox_next(mw_mapper_outbox(mapper), &at, &rest))
		need(false, "too many", &rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!map)
		build();
	if (size == 0)
		return 0;
	struct mw_tally tally = {0};
	/* A copy of its own, so that a read past its end is seen. */
	uint8_t *body = malloc(size);
	if (!body)
		return 0;
	memcpy(body, data + 1, size - 1);
	struct mw_delivery d = {.body = {body, size - 1},
				.format = (enum mw_format)(data[0] % 4),
				.account = MW_SPAN("acct"),
				.now = 1};
	mw_map_policy(map, (enum mw_missing_user)(data[0] / 3 % 3), (enum mw_unmatched)(data[0] / 9 % 3));
	host.problems = 0;
	host.randoms = 0;
	mw_outbox_clear(mw_mapper_outbox(mapper));
	mw_map_run(map, mapper, &d, &tally);
	struct mw_parcel p;
	uint64_t count = 0;
	for (size_t at = 0; mw_outbox_next(mw_mapper_outbox(mapper), &at, &p); count++)
		check_message(&p);
	if (count != tally.messages || tally.failed != (uint64_t)host.problems || tally.failed > tally.events)
		abort();
	check_each_anew(&d);
	free(body);
	return 0;
}
