#include "expr_pool.h"
#include "form.h"
#include "mapping.h"

#include <stdlib.h>

struct mw_mapper *mw_mapper_new(const struct mw_mapper_host *host)
{
	struct mw_mapper *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->host = *host;
	mw_outbox_init(&p->outbox, MW_QUEUE_DEFAULT);
	mw_json_init(&p->doc);
	mw_json_init(&p->context_doc);
	mw_arena_init(&p->arena, MW_ARENA_MAX);
	mw_arena_init(&p->body_arena, MW_ARENA_MAX);
	mw_buf_init(&p->form, MW_EVENT_MAX);
	mw_buf_init(&p->scratch, MW_SCRATCH_MAX);
	mw_buf_init(&p->message_id, MW_SCRATCH_MAX);
	mw_buf_init(&p->context, MW_SCRATCH_MAX);
	return p;
}

void mw_mapper_free(struct mw_mapper *p)
{
	if (!p)
		return;
	mw_outbox_deinit(&p->outbox);
	mw_json_deinit(&p->doc);
	mw_json_deinit(&p->context_doc);
	mw_memo_deinit(&p->memo);
	mw_arena_deinit(&p->arena);
	mw_arena_deinit(&p->body_arena);
	mw_buf_deinit(&p->form);
	mw_buf_deinit(&p->scratch);
	mw_buf_deinit(&p->message_id);
	mw_buf_deinit(&p->context);
	free(p);
}

struct mw_outbox *mw_mapper_outbox(struct mw_mapper *p)
{
	return &p->outbox;
}

/* ---- one event */

static void begin_event(struct mw_mapper *p, uint32_t node)
{
	mw_arena_clear(&p->arena);
	p->scene.base[MW_SCOPE_ITEM] = node;
	p->scene.base[MW_SCOPE_EVENT] = node;
	p->scene.arena = &p->arena;
	p->scene.place = (struct mw_span){NULL, 0};
	p->facts.known = 0;
	p->facts.parts = p->map->parts;
	p->facts.own = NULL;
	p->calls = 0;
	p->messages = 0;
	p->ignored = 0;
	p->context_known = false;
	p->integrations_known = false;
}

static enum mw_err event_name(struct mw_mapper *p, struct mw_span *name, struct mw_error *e)
{
	struct mw_value v;
	uint32_t expr = p->map->parts[MW_PART_EVENT];
	if (mw_expr_known_text(p->map->x, expr, &p->scene, name))
		return MW_OK;
	p->scene.field = "event";
	enum mw_err err = mw_expr_eval_id(p->map->x, expr, &p->scene, &v, e);
	if (err)
		return err;
	if (v.kind == MW_VALUE_ABSENT)
		return mw_mapping_fail(p, e, MW_NO_EVENT, mw_err_sentence(MW_NO_EVENT));
	if (!mw_value_chars(&v, &p->arena, name))
		return mw_mapping_fail(p, e, MW_TOO_LARGE, "event: its name takes too much memory");
	return MW_OK;
}

static enum mw_err find_entry(struct mw_mapper *p, const struct mw_entry **entry, struct mw_error *e)
{
	struct mw_span name;
	enum mw_err err = event_name(p, &name, e);
	if (err)
		return err;
	*entry = mw_map_entry(p->map, name);
	if (*entry)
		return MW_OK;
	*entry = mw_map_family(p->map, name);
	if (*entry)
		return MW_OK;
	p->tally->unmatched++;
	if (p->map->unmatched != MW_UNMATCHED_DEAD)
		return MW_OK;
	return mw_error_set(e, MW_UNMATCHED, 0, "the source has no entry for \"%.*s\"",
			    name.len < 100 ? (int)name.len : 100, (const char *)name.at);
}

/* "acme.lua:14: what" */
static bool has_place(const char *text)
{
	const char *line = text + strcspn(text, ":");
	size_t digits = *line ? strspn(line + 1, "0123456789") : 0;
	return digits > 0 && line[digits + 1] == ':';
}

/* A function's error names its line, unless what it raised was no text, or it ran out of stack or memory:
 * then that of the entry. */
static enum mw_err place_function(struct mw_mapper *p, enum mw_err err, struct mw_error *e)
{
	if (!err || !e->detail[0] || has_place(e->detail))
		return err;
	struct mw_error found = *e;
	return mw_mapping_fail(p, e, err, found.detail);
}

static enum mw_err run_entry(struct mw_mapper *p, const struct mw_entry *entry, struct mw_error *e)
{
	enum mw_err err = MW_OK;
	switch (entry->kind) {
	case MW_ENTRY_IGNORE:
		p->ignored++;
		break;
	case MW_ENTRY_CALLS:
		for (const struct mw_entry_call *c = entry->calls; c && !err; c = c->next)
			err = mw_compose_call(p, c, e);
		break;
	case MW_ENTRY_FUNCTION:
		p->scene.place = entry->place;
		err = p->host.entry(p->host.host.context, entry->function, p, &p->doc,
				    p->scene.base[MW_SCOPE_EVENT], e);
		err = place_function(p, err, e);
		break;
	}
	return err;
}

/* The account is for the report only: what is wrong with it is not said again. */
static struct mw_span account_of(struct mw_mapper *p)
{
	if (mw_facts_account(p, &p->facts, NULL) == MW_OK)
		return p->facts.account;
	return p->delivery->account;
}

/* Something is wrong with the whole body, or with the line. */
static void report_body(struct mw_mapper *p, uint64_t index, struct mw_span body, const struct mw_error *e)
{
	const struct mw_problem problem = {
	    .index = index,
	    .raw = body,
	    .account = p->delivery->account,
	    .body = {{NULL, 0}, body, {NULL, 0}},
	    .format = p->delivery->format == MW_FORMAT_NDJSON ? MW_FORMAT_JSON : p->delivery->format,
	    .error = e,
	};
	p->tally->failed++;
	p->host.problem(p->host.host.context, &problem);
}

/* Something is wrong with the event at `node`. */
static void report(struct mw_mapper *p, uint64_t index, struct mw_span body, uint32_t node,
		   const struct mw_error *e)
{
	struct mw_span own = mw_json_whole(&p->doc, node);
	bool is_form = p->delivery->format == MW_FORMAT_FORM;
	struct mw_problem problem = {
	    .index = index,
	    .raw = node == 0 || is_form ? body : own,
	    .account = account_of(p),
	    .body = {p->before, own, p->after},
	    /* JSON that was XML goes on being read as such. */
	    .format = p->delivery->format == MW_FORMAT_XML ? MW_FORMAT_XML : MW_FORMAT_JSON,
	    .error = e,
	};
	if (node == 0) {
		problem.body[1] = body;
		problem.format = is_form ? MW_FORMAT_FORM : problem.format;
	}
	p->tally->failed++;
	p->host.problem(p->host.host.context, &problem);
}

static void run_event(struct mw_mapper *p, struct mw_span body, uint32_t node, uint64_t index)
{
	struct mw_error e;
	const struct mw_entry *entry = NULL;
	struct mw_outbox_mark mark = mw_outbox_mark(&p->outbox);
	mw_error_clear(&e);
	begin_event(p, node);
	p->tally->events++;
	enum mw_err err = find_entry(p, &entry, &e);
	if (!err && entry)
		err = run_entry(p, entry, &e);
	if (!err) {
		p->tally->messages += p->messages;
		p->tally->ignored += p->ignored;
		return;
	}
	mw_outbox_rollback(&p->outbox, mark);
	e.code = err;
	report(p, index, body, node, &e);
}

/* ---- documents */

/* The number of the event behind this one: lines are counted elsewhere. */
static void count(const struct mw_mapper *p, uint64_t *index)
{
	*index += p->delivery->format != MW_FORMAT_NDJSON;
}

static void run_elements(struct mw_mapper *p, struct mw_span body, struct mw_elements *all, uint64_t *index)
{
	uint32_t node;
	while (mw_elements_next(all, &node)) {
		run_event(p, body, node, *index);
		count(p, index);
	}
}

/* What stands in `node` around `part`, or around its elements if it is an array, if that is worth keeping. */
static void note_surroundings(struct mw_mapper *p, uint32_t node, uint32_t part)
{
	struct mw_span outer = mw_json_whole(&p->doc, node), inner = mw_json_whole(&p->doc, part);
	if (p->doc.nodes[part].type == MW_JSON_ARRAY)
		inner = (struct mw_span){inner.at + 1, inner.len - 2};
	if (outer.len - inner.len > MW_SURROUNDINGS_MAX)
		return;
	p->before = (struct mw_span){outer.at, (size_t)(inner.at - outer.at)};
	p->after = (struct mw_span){inner.at + inner.len, outer.len - inner.len - p->before.len};
}

/* What `each` names in a value of the body, or that value itself if it names nothing. */
static void run_each(struct mw_mapper *p, struct mw_span body, uint32_t node, uint64_t *index)
{
	const struct mw_map *map = p->map;
	struct mw_value v = {.kind = MW_VALUE_ABSENT};
	struct mw_elements all;
	struct mw_error e;
	mw_error_clear(&e);
	if (map->parts[MW_PART_EACH] != 0) {
		begin_event(p, node);
		p->scene.arena = &p->body_arena;
		p->scene.field = "each";
		e.code = mw_expr_eval(map->x, map->parts[MW_PART_EACH], &p->scene, &v, &e);
	}
	if (!e.code && v.kind == MW_VALUE_NODE && v.node != node)
		note_surroundings(p, node, v.node);
	if (!e.code && mw_elements_of(&p->doc, &v, &all)) {
		run_elements(p, body, &all, index);
		p->before = p->after = (struct mw_span){NULL, 0};
		return;
	}
	if (!e.code && v.kind != MW_VALUE_ABSENT && v.kind != MW_VALUE_NODE)
		mw_error_set(&e, MW_MAPPING, 0, "each: must be an array of events, not %s",
			     mw_value_kind_name(&p->doc, &v));
	if (!e.code) {
		run_event(p, body, v.kind == MW_VALUE_NODE ? v.node : node, *index);
	} else {
		p->tally->events++;
		report(p, *index, body, node, &e);
	}
	p->before = p->after = (struct mw_span){NULL, 0};
	count(p, index);
}

/* "expected a value" -> "byte 15: expected a value": people count from one. */
static void say_where(struct mw_error *e)
{
	struct mw_error found = *e;
	mw_error_set(e, found.code, found.offset, "byte %zu: %.200s", found.offset + 1, found.detail);
}

/* One JSON text. A top-level array is split; `body` is what is reported of an event that can't be. */
static void run_document(struct mw_mapper *p, struct mw_span json, struct mw_span body, uint64_t index)
{
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err = MW_OK;
	mw_arena_clear(&p->body_arena);
	if (!mw_memo_read(&p->memo, p->map->x, &p->doc, json)) {
		err = mw_json_read(&p->doc, json.at, json.len, &e);
		if (!err)
			err = mw_memo_recall(&p->memo, p->map->x, &p->doc);
	}
	if (err) {
		p->tally->events++;
		e.code = err;
		if (e.detail[0] && (err == MW_JSON || e.offset > 0) && json.at == body.at)
			say_where(&e);
		report_body(p, index, body, &e);
		return;
	}
	p->scene.base[MW_SCOPE_BODY] = 0;
	if (p->map->parts[MW_PART_EACH] == 0 && p->doc.nodes[0].type != MW_JSON_ARRAY) {
		run_event(p, body, 0, index);
		return;
	}
	struct mw_value root = mw_value_of_node(&p->doc, 0);
	struct mw_elements all;
	if (p->map->parts[MW_PART_EACH] == 0) {
		mw_elements_of(&p->doc, &root, &all);
		run_elements(p, body, &all, &index);
		return;
	}
	uint32_t node;
	if (!mw_elements_of(&p->doc, &root, &all)) {
		run_each(p, body, 0, &index);
		return;
	}
	while (mw_elements_next(&all, &node))
		run_each(p, body, node, &index);
}

static bool is_blank(struct mw_span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r')
			return false;
	}
	return true;
}

static void run_lines(struct mw_mapper *p, struct mw_span body)
{
	const uint8_t *at = body.at, *end = at + body.len;
	for (uint64_t number = 1; at < end; number++) {
		const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
		struct mw_span line = {at, (size_t)((stop ? stop : end) - at)};
		if (!is_blank(line))
			run_document(p, line, line, number);
		at = stop ? stop + 1 : end;
	}
}

static bool is_xml(struct mw_span body)
{
	size_t i = body.len >= 3 && memcmp(body.at, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	while (i < body.len && (body.at[i] == ' ' || (body.at[i] >= '\t' && body.at[i] <= '\r')))
		i++;
	return i == body.len || body.at[i] == '<' || body.at[i] >= 0x80 || body.at[i] == 0; /* UTF-16, too */
}

static enum mw_err to_json(struct mw_mapper *p, struct mw_span body, struct mw_error *e)
{
	if (p->delivery->format == MW_FORMAT_FORM)
		return mw_form_to_json(body, &p->form, e);
	if (!p->host.xml)
		return mw_error_set(e, MW_INVALID, 0, "XML is not read here");
	return p->host.xml(p->host.host.context, body, &p->form, e);
}

/* A form or XML. */
static void run_converted(struct mw_mapper *p, struct mw_span body)
{
	struct mw_error e;
	mw_error_clear(&e);
	mw_buf_clear(&p->form);
	enum mw_err err = to_json(p, body, &e);
	if (!err) {
		run_document(p, mw_buf_span(&p->form), body, 1);
		return;
	}
	p->tally->events++;
	e.code = err;
	report_body(p, 1, body, &e);
}

void mw_map_run(const struct mw_map *m, struct mw_mapper *p, const struct mw_delivery *d,
		struct mw_tally *tally)
{
	p->map = m;
	p->delivery = d;
	p->tally = tally;
	p->before = p->after = (struct mw_span){NULL, 0};
	p->doc.takes_one_for_many = d->format == MW_FORMAT_XML;
	p->scene.doc = &p->doc;
	p->scene.headers = d->headers;
	p->scene.header_count = d->header_count;
	p->scene.memo = &p->memo;
	p->scene.host = &p->host.host;
	p->scene.counts_shapes = p->host.review != NULL;
	p->scene.place = (struct mw_span){NULL, 0};
	p->scene.field = NULL;
	switch (d->format) {
	case MW_FORMAT_JSON:
		run_document(p, d->body, d->body, 1);
		break;
	case MW_FORMAT_NDJSON:
		run_lines(p, d->body);
		break;
	case MW_FORMAT_FORM:
		run_converted(p, d->body);
		break;
	case MW_FORMAT_XML:
		if (is_xml(d->body))
			run_converted(p, d->body);
		else
			run_document(p, d->body, d->body, 1);
		break;
	}
}
