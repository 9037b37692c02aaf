#include "form.h"

#include "json_write.h"
#include "limits.h"
#include "utf8.h"

#include <stdlib.h>

enum { PAIRS_MAX = 10000, DEPTH_MAX = 8 };

/* The body is a tree before it is JSON, because the parts of an object need not stand together. A
 * field holds other fields, or the values given to its name: both are its children. Nodes are numbers
 * in one array; the root is 0, and so is "none". */
enum kind { UNUSED, OBJECT, VALUES, VALUE };

struct node {
	struct mw_span text; /* a field's name or a value, decoded */
	uint32_t parent;
	uint32_t first;
	uint32_t last;
	uint32_t next;
	uint32_t chain; /* the next field in the same bucket */
	enum kind kind;
	bool array; /* VALUES: an array even if there is one */
};

struct form {
	struct mw_span body;
	struct node *nodes;
	uint32_t count;
	uint32_t *buckets; /* fields by parent and name, so that 10,000 names cost 10,000 steps */
	uint32_t mask;
	uint8_t *decoded;
	size_t decoded_len;
	struct mw_error *e;
};

static int hex_digit(uint8_t c)
{
	uint8_t letter = c | 0x20;
	return c >= '0' && c <= '9' ? c - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Where in the encoded text decoded byte n comes from. */
static const uint8_t *place_of(const uint8_t *encoded, size_t n)
{
	for (; n > 0; n--)
		encoded += *encoded == '%' ? 3 : 1;
	return encoded;
}

static enum mw_err fail(const struct form *f, const uint8_t *at, const char *words)
{
	return mw_error_set(f->e, MW_INVALID, (size_t)(at - f->body.at), "%s", words);
}

static enum mw_err decode(struct form *f, const uint8_t *p, const uint8_t *end, struct mw_span *out)
{
	const uint8_t *start = p;
	uint8_t *to = f->decoded + f->decoded_len;
	*out = (struct mw_span){to, 0};
	while (p < end) {
		if (*p != '%') {
			*to++ = *p == '+' ? ' ' : *p;
			p++;
			continue;
		}
		int high = end - p < 3 ? -1 : hex_digit(p[1]);
		int low = end - p < 3 ? -1 : hex_digit(p[2]);
		if (high < 0 || low < 0)
			return fail(f, p, "expected two hex digits after '%'");
		*to++ = (uint8_t)(high << 4 | low);
		p += 3;
	}
	out->len = (size_t)(to - out->at);
	f->decoded_len += out->len;
	size_t valid = mw_utf8_valid(out->at, out->len);
	if (valid < out->len)
		return fail(f, place_of(start, valid), "bytes that are not UTF-8");
	return MW_OK;
}

static uint32_t add_child(struct form *f, uint32_t parent, struct mw_span text, enum kind kind)
{
	uint32_t n = f->count++;
	f->nodes[n] = (struct node){.text = text, .parent = parent, .kind = kind};
	struct node *p = &f->nodes[parent];
	if (p->last)
		f->nodes[p->last].next = n;
	else
		p->first = n;
	p->last = n;
	return n;
}

/* The field of that name, made if it is new. */
static uint32_t child_named(struct form *f, uint32_t parent, struct mw_span name)
{
	uint32_t hash = 2166136261u ^ parent; /* FNV-1a */
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.at[i]) * 16777619u;
	uint32_t *bucket = &f->buckets[(hash ^ hash >> 15) & f->mask];
	for (uint32_t n = *bucket; n; n = f->nodes[n].chain) {
		const struct node *node = &f->nodes[n];
		if (node->parent == parent && node->text.len == name.len &&
		    (name.len == 0 || memcmp(node->text.at, name.at, name.len) == 0))
			return n;
	}
	uint32_t n = add_child(f, parent, name, UNUSED);
	f->nodes[n].chain = *bucket;
	*bucket = n;
	return n;
}

/* a[b][c] has the parts a, b, c; a[] has the part a and is an array. A name with brackets in any other place
 * is a name like any other. */
struct path {
	struct mw_span parts[DEPTH_MAX];
	int count;
	bool array;
	bool too_deep;
};

static struct path take_path(struct mw_span name)
{
	struct path whole = {.parts = {name}, .count = 1};
	const uint8_t *end = name.at + name.len;
	const uint8_t *open = name.len ? memchr(name.at, '[', name.len) : NULL;
	if (!open || open == name.at)
		return whole;
	struct path path = {.parts = {{name.at, (size_t)(open - name.at)}}, .count = 1};
	while (open < end) {
		const uint8_t *close = *open == '[' ? memchr(open, ']', (size_t)(end - open)) : NULL;
		if (!close || (close == open + 1 && close + 1 < end))
			return whole;
		if (close == open + 1)
			path.array = true;
		else if (path.count == DEPTH_MAX)
			path.too_deep = true;
		else
			path.parts[path.count++] = (struct mw_span){open + 1, (size_t)(close - open - 1)};
		open = close + 1;
	}
	return path;
}

static enum mw_err add_pair(struct form *f, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *equals = memchr(p, '=', (size_t)(end - p));
	struct mw_span name, value;
	enum mw_err err = decode(f, p, equals ? equals : end, &name);
	if (err == MW_OK)
		err = decode(f, equals ? equals + 1 : end, end, &value);
	if (err != MW_OK)
		return err;
	struct path path = take_path(name);
	if (path.too_deep)
		return fail(f, p, "a name nested deeper than 8");
	uint32_t n = 0;
	for (int i = 0; i < path.count; i++) {
		if (f->nodes[n].kind == VALUES)
			return fail(f, p, "a name used both for a value and for an object");
		f->nodes[n].kind = OBJECT;
		n = child_named(f, n, path.parts[i]);
	}
	if (f->nodes[n].kind == OBJECT)
		return fail(f, p, "a name used both for a value and for an object");
	f->nodes[n].array = f->nodes[n].array || path.array || f->nodes[n].kind == VALUES;
	f->nodes[n].kind = VALUES;
	add_child(f, n, value, VALUE);
	return MW_OK;
}

static enum mw_err read_pairs(struct form *f)
{
	const uint8_t *p = f->body.at, *end = p + f->body.len;
	int pairs = 0;
	while (p < end) {
		const uint8_t *and = memchr(p, '&', (size_t)(end - p));
		const uint8_t *pair_end = and? and : end;
		if (pair_end > p && pairs++ == PAIRS_MAX)
			return mw_error_set(f->e, MW_TOO_LARGE, (size_t)(p - f->body.at),
					    "more than %d pairs", PAIRS_MAX);
		enum mw_err err = pair_end > p ? add_pair(f, p, pair_end) : MW_OK;
		if (err != MW_OK)
			return err;
		p = and? and+1 : end;
	}
	return MW_OK;
}

static enum mw_err open_node(const struct node *node, struct mw_buf *out)
{
	enum mw_err err = MW_OK;
	if (node->kind == VALUE)
		return mw_json_write_string(out, node->text.at, node->text.len);
	if (node->text.at && ((err = mw_json_write_string(out, node->text.at, node->text.len)) ||
			      (err = mw_buf_append_byte(out, ':'))))
		return err;
	if (node->kind == OBJECT)
		return mw_buf_append_byte(out, '{');
	return node->array ? mw_buf_append_byte(out, '[') : MW_OK;
}

static enum mw_err close_node(const struct node *node, struct mw_buf *out)
{
	if (node->kind == OBJECT)
		return mw_buf_append_byte(out, '}');
	return node->array ? mw_buf_append_byte(out, ']') : MW_OK;
}

/* Down to the first child, else on to the next node, closing what ends on the way. */
static enum mw_err write_tree(const struct form *f, struct mw_buf *out)
{
	uint32_t n = 0;
	for (;;) {
		const struct node *node = &f->nodes[n];
		enum mw_err err = open_node(node, out);
		if (err != MW_OK)
			return err;
		if (node->first) {
			n = node->first;
			continue;
		}
		while ((err = close_node(node, out)) == MW_OK && n != 0 && node->next == 0) {
			n = node->parent;
			node = &f->nodes[n];
		}
		if (err != MW_OK || n == 0)
			return err;
		n = node->next;
		err = mw_buf_append_byte(out, ',');
		if (err != MW_OK)
			return err;
	}
}

/* As many nodes as the body can have at most: two a pair, and one for each bracket, up to the limits. */
static size_t most_nodes(struct mw_span body)
{
	size_t pairs = 1, brackets = 0;
	for (size_t i = 0; i < body.len; i++) {
		pairs += body.at[i] == '&';
		brackets += body.at[i] == '[' || body.at[i] == '%'; /* %5B is one, too */
	}
	if (pairs > PAIRS_MAX)
		pairs = PAIRS_MAX;
	if (brackets > pairs * (DEPTH_MAX - 1))
		brackets = pairs * (DEPTH_MAX - 1);
	return 1 + 2 * pairs + brackets;
}

enum mw_err mw_form_to_json(struct mw_span body, struct mw_buf *out, struct mw_error *e)
{
	if (body.len > MW_EVENT_MAX)
		return mw_error_set(e, MW_TOO_LARGE, 0, "%zu bytes of form data; %u is the most", body.len,
				    MW_EVENT_MAX);
	size_t nodes = most_nodes(body), buckets = 64, mark = out->len;
	while (buckets < nodes)
		buckets *= 2;
	struct form f = {.body = body, .count = 1, .mask = (uint32_t)(buckets - 1), .e = e};
	f.nodes = calloc(nodes, sizeof *f.nodes);
	f.buckets = calloc(buckets, sizeof *f.buckets);
	f.decoded = malloc(body.len + 1);
	enum mw_err err;
	if (!f.nodes || !f.buckets || !f.decoded) {
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no room for the form");
	} else {
		f.nodes[0].kind = OBJECT;
		err = read_pairs(&f);
		if (err == MW_OK) {
			err = write_tree(&f, out);
			if (err != MW_OK)
				mw_error_set(e, err, 0, "no room for the form as JSON");
		}
	}
	if (err != MW_OK)
		out->len = mark;
	free(f.decoded);
	free(f.buckets);
	free(f.nodes);
	return err;
}
