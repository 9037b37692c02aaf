/* operate.h -- one operation of the mapping on values that are there.
 *
 * Private to the evaluation, which handles absence, MAP, FILTER, SUM, lists, DEFAULT, WHEN and LOOKUP itself.
 */
#ifndef MW_OPERATE_H
#define MW_OPERATE_H

#include "expr_pool.h"

enum mw_err mw_operate_unary(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			     struct mw_value *out);

/* CONCAT, IS, ABOVE, BELOW, BEFORE, AFTER, CONTAINS, MONEY and arithmetic. For MONEY `b` may be absent. */
enum mw_err mw_operate_binary(struct mw_walk *w, enum mw_op op, const struct mw_value *a,
			      const struct mw_value *b, struct mw_value *out);

/* reshape.c: objects made of objects of the event, and what stands in JSON in a text. `table` and `steps` are
 * the operand b of WITHOUT and JSON. */
enum mw_err mw_reshape_snake(struct mw_walk *w, const struct mw_value *a, struct mw_value *out);
enum mw_err mw_reshape_without(struct mw_walk *w, const struct mw_value *a, const struct mw_expr *table,
			       struct mw_value *out);
enum mw_err mw_reshape_json(struct mw_walk *w, const struct mw_value *a, const struct mw_expr *steps,
			    struct mw_value *out);

/* eval_array.c: FILTER and SUM; and FIRST or LAST of a MAP: the elements are made one by one, and no array of
 * them. */
enum mw_err mw_array_filter(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out);
enum mw_err mw_array_sum(struct mw_walk *w, const struct mw_expr *n, struct mw_value *out);
enum mw_err mw_array_end_of_map(struct mw_walk *w, enum mw_op op, const struct mw_expr *map,
				struct mw_value *out);

/* A date or Unix time as milliseconds since 1970; *present false for an empty string. */
enum mw_err mw_operate_time(struct mw_walk *w, const struct mw_value *a, int64_t *ms, bool *present);

/* complain.c: fails because `a` is what `op` can't be done to. */
enum mw_err mw_operate_refuse(struct mw_walk *w, enum mw_op op, const struct mw_value *a);

/* The same: fails because the arena is full. */
enum mw_err mw_operate_full(struct mw_walk *w);

#endif
