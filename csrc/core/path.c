#include "memo.h"

/* Following a path to `message.id` walks the members of `message` once and notes all those of which the
 * source has a path, `message.subject` among them; what is asked for next is there already. And since
 * events of one kind have the same members in the same order, the walk remembers what it met at each place:
 * an object like the last one costs one comparison a member, whatever the number of paths.
 */

/* The path to the member of that name, 0 if there is none; *has_tag: a path has a name of the same tag. */
static uint32_t child_of(const struct mw_exprs *x, uint32_t of, uint32_t tag, struct mw_span name,
			 bool *has_tag)
{
	*has_tag = false;
	for (uint32_t i = x->buckets[mw_path_bucket(of, tag)]; i != 0; i = x->at[i].chain) {
		const struct mw_expr *n = &x->at[i];
		if (n->kind != MW_EXPR_MEMBER || n->a != of || n->tag != tag)
			continue;
		*has_tag = true;
		if (mw_span_equal(n->name, name))
			return i;
	}
	return 0;
}

/* Type, flags and tag as they lie in memory, to be compared only; never 0 for a key. */
static inline uint32_t mark_of(const struct mw_json_node *key)
{
	uint32_t mark;
	_Static_assert(sizeof *key == 16, "the bit fields are the last four bytes");
	memcpy(&mark, (const uint8_t *)key + 12, sizeof mark);
	return mark;
}

/* Whether the key is what was at its place last time. */
static inline bool is_met(const struct mw_fan_place *at, const struct mw_json *doc,
			  const struct mw_json_node *key)
{
	if (at->mark != mark_of(key))
		return false;
	return at->slot == 0 || mw_met_name_is(&at->name, doc, key);
}

static struct mw_met_name met_name(struct mw_span name)
{
	uint8_t first[8] = {0}, last[8] = {0}, mask[8] = {0};
	size_t len = name.len < 8 ? name.len : 8;
	memcpy(first, name.at, len);
	memcpy(last, name.at + name.len - len, len);
	memset(mask, 0xFF, len);
	return (struct mw_met_name){.len = (uint32_t)name.len,
				    .last = (uint32_t)(name.len - len),
				    .mask = mw_scan_load(mask),
				    .first_bytes = mw_scan_load(first),
				    .last_bytes = mw_scan_load(last),
				    .at = name.at};
}

/* Another key than last time at this place. Out of line, or the walk would run short of registers. */
__attribute__((noinline)) static enum mw_err meet(struct mw_walk *w, uint32_t of, uint32_t key,
						  struct mw_fan_place *at)
{
	const struct mw_json_node *node = &w->s->doc->nodes[key];
	struct mw_span name = mw_json_raw(w->s->doc, key);
	uint32_t tag = node->aux;
	bool has_tag, is_escaped = node->flags & MW_JSON_ESCAPED;
	if (is_escaped) {
		struct mw_buf b = mw_arena_buf(w->s->arena, name.len);
		if (mw_json_unescape(w->s->doc, key, &b))
			return mw_walk_fail(w, MW_TOO_LARGE, "a member's name takes too much memory");
		name = mw_buf_span(&b);
		tag = mw_json_tag(name.at, name.len);
	}
	uint32_t child = child_of(w->x, of, tag, name, &has_tag);
	const struct mw_expr *n = &w->x->at[child];
	*at = (struct mw_fan_place){.mark = mark_of(node)};
	if (child != 0) {
		at->slot = n->slot + 1;
		at->name = met_name(n->name);
	}
	/* What is not told by tag and characters alone is looked at anew each time. */
	if (is_escaped || (child == 0 && has_tag))
		at->mark = 0;
	return MW_OK;
}

/* Note where the members of `object` are that paths go to from path `of`. */
static enum mw_err note_members(struct mw_walk *w, uint32_t of, uint32_t object)
{
	const struct mw_json_node *nodes = w->s->doc->nodes;
	struct mw_found *found = w->s->memo->found;
	struct mw_fan *fan = &w->s->memo->fans[w->x->at[of].fan];
	uint64_t serial = w->s->memo->serial;
	uint32_t base = w->base[w->x->at[of].scope], place = 0;
	fan->serial = serial;
	fan->object = object;
	if (nodes[object].type != MW_JSON_OBJECT)
		return MW_OK;
	const struct mw_json_node *end = nodes + nodes[object].next;
	for (const struct mw_json_node *key = nodes + object + 1; key < end; key = nodes + key[1].next) {
		struct mw_fan_place *at = &fan->places[place++ % MW_FAN_PLACES];
		if (!is_met(at, w->s->doc, key)) {
			enum mw_err err = meet(w, of, (uint32_t)(key - nodes), at);
			if (err) {
				fan->serial = 0;
				return err;
			}
		}
		if (at->mark == 0)
			mw_memo_forget(w->s->memo);
		if (at->slot == 0)
			continue;
		mw_memo_name(w->s->memo, (uint32_t)(key - nodes), &at->name);
		/* Of two members with one name the later one stays. */
		struct mw_found *here = &found[at->slot - 1];
		here->serial = serial;
		here->base = base;
		here->node = (uint32_t)(key - nodes) + 1;
	}
	return MW_OK;
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

enum mw_err mw_path_follow(struct mw_walk *w, uint32_t path, uint32_t *node)
{
	const struct mw_expr *n = &w->x->at[path];
	if (n->scope == MW_SCOPES)
		return find_in_made(w, n, node);
	uint32_t base = w->base[n->scope], from = base;
	if (n->kind == MW_EXPR_SCOPE) {
		*node = base;
		return MW_OK;
	}
	enum mw_err err = MW_OK;
	if (w->x->at[n->a].kind != MW_EXPR_SCOPE)
		err = mw_path_find(w, n->a, &from);
	struct mw_memo *memo = w->s->memo;
	struct mw_found *found = &memo->found[n->slot];
	struct mw_fan *fan = &memo->fans[w->x->at[n->a].fan];
	*node = MW_NOWHERE;
	if (!err && from != MW_NOWHERE && n->kind == MW_EXPR_ELEMENT) {
		*node = step(w->s->doc, n, from);
	} else if (!err && from != MW_NOWHERE) {
		if (fan->serial != memo->serial || fan->object != from)
			err = note_members(w, n->a, from);
		if (found->serial == memo->serial && found->base == base)
			*node = found->node;
	} else {
		/* What stands at `found` may be of another base, whose members are to be noted anew then. */
		fan->serial = 0;
	}
	if (!err)
		*found = (struct mw_found){memo->serial, base, *node};
	return err;
}
