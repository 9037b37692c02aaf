/* letters.c -- an event that the mapping failed on, as a dead letter: all of it, and what is needed to map it
 * again. */
#include "../core/dead_letter.h"
#include "mwl.h"

void mwl_letters_begin(struct mwl_letters *l, const struct mw_map *map, const struct mw_delivery *d)
{
	l->map = map;
	l->delivery = d;
	l->err = MW_OK;
}

static enum mw_err append_source(struct mw_buf *b, const struct mw_map *map)
{
	enum mw_err err = mw_buf_append_span(b, mw_map_slug(map));
	if (!err)
		err = mw_buf_append_byte(b, ' ');
	return err ? err : mw_buf_append_span(b, mw_map_version(map));
}

static enum mw_err append_headers(struct mw_buf *b, const struct mw_delivery *d)
{
	enum mw_err err = MW_OK;
	for (size_t i = 0; i < d->header_count && !err; i++) {
		const struct mw_header *h = &d->headers[i];
		/* What ends in a NUL can't have one inside; no tool's header does. */
		if (mw_dead_letter_is_secret(h->name) || memchr(h->name.at, 0, h->name.len) ||
		    memchr(h->value.at, 0, h->value.len))
			continue;
		err = mw_buf_append_span(b, h->name);
		if (!err)
			err = mw_buf_append_byte(b, '\0');
		if (!err)
			err = mw_buf_append_span(b, h->value);
		if (!err)
			err = mw_buf_append_byte(b, '\0');
	}
	return err;
}

static enum mw_err append_body(struct mw_buf *b, const struct mw_problem *p)
{
	enum mw_err err = MW_OK;
	for (int i = 0; i < 3 && !err; i++)
		err = mw_buf_append_span(b, p->body[i]);
	return err;
}

static struct mw_span text_of(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static enum mw_err write_letter(struct mwl_letters *l, struct mw_outbox *out, const struct mw_problem *p)
{
	struct mw_buf *b = &l->texts;
	mw_buf_clear(b);
	enum mw_err err = append_source(b, l->map);
	size_t headers = b->len;
	if (!err)
		err = append_headers(b, l->delivery);
	size_t body = b->len;
	if (!err)
		err = append_body(b, p);
	if (err)
		return err;
	const struct mw_error *e = p->error;
	struct mw_dead_letter letter = {
	    .at = l->delivery->now,
	    .tag = l->delivery->tag,
	    .format = (uint32_t)p->format,
	    .account = p->account,
	    .code = text_of(mw_err_word(e->code)),
	    .source = {b->data, headers},
	    .headers = {b->data + headers, body - headers},
	    .event = {b->data + body, b->len - body},
	};
	mw_dead_letter_place(text_of(e->detail[0] ? e->detail : mw_err_sentence(e->code)), &letter.place,
			     &letter.reason);
	struct mw_outbox_mark mark = mw_outbox_mark(out);
	err = mw_outbox_begin(out, p->account, letter.tag, MW_PARCEL_DEAD);
	if (!err)
		err = mw_dead_letter_write(&out->bytes, &letter);
	if (!err)
		err = mw_outbox_end(out, mark);
	if (err)
		mw_outbox_rollback(out, mark);
	return err;
}

/* One that can't be written is told, and the whole body is refused: whoever gave it still has it. */
void mwl_letters_add(struct mwl_letters *l, struct mw_outbox *out, const struct mw_problem *p)
{
	if (l->err == MW_OK)
		l->err = write_letter(l, out, p);
}
