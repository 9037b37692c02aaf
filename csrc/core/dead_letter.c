#include "dead_letter.h"

#include "checksum.h"

#include <stddef.h>

enum { TEXTS = 9 };

struct head {
	uint64_t sum; /* of all that follows */
	int64_t at;
	int64_t tag;
	int32_t status;
	uint32_t attempts;
	uint32_t count;
	uint32_t format;
	uint32_t len[TEXTS];
};

static uint64_t sum_of(const uint8_t *start, size_t len)
{
	const size_t skip = sizeof(uint64_t);
	return mw_checksum(start + skip, len - skip);
}

enum mw_err mw_dead_letter_write(struct mw_buf *out, const struct mw_dead_letter *l)
{
	const struct mw_span text[TEXTS] = {l->account, l->code,    l->reason, l->place,  l->source,
					    l->answer,  l->headers, l->event,  l->message};
	struct head head = {.at = l->at,
			    .tag = l->tag,
			    .status = l->status,
			    .attempts = l->attempts,
			    .count = l->count,
			    .format = l->format};
	size_t len = sizeof head;
	for (int i = 0; i < TEXTS; i++) {
		if (text[i].len > UINT32_MAX)
			return MW_TOO_LARGE;
		head.len[i] = (uint32_t)text[i].len;
		len += text[i].len;
	}
	enum mw_err err = mw_buf_reserve(out, len);
	if (err != MW_OK)
		return err;
	uint8_t *start = out->data + out->len, *at = start + sizeof head;
	for (int i = 0; i < TEXTS; i++) {
		if (text[i].len > 0)
			memcpy(at, text[i].at, text[i].len);
		at += text[i].len;
	}
	memcpy(start, &head, sizeof head);
	head.sum = sum_of(start, len);
	memcpy(start, &head.sum, sizeof head.sum);
	out->len += len;
	return MW_OK;
}

bool mw_dead_letter_read(struct mw_span bytes, struct mw_dead_letter *out)
{
	struct head head;
	if (bytes.len < sizeof head)
		return false;
	memcpy(&head, bytes.at, sizeof head);
	size_t len = sizeof head;
	for (int i = 0; i < TEXTS; i++)
		len += head.len[i];
	if (len != bytes.len || head.sum != sum_of(bytes.at, bytes.len))
		return false;
	*out = (struct mw_dead_letter){.at = head.at,
				       .tag = head.tag,
				       .status = head.status,
				       .attempts = head.attempts,
				       .count = head.count,
				       .format = head.format};
	struct mw_span *const text[TEXTS] = {&out->account, &out->code,   &out->reason,
					     &out->place,   &out->source, &out->answer,
					     &out->headers, &out->event,  &out->message};
	const uint8_t *at = bytes.at + sizeof head;
	for (int i = 0; i < TEXTS; i++) {
		*text[i] = (struct mw_span){at, head.len[i]};
		at += head.len[i];
	}
	return true;
}

int64_t mw_dead_letter_at(struct mw_span bytes)
{
	struct head head;
	if (bytes.len < sizeof head)
		return 0;
	memcpy(&head, bytes.at, sizeof head);
	return head.at;
}

/* Up to its NUL. */
static bool next_text(struct mw_span all, size_t *position, struct mw_span *out)
{
	const uint8_t *start = all.at + *position;
	const uint8_t *end = *position < all.len ? memchr(start, 0, all.len - *position) : NULL;
	if (!end)
		return false;
	*out = (struct mw_span){start, (size_t)(end - start)};
	*position += out->len + 1;
	return true;
}

bool mw_dead_letter_header(const struct mw_dead_letter *l, size_t *position, struct mw_span *name,
			   struct mw_span *value)
{
	return next_text(l->headers, position, name) && next_text(l->headers, position, value);
}

static bool contains_nocase(struct mw_span text, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= text.len; i++) {
		size_t k = 0;
		while (k < len && (text.at[i + k] | 0x20) == word[k])
			k++;
		if (k == len)
			return true;
	}
	return false;
}

bool mw_dead_letter_is_secret(struct mw_span name)
{
	static const char *const words[] = {"auth",     "cookie", "key",       "token", "secret",
					    "password", "passwd", "signature", "hmac",  "credential"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (contains_nocase(name, words[i]))
			return true;
	return false;
}

void mw_dead_letter_place(struct mw_span text, struct mw_span *place, struct mw_span *reason)
{
	*place = (struct mw_span){text.at, 0};
	*reason = text;
	for (size_t i = 0; i < text.len && text.at[i] != '"'; i++) {
		size_t digits = i + 1;
		while (text.at[i] == ':' && digits < text.len && text.at[digits] >= '0' &&
		       text.at[digits] <= '9')
			digits++;
		if (i == 0 || digits == i + 1 || digits + 1 >= text.len ||
		    memcmp(text.at + digits, ": ", 2) != 0)
			continue;
		*place = (struct mw_span){text.at, digits};
		*reason = (struct mw_span){text.at + digits + 2, text.len - digits - 2};
		return;
	}
}
