#include "pattern.h"

#include "json_token.h"

static _Atomic uint64_t patterns;

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
		     uint32_t keys)
{
	struct mw_pattern_part *part = &pattern->part[pattern->parts++];
	*part = (struct mw_pattern_part){.at = from, .len = to - from, .keys = keys};
	size_t head = part->len < sizeof part->head.bytes ? part->len : sizeof part->head.bytes;
	memcpy(part->head.bytes, text + from, head);
	memset(part->head.mask, 0xFF, head);
}

static void find_containers(struct mw_pattern *pattern)
{
	pattern->containers = 0;
	for (uint32_t i = 0; i < pattern->count; i++) {
		const struct mw_json_node *node = &pattern->nodes[i];
		uint32_t last = 0;
		if (node->type != MW_JSON_ARRAY && node->type != MW_JSON_OBJECT)
			continue;
		while (pattern->part[last].at + pattern->part[last].len < node->at + node->len)
			last++;
		pattern->container[pattern->containers++] = (struct mw_pattern_container){i, last};
	}
}

void mw_pattern_take(struct mw_pattern *pattern, const struct mw_json *doc)
{
	uint32_t from = 0, first = 0;
	pattern->count = pattern->parts = 0;
	if (doc->len > MW_PATTERN_TEXT || doc->count > MW_PATTERN_NODES || is_scalar(&doc->nodes[0]))
		return;
	for (uint32_t i = 0; i < doc->count; i++) {
		const struct mw_json_node *node = &doc->nodes[i];
		if (!is_scalar(node))
			continue;
		if (pattern->parts == MW_PATTERN_VALUES - 1)
			return;
		add_part(pattern, doc->text, from, begin_of(node), i - first);
		from = end_of(node);
		first = i + 1;
	}
	add_part(pattern, doc->text, from, (uint32_t)doc->len, doc->count - first);
	memcpy(pattern->nodes, doc->nodes, doc->count * sizeof *doc->nodes);
	memcpy(pattern->text, doc->text, doc->len);
	pattern->count = doc->count;
	pattern->number = ++patterns;
	find_containers(pattern);
}

/* ---- reading */

/* Does the part's text stand at p? */
static inline bool stands_at(const struct mw_pattern *pattern, const struct mw_pattern_part *part,
			     const uint8_t *p, const uint8_t *end)
{
	const uint32_t head = sizeof part->head.bytes;
	size_t left = (size_t)(end - p);
	if (UNLIKELY(left < head))
		return left >= part->len && memcmp(pattern->text + part->at, p, part->len) == 0;
	if (!mw_scan_is(&part->head, p))
		return false;
	if (LIKELY(part->len <= head))
		return true;
	return left >= part->len && memcmp(pattern->text + part->at + head, p + head, part->len - head) == 0;
}

/* The closing quote of a string in which something else was met first, or in front of which the text ends;
 * NULL if it is no string. `inside` is where it begins. */
__attribute__((noinline)) static const uint8_t *find_rare_quote(const uint8_t *inside, const uint8_t *end,
								uint32_t *flags)
{
	struct mw_fault fault;
	struct mw_stops rare =
	    mw_json_pass_rare((struct mw_stops){inside, scan_block(inside, end)}, end, flags, &fault);
	return rare.block ? stop_at(rare) : NULL;
}

/* The closing quote of the string whose inside begins at p; NULL if it is no string. */
static inline const uint8_t *find_quote(const uint8_t *p, const uint8_t *end, uint32_t *flags)
{
	const uint8_t *inside = p;
	while (LIKELY(end - p >= 32)) {
		uint32_t stops = mw_scan_window(p);
		if (LIKELY(stops != 0)) {
			p += __builtin_ctz(stops);
			if (LIKELY(*p == '"'))
				return p;
			break;
		}
		p += 32;
	}
	uint32_t rare = 0;
	p = find_rare_quote(inside, end, &rare);
	*flags = rare;
	return p;
}

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

/* A value where the pattern has `like`. */
static inline void set(struct mw_json_node *node, const struct mw_json_node *like, uint32_t at, uint32_t end,
		       enum mw_json_type type, uint32_t flags)
{
	*node = (struct mw_json_node){at, end - at, like->next, type & 15, flags & 15, 0};
}

/* The containers' ends move with the parts in which they are. */
static void move_ends(const struct mw_pattern *pattern, struct mw_json_node *nodes, const uint32_t *shifts)
{
	const struct mw_pattern_container *c = pattern->container, *end = c + pattern->containers;
	for (; c < end; c++) {
		uint32_t began = nodes[c->node].at - pattern->nodes[c->node].at;
		nodes[c->node].len += shifts[c->last] - began;
	}
}

static bool read_parts(const struct mw_pattern *pattern, struct mw_json_node *nodes, const uint8_t *start,
		       const uint8_t *end)
{
	/* The text ends with a bracket, as `closed` says: no value can pass it, and no part but the last ends
	 * with one. */
	const bool closed = true;
	const struct mw_pattern_part *part = pattern->part, *last = part + pattern->parts - 1;
	const struct mw_json_node *like = pattern->nodes;
	struct mw_json_node *node = nodes;
	const uint8_t *p = start, *q;
	uint32_t shifts[MW_PATTERN_VALUES], *shifted = shifts;
	struct mw_fault fault;
	for (;; part++) {
		uint32_t shift = (uint32_t)(p - start) - part->at, flags = 0;
		if (UNLIKELY(!stands_at(pattern, part, p, end)))
			return false;
		*shifted++ = shift;
		for (const struct mw_json_node *value = like + part->keys; like < value; like++, node++) {
			*node = *like;
			node->at = like->at + shift;
		}
		p += part->len;
		if (part == last)
			break;
		uint32_t at = (uint32_t)(p - start);
		if (*p == '"') {
			q = find_quote(p + 1, end, &flags);
			if (UNLIKELY(!q))
				return false;
			set(node, like, at + 1, (uint32_t)(q - start), MW_JSON_STRING, flags);
			q++;
		} else if (is_digit(*p) || *p == '-') {
			q = pass_number(p, end, closed, &flags, &fault);
			if (UNLIKELY(!q))
				return false;
			set(node, like, at, (uint32_t)(q - start), MW_JSON_NUMBER, flags);
		} else {
			enum mw_json_type type;
			q = pass_word(p, end, &type);
			if (UNLIKELY(!q))
				return false;
			set(node, like, at, (uint32_t)(q - start), type, 0);
		}
		p = q;
		node++;
		like++;
	}
	move_ends(pattern, nodes, shifts);
	return p == end;
}

bool mw_pattern_read(const struct mw_pattern *pattern, struct mw_json *doc, struct mw_span text)
{
	doc->text = text.at;
	doc->len = text.len;
	doc->count = 0;
	doc->pattern = 0;
	if (pattern->count == 0 || text.len < 2 || text.len > MW_PATTERN_TEXT || doc->cap < pattern->count)
		return false;
	const uint8_t *end = text.at + text.len;
	if ((end[-1] != '}' && end[-1] != ']') || !read_parts(pattern, doc->nodes, text.at, end))
		return false;
	doc->count = pattern->count;
	doc->pattern = pattern->number;
	return true;
}
