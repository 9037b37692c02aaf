#include "operate.h"

/* What an error says around the value that did not fit. */
static const struct {
	const char *before;
	const char *after;
} complaints[] = {
    [MW_OP_LOWER] = {"can't lower-case ", ""},
    [MW_OP_UPPER] = {"can't upper-case ", ""},
    [MW_OP_TRIM] = {"can't trim ", ""},
    [MW_OP_FIRST] = {"can't take the first element of ", ""},
    [MW_OP_LAST] = {"can't take the last element of ", ""},
    [MW_OP_TIME] = {"can't read ", " as a date or Unix time"},
    [MW_OP_STRING] = {"can't turn ", " into a string"},
    [MW_OP_NUMBER] = {"can't read ", " as a number"},
    [MW_OP_BOOLEAN] = {"can't read ", " as a boolean"},
    [MW_OP_SHA256] = {"can't hash ", ""},
    [MW_OP_SNAKE] = {"can't rename the members of ", ""},
    [MW_OP_CONCAT] = {"can't join ", ""},
    [MW_OP_ADD] = {"can't add ", ""},
    [MW_OP_SUB] = {"can't subtract ", ""},
    [MW_OP_MUL] = {"can't multiply ", ""},
    [MW_OP_DIV] = {"can't divide ", ""},
    [MW_OP_IS] = {"can't compare ", ""},
    [MW_OP_ABOVE] = {"can't compare ", ": not a number"},
    [MW_OP_BELOW] = {"can't compare ", ": not a number"},
    [MW_OP_MONEY] = {"can't read ", " as an amount"},
    [MW_OP_BEFORE] = {"can't cut ", ""},
    [MW_OP_AFTER] = {"can't cut ", ""},
    [MW_OP_CONTAINS] = {"can't search ", ""},
    [MW_OP_JSON] = {"can't read ", " as JSON"},
    [MW_OP_WITHOUT] = {"can't leave members out of ", ""},
    [MW_OP_SUM] = {"can't add up ", ""},
    [MW_OP_MAP] = {"can't map ", ": not an array of the event"},
    [MW_OP_FILTER] = {"can't filter ", ": not an array of the event"},
    [MW_OP_LOOKUP] = {"can't look up ", ""},
};

/* As much of a value as fits into an error, cut between characters. */
static int excerpt_len(struct mw_span text)
{
	enum { EXCERPT = 40 };
	if (text.len <= EXCERPT)
		return (int)text.len;
	size_t len = EXCERPT;
	while (len > 0 && (text.at[len] & 0xC0) == 0x80)
		len--;
	return (int)len;
}

enum mw_err mw_operate_refuse(struct mw_walk *w, enum mw_op op, const struct mw_value *a)
{
	const char *kind = mw_value_kind_name(w->s->doc, a);
	const char *before = complaints[op].before, *after = complaints[op].after;
	struct mw_span text;
	switch (a->kind) {
	case MW_VALUE_CHARS:
	case MW_VALUE_ESCAPED:
		return mw_walk_fail(w, MW_MAPPING, "%s%s (\"%.*s\")%s", before, kind, excerpt_len(a->text),
				    (const char *)a->text.at, after);
	case MW_VALUE_INT:
	case MW_VALUE_DOUBLE:
	case MW_VALUE_NUMBER:
		if (mw_value_chars(a, w->s->arena, &text))
			return mw_walk_fail(w, MW_MAPPING, "%s%s (%.*s)%s", before, kind, excerpt_len(text),
					    (const char *)text.at, after);
		break;
	default:
		break;
	}
	return mw_walk_fail(w, MW_MAPPING, "%s%s%s", before, kind, after);
}

enum mw_err mw_operate_full(struct mw_walk *w)
{
	return mw_walk_fail(w, MW_TOO_LARGE, "mapping this event takes more than %zu bytes of memory",
			    w->s->arena->max);
}
