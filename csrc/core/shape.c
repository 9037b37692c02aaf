#include "shape.h"

#include "json_write.h"
#include "scan.h"

/* ---- classes */

static bool is_digit(uint8_t c)
{
	return (uint8_t)(c - '0') < 10;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where the text goes on behind what the form describes (d: a digit, others: themselves); NULL if it differs.
 */
static const uint8_t *pass(const uint8_t *at, const uint8_t *end, const char *form)
{
	for (; *form; form++, at++) {
		if (at == end || (*form == 'd' ? !is_digit(*at) : *at != (uint8_t)*form))
			return NULL;
	}
	return at;
}

static const uint8_t *pass_some(const uint8_t *at, const uint8_t *end, uint8_t c, uint8_t other)
{
	return at < end && (*at == c || *at == other) ? at + 1 : at;
}

static const uint8_t *pass_digits(const uint8_t *at, const uint8_t *end, size_t most)
{
	for (size_t i = 0; i < most && at < end && is_digit(*at); i++)
		at++;
	return at;
}

/* Z, +01:00, +0100, +01, UTC */
static bool is_zone(const uint8_t *at, const uint8_t *end)
{
	if (end - at == 1 && (*at | 0x20) == 'z')
		return true;
	if (end - at == 4 && memcmp(at, " UTC", 4) == 0)
		return true;
	at = pass_some(at, end, ' ', ' ');
	const uint8_t *sign = at;
	at = pass_some(at, end, '+', '-');
	if (at == sign || !(at = pass(at, end, "dd")))
		return false;
	return pass_digits(pass_some(at, end, ':', ':'), end, 2) == end;
}

/* As lua/moonweir/check/date.lua has it. */
static enum mw_class class_of_date(const uint8_t *at, const uint8_t *end)
{
	/* Most of what begins with a digit is a number or an address. */
	if (end - at < 10 || !(at[4] == '-' || (at[8] | 0x20) == 't' || at[8] == ' '))
		return MW_CLASS_TEXT;
	const uint8_t *rest = pass(at, end, "dddd-dd-dd");
	if (rest == end)
		return MW_CLASS_DATE;
	if (!rest)
		rest = pass(at, end, "dddddddd");
	if (!rest || rest == end || ((*rest | 0x20) != 't' && *rest != ' '))
		return MW_CLASS_TEXT;
	if (!(at = pass(rest + 1, end, "dd")) || !(at = pass(pass_some(at, end, ':', ':'), end, "dd")))
		return MW_CLASS_TEXT;
	at = pass_digits(pass_some(at, end, ':', ':'), end, 2);
	at = pass_digits(pass_some(at, end, '.', ','), end, SIZE_MAX);
	if (at == end)
		return MW_CLASS_UNZONED;
	return is_zone(at, end) ? MW_CLASS_ZONED : MW_CLASS_TEXT;
}

enum mw_class mw_class_of_odd_text(struct mw_span s)
{
	if (s.len == 0)
		return MW_CLASS_EMPTY;
	if (s.len > MW_TEXT_LONG && mw_json_count_chars(s) > MW_TEXT_LONG)
		return MW_CLASS_LONG;
	return class_of_date(s.at, s.at + s.len);
}

enum mw_class mw_class_of_fraction(struct mw_span number)
{
	bool is_behind_point = false;
	enum mw_class class = MW_CLASS_WHOLE;
	const uint8_t *last = number.at + number.len - 1;
	/* 0.7, 12.34 */
	if (*last != '0' && (last[-1] == '.' || (number.len > 3 && last[-2] == '.' && last[-1] <= '9')))
		return MW_CLASS_FRACTION;
	for (size_t i = 0; i < number.len; i++) {
		uint8_t c = number.at[i];
		if (c > '9')
			return MW_CLASS_EXPONENT;
		if (c == '.')
			is_behind_point = true;
		else if (is_behind_point && c != '0')
			class = MW_CLASS_FRACTION;
	}
	return class;
}

static bool is_ignored(struct mw_span s)
{
	if (mw_span_is(s, "null") || mw_span_is(s, "anonymous") || mw_span_is(s, "-1"))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] != '0' && s.at[i] != '-')
			return false;
	}
	return true;
}

/* `word` is as long, and in lower case. */
static bool is_nocase(struct mw_span s, const char *word)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.at[i];
		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)word[i])
			return false;
	}
	return true;
}

enum { PLACEHOLDER_MAX = sizeof "[object object]" - 1 };

/* The words of lua/moonweir/check/identity.lua, by their length. */
static const char *const placeholders[PLACEHOLDER_MAX + 1][5] = {
    [2] = {"na", "{}", "[]"},
    [3] = {"nil", "nan", "n/a"},
    [4] = {"none", "null", "true", "test"},
    [5] = {"false", "guest"},
    [6] = {"(null)", "(none)"},
    [7] = {"unknown"},
    [9] = {"undefined", "anonymous"},
    [PLACEHOLDER_MAX] = {"[object object]"},
};

static bool is_placeholder(struct mw_span s)
{
	if (s.len > PLACEHOLDER_MAX)
		return false;
	for (const char *const *word = placeholders[s.len]; *word; word++) {
		if (is_nocase(s, *word))
			return true;
	}
	return false;
}

static bool is_email(struct mw_span s)
{
	const uint8_t *end = s.at + s.len, *sign = memchr(s.at, '@', s.len), *dot = NULL;
	if (!sign || sign == s.at || memchr(sign + 1, '@', (size_t)(end - sign - 1)))
		return false;
	for (const uint8_t *at = s.at; at < end; at++) {
		if (is_space(*at) || *at == '\\')
			return false;
		if (*at == '.' && at > sign + 1 && at + 1 < end)
			dot = at;
	}
	return dot != NULL;
}

/* Ignored ids: what Segment suggests to block, src/unify/identity-resolution/identity-resolution-settings.md
 */
enum mw_class mw_class_of_id(struct mw_span s)
{
	if (!s.at)
		return MW_CLASS_ABSENT;
	if (s.len == 0)
		return MW_CLASS_EMPTY;
	uint8_t first = s.at[0];
	if ((first == '0' || first == '-' || first == 'n' || first == 'a') && is_ignored(s))
		return MW_CLASS_IGNORED;
	if (is_placeholder(s))
		return MW_CLASS_PLACEHOLDER;
	return is_email(s) ? MW_CLASS_EMAIL : MW_CLASS_TEXT;
}

bool mw_shape_watches_odd(struct mw_span name)
{
	static const char *const watched[] = {"ad_type",   "channel",  "collection", "encoding",
					      "load_type", "quartile", "sound",      "type"};
	for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
		if (mw_span_is(name, watched[i]))
			return true;
	}
	return false;
}

/* ---- values: valid JSON, so every string and container ends before `end` */

struct text {
	const uint8_t *at;
	const uint8_t *begin;
	const uint8_t *end;
};

static void pass_space(struct text *t)
{
	while (is_space(*t->at))
		t->at++;
}

/* Quotes and backslashes in the 32 bytes from p on; at the end of a text its last 32 are looked at once more.
 */
static uint32_t stops_from(const struct text *t, const uint8_t *p)
{
	ptrdiff_t left = t->end - p;
	if (left >= 32)
		return mw_scan_quotes(p);
	if (t->end - t->begin >= 32)
		return mw_scan_quotes(t->end - 32) >> (32 - left);
	uint32_t mask = 0;
	for (ptrdiff_t i = 0; i < left; i++)
		mask |= (uint32_t)(p[i] == '"' || p[i] == '\\') << i;
	return mask;
}

/* From the opening quote to behind the closing one; gives what is between. */
static struct mw_span pass_string(struct text *t)
{
	const uint8_t *start = ++t->at, *p = start;
	for (;;) {
		uint32_t stops = stops_from(t, p);
		if (stops == 0) {
			p += 32;
			continue;
		}
		p += __builtin_ctz(stops);
		if (*p == '"')
			break;
		p += 2;
	}
	t->at = p + 1;
	return (struct mw_span){start, (size_t)(p - start)};
}

static enum mw_class pass_number(struct text *t)
{
	const uint8_t *start = t->at;
	bool is_integer = true;
	for (; t->at < t->end; t->at++) {
		uint8_t c = *t->at;
		if (is_digit(c) || c == '-')
			continue;
		if (c != '.' && c != '+' && (c | 0x20) != 'e')
			break;
		is_integer = false;
	}
	struct mw_span number = {start, (size_t)(t->at - start)};
	return is_integer ? MW_CLASS_INTEGER : mw_class_of_fraction(number);
}

static uint64_t pass_value(struct text *t);

/* "name":value, and the space around them. */
static uint64_t pass_member(struct text *t)
{
	struct mw_span name = pass_string(t);
	pass_space(t);
	t->at++; /* the colon */
	pass_space(t);
	const uint8_t *start = t->at;
	uint64_t value = pass_value(t);
	if (mw_shape_watches(name))
		value = mw_shape_watched(value, (struct mw_span){start, (size_t)(t->at - start)});
	return mw_shape_member(mw_shape_key(name.at, name.len), value);
}

static uint64_t pass_object(struct text *t)
{
	uint64_t sum = 0;
	t->at++;
	pass_space(t);
	if (*t->at == '}') {
		t->at++;
		return MW_CLASS_EMPTY_OBJECT;
	}
	for (;;) {
		sum += pass_member(t);
		pass_space(t);
		if (*t->at++ == '}')
			return mw_shape_end(sum);
		pass_space(t);
	}
}

static uint64_t pass_array(struct text *t)
{
	uint64_t h = 0, before = 0;
	t->at++;
	pass_space(t);
	if (*t->at == ']') {
		t->at++;
		return MW_CLASS_EMPTY_ARRAY;
	}
	for (;;) {
		h = mw_shape_element(h, &before, pass_value(t));
		pass_space(t);
		if (*t->at++ == ']')
			return mw_shape_end_array(h);
		pass_space(t);
	}
}

static uint64_t pass_word(struct text *t, size_t len, enum mw_class class)
{
	t->at += len;
	return class;
}

/* Nested as deep as the JSON reader takes. */
static uint64_t pass_value(struct text *t)
{
	switch (*t->at) {
	case '"':
		return mw_class_of_text(pass_string(t));
	case '{':
		return pass_object(t);
	case '[':
		return pass_array(t);
	case 't':
		return pass_word(t, 4, MW_CLASS_TRUE);
	case 'f':
		return pass_word(t, 5, MW_CLASS_FALSE);
	case 'n':
		return pass_word(t, 4, MW_CLASS_NULL);
	default:
		return pass_number(t);
	}
}

static uint64_t pass_members(struct text *t)
{
	uint64_t sum = 0;
	while (t->at < t->end) {
		sum += pass_member(t);
		while (t->at < t->end && (is_space(*t->at) || *t->at == ','))
			t->at++;
	}
	return mw_shape_end(sum);
}

uint64_t mw_shape_of_json(struct mw_span json)
{
	struct text t = {json.at, json.at, json.at + json.len};
	while (t.at < t.end && is_space(*t.at))
		t.at++;
	if (t.at == t.end)
		return MW_CLASS_ABSENT;
	if (*t.at != '"')
		return pass_value(&t);
	/* A text, or the name of a first member? */
	struct mw_span text = pass_string(&t);
	while (t.at < t.end && is_space(*t.at))
		t.at++;
	if (t.at == t.end)
		return mw_class_of_text(text);
	t.at = text.at - 1;
	return pass_members(&t);
}

/* ---- a text that is met again */

/* The hash of the name before a value, of which `quote` is the first byte; 0: it is no member's. */
static uint64_t key_before(const uint8_t *begin, const uint8_t *quote)
{
	const uint8_t *at = quote;
	while (at > begin && (is_space(at[-1]) || at[-1] == ':'))
		at--;
	if (at == quote || at - begin < 2 || at[-1] != '"')
		return 0;
	const uint8_t *end = at - 1;
	for (at = end; at > begin && at[-1] != '"';)
		at--;
	return mw_shape_key(at, (size_t)(end - at)) | 1;
}

/* Quotes stand around it: looks for two of them at the right distance. */
uint64_t mw_shape_echo(struct mw_span text, struct mw_span json)
{
	uint64_t sum = 0;
	size_t far = text.len + 1;
	if (json.len <= far)
		return 0;
	const uint8_t *at = json.at, *end = json.at + json.len - far;
	const uint8_t *last = json.len - far >= 16 ? end - 16 : NULL; /* where a look can still begin */
	while (at < end) {
		uint32_t pairs;
		const uint8_t *next = at + 16;
		if (last && at > last) { /* a part of it is looked at once more, but for what was seen */
			pairs = mw_scan_pairs(last, far) >> (at - last);
		} else if (last) {
			pairs = mw_scan_pairs(at, far);
		} else {
			pairs = *at == '"' && at[far] == '"';
			next = at + 1;
		}
		for (; pairs; pairs &= pairs - 1) {
			const uint8_t *quote = at + __builtin_ctz(pairs);
			if (memcmp(quote + 1, text.at, text.len) == 0)
				sum += key_before(json.at, quote);
		}
		at = next;
	}
	return sum;
}
