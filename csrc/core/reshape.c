/* Objects made of objects of the event, with fewer members or other names; and what stands in JSON that
 * stands in a text. Whatever they give is finished JSON or plain text, so that it needs no document behind
 * it.
 */
#include "json_write.h"
#include "operate.h"

#include <stdlib.h>

/* ---- what is read: a node of the event, or JSON that was made, which is read once more */

struct origin {
	const struct mw_json *doc;
	uint32_t node;
	struct mw_json own;
};

static enum mw_err open_origin(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			       struct origin *from)
{
	mw_json_init(&from->own);
	*from = (struct origin){.doc = w->s->doc, .node = a->node, .own = from->own};
	if (a->kind == MW_VALUE_JSON) {
		if (mw_json_read(&from->own, a->text.at, a->text.len, NULL))
			return mw_operate_full(w);
		from->doc = &from->own;
		from->node = 0;
	} else if (a->kind != MW_VALUE_NODE) {
		return mw_operate_refuse(w, op, a);
	}
	return from->doc->nodes[from->node].type == MW_JSON_OBJECT ? MW_OK : mw_operate_refuse(w, op, a);
}

/* The buffer's text as the value, if all went well; the buffer and the document are given up. */
static enum mw_err close_origin(struct mw_walk *w, struct origin *from, enum mw_err err, struct mw_buf *json,
				struct mw_value *out)
{
	struct mw_span text;
	mw_json_deinit(&from->own);
	out->kind = MW_VALUE_ABSENT;
	if (!err && json->len > 2) { /* what ends up as {} is left out, like any object */
		if (mw_arena_copy(w->s->arena, mw_buf_span(json), &text))
			*out = (struct mw_value){.kind = MW_VALUE_JSON, .text = text};
		else
			err = mw_operate_full(w);
	}
	mw_buf_deinit(json);
	return err;
}

/* ---- names */

/* What a member is to be called. Of several that come to have one name the last counts. */
struct name {
	struct mw_span text;
	uint32_t key;
	bool is_last;
};

static int by_text(const void *a, const void *b)
{
	const struct name *x = *(struct name *const *)a, *y = *(struct name *const *)b;
	size_t len = x->text.len < y->text.len ? x->text.len : y->text.len;
	int order = len > 0 ? memcmp(x->text.at, y->text.at, len) : 0;
	if (order == 0)
		order = (x->text.len > y->text.len) - (x->text.len < y->text.len);
	return order != 0 ? order : (x->key > y->key) - (x->key < y->key);
}

static bool is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_word(uint8_t c)
{
	return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* Does a word begin at i? userId, HTTPServer: at the I, at the S. */
static bool begins_word(struct mw_span name, size_t i)
{
	if (i == 0 || !is_upper(name.at[i]))
		return false;
	uint8_t before = name.at[i - 1];
	if (!is_upper(before))
		return is_word(before);
	return i + 1 < name.len && name.at[i + 1] >= 'a' && name.at[i + 1] <= 'z';
}

/* userId, User-Id, user id, UserID__c: user_id, user_id, user_id, user_id_c. A name of which nothing is left
 * stays. */
static bool snake(struct mw_arena *arena, struct mw_span *name)
{
	uint8_t *start = mw_arena_take(arena, 2 * name->len + 1), *to = start;
	bool pending = false;
	if (!start)
		return false;
	for (size_t i = 0; i < name->len; i++) {
		uint8_t c = name->at[i];
		if (!is_word(c)) {
			pending = true;
			continue;
		}
		if (to > start && (pending || begins_word(*name, i)))
			*to++ = '_';
		pending = false;
		*to++ = is_upper(c) ? (uint8_t)(c | 0x20) : c;
	}
	if (to > start)
		*name = (struct mw_span){start, (size_t)(to - start)};
	return true;
}

/* The name that the member at `key` is to have. */
static enum mw_err name_of(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t key,
			   struct mw_span *name)
{
	*name = mw_json_raw(doc, key);
	if (doc->nodes[key].flags & MW_JSON_ESCAPED) {
		struct mw_buf b = mw_arena_buf(w->s->arena, name->len);
		if (mw_json_unescape(doc, key, &b))
			return mw_operate_full(w);
		*name = mw_buf_span(&b);
	}
	return op != MW_OP_SNAKE || snake(w->s->arena, name) ? MW_OK : mw_operate_full(w);
}

/* The names of an object's members in their order, in the arena. */
static enum mw_err collect_names(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t object,
				 struct name **names, uint32_t *count)
{
	uint32_t end = mw_json_after(doc, object), n = 0;
	for (uint32_t key = object + 1; key < end; key = mw_json_after(doc, key + 1))
		n++;
	struct name *all = mw_arena_take(w->s->arena, (n + 1) * sizeof *all);
	struct name **sorted = mw_arena_take(w->s->arena, (n + 1) * sizeof(struct name *));
	if (!all || !sorted)
		return mw_operate_full(w);
	uint32_t key = object + 1;
	for (uint32_t i = 0; i < n; i++, key = mw_json_after(doc, key + 1)) {
		all[i] = (struct name){.key = key};
		sorted[i] = &all[i];
		enum mw_err err = name_of(w, op, doc, key, &all[i].text);
		if (err)
			return err;
	}
	qsort(sorted, n, sizeof *sorted, by_text);
	for (uint32_t i = 0; i < n; i++) {
		const struct name *next = i + 1 < n ? sorted[i + 1] : NULL;
		sorted[i]->is_last = !next || !mw_span_equal(next->text, sorted[i]->text);
	}
	*names = all;
	*count = n;
	return MW_OK;
}

/* ---- writing */

static enum mw_err write_value(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t node,
			       struct mw_buf *out);

static bool has_member(const struct mw_expr *table, struct mw_span name)
{
	return table && mw_member_find(table->members, table->b, name) < table->b;
}

static enum mw_err room(struct mw_walk *w, enum mw_err err)
{
	return err ? mw_operate_full(w) : MW_OK;
}

static enum mw_err write_members(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t object,
				 const struct mw_expr *without, struct mw_buf *out)
{
	struct name *names = NULL;
	uint32_t count = 0;
	enum mw_err err = collect_names(w, op, doc, object, &names, &count);
	if (!err)
		err = room(w, mw_buf_append_byte(out, '{'));
	size_t start = out->len;
	for (uint32_t i = 0; i < count && !err; i++) {
		struct mw_span name = names[i].text;
		if (!names[i].is_last || has_member(without, name))
			continue;
		if (out->len > start)
			err = room(w, mw_buf_append_byte(out, ','));
		if (!err)
			err = room(w, mw_json_write_string(out, name.at, name.len));
		if (!err)
			err = room(w, mw_buf_append_byte(out, ':'));
		if (!err)
			err = write_value(w, op, doc, names[i].key + 1, out);
	}
	return err ? err : room(w, mw_buf_append_byte(out, '}'));
}

static enum mw_err write_elements(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t array,
				  struct mw_buf *out)
{
	enum mw_err err = room(w, mw_buf_append_byte(out, '['));
	uint32_t end = mw_json_after(doc, array);
	for (uint32_t node = array + 1; node < end && !err; node = mw_json_after(doc, node)) {
		if (node > array + 1)
			err = room(w, mw_buf_append_byte(out, ','));
		if (!err)
			err = write_value(w, op, doc, node, out);
	}
	return err ? err : room(w, mw_buf_append_byte(out, ']'));
}

/* As deep as the reader goes, and no deeper. */
static enum mw_err write_value(struct mw_walk *w, enum mw_op op, const struct mw_json *doc, uint32_t node,
			       struct mw_buf *out)
{
	if (op == MW_OP_SNAKE && doc->nodes[node].type == MW_JSON_OBJECT)
		return write_members(w, op, doc, node, NULL, out);
	if (op == MW_OP_SNAKE && doc->nodes[node].type == MW_JSON_ARRAY)
		return write_elements(w, op, doc, node, out);
	return room(w, mw_value_write_node(doc, node, out));
}

static enum mw_err rewrite(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			   const struct mw_expr *without, struct mw_value *out)
{
	struct mw_buf json;
	struct origin from;
	mw_buf_init(&json, w->s->arena->max);
	enum mw_err err = open_origin(w, op, a, &from);
	if (!err)
		err = write_members(w, op, from.doc, from.node, without, &json);
	return close_origin(w, &from, err, &json, out);
}

enum mw_err mw_reshape_snake(struct mw_walk *w, const struct mw_value *a, struct mw_value *out)
{
	return rewrite(w, MW_OP_SNAKE, a, NULL, out);
}

enum mw_err mw_reshape_without(struct mw_walk *w, const struct mw_value *a, const struct mw_expr *table,
			       struct mw_value *out)
{
	return rewrite(w, MW_OP_WITHOUT, a, table, out);
}

/* ---- JSON in a text */

static bool is_blank(struct mw_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] != ' ' && (text.at[i] < '\t' || text.at[i] > '\r'))
			return false;
	}
	return true;
}

/* Where the steps lead from the root; false if nowhere. */
static bool follow(struct mw_walk *w, const struct mw_json *doc, const struct mw_expr *steps, uint32_t *node)
{
	*node = 0;
	for (uint32_t i = 0; i < steps->b; i++) {
		const struct mw_value *step = &w->x->at[steps->items[i]].constant->value;
		struct mw_span name;
		if (step->kind == MW_VALUE_INT)
			*node = mw_json_element(doc, *node, step->i);
		else if (mw_value_chars(step, w->s->arena, &name))
			*node = mw_json_member(doc, *node, name.at, name.len, mw_json_tag(name.at, name.len));
		else
			return false;
		if (*node == 0)
			return false;
	}
	return true;
}

/* The node as a value that outlives its document: text and numbers point into the text, which stays. */
static enum mw_err detach(struct mw_walk *w, const struct mw_json *doc, uint32_t node, struct mw_value *out)
{
	*out = mw_value_of_node(doc, node);
	if (out->kind != MW_VALUE_NODE)
		return MW_OK;
	struct mw_buf b = mw_arena_buf(w->s->arena, mw_json_raw(doc, node).len);
	if (mw_value_write_node(doc, node, &b))
		return mw_operate_full(w);
	*out = (struct mw_value){.kind = MW_VALUE_JSON, .text = mw_buf_span(&b)};
	return MW_OK;
}

enum mw_err mw_reshape_json(struct mw_walk *w, const struct mw_value *a, const struct mw_expr *steps,
			    struct mw_value *out)
{
	struct mw_json doc;
	struct mw_span text;
	uint32_t node;
	out->kind = MW_VALUE_ABSENT;
	if (a->kind != MW_VALUE_CHARS && a->kind != MW_VALUE_ESCAPED)
		return mw_operate_refuse(w, MW_OP_JSON, a);
	if (!mw_value_chars(a, w->s->arena, &text))
		return mw_operate_full(w);
	if (is_blank(text))
		return MW_OK;
	mw_json_init(&doc);
	enum mw_err err = mw_json_read(&doc, text.at, text.len, NULL);
	if (err == MW_NO_MEMORY)
		err = mw_operate_full(w);
	else if (err)
		err = mw_operate_refuse(w, MW_OP_JSON, a);
	else if (follow(w, &doc, steps, &node))
		err = detach(w, &doc, node, out);
	mw_json_deinit(&doc);
	return err;
}
