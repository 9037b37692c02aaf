#include "shape.h"

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

/* "2026-11-26" */
static bool begins_with_date(struct mw_span s)
{
	static const char form[] = "dddd-dd-dd";
	if (s.len < sizeof form - 1)
		return false;
	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (form[i] == 'd' ? !is_digit(s.at[i]) : s.at[i] != '-')
			return false;
	}
	return true;
}

/* Z, or +01:00, +0100, +01 */
static bool ends_with_zone(struct mw_span s)
{
	const uint8_t *end = s.at + s.len;
	if (end[-1] == 'Z' || end[-1] == 'z')
		return true;
	for (size_t back = 3; back <= 6; back++) {
		if (end[-(ptrdiff_t)back] == '+' || (end[-(ptrdiff_t)back] == '-' && s.len - back > 10))
			return true;
	}
	return false;
}

static enum mw_class class_of_date(struct mw_span s)
{
	if (s.len == 10)
		return MW_CLASS_DATE;
	if (s.len < 16 || (s.at[10] != 'T' && s.at[10] != 't' && s.at[10] != ' ') || !is_digit(s.at[11]))
		return MW_CLASS_TEXT;
	return ends_with_zone(s) ? MW_CLASS_ZONED : MW_CLASS_UNZONED;
}

static bool is_number(struct mw_span s)
{
	size_t i = s.at[0] == '-', points = 0;
	for (; i < s.len; i++) {
		if (s.at[i] == '.')
			points++;
		else if (!is_digit(s.at[i]))
			return false;
	}
	return points <= 1 && is_digit(s.at[s.len - 1]);
}

enum mw_class mw_class_of_odd_text(struct mw_span s)
{
	if (s.len == 0)
		return MW_CLASS_EMPTY;
	if (s.len > MW_TEXT_LONG)
		return MW_CLASS_LONG;
	if (!is_digit(s.at[0]) && s.at[0] != '-')
		return MW_CLASS_TEXT;
	if (begins_with_date(s))
		return class_of_date(s);
	return is_number(s) ? MW_CLASS_DIGITS : MW_CLASS_TEXT;
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

static bool is_email(struct mw_span s)
{
	const uint8_t *sign = memchr(s.at, '@', s.len);
	return sign && sign > s.at && sign + 1 < s.at + s.len && !memchr(s.at, ' ', s.len);
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
	if (is_email(s))
		return MW_CLASS_EMAIL;
	return MW_CLASS_TEXT;
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
	enum mw_class class = MW_CLASS_INTEGER;
	for (; t->at < t->end; t->at++) {
		uint8_t c = *t->at;
		if (is_digit(c) || c == '-' || c == '+')
			continue;
		if (c != '.' && (c | 0x20) != 'e')
			break;
		class = MW_CLASS_FRACTION;
	}
	return class;
}

static uint64_t pass_value(struct text *t);

/* "name":value, and the space around them. */
static uint64_t pass_member(struct text *t)
{
	struct mw_span name = pass_string(t);
	pass_space(t);
	t->at++; /* the colon */
	pass_space(t);
	return mw_shape_member(mw_shape_key(name.at, name.len), pass_value(t));
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
		return pass_word(t, 4, MW_CLASS_BOOLEAN);
	case 'f':
		return pass_word(t, 5, MW_CLASS_BOOLEAN);
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
