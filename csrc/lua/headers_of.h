/* headers_of.h -- how a userdata of another module gives a mapper headers without a table of them: its
 * metatable has a pointer to this under MWL_HEADERS_OF. It is good as long as the Lua state. */
#ifndef MWL_HEADERS_OF_H
#define MWL_HEADERS_OF_H

#include "../core/expr.h"
#include "compat.h"

#define MWL_HEADERS_OF "moonweir.headers_of.1" /* another number with another struct */

struct mwl_headers_of {
	/* Writes at most `max` headers of the userdata at `index`, whose texts live as long as its request is
	 * not answered; how many. Raises if it is. */
	size_t (*read)(lua_State *L, int index, struct mw_header *out, size_t max);
};

#endif
