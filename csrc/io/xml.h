/* xml.h -- XML bodies as JSON, so that one mapping language fits both.
 *
 *     <soap:Order id="7"><Line>a</Line><Line>b</Line><Note/><Total cur="EUR">9</Total></soap:Order>
 *
 *     {"Order":{"@id":"7","Line":["a","b"],"Note":"","Total":{"@cur":"EUR","#text":"9"}}}
 *
 * An element with neither attributes nor elements inside is its text. Else it is an object: attributes are
 * @name, elements stand under their names, text (if it is more than white space) under #text. What is
 * repeated becomes an array, where the first of them stands; the mapping then takes what is not repeated for
 * an array of one (see struct mw_json). Prefixes of names are left off, and declarations of namespaces left
 * out; xsi:nil makes a null. Every value is a string.
 *
 * A document type, and with it every entity of its own, is refused: no file or address is ever read, nothing
 * expands. By expat; linked into moonweir.xml only.
 */
#ifndef MW_XML_H
#define MW_XML_H

#include "../core/buf.h"

enum {
	MW_XML_DEPTH_MAX = 60,      /* as JSON up to twice as deep, which MW_JSON_DEPTH_MAX still takes */
	MW_XML_NODES_MAX = 1000000, /* elements and attributes: some 60 MB while they are read */
};

/* Append the JSON to `out`. MW_INVALID with line and column for what is no XML, or XML that is not taken;
 * MW_TOO_LARGE, MW_NO_MEMORY; on error the buffer is as it was. The encoding is what the XML says of itself:
 * UTF-8, UTF-16, ISO-8859-1 or US-ASCII. */
enum mw_err mw_xml_to_json(struct mw_span body, struct mw_buf *out, struct mw_error *e);

#endif
