/* value.h -- what an expression of the mapping yields.
 *
 * A value points into the event, the program or the arena; it owns nothing. Text that comes
 * straight from the event stays in its JSON form until something needs its characters, so the common
 * case (copy a field) never unescapes and never converts a number.
 */
#ifndef MW_VALUE_H
#define MW_VALUE_H

#include "arena.h"
#include "json_read.h"

enum mw_value_kind {
	MW_VALUE_ABSENT, /* no such path, or JSON null: leaves its field out */
	MW_VALUE_FALSE,
	MW_VALUE_TRUE,
	MW_VALUE_INT,     /* i */
	MW_VALUE_DOUBLE,  /* d */
	MW_VALUE_NUMBER,  /* text: a JSON number as the event wrote it, every digit kept */
	MW_VALUE_CHARS,   /* text: characters, not escaped */
	MW_VALUE_ESCAPED, /* text: the inside of a JSON string that holds a backslash */
	MW_VALUE_NODE,    /* node: an array or object of the event */
	MW_VALUE_NODES,   /* nodes: elements picked out of an array */
	MW_VALUE_JSON,    /* text: any finished JSON */
};

struct mw_value {
	enum mw_value_kind kind;
	union {
		uint32_t count; /* NODES: how many */
		bool clean;     /* CHARS: known to be UTF-8 in which nothing needs an escape */
	};
	union {
		int64_t i;
		double d;
		uint32_t node;
		const uint32_t *nodes;
		struct mw_span text;
	};
};

/* The value of a node of the tape; null is absent. */
struct mw_value mw_value_of_node(const struct mw_json *doc, uint32_t node);

/* Append a node as JSON. A container that spans lines is written without its white space, so that a
 * message is always one line. */
enum mw_err mw_value_write_node(const struct mw_json *doc, uint32_t node, struct mw_buf *out);

/* "a string", "an object", ... for error texts. */
const char *mw_value_kind_name(const struct mw_json *doc, const struct mw_value *v);

/* What a filter or a default asks: absent and false are not true; everything else is, as in Lua. */
bool mw_value_is_true(const struct mw_value *v);

/* A string, number or boolean. */
static inline bool mw_value_is_scalar(const struct mw_value *v)
{
	return v->kind >= MW_VALUE_FALSE && v->kind <= MW_VALUE_ESCAPED;
}

/* The characters of a string or of a number's or boolean's text. False for containers, absent,
 * and when the arena is full. */
bool mw_value_chars(const struct mw_value *v, struct mw_arena *a, struct mw_span *chars);

/* A number, or a string that is nothing but a number. Integers that fit stay integers. */
bool mw_value_number(const struct mw_value *v, struct mw_arena *a, struct mw_value *number);

/* As JSON text behind what `out` holds. MW_INVALID for NaN, infinity and invalid UTF-8. Absent writes null.
 */
enum mw_err mw_value_write(const struct mw_json *doc, const struct mw_value *v, struct mw_buf *out);

#endif
