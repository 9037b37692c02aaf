#include "mapping.h"

static enum mw_err keep_member(struct mw_mapper *p, uint32_t key, size_t start)
{
	const struct mw_json *doc = &p->context_doc;
	struct mw_span name = mw_json_raw(doc, key);
	if (doc->nodes[key].flags & MW_JSON_ESCAPED) {
		struct mw_buf b = mw_arena_buf(&p->arena, name.len);
		enum mw_err err = mw_json_unescape(doc, key, &b);
		if (err)
			return err;
		name = mw_buf_span(&b);
	}
	uint32_t last = mw_json_member(doc, 0, name.at, name.len, mw_json_tag(name.at, name.len));
	if (last != key + 1 || mw_message_is_stamp(name))
		return MW_OK;
	enum mw_err err = p->scratch.len > start ? mw_buf_append_byte(&p->scratch, ',') : MW_OK;
	if (!err)
		err = mw_value_write_node(doc, key, &p->scratch);
	if (!err)
		err = mw_buf_append_byte(&p->scratch, ':');
	return err ? err : mw_value_write_node(doc, key + 1, &p->scratch);
}

/* The members in p->context to the scratch: of those with one name the last, of the stamp's none. */
static enum mw_err keep_last(struct mw_mapper *p, struct mw_error *e)
{
	struct mw_json *doc = &p->context_doc;
	size_t start = p->scratch.len;
	if (p->context.len > MW_MESSAGE_MAX)
		return mw_mapping_fail(p, e, MW_TOO_LARGE, "context: larger than a message may be");
	enum mw_err err = mw_json_read(doc, p->context.data, p->context.len, NULL);
	if (err)
		return mw_mapping_fail(p, e, MW_MAPPING, "context: nested too deep, or not valid JSON");
	for (uint32_t key = 1; key < doc->count && !err; key = mw_json_after(doc, key + 1))
		err = keep_member(p, key, start);
	return err ? mw_mapping_fail(p, e, err, "context: no room for it") : MW_OK;
}

/* Source's and call's members, one after the other, in braces. */
static enum mw_err collect(struct mw_mapper *p, uint32_t call, struct mw_error *e)
{
	const struct mw_map *map = p->map;
	struct mw_buf *b = &p->context;
	mw_buf_clear(b);
	enum mw_err err = mw_buf_append_byte(b, '{');
	uint64_t shape; /* of what is gone through once more */
	if (!err && map->parts[MW_PART_CONTEXT])
		err = mw_expr_write_members(map->x, map->parts[MW_PART_CONTEXT], &p->scene, b, &shape, e);
	if (!err && call) {
		size_t before = b->len;
		err = before > 1 ? mw_buf_append_byte(b, ',') : MW_OK;
		size_t comma = b->len;
		if (!err)
			err = mw_expr_write_members(map->x, call, &p->scene, b, &shape, e);
		if (b->len == comma)
			b->len = before;
	}
	if (err)
		return err;
	err = mw_buf_append_byte(b, '}');
	return err ? mw_mapping_fail(p, e, err, "context: no room for it") : MW_OK;
}

enum mw_err mw_context_write(struct mw_mapper *p, const struct mw_entry_call *c, uint64_t *shape,
			     struct mw_error *e)
{
	p->scene.field = "context";
	*shape = 0;
	if (c->context_is_one)
		return c->context
			   ? mw_expr_write_members(p->map->x, c->context, &p->scene, &p->scratch, shape, e)
			   : MW_OK;
	enum mw_err err = collect(p, c->as_given.parts[MW_PART_CONTEXT], e);
	return err ? err : keep_last(p, e);
}

/* ---- what a function emits */

/* Once for all that it emits of one event. */
static enum mw_err know_source(struct mw_mapper *p, struct mw_error *e)
{
	if (p->context_known)
		return MW_OK;
	mw_buf_clear(&p->scratch);
	enum mw_err err = mw_context_write(p, &p->map->plain, &p->source_context_shape, e);
	if (err)
		return err;
	p->context_known = mw_arena_copy(&p->arena, mw_buf_span(&p->scratch), &p->source_context);
	return p->context_known
		   ? MW_OK
		   : mw_mapping_fail(p, e, MW_TOO_LARGE, "mapping this event takes too much memory");
}

/* Source's and message's members, one after the other, in braces. */
static enum mw_err join(struct mw_mapper *p, struct mw_span own)
{
	struct mw_buf *b = &p->context;
	mw_buf_clear(b);
	enum mw_err err = mw_buf_append_byte(b, '{');
	if (!err)
		err = mw_buf_append_span(b, p->source_context);
	if (!err && p->source_context.len > 0)
		err = mw_buf_append_byte(b, ',');
	if (!err)
		err = mw_buf_append_span(b, own);
	return err ? err : mw_buf_append_byte(b, '}');
}

enum mw_err mw_context_complete(struct mw_mapper *p, struct mw_message *m, struct mw_error *e)
{
	enum mw_err err = know_source(p, e);
	if (err)
		return err;
	if (m->context.len == 0) {
		m->context = p->source_context;
		m->context_shape = p->source_context_shape;
		return MW_OK;
	}
	if (join(p, m->context))
		return mw_mapping_fail(p, e, MW_TOO_LARGE, "context: no room for it");
	mw_buf_clear(&p->scratch);
	err = keep_last(p, e);
	m->context = mw_buf_span(&p->scratch);
	m->context_shape = 0;
	return err;
}
