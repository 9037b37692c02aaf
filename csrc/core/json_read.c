#include "json_read.h"

#include "limits.h"
#include "scan.h"
#include "utf8.h"

#include <stdlib.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Why and where reading stopped. */
struct fault {
	const uint8_t *at;
	const char *words;
	enum mw_err code;
};

void mw_json_init(struct mw_json *doc)
{
	*doc = (struct mw_json){0};
}

void mw_json_deinit(struct mw_json *doc)
{
	free(doc->nodes);
	*doc = (struct mw_json){0};
}

static inline bool is_digit(uint8_t c)
{
	return (uint8_t)(c - '0') < 10;
}

static const void *stop(struct fault *f, const uint8_t *at, const char *words)
{
	*f = (struct fault){at, words, MW_JSON};
	return NULL;
}

/* The value of four hex digits, -1 if they are not. */
static int hex4(const uint8_t *p, const uint8_t *end)
{
	if (end - p < 4)
		return -1;
	int value = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t c = p[i], letter = c | 0x20;
		if (is_digit(c))
			value = value << 4 | (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return value;
}

static bool is_high_surrogate(int unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Behind the escape whose backslash is at p. */
static const uint8_t *pass_escape(const uint8_t *p, const uint8_t *end, struct fault *f)
{
	if (end - p < 2)
		return stop(f, end, "expected the rest of an escape");
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u':
		break;
	default:
		return stop(f, p, "expected one of \"\\/bfnrtu after a backslash");
	}
	int unit = hex4(p + 2, end);
	if (unit < 0)
		return stop(f, p, "expected four hex digits after \\u");
	if (is_low_surrogate(unit))
		return stop(f, p, "the second half of a surrogate pair without the first");
	if (!is_high_surrogate(unit))
		return p + 6;
	if (end - p < 12 || p[6] != '\\' || p[7] != 'u' || !is_low_surrogate(hex4(p + 8, end)))
		return stop(f, p, "the first half of a surrogate pair without the second");
	return p + 12;
}

/* Where the text may not be stepped over: quotes, backslashes, controls and non-ASCII, found 64
 * bytes at a time. Between strings the lowest bit of the mask is the next quote, or an error. Taking ends of
 * strings from the mask, not from the bytes, is what makes reading fast: the processor need not
 * know where one string ends to look for the end of the next.
 *
 * Passed and returned by value, so that it stays in registers. */
struct stops {
	const uint8_t *block;
	uint64_t mask; /* 0: none left in this block */
};

static inline uint64_t scan_block(const uint8_t *block, const uint8_t *end)
{
	size_t left = (size_t)(end - block);
	if (LIKELY(left >= 64))
		return mw_scan_block(block);
	uint8_t padded[64];
	memset(padded, ' ', sizeof padded);
	memcpy(padded, block, left);
	return mw_scan_block(padded);
}

/* At the next stop; block == end if there is none. */
static inline struct stops find_stop(struct stops s, const uint8_t *end)
{
	while (s.mask == 0) {
		if (end - s.block <= 64)
			return (struct stops){end, 0};
		s.block += 64;
		s.mask = scan_block(s.block, end);
	}
	return s;
}

/* Forget the stops before p. */
static __attribute__((noinline)) struct stops drop_stops(struct stops s, const uint8_t *p, const uint8_t *end)
{
	size_t blocks = (size_t)(p - s.block) / 64;
	if (blocks > 0) {
		s.block += blocks * 64;
		s.mask = s.block < end ? scan_block(s.block, end) : 0;
	}
	s.mask &= ~UINT64_C(0) << (p - s.block);
	return s;
}

static inline const uint8_t *stop_at(struct stops s)
{
	return s.block + __builtin_ctzll(s.mask);
}

/* A string's first stop is no quote: on to the one that is. block == NULL if there is a fault. */
static __attribute__((noinline)) struct stops pass_rare(struct stops s, const uint8_t *end, uint32_t *flags,
							struct fault *f)
{
	for (;;) {
		s = find_stop(s, end);
		if (s.block == end) {
			stop(f, end, "expected '\"' at the end of a string");
			return (struct stops){NULL, 0};
		}
		const uint8_t *p = stop_at(s);
		if (*p == '"')
			return s;
		if (*p == '\\') {
			*flags = MW_JSON_ESCAPED;
			p = pass_escape(p, end, f);
		} else if (*p < 0x20) {
			p = stop(f, p, "a control character in a string; it must be escaped");
		} else {
			while (p && p < end && *p >= 0x80) {
				size_t n = mw_utf8_sequence(p, end);
				p = n ? p + n : stop(f, p, "bytes in a string that are not UTF-8");
			}
		}
		if (!p)
			return (struct stops){NULL, 0};
		s = drop_stops(s, p, end);
	}
}

/* From the opening quote, which is the next stop, to behind the closing one, *quote. */
static inline struct stops pass_string(struct stops s, const uint8_t *end, const uint8_t **quote,
				       uint32_t *flags, struct fault *f)
{
	s = find_stop(s, end);
	s.mask &= s.mask - 1;
	s = find_stop(s, end);
	*flags = 0;
	if (LIKELY(s.mask != 0)) {
		*quote = stop_at(s);
		if (LIKELY(**quote == '"')) {
			s.mask &= s.mask - 1;
			return s;
		}
	}
	s = pass_rare(s, end, flags, f);
	*quote = s.block ? stop_at(s) : NULL;
	s.mask &= s.mask - 1;
	return s;
}

/* Is there nothing at p? Where the text is `closed`, that is, ends with a bracket, which no token but the
 * last can pass, the question needs no answer. */
#define ENDED(p) (!closed && (p) == end)

/* At least one digit. */
static inline const uint8_t *pass_digits(const uint8_t *p, const uint8_t *end, bool closed, struct fault *f,
					 const char *words)
{
	if (ENDED(p) || !is_digit(*p))
		return stop(f, p, words);
	do
		p++;
	while (!ENDED(p) && is_digit(*p));
	return p;
}

static inline const uint8_t *pass_number(const uint8_t *p, const uint8_t *end, bool closed, uint32_t *flags,
					 struct fault *f)
{
	if (*p == '-')
		p++;
	if (!ENDED(p) && *p == '0') {
		p++;
		if (!ENDED(p) && is_digit(*p))
			return stop(f, p, "a number may not start with 0");
	} else {
		p = pass_digits(p, end, closed, f, "expected a digit after '-'");
		if (!p)
			return NULL;
	}
	*flags = MW_JSON_INTEGER;
	if (ENDED(p) || (*p != '.' && (*p | 0x20) != 'e'))
		return p;
	*flags = 0;
	if (*p == '.') {
		p = pass_digits(p + 1, end, closed, f, "expected a digit after the decimal point");
		if (!p)
			return NULL;
	}
	if (!ENDED(p) && (*p | 0x20) == 'e') {
		p++;
		if (!ENDED(p) && (*p == '+' || *p == '-'))
			p++;
		p = pass_digits(p, end, closed, f, "expected a digit in the exponent");
	}
	return p;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static __attribute__((noinline)) const uint8_t *pass_space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

static inline bool starts_with(const uint8_t *p, const uint8_t *end, const char *word, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0;
}

/* No value where one should be: the usual slips get their own words. */
static void explain_no_value(const struct mw_json *doc, const uint8_t *p, struct fault *f)
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
	stop(f, p, words);
}

/* Twice the room. A text of MW_EVENT_MAX bytes has less than 2^24 nodes, so nothing overflows. */
static bool make_room(struct mw_json *doc, struct fault *f)
{
	uint32_t cap = doc->cap ? doc->cap * 2 : 64;
	struct mw_json_node *nodes = realloc(doc->nodes, cap * sizeof *nodes);
	if (!nodes) {
		*f = (struct fault){doc->text, "no room for the nodes", MW_NO_MEMORY};
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
							    const bool closed, struct fault *f)
{
	const uint8_t *const start = doc->text;
	const uint8_t *p = start, *q;
	struct stops stops = {start, scan_block(start, end)};
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
			p = pass_space(p, end);                                                              \
			/* Line ends are stops, too; outside strings nobody wants them. */                   \
			stops = drop_stops(stops, p, end);                                                   \
		}                                                                                            \
	} while (0)
#define FAIL(words)                                                                                          \
	do {                                                                                                 \
		stop(f, p, words);                                                                           \
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
		*f = (struct fault){p, "nested too deep", MW_TOO_LARGE};
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
	p = pass_space(p, end);
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

static bool read_any(struct mw_json *doc, struct fault *f)
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
	doc->text = text ? text : nothing;
	doc->len = len;
	doc->count = 0;
	struct fault f = {doc->text, "", MW_OK};
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
