#include "xml.h"

#include "../core/hash.h"
#include "../core/json_write.h"
#include "../core/limits.h"

#include <expat.h>
#include <stdlib.h>
#include <sys/random.h>

/* Between a namespace and a name; no namespace that expat takes has one. */
#define BETWEEN '\n'
#define XSI_NIL "http://www.w3.org/2001/XMLSchema-instance\nnil"

/* An element or an attribute. Nodes are numbers in one array; 0 is the document. Under its parent stands the
 * first node of each name; those that repeat the name hang behind it. */
struct node {
	size_t name, name_len; /* in the characters */
	size_t text, text_len;
	uint32_t parent;
	uint32_t first, last, next; /* members */
	uint32_t same, same_last;   /* repetitions */
	uint32_t chain;             /* the next in the same bucket */
	bool is_null;
};

struct reading {
	XML_Parser parser;
	struct node *nodes;
	uint32_t count, cap;
	uint32_t *buckets;
	uint32_t mask;
	struct mw_hash_key key;
	struct mw_buf chars;                   /* all names and texts */
	struct mw_buf texts[MW_XML_DEPTH_MAX]; /* of the elements that are open */
	uint32_t open[MW_XML_DEPTH_MAX];
	int depth;
	enum mw_err err; /* ours; else the parser's own */
	const char *why;
};

static void stop(struct reading *r, enum mw_err err, const char *why)
{
	if (r->err == MW_OK) {
		r->err = err;
		r->why = why;
	}
	XML_StopParser(r->parser, XML_FALSE);
}

/* ---- the tree */

static struct mw_span name_of(const struct reading *r, const struct node *n)
{
	return (struct mw_span){r->chars.data + n->name, n->name_len};
}

static uint32_t *bucket_of(const struct reading *r, uint32_t parent, struct mw_span name)
{
	struct mw_hash_key key = {r->key.a ^ parent, r->key.b};
	return &r->buckets[mw_hash(key, name) & r->mask];
}

/* Room for one more node; twice as many buckets whenever there are more nodes than those. */
static bool make_room(struct reading *r)
{
	if (r->count < r->cap)
		return true;
	uint32_t cap = r->cap ? 2 * r->cap : 64;
	struct node *nodes = realloc(r->nodes, cap * sizeof *nodes);
	if (!nodes)
		return false;
	r->nodes = nodes;
	uint32_t *buckets = calloc(cap, sizeof *buckets);
	if (!buckets)
		return false;
	free(r->buckets);
	r->cap = cap;
	r->buckets = buckets;
	r->mask = cap - 1;
	for (uint32_t n = 1; n < r->count; n++) {
		if (nodes[n].same_last == 0) /* a repetition is found by the first of its name */
			continue;
		uint32_t *bucket = bucket_of(r, nodes[n].parent, name_of(r, &nodes[n]));
		nodes[n].chain = *bucket;
		*bucket = n;
	}
	return true;
}

static void append_child(struct reading *r, uint32_t parent, uint32_t n)
{
	struct node *p = &r->nodes[parent];
	if (p->last)
		r->nodes[p->last].next = n;
	else
		p->first = n;
	p->last = n;
}

/* `mark` is put before the name: "@" or "". 0: no room. */
static uint32_t add_node(struct reading *r, uint32_t parent, const char *mark, const char *name)
{
	const char *between = strrchr(name, BETWEEN);
	if (between)
		name = between + 1;
	struct node made = {.name = r->chars.len, .parent = parent};
	if (mw_buf_append(&r->chars, mark, strlen(mark)) || mw_buf_append(&r->chars, name, strlen(name)) ||
	    !make_room(r))
		return 0;
	made.name_len = r->chars.len - made.name;
	struct mw_span full = {r->chars.data + made.name, made.name_len};
	uint32_t n = r->count++;
	uint32_t *bucket = bucket_of(r, parent, full);
	for (uint32_t i = *bucket; i; i = r->nodes[i].chain) {
		struct node *first = &r->nodes[i];
		if (first->parent != parent || first->name_len != full.len ||
		    memcmp(name_of(r, first).at, full.at, full.len) != 0)
			continue;
		r->chars.len = made.name; /* it is there already */
		made.name = first->name;
		r->nodes[n] = made;
		r->nodes[first->same_last].same = n;
		first->same_last = n;
		return n;
	}
	made.same_last = n;
	made.chain = *bucket;
	*bucket = n;
	r->nodes[n] = made;
	append_child(r, parent, n);
	return n;
}

static bool set_text(struct reading *r, uint32_t n, const void *text, size_t len)
{
	r->nodes[n].text = r->chars.len;
	r->nodes[n].text_len = len;
	return mw_buf_append(&r->chars, text, len) == MW_OK;
}

/* ---- what expat calls */

static void on_start(void *context, const char *name, const char **attributes)
{
	struct reading *r = context;
	if (r->err)
		return;
	if (r->depth == MW_XML_DEPTH_MAX) {
		stop(r, MW_TOO_LARGE, "nested deeper than 60");
		return;
	}
	uint32_t n = add_node(r, r->depth > 0 ? r->open[r->depth - 1] : 0, "", name);
	bool ok = n != 0;
	for (; ok && attributes[0]; attributes += 2) {
		if (strcmp(attributes[0], XSI_NIL) == 0) {
			r->nodes[n].is_null =
			    strcmp(attributes[1], "true") == 0 || strcmp(attributes[1], "1") == 0;
			continue;
		}
		uint32_t a = add_node(r, n, "@", attributes[0]);
		ok = a != 0 && set_text(r, a, attributes[1], strlen(attributes[1]));
	}
	if (!ok) {
		stop(r, MW_NO_MEMORY, "no room for the XML");
	} else if (r->count > MW_XML_NODES_MAX) {
		stop(r, MW_TOO_LARGE, "more than a million elements and attributes");
	} else {
		mw_buf_clear(&r->texts[r->depth]);
		r->open[r->depth++] = n;
	}
}

static void on_text(void *context, const char *text, int len)
{
	struct reading *r = context;
	if (!r->err && r->depth > 0 && mw_buf_append(&r->texts[r->depth - 1], text, (size_t)len) != MW_OK)
		stop(r, MW_NO_MEMORY, "no room for the XML");
}

static void on_end(void *context, const char *name)
{
	struct reading *r = context;
	(void)name;
	if (r->err)
		return;
	r->depth--;
	if (!set_text(r, r->open[r->depth], r->texts[r->depth].data, r->texts[r->depth].len))
		stop(r, MW_NO_MEMORY, "no room for the XML");
}

static void on_doctype(void *context, const char *name, const char *system, const char *public,
		       int has_subset)
{
	(void)name, (void)system, (void)public, (void)has_subset;
	stop(context, MW_INVALID, "a document type (<!DOCTYPE) is not taken");
}

/* ---- JSON */

static bool is_blank(struct mw_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!strchr(" \t\r\n", text.at[i]) || text.at[i] == '\0')
			return false;
	}
	return true;
}

static enum mw_err write_members(const struct reading *r, const struct node *n, struct mw_buf *out);

static enum mw_err write_value(const struct reading *r, uint32_t number, struct mw_buf *out)
{
	const struct node *n = &r->nodes[number];
	struct mw_span text = {r->chars.data + n->text, n->text_len};
	if (n->is_null && n->first == 0)
		return mw_buf_append_literal(out, "null");
	if (n->first == 0)
		return mw_json_write_string(out, text.len > 0 ? text.at : (const uint8_t *)"", text.len);
	enum mw_err err = mw_buf_append_byte(out, '{');
	if (!err)
		err = write_members(r, n, out);
	if (!err && !is_blank(text)) {
		err = mw_buf_append_literal(out, ",\"#text\":");
		if (!err)
			err = mw_json_write_string(out, text.at, text.len);
	}
	return err ? err : mw_buf_append_byte(out, '}');
}

/* Calls itself by way of write_value, as deep as elements nest. */
static enum mw_err write_members(const struct reading *r, const struct node *n, struct mw_buf *out)
{
	enum mw_err err = MW_OK;
	for (uint32_t child = n->first; child && !err; child = r->nodes[child].next) {
		const struct node *c = &r->nodes[child];
		if (child != n->first)
			err = mw_buf_append_byte(out, ',');
		if (!err)
			err = mw_json_write_string(out, name_of(r, c).at, c->name_len);
		if (!err)
			err = mw_buf_append_byte(out, ':');
		if (!err && c->same)
			err = mw_buf_append_byte(out, '[');
		for (uint32_t one = child; one && !err; one = r->nodes[one].same) {
			if (one != child)
				err = mw_buf_append_byte(out, ',');
			if (!err)
				err = write_value(r, one, out);
		}
		if (!err && c->same)
			err = mw_buf_append_byte(out, ']');
	}
	return err;
}

static enum mw_err write_document(const struct reading *r, struct mw_buf *out, struct mw_error *e)
{
	size_t mark = out->len;
	enum mw_err err = mw_buf_append_byte(out, '{');
	if (!err)
		err = write_members(r, &r->nodes[0], out);
	if (!err)
		err = mw_buf_append_byte(out, '}');
	if (err) {
		out->len = mark;
		mw_error_set(e, err, 0, "XML: %s",
			     err == MW_INVALID ? "characters that are not UTF-8" : "no room for it as JSON");
	}
	return err;
}

/* ---- */

static bool begin(struct reading *r)
{
	mw_buf_init(&r->chars, 4 * (size_t)MW_EVENT_MAX);
	for (int i = 0; i < MW_XML_DEPTH_MAX; i++)
		mw_buf_init(&r->texts[i], 4 * (size_t)MW_EVENT_MAX);
	/* Names come from outside: nobody is to pick such that all fall into one bucket. */
	if (getrandom(&r->key, sizeof r->key, 0) != (ssize_t)sizeof r->key || !make_room(r))
		return false;
	r->nodes[r->count++] = (struct node){0};
	r->parser = XML_ParserCreateNS(NULL, BETWEEN);
	if (!r->parser)
		return false;
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, on_start, on_end);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
	return true;
}

static void end(struct reading *r)
{
	if (r->parser)
		XML_ParserFree(r->parser);
	for (int i = 0; i < MW_XML_DEPTH_MAX; i++)
		mw_buf_deinit(&r->texts[i]);
	mw_buf_deinit(&r->chars);
	free(r->buckets);
	free(r->nodes);
}

static enum mw_err explain(const struct reading *r, struct mw_error *e)
{
	enum XML_Error code = XML_GetErrorCode(r->parser);
	enum mw_err err = r->err ? r->err : code == XML_ERROR_NO_MEMORY ? MW_NO_MEMORY : MW_INVALID;
	XML_Index at = XML_GetCurrentByteIndex(r->parser);
	return mw_error_set(e, err, at > 0 ? (size_t)at : 0, "XML: line %lu, column %lu: %s",
			    (unsigned long)XML_GetCurrentLineNumber(r->parser),
			    (unsigned long)XML_GetCurrentColumnNumber(r->parser) + 1,
			    r->err ? r->why : XML_ErrorString(code));
}

enum mw_err mw_xml_to_json(struct mw_span body, struct mw_buf *out, struct mw_error *e)
{
	if (body.len > MW_EVENT_MAX)
		return mw_error_set(e, MW_TOO_LARGE, 0, "XML: %zu bytes; %u is the most", body.len,
				    MW_EVENT_MAX);
	struct reading r = {0};
	enum mw_err err;
	if (!begin(&r))
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no room for the XML");
	else if (XML_Parse(r.parser, (const char *)body.at, (int)body.len, 1) != XML_STATUS_OK || r.err)
		err = explain(&r, e);
	else
		err = write_document(&r, out, e);
	end(&r);
	return err;
}
