#include "expr_pool.h"
#include "operate.h"
#include "timestamp.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- errors: what first, then the innermost place in front of it */

enum mw_err mw_walk_fail(struct mw_walk *w, enum mw_err err, const char *format, ...)
{
	if (!w->e)
		return err;
	*w->e = (struct mw_error){.code = err};
	va_list args;
	va_start(args, format);
	vsnprintf(w->e->detail, sizeof w->e->detail, format, args);
	va_end(args);
	return err;
}

static void prefix(struct mw_error *e, struct mw_span text)
{
	char what[sizeof e->detail];
	memcpy(what, e->detail, sizeof what);
	int room = (int)sizeof e->detail - (int)sizeof ": ";
	int len = text.len < (size_t)room / 2 ? (int)text.len : room / 2;
	snprintf(e->detail, sizeof e->detail, "%.*s: %.*s", len, (const char *)text.at, room - len, what);
}

enum mw_err mw_walk_place(struct mw_walk *w, const struct mw_span *place, enum mw_err err)
{
	if (err && w->e && !w->placed && place && place->len > 0) {
		prefix(w->e, *place);
		w->placed = true;
	}
	return err;
}

/* For the members of an object that have no place of their own; the object's comes in front. */
enum mw_err mw_walk_name(struct mw_walk *w, struct mw_span name, enum mw_err err)
{
	if (err && w->e && !w->placed)
		prefix(w->e, name);
	return err;
}

static enum mw_err finish(struct mw_walk *w, enum mw_err err)
{
	const struct mw_scene *s = w->s;
	if (!err || w->placed || !w->e)
		return err;
	if (s->field)
		prefix(w->e, (struct mw_span){(const uint8_t *)s->field, strlen(s->field)});
	return mw_walk_place(w, &s->place, err);
}

static struct mw_walk start(const struct mw_exprs *x, const struct mw_scene *s, struct mw_error *e)
{
	return (struct mw_walk){.x = x, .s = s, .e = e, .base = {s->base[0], s->base[1], s->base[2]}};
}

/* ---- the kinds of expressions */

static enum mw_err eval_path(struct mw_walk *w, uint32_t expr, struct mw_value *out)
{
	uint32_t node;
	enum mw_err err = mw_path_find(w, expr, &node);
	if (err || node == MW_NOWHERE)
		out->kind = MW_VALUE_ABSENT;
	else
		*out = mw_value_of_node(w->s->doc, node);
	return err;
}

static bool is_same_header(struct mw_span a, struct mw_span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		uint8_t x = a.at[i], y = b.at[i];
		if (x != y && ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z'))
			return false;
	}
	return true;
}

static void eval_header(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	out->kind = MW_VALUE_ABSENT;
	for (size_t i = 0; i < w->s->header_count; i++) {
		const struct mw_header *h = &w->s->headers[i];
		if (is_same_header(h->name, n->name)) {
			*out = (struct mw_value){.kind = MW_VALUE_CHARS, .text = h->value};
			return;
		}
	}
}

static enum mw_err eval_unary(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	enum mw_op op = (enum mw_op)n->op;
	if (op == MW_OP_FIRST || op == MW_OP_LAST) {
		const struct mw_expr *of = &w->x->at[n->a];
		if (of->kind == MW_EXPR_BINARY && of->op == MW_OP_MAP)
			return mw_array_end_of_map(w, op, of, out);
	}
	struct mw_value a;
	enum mw_err err = mw_walk_eval(w, n->a, &a);
	if (err || a.kind == MW_VALUE_ABSENT) {
		out->kind = MW_VALUE_ABSENT;
		return err;
	}
	return mw_operate_unary(w, op, &a, out);
}

static enum mw_err look_up(struct mw_walk *w, const struct mw_expr *n, const struct mw_value *a,
			   struct mw_value *out)
{
	struct mw_span text;
	if (!mw_value_is_scalar(a))
		return mw_operate_refuse(w, MW_OP_LOOKUP, a);
	if (!mw_value_chars(a, w->s->arena, &text))
		return mw_operate_full(w);
	const struct mw_expr *table = &w->x->at[n->b];
	uint32_t i = mw_member_find(table->members, table->b, text);
	if (i < table->b)
		return mw_walk_eval(w, table->members[i].value, out);
	out->kind = MW_VALUE_ABSENT;
	return MW_OK;
}

/* An object, array or map as a value: written out, since nothing of the event has its shape. */
static enum mw_err make(struct mw_walk *w, uint32_t expr, struct mw_value *out)
{
	struct mw_buf json;
	bool present;
	mw_buf_init(&json, w->s->arena->max);
	enum mw_err err = mw_walk_write(w, expr, &json, &present);
	out->kind = MW_VALUE_ABSENT;
	if (!err && present) {
		struct mw_span text;
		if (mw_arena_copy(w->s->arena, mw_buf_span(&json), &text))
			*out = (struct mw_value){.kind = MW_VALUE_JSON, .text = text};
		else
			err = mw_operate_full(w);
	}
	mw_buf_deinit(&json);
	return err;
}

/* The same as one of the list's values that are there. */
static enum mw_err is_one_of(struct mw_walk *w, const struct mw_value *a, const struct mw_expr *list,
			     struct mw_value *out)
{
	enum mw_err err = MW_OK;
	out->kind = MW_VALUE_FALSE;
	for (uint32_t i = 0; i < list->b && !err && out->kind != MW_VALUE_TRUE; i++) {
		struct mw_value b;
		err = mw_walk_eval(w, list->items[i], &b);
		if (!err && b.kind != MW_VALUE_ABSENT)
			err = mw_operate_binary(w, MW_OP_IS, a, &b, out);
	}
	return err;
}

static enum mw_err eval_when(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	struct mw_value condition;
	enum mw_err err = mw_walk_eval(w, n->b, &condition);
	out->kind = MW_VALUE_ABSENT;
	return err || !mw_value_is_true(&condition) ? err : mw_walk_eval(w, n->a, out);
}

static enum mw_err eval_binary(struct mw_walk *w, uint32_t expr, const struct mw_expr *n,
			       struct mw_value *out)
{
	enum mw_op op = (enum mw_op)n->op;
	if (op == MW_OP_MAP)
		return make(w, expr, out);
	if (op == MW_OP_FILTER)
		return mw_array_filter(w, n, out);
	if (op == MW_OP_SUM)
		return mw_array_sum(w, n, out);
	if (op == MW_OP_WHEN)
		return eval_when(w, n, out);
	struct mw_value a, b;
	enum mw_err err = mw_walk_eval(w, n->a, &a);
	if (err)
		return err;
	if (op == MW_OP_DEFAULT && a.kind == MW_VALUE_ABSENT)
		return mw_walk_eval(w, n->b, out);
	if (op == MW_OP_DEFAULT || a.kind == MW_VALUE_ABSENT) {
		*out = a;
		return MW_OK;
	}
	const struct mw_expr *second = &w->x->at[n->b];
	if (op == MW_OP_LOOKUP)
		return look_up(w, n, &a, out);
	if (op == MW_OP_WITHOUT)
		return mw_reshape_without(w, &a, second, out);
	if (op == MW_OP_JSON)
		return mw_reshape_json(w, &a, second, out);
	if (op == MW_OP_IS && second->kind == MW_EXPR_LIST && second->op == MW_OP_ARRAY)
		return is_one_of(w, &a, second, out);
	err = mw_walk_eval(w, n->b, &b);
	if (err)
		return err;
	if (b.kind == MW_VALUE_ABSENT && op != MW_OP_MONEY) {
		out->kind = MW_VALUE_ABSENT;
		return MW_OK;
	}
	return mw_operate_binary(w, op, &a, &b, out);
}

static enum mw_err eval_any(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	out->kind = MW_VALUE_ABSENT;
	for (uint32_t i = 0; i < n->b; i++) {
		enum mw_err err = mw_walk_eval(w, n->items[i], out);
		if (err || out->kind != MW_VALUE_ABSENT)
			return err;
	}
	return MW_OK;
}

/* ALL: is none of them untrue? NONE: is none of them true? The first that is ends it. */
static enum mw_err eval_whether(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	enum mw_err err = MW_OK;
	bool wanted = n->op == MW_OP_ALL, holds = true;
	for (uint32_t i = 0; i < n->b && holds && !err; i++) {
		struct mw_value v;
		err = mw_walk_eval(w, n->items[i], &v);
		holds = !err && mw_value_is_true(&v) == wanted;
	}
	out->kind = holds ? MW_VALUE_TRUE : MW_VALUE_FALSE;
	return err;
}

static enum mw_err eval_list(struct mw_walk *w, uint32_t expr, const struct mw_expr *n, struct mw_value *out)
{
	if (n->op == MW_OP_ANY)
		return eval_any(w, n, out);
	return n->op == MW_OP_ARRAY ? make(w, expr, out) : eval_whether(w, n, out);
}

static enum mw_err eval_apply(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	const struct mw_scene *s = w->s;
	struct mw_value a;
	enum mw_err err = mw_walk_eval(w, n->a, &a);
	out->kind = MW_VALUE_ABSENT;
	if (err || a.kind == MW_VALUE_ABSENT)
		return err;
	return s->host->apply(s->host->context, n->function, s->doc, &a, s->arena, out, w->e);
}

enum mw_err mw_walk_eval(struct mw_walk *w, uint32_t expr, struct mw_value *out)
{
	const struct mw_expr *n = &w->x->at[expr];
	enum mw_err err = MW_OK;
	switch ((enum mw_expr_kind)n->kind) {
	case MW_EXPR_NONE:
		out->kind = MW_VALUE_ABSENT;
		break;
	case MW_EXPR_SCOPE:
	case MW_EXPR_MEMBER:
	case MW_EXPR_ELEMENT:
		err = eval_path(w, expr, out);
		break;
	case MW_EXPR_HEADER:
		eval_header(w, n, out);
		break;
	case MW_EXPR_CONSTANT:
		*out = n->constant->value;
		break;
	case MW_EXPR_UNARY:
		err = eval_unary(w, n, out);
		break;
	case MW_EXPR_BINARY:
		err = eval_binary(w, expr, n, out);
		break;
	case MW_EXPR_LIST:
		err = eval_list(w, expr, n, out);
		break;
	case MW_EXPR_APPLY:
		err = eval_apply(w, n, out);
		break;
	case MW_EXPR_OBJECT:
		err = make(w, expr, out);
		break;
	}
	return err ? mw_walk_place(w, n->place, err) : MW_OK;
}

/* ---- for the mapper */

enum mw_err mw_expr_eval(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			 struct mw_value *out, struct mw_error *e)
{
	struct mw_walk w = start(x, s, e);
	return finish(&w, mw_walk_eval(&w, expr, out));
}

static enum mw_err eval_id(struct mw_walk *w, uint32_t expr, struct mw_value *out)
{
	const struct mw_expr *n = &w->x->at[expr];
	enum mw_err err = MW_OK;
	if (n->kind == MW_EXPR_LIST && n->op == MW_OP_ANY) {
		out->kind = MW_VALUE_ABSENT;
		for (uint32_t i = 0; i < n->b && !err && out->kind == MW_VALUE_ABSENT; i++)
			err = eval_id(w, n->items[i], out);
		return mw_walk_place(w, n->place, err);
	}
	if (n->kind == MW_EXPR_BINARY && n->op == MW_OP_DEFAULT) {
		err = eval_id(w, n->a, out);
		if (!err && out->kind == MW_VALUE_ABSENT)
			err = eval_id(w, n->b, out);
		return mw_walk_place(w, n->place, err);
	}
	err = mw_expr_is_path(n) ? eval_path(w, expr, out) : mw_walk_eval(w, expr, out);
	if (err)
		return err;
	switch (out->kind) {
	case MW_VALUE_CHARS:
		if (out->text.len == 0)
			out->kind = MW_VALUE_ABSENT;
		return MW_OK;
	case MW_VALUE_ABSENT:
	case MW_VALUE_ESCAPED:
	case MW_VALUE_INT:
	case MW_VALUE_DOUBLE:
	case MW_VALUE_NUMBER:
		return MW_OK;
	default:
		break;
	}
	err = mw_walk_fail(w, MW_MAPPING, "must be a string or a number, not %s",
			   mw_value_kind_name(w->s->doc, out));
	return mw_walk_place(w, n->place, err);
}

enum mw_err mw_expr_eval_id(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			    struct mw_value *out, struct mw_error *e)
{
	struct mw_walk w = start(x, s, e);
	uint32_t node;
	/* Nearly always: a path to a string. */
	if (mw_expr_is_path(&x->at[expr]) && mw_path_find(&w, expr, &node) == MW_OK && node != MW_NOWHERE) {
		const struct mw_json_node *n = &s->doc->nodes[node];
		if (n->type == MW_JSON_STRING && !(n->flags & MW_JSON_ESCAPED) && n->len > 0) {
			*out = (struct mw_value){
			    .kind = MW_VALUE_CHARS, .clean = true, .text = {s->doc->text + n->at, n->len}};
			return MW_OK;
		}
	}
	return finish(&w, eval_id(&w, expr, out));
}

enum mw_err mw_expr_eval_time(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			      struct mw_expr_time *time, struct mw_error *e)
{
	struct mw_walk w = start(x, s, e);
	struct mw_value v;
	enum mw_err err = mw_walk_eval(&w, expr, &v);
	*time = (struct mw_expr_time){.present = !err && v.kind != MW_VALUE_ABSENT};
	if (time->present && v.kind == MW_VALUE_CHARS && mw_timestamp_is_written(v.text))
		time->written = v.text;
	else if (time->present)
		err =
		    mw_walk_place(&w, x->at[expr].place, mw_operate_time(&w, &v, &time->ms, &time->present));
	return finish(&w, err);
}

enum mw_err mw_expr_write(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			  struct mw_buf *out, bool *present, struct mw_error *e)
{
	struct mw_walk w = start(x, s, e);
	return finish(&w, mw_walk_write(&w, expr, out, present));
}

enum mw_err mw_expr_write_members(const struct mw_exprs *x, uint32_t object, const struct mw_scene *s,
				  struct mw_buf *out, uint64_t *shape, struct mw_error *e)
{
	struct mw_walk w = start(x, s, e);
	return finish(&w, mw_walk_write_members(&w, object, out, shape));
}
