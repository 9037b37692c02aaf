#include "identity.h"

#include <string.h>

static const char *const words[MW_IDENTITY_KINDS] = {
    [MW_IDENTITY_USER] = "user_id", [MW_IDENTITY_ANONYMOUS] = "anonymous_id", [MW_IDENTITY_EMAIL] = "email",
    [MW_IDENTITY_PHONE] = "phone",  [MW_IDENTITY_TOOL] = "tool_id",
};

const char *mw_identity_word(enum mw_identity_kind kind)
{
	return words[kind];
}

bool mw_identity_kind_named(struct mw_span word, enum mw_identity_kind *kind)
{
	for (int i = 0; i < MW_IDENTITY_KINDS; i++) {
		if (mw_span_is(word, words[i])) {
			*kind = (enum mw_identity_kind)i;
			return true;
		}
	}
	return false;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct mw_span trim(struct mw_span s)
{
	while (s.len > 0 && is_space(s.at[0]))
		s = (struct mw_span){s.at + 1, s.len - 1};
	while (s.len > 0 && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* What stands between the digits of a number is taste; bytes above ASCII are not for us to judge. */
static bool belongs_to_phone(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '+' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c >= 0x80;
}

struct mw_span mw_identity_plain(enum mw_identity_kind kind, struct mw_span text,
				 uint8_t room[MW_IDENTITY_MAX])
{
	static const struct mw_span nothing = {(const uint8_t *)"", 0};
	size_t len = 0;
	if (kind == MW_IDENTITY_EMAIL)
		text = trim(text);
	if (text.len > MW_IDENTITY_MAX || text.len == 0)
		return nothing;
	if (kind != MW_IDENTITY_EMAIL && kind != MW_IDENTITY_PHONE)
		return text;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.at[i];
		if (kind == MW_IDENTITY_PHONE && !belongs_to_phone(c))
			continue;
		if (kind == MW_IDENTITY_EMAIL && c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + ('a' - 'A'));
		room[len++] = c;
	}
	return (struct mw_span){room, len};
}
