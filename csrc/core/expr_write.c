#include "expr_pool.h"
#include "operate.h"
#include "shape.h"

static enum mw_err out_of_room(struct mw_walk *w, enum mw_err err, const struct mw_buf *out)
{
	if (err == MW_TOO_LARGE)
		return mw_walk_fail(w, err, "more than %zu bytes; Segment takes %d", out->max,
				    MW_MESSAGE_MAX);
	return mw_walk_fail(w, err, "%s", "");
}

static enum mw_err write_value(struct mw_walk *w, const struct mw_value *v, struct mw_buf *out)
{
	enum mw_err err = mw_value_write(w->s->doc, v, out);
	if (err == MW_INVALID)
		return mw_walk_fail(w, MW_MAPPING, "%s",
				    v->kind == MW_VALUE_DOUBLE ? "the number is infinite or none"
							       : "the text is not UTF-8");
	return err ? out_of_room(w, err, out) : MW_OK;
}

static enum mw_err put(struct mw_walk *w, struct mw_span text, struct mw_buf *out)
{
	enum mw_err err = mw_buf_append_span(out, text);
	return err ? out_of_room(w, err, out) : MW_OK;
}

/* `to` has room for MW_WIDE bytes; `from` as many to be read, if `is_wide`. */
static inline uint8_t *copy(uint8_t *to, struct mw_span from, bool is_wide)
{
	if (is_wide && from.len <= MW_WIDE)
		memcpy(to, from.at, MW_WIDE);
	else
		memcpy(to, from.at, from.len);
	return to + from.len;
}

/* A key and what is ready-made behind it. */
static inline enum mw_err put_pair(struct mw_walk *w, struct mw_span key, struct mw_span json, bool is_wide,
				   struct mw_buf *out)
{
	enum mw_err err = mw_buf_reserve(out, key.len + json.len + 2 * MW_WIDE);
	if (err)
		return out_of_room(w, err, out);
	uint8_t *at = copy(out->data + out->len, key, true);
	at = copy(at, json, is_wide);
	out->len = (size_t)(at - out->data);
	return MW_OK;
}

/* The node's bytes in the event, quotes and all; false for what is written otherwise. */
static inline bool is_ready(const uint8_t *text, const struct mw_json_node *n, struct mw_span *json)
{
	size_t quote = n->type == MW_JSON_STRING;
	*json = (struct mw_span){text + n->at - quote, n->len + 2 * quote};
	return n->type >= MW_JSON_FALSE && n->type <= MW_JSON_STRING;
}

static enum mw_err write_object_members(struct mw_walk *w, const struct mw_expr *object, struct mw_buf *out);

/* A nested object; one that ends up empty is left out. */
static enum mw_err write_nested(struct mw_walk *w, const struct mw_member *m, const struct mw_expr *n,
				struct mw_buf *out)
{
	size_t mark = out->len;
	uint64_t shape = w->shape;
	enum mw_err err = put_pair(w, m->key, MW_SPAN("{"), false, out);
	size_t start = out->len;
	w->shape = 0;
	if (!err)
		err = write_object_members(w, n, out);
	if (!err && out->len > start) {
		err = put(w, MW_SPAN("}"), out);
		w->shape = shape + mw_shape_member(m->hash, mw_shape_end(w->shape));
		if (!err)
			return MW_OK;
	}
	out->len = mark;
	w->shape = shape;
	return err ? mw_walk_name(w, m->name, mw_walk_place(w, n->place, err)) : MW_OK;
}

/* Is it the text that members are held against? Its first character decides nearly always. */
static inline bool is_echo(const struct mw_scene *s, struct mw_span json)
{
	return s->echo.at && json.at[1] == s->echo.at[0] && json.len == s->echo.len + 2 &&
	       json.at[0] == '"' && memcmp(json.at + 1, s->echo.at, s->echo.len) == 0;
}

static uint64_t shape_of(const struct mw_scene *s, struct mw_span json)
{
	if (json.len > 1 && is_echo(s, json))
		return MW_CLASS_ECHO;
	if (json.at[0] == '"')
		return mw_class_of_text((struct mw_span){json.at + 1, json.len - 2});
	return mw_shape_of_json(json);
}

static enum mw_err write_made(struct mw_walk *w, const struct mw_member *m, struct mw_buf *out)
{
	size_t mark = out->len;
	uint64_t shape = w->shape;
	bool present = false;
	enum mw_err err = put(w, m->key, out);
	if (!err)
		err = mw_walk_write(w, m->value, out, &present);
	w->shape = shape;
	if (err || !present) {
		out->len = mark;
		return mw_walk_name(w, m->name, err);
	}
	struct mw_span json = {out->data + mark + m->key.len, out->len - mark - m->key.len};
	if (w->s->counts_shapes)
		w->shape += mw_shape_member(m->hash, shape_of(w->s, json));
	return MW_OK;
}

/* The class of what is_ready. */
static inline uint64_t class_of(const struct mw_scene *s, const struct mw_json_node *n, struct mw_span json)
{
	if (n->type == MW_JSON_STRING && is_echo(s, json))
		return MW_CLASS_ECHO;
	if (n->type == MW_JSON_STRING)
		return mw_class_of_text((struct mw_span){json.at + 1, n->len});
	if (n->type == MW_JSON_NUMBER)
		return n->flags & MW_JSON_INTEGER ? MW_CLASS_INTEGER : mw_class_of_fraction(json);
	return n->type == MW_JSON_TRUE ? MW_CLASS_TRUE : MW_CLASS_FALSE;
}

static inline enum mw_err write_field(struct mw_walk *w, const struct mw_member *m, struct mw_buf *out)
{
	const struct mw_expr *n = &w->x->at[m->value];
	const struct mw_json *doc = w->s->doc;
	struct mw_span json;
	uint32_t node;
	if (n->kind == MW_EXPR_CONSTANT) {
		bool echoes = n->constant->json.len > 1 && is_echo(w->s, n->constant->json);
		w->shape += mw_shape_member(m->hash, echoes ? (uint64_t)MW_CLASS_ECHO : n->constant->shape);
		return put_pair(w, m->key, n->constant->json, true, out);
	}
	if (n->kind == MW_EXPR_OBJECT)
		return write_nested(w, m, n, out);
	if (!mw_expr_is_path(n))
		return write_made(w, m, out);
	uint64_t shape = w->shape;
	enum mw_err err = mw_path_find(w, m->value, &node);
	w->shape = shape; /* a path may start from what is made first */
	if (err)
		return mw_walk_name(w, m->name, mw_walk_place(w, n->place, err));
	if (node == MW_NOWHERE || doc->nodes[node].type == MW_JSON_NULL)
		return MW_OK;
	if (!is_ready(doc->text, &doc->nodes[node], &json))
		return write_made(w, m, out);
	w->shape += mw_shape_member(m->hash, class_of(w->s, &doc->nodes[node], json));
	return put_pair(w, m->key, json, doc->text + doc->len - json.at >= MW_WIDE, out);
}

/* One whose value itself counts for the shape. */
__attribute__((noinline)) static enum mw_err write_watched(struct mw_walk *w, const struct mw_member *m,
							   struct mw_buf *out)
{
	size_t mark = out->len;
	uint64_t shape = w->shape;
	enum mw_err err = write_field(w, m, out);
	if (err || out->len == mark || !w->s->counts_shapes)
		return err;
	struct mw_span json = {out->data + mark + m->key.len, out->len - mark - m->key.len};
	w->shape = shape + mw_shape_member(m->hash, mw_shape_watched(shape_of(w->s, json), json));
	return MW_OK;
}

/* Out of line, or the loop over members would run short of registers. */
__attribute__((noinline)) static enum mw_err write_member(struct mw_walk *w, const struct mw_member *m,
							  struct mw_buf *out)
{
	size_t mark = out->len;
	enum mw_err err = m->is_watched ? write_watched(w, m, out) : write_field(w, m, out);
	return err || out->len == mark ? err : put(w, MW_SPAN(","), out);
}

/* What the loops over fields have at hand. */
struct copying {
	const struct mw_scene *s;
	const uint32_t *base;
	const struct mw_json_node *nodes;
	const uint8_t *text, *text_end;
	const struct mw_found *found;
	uint64_t serial;
	uint64_t shape;
	uint8_t *at, *limit;
};

/* Fields as they stand in the event are copies of their bytes. Stops at the first member that is no such
 * field, or was not found yet. */
static inline const struct mw_member *copy_fields(struct copying *c, const struct mw_member *m,
						  const struct mw_member *end)
{
	for (; m < end && m->is_field; m++) {
		const struct mw_found *here = &c->found[m->slot];
		struct mw_span json;
		if (here->serial != c->serial || here->base != c->base[m->scope])
			break;
		if (here->node == MW_NOWHERE || c->nodes[here->node].type == MW_JSON_NULL)
			continue;
		const struct mw_json_node *node = &c->nodes[here->node];
		if (!is_ready(c->text, node, &json) || (size_t)(c->limit - c->at) < json.len + 3 * MW_WIDE)
			break;
		memcpy(c->at, m->key.at, MW_WIDE);
		c->at = copy(c->at + m->key.len, json, c->text_end - json.at >= MW_WIDE);
		*c->at++ = ',';
		if (c->s->counts_shapes)
			c->shape += mw_shape_member(m->hash, class_of(c->s, node, json));
	}
	return m;
}

/* An object of such fields; false, and nothing written, if there are others in it. */
static inline bool copy_nested(struct copying *c, const struct mw_member *m, const struct mw_expr *object)
{
	uint8_t *mark = c->at, *inside = mark + m->key.len + 1;
	uint64_t shape = c->shape;
	const struct mw_member *end = object->members + object->b;
	if (c->limit - mark < 3 * MW_WIDE)
		return false;
	memcpy(mark, m->key.at, MW_WIDE);
	inside[-1] = '{';
	c->at = inside;
	c->shape = 0;
	bool all = copy_fields(c, object->members, end) == end;
	if (!all || c->at == inside) {
		c->at = mark;
		c->shape = shape;
		return all;
	}
	c->at[-1] = '}';
	*c->at++ = ',';
	c->shape = shape + mw_shape_member(m->hash, mw_shape_end(c->shape));
	return true;
}

/* The common case. Stops at the first member that is neither a field nor an object of fields. */
__attribute__((noinline)) static const struct mw_member *
copy_members(struct mw_walk *w, const struct mw_member *m, const struct mw_member *end, struct mw_buf *out)
{
	const struct mw_scene *s = w->s;
	const struct mw_json *doc = s->doc;
	struct copying c = {.s = s,
			    .base = w->base,
			    .nodes = doc->nodes,
			    .text = doc->text,
			    .text_end = doc->text + doc->len,
			    .found = s->memo->found,
			    .serial = s->memo->serial,
			    .shape = w->shape,
			    .at = out->data + out->len,
			    .limit = out->data + out->cap};
	while ((m = copy_fields(&c, m, end)) < end && m->is_nested && copy_nested(&c, m, &w->x->at[m->value]))
		m++;
	w->shape = c.shape;
	out->len = (size_t)(c.at - out->data);
	return m;
}

/* Each member with a comma behind it; that of the last one is taken away again. */
static enum mw_err write_object_members(struct mw_walk *w, const struct mw_expr *object, struct mw_buf *out)
{
	size_t start = out->len;
	const struct mw_member *m = object->members, *end = m + object->b;
	while ((m = copy_members(w, m, end, out)) < end) {
		enum mw_err err = write_member(w, m++, out);
		if (err) {
			out->len = start;
			return err;
		}
	}
	out->len -= out->len > start;
	return MW_OK;
}

/* Nested objects that end up empty are left out. */
static enum mw_err write_object(struct mw_walk *w, const struct mw_expr *n, struct mw_buf *out, bool *present)
{
	size_t mark = out->len;
	enum mw_err err = put(w, MW_SPAN("{"), out);
	if (!err)
		err = write_object_members(w, n, out);
	*present = !err && out->len > mark + 1;
	if (*present)
		err = put(w, MW_SPAN("}"), out);
	if (err || !*present)
		out->len = mark;
	return err;
}

/* One element behind the others of an array that began at `start`. */
static enum mw_err write_element(struct mw_walk *w, uint32_t expr, size_t start, struct mw_buf *out)
{
	size_t mark = out->len;
	bool present = false;
	enum mw_err err = out->len == start ? MW_OK : put(w, MW_SPAN(","), out);
	if (!err)
		err = mw_walk_write(w, expr, out, &present);
	if (err || !present)
		out->len = mark;
	return err;
}

static enum mw_err write_map(struct mw_walk *w, const struct mw_expr *n, struct mw_buf *out, bool *present)
{
	struct mw_elements all;
	enum mw_err err = mw_walk_elements(w, n, &all, present);
	if (err || !*present)
		return err;
	size_t mark = out->len;
	uint32_t outer = w->base[MW_SCOPE_ITEM], node;
	err = put(w, MW_SPAN("["), out);
	while (!err && mw_elements_next(&all, &node)) {
		w->base[MW_SCOPE_ITEM] = node;
		err = mw_walk_step(w);
		if (!err)
			err = write_element(w, n->b, mark + 1, out);
	}
	w->base[MW_SCOPE_ITEM] = outer;
	if (!err)
		err = put(w, MW_SPAN("]"), out);
	if (err)
		out->len = mark;
	return err;
}

static enum mw_err write_array(struct mw_walk *w, const struct mw_expr *n, struct mw_buf *out)
{
	size_t mark = out->len;
	enum mw_err err = put(w, MW_SPAN("["), out);
	for (uint32_t i = 0; i < n->b && !err; i++)
		err = write_element(w, n->items[i], mark + 1, out);
	if (!err)
		err = put(w, MW_SPAN("]"), out);
	if (err)
		out->len = mark;
	return err;
}

static enum mw_err write_any(struct mw_walk *w, const struct mw_expr *n, struct mw_buf *out, bool *present)
{
	*present = false;
	for (uint32_t i = 0; i < n->b; i++) {
		enum mw_err err = mw_walk_write(w, n->items[i], out, present);
		if (err || *present)
			return err;
	}
	return MW_OK;
}

static enum mw_err write_default(struct mw_walk *w, const struct mw_expr *n, struct mw_buf *out,
				 bool *present)
{
	enum mw_err err = mw_walk_write(w, n->a, out, present);
	return err || *present ? err : mw_walk_write(w, n->b, out, present);
}

static enum mw_err write_other(struct mw_walk *w, uint32_t expr, struct mw_buf *out, bool *present)
{
	struct mw_value v;
	enum mw_err err = mw_walk_eval(w, expr, &v);
	*present = !err && v.kind != MW_VALUE_ABSENT;
	return *present ? write_value(w, &v, out) : err;
}

enum mw_err mw_walk_write(struct mw_walk *w, uint32_t expr, struct mw_buf *out, bool *present)
{
	const struct mw_expr *n = &w->x->at[expr];
	enum mw_err err;
	*present = true;
	if (n->kind == MW_EXPR_OBJECT)
		err = write_object(w, n, out, present);
	else if (n->kind == MW_EXPR_BINARY && n->op == MW_OP_MAP)
		err = write_map(w, n, out, present);
	else if (n->kind == MW_EXPR_BINARY && n->op == MW_OP_DEFAULT)
		err = write_default(w, n, out, present);
	else if (n->kind == MW_EXPR_LIST && n->op == MW_OP_ANY)
		err = write_any(w, n, out, present);
	else if (n->kind == MW_EXPR_LIST && n->op == MW_OP_ARRAY)
		err = write_array(w, n, out);
	else
		err = write_other(w, expr, out, present);
	return err ? mw_walk_place(w, n->place, err) : MW_OK;
}

enum mw_err mw_walk_write_members(struct mw_walk *w, uint32_t expr, struct mw_buf *out, uint64_t *shape)
{
	const struct mw_expr *n = &w->x->at[expr];
	size_t mark = out->len;
	bool counts = w->s->counts_shapes;
	*shape = counts ? MW_CLASS_ABSENT : 0;
	if (n->kind == MW_EXPR_OBJECT) {
		w->shape = 0;
		enum mw_err err = mw_walk_place(w, n->place, write_object_members(w, n, out));
		if (counts && out->len > mark)
			*shape = mw_shape_end(w->shape);
		return err;
	}
	/* Any other expression is written whole, and its braces taken off again. */
	bool present;
	enum mw_err err = mw_walk_write(w, expr, out, &present);
	if (err || !present)
		return err;
	if (out->data[mark] != '{') {
		out->len = mark;
		return mw_walk_place(w, n->place, mw_walk_fail(w, MW_MAPPING, "must be an object"));
	}
	struct mw_span inside = {out->data + mark + 1, out->len - mark - 2};
	while (inside.len > 0 && strchr(" \t\r\n", inside.at[inside.len - 1]))
		inside.len--;
	memmove(out->data + mark, inside.at, inside.len);
	out->len = mark + inside.len;
	if (counts)
		*shape = mw_shape_of_json((struct mw_span){out->data + mark, inside.len});
	return MW_OK;
}
