/* Operations that go through the elements of an array: inside them paths start at the element. */
#include "operate.h"

#include <math.h>

enum mw_err mw_walk_step(struct mw_walk *w)
{
	if (++w->steps <= MW_EXPR_STEPS_MAX)
		return MW_OK;
	return mw_walk_fail(w, MW_MAPPING, "maps and filters visit more than %u elements", MW_EXPR_STEPS_MAX);
}

bool mw_elements_of(const struct mw_json *doc, const struct mw_value *v, struct mw_elements *all)
{
	*all = (struct mw_elements){.doc = doc};
	if (v->kind == MW_VALUE_NODES) {
		all->nodes = v->nodes;
		all->left = v->count;
		return true;
	}
	/* The one array that the mapping makes and that has no elements to look into: :default {} */
	if (v->kind == MW_VALUE_JSON)
		return mw_span_is(v->text, "[]");
	if (v->kind != MW_VALUE_NODE)
		return false;
	if (doc->nodes[v->node].type != MW_JSON_ARRAY) {
		all->left = doc->takes_one_for_many;
		all->next = v->node;
		return doc->takes_one_for_many;
	}
	all->left = doc->nodes[v->node].aux;
	all->next = v->node + 1;
	return true;
}

static bool is_plain_path(const struct mw_exprs *x, uint32_t expr)
{
	return mw_expr_is_path(&x->at[expr]) && x->at[expr].scope != MW_SCOPES;
}

enum mw_err mw_walk_elements(struct mw_walk *w, const struct mw_expr *n, struct mw_elements *all,
			     bool *present)
{
	struct mw_value v;
	enum mw_err err = mw_walk_eval(w, n->a, &v);
	*present = !err && v.kind != MW_VALUE_ABSENT;
	if (!*present || mw_elements_of(w->s->doc, &v, all))
		return err;
	if (mw_value_is_scalar(&v) && is_plain_path(w->x, n->a)) { /* an array of one */
		*all = (struct mw_elements){.doc = w->s->doc, .left = 1};
		return mw_path_find(w, n->a, &all->next);
	}
	return mw_operate_refuse(w, (enum mw_op)n->op, &v);
}

enum mw_err mw_array_filter(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	struct mw_elements all;
	bool present;
	enum mw_err err = mw_walk_elements(w, n, &all, &present);
	out->kind = MW_VALUE_ABSENT;
	if (err || !present)
		return err;
	uint32_t *picked = mw_arena_take(w->s->arena, all.left * sizeof *picked);
	if (!picked)
		return mw_operate_full(w);
	uint32_t count = 0, outer = w->base[MW_SCOPE_ITEM], node;
	while (!err && mw_elements_next(&all, &node)) {
		struct mw_value keep;
		w->base[MW_SCOPE_ITEM] = node;
		err = mw_walk_step(w);
		if (!err)
			err = mw_walk_eval(w, n->b, &keep);
		if (!err && mw_value_is_true(&keep))
			picked[count++] = node;
	}
	w->base[MW_SCOPE_ITEM] = outer;
	*out = (struct mw_value){.kind = MW_VALUE_NODES, .count = count, .nodes = picked};
	return err;
}

enum mw_err mw_array_end_of_map(struct mw_walk *w, enum mw_op op, const struct mw_expr *map,
				struct mw_value *out)
{
	struct mw_elements all;
	bool present;
	enum mw_err err = mw_walk_elements(w, map, &all, &present);
	out->kind = MW_VALUE_ABSENT;
	if (err || !present)
		return err;
	uint32_t outer = w->base[MW_SCOPE_ITEM], node;
	while (!err && mw_elements_next(&all, &node)) {
		struct mw_value made = {.kind = MW_VALUE_ABSENT};
		w->base[MW_SCOPE_ITEM] = node;
		err = mw_walk_step(w);
		if (!err)
			err = mw_walk_eval(w, map->b, &made);
		if (!err && made.kind != MW_VALUE_ABSENT)
			*out = made;
		if (op == MW_OP_FIRST && out->kind != MW_VALUE_ABSENT)
			break;
	}
	w->base[MW_SCOPE_ITEM] = outer;
	return err;
}

/* ---- sums */

/* Adding doubles shows when decimals are written: 0.1 and 0.2 are 0.30000000000000004. The nearest number of
 * as many decimals as the most exact of them had is what was meant. */
struct sum {
	int64_t whole;
	double d;
	int decimals;
	bool is_whole;
};

enum { DECIMALS_MAX = 9 };

/* How many digits stand behind the point of a number's text; more than DECIMALS_MAX if it has an exponent. */
static int decimals_of(struct mw_span text)
{
	int count = 0;
	bool behind = false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == 'e' || text.at[i] == 'E')
			return DECIMALS_MAX + 1;
		count += behind;
		behind = behind || text.at[i] == '.';
	}
	return count;
}

static enum mw_err add(struct mw_walk *w, struct sum *sum, const struct mw_value *v)
{
	struct mw_value number;
	struct mw_span text;
	if (!mw_value_number(v, w->s->arena, &number))
		return mw_operate_refuse(w, MW_OP_SUM, v);
	if (number.kind == MW_VALUE_INT) {
		sum->is_whole = sum->is_whole && !__builtin_add_overflow(sum->whole, number.i, &sum->whole);
		sum->d += (double)number.i;
		return MW_OK;
	}
	if (!mw_value_chars(v, w->s->arena, &text))
		return mw_operate_full(w);
	int decimals = decimals_of(text);
	sum->decimals = decimals > sum->decimals ? decimals : sum->decimals;
	sum->is_whole = false;
	sum->d += number.d;
	return MW_OK;
}

static enum mw_err total(struct mw_walk *w, const struct sum *sum, struct mw_value *out)
{
	if (sum->is_whole) {
		*out = (struct mw_value){.kind = MW_VALUE_INT, .i = sum->whole};
		return MW_OK;
	}
	double d = sum->d, scale = pow(10, sum->decimals);
	if (sum->decimals <= DECIMALS_MAX && fabs(d) * scale < 9007199254740992.0)
		d = round(d * scale) / scale;
	*out = (struct mw_value){.kind = MW_VALUE_DOUBLE, .d = d};
	return isfinite(d) ? MW_OK : mw_walk_fail(w, MW_MAPPING, "the result is too large a number");
}

enum mw_err mw_array_sum(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out)
{
	struct mw_elements all;
	struct sum sum = {.is_whole = true};
	bool present;
	enum mw_err err = mw_walk_elements(w, n, &all, &present);
	out->kind = MW_VALUE_ABSENT;
	if (err || !present)
		return err;
	uint32_t outer = w->base[MW_SCOPE_ITEM], node;
	while (!err && mw_elements_next(&all, &node)) {
		struct mw_value v = {.kind = MW_VALUE_ABSENT};
		w->base[MW_SCOPE_ITEM] = node;
		err = mw_walk_step(w);
		if (!err)
			err = mw_walk_eval(w, n->b, &v);
		if (!err && v.kind != MW_VALUE_ABSENT)
			err = add(w, &sum, &v);
	}
	w->base[MW_SCOPE_ITEM] = outer;
	return err ? err : total(w, &sum, out);
}
