#include "pack.h"

#include "checksum.h"

struct record {
	uint32_t len;
	uint32_t flags; /* none yet */
	int64_t tag;
};

size_t mw_pack_record_size(size_t message_len)
{
	return sizeof(struct record) + message_len;
}

static uint64_t sum_of_head(const struct mw_pack_head *h)
{
	const size_t skip = sizeof h->head_sum;
	return mw_checksum((const uint8_t *)h + skip, sizeof *h - skip);
}

void mw_pack_begin(struct mw_pack_writer *w, void *room, uint64_t bytes_before, int64_t since)
{
	w->start = room;
	w->at = w->start + sizeof w->head;
	w->head = (struct mw_pack_head){.bytes_before = bytes_before, .since = since};
}

void mw_pack_add(struct mw_pack_writer *w, struct mw_span message, int64_t tag)
{
	const struct record r = {.len = (uint32_t)message.len, .tag = tag};
	memcpy(w->at, &r, sizeof r);
	memcpy(w->at + sizeof r, message.at, message.len);
	w->at += sizeof r + message.len;
	w->head.bytes += message.len;
	w->head.count++;
}

void mw_pack_end(struct mw_pack_writer *w)
{
	const uint8_t *body = w->start + sizeof w->head;
	w->head.size = (uint32_t)(w->at - w->start);
	w->head.body_sum = mw_checksum(body, (size_t)(w->at - body));
	w->head.head_sum = sum_of_head(&w->head);
	memcpy(w->start, &w->head, sizeof w->head);
}

bool mw_pack_head(struct mw_span value, struct mw_pack_head *out)
{
	if (value.len < sizeof *out)
		return false;
	memcpy(out, value.at, sizeof *out);
	return out->head_sum == sum_of_head(out) && out->size >= value.len && out->count > 0;
}

bool mw_pack_open(struct mw_span value, struct mw_pack *out)
{
	if (!mw_pack_head(value, &out->head) || out->head.size != value.len)
		return false;
	out->at = value.at + sizeof out->head;
	out->end = value.at + value.len;
	return out->head.body_sum == mw_checksum(out->at, (size_t)(out->end - out->at));
}

bool mw_pack_next(struct mw_pack *p, struct mw_span *message, int64_t *tag)
{
	struct record r;
	size_t left = (size_t)(p->end - p->at);
	if (left < sizeof r)
		return false;
	memcpy(&r, p->at, sizeof r);
	if (r.len > left - sizeof r)
		return false;
	*message = (struct mw_span){p->at + sizeof r, r.len};
	*tag = r.tag;
	p->at += sizeof r + r.len;
	return true;
}
