#include "value.h"

#include "json_write.h"
#include "number.h"

struct mw_value mw_value_of_node(const struct mw_json *doc, uint32_t node)
{
	const struct mw_json_node *n = &doc->nodes[node];
	switch ((enum mw_json_type)n->type) {
	case MW_JSON_FALSE:
		return (struct mw_value){.kind = MW_VALUE_FALSE};
	case MW_JSON_TRUE:
		return (struct mw_value){.kind = MW_VALUE_TRUE};
	case MW_JSON_NUMBER:
		return (struct mw_value){.kind = MW_VALUE_NUMBER, .text = mw_json_raw(doc, node)};
	case MW_JSON_STRING:
	case MW_JSON_KEY:
		if (n->flags & MW_JSON_ESCAPED)
			return (struct mw_value){.kind = MW_VALUE_ESCAPED, .text = mw_json_raw(doc, node)};
		return (struct mw_value){
		    .kind = MW_VALUE_CHARS, .clean = true, .text = mw_json_raw(doc, node)};
	case MW_JSON_ARRAY:
	case MW_JSON_OBJECT:
		return (struct mw_value){.kind = MW_VALUE_NODE, .node = node};
	case MW_JSON_NULL:
		break;
	}
	return (struct mw_value){.kind = MW_VALUE_ABSENT};
}

const char *mw_value_kind_name(const struct mw_json *doc, const struct mw_value *v)
{
	switch (v->kind) {
	case MW_VALUE_FALSE:
	case MW_VALUE_TRUE:
		return "a boolean";
	case MW_VALUE_INT:
	case MW_VALUE_DOUBLE:
	case MW_VALUE_NUMBER:
		return "a number";
	case MW_VALUE_CHARS:
	case MW_VALUE_ESCAPED:
		return "a string";
	case MW_VALUE_NODE:
		return doc->nodes[v->node].type == MW_JSON_OBJECT ? "an object" : "an array";
	case MW_VALUE_NODES:
		return "an array";
	case MW_VALUE_JSON:
		if (v->text.len > 0 && v->text.at[0] == '{')
			return "an object";
		return v->text.len > 0 && v->text.at[0] == '[' ? "an array" : "a JSON value";
	case MW_VALUE_ABSENT:
		break;
	}
	return "nothing";
}

bool mw_value_is_true(const struct mw_value *v)
{
	if (v->kind == MW_VALUE_JSON)
		return !mw_span_is(v->text, "null") && !mw_span_is(v->text, "false");
	return v->kind != MW_VALUE_ABSENT && v->kind != MW_VALUE_FALSE;
}

/* Longest number that is written: a sign, 17 digits, a point and an exponent, or 20 digits. */
enum { NUMBER_ROOM = 40 };

bool mw_value_chars(const struct mw_value *v, struct mw_arena *a, struct mw_span *chars)
{
	struct mw_buf b;
	enum mw_err err;
	switch (v->kind) {
	case MW_VALUE_CHARS:
	case MW_VALUE_NUMBER:
		*chars = v->text;
		return true;
	case MW_VALUE_FALSE:
		*chars = MW_SPAN("false");
		return true;
	case MW_VALUE_TRUE:
		*chars = MW_SPAN("true");
		return true;
	case MW_VALUE_ESCAPED:
		/* Characters are never longer than their escapes. */
		b = mw_arena_buf(a, v->text.len);
		err = mw_json_unescape_span(v->text, &b);
		break;
	case MW_VALUE_INT:
		b = mw_arena_buf(a, NUMBER_ROOM);
		err = mw_json_write_int64(&b, v->i);
		break;
	case MW_VALUE_DOUBLE:
		b = mw_arena_buf(a, NUMBER_ROOM);
		err = mw_json_write_double(&b, v->d);
		break;
	default:
		return false;
	}
	*chars = mw_buf_span(&b);
	return err == MW_OK;
}

bool mw_value_number(const struct mw_value *v, struct mw_arena *a, struct mw_value *number)
{
	struct mw_span text;
	switch (v->kind) {
	case MW_VALUE_INT:
	case MW_VALUE_DOUBLE:
		*number = *v;
		return true;
	case MW_VALUE_NUMBER:
		text = v->text;
		break;
	case MW_VALUE_CHARS:
	case MW_VALUE_ESCAPED:
		/* What a tool writes as a number and puts in quotes. "007" and "+1" stay text. */
		if (!mw_value_chars(v, a, &text) || !mw_json_is_number(text))
			return false;
		break;
	default:
		return false;
	}
	int64_t i;
	if (mw_number_read_int64(text, &i))
		*number = (struct mw_value){.kind = MW_VALUE_INT, .i = i};
	else
		*number = (struct mw_value){.kind = MW_VALUE_DOUBLE, .d = mw_number_read_double(text)};
	return true;
}

static enum mw_err write_quoted(struct mw_span s, struct mw_buf *out)
{
	enum mw_err err = mw_buf_reserve(out, s.len + 2);
	if (err)
		return err;
	uint8_t *at = out->data + out->len;
	*at = '"';
	if (s.len > 0)
		memcpy(at + 1, s.at, s.len);
	at[s.len + 1] = '"';
	out->len += s.len + 2;
	return MW_OK;
}

/* Valid JSON without the white space between its tokens. */
static enum mw_err write_compact(struct mw_span s, struct mw_buf *out)
{
	enum mw_err err = mw_buf_reserve(out, s.len);
	if (err)
		return err;
	uint8_t *to = out->data + out->len;
	bool in_string = false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.at[i];
		if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
			continue;
		*to++ = c;
		if (c == '"')
			in_string = !in_string;
		else if (c == '\\')
			*to++ = s.at[++i];
	}
	out->len = (size_t)(to - out->data);
	return MW_OK;
}

enum mw_err mw_value_write_node(const struct mw_json *doc, uint32_t node, struct mw_buf *out)
{
	struct mw_span raw = mw_json_raw(doc, node);
	switch ((enum mw_json_type)doc->nodes[node].type) {
	case MW_JSON_STRING:
	case MW_JSON_KEY:
		return write_quoted(raw, out);
	case MW_JSON_ARRAY:
	case MW_JSON_OBJECT:
		/* A raw line break inside a container can only be white space: strings escape theirs. */
		if (memchr(raw.at, '\n', raw.len) || memchr(raw.at, '\r', raw.len))
			return write_compact(raw, out);
		break;
	default:
		break;
	}
	return mw_buf_append_span(out, raw);
}

static enum mw_err write_nodes(const struct mw_json *doc, const struct mw_value *v, struct mw_buf *out)
{
	size_t mark = out->len;
	enum mw_err err = mw_buf_append_byte(out, '[');
	for (uint32_t i = 0; i < v->count && !err; i++) {
		if (i > 0)
			err = mw_buf_append_byte(out, ',');
		if (!err)
			err = mw_value_write_node(doc, v->nodes[i], out);
	}
	if (!err)
		err = mw_buf_append_byte(out, ']');
	if (err)
		out->len = mark;
	return err;
}

enum mw_err mw_value_write(const struct mw_json *doc, const struct mw_value *v, struct mw_buf *out)
{
	switch (v->kind) {
	case MW_VALUE_FALSE:
		return mw_buf_append_literal(out, "false");
	case MW_VALUE_TRUE:
		return mw_buf_append_literal(out, "true");
	case MW_VALUE_INT:
		return mw_json_write_int64(out, v->i);
	case MW_VALUE_DOUBLE:
		return mw_json_write_double(out, v->d);
	case MW_VALUE_CHARS:
		if (!v->clean)
			return mw_json_write_string(out, v->text.at, v->text.len);
		return write_quoted(v->text, out);
	case MW_VALUE_ESCAPED:
		return write_quoted(v->text, out);
	case MW_VALUE_NUMBER:
	case MW_VALUE_JSON:
		return mw_buf_append_span(out, v->text);
	case MW_VALUE_NODE:
		return mw_value_write_node(doc, v->node, out);
	case MW_VALUE_NODES:
		return write_nodes(doc, v, out);
	case MW_VALUE_ABSENT:
		break;
	}
	return mw_buf_append_literal(out, "null");
}
