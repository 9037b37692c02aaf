/* memo.h -- where paths led: in this document, and in earlier ones that were laid out alike.
 *
 * Events of one kind differ in their values, hardly ever in their members. A layout is what is left of
 * a tape without the values: its keys and containers, and where each of them ends.
 *
 *     {"id":7,"to":{"name":"Ann"}}     0 object to 6 . 1 key . 3 key . 4 object to 7 . 5 key
 *
 * In a document that matches one, which is told in a few instructions a node, every path leads to the
 * same node as then, and none is followed again. Keys are compared by their tags, and byte by byte where a
 * path went: a key whose tag no path has is nobody's, whatever its name.
 *
 * Private to memo.c and path.c.
 */
#ifndef MW_MEMO_H
#define MW_MEMO_H

#include "expr_pool.h"
#include "patterns.h"
#include "scan.h"

enum {
	MW_FAN_PLACES = 32,       /* of an object, that are remembered */
	MW_LAYOUTS = MW_PATTERNS, /* kinds of events that may take turns: each has its pattern */
	MW_LAYOUT_PARTS = 128,    /* keys and containers; longer documents are batches, no two alike */
	MW_LAYOUT_NODES = 3 * MW_LAYOUT_PARTS,
	MW_MISSES = 8,    /* until the pattern of a layout is taken anew */
	MW_VAIN = 16,     /* documents in a row that had no pattern: from then on ... */
	MW_VAIN_STEP = 8, /* ... only each eighth is tried */
};

/* A name to be found again. Its first and last eight bytes are compared as numbers, without a branch on
 * its length; those of shorter ones through a mask. */
struct mw_met_name {
	uint32_t len;
	uint32_t last; /* where the last eight begin */
	uint64_t mask;
	uint64_t first_bytes;
	uint64_t last_bytes;
	const uint8_t *at;
};

/* What was met at one place of an object. */
struct mw_fan_place {
	uint32_t mark; /* type, flags and tag of the key; 0: nothing was */
	uint32_t slot; /* of the path to it, from 1; 0: no path has a name of that tag */
	struct mw_met_name name;
};

/* The members of the object that a path led to, and that others go on from. */
struct mw_fan {
	uint64_t serial;
	uint32_t object; /* whose members are noted */
	struct mw_fan_place places[MW_FAN_PLACES];
};

struct mw_layout_name {
	uint32_t key; /* its node */
	struct mw_met_name name;
};

struct mw_layout {
	uint32_t count; /* nodes of the document; 0: matches none */
	uint32_t parts;
	uint32_t names;
	uint64_t serial;
	struct mw_found *found;
	struct mw_layout_part {
		uint32_t node;
		uint64_t rest; /* of the node: next, type, flags and aux as they lie in memory */
	} part[MW_LAYOUT_PARTS];
	struct mw_layout_name name[MW_LAYOUT_PARTS];
	bool is_named[MW_LAYOUT_NODES]; /* by node: items are walked in each document, and noted once */
	uint32_t misses; /* documents laid out like this that did not fit the pattern, in a row */
	bool is_used;    /* since it was last thought of forgetting it */
};

static inline bool mw_met_name_is(const struct mw_met_name *met, const struct mw_json *doc,
				  const struct mw_json_node *key)
{
	const uint8_t *at = doc->keys + key->at;
	if (met->len != key->len)
		return false;
	if (doc->keys_len - key->at < 8 || met->len > 16)
		return memcmp(met->at, at, met->len) == 0;
	uint64_t differ =
	    (mw_scan_load(at) ^ met->first_bytes) | (mw_scan_load(at + met->last) ^ met->last_bytes);
	return (differ & met->mask) == 0;
}

/* A path went to this key: documents with another one there are laid out differently. */
void mw_memo_name(struct mw_memo *memo, uint32_t key, const struct mw_met_name *name);

/* There is a key that can't be told by its tag and name: the document is not to be remembered. */
void mw_memo_forget(struct mw_memo *memo);

#endif
