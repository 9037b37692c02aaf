/* server_intake.c -- requests as they come in: what libmicrohttpd calls.
 *
 * Limits are kept here, and what passes one is answered here; what is complete is queued.
 */
#include "server_framing.h"
#include "server_own.h"

#include <stdlib.h>

/* A body is read so far past its limit, for clients look for an answer only behind it: then cut. */
enum { DRAIN_FACTOR = 4, DRAIN_MAX = 1024 * 1024 };

/* How often libmicrohttpd may ask for an answer before its connection is suspended. */
enum { ASKED_MAX = 32 };

static struct mw_peer *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* The first callback of a request, and the only one that sees the query as it came. */
void *mw_intake_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
	struct mw_server *s = context;
	size_t len = strlen(uri);
	struct mw_exchange *x = calloc(1, sizeof *x + len + 1);
	if (!x)
		return NULL;
	s->has_moved = true;
	x->server = s;
	x->connection = connection;
	x->peer = peer_of(connection);
	memcpy(x->uri, uri, len + 1);
	mw_buf_init(&x->body, s->body_max);
	x->behind = s->exchanges;
	if (s->exchanges)
		s->exchanges->before = x;
	s->exchanges = x;
	s->busy++;
	mw_exchange_enter(x, MW_PEER_HEAD);
	return x;
}

static enum MHD_Result refuse(struct mw_exchange *x, unsigned status)
{
	x->server->refused++;
	mw_exchange_enter(x, MW_PEER_ANSWER);
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	enum MHD_Result queued = MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	if (queued == MHD_YES && status == MHD_HTTP_SERVICE_UNAVAILABLE)
		queued = MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	if (queued == MHD_YES)
		queued = MHD_queue_response(x->connection, status, r);
	MHD_destroy_response(r);
	return queued;
}

static size_t length_max(const struct mw_server *s)
{
	return s->body_max +
	       (s->body_max > DRAIN_MAX / DRAIN_FACTOR ? DRAIN_MAX : s->body_max * DRAIN_FACTOR);
}

/* What is kept of a body is of no more use. */
static void drop_body(struct mw_exchange *x, unsigned refusal)
{
	x->refusal = refusal;
	x->server->bodies -= x->body.len;
	mw_buf_deinit(&x->body);
}

/* Has it been coming for so long that it had better make room? */
static bool is_lasting(const struct mw_exchange *x, int64_t now)
{
	return x->stage == MW_STAGE_READING && x->body.len > 0 && x->peer && mw_peer_is_lasting(x->peer, now);
}

/* Room for `n` bytes more of x: bodies that last give way to those that don't, the oldest first, or a few
 * that are kept alive with a byte now and then would be all that is ever in memory. */
static bool has_room(struct mw_exchange *x, size_t n)
{
	struct mw_server *s = x->server;
	if (s->memory_max == 0)
		return true;
	int64_t now = mw_server_now();
	bool lasts = is_lasting(x, now); /* it pushes nobody out */
	while (s->bodies + n > s->memory_max) {
		struct mw_exchange *oldest = NULL;
		for (struct mw_exchange *y = lasts ? NULL : s->exchanges; y; y = y->behind)
			if (is_lasting(y, now))
				oldest = y;
		if (!oldest)
			return false;
		drop_body(oldest, MHD_HTTP_SERVICE_UNAVAILABLE);
	}
	return true;
}

static enum MHD_Result take_body(struct mw_exchange *x, const char *bytes, size_t *len)
{
	struct mw_server *s = x->server;
	size_t n = *len;
	*len = 0; /* all of it is dealt with */
	s->has_moved = true;
	if (x->peer)
		x->peer->body += n;
	if (!x->refusal && n > x->body.max - x->body.len)
		drop_body(x, MHD_HTTP_CONTENT_TOO_LARGE);
	else if (!x->refusal && (!has_room(x, n) || mw_buf_append(&x->body, bytes, n) != MW_OK))
		drop_body(x, MHD_HTTP_SERVICE_UNAVAILABLE);
	if (!x->refusal) {
		s->bodies += n;
		return MHD_YES;
	}
	x->discarded += n;
	return x->discarded <= length_max(s) ? MHD_YES : MHD_NO;
}

static bool has_nul(const char *uri)
{
	const char *nul = strstr(uri, "%00");
	return nul && nul < uri + strcspn(uri, "?");
}

static enum MHD_Result begin(struct mw_exchange *x, const char *url, const char *method, const char *version)
{
	struct mw_server *s = x->server;
	x->began = true;
	if (strlen(method) > MW_METHOD_MAX)
		return refuse(x, MHD_HTTP_NOT_IMPLEMENTED);
	memcpy(x->method, method, strlen(method) + 1);
	const struct mw_framing f = {.target = x->uri,
				     .url = url,
				     .method = method,
				     .version = version,
				     .head_max = s->head_max,
				     .length_max = length_max(s)};
	/* Behind a NUL `url` ends, and would pass for another. */
	unsigned status = has_nul(x->uri) ? MHD_HTTP_BAD_REQUEST : mw_framing_check(x->connection, &f);
	if (status)
		return refuse(x, status);
	x->path = strdup(url);
	mw_exchange_enter(x, MW_PEER_BODY);
	return x->path ? MHD_YES : MHD_NO;
}

static enum MHD_Result send_answer(struct mw_exchange *x)
{
	x->server->has_moved = true;
	return x->reply.response ? MHD_queue_response(x->connection, x->status, x->reply.response) : MHD_NO;
}

static enum MHD_Result not_yet(struct mw_exchange *x)
{
	if (++x->asked >= ASKED_MAX) {
		x->is_suspended = true;
		x->server->waiting--;
		MHD_suspend_connection(x->connection);
	}
	return MHD_YES;
}

enum MHD_Result mw_intake_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	struct mw_server *s = context;
	struct mw_exchange *x = *request;
	(void)connection;
	if (!x)
		return MHD_NO; /* no memory for it */
	if (!x->began)
		return begin(x, url, method, version);
	if (*upload_len > 0)
		return take_body(x, upload, upload_len);
	if (x->stage == MW_STAGE_ANSWERED)
		return send_answer(x);
	if (x->stage != MW_STAGE_READING)
		return not_yet(x);
	if (x->refusal)
		return refuse(x, x->refusal);
	x->stage = MW_STAGE_READY;
	s->waiting++;
	mw_exchange_enter(x, MW_PEER_BUSY);
	mw_exchanges_add(&s->ready, x);
	return MHD_YES;
}

/* The end of a request; or, of one that is not answered, of its connection: then whoever has it finds out. */
void mw_intake_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why)
{
	(void)context, (void)connection;
	struct mw_exchange *x = *request;
	*request = NULL;
	if (!x)
		return;
	if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		x->server->peers.too_slow++;
	mw_exchange_enter(x, MW_PEER_WAITING);
	if (x->stage == MW_STAGE_READING || x->stage == MW_STAGE_ANSWERED) {
		mw_exchange_free(x);
		return;
	}
	x->server->waiting--;
	x->connection = NULL;
	x->peer = NULL;
}
