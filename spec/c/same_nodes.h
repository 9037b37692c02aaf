/* same_nodes.h -- has a pattern made of a text what the reader makes of it? */
#ifndef SAME_NODES_H
#define SAME_NODES_H

#include "../../csrc/core/json_read.h"

/* All nodes alike, but that the keys of one may lie elsewhere. */
static bool has_same_nodes(const struct mw_json *made, const struct mw_json *read)
{
	if (made->count != read->count)
		return false;
	for (uint32_t i = 0; i < read->count; i++) {
		struct mw_json_node node = made->nodes[i];
		if (node.type == MW_JSON_KEY) {
			if (!mw_span_equal(mw_json_raw(made, i), mw_json_raw(read, i)))
				return false;
			node.at = read->nodes[i].at;
		}
		if (memcmp(&node, &read->nodes[i], sizeof node) != 0)
			return false;
	}
	return true;
}

#endif
