#include "json_token.h"
#include "limits.h"

#include <stdlib.h>

void mw_json_init(struct mw_json *doc)
{
	*doc = (struct mw_json){0};
}

void mw_json_deinit(struct mw_json *doc)
{
	free(doc->nodes);
	*doc = (struct mw_json){0};
}

static inline bool starts_with(const uint8_t *p, const uint8_t *end, const char *word, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0;
}

/* No value where one should be: the usual slips get their own words. */
static void explain_no_value(const struct mw_json *doc, const uint8_t *p, struct mw_fault *f)
{
	const uint8_t *end = doc->text + doc->len;
	const char *words = "expected a value";
	if (p < end && p == doc->text) {
		if (starts_with(p, end, "\xEF\xBB\xBF", 3))
			words = "a byte-order mark; expected a value";
		else if (starts_with(p, end, "\xFF\xFE", 2) || starts_with(p, end, "\xFE\xFF", 2) || *p == 0)
			words = "UTF-16 or binary data; expected a value in UTF-8";
	} else if (p < end && (*p == '}' || *p == ']')) {
		words = "expected a value behind ',' or ':'";
	}
	mw_json_fault(f, p, words);
}

/* Twice the room. A text of MW_EVENT_MAX bytes has less than 2^24 nodes, so nothing overflows. */
static bool make_room(struct mw_json *doc, struct mw_fault *f)
{
	uint32_t cap = doc->cap ? doc->cap * 2 : 64;
	struct mw_json_node *nodes = realloc(doc->nodes, cap * sizeof *nodes);
	if (!nodes) {
		*f = (struct mw_fault){doc->text, "no room for the nodes", MW_NO_MEMORY};
		return false;
	}
	doc->nodes = nodes;
	doc->cap = cap;
	return true;
}

static inline void set(struct mw_json_node *node, uint32_t from, uint32_t to, uint32_t next,
		       enum mw_json_type type, uint32_t flags, uint32_t aux)
{
	*node = (struct mw_json_node){from, to - from, next, type & 15, flags & 15, aux & 0xFFFFFF};
}

/* One pass, one loop. While a container is open its node keeps what it needs when it closes:
 * `next` is the container around it, `aux` how far it had come (`seen`) when a child opened. So the
 * tape is the stack.
 *
 * Compiled twice: for closed texts, nearly all there are, and for the rest. */
static inline __attribute__((always_inline)) bool read_tape(struct mw_json *doc, const uint8_t *const end,
							    const bool closed, struct mw_fault *f)
{
	const uint8_t *const start = doc->text;
	const uint8_t *p = start, *q;
	struct mw_stops stops = {start, scan_block(start, end)};
	struct mw_json_node *nodes = doc->nodes;
	uint32_t cap = doc->cap, n = 0, flags;
	uint32_t open = 0;  /* the innermost open container */
	uint32_t depth = 0; /* open containers */
	uint32_t seen = 0;  /* of `open`: an array's elements so far, an object's last key */
	bool in_object = false;

#define AT(pointer)                     ((uint32_t)((pointer)-start))
#define PUT(from, to, type, flags, aux) set(&nodes[n], AT(from), AT(to), n + 1, type, flags, aux)
#define SKIP_SPACE()                                                                                         \
	do {                                                                                                 \
		if (UNLIKELY(!ENDED(p) && *p <= ' ')) {                                                      \
			p = mw_json_pass_space(p, end);                                                      \
			/* Line ends are stops, too; outside strings nobody wants them. */                   \
			stops = mw_json_drop_stops(stops, p, end);                                           \
		}                                                                                            \
	} while (0)
#define FAIL(words)                                                                                          \
	do {                                                                                                 \
		mw_json_fault(f, p, words);                                                                  \
		return false;                                                                                \
	} while (0)
#define MAKE_ROOM(count)                                                                                     \
	do {                                                                                                 \
		if (UNLIKELY(n + (count) > cap)) {                                                           \
			if (!make_room(doc, f))                                                              \
				return false;                                                                \
			nodes = doc->nodes;                                                                  \
			cap = doc->cap;                                                                      \
		}                                                                                            \
	} while (0)

	SKIP_SPACE();
element:
	MAKE_ROOM(1);
value:
	if (ENDED(p))
		FAIL("expected a value");
	if (*p == '"') {
		stops = pass_string(stops, end, &q, &flags, f);
		if (UNLIKELY(!q))
			return false;
		PUT(p + 1, q, MW_JSON_STRING, flags, 0);
		p = q + 1;
	} else if (is_digit(*p) || *p == '-') {
		q = pass_number(p, end, closed, &flags, f);
		if (UNLIKELY(!q))
			return false;
		PUT(p, q, MW_JSON_NUMBER, flags, 0);
		p = q;
	} else if (*p == '{' || *p == '[') {
		goto container;
	} else if (starts_with(p, end, "true", 4)) {
		PUT(p, p + 4, MW_JSON_TRUE, 0, 0);
		p += 4;
	} else if (starts_with(p, end, "null", 4)) {
		PUT(p, p + 4, MW_JSON_NULL, 0, 0);
		p += 4;
	} else if (starts_with(p, end, "false", 5)) {
		PUT(p, p + 5, MW_JSON_FALSE, 0, 0);
		p += 5;
	} else {
		explain_no_value(doc, p, f);
		return false;
	}
	n++;
	if (!closed && depth == 0)
		goto done;

after:
	SKIP_SPACE();
	if (in_object) {
		if (LIKELY(!ENDED(p) && *p == ',')) {
			p++;
			SKIP_SPACE();
			if (UNLIKELY(ENDED(p) || *p != '"'))
				FAIL("expected a name in quotes after ','");
			goto key;
		}
		if (LIKELY(!ENDED(p) && *p == '}'))
			goto close;
		FAIL("expected ',' or '}' after a member");
	}
	if (LIKELY(!ENDED(p) && *p == ',')) {
		p++;
		SKIP_SPACE();
		seen++;
		goto element;
	}
	if (LIKELY(!ENDED(p) && *p == ']'))
		goto close;
	FAIL("expected ',' or ']' after an element");

key:
	MAKE_ROOM(2);
	stops = pass_string(stops, end, &q, &flags, f);
	if (UNLIKELY(!q))
		return false;
	PUT(p + 1, q, MW_JSON_KEY, flags, mw_json_tag(p + 1, (size_t)(q - p - 1)));
	nodes[n].next = seen;
	seen = n++;
	p = q + 1;
	SKIP_SPACE();
	if (UNLIKELY(ENDED(p) || *p != ':'))
		FAIL("expected ':' after a name");
	p++;
	SKIP_SPACE();
	goto value;

container:
	if (UNLIKELY(depth == MW_JSON_DEPTH_MAX)) {
		*f = (struct mw_fault){p, "nested too deep", MW_TOO_LARGE};
		return false;
	}
	if (depth > 0)
		nodes[open].aux = (in_object ? seen - open : seen) & 0xFFFFFF;
	in_object = *p == '{';
	PUT(p, p, in_object ? MW_JSON_OBJECT : MW_JSON_ARRAY, 0, 0);
	nodes[n].next = open;
	open = n++;
	depth++;
	seen = 0;
	p++;
	SKIP_SPACE();
	if (in_object) {
		if (LIKELY(!ENDED(p) && *p == '"'))
			goto key;
		if (LIKELY(!ENDED(p) && *p == '}'))
			goto close;
		FAIL("expected a name in quotes or '}'");
	}
	if (!ENDED(p) && *p == ']')
		goto close;
	seen = 1;
	goto element;

close : {
	struct mw_json_node *node = &nodes[open];
	uint32_t around = node->next;
	p++;
	node->len = AT(p) - node->at;
	node->next = n;
	node->aux = (in_object && seen ? seen - open : seen) & 0xFFFFFF;
	open = around;
	if (--depth == 0)
		goto done;
	in_object = nodes[open].type == MW_JSON_OBJECT;
	seen = in_object ? open + nodes[open].aux : nodes[open].aux;
	if (UNLIKELY(p == end)) /* the one place where a closed text can end too early */
		FAIL(in_object ? "expected ',' or '}' after a member"
			       : "expected ',' or ']' after an element");
	goto after;
}

done:
	p = mw_json_pass_space(p, end);
	if (p < end)
		FAIL("expected nothing more after the value");
	doc->count = n;
	return true;
#undef AT
#undef PUT
#undef SKIP_SPACE
#undef FAIL
#undef MAKE_ROOM
}

static bool read_any(struct mw_json *doc, struct mw_fault *f)
{
	const uint8_t *p = doc->text, *end = p + doc->len, *last = end;
	while (last > p && is_space(last[-1]))
		last--;
	while (p < last && is_space(*p))
		p++;
	if (p == last || (*p != '{' && *p != '[') || (last[-1] != '}' && last[-1] != ']'))
		return read_tape(doc, end, false, f);
	if (read_tape(doc, last, true, f))
		return true;
	if (f->at == last) /* white space behind the end does not matter to the reader of the error */
		f->at = end;
	return false;
}

enum mw_err mw_json_read(struct mw_json *doc, const void *text, size_t len, struct mw_error *e)
{
	static const uint8_t nothing[1];
	doc->text = doc->keys = text ? text : nothing;
	doc->len = doc->keys_len = len;
	doc->count = 0;
	doc->pattern = 0;
	struct mw_fault f = {doc->text, "", MW_OK};
	if (len <= MW_EVENT_MAX && read_any(doc, &f))
		return MW_OK;
	if (len > MW_EVENT_MAX)
		return mw_error_set(e, MW_TOO_LARGE, 0, "%zu bytes of JSON; %u is the most", len,
				    MW_EVENT_MAX);
	size_t offset = (size_t)(f.at - doc->text);
	if (f.code == MW_TOO_LARGE)
		return mw_error_set(e, f.code, offset, "nested deeper than %d levels", MW_JSON_DEPTH_MAX);
	return mw_error_set(e, f.code, offset, "%s%s", f.words,
			    f.code == MW_JSON && offset == len ? ", but the text ends here" : "");
}
