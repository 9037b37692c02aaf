#include "expr_pool.h"
#include "json_write.h"
#include "shape.h"

#include <stdlib.h>

/* Names and constants of a source are its script's text; this is far more than a script may hold. */
enum { POOL_TEXT_MAX = 64 * 1024 * 1024 };

/* Pools get numbers, since a new one may lie where a freed one lay. */
static _Atomic uint64_t pools;

struct mw_exprs *mw_exprs_new(void)
{
	struct mw_exprs *x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	x->cap = 64;
	x->at = calloc(x->cap, sizeof *x->at);
	if (!x->at) {
		free(x);
		return NULL;
	}
	x->count = 1; /* NONE */
	x->fans = 1;
	x->number = ++pools;
	mw_arena_init(&x->arena, POOL_TEXT_MAX);
	return x;
}

void mw_exprs_free(struct mw_exprs *x)
{
	if (!x)
		return;
	mw_arena_deinit(&x->arena);
	free(x->at);
	free(x);
}

struct mw_error mw_exprs_error(const struct mw_exprs *x)
{
	return x->error;
}

static uint32_t refuse(struct mw_exprs *x, enum mw_err err, const char *what)
{
	if (x->error.code == MW_OK)
		mw_error_set(&x->error, err, 0, "%s", what);
	return 0;
}

static uint32_t no_memory(struct mw_exprs *x)
{
	return refuse(x, MW_NO_MEMORY, "");
}

static uint32_t add(struct mw_exprs *x, const struct mw_expr *n)
{
	if (n->depth > MW_EXPR_DEPTH_MAX)
		return refuse(x, MW_INVALID, "an expression is nested too deep; 32 levels are the most");
	if (x->count > MW_EXPR_MAX)
		return refuse(x, MW_INVALID, "the source holds too many expressions; 65535 are the most");
	if (x->count == x->cap) {
		struct mw_expr *at = realloc(x->at, sizeof *at * x->cap * 2);
		if (!at)
			return no_memory(x);
		x->at = at;
		x->cap *= 2;
	}
	x->at[x->count] = *n;
	return x->count++;
}

static bool is_known(struct mw_exprs *x, uint32_t expr)
{
	if (expr < x->count)
		return true;
	refuse(x, MW_INVALID, "an expression refers to one that does not exist");
	return false;
}

static uint8_t deeper(const struct mw_exprs *x, uint32_t of, uint8_t than)
{
	uint8_t depth = (uint8_t)(x->at[of].depth + 1);
	return depth > than ? depth : than;
}

/* ---- paths: equal ones are one expression, so that each is followed once per event */

static uint32_t bucket_of(const struct mw_expr *n)
{
	uint32_t tag = n->kind == MW_EXPR_SCOPE ? n->scope : (uint32_t)n->index;
	return mw_path_bucket(n->a, n->kind == MW_EXPR_MEMBER ? n->tag : tag);
}

static bool is_same_path(const struct mw_expr *a, const struct mw_expr *b)
{
	if (a->kind != b->kind || a->a != b->a || a->scope != b->scope)
		return false;
	if (a->kind == MW_EXPR_ELEMENT)
		return a->index == b->index;
	if (a->kind == MW_EXPR_MEMBER)
		return mw_span_equal(a->name, b->name);
	return true;
}

static uint32_t add_path(struct mw_exprs *x, struct mw_expr *n)
{
	uint32_t *bucket = &x->buckets[bucket_of(n)];
	for (uint32_t i = *bucket; i != 0; i = x->at[i].chain) {
		if (is_same_path(&x->at[i], n))
			return i;
	}
	if (n->kind == MW_EXPR_MEMBER && !mw_arena_copy(&x->arena, n->name, &n->name))
		return no_memory(x);
	n->chain = *bucket;
	n->slot = x->paths;
	uint32_t expr = add(x, n);
	if (expr == 0)
		return 0;
	*bucket = expr;
	x->paths++;
	if (n->kind == MW_EXPR_MEMBER && x->at[n->a].fan == 0)
		x->at[n->a].fan = x->fans++;
	return expr;
}

static uint8_t scope_of(const struct mw_exprs *x, uint32_t of)
{
	return mw_expr_is_path(&x->at[of]) ? x->at[of].scope : (uint8_t)MW_SCOPES;
}

uint32_t mw_expr_scope(struct mw_exprs *x, enum mw_scope scope)
{
	struct mw_expr n = {.kind = MW_EXPR_SCOPE, .scope = (uint8_t)scope, .depth = 1};
	return add_path(x, &n);
}

uint32_t mw_expr_member(struct mw_exprs *x, uint32_t of, struct mw_span name)
{
	if (!is_known(x, of))
		return 0;
	struct mw_expr n = {.kind = MW_EXPR_MEMBER,
			    .a = of,
			    .scope = scope_of(x, of),
			    .depth = deeper(x, of, 0),
			    .tag = mw_json_tag(name.at, name.len),
			    .name = name};
	return add_path(x, &n);
}

uint32_t mw_expr_element(struct mw_exprs *x, uint32_t of, int64_t i)
{
	if (!is_known(x, of))
		return 0;
	struct mw_expr n = {.kind = MW_EXPR_ELEMENT,
			    .a = of,
			    .scope = scope_of(x, of),
			    .depth = deeper(x, of, 0),
			    .index = i};
	return add_path(x, &n);
}

uint32_t mw_expr_header(struct mw_exprs *x, struct mw_span name)
{
	struct mw_expr n = {.kind = MW_EXPR_HEADER, .depth = 1};
	if (!mw_arena_copy(&x->arena, name, &n.name))
		return no_memory(x);
	return add(x, &n);
}

/* ---- constants */

/* A copy with MW_WIDE readable bytes from any of its own on. */
static bool copy_wide(struct mw_exprs *x, struct mw_span s, struct mw_span *copy)
{
	uint8_t *at = mw_arena_take(&x->arena, s.len + MW_WIDE);
	if (!at)
		return false;
	memcpy(at, s.at, s.len);
	memset(at + s.len, 0, MW_WIDE);
	*copy = (struct mw_span){at, s.len};
	return true;
}

/* `json` has the constant's text and is given up. */
static uint32_t add_constant(struct mw_exprs *x, struct mw_value value, struct mw_buf *json, enum mw_err err)
{
	struct mw_constant *c = mw_arena_take(&x->arena, sizeof *c);
	uint32_t expr = 0;
	if (!err && c && copy_wide(x, mw_buf_span(json), &c->json)) {
		c->value = value;
		c->shape = mw_shape_of_json(c->json);
		if (value.kind == MW_VALUE_CHARS || value.kind == MW_VALUE_ESCAPED)
			c->value.text = (struct mw_span){c->json.at + 1, c->json.len - 2};
		else if (value.kind == MW_VALUE_JSON)
			c->value.text = c->json;
		struct mw_expr n = {.kind = MW_EXPR_CONSTANT, .depth = 1, .constant = c};
		expr = add(x, &n);
	} else if (err == MW_INVALID) {
		refuse(x, err, "a constant has no place in JSON: not UTF-8, not a number or infinite");
	} else {
		no_memory(x);
	}
	mw_buf_deinit(json);
	return expr;
}

uint32_t mw_expr_null(struct mw_exprs *x)
{
	struct mw_buf json;
	mw_buf_init(&json, POOL_TEXT_MAX);
	enum mw_err err = mw_buf_append_literal(&json, "null");
	return add_constant(x, (struct mw_value){.kind = MW_VALUE_JSON}, &json, err);
}

uint32_t mw_expr_bool(struct mw_exprs *x, bool value)
{
	struct mw_value v = {.kind = value ? MW_VALUE_TRUE : MW_VALUE_FALSE};
	struct mw_buf json;
	mw_buf_init(&json, POOL_TEXT_MAX);
	return add_constant(x, v, &json, mw_value_write(NULL, &v, &json));
}

uint32_t mw_expr_int(struct mw_exprs *x, int64_t value)
{
	struct mw_value v = {.kind = MW_VALUE_INT, .i = value};
	struct mw_buf json;
	mw_buf_init(&json, POOL_TEXT_MAX);
	return add_constant(x, v, &json, mw_value_write(NULL, &v, &json));
}

uint32_t mw_expr_double(struct mw_exprs *x, double value)
{
	struct mw_value v = {.kind = MW_VALUE_DOUBLE, .d = value};
	struct mw_buf json;
	mw_buf_init(&json, POOL_TEXT_MAX);
	return add_constant(x, v, &json, mw_value_write(NULL, &v, &json));
}

uint32_t mw_expr_string(struct mw_exprs *x, struct mw_span utf8)
{
	struct mw_buf json;
	mw_buf_init(&json, POOL_TEXT_MAX);
	enum mw_err err = mw_json_write_string(&json, utf8.at, utf8.len);
	/* No escape makes it longer by the two quotes alone. */
	struct mw_value v = {.kind = MW_VALUE_ESCAPED};
	if (!err && json.len == utf8.len + 2)
		v = (struct mw_value){.kind = MW_VALUE_CHARS, .clean = true};
	return add_constant(x, v, &json, err);
}

/* ---- operations */

uint32_t mw_expr_unary(struct mw_exprs *x, enum mw_op op, uint32_t a)
{
	if (op > MW_OP_SNAKE)
		return refuse(x, MW_INVALID, "not an operation on one value");
	if (!is_known(x, a))
		return 0;
	struct mw_expr n = {.kind = MW_EXPR_UNARY, .op = (uint8_t)op, .a = a, .depth = deeper(x, a, 0)};
	return add(x, &n);
}

static bool is_made_array(const struct mw_expr *n)
{
	return (n->kind == MW_EXPR_BINARY && n->op == MW_OP_MAP) ||
	       (n->kind == MW_EXPR_LIST && n->op == MW_OP_ARRAY);
}

static bool is_some_text(const struct mw_expr *n)
{
	return n->kind == MW_EXPR_CONSTANT && n->constant->json.at[0] == '"' && n->constant->json.len > 2;
}

/* The steps of a path into JSON: texts and whole numbers. */
static bool is_steps(const struct mw_exprs *x, const struct mw_expr *n)
{
	if (n->kind != MW_EXPR_LIST || n->op != MW_OP_ARRAY)
		return false;
	for (uint32_t i = 0; i < n->b; i++) {
		const struct mw_expr *step = &x->at[n->items[i]];
		if (step->kind != MW_EXPR_CONSTANT ||
		    (step->constant->json.at[0] != '"' && step->constant->value.kind != MW_VALUE_INT))
			return false;
	}
	return true;
}

uint32_t mw_expr_binary(struct mw_exprs *x, enum mw_op op, uint32_t a, uint32_t b)
{
	if (op < MW_OP_CONCAT || op > MW_OP_LOOKUP)
		return refuse(x, MW_INVALID, "not an operation on two values");
	if (!is_known(x, a) || !is_known(x, b))
		return 0;
	if ((op == MW_OP_MAP || op == MW_OP_FILTER || op == MW_OP_SUM) && is_made_array(&x->at[a]))
		return refuse(x, MW_INVALID,
			      "map, filter and sum take an array of the event; filter first, then map once");
	if ((op == MW_OP_LOOKUP || op == MW_OP_WITHOUT) && x->at[b].kind != MW_EXPR_OBJECT)
		return refuse(x, MW_INVALID, "lookup and without take a table");
	if ((op == MW_OP_BEFORE || op == MW_OP_AFTER || op == MW_OP_CONTAINS) && !is_some_text(&x->at[b]))
		return refuse(x, MW_INVALID, "before, after and contains take a text");
	if (op == MW_OP_JSON && !is_steps(x, &x->at[b]))
		return refuse(x, MW_INVALID, "json takes a path");
	struct mw_expr n = {.kind = MW_EXPR_BINARY,
			    .op = (uint8_t)op,
			    .a = a,
			    .b = b,
			    .depth = deeper(x, b, deeper(x, a, 0))};
	return add(x, &n);
}

uint32_t mw_expr_list(struct mw_exprs *x, enum mw_op op, const uint32_t *items, size_t n)
{
	if (op < MW_OP_ANY)
		return refuse(x, MW_INVALID, "not an operation on a list");
	if (n > MW_EXPR_MAX)
		return refuse(x, MW_INVALID, "the list is too long");
	uint8_t depth = 1;
	for (size_t i = 0; i < n; i++) {
		if (!is_known(x, items[i]))
			return 0;
		depth = deeper(x, items[i], depth);
	}
	struct mw_span copy;
	if (!mw_arena_copy(&x->arena, (struct mw_span){(const uint8_t *)items, n * sizeof *items}, &copy))
		return no_memory(x);
	struct mw_expr e = {.kind = MW_EXPR_LIST,
			    .op = (uint8_t)op,
			    .b = (uint32_t)n,
			    .depth = depth,
			    .items = (const uint32_t *)(const void *)copy.at};
	return add(x, &e);
}

uint32_t mw_expr_apply(struct mw_exprs *x, uint32_t a, int function)
{
	if (!is_known(x, a))
		return 0;
	struct mw_expr n = {.kind = MW_EXPR_APPLY, .a = a, .depth = deeper(x, a, 0), .function = function};
	return add(x, &n);
}

/* ---- objects */

static void set_value(const struct mw_exprs *x, struct mw_member *m, uint32_t value)
{
	const struct mw_expr *n = &x->at[value];
	m->value = value;
	m->slot = n->slot;
	m->scope = n->scope;
	m->is_watched = mw_shape_watches(m->name);
	bool is_plain = !m->is_watched && m->key.len <= MW_WIDE;
	m->is_field = is_plain && mw_expr_is_path(n);
	m->is_nested = is_plain && n->kind == MW_EXPR_OBJECT;
}

static bool member_init(struct mw_exprs *x, struct mw_member *m, struct mw_span name, uint32_t value)
{
	struct mw_buf key;
	mw_buf_init(&key, POOL_TEXT_MAX);
	enum mw_err err = mw_json_write_string(&key, name.at, name.len);
	if (!err)
		err = mw_buf_append_byte(&key, ':');
	if (err == MW_INVALID)
		refuse(x, err, "a field's name is not UTF-8");
	else if (err || !mw_arena_copy(&x->arena, name, &m->name) ||
		 !copy_wide(x, mw_buf_span(&key), &m->key))
		no_memory(x);
	if (x->error.code == MW_OK) {
		m->hash = mw_shape_key(key.data + 1, key.len - 3);
		set_value(x, m, value);
	}
	mw_buf_deinit(&key);
	return x->error.code == MW_OK;
}

uint32_t mw_expr_object(struct mw_exprs *x, const struct mw_span *names, const uint32_t *values, size_t n)
{
	if (n > MW_EXPR_MAX)
		return refuse(x, MW_INVALID, "the object has too many members");
	struct mw_member *members = mw_arena_take(&x->arena, sizeof *members * (n ? n : 1));
	if (!members)
		return no_memory(x);
	uint32_t count = 0;
	uint8_t depth = 1;
	for (size_t i = 0; i < n; i++) {
		if (!is_known(x, values[i]))
			return 0;
		depth = deeper(x, values[i], depth);
		uint32_t same = mw_member_find(members, count, names[i]);
		if (same < count)
			set_value(x, &members[same], values[i]);
		else if (!member_init(x, &members[count++], names[i], values[i]))
			return 0;
	}
	struct mw_expr e = {.kind = MW_EXPR_OBJECT, .b = count, .depth = depth, .members = members};
	return add(x, &e);
}

/* ---- places */

static const struct mw_span several_places = {(const uint8_t *)"", 0};

void mw_expr_place(struct mw_exprs *x, uint32_t expr, struct mw_span place)
{
	if (expr == 0 || !is_known(x, expr))
		return;
	struct mw_expr *n = &x->at[expr];
	if (mw_expr_is_path(n) && n->place) {
		if (!mw_span_equal(*n->place, place))
			n->place = &several_places;
		return;
	}
	struct mw_span *copy = mw_arena_take(&x->arena, sizeof *copy);
	if (!copy || !mw_arena_copy(&x->arena, place, copy))
		no_memory(x);
	else
		n->place = copy;
}
