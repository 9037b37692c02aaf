#include "outbox.h"

#include <assert.h>

struct record {
	uint32_t message_len;
	uint16_t account_len;
	uint16_t kind;
	int64_t tag;
};

static size_t padding(size_t len)
{
	return (8 - len % 8) % 8;
}

void mw_outbox_init(struct mw_outbox *o, size_t max)
{
	mw_buf_init(&o->bytes, max);
	o->count = o->letters = 0;
}

void mw_outbox_deinit(struct mw_outbox *o)
{
	mw_buf_deinit(&o->bytes);
	o->count = o->letters = 0;
}

void mw_outbox_clear(struct mw_outbox *o)
{
	mw_buf_clear(&o->bytes);
	o->count = o->letters = 0;
}

struct mw_outbox_mark mw_outbox_mark(const struct mw_outbox *o)
{
	return (struct mw_outbox_mark){o->bytes.len, o->count, o->letters};
}

void mw_outbox_rollback(struct mw_outbox *o, struct mw_outbox_mark mark)
{
	assert(mark.len <= o->bytes.len && mark.count <= o->count);
	o->bytes.len = mark.len;
	o->count = mark.count;
	o->letters = mark.letters;
}

enum mw_err mw_outbox_begin(struct mw_outbox *o, struct mw_span account, int64_t tag,
			    enum mw_parcel_kind kind)
{
	if (account.len > UINT16_MAX)
		return MW_TOO_LARGE;
	enum mw_err err = mw_buf_reserve(&o->bytes, sizeof(struct record) + account.len);
	if (err)
		return err;
	struct record r = {.account_len = (uint16_t)account.len, .kind = (uint16_t)kind, .tag = tag};
	uint8_t *at = o->bytes.data + o->bytes.len;
	memcpy(at, &r, sizeof r);
	if (account.len > 0)
		memcpy(at + sizeof r, account.at, account.len);
	o->bytes.len += sizeof r + account.len;
	return MW_OK;
}

enum mw_err mw_outbox_end(struct mw_outbox *o, struct mw_outbox_mark begun)
{
	struct record r;
	memcpy(&r, o->bytes.data + begun.len, sizeof r);
	size_t message_len = o->bytes.len - begun.len - sizeof r - r.account_len;
	if (message_len > UINT32_MAX) {
		mw_outbox_rollback(o, begun);
		return MW_TOO_LARGE;
	}
	size_t pad = padding(o->bytes.len);
	enum mw_err err = mw_buf_reserve(&o->bytes, pad);
	if (err) {
		mw_outbox_rollback(o, begun);
		return err;
	}
	uint8_t *end = o->bytes.data + o->bytes.len;
	/* A length known beforehand is a single store; what is too many is written over. */
	if (o->bytes.cap - o->bytes.len >= 8)
		memset(end, 0, 8);
	else
		memset(end, 0, pad);
	o->bytes.len += pad;
	r.message_len = (uint32_t)message_len;
	memcpy(o->bytes.data + begun.len, &r, sizeof r);
	o->count++;
	o->letters += r.kind == MW_PARCEL_DEAD;
	return MW_OK;
}

enum mw_err mw_outbox_add(struct mw_outbox *o, const struct mw_parcel *p)
{
	struct mw_outbox_mark mark = mw_outbox_mark(o);
	enum mw_err err = mw_outbox_begin(o, p->account, p->tag, p->kind);
	if (!err)
		err = mw_buf_append_span(&o->bytes, p->message);
	if (!err)
		return mw_outbox_end(o, mark);
	mw_outbox_rollback(o, mark);
	return err;
}

enum mw_err mw_outbox_append(struct mw_outbox *to, const struct mw_outbox *from)
{
	enum mw_err err = mw_buf_append_span(&to->bytes, mw_buf_span(&from->bytes));
	if (err)
		return err;
	to->count += from->count;
	to->letters += from->letters;
	return MW_OK;
}

bool mw_outbox_next(const struct mw_outbox *o, size_t *position, struct mw_parcel *p)
{
	if (*position >= o->bytes.len)
		return false;
	const uint8_t *at = o->bytes.data + *position;
	struct record r;
	memcpy(&r, at, sizeof r);
	p->account = (struct mw_span){at + sizeof r, r.account_len};
	p->message = (struct mw_span){p->account.at + r.account_len, r.message_len};
	p->tag = r.tag;
	p->kind = (enum mw_parcel_kind)r.kind;
	size_t len = sizeof r + r.account_len + r.message_len;
	*position += len + padding(len);
	return true;
}
