#include "expr_pool.h"

#include <stdlib.h>

/* Following a path to `message.id` walks the members of `message` once and notes all those of which the
 * source has a path, `message.subject` among them; what is asked for next is there already. And since
 * events of one kind have the same members in the same order, the walk remembers what it met at each place:
 * an object like the last one costs one comparison a member, whatever the number of paths.
 */

struct mw_found {
	uint64_t serial; /* of the document it was found in */
	uint32_t base;   /* the node that the path started from */
	uint32_t node;
};

enum { SHAPE = 32, NO_TAG = -1 };

struct mw_fan {
	uint64_t serial;
	uint32_t object; /* whose members are noted */
	bool by_search;  /* some of its names have escapes: its members are looked up one by one */
	struct {
		uint32_t tag;   /* of the name that was here */
		uint32_t child; /* the path to it; 0: no path has a name of that tag */
	} shape[SHAPE];
};

static bool reserve(struct mw_memo *memo, const struct mw_exprs *x)
{
	if (memo->found_cap < x->paths) {
		struct mw_found *found = calloc(x->paths, sizeof *found);
		if (!found)
			return false;
		free(memo->found);
		memo->found = found;
		memo->found_cap = x->paths;
	}
	if (memo->fans_cap < x->fans) {
		struct mw_fan *fans = calloc(x->fans, sizeof *fans);
		if (!fans)
			return false;
		free(memo->fans);
		memo->fans = fans;
		memo->fans_cap = x->fans;
	}
	return true;
}

enum mw_err mw_memo_start(struct mw_memo *memo, const struct mw_exprs *x)
{
	memo->serial++;
	if (memo->pool == x->number && memo->found_cap >= x->paths && memo->fans_cap >= x->fans)
		return MW_OK;
	memo->pool = 0;
	if (!reserve(memo, x))
		return MW_NO_MEMORY;
	for (uint32_t i = 0; i < memo->fans_cap; i++) {
		for (int k = 0; k < SHAPE; k++)
			memo->fans[i].shape[k].tag = (uint32_t)NO_TAG;
	}
	memo->pool = x->number;
	return MW_OK;
}

void mw_memo_deinit(struct mw_memo *memo)
{
	free(memo->found);
	free(memo->fans);
	*memo = (struct mw_memo){0};
}

/* Tag and length agree already; up to 3 bytes, that is all there is to compare. */
static inline bool is_same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (len > 16)
		return memcmp(a, b, len) == 0;
	if (len >= 8)
		return memcmp(a, b, 8) == 0 && memcmp(a + len - 8, b + len - 8, 8) == 0;
	if (len >= 4)
		return memcmp(a, b, 4) == 0 && memcmp(a + len - 4, b + len - 4, 4) == 0;
	return true;
}

/* The path to the member of that key, 0 if there is none; *has_tag: a path has a name of the same tag. */
static uint32_t child_of(const struct mw_exprs *x, uint32_t of, const struct mw_json_node *key,
			 const uint8_t *name, bool *has_tag)
{
	*has_tag = false;
	for (uint32_t i = x->buckets[mw_path_bucket(of, key->aux)]; i != 0; i = x->at[i].chain) {
		const struct mw_expr *n = &x->at[i];
		if (n->kind != MW_EXPR_MEMBER || n->a != of || n->tag != key->aux)
			continue;
		*has_tag = true;
		if (n->name.len == key->len && is_same_name(n->name.at, name, key->len))
			return i;
	}
	return 0;
}

/* Note where the members of `object` are that paths go to from path `of`. */
static void note_members(struct mw_walk *w, uint32_t of, uint32_t object)
{
	const struct mw_exprs *x = w->x;
	const struct mw_json *doc = w->s->doc;
	struct mw_memo *memo = w->s->memo;
	struct mw_fan *fan = &memo->fans[x->at[of].fan];
	uint32_t base = w->base[x->at[of].scope];
	fan->serial = memo->serial;
	fan->object = object;
	fan->by_search = false;
	if (doc->nodes[object].type != MW_JSON_OBJECT)
		return;
	uint32_t end = doc->nodes[object].next, place = 0;
	for (uint32_t at = object + 1; at < end; at = mw_json_after(doc, at + 1), place++) {
		const struct mw_json_node *key = &doc->nodes[at];
		const uint8_t *name = doc->text + key->at;
		uint32_t child = fan->shape[place % SHAPE].child;
		if (key->flags & MW_JSON_ESCAPED) {
			fan->by_search = true;
			return;
		}
		if (fan->shape[place % SHAPE].tag != key->aux ||
		    (child != 0 && (x->at[child].name.len != key->len ||
				    !is_same_name(x->at[child].name.at, name, key->len)))) {
			bool has_tag;
			child = child_of(x, of, key, name, &has_tag);
			if (child != 0 || !has_tag) {
				fan->shape[place % SHAPE].tag = key->aux;
				fan->shape[place % SHAPE].child = child;
			}
		}
		/* Of two members with one name the later one stays. */
		if (child != 0)
			memo->found[x->at[child].slot] = (struct mw_found){memo->serial, base, at + 1};
	}
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
	*node = MW_NOWHERE;
	if (from != MW_NOWHERE && n->kind == MW_EXPR_ELEMENT) {
		*node = step(w->s->doc, n, from);
	} else if (from != MW_NOWHERE) {
		struct mw_fan *fan = &memo->fans[w->x->at[n->a].fan];
		if (fan->serial != memo->serial || fan->object != from)
			note_members(w, n->a, from);
		if (fan->by_search)
			*node = step(w->s->doc, n, from);
		else if (found->serial == memo->serial && found->base == base)
			*node = found->node;
	}
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
