/* server_exchange.c -- a request as the caller sees it, and its answer. */
#include "server_own.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

void mw_exchanges_add(struct mw_exchanges *q, struct mw_exchange *x)
{
	if (q->last)
		q->last->next = x;
	else
		q->first = x;
	q->last = x;
}

struct mw_exchange *mw_exchanges_take(struct mw_exchanges *q)
{
	struct mw_exchange *x = q->first;
	if (!x)
		return NULL;
	q->first = x->next;
	if (!q->first)
		q->last = NULL;
	x->next = NULL;
	return x;
}

void mw_exchange_free(struct mw_exchange *x)
{
	if (x->before)
		x->before->behind = x->behind;
	else
		x->server->exchanges = x->behind;
	if (x->behind)
		x->behind->before = x->before;
	mw_reply_release(&x->reply);
	x->server->busy--;
	x->server->bodies -= x->body.len;
	mw_buf_deinit(&x->body);
	free(x->path);
	free(x);
}

void mw_exchange_enter(struct mw_exchange *x, enum mw_peer_phase phase)
{
	if (x->peer && x->peer->phase != MW_PEER_CUT)
		mw_peer_enter(x->peer, phase, mw_server_now());
}

/* libmicrohttpd asks for the answer once more. Without one the connection is cut: it is never left hanging.
 */
void mw_exchange_send(struct mw_exchange *x)
{
	struct mw_server *s = x->server;
	if (!x->connection) {
		mw_exchange_free(x);
		return;
	}
	x->stage = MW_STAGE_ANSWERED;
	mw_exchange_enter(x, x->end ? MW_PEER_BUSY : MW_PEER_ANSWER);
	s->has_answers = true;
	if (x->is_suspended)
		MHD_resume_connection(x->connection);
	else
		s->waiting--;
	x->is_suspended = false;
}

bool mw_exchange_is_gone(const struct mw_exchange *x)
{
	return !x->connection;
}

const char *mw_exchange_method(const struct mw_exchange *x)
{
	return x->method;
}

const char *mw_exchange_path(const struct mw_exchange *x)
{
	return x->path;
}

const char *mw_exchange_target(const struct mw_exchange *x)
{
	return x->uri;
}

const char *mw_exchange_query(const struct mw_exchange *x)
{
	const char *mark = strchr(x->uri, '?');
	return mark ? mark + 1 : "";
}

struct mw_span mw_exchange_body(const struct mw_exchange *x)
{
	return mw_buf_span(&x->body);
}

void mw_exchange_remote(const struct mw_exchange *x, char out[64])
{
	/* Of no connection libmicrohttpd would give an address all the same, of memory that is nobody's. */
	const union MHD_ConnectionInfo *info =
	    x->connection ? MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS) : NULL;
	const struct sockaddr *a = info ? info->client_addr : NULL;
	const void *at = !a ? NULL
			 : a->sa_family == AF_INET6
			     ? (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr
			     : (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr;
	if (!at || !inet_ntop(a->sa_family, at, out, 64))
		snprintf(out, 64, "unknown");
}

struct search {
	const char *name, *value;
	unsigned count;
};

static enum MHD_Result search_header(void *context, enum MHD_ValueKind kind, const char *name,
				     const char *value)
{
	(void)kind;
	struct search *s = context;
	if (strcasecmp(name, s->name) == 0 && s->count++ == 0)
		s->value = value ? value : "";
	return MHD_YES;
}

const char *mw_exchange_header(const struct mw_exchange *x, const char *name, unsigned *count)
{
	struct search s = {.name = name};
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, search_header, &s);
	if (count)
		*count = s.count;
	return s.value;
}

struct walk {
	void (*each)(void *context, const char *name, const char *value);
	void *context;
};

static enum MHD_Result walk_header(void *context, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	(void)kind;
	struct walk *w = context;
	w->each(w->context, name, value ? value : "");
	return MHD_YES;
}

void mw_exchange_each_header(const struct mw_exchange *x,
			     void (*each)(void *context, const char *name, const char *value), void *context)
{
	struct walk w = {each, context};
	MHD_get_connection_values(x->connection, MHD_HEADER_KIND, walk_header, &w);
}

/* Puts an answer together for one exchange. */
static enum mw_err reply_with(struct mw_exchange *x, unsigned status, const struct mw_reply_parts *parts)
{
	struct mw_reply_parts all = *parts;
	all.closes = status >= 400 || x->server->is_quiet;
	mw_reply_release(&x->reply);
	x->status = status;
	return mw_replies_make(&x->server->replies, &all, &x->reply);
}

enum mw_err mw_exchange_answer(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, struct mw_span body)
{
	struct mw_reply_parts parts = {.names = names, .values = values, .headers = headers, .body = body};
	enum mw_err err = reply_with(x, status, &parts);
	mw_exchange_send(x);
	return err;
}

enum mw_err mw_exchange_hold(struct mw_exchange *x, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body)
{
	struct mw_reply_parts parts = {.names = names, .values = values, .headers = headers, .body = body};
	enum mw_err err = reply_with(x, status, &parts);
	x->stage = MW_STAGE_HELD;
	mw_exchanges_add(&x->server->held, x);
	return err;
}

void mw_server_release(struct mw_server *s, size_t count)
{
	struct mw_exchange *x;
	while (count-- > 0 && (x = mw_exchanges_take(&s->held)))
		mw_exchange_send(x);
}

enum mw_err mw_server_refuse(struct mw_server *s, size_t count, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body)
{
	struct mw_exchange *x;
	enum mw_err err = MW_OK;
	while (count-- > 0 && (x = mw_exchanges_take(&s->held))) {
		enum mw_err one = mw_exchange_answer(x, status, names, values, headers, body);
		err = err == MW_OK ? one : err;
	}
	return err;
}

void mw_exchange_cut(struct mw_exchange *x)
{
	mw_exchange_respond(x, 0, NULL);
}

void mw_exchange_respond(struct mw_exchange *x, unsigned status, struct MHD_Response *response)
{
	mw_reply_release(&x->reply);
	x->reply.response = response;
	x->status = status;
	mw_exchange_send(x);
}

void mw_exchange_at_close(struct mw_exchange *x, void (*end)(void *context), void *context)
{
	x->end = end;
	mw_exchange_enter(x, MW_PEER_BUSY); /* it takes as long as it likes */
	x->end_context = context;
}
