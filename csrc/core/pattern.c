#include "pattern.h"

#include "json_token.h"

static _Atomic uint64_t patterns;

enum { WINDOW = 32 };

static bool is_scalar(const struct mw_json_node *node)
{
	return node->type <= MW_JSON_STRING;
}

/* The first byte of a value and the one behind it, quotes counted. */
static uint32_t begin_of(const struct mw_json_node *node)
{
	return node->at - (node->type == MW_JSON_STRING);
}

static uint32_t end_of(const struct mw_json_node *node)
{
	return node->at + node->len + (node->type == MW_JSON_STRING);
}

static void add_part(struct mw_pattern *pattern, const uint8_t *text, uint32_t from, uint32_t to,
		     uint32_t value)
{
	struct mw_pattern_part *part = &pattern->part[pattern->parts++];
	*part = (struct mw_pattern_part){
	    .at = from, .len = to - from, .value = value, .room = (int32_t)(to - from) + 1 + WINDOW};
	size_t head = part->len < sizeof part->head.bytes ? part->len : sizeof part->head.bytes;
	memcpy(part->head.bytes, text + from, head);
	memset(part->head.mask, 0xFF, head);
}

/* The part, from `part` on, that a byte of the text is in. */
static uint32_t part_of(const struct mw_pattern *pattern, uint32_t part, uint32_t at)
{
	while (pattern->part[part].at + pattern->part[part].len <= at)
		part++;
	return part;
}

static void find_containers(struct mw_pattern *pattern)
{
	uint32_t first = 0;
	pattern->containers = 0;
	for (uint32_t i = 0; i < pattern->count; i++) {
		const struct mw_json_node *node = &pattern->nodes[i];
		if (node->type != MW_JSON_ARRAY && node->type != MW_JSON_OBJECT)
			continue;
		first = part_of(pattern, first, node->at);
		uint32_t last = part_of(pattern, first, node->at + node->len - 1);
		pattern->container[pattern->containers++] = (struct mw_pattern_container){i, first, last};
	}
}

void mw_pattern_take(struct mw_pattern *pattern, const struct mw_json *doc)
{
	uint32_t from = 0;
	pattern->count = pattern->parts = 0;
	if (doc->len > MW_PATTERN_TEXT || doc->count > MW_PATTERN_NODES || is_scalar(&doc->nodes[0]))
		return;
	for (uint32_t i = 0; i < doc->count; i++) {
		const struct mw_json_node *node = &doc->nodes[i];
		if (!is_scalar(node))
			continue;
		if (pattern->parts == MW_PATTERN_VALUES - 1)
			return;
		add_part(pattern, doc->text, from, begin_of(node), i);
		from = end_of(node);
	}
	add_part(pattern, doc->text, from, (uint32_t)doc->len, doc->count);
	memcpy(pattern->nodes, doc->nodes, doc->count * sizeof *doc->nodes);
	memcpy(pattern->text, doc->text, doc->len);
	pattern->count = doc->count;
	pattern->number = ++patterns;
	find_containers(pattern);
}

/* ---- reading */

/* Behind the word at p, NULL if there is none. */
static const uint8_t *pass_word(const uint8_t *p, const uint8_t *end, enum mw_json_type *type)
{
	static const struct {
		const char *word;
		size_t len;
		enum mw_json_type type;
	} words[] = {{"null", 4, MW_JSON_NULL}, {"true", 4, MW_JSON_TRUE}, {"false", 5, MW_JSON_FALSE}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if ((size_t)(end - p) >= words[i].len && memcmp(p, words[i].word, words[i].len) == 0) {
			*type = words[i].type;
			return p + words[i].len;
		}
	}
	return NULL;
}

/* A value in place of another: the node behind it is the same. */
static inline void set(struct mw_json_node *node, uint32_t at, ptrdiff_t len, enum mw_json_type type,
		       uint32_t flags)
{
	*node = (struct mw_json_node){at, (uint32_t)len, node->next, type & 15, flags & 15, 0};
}

/* A string, whatever is in it. Behind it, NULL if it is none. */
__attribute__((noinline)) static const uint8_t *read_string(struct mw_json_node *node, uint32_t at,
							    const uint8_t *p, const uint8_t *end)
{
	struct mw_stops stops = {p + 1, scan_block(p + 1, end)};
	struct mw_fault fault;
	uint32_t flags = 0;
	stops = mw_json_pass_rare(stops, end, &flags, &fault);
	if (!stops.block)
		return NULL;
	set(node, at + 1, stop_at(stops) - p - 1, MW_JSON_STRING, flags);
	return stop_at(stops) + 1;
}

/* The same where WINDOW bytes may be read behind its quote. Nearly always the other one is among them, and
 * nothing but plain text in between. */
static inline const uint8_t *read_plain_string(struct mw_json_node *node, uint32_t at, const uint8_t *p,
					       const uint8_t *end)
{
	const uint8_t *q = p + 1;
	uint32_t stops;
	while (UNLIKELY((stops = mw_scan_window(q)) == 0)) {
		q += WINDOW;
		if (end - q < WINDOW)
			return read_string(node, at, p, end);
	}
	q += __builtin_ctz(stops);
	if (UNLIKELY(*q != '"'))
		return read_string(node, at, p, end);
	set(node, at + 1, q - p - 1, MW_JSON_STRING, 0);
	return q + 1;
}

/* A number or a word. Behind it, NULL if it is neither. */
static inline const uint8_t *read_bare(struct mw_json_node *node, uint32_t at, const uint8_t *p,
				       const uint8_t *end)
{
	const bool closed = true; /* by the last bracket of the text: no value can pass it */
	enum mw_json_type type = MW_JSON_NUMBER;
	uint32_t flags = 0;
	struct mw_fault fault;
	const uint8_t *q = is_digit(*p) || *p == '-' ? pass_number(p, end, closed, &flags, &fault)
						     : pass_word(p, end, &type);
	if (LIKELY(q != NULL))
		set(node, at, q - p, type, flags);
	return q;
}

/* The containers move with the parts in which they begin and end. */
static void move_containers(const struct mw_pattern *pattern, struct mw_json_node *nodes,
			    const uint32_t *began)
{
	const struct mw_pattern_part *part = pattern->part;
	const struct mw_pattern_container *c = pattern->container, *end = c + pattern->containers;
	for (; c < end; c++) {
		const struct mw_json_node *like = &pattern->nodes[c->node];
		uint32_t first = began[c->first] - part[c->first].at,
			 last = began[c->last] - part[c->last].at;
		nodes[c->node].at = like->at + first;
		nodes[c->node].len = like->len + last - first;
	}
}

/* Does the part's text stand at p? */
static bool stands_at(const struct mw_pattern *pattern, const struct mw_pattern_part *part, const uint8_t *p,
		      const uint8_t *end)
{
	return (size_t)(end - p) >= part->len && memcmp(pattern->text + part->at, p, part->len) == 0;
}

/* A part near the end of the text, and its value. Behind it, NULL if it is another one. */
__attribute__((noinline)) static const uint8_t *read_last(const struct mw_pattern *pattern,
							  const struct mw_pattern_part *part,
							  struct mw_json_node *node, uint32_t at,
							  const uint8_t *p, const uint8_t *end)
{
	if (!stands_at(pattern, part, p, end))
		return NULL;
	p += part->len;
	at += part->len;
	return *p == '"' ? read_string(node, at, p, end) : read_bare(node, at, p, end);
}

/* The same where there is room for it, a quote and a window. */
static inline const uint8_t *read_part(const struct mw_pattern *pattern, const struct mw_pattern_part *part,
				       struct mw_json_node *node, uint32_t at, const uint8_t *p,
				       const uint8_t *end)
{
	if (UNLIKELY(!mw_scan_is(&part->head, p)) ||
	    (UNLIKELY(part->len > sizeof part->head.bytes) && !stands_at(pattern, part, p, end)))
		return NULL;
	p += part->len;
	at += part->len;
	/* Not the end of the text: what stands in front of a value, but for white space, is one of `[:,`, and
	 * there it is a closing bracket. */
	return *p == '"' ? read_plain_string(node, at, p, end) : read_bare(node, at, p, end);
}

/* Everything behind the last value. */
static bool is_end(const struct mw_pattern *pattern, const struct mw_pattern_reading *r)
{
	const struct mw_pattern_part *last = &pattern->part[pattern->parts - 1];
	return stands_at(pattern, last, r->at, r->end) && r->at + last->len == r->end;
}

static bool read_values(const struct mw_pattern *pattern, struct mw_pattern_reading *r)
{
	const struct mw_pattern_part *part = pattern->part + r->part,
				     *last = pattern->part + pattern->parts - 1;
	struct mw_json_node *nodes = r->doc->nodes;
	const uint8_t *start = r->doc->text, *end = r->end, *p = r->at;
	uint32_t *began = r->began + r->part;
	for (; part < last; part++) {
		struct mw_json_node *node = &nodes[part->value];
		*began = (uint32_t)(p - start);
		const uint8_t *behind = LIKELY(end - p >= part->room)
					    ? read_part(pattern, part, node, *began, p, end)
					    : read_last(pattern, part, node, *began, p, end);
		if (UNLIKELY(!behind))
			break;
		p = behind;
		began++;
	}
	*began = (uint32_t)(p - start);
	r->at = p;
	r->part = (uint32_t)(part - pattern->part);
	return part == last;
}

bool mw_pattern_read(const struct mw_pattern *pattern, struct mw_pattern_reading *r)
{
	if (!read_values(pattern, r) || !is_end(pattern, r))
		return false;
	move_containers(pattern, r->doc->nodes, r->began);
	r->doc->count = pattern->count;
	r->doc->pattern = pattern->number;
	return true;
}

bool mw_pattern_begin(struct mw_pattern_reading *r, struct mw_json *doc, struct mw_span text)
{
	const uint8_t *end = text.at + text.len, *last = end;
	r->doc = doc;
	r->at = text.at;
	r->end = end;
	r->part = 0;
	r->number = doc->pattern;
	doc->text = text.at;
	doc->len = text.len;
	doc->count = 0;
	doc->pattern = 0;
	if (text.len < 2 || text.len > MW_PATTERN_TEXT)
		return false;
	while (UNLIKELY(is_space(last[-1])) && last > text.at + 1)
		last--;
	return last[-1] == '}' || last[-1] == ']';
}

/* Another pattern's nodes, but for the values that were read so far. */
__attribute__((noinline)) static void change_nodes(const struct mw_pattern *pattern,
						   struct mw_pattern_reading *r)
{
	struct mw_json_node *nodes = r->doc->nodes;
	uint32_t from = 0;
	for (uint32_t i = 0; i < r->part; i++) {
		uint32_t value = pattern->part[i].value;
		memcpy(nodes + from, pattern->nodes + from, (value - from) * sizeof *nodes);
		from = value + 1;
	}
	memcpy(nodes + from, pattern->nodes + from, (pattern->count - from) * sizeof *nodes);
	r->number = pattern->number;
}

bool mw_pattern_follow(const struct mw_pattern *pattern, struct mw_pattern_reading *r)
{
	if (pattern->count == 0 || r->doc->cap < pattern->count)
		return false;
	r->doc->keys = pattern->text;
	r->doc->keys_len = sizeof pattern->text;
	/* Keys, and what is behind each node, are there already if the last document had the pattern, too. */
	if (r->number != pattern->number)
		change_nodes(pattern, r);
	return true;
}

bool mw_pattern_goes_on(const struct mw_pattern *pattern, const struct mw_pattern_reading *r)
{
	return r->part < pattern->parts && stands_at(pattern, &pattern->part[r->part], r->at, r->end);
}

uint32_t mw_pattern_shared(const struct mw_pattern *a, const struct mw_pattern *b)
{
	uint32_t n = 0;
	if (a->count == 0 || b->count == 0)
		return 0;
	while (n + 1 < a->parts && n + 1 < b->parts && a->part[n].len == b->part[n].len &&
	       memcmp(a->text + a->part[n].at, b->text + b->part[n].at, a->part[n].len) == 0)
		n++;
	return n;
}
