/* pattern.h -- a document once more, with other values.
 *
 * Events of one kind are written by one program: between their values stands the same text each time.
 * A pattern keeps that text, and reads a document that has it by comparing, where the reader would look at
 * every key, bracket and comma anew:
 *
 *     {"id":7,"to":{"name":"Ann"}}      {"id": . ,"to":{"name": . }}
 *     {"id":12,"to":{"name":null}}      the same, so the same nodes, but for the two values
 *
 * Values are numbers, strings and words; each is checked as the reader checks it. What does not
 * fit is left to the reader: a pattern never says that a text is wrong.
 */
#ifndef MW_PATTERN_H
#define MW_PATTERN_H

#include "json_read.h"
#include "scan.h"

enum {
	MW_PATTERN_TEXT = 4096,  /* bytes of the document, and of those that are read with it */
	MW_PATTERN_NODES = 384,  /* of its tape */
	MW_PATTERN_VALUES = 192, /* in it, and one for its end */
};

struct mw_pattern {
	uint32_t count;  /* nodes; 0: fits nothing */
	uint64_t number; /* of all patterns that were ever taken */
	uint32_t parts;
	/* The text in front of a value. The last part has none. */
	struct mw_pattern_part {
		struct mw_scan_text head; /* its first bytes */
		uint32_t at;
		uint32_t len;
		uint32_t value; /* its node */
		int32_t room;   /* bytes for it, a quote and a window: nobody need look where the text ends */
	} part[MW_PATTERN_VALUES];
	uint32_t containers;
	struct mw_pattern_container {
		uint32_t node;
		uint32_t first, last; /* the parts in which it begins and ends */
	} container[MW_PATTERN_NODES];
	struct mw_json_node nodes[MW_PATTERN_NODES];
	uint8_t text[MW_PATTERN_TEXT];
};

/* A text on its way through patterns. */
struct mw_pattern_reading {
	struct mw_json *doc;
	const uint8_t *at, *end; /* where the next part begins, and where the text ends */
	uint32_t part;           /* the next one: those before it, and their values, stood in the text */
	uint64_t number;         /* whose nodes the document has */
	uint32_t began[MW_PATTERN_VALUES];
};

/* Keep the pattern of a document just read. Fits nothing if the document is too large. */
void mw_pattern_take(struct mw_pattern *pattern, const struct mw_json *doc);

/* How many parts, from the first on, are the same in both; the last ones never count. 0 if one fits nothing.
 */
uint32_t mw_pattern_shared(const struct mw_pattern *a, const struct mw_pattern *b);

/* Begin: the document is empty until a pattern fits. False if no pattern can fit such a text. */
bool mw_pattern_begin(struct mw_pattern_reading *r, struct mw_json *doc, struct mw_span text);

/* Go on with this pattern, which has the same parts up to the next. False if it has none or the document no
 * room for its nodes. */
bool mw_pattern_follow(const struct mw_pattern *pattern, struct mw_pattern_reading *r);

/* Does the next part stand in the text as the pattern has it? */
bool mw_pattern_goes_on(const struct mw_pattern *pattern, const struct mw_pattern_reading *r);

/* Read on, by the pattern that is followed. True: that was all of the text, and the document is what
 * mw_json_read would make of it, but that its keys lie in the pattern, and has the pattern's number. It lasts
 * as long as the text and until the pattern is taken anew. False: the next part or its value is another. */
bool mw_pattern_read(const struct mw_pattern *pattern, struct mw_pattern_reading *r);

#endif
