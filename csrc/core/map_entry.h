/* map_entry.h -- how a compiled source is stored: what map.c builds and the mapping (mapping.h) runs.
 *
 * Private to the two. Entries are found by a hash table over their names; an entry's calls are
 * chained in the order in which they were added.
 */
#ifndef MW_MAP_ENTRY_H
#define MW_MAP_ENTRY_H

#include "map.h"

enum mw_entry_kind { MW_ENTRY_IGNORE, MW_ENTRY_CALLS, MW_ENTRY_FUNCTION };

struct mw_entry_call {
	struct mw_map_call as_given;
	struct mw_span name; /* the event's name as the inside of a JSON string, if it is a constant */
	bool has_parts;      /* says itself whose, when or which it is, or is made for each of a list */
	bool context_is_one; /* `context` is the source's and the call's members in one object, else one of
			      * the two is only known when it runs */
	uint32_t context;
	struct mw_entry_call *next;
};

struct mw_entry {
	struct mw_span name;
	enum mw_entry_kind kind;
	int function;
	struct mw_span place;
	struct mw_entry_call *calls;
	struct mw_entry *next;   /* all entries, for the rebuilding of contexts */
	struct mw_entry *family; /* the next of those for all names that begin so, the longest first */
};

struct mw_map {
	struct mw_exprs *x;
	uint32_t parts[MW_PARTS];
	enum mw_missing_user missing;
	enum mw_unmatched unmatched;
	struct mw_entry **table; /* open addressing, a power of two, at most half full */
	uint32_t table_size;
	uint32_t entry_count;
	struct mw_entry *entries;
	struct mw_entry *families; /* the entries whose names end in a star */
	struct mw_arena arena;
	struct mw_span slug;
	struct mw_span version;
	struct mw_span stamp;
	/* What a function's message has without saying so: the source's context. */
	struct mw_entry_call plain;
};

/* NULL if the source has none of that name. */
const struct mw_entry *mw_map_entry(const struct mw_map *m, struct mw_span name);

/* Then the one with a star for what begins so, the longest beginning first; NULL if there is none. */
const struct mw_entry *mw_map_family(const struct mw_map *m, struct mw_span name);

#endif
