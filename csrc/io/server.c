/* server.c -- libmicrohttpd, turned from callbacks into a queue.
 *
 * A complete request is suspended and queued; mw_server_next takes it out; mw_exchange_answer stores the
 * answer and resumes the connection, and libmicrohttpd then asks for it once more. So all of its
 * callbacks run inside mw_server_next or mw_server_close, and none of them runs caller's code.
 */
#include "server.h"

#include "server_own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What one connection may use for its request line and headers, and for one read of a body. */
enum { CONNECTION_MEMORY = 64 * 1024 };

/* A body without a length is read this many times past its limit (to answer politely), then cut. */
enum { DRAIN_FACTOR = 4 };

/* How long mw_server_close waits for answers to be taken. */
enum { CLOSE_MS = 200 };

enum stage {
	STAGE_READING, /* headers or body still coming */
	STAGE_READY,   /* complete, suspended, in the queue */
	STAGE_TAKEN,   /* complete, suspended, with the caller */
	STAGE_ANSWERED,
};

struct mw_exchange {
	struct mw_server *server;
	struct MHD_Connection *connection;
	struct mw_exchange *before, *behind; /* all exchanges of the server */
	struct mw_exchange *next_ready;
	struct MHD_Response *response;
	unsigned status;
	enum stage stage;
	bool began;                 /* the access handler saw it */
	size_t discarded;           /* body bytes past the limit */
	void (*end)(void *context); /* of an answer that has none by itself; NULL */
	void *end_context;
	struct mw_buf body;
	char *path;
	const char *method;
	char uri[]; /* as it came, percent signs and all */
};

struct mw_server {
	struct MHD_Daemon *daemon;
	struct mw_exchange *exchanges;
	struct mw_exchange *ready_first, *ready_last;
	size_t body_max;
	uint16_t port;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void exchange_free(struct mw_exchange *x)
{
	if (x->before)
		x->before->behind = x->behind;
	else
		x->server->exchanges = x->behind;
	if (x->behind)
		x->behind->before = x->before;
	if (x->response)
		MHD_destroy_response(x->response);
	mw_buf_deinit(&x->body);
	free(x->path);
	free(x);
}

/* The first callback of a request, and the only one that sees the query as it came. */
static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
	struct mw_server *s = context;
	size_t len = strlen(uri);
	struct mw_exchange *x = calloc(1, sizeof *x + len + 1);
	if (!x)
		return NULL;
	x->server = s;
	x->connection = connection;
	memcpy(x->uri, uri, len + 1);
	mw_buf_init(&x->body, s->body_max);
	x->behind = s->exchanges;
	if (s->exchanges)
		s->exchanges->before = x;
	s->exchanges = x;
	return x;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	enum MHD_Result queued = MHD_queue_response(connection, status, r);
	MHD_destroy_response(r);
	return queued;
}

static enum MHD_Result take_body(struct mw_exchange *x, const char *bytes, size_t *len)
{
	size_t n = *len;
	*len = 0; /* all of it is dealt with */
	if (x->discarded == 0 && n <= x->body.max - x->body.len)
		return mw_buf_append(&x->body, bytes, n) == MW_OK ? MHD_YES : MHD_NO;
	x->discarded += n;
	return x->discarded <= DRAIN_FACTOR * x->body.max ? MHD_YES : MHD_NO;
}

static bool has_nul(const char *uri)
{
	const char *nul = strstr(uri, "%00");
	return nul && nul < uri + strcspn(uri, "?");
}

/* Does the request say that its body is larger than anybody may send? */
static bool declares_too_much(struct mw_exchange *x)
{
	const char *length =
	    MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	return length && strtoull(length, NULL, 10) > (unsigned long long)x->body.max * (1 + DRAIN_FACTOR);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	(void)version;
	struct mw_server *s = context;
	struct mw_exchange *x = *request;
	if (!x)
		return MHD_NO; /* no memory for it */
	if (!x->began) {
		x->began = true;
		x->method = method;
		x->path = strdup(url);
		if (!x->path)
			return MHD_NO;
		if (has_nul(x->uri)) /* `url` ends there, and would pass for another */
			return refuse(connection, MHD_HTTP_BAD_REQUEST);
		return declares_too_much(x) ? refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE) : MHD_YES;
	}
	if (*upload_len > 0)
		return take_body(x, upload, upload_len);
	if (x->stage == STAGE_ANSWERED)
		return x->response ? MHD_queue_response(connection, x->status, x->response) : MHD_NO;
	if (x->stage != STAGE_READING)
		return MHD_YES;
	if (x->discarded > 0)
		return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE);
	x->stage = STAGE_READY;
	if (s->ready_last)
		s->ready_last->next_ready = x;
	else
		s->ready_first = x;
	s->ready_last = x;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* Never called for a suspended connection, so nothing that is queued or with the caller dies here. */
static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why)
{
	(void)context, (void)connection, (void)why;
	if (*request)
		exchange_free(*request);
	*request = NULL;
}

/* libmicrohttpd would write to stderr what clients do wrong; each of them gets a status instead. */
static void be_quiet(void *context, const char *format, va_list args)
{
	(void)context, (void)format, (void)args;
}

static int listen_on(const char *host, uint16_t port, uint16_t *bound, struct mw_error *e)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool is_six = inet_pton(AF_INET6, host, &six.sin6_addr) == 1;
	if (!is_six && inet_pton(AF_INET, host, &four.sin_addr) != 1) {
		mw_error_set(e, MW_IO, 0, "%.80s: not an IP address to listen on, such as 127.0.0.1", host);
		return -1;
	}
	struct sockaddr *address = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t len = is_six ? sizeof six : sizeof four;
	int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, address, len) < 0 || listen(fd, 256) < 0 || getsockname(fd, address, &len) < 0) {
		mw_error_set(e, MW_IO, 0, "can't listen on %.80s port %u: %s", host, (unsigned)port,
			     strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*bound = ntohs(is_six ? six.sin6_port : four.sin_port);
	return fd;
}

enum mw_err mw_server_open(const struct mw_server_config *config, struct mw_server **out, struct mw_error *e)
{
	*out = NULL;
	struct mw_server *s = calloc(1, sizeof *s);
	if (!s)
		return mw_error_set(e, MW_NO_MEMORY, 0, "%s", mw_err_sentence(MW_NO_MEMORY));
	s->body_max = config->body_max;
	int fd = listen_on(config->host, config->port, &s->port, e);
	if (fd < 0) {
		free(s);
		return MW_IO;
	}
	/* The logger comes first: options are read in order, and the others may log. */
	s->daemon =
	    MHD_start_daemon(MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
			     on_request, s, MHD_OPTION_EXTERNAL_LOGGER, be_quiet, NULL,
			     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
			     MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
			     config->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s,
			     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	if (!s->daemon) {
		close(fd);
		free(s);
		return mw_error_set(e, MW_IO, 0,
				    "the HTTP server did not start (out of memory or descriptors)");
	}
	*out = s;
	return MW_OK;
}

void mw_server_close(struct mw_server *s)
{
	if (!s)
		return;
	/* libmicrohttpd aborts the process if it is stopped while a connection is suspended. */
	for (struct mw_exchange *x = s->exchanges; x; x = x->behind) {
		if (x->stage == STAGE_READY || x->stage == STAGE_TAKEN) {
			x->stage = STAGE_ANSWERED;
			MHD_resume_connection(x->connection);
		} else if (x->end) {
			x->end(x->end_context);
		}
	}
	/* Answers given a moment ago still go out, if their clients take them. */
	for (int64_t until = now_ms() + CLOSE_MS; s->exchanges && now_ms() < until;)
		if (MHD_run_wait(s->daemon, 10) != MHD_YES)
			break;
	MHD_stop_daemon(s->daemon);
	free(s);
}

uint16_t mw_server_port(const struct mw_server *s)
{
	return s->port;
}

struct mw_exchange *mw_server_next(struct mw_server *s, int64_t timeout_ms)
{
	int64_t until = now_ms() + timeout_ms;
	/* One round even with something queued: answers go out and other clients are read meanwhile. */
	int64_t left = s->ready_first ? 0 : timeout_ms;
	do {
		if (MHD_run_wait(s->daemon, (int32_t)(left > 60000 ? 60000 : left)) != MHD_YES)
			break;
		left = until - now_ms();
	} while (!s->ready_first && left > 0);

	struct mw_exchange *x = s->ready_first;
	if (!x)
		return NULL;
	s->ready_first = x->next_ready;
	if (!s->ready_first)
		s->ready_last = NULL;
	x->next_ready = NULL;
	x->stage = STAGE_TAKEN;
	return x;
}

const char *mw_exchange_method(const struct mw_exchange *x)
{
	return x->method;
}

const char *mw_exchange_path(const struct mw_exchange *x)
{
	return x->path;
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

const char *mw_exchange_header(const struct mw_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
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

enum mw_err mw_exchange_answer(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, struct mw_span body)
{
	/* Copied, although the parameter is not const. */
	struct MHD_Response *r =
	    MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.at, MHD_RESPMEM_MUST_COPY);
	enum mw_err err = r ? MW_OK : MW_NO_MEMORY;
	for (size_t i = 0; i < headers && err == MW_OK; i++)
		if (MHD_add_response_header(r, names[i], values[i]) != MHD_YES)
			err = MW_INVALID;
	if (err != MW_OK && r)
		MHD_destroy_response(r);
	mw_exchange_respond(x, status, err == MW_OK ? r : NULL); /* never left hanging */
	return err;
}

void mw_exchange_cut(struct mw_exchange *x)
{
	mw_exchange_respond(x, 0, NULL);
}

struct MHD_Connection *mw_exchange_connection(const struct mw_exchange *x)
{
	return x->connection;
}

void mw_exchange_respond(struct mw_exchange *x, unsigned status, struct MHD_Response *response)
{
	x->response = response;
	x->status = status;
	x->stage = STAGE_ANSWERED;
	MHD_resume_connection(x->connection);
}

void mw_exchange_at_close(struct mw_exchange *x, void (*end)(void *context), void *context)
{
	x->end = end;
	x->end_context = context;
}
