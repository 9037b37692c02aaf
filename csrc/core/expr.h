/* expr.h -- the expressions of a mapping, and their evaluation.
 *
 * A pool of small nodes that refer to each other by number (0: none, always absent). The
 * Lua side builds them once, at load; from then on the pool is read-only and any number of
 * events are evaluated against it. Equal paths are stored once.
 *
 *     get "order.amount" / 100      1 item   2 member 1 "order"   3 member 2 "amount"
 *                                   4 integer 100   5 divide 3 4
 *
 * Absent in, absent out: each operation on an absent operand is absent, but for DEFAULT, ANY, ALL and NONE.
 * Numbers: integers stay exact int64 under + - *; / gives a double; a string that is nothing
 * but a number counts as one. Anything else is MW_MAPPING with the place of the expression.
 */
#ifndef MW_EXPR_H
#define MW_EXPR_H

#include "identity.h"
#include "limits.h"
#include "message.h"
#include "value.h"

enum mw_scope {
	MW_SCOPE_ITEM,  /* the element inside :map and :filter, else the event */
	MW_SCOPE_EVENT, /* the event: one element of `each`, or the whole body */
	MW_SCOPE_BODY,  /* the whole body */
	MW_SCOPES,
};

enum mw_op {
	/* unary */
	MW_OP_LOWER, /* ASCII letters only; other characters stay */
	MW_OP_UPPER,
	MW_OP_TRIM,  /* ASCII white space at both ends; what is empty then is absent */
	MW_OP_FIRST, /* of an array. Here and in SUM, MAP and FILTER a path to a string, number or boolean is
		      * one of one; XML goes further (json_read.h) */
	MW_OP_LAST,
	MW_OP_TIME,    /* ISO 8601 or Unix time to "2026-11-23T21:58:00.123Z"; "" is absent */
	MW_OP_STRING,  /* number or boolean to its text */
	MW_OP_NUMBER,  /* numeric text to a number; "" is absent */
	MW_OP_BOOLEAN, /* "true" "yes" "on" "1" and their opposites in any case; "" is false; a number
			* is true unless it is 0 */
	MW_OP_SHA256,  /* of the characters, as 64 lower-case hex digits */
	MW_OP_SNAKE,   /* an object, its members' names in snake_case, and those of what is inside */
	/* binary */
	MW_OP_CONCAT,
	MW_OP_ADD,
	MW_OP_SUB,
	MW_OP_MUL,
	MW_OP_DIV,
	MW_OP_DEFAULT, /* a, or b if a is absent */
	MW_OP_IS,      /* same text or, if either is a number, same number: a boolean. If b is an ARRAY of
			* expressions: the same as one of them */
	MW_OP_ABOVE,   /* number a is larger than number b: a boolean */
	MW_OP_BELOW,
	MW_OP_MONEY,    /* a in minor units of currency b: 1999, "USD" is 19.99; "JPY" 1999; "KWD" 1.999.
			 * An absent b counts as two decimals; an a of "" is absent */
	MW_OP_BEFORE,   /* of text a what stands before the first b, a non-empty text; all of it where there
			 * is no b. What is empty then is absent */
	MW_OP_AFTER,    /* the same of what stands behind the first b */
	MW_OP_CONTAINS, /* whether text a has b, a text, in it: a boolean */
	MW_OP_WHEN,     /* a if b is true, as FILTER has it; else absent */
	MW_OP_JSON,     /* of the JSON in text a what the path b leads to, an ARRAY of constants: names, and
			 * places counted from 0. A text of white space alone is absent */
	MW_OP_WITHOUT,  /* object a, but not the members that object b (of constants) has */
	MW_OP_SUM,    /* of b for each element of array a; decimals are added as such: 0.1 and 0.2 are 0.3 */
	MW_OP_MAP,    /* array a, each element as b; elements for which b is absent are left out */
	MW_OP_FILTER, /* array a, the elements for which b is true. Comes before MAP, never behind it */
	MW_OP_LOOKUP, /* the member of object b (made of constants) named by a's text */
	/* lists */
	MW_OP_ANY,   /* the first present one */
	MW_OP_ARRAY, /* JSON array of those present */
	MW_OP_ALL,   /* whether all of them are true, as FILTER has it; a boolean, whatever is absent ... */
	MW_OP_NONE,  /* ... and whether none is */
};

struct mw_exprs;

struct mw_exprs *mw_exprs_new(void);
void mw_exprs_free(struct mw_exprs *x);

/* Builders. Each returns the new expression's number, or 0 when memory is short or a limit
 * (MW_EXPR_MAX, MW_EXPR_DEPTH_MAX) is passed; mw_exprs_error then says which. Bytes are copied. */
uint32_t mw_expr_scope(struct mw_exprs *x, enum mw_scope scope);
uint32_t mw_expr_member(struct mw_exprs *x, uint32_t of, struct mw_span name);
uint32_t mw_expr_element(struct mw_exprs *x, uint32_t of, int64_t i); /* from 0; negative from the end */
uint32_t mw_expr_header(struct mw_exprs *x, struct mw_span name);     /* case does not matter */
uint32_t mw_expr_null(struct mw_exprs *x);                            /* a JSON null that is written */
uint32_t mw_expr_bool(struct mw_exprs *x, bool value);
uint32_t mw_expr_int(struct mw_exprs *x, int64_t value);
uint32_t mw_expr_double(struct mw_exprs *x, double value);
uint32_t mw_expr_string(struct mw_exprs *x, struct mw_span utf8); /* 0 too if it is not UTF-8 */
uint32_t mw_expr_unary(struct mw_exprs *x, enum mw_op op, uint32_t a);
uint32_t mw_expr_binary(struct mw_exprs *x, enum mw_op op, uint32_t a, uint32_t b);
uint32_t mw_expr_list(struct mw_exprs *x, enum mw_op op, const uint32_t *items, size_t n);
uint32_t mw_expr_apply(struct mw_exprs *x, uint32_t a, int function); /* the host's function number */

/* Members in the order given. One whose value is absent is left out, and so is a nested object that ends up
 * empty. Of two members with one name the later value counts, at the earlier place. */
uint32_t mw_expr_object(struct mw_exprs *x, const struct mw_span *names, const uint32_t *values, size_t n);

/* Where the expression stands in the script: "acme.lua:14: Order Completed: total". Errors begin with the
 * innermost place. A path that is used at several places has none: its users' counts. */
void mw_expr_place(struct mw_exprs *x, uint32_t expr, struct mw_span place);

struct mw_error mw_exprs_error(const struct mw_exprs *x);

struct mw_header {
	struct mw_span name;
	struct mw_span value;
};

/* What the pure core asks of its host. Called on the mapping thread, `context` is handed back. */
struct mw_host {
	void *context;
	mw_sha256 *sha256;
	void (*random)(void *context, uint8_t bytes[16]);
	/* The script's function `function` on one value; the answer's text lives in the arena. */
	enum mw_err (*apply)(void *context, int function, const struct mw_json *doc,
			     const struct mw_value *argument, struct mw_arena *arena, struct mw_value *result,
			     struct mw_error *e);
	/* Who is known by `id` to be a user of `account`? What is found is borrowed until the next question.
	 * NULL: nobody ever is. */
	enum mw_err (*identify)(void *context, struct mw_span account, enum mw_identity_kind kind,
				struct mw_span id, struct mw_identity_found *found, struct mw_error *e);
};

/* Where paths led in the document at hand, so that each is followed once. Working memory of one thread;
 * zero it first. */
struct mw_memo {
	struct mw_found *found;       /* by path, in the document at hand ... */
	uint64_t serial;              /* ... which this tells apart from others */
	struct mw_fan *fans;          /* by path that others go on from */
	struct mw_layout *layout;     /* of the last document */
	struct mw_layout *layouts;    /* of earlier documents; the next is theirs */
	struct mw_patterns *patterns; /* by layout */
	struct mw_found *all_found;
	uint64_t last_serial;
	uint64_t pool; /* whose paths */
	uint32_t paths;
	uint32_t fan_count;
	uint32_t hand; /* the layout to be forgotten next, unless it was used */
	uint32_t last; /* pattern that fitted */
	uint32_t vain; /* documents since */
};

/* Forget what was found and make room for the paths of `x`: before each document. MW_NO_MEMORY. */
enum mw_err mw_memo_start(struct mw_memo *memo, const struct mw_exprs *x);

/* The same, but what was found in a document laid out just like `doc` is known still. */
enum mw_err mw_memo_recall(struct mw_memo *memo, const struct mw_exprs *x, const struct mw_json *doc);

/* Read a document that has the text of an earlier one but for its values, and start as recall does. False,
 * and nothing done, if it has not. */
bool mw_memo_read(struct mw_memo *memo, const struct mw_exprs *x, struct mw_json *doc, struct mw_span text);

void mw_memo_deinit(struct mw_memo *memo);

/* Everything an evaluation reads. */
struct mw_scene {
	const struct mw_json *doc;
	uint32_t base[MW_SCOPES]; /* the nodes that paths start from */
	const struct mw_header *headers;
	size_t header_count;
	struct mw_arena *arena;
	struct mw_memo *memo;
	const struct mw_host *host;
	bool counts_shapes; /* of what is written */
	/* The inside of a string: members that are the same get MW_CLASS_ECHO; at == NULL: none do. */
	struct mw_span echo;
	struct mw_span place; /* where an expression stands that has no place of its own ... */
	const char *field;    /* ... and what it is for; NULL: not said */
};

enum mw_err mw_expr_eval(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			 struct mw_value *out, struct mw_error *e);

/* The same for what must be the text of an id or a name: a non-empty string, or a number. Empty strings
 * count as absent, for ANY and DEFAULT too; booleans, arrays and objects are MW_MAPPING. */
enum mw_err mw_expr_eval_id(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			    struct mw_value *out, struct mw_error *e);

/* A date or a Unix time. */
struct mw_expr_time {
	bool present;
	int64_t ms;             /* since 1970, unless ... */
	struct mw_span written; /* ... it was in our own form already; else at == NULL */
};

enum mw_err mw_expr_eval_time(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			      struct mw_expr_time *time, struct mw_error *e);

/* Evaluate and append as JSON; *present false, and nothing appended, if it is absent. */
enum mw_err mw_expr_write(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
			  struct mw_buf *out, bool *present, struct mw_error *e);

/* The same for the members of an object without its braces: "a":1,"b":2. What is absent has none; what is
 * no object is MW_MAPPING. *shape is theirs (shape.h), 0 if the scene does not count shapes. */
enum mw_err mw_expr_write_members(const struct mw_exprs *x, uint32_t object, const struct mw_scene *s,
				  struct mw_buf *out, uint64_t *shape, struct mw_error *e);

#endif
