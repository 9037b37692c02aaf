#include "memo.h"

#include <stdlib.h>

/* The last of the layouts is that of documents which are not remembered. */
enum { PASSING = MW_LAYOUTS, ALL_LAYOUTS };

static void free_rooms(struct mw_memo *memo)
{
	free(memo->all_found);
	free(memo->fans);
	free(memo->layouts);
	free(memo->patterns);
	memo->all_found = memo->found = NULL;
	memo->fans = NULL;
	memo->layouts = memo->layout = NULL;
	memo->patterns = NULL;
	memo->paths = memo->fan_count = 0;
}

/* At least one of each, so that NULL is always a lack of memory. */
static bool make_rooms(struct mw_memo *memo, const struct mw_exprs *x)
{
	size_t paths = (size_t)x->paths + 1, fans = (size_t)x->fans + 1;
	free_rooms(memo);
	memo->all_found = calloc(paths * ALL_LAYOUTS, sizeof *memo->all_found);
	memo->fans = calloc(fans, sizeof *memo->fans);
	memo->layouts = calloc(ALL_LAYOUTS, sizeof *memo->layouts);
	memo->patterns = calloc(1, sizeof *memo->patterns);
	if (!memo->all_found || !memo->fans || !memo->layouts || !memo->patterns) {
		free_rooms(memo);
		return false;
	}
	mw_patterns_init(memo->patterns);
	memo->paths = x->paths;
	memo->fan_count = x->fans;
	for (size_t i = 0; i < ALL_LAYOUTS; i++)
		memo->layouts[i].found = memo->all_found + i * paths;
	return true;
}

/* The pool may have changed, or have got more paths since. */
static enum mw_err prepare(struct mw_memo *memo, const struct mw_exprs *x)
{
	if (memo->pool == x->number && memo->paths == x->paths && memo->fan_count == x->fans)
		return MW_OK;
	memo->pool = 0;
	if (!make_rooms(memo, x))
		return MW_NO_MEMORY;
	memo->pool = x->number;
	return MW_OK;
}

/* What follows is found in the document at hand, of which nothing is known. */
static void begin(struct mw_memo *memo, struct mw_layout *layout)
{
	layout->count = 0;
	layout->names = 0;
	layout->serial = ++memo->last_serial;
	memo->layout = layout;
	memo->found = layout->found;
	memo->serial = layout->serial;
}

enum mw_err mw_memo_start(struct mw_memo *memo, const struct mw_exprs *x)
{
	enum mw_err err = prepare(memo, x);
	if (!err)
		begin(memo, &memo->layouts[PASSING]);
	return err;
}

void mw_memo_deinit(struct mw_memo *memo)
{
	free_rooms(memo);
	*memo = (struct mw_memo){0};
}

/* ---- layouts */

static inline uint64_t rest_of(const struct mw_json_node *node)
{
	return mw_scan_load((const uint8_t *)node + offsetof(struct mw_json_node, next));
}

/* Two documents with the same keys and containers, each ending at the same node, have the same nodes, but
 * that an empty container may stand where there was a scalar: no path leads into either. */
static bool is_alike(const struct mw_layout *layout, const struct mw_json *doc)
{
	const struct mw_json_node *nodes = doc->nodes;
	const struct mw_layout_part *part = layout->part, *end = part + layout->parts;
	uint64_t differ = 0;
	if (layout->count != doc->count)
		return false;
	for (; part < end; part++)
		differ |= rest_of(&nodes[part->node]) ^ part->rest;
	if (differ != 0)
		return false;
	for (uint32_t i = 0; i < layout->names; i++) {
		if (!mw_met_name_is(&layout->name[i].name, doc, &nodes[layout->name[i].key]))
			return false;
	}
	return true;
}

static uint32_t number_of(const struct mw_memo *memo, const struct mw_layout *layout)
{
	return (uint32_t)(layout - memo->layouts);
}

/* One that was used since the hand last passed it may stay another round. */
static struct mw_layout *forget_one(struct mw_memo *memo)
{
	for (;;) {
		struct mw_layout *layout = &memo->layouts[memo->hand];
		memo->hand = (memo->hand + 1) % MW_LAYOUTS;
		if (!layout->is_used)
			return layout;
		layout->is_used = false;
	}
}

/* Its pattern is taken when it comes again: some documents are the only ones of their kind. */
static void remember(struct mw_memo *memo, const struct mw_json *doc)
{
	struct mw_layout *layout = forget_one(memo);
	mw_patterns_drop(memo->patterns, number_of(memo, layout));
	begin(memo, layout);
	uint32_t parts = 0;
	for (uint32_t i = 0; i < doc->count; i++) {
		if (doc->nodes[i].type < MW_JSON_ARRAY)
			continue;
		if (parts == MW_LAYOUT_PARTS)
			return;
		layout->part[parts++] = (struct mw_layout_part){i, rest_of(&doc->nodes[i])};
	}
	layout->parts = parts;
	layout->count = doc->count;
	layout->misses = MW_MISSES - 1;
	memset(layout->is_named, 0, sizeof layout->is_named);
}

static void recall(struct mw_memo *memo, struct mw_layout *layout)
{
	memo->layout = layout;
	memo->found = layout->found;
	memo->serial = layout->serial;
	layout->is_used = true;
}

enum mw_err mw_memo_recall(struct mw_memo *memo, const struct mw_exprs *x, const struct mw_json *doc)
{
	/* An array is split: its events would overwrite each other's findings. And where one is taken for
	 * many, paths lead elsewhere than in JSON laid out alike. */
	if (doc->nodes[0].type != MW_JSON_OBJECT || doc->count > MW_LAYOUT_NODES || doc->takes_one_for_many)
		return mw_memo_start(memo, x);
	enum mw_err err = prepare(memo, x);
	if (err)
		return err;
	for (struct mw_layout *l = memo->layouts; l < memo->layouts + MW_LAYOUTS; l++) {
		if (is_alike(l, doc)) {
			if (++l->misses % MW_MISSES == 0)
				mw_patterns_take(memo->patterns, number_of(memo, l), doc);
			recall(memo, l);
			return MW_OK;
		}
	}
	remember(memo, doc);
	return MW_OK;
}

bool mw_memo_read(struct mw_memo *memo, const struct mw_exprs *x, struct mw_json *doc, struct mw_span text)
{
	if (doc->takes_one_for_many || !memo->layouts || memo->pool != x->number || memo->paths != x->paths ||
	    memo->fan_count != x->fans)
		return false;
	/* Where hardly two documents are alike, trying would cost more than it saves. */
	if (memo->vain > MW_VAIN && memo->vain++ % MW_VAIN_STEP != 0)
		return false;
	uint32_t which = mw_patterns_read(memo->patterns, memo->last, doc, text);
	if (which == MW_PATTERNS) {
		memo->vain++;
		return false;
	}
	memo->vain = 0;
	memo->last = which;
	recall(memo, &memo->layouts[which]);
	memo->layout->misses = 0;
	return true;
}

static bool has_name(const struct mw_pattern *pattern, uint32_t key, const struct mw_met_name *name)
{
	const struct mw_json like = {.keys = pattern->text, .keys_len = sizeof pattern->text};
	return key < pattern->count && mw_met_name_is(name, &like, &pattern->nodes[key]);
}

void mw_memo_name(struct mw_memo *memo, uint32_t key, const struct mw_met_name *name)
{
	struct mw_layout *layout = memo->layout;
	if (layout->count == 0 || layout->is_named[key])
		return;
	layout->is_named[key] = true;
	layout->name[layout->names++] = (struct mw_layout_name){key, *name};
	/* The pattern may be of an earlier document, in which nobody asked for this name. */
	uint32_t number = number_of(memo, layout);
	if (!has_name(&memo->patterns->each[number], key, name))
		mw_patterns_drop(memo->patterns, number);
}

void mw_memo_forget(struct mw_memo *memo)
{
	if (memo->layout->count == 0)
		return;
	memo->layout->count = 0;
	mw_patterns_drop(memo->patterns, number_of(memo, memo->layout));
}
