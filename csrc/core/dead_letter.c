#include "dead_letter.h"

#include "checksum.h"

#include <stddef.h>

enum { TEXTS = 8 };

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
	const struct mw_span text[TEXTS] = {l->account, l->code,   l->reason, l->place,
					    l->source,  l->answer, l->event,  l->message};
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
	struct mw_span *const text[TEXTS] = {&out->account, &out->code,   &out->reason, &out->place,
					     &out->source,  &out->answer, &out->event,  &out->message};
	const uint8_t *at = bytes.at + sizeof head;
	for (int i = 0; i < TEXTS; i++) {
		*text[i] = (struct mw_span){at, head.len[i]};
		at += head.len[i];
	}
	return true;
}
