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

static void add_part(struct mw_pattern *pattern, uint32_t from, uint32_t to, uint32_t value)
{
	struct mw_pattern_part *part = &pattern->part[pattern->parts++];
	uint8_t mask[8] = {0};
	memset(mask, 0xFF, (to - from) % 8);
	*part = (struct mw_pattern_part){from, to - from, value, (to - from) / 8, 0};
	memcpy(&part->rest, mask, sizeof part->rest);
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
		add_part(pattern, from, begin_of(node), i);
		from = end_of(node);
	}
	add_part(pattern, from, (uint32_t)doc->len, doc->count);
	memcpy(pattern->nodes, doc->nodes, doc->count * sizeof *doc->nodes);
	memcpy(pattern->text, doc->text, doc->len);
	memset(pattern->text + doc->len, 0, MW_PATTERN_SPARE);
	pattern->count = doc->count;
	pattern->number = ++patterns;
	find_containers(pattern);
}

/* ---- reading */

static inline uint64_t eight(const uint8_t *at)
{
	uint64_t bytes;
	memcpy(&bytes, at, sizeof bytes);
	return bytes;
}

/* Does the part's text stand at p? */
static inline bool stands_at(const struct mw_pattern *pattern, const struct mw_pattern_part *part,
			     const uint8_t *p, const uint8_t *end)
{
	const uint8_t *text = pattern->text + part->at;
	size_t left = (size_t)(end - p);
	if (UNLIKELY(left < (size_t)part->len + 8))
		return left >= part->len && memcmp(text, p, part->len) == 0;
	uint64_t differ = (eight(p + part->words * 8) ^ eight(text + part->words * 8)) & part->rest;
	for (uint32_t i = 0; i < part->words; i++)
		differ |= eight(p + i * 8) ^ eight(text + i * 8);
	return differ == 0;
}

/* Where the text may not be stepped over, as in json_token.h, but found for all of it before anything is
 * read: as a part tells where its value begins, the end of a string is then looked up, and nothing has to be
 * kept from value to value. */
struct stops {
	uint64_t mask[MW_PATTERN_TEXT / 64 + 2]; /* a bit for each byte; the last two are 0 */
	uint32_t len;
};

static void find_stops(uint64_t *mask, const uint8_t *start, const uint8_t *end)
{
	*mask++ = scan_block(start, end);
	for (size_t at = 64, len = (size_t)(end - start); at < len; at += 64)
		*mask++ = scan_next_block(start + at, end);
	mask[0] = mask[1] = 0;
}

/* The first stop from `at` on, which is in the text or right behind it; the text's length if there is none.
 */
static inline uint32_t next_stop(const struct stops *stops, uint32_t at)
{
	do {
		const uint64_t *mask = stops->mask + at / 64;
		uint64_t window = mask[0] >> at % 64 | mask[1] << 1 << (63 - at % 64);
		if (LIKELY(window != 0))
			return at + (uint32_t)__builtin_ctzll(window);
		at += 64;
	} while (at < stops->len);
	return stops->len;
}

/* The same of a string whose first stop, `at`, is no closing quote: 0 if it is no string. Out of line, and
 * with flags of its own, or the loop over parts would run short of registers. */
__attribute__((noinline)) static uint32_t find_rare_quote(const struct stops *stops, const uint8_t *start,
							  uint32_t at, uint32_t *flags)
{
	struct mw_fault fault;
	const uint8_t *block = start + at / 64 * 64, *end = start + stops->len;
	struct mw_stops rare = {block, at < stops->len ? stops->mask[at / 64] & ~UINT64_C(0) << at % 64 : 0};
	rare = mw_json_pass_rare(rare, end, flags, &fault);
	return rare.block ? (uint32_t)(stop_at(rare) - start) : 0;
}

/* The closing quote of the string whose inside begins at `at`, 0 if it is no string. */
static inline uint32_t find_quote(const struct stops *stops, const uint8_t *start, uint32_t at,
				  uint32_t *flags)
{
	uint32_t quote = next_stop(stops, at), rare = 0;
	if (UNLIKELY(quote == stops->len || start[quote] != '"'))
		quote = find_rare_quote(stops, start, quote, &rare);
	*flags = rare;
	return quote;
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

static inline void set(struct mw_json_node *node, uint32_t at, uint32_t end, uint32_t next,
		       enum mw_json_type type, uint32_t flags)
{
	*node = (struct mw_json_node){at, end - at, next, type & 15, flags & 15, 0};
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
	/* The text ends with a bracket, as `closed` says: no value can pass it. */
	const bool closed = true;
	const struct mw_pattern_part *part = pattern->part, *last = part + pattern->parts - 1;
	struct mw_fault fault;
	struct stops stops;
	uint32_t shifts[MW_PATTERN_VALUES], *shifted = shifts, at = 0, node = 0, flags = 0;
	find_stops(stops.mask, start, end);
	stops.len = (uint32_t)(end - start);
	for (;; part++) {
		uint32_t shift = at - part->at;
		if (UNLIKELY(!stands_at(pattern, part, start + at, end)))
			return false;
		*shifted++ = shift;
		for (; node < part->value; node++) {
			nodes[node] = pattern->nodes[node];
			nodes[node].at = pattern->nodes[node].at + shift;
		}
		at += part->len;
		if (part == last)
			break;
		if (UNLIKELY(at == stops.len))
			return false;
		const uint8_t *p = start + at, *q;
		if (*p == '"') {
			uint32_t quote = find_quote(&stops, start, at + 1, &flags);
			if (UNLIKELY(quote == 0))
				return false;
			set(&nodes[node], at + 1, quote, node + 1, MW_JSON_STRING, flags);
			at = quote + 1;
		} else if (is_digit(*p) || *p == '-') {
			q = pass_number(p, end, closed, &flags, &fault);
			if (UNLIKELY(!q))
				return false;
			set(&nodes[node], at, (uint32_t)(q - start), node + 1, MW_JSON_NUMBER, flags);
			at = (uint32_t)(q - start);
		} else {
			enum mw_json_type type;
			q = pass_word(p, end, &type);
			if (UNLIKELY(!q))
				return false;
			set(&nodes[node], at, (uint32_t)(q - start), node + 1, type, 0);
			at = (uint32_t)(q - start);
		}
		node++;
	}
	move_ends(pattern, nodes, shifts);
	return at == stops.len;
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
