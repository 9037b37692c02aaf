#include "token_reply.h"

#include "../core/json_read.h"
#include "../core/number.h"

enum { WORD_MAX = 24 };

/* A string member as it stands in the text, escapes and all. */
static bool text_member(const struct mw_json *doc, const char *name, struct mw_span *out)
{
	size_t len = strlen(name);
	uint32_t at = mw_json_member(doc, 0, name, len, mw_json_tag(name, len));
	if (at == 0 || doc->nodes[at].type != MW_JSON_STRING)
		return false;
	*out = mw_json_raw(doc, at);
	return true;
}

/* token68 of RFC 7235. */
static bool is_token(struct mw_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.at[i];
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    (c != 0 && strchr("-._~+/=", c));
		if (!fits)
			return false;
	}
	return s.len > 0 && s.len <= MW_TOKEN_MAX;
}

/* Seconds; some servers write them as a string. */
static int64_t life_of(const struct mw_json *doc)
{
	static const char name[] = "expires_in";
	uint32_t at = mw_json_member(doc, 0, name, sizeof name - 1, mw_json_tag(name, sizeof name - 1));
	double seconds = MW_TOKEN_LIFE_S;
	int64_t whole;
	if (at != 0 && doc->nodes[at].type == MW_JSON_NUMBER)
		seconds = mw_number_read_double(mw_json_raw(doc, at));
	else if (at != 0 && doc->nodes[at].type == MW_JSON_STRING)
		seconds = mw_number_read_int64(mw_json_raw(doc, at), &whole) ? (double)whole : 0;
	return seconds >= 0.001 ? seconds < 1e9 ? (int64_t)(seconds * 1000) : INT64_C(1000000000000) : 0;
}

bool mw_token_reply_read(struct mw_span body, struct mw_span *token, int64_t *life_ms)
{
	struct mw_json doc;
	struct mw_error e;
	mw_json_init(&doc);
	bool good = mw_json_read(&doc, body.at, body.len, &e) == MW_OK &&
		    doc.nodes[0].type == MW_JSON_OBJECT && text_member(&doc, "access_token", token) &&
		    is_token(*token);
	*life_ms = good ? life_of(&doc) : 0;
	mw_json_deinit(&doc);
	return good && *life_ms > 0;
}

/* Appends what fits, long words as "…"; returns the new length. */
static size_t append_words(char out[MW_TOKEN_REASON_MAX], size_t len, struct mw_span s)
{
	for (size_t i = 0; i < s.len;) {
		size_t end = i;
		while (end < s.len && s.at[end] > ' ' && s.at[end] < 0x7f)
			end++;
		const char *word = end - i > WORD_MAX ? "..." : (const char *)s.at + i;
		size_t word_len = end - i > WORD_MAX ? 3 : end - i;
		if (len + word_len + 2 > MW_TOKEN_REASON_MAX)
			break;
		memcpy(out + len, word, word_len);
		len += word_len;
		if (end < s.len)
			out[len++] = ' ';
		i = end + 1;
	}
	return len;
}

void mw_token_reply_reason(struct mw_span body, char out[MW_TOKEN_REASON_MAX])
{
	struct mw_json doc;
	struct mw_error e;
	struct mw_span text;
	size_t len = 0;
	mw_json_init(&doc);
	if (mw_json_read(&doc, body.at, body.len, &e) == MW_OK && doc.nodes[0].type == MW_JSON_OBJECT) {
		if (text_member(&doc, "error", &text))
			len = append_words(out, 0, text);
		if (text_member(&doc, "error_description", &text) && len + 3 < MW_TOKEN_REASON_MAX) {
			if (len > 0) {
				out[len++] = ':';
				out[len++] = ' ';
			}
			len = append_words(out, len, text);
		}
	}
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	mw_json_deinit(&doc);
}
