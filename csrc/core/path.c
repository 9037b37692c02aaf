#include "expr_pool.h"

#include <stdlib.h>

struct mw_found {
	uint64_t serial; /* of the document it was found in */
	uint32_t base;   /* the node that the path started from */
	uint32_t node;
};

enum mw_err mw_memo_start(struct mw_memo *memo, const struct mw_exprs *x)
{
	memo->serial++;
	if (memo->cap >= x->paths)
		return MW_OK;
	struct mw_found *found = calloc(x->paths, sizeof *found);
	if (!found)
		return MW_NO_MEMORY;
	free(memo->found);
	memo->found = found;
	memo->cap = x->paths;
	return MW_OK;
}

void mw_memo_deinit(struct mw_memo *memo)
{
	free(memo->found);
	*memo = (struct mw_memo){0};
}

static uint32_t step(const struct mw_json *doc, const struct mw_expr *n, uint32_t from)
{
	uint32_t to = n->kind == MW_EXPR_MEMBER ? mw_json_member(doc, from, n->name.at, n->name.len, n->tag)
						: mw_json_element(doc, from, n->index);
	return to != 0 ? to : MW_NOWHERE;
}

static uint32_t pick(const struct mw_value *nodes, int64_t i)
{
	if (i < 0)
		i += nodes->count;
	return i >= 0 && i < nodes->count ? nodes->nodes[i] : MW_NOWHERE;
}

/* A step from what is no path itself: get "lines":first().price */
static enum mw_err find_in_made(struct mw_walk *w, const struct mw_expr *n, uint32_t *node)
{
	struct mw_value v;
	enum mw_err err = mw_walk_eval(w, n->a, &v);
	if (err)
		return err;
	*node = MW_NOWHERE;
	if (v.kind == MW_VALUE_NODE)
		*node = step(w->s->doc, n, v.node);
	else if (v.kind == MW_VALUE_NODES && n->kind == MW_EXPR_ELEMENT)
		*node = pick(&v, n->index);
	else if (v.kind == MW_VALUE_JSON)
		return mw_walk_fail(w, MW_MAPPING, "can't look into %s that the mapping made",
				    mw_value_kind_name(w->s->doc, &v));
	return MW_OK;
}

enum mw_err mw_path_find(struct mw_walk *w, uint32_t path, uint32_t *node)
{
	const struct mw_expr *n = &w->x->at[path];
	if (n->scope == MW_SCOPES)
		return find_in_made(w, n, node);
	uint32_t base = w->base[n->scope];
	if (n->kind == MW_EXPR_SCOPE) {
		*node = base;
		return MW_OK;
	}
	/* The serial tells documents apart, the base the events and items of one. */
	struct mw_memo *memo = w->s->memo;
	struct mw_found *found = &memo->found[n->slot];
	if (found->serial == memo->serial && found->base == base) {
		*node = found->node;
		return MW_OK;
	}
	uint32_t from;
	enum mw_err err = mw_path_find(w, n->a, &from);
	if (err)
		return err;
	*node = from == MW_NOWHERE ? MW_NOWHERE : step(w->s->doc, n, from);
	*found = (struct mw_found){memo->serial, base, *node};
	return MW_OK;
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
	if (v->kind != MW_VALUE_NODE || doc->nodes[v->node].type != MW_JSON_ARRAY)
		return false;
	all->left = doc->nodes[v->node].aux;
	all->next = v->node + 1;
	return true;
}
