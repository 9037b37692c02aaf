#include "server_replies.h"

#include <microhttpd.h>

static bool put(struct mw_kept_reply *k, const void *bytes, size_t len)
{
	if (len > sizeof k->key - k->key_len)
		return false;
	if (len > 0)
		memcpy(k->key + k->key_len, bytes, len);
	k->key_len += len;
	return true;
}

/* All that makes one answer differ from another; false: too long. Each text ends in a NUL, which is in none
 * of the headers, and the number of them stands in front. */
static bool write_key(const struct mw_reply_parts *p, struct mw_kept_reply *k)
{
	char head[2] = {(char)p->closes, (char)p->headers};
	k->key_len = 0;
	bool fits = p->headers < 16 && put(k, head, sizeof head);
	for (size_t i = 0; i < p->headers && fits; i++)
		fits = put(k, p->names[i], strlen(p->names[i]) + 1) &&
		       put(k, p->values[i], strlen(p->values[i]) + 1);
	return fits && put(k, p->body.at, p->body.len);
}

static enum mw_err make(const struct mw_reply_parts *p, struct MHD_Response **out)
{
	/* Copied, although the parameter is not const. */
	struct MHD_Response *r = MHD_create_response_from_buffer(p->body.len, (void *)(uintptr_t)p->body.at,
								 MHD_RESPMEM_MUST_COPY);
	enum mw_err err = r ? MW_OK : MW_NO_MEMORY;
	for (size_t i = 0; i < p->headers && err == MW_OK; i++)
		if (MHD_add_response_header(r, p->names[i], p->values[i]) != MHD_YES)
			err = MW_INVALID;
	if (err == MW_OK && p->closes &&
	    MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES)
		err = MW_NO_MEMORY;
	if (err != MW_OK && r)
		MHD_destroy_response(r);
	*out = err == MW_OK ? r : NULL;
	return err;
}

static struct mw_kept_reply *find(struct mw_replies *r, const struct mw_kept_reply *wanted)
{
	for (unsigned i = 0; i < MW_REPLIES; i++) {
		struct mw_kept_reply *k = &r->kept[i];
		if (k->response && k->key_len == wanted->key_len &&
		    memcmp(k->key, wanted->key, wanted->key_len) == 0)
			return k;
	}
	return NULL;
}

/* One that nobody uses, the one that was made longest ago first; NULL: all are in use. */
static struct mw_kept_reply *make_room(struct mw_replies *r)
{
	for (unsigned i = 0; i < MW_REPLIES; i++) {
		struct mw_kept_reply *k = &r->kept[r->next++ % MW_REPLIES];
		if (k->users > 0)
			continue;
		if (k->response)
			MHD_destroy_response(k->response);
		k->response = NULL;
		return k;
	}
	return NULL;
}

enum mw_err mw_replies_make(struct mw_replies *r, const struct mw_reply_parts *parts, struct mw_reply *out)
{
	struct mw_kept_reply wanted;
	*out = (struct mw_reply){0};
	bool is_small = write_key(parts, &wanted);
	struct mw_kept_reply *k = is_small ? find(r, &wanted) : NULL;
	if (!k) {
		enum mw_err err = make(parts, &out->response);
		k = is_small && err == MW_OK ? make_room(r) : NULL;
		if (!k)
			return err;
		k->response = out->response;
		k->key_len = wanted.key_len;
		memcpy(k->key, wanted.key, wanted.key_len);
	}
	k->users++;
	out->response = k->response;
	out->kept = k;
	return MW_OK;
}

void mw_reply_release(struct mw_reply *reply)
{
	if (reply->kept)
		reply->kept->users--;
	else if (reply->response)
		MHD_destroy_response(reply->response);
	*reply = (struct mw_reply){0};
}

void mw_replies_deinit(struct mw_replies *r)
{
	for (unsigned i = 0; i < MW_REPLIES; i++)
		if (r->kept[i].response)
			MHD_destroy_response(r->kept[i].response);
	*r = (struct mw_replies){0};
}
