/* json_read.h -- raw bytes to a tape of nodes, in one validating pass.
 *
 * Accepts exactly RFC 8259, strict UTF-8 (no surrogates, no overlong forms, no byte-order
 * mark), \u escapes in pairs, at most MW_JSON_DEPTH_MAX levels and MW_EVENT_MAX bytes. No recursion,
 * no copy: a node points into the text, so the text must outlive the document.
 *
 *   {"id":7,"to":["a","b"]}     node 0 object   next 8
 *                               node 1 key id   node 2 number 7
 *                               node 3 key to   node 4 array, 2 elements, next 7
 *                               node 5 "a"      node 6 "b"
 *
 * A key's value is the node right behind the key; the first child of a container is the node
 * right behind the container. Of two members with one name the last counts, as in every
 * JSON parser a tool is likely to test with; keys are therefore linked backwards.
 *
 * One document serves one thread and is read again and again; its room is kept.
 */
#ifndef MW_JSON_READ_H
#define MW_JSON_READ_H

#include "buf.h"

enum mw_json_type {
	MW_JSON_NULL,
	MW_JSON_FALSE,
	MW_JSON_TRUE,
	MW_JSON_NUMBER,
	MW_JSON_STRING,
	MW_JSON_ARRAY,
	MW_JSON_OBJECT,
	MW_JSON_KEY,
};

enum {
	MW_JSON_ESCAPED = 1, /* string or key: holds at least one backslash */
	MW_JSON_INTEGER = 1, /* number: neither fraction nor exponent */
};

struct mw_json_node {
	uint32_t at;   /* first byte in the text, or in `keys`; strings and keys: behind the quote */
	uint32_t len;  /* bytes; strings and keys: without the quotes; containers: with brackets */
	uint32_t next; /* value: the node behind this value and all it holds.
			* key: the key before it in the same object, 0 if it is the first */
	uint32_t type : 4;
	uint32_t flags : 4;
	uint32_t aux : 24; /* array: number of elements. object: distance to its last key, 0 if
			    * empty. key: a tag that mw_json_member compares first */
};

struct mw_json {
	const uint8_t *text;
	size_t len;
	const uint8_t *keys; /* what keys are offsets into: the text, or that of a pattern (pattern.h) ... */
	size_t keys_len;     /* ... and how many bytes of it may be read */
	struct mw_json_node *nodes;
	uint32_t count;
	uint32_t cap;
	uint64_t pattern; /* documents with the same number, not 0, have the same keys at the same nodes */
	/* Made of XML, where an element that is there once is no array: wherever an array is looked for, what
	 * is none is taken for an array of one. Set by whoever reads; reading leaves it alone. */
	bool takes_one_for_many;
};

void mw_json_init(struct mw_json *doc);
void mw_json_deinit(struct mw_json *doc);

/* Read one value with nothing but white space around it; node 0 is the root. On error
 * (MW_JSON; MW_TOO_LARGE for length and depth; MW_NO_MEMORY) `e` has the byte offset and says what was
 * expected; the document is then empty. No byte outside text[0 .. len) is looked at. */
enum mw_err mw_json_read(struct mw_json *doc, const void *text, size_t len, struct mw_error *e);

/* The tag of a name, to be computed once by whoever looks it up often: 24 bits of its length, first,
 * middle and last byte. Names of one object that agree in all four are rare. */
static inline uint32_t mw_json_tag(const void *name, size_t len)
{
	const uint8_t *bytes = name;
	if (len == 0)
		return 0;
	return (bytes[0] + ((uint32_t)bytes[len / 2] << 8) + ((uint32_t)bytes[len - 1] << 16) +
		((uint32_t)len << 4)) &
	       0xFFFFFF;
}

/* The value of a member, 0 if there is none (the root is nobody's member) or `object` is no object. */
uint32_t mw_json_member(const struct mw_json *doc, uint32_t object, const void *name, size_t len,
			uint32_t tag);

/* Element i, from 0; negative counts from the end. 0 if there is none or `array` is no array (unless the
 * document takes one for many). O(i). */
uint32_t mw_json_element(const struct mw_json *doc, uint32_t array, int64_t i);

/* The node behind a value: its next sibling, or wherever the container ends. A container's
 * children are the nodes from node+1 up to, but not including, mw_json_after(node). */
static inline uint32_t mw_json_after(const struct mw_json *doc, uint32_t value)
{
	return doc->nodes[value].next;
}

/* The node's own bytes as they stand in the text (strings and keys without their quotes). */
static inline struct mw_span mw_json_raw(const struct mw_json *doc, uint32_t node)
{
	const struct mw_json_node *n = &doc->nodes[node];
	return (struct mw_span){(n->type == MW_JSON_KEY ? doc->keys : doc->text) + n->at, n->len};
}

/* The same with a string's quotes: a value as it stands there. */
static inline struct mw_span mw_json_whole(const struct mw_json *doc, uint32_t value)
{
	struct mw_span raw = mw_json_raw(doc, value);
	if (doc->nodes[value].type == MW_JSON_STRING)
		raw = (struct mw_span){raw.at - 1, raw.len + 2};
	return raw;
}

/* Append the characters of a string or key, escapes undone. */
enum mw_err mw_json_unescape(const struct mw_json *doc, uint32_t node, struct mw_buf *out);

/* Undo the escapes of a validated string's inside. */
enum mw_err mw_json_unescape_span(struct mw_span escaped, struct mw_buf *out);

/* Is the text one JSON number, and nothing else? (number.h says which.) */
bool mw_json_is_number(struct mw_span text);

#endif
