/* xml_reader.h -- how moonweir.xml, a module of its own, tells mappers that it is there: a pointer to this in
 * the registry. It is good as long as the Lua state, for modules are unloaded after all values are gone. */
#ifndef MWL_XML_READER_H
#define MWL_XML_READER_H

#include "../core/buf.h"

#define MWL_XML_READER "moonweir.xml_reader.1" /* another number with another struct */

struct mwl_xml_reader {
	enum mw_err (*to_json)(struct mw_span body, struct mw_buf *out, struct mw_error *e);
};

#endif
