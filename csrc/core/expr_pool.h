/* expr_pool.h -- how expressions are stored: what expr.c builds and the evaluation walks.
 *
 * Private to what builds and walks them, and to the mapping. Nodes refer to each other by number;
 * whatever they hold beside numbers (names, constants, lists) lies in the pool's arena and stays put.
 */
#ifndef MW_EXPR_POOL_H
#define MW_EXPR_POOL_H

#include "expr.h"

enum mw_expr_kind {
	MW_EXPR_NONE,
	MW_EXPR_SCOPE, /* the first three are paths */
	MW_EXPR_MEMBER,
	MW_EXPR_ELEMENT,
	MW_EXPR_HEADER,
	MW_EXPR_CONSTANT,
	MW_EXPR_UNARY,
	MW_EXPR_BINARY,
	MW_EXPR_LIST,
	MW_EXPR_APPLY,
	MW_EXPR_OBJECT,
};

/* Most keys and values are shorter than this. Copying that many bytes whatever the length is one load and one
 * store or two, where a copy of the exact length is a call and a branch that nobody predicts. Keys and
 * constants are therefore stored with as many bytes behind them. */
enum { MW_WIDE = 32 };

struct mw_constant {
	struct mw_value value;
	struct mw_span json; /* the same, ready to be copied */
	uint64_t shape;
};

struct mw_member {
	struct mw_span name; /* its characters */
	struct mw_span key;  /* "name": */
	uint64_t hash;       /* mw_shape_key of the name */
	uint32_t value;
	uint32_t slot; /* and the next two: of a value that is a path, as there */
	uint8_t scope;
	bool is_field;   /* a path that is not watched, and the key is no longer than MW_WIDE ... */
	bool is_nested;  /* ... the same of an object */
	bool is_watched; /* its value counts for the shape, too (mw_shape_watches) */
};

struct mw_expr {
	uint8_t kind;
	uint8_t op;    /* enum mw_op of UNARY, BINARY, LIST */
	uint8_t scope; /* path: where it starts; MW_SCOPES if it starts from another expression */
	uint8_t depth;
	uint32_t a;
	uint32_t b;     /* BINARY: second operand. LIST, OBJECT: how many */
	uint32_t slot;  /* path: its place in a memo */
	uint32_t fan;   /* path that members go on from: its place in a memo, from 1 */
	uint32_t tag;   /* MEMBER: mw_json_tag of its name */
	uint32_t chain; /* path: the next one in its bucket */
	const struct mw_span *place;
	union {
		struct mw_span name; /* MEMBER, HEADER */
		int64_t index;       /* ELEMENT */
		const struct mw_constant *constant;
		const uint32_t *items;
		const struct mw_member *members;
		int function;
	};
};

/* The place of the one with that name; `count` if there is none. */
static inline uint32_t mw_member_find(const struct mw_member *members, uint32_t count, struct mw_span name)
{
	uint32_t i = 0;
	while (i < count && !mw_span_equal(members[i].name, name))
		i++;
	return i;
}

enum { MW_PATH_BUCKETS = 1024 };

struct mw_exprs {
	struct mw_expr *at; /* number 0 is NONE */
	uint64_t number;    /* no other pool has it */
	uint32_t count;
	uint32_t cap;
	uint32_t paths; /* slots given out */
	uint32_t fans;  /* the same of fans, with number 0 */
	uint32_t buckets[MW_PATH_BUCKETS];
	struct mw_arena arena;
	struct mw_error error; /* the first one */
};

/* The bucket of members of path `of` whose names have that tag. */
static inline uint32_t mw_path_bucket(uint32_t of, uint32_t tag)
{
	return (of * 2654435761u ^ tag * 2246822519u) >> 22;
}

static inline bool mw_expr_is_path(const struct mw_expr *n)
{
	return n->kind >= MW_EXPR_SCOPE && n->kind <= MW_EXPR_ELEMENT;
}

/* What one call of mw_expr_eval and its like carries along. */
struct mw_walk {
	const struct mw_exprs *x;
	const struct mw_scene *s;
	struct mw_error *e;
	uint32_t base[MW_SCOPES + 1]; /* the scene's, but the item that :map is at; the last: no scope */
	uint32_t steps;               /* elements visited */
	uint64_t shape;               /* of the members written so far: their sum */
	bool placed;                  /* the error in `e` says where already */
};

/* No such node. (0 is the root: a path can lead to it, a member can't.) */
#define MW_NOWHERE UINT32_MAX

struct mw_found {
	uint64_t serial; /* of the document it was found in */
	uint32_t base;   /* the node that the path started from */
	uint32_t node;
};

/* path.c: follow a path that was not followed yet. */
enum mw_err mw_path_follow(struct mw_walk *w, uint32_t path, uint32_t *node);

/* Where a path leads; *node is MW_NOWHERE if nowhere. The serial tells documents apart, the base the events
 * and items of one. */
static inline enum mw_err mw_path_find(struct mw_walk *w, uint32_t path, uint32_t *node)
{
	const struct mw_expr *n = &w->x->at[path];
	const struct mw_memo *memo = w->s->memo;
	const struct mw_found *found = &memo->found[n->slot];
	if (found->serial != memo->serial || found->base != w->base[n->scope])
		return mw_path_follow(w, path, node);
	*node = found->node;
	return MW_OK;
}

/* The text of an id or a name where that costs nothing: the expression is a path that was followed already,
 * or an ANY that begins with one, and leads to a string that is neither empty nor escaped. So it nearly
 * always is; if not, mw_expr_eval_id says what it is. */
static inline bool mw_expr_known_text(const struct mw_exprs *x, uint32_t expr, const struct mw_scene *s,
				      struct mw_span *text)
{
	const struct mw_expr *n = &x->at[expr];
	if (n->kind == MW_EXPR_LIST && n->op == MW_OP_ANY && n->b > 0)
		n = &x->at[n->items[0]];
	if (!mw_expr_is_path(n) || n->scope == MW_SCOPES)
		return false;
	const struct mw_found *found = &s->memo->found[n->slot];
	if (found->serial != s->memo->serial || found->base != s->base[n->scope] || found->node == MW_NOWHERE)
		return false;
	const struct mw_json_node *node = &s->doc->nodes[found->node];
	*text = (struct mw_span){s->doc->text + node->at, node->len};
	return node->type == MW_JSON_STRING && node->flags == 0 && node->len > 0;
}

/* eval.c: the value of any expression; absent for 0. */
enum mw_err mw_walk_eval(struct mw_walk *w, uint32_t expr, struct mw_value *out);

/* expr_write.c: the same as JSON behind what `out` holds; an object's members without its braces, and their
 * shape. */
enum mw_err mw_walk_write(struct mw_walk *w, uint32_t expr, struct mw_buf *out, bool *present);
enum mw_err mw_walk_write_members(struct mw_walk *w, uint32_t expr, struct mw_buf *out, uint64_t *shape);

/* eval.c: an error is made by fail; on its way out the first place is put in front of it, and before that
 * the names of the members it passes. These return `err`. */
enum mw_err mw_walk_fail(struct mw_walk *w, enum mw_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum mw_err mw_walk_place(struct mw_walk *w, const struct mw_span *place, enum mw_err err);
enum mw_err mw_walk_name(struct mw_walk *w, struct mw_span name, enum mw_err err);

/* The elements of an array, one after the other. */
struct mw_elements {
	const struct mw_json *doc;
	const uint32_t *nodes; /* NULL: children of an array, `next` is the first of them */
	uint32_t next;
	uint32_t left;
};

/* eval_array.c: false if `v` is no array that came from the event. */
bool mw_elements_of(const struct mw_json *doc, const struct mw_value *v, struct mw_elements *all);

/* eval_array.c: the elements of what a MAP, FILTER or SUM is applied to; each visit is a step, and steps are
 * counted. */
enum mw_err mw_walk_elements(struct mw_walk *w, const struct mw_expr *n, struct mw_elements *all,
			     bool *present);
enum mw_err mw_walk_step(struct mw_walk *w);

static inline bool mw_elements_next(struct mw_elements *all, uint32_t *node)
{
	if (all->left == 0)
		return false;
	all->left--;
	if (all->nodes) {
		*node = *all->nodes++;
		return true;
	}
	*node = all->next;
	all->next = mw_json_after(all->doc, all->next);
	return true;
}

#endif
