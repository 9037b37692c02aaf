#include "operate.h"

#include "json_write.h"
#include "money.h"
#include "timestamp.h"

#include <math.h>

/* The characters of a string, number or boolean. */
static enum mw_err chars_of(struct mw_walk *w, enum mw_op op, const struct mw_value *v, struct mw_span *chars)
{
	if (!mw_value_is_scalar(v))
		return mw_operate_refuse(w, op, v);
	if (mw_value_chars(v, w->s->arena, chars))
		return MW_OK;
	if (v->kind == MW_VALUE_DOUBLE && !isfinite(v->d))
		return mw_walk_fail(w, MW_MAPPING, "the number is infinite or none");
	return mw_operate_full(w);
}

/* Whether text taken from `v` is known to be UTF-8 in which nothing needs an escape. */
static bool is_clean(const struct mw_value *v)
{
	return v->kind == MW_VALUE_CHARS ? v->clean : v->kind != MW_VALUE_ESCAPED;
}

static struct mw_value text_value(struct mw_span text, bool clean)
{
	return (struct mw_value){.kind = MW_VALUE_CHARS, .clean = clean, .text = text};
}

/* ---- text */

static uint8_t in_case(uint8_t c, bool upper)
{
	if (upper)
		return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static enum mw_err change_case(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			       struct mw_value *out)
{
	struct mw_span text;
	enum mw_err err = chars_of(w, op, a, &text);
	if (err)
		return err;
	uint8_t *to = mw_arena_take(w->s->arena, text.len);
	if (!to)
		return mw_operate_full(w);
	for (size_t i = 0; i < text.len; i++)
		to[i] = in_case(text.at[i], op == MW_OP_UPPER);
	*out = text_value((struct mw_span){to, text.len}, is_clean(a));
	return MW_OK;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum mw_err trim(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	struct mw_span text;
	enum mw_err err = chars_of(w, MW_OP_TRIM, a, &text);
	if (err)
		return err;
	while (text.len > 0 && is_space(text.at[text.len - 1]))
		text.len--;
	while (text.len > 0 && is_space(text.at[0])) {
		text.at++;
		text.len--;
	}
	*out = text_value(text, is_clean(a));
	if (text.len == 0)
		out->kind = MW_VALUE_ABSENT;
	return MW_OK;
}

static enum mw_err concat(struct mw_walk *w, const struct mw_value *a, const struct mw_value *b,
			  struct mw_value *out)
{
	struct mw_span left, right;
	enum mw_err err = chars_of(w, MW_OP_CONCAT, a, &left);
	if (!err)
		err = chars_of(w, MW_OP_CONCAT, b, &right);
	if (err)
		return err;
	struct mw_buf both = mw_arena_buf(w->s->arena, left.len + right.len);
	if (mw_buf_append_span(&both, left) || mw_buf_append_span(&both, right) || !both.data)
		return mw_operate_full(w);
	*out = text_value(mw_buf_span(&both), is_clean(a) && is_clean(b));
	return MW_OK;
}

/* What stands on one side of the first `mark`, or whether there is one; it is a constant, and never empty. */
static enum mw_err cut(struct mw_walk *w, enum mw_op op, const struct mw_value *a, const struct mw_value *b,
		       struct mw_value *out)
{
	struct mw_span text, mark;
	enum mw_err err = chars_of(w, op, a, &text);
	if (!err)
		err = chars_of(w, op, b, &mark);
	if (err)
		return err;
	const uint8_t *at = memmem(text.at, text.len, mark.at, mark.len);
	if (op == MW_OP_CONTAINS) {
		out->kind = at ? MW_VALUE_TRUE : MW_VALUE_FALSE;
		return MW_OK;
	}
	if (at && op == MW_OP_BEFORE)
		text.len = (size_t)(at - text.at);
	else if (at)
		text = (struct mw_span){at + mark.len, text.len - (size_t)(at - text.at) - mark.len};
	*out = text_value(text, is_clean(a));
	if (text.len == 0)
		out->kind = MW_VALUE_ABSENT;
	return MW_OK;
}

static enum mw_err hash(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	static const char hex_digits[] = "0123456789abcdef";
	struct mw_span text;
	enum mw_err err = chars_of(w, MW_OP_SHA256, a, &text);
	if (err)
		return err;
	uint8_t digest[32];
	uint8_t *hex = mw_arena_take(w->s->arena, 2 * sizeof digest);
	if (!hex)
		return mw_operate_full(w);
	w->s->host->sha256(text.at, text.len, digest);
	for (size_t i = 0; i < sizeof digest; i++) {
		hex[2 * i] = (uint8_t)hex_digits[digest[i] >> 4];
		hex[2 * i + 1] = (uint8_t)hex_digits[digest[i] & 15];
	}
	*out = text_value((struct mw_span){hex, 2 * sizeof digest}, true);
	return MW_OK;
}

static enum mw_err to_boolean(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0",
										    ""};
	struct mw_value number;
	struct mw_span text;
	if (a->kind == MW_VALUE_FALSE || a->kind == MW_VALUE_TRUE) {
		*out = *a;
		return MW_OK;
	}
	out->kind = MW_VALUE_ABSENT;
	if (a->kind != MW_VALUE_CHARS && a->kind != MW_VALUE_ESCAPED) {
		if (!mw_value_number(a, w->s->arena, &number))
			return mw_operate_refuse(w, MW_OP_BOOLEAN, a);
		bool is_zero = number.kind == MW_VALUE_INT ? number.i == 0 : fpclassify(number.d) == FP_ZERO;
		out->kind = is_zero ? MW_VALUE_FALSE : MW_VALUE_TRUE;
		return MW_OK;
	}
	enum mw_err err = chars_of(w, MW_OP_BOOLEAN, a, &text);
	if (err)
		return err;
	char lower[8] = "";
	if (text.len >= sizeof lower)
		return mw_operate_refuse(w, MW_OP_BOOLEAN, a);
	for (size_t i = 0; i < text.len; i++)
		lower[i] = (char)in_case(text.at[i], false);
	struct mw_span word = {(const uint8_t *)lower, text.len};
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (mw_span_is(word, yes[i]))
			out->kind = MW_VALUE_TRUE;
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		if (mw_span_is(word, no[i]))
			out->kind = MW_VALUE_FALSE;
	}
	return out->kind == MW_VALUE_ABSENT ? mw_operate_refuse(w, MW_OP_BOOLEAN, a) : MW_OK;
}

static bool is_empty_text(const struct mw_value *a)
{
	return a->kind == MW_VALUE_CHARS && a->text.len == 0;
}

/* ---- times */

enum mw_err mw_operate_time(struct mw_walk *w, const struct mw_value *a, int64_t *ms, bool *present)
{
	struct mw_value number;
	struct mw_span text;
	*present = !is_empty_text(a);
	if (!*present)
		return MW_OK;
	if (a->kind == MW_VALUE_CHARS || a->kind == MW_VALUE_ESCAPED) {
		enum mw_err err = chars_of(w, MW_OP_TIME, a, &text);
		if (err)
			return err;
		return mw_timestamp_parse(text, ms) ? MW_OK : mw_operate_refuse(w, MW_OP_TIME, a);
	}
	if (!mw_value_number(a, w->s->arena, &number))
		return mw_operate_refuse(w, MW_OP_TIME, a);
	double d = number.kind == MW_VALUE_INT ? (double)number.i : number.d;
	return mw_timestamp_from_number(d, ms) ? MW_OK : mw_operate_refuse(w, MW_OP_TIME, a);
}

static enum mw_err to_time(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	int64_t ms;
	bool present;
	enum mw_err err = mw_operate_time(w, a, &ms, &present);
	out->kind = MW_VALUE_ABSENT;
	if (err || !present)
		return err;
	char *text = mw_arena_take(w->s->arena, MW_TIMESTAMP_LEN);
	if (!text)
		return mw_operate_full(w);
	mw_timestamp_write(text, ms);
	*out = text_value((struct mw_span){(const uint8_t *)text, MW_TIMESTAMP_LEN}, true);
	return MW_OK;
}

/* ---- numbers */

static enum mw_err to_number(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	out->kind = MW_VALUE_ABSENT;
	if (is_empty_text(a))
		return MW_OK;
	/* A number as the event wrote it keeps its digits. */
	if (a->kind == MW_VALUE_NUMBER) {
		*out = *a;
		return MW_OK;
	}
	if (!mw_value_number(a, w->s->arena, out))
		return mw_operate_refuse(w, MW_OP_NUMBER, a);
	struct mw_span text;
	if (a->kind == MW_VALUE_CHARS || a->kind == MW_VALUE_ESCAPED) {
		enum mw_err err = chars_of(w, MW_OP_NUMBER, a, &text);
		*out = (struct mw_value){.kind = MW_VALUE_NUMBER, .text = text};
		return err;
	}
	return MW_OK;
}

/* False if the exact result does not fit. */
static bool exact(enum mw_op op, int64_t a, int64_t b, int64_t *out)
{
	if (op == MW_OP_ADD)
		return !__builtin_add_overflow(a, b, out);
	if (op == MW_OP_SUB)
		return !__builtin_sub_overflow(a, b, out);
	return !__builtin_mul_overflow(a, b, out);
}

static double as_double(const struct mw_value *number)
{
	return number->kind == MW_VALUE_INT ? (double)number->i : number->d;
}

static double inexact(enum mw_op op, double a, double b)
{
	switch (op) {
	case MW_OP_ADD:
		return a + b;
	case MW_OP_SUB:
		return a - b;
	case MW_OP_MUL:
		return a * b;
	default:
		return a / b;
	}
}

static enum mw_err arithmetic(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			      const struct mw_value *b, struct mw_value *out)
{
	struct mw_value x, y;
	if (!mw_value_number(a, w->s->arena, &x))
		return mw_operate_refuse(w, op, a);
	if (!mw_value_number(b, w->s->arena, &y))
		return mw_operate_refuse(w, op, b);
	if (op != MW_OP_DIV && x.kind == MW_VALUE_INT && y.kind == MW_VALUE_INT) {
		out->kind = MW_VALUE_INT;
		if (exact(op, x.i, y.i, &out->i))
			return MW_OK;
		return mw_walk_fail(w, MW_MAPPING, "the result does not fit into 64 bits");
	}
	if (op == MW_OP_DIV && fpclassify(as_double(&y)) == FP_ZERO)
		return mw_walk_fail(w, MW_MAPPING, "can't divide by zero");
	*out = (struct mw_value){.kind = MW_VALUE_DOUBLE, .d = inexact(op, as_double(&x), as_double(&y))};
	return isfinite(out->d) ? MW_OK : mw_walk_fail(w, MW_MAPPING, "the result is too large a number");
}

static enum mw_err money(struct mw_walk *w, const struct mw_value *a, const struct mw_value *b,
			 struct mw_value *out)
{
	static const double scale[] = {1, 10, 100, 1000, 10000};
	struct mw_value minor;
	int decimals = 2;
	out->kind = MW_VALUE_ABSENT;
	if (is_empty_text(a))
		return MW_OK;
	if (b->kind != MW_VALUE_ABSENT) {
		struct mw_span currency;
		if (b->kind != MW_VALUE_CHARS && b->kind != MW_VALUE_ESCAPED)
			return mw_walk_fail(w, MW_MAPPING, "the currency is %s, not a string",
					    mw_value_kind_name(w->s->doc, b));
		enum mw_err err = chars_of(w, MW_OP_MONEY, b, &currency);
		if (err)
			return err;
		decimals = mw_money_decimals(currency);
	}
	if (!mw_value_number(a, w->s->arena, &minor))
		return mw_operate_refuse(w, MW_OP_MONEY, a);
	if (minor.kind == MW_VALUE_DOUBLE) {
		*out = (struct mw_value){.kind = MW_VALUE_DOUBLE, .d = minor.d / scale[decimals]};
		return isfinite(out->d) ? MW_OK : mw_operate_refuse(w, MW_OP_MONEY, a);
	}
	char *text = mw_arena_take(w->s->arena, MW_MONEY_LEN_MAX);
	if (!text)
		return mw_operate_full(w);
	size_t len = mw_money_write(minor.i, decimals, text);
	*out = (struct mw_value){.kind = MW_VALUE_NUMBER, .text = {(const uint8_t *)text, len}};
	return MW_OK;
}

static bool is_number(const struct mw_value *v)
{
	return v->kind == MW_VALUE_INT || v->kind == MW_VALUE_DOUBLE || v->kind == MW_VALUE_NUMBER;
}

static bool is_same_number(const struct mw_value *x, const struct mw_value *y)
{
	if (x->kind == MW_VALUE_INT && y->kind == MW_VALUE_INT)
		return x->i == y->i;
	double a = as_double(x), b = as_double(y);
	return a <= b && a >= b;
}

static enum mw_err is_same(struct mw_walk *w, const struct mw_value *a, const struct mw_value *b,
			   struct mw_value *out)
{
	struct mw_value x, y;
	bool same;
	if ((is_number(a) || is_number(b)) && mw_value_number(a, w->s->arena, &x) &&
	    mw_value_number(b, w->s->arena, &y)) {
		same = is_same_number(&x, &y);
	} else {
		struct mw_span left, right;
		enum mw_err err = chars_of(w, MW_OP_IS, a, &left);
		if (!err)
			err = chars_of(w, MW_OP_IS, b, &right);
		if (err)
			return err;
		same = mw_span_equal(left, right);
	}
	*out = (struct mw_value){.kind = same ? MW_VALUE_TRUE : MW_VALUE_FALSE};
	return MW_OK;
}

static enum mw_err is_beyond(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			     const struct mw_value *b, struct mw_value *out)
{
	struct mw_value x, y;
	if (!mw_value_number(a, w->s->arena, &x))
		return mw_operate_refuse(w, op, a);
	if (!mw_value_number(b, w->s->arena, &y))
		return mw_operate_refuse(w, op, b);
	const struct mw_value *more = op == MW_OP_ABOVE ? &x : &y, *less = op == MW_OP_ABOVE ? &y : &x;
	bool is_int = x.kind == MW_VALUE_INT && y.kind == MW_VALUE_INT;
	bool is_more = is_int ? more->i > less->i : as_double(more) > as_double(less);
	*out = (struct mw_value){.kind = is_more ? MW_VALUE_TRUE : MW_VALUE_FALSE};
	return MW_OK;
}

/* ---- */

static enum mw_err end_of(struct mw_walk *w, enum mw_op op, const struct mw_value *a, struct mw_value *out)
{
	const struct mw_json *doc = w->s->doc;
	struct mw_elements all;
	uint32_t node = MW_NOWHERE;
	if (!mw_elements_of(doc, a, &all)) {
		*out = *a;
		return doc->takes_one_for_many || mw_value_is_scalar(a) ? MW_OK : mw_operate_refuse(w, op, a);
	}
	out->kind = MW_VALUE_ABSENT;
	if (all.left == 0)
		return MW_OK;
	if (op == MW_OP_FIRST)
		mw_elements_next(&all, &node);
	else
		node = all.nodes ? all.nodes[all.left - 1] : mw_json_element(doc, a->node, -1);
	*out = mw_value_of_node(doc, node);
	return MW_OK;
}

enum mw_err mw_operate_unary(struct mw_walk *w, enum mw_op op, const struct mw_value *a, struct mw_value *out)
{
	struct mw_span text;
	enum mw_err err;
	switch (op) {
	case MW_OP_LOWER:
	case MW_OP_UPPER:
		return change_case(w, op, a, out);
	case MW_OP_TRIM:
		return trim(w, a, out);
	case MW_OP_FIRST:
	case MW_OP_LAST:
		return end_of(w, op, a, out);
	case MW_OP_TIME:
		return to_time(w, a, out);
	case MW_OP_NUMBER:
		return to_number(w, a, out);
	case MW_OP_BOOLEAN:
		return to_boolean(w, a, out);
	case MW_OP_SHA256:
		return hash(w, a, out);
	case MW_OP_SNAKE:
		return mw_reshape_snake(w, a, out);
	default:
		break;
	}
	/* STRING. What is one already keeps its form. */
	if (a->kind == MW_VALUE_CHARS || a->kind == MW_VALUE_ESCAPED) {
		*out = *a;
		return MW_OK;
	}
	err = chars_of(w, MW_OP_STRING, a, &text);
	*out = text_value(text, true);
	return err;
}

enum mw_err mw_operate_binary(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			      const struct mw_value *b, struct mw_value *out)
{
	if (op == MW_OP_CONCAT)
		return concat(w, a, b, out);
	if (op == MW_OP_IS)
		return is_same(w, a, b, out);
	if (op == MW_OP_MONEY)
		return money(w, a, b, out);
	if (op == MW_OP_ABOVE || op == MW_OP_BELOW)
		return is_beyond(w, op, a, b, out);
	if (op == MW_OP_BEFORE || op == MW_OP_AFTER || op == MW_OP_CONTAINS)
		return cut(w, op, a, b, out);
	return arithmetic(w, op, a, b, out);
}
