/* server.c -- libmicrohttpd, turned from callbacks into a queue.
 *
 * A complete request is queued; mw_server_take takes it out; mw_exchange_answer stores the answer, and
 * libmicrohttpd, which asks for it in every round, gets it in the next one. So all of its callbacks run
 * inside mw_server_wait or mw_server_close, and none of them runs caller's code.
 *
 * A connection whose answer takes more than a few rounds is suspended, and no longer asked about: that costs
 * three system calls a request, which one that is answered with the next commit is spared.
 */
#include "server.h"

#include "server_framing.h"
#include "server_listen.h"
#include "server_own.h"
#include "server_peers.h"
#include "server_replies.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What one connection may use beside its request line and headers: the answer's, and libmicrohttpd's records.
 * All of a connection's memory is cleared behind each request, so it is not more than needed. */
enum { CONNECTION_EXTRA = 8 * 1024 };

/* A body is read so far past its limit, for clients look for an answer only behind it: then cut. */
enum { DRAIN_FACTOR = 4, DRAIN_MAX = 1024 * 1024 };

/* How long mw_server_close waits for answers to be taken. */
enum { CLOSE_MS = 200 };

/* How often slow peers are looked for; and how much later than ours libmicrohttpd's own timeout may come. It
 * is there for what has no deadline of ours: a body without a rate, a stream that nobody reads. */
enum { LOOK_MS = 1000, BACKSTOP_S = 3 };

/* How often libmicrohttpd may ask for an answer before its connection is suspended, and how long it is kept
 * from asking again when nothing else is to be done. */
enum { ASKED_MAX = 32, ASK_MS = 1 };

enum { METHOD_MAX = 23 };

/* How many connections are accepted before those that are there get their turn. */
enum { ACCEPTS_MAX = 16 };

/* Of what is polled these come first: libmicrohttpd's epoll and the listener. */
enum { OWN_WATCHED = 2 };

enum stage {
	STAGE_READING, /* headers or body still coming */
	STAGE_READY,   /* complete, in the queue */
	STAGE_TAKEN,   /* with the caller */
	STAGE_HELD,    /* its answer is there, and waits to be released */
	STAGE_ANSWERED,
};

struct mw_exchange {
	struct mw_server *server;
	struct MHD_Connection *connection; /* NULL: the client is gone, before it was answered */
	struct mw_peer *peer;
	struct mw_exchange *before, *behind; /* all exchanges of the server */
	struct mw_exchange *next;            /* that is ready, or held */
	struct mw_reply reply;
	unsigned status;
	enum stage stage;
	bool began; /* the access handler saw it */
	bool is_suspended;
	unsigned asked;             /* for its answer, in vain */
	unsigned refusal;           /* the status that its end is answered with, not asking the caller */
	size_t discarded;           /* body bytes that were not kept */
	void (*end)(void *context); /* of an answer that has none by itself; NULL */
	void *end_context;
	struct mw_buf body;
	char *path;
	char method[METHOD_MAX + 1];
	char uri[]; /* as it came, percent signs and all */
};

struct queue {
	struct mw_exchange *first, *last;
};

struct mw_server {
	struct MHD_Daemon *daemon;
	struct mw_exchange *exchanges;
	struct queue ready, held; /* held: answers */
	struct mw_replies replies;
	size_t busy;    /* exchanges */
	size_t waiting; /* of them: complete, not answered, not suspended */
	size_t body_max, head_max;
	size_t bodies, memory_max; /* bytes of them */
	struct mw_peers peers;
	uint64_t refused;
	struct mw_listener listener;
	unsigned connections_max;
	struct pollfd watched[OWN_WATCHED + MW_SERVER_WATCHED];
	nfds_t watched_count;
	bool is_quiet;
	bool has_answers; /* given, and not yet fetched by libmicrohttpd, which nothing tells of them */
	bool has_moved;   /* something came or went in the last round */
	uint16_t port;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void queue_add(struct queue *q, struct mw_exchange *x)
{
	if (q->last)
		q->last->next = x;
	else
		q->first = x;
	q->last = x;
}

static struct mw_exchange *queue_take(struct queue *q)
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

static void exchange_free(struct mw_exchange *x)
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

static struct mw_peer *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void enter(struct mw_exchange *x, enum mw_peer_phase phase)
{
	if (x->peer && x->peer->phase != MW_PEER_CUT)
		mw_peer_enter(x->peer, phase, now_ms());
}

/* libmicrohttpd asks for the answer once more. Without one the connection is cut: it is never left hanging.
 */
static void send_reply(struct mw_exchange *x)
{
	struct mw_server *s = x->server;
	if (!x->connection) {
		exchange_free(x);
		return;
	}
	x->stage = STAGE_ANSWERED;
	enter(x, x->end ? MW_PEER_BUSY : MW_PEER_ANSWER);
	s->has_answers = true;
	if (x->is_suspended)
		MHD_resume_connection(x->connection);
	else
		s->waiting--;
	x->is_suspended = false;
}

/* The first callback of a connection, and the last. */
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct mw_server *s = context;
	s->has_moved = true;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			mw_peers_remove(&s->peers, *socket_context);
		*socket_context = NULL;
		mw_listener_wake(&s->listener);
		return;
	}
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	*socket_context = info ? mw_peers_add(&s->peers, info->connect_fd, now_ms()) : NULL;
}

/* The first callback of a request, and the only one that sees the query as it came. */
static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
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
	enter(x, MW_PEER_HEAD);
	return x;
}

static enum MHD_Result refuse(struct mw_exchange *x, unsigned status)
{
	x->server->refused++;
	enter(x, MW_PEER_ANSWER);
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
	return x->stage == STAGE_READING && x->body.len > 0 && x->peer && mw_peer_is_lasting(x->peer, now);
}

/* Room for `n` bytes more of x: bodies that last give way to those that don't, the oldest first, or a few
 * that are kept alive with a byte now and then would be all that is ever in memory. */
static bool has_room(struct mw_exchange *x, size_t n)
{
	struct mw_server *s = x->server;
	if (s->memory_max == 0)
		return true;
	int64_t now = now_ms();
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
	if (strlen(method) > METHOD_MAX)
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
	enter(x, MW_PEER_BODY);
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

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
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
	if (x->stage == STAGE_ANSWERED)
		return send_answer(x);
	if (x->stage != STAGE_READING)
		return not_yet(x);
	if (x->refusal)
		return refuse(x, x->refusal);
	x->stage = STAGE_READY;
	s->waiting++;
	enter(x, MW_PEER_BUSY);
	queue_add(&s->ready, x);
	return MHD_YES;
}

/* The end of a request; or, of one that is not answered, of its connection: then whoever has it finds out. */
static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why)
{
	(void)context, (void)connection;
	struct mw_exchange *x = *request;
	*request = NULL;
	if (!x)
		return;
	if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		x->server->peers.too_slow++;
	enter(x, MW_PEER_WAITING);
	if (x->stage == STAGE_READING || x->stage == STAGE_ANSWERED) {
		exchange_free(x);
		return;
	}
	x->server->waiting--;
	x->connection = NULL;
	x->peer = NULL;
}

/* libmicrohttpd would write to stderr what clients do wrong; each of them gets a status instead. */
static void be_quiet(void *context, const char *format, va_list args)
{
	(void)context, (void)format, (void)args;
}

static void configure(struct mw_server *s, const struct mw_server_config *config)
{
	s->body_max = config->body_max;
	s->memory_max = config->memory_max;
	s->head_max = config->head_max > 0 && config->head_max < MW_SERVER_HEAD_MAX ? config->head_max
										    : MW_SERVER_HEAD_MAX;
	s->peers.idle_ms = config->idle_timeout_s > 0 ? (int64_t)config->idle_timeout_s * 1000 : INT64_MAX;
	s->peers.head_ms =
	    config->head_timeout_s > 0 ? (int64_t)config->head_timeout_s * 1000 : s->peers.idle_ms;
	s->peers.body_rate_min = config->body_rate_min;
}

static unsigned backstop_s(const struct mw_server_config *config)
{
	unsigned ours = config->idle_timeout_s;
	if (ours > 0 && ours < config->head_timeout_s)
		ours = config->head_timeout_s;
	return ours > 0 ? ours + BACKSTOP_S : 0;
}

/* libmicrohttpd, without a socket to listen on. */
static struct MHD_Daemon *start(struct mw_server *s, const struct mw_server_config *config)
{
	/* The logger comes first: options are read in order, and the others may log. */
	return MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
	    NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, be_quiet, NULL, MHD_OPTION_URI_LOG_CALLBACK,
	    on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->connections_max,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->connections_per_ip, MHD_OPTION_CONNECTION_TIMEOUT,
	    backstop_s(config), MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->head_max + CONNECTION_EXTRA,
	    MHD_OPTION_END);
}

static int inner_epoll(const struct mw_server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

enum mw_err mw_server_open(const struct mw_server_config *config, struct mw_server **out, struct mw_error *e)
{
	*out = NULL;
	struct mw_server *s = calloc(1, sizeof *s);
	if (!s)
		return mw_error_set(e, MW_NO_MEMORY, 0, "%s", mw_err_sentence(MW_NO_MEMORY));
	configure(s, config);
	int fd = config->listener;
	s->port = config->port;
	if (fd <= 0)
		fd = mw_server_listen(config->host, &s->port, e);
	if (fd < 0) {
		free(s);
		return MW_IO;
	}
	s->connections_max = mw_server_share_take(config->connections_max);
	s->daemon = start(s, config);
	if (!s->daemon || !mw_listener_init(&s->listener, fd, inner_epoll(s))) {
		if (s->daemon)
			MHD_stop_daemon(s->daemon);
		else
			close(fd);
		mw_server_share_return(s->connections_max);
		free(s);
		return mw_error_set(e, MW_IO, 0,
				    "the HTTP server did not start (out of memory or descriptors)");
	}
	s->watched[0] = (struct pollfd){.fd = inner_epoll(s), .events = POLLIN};
	s->watched[1] = (struct pollfd){.events = POLLIN};
	s->watched_count = OWN_WATCHED;
	*out = s;
	return MW_OK;
}

void mw_server_close(struct mw_server *s)
{
	if (!s)
		return;
	/* libmicrohttpd aborts the process if it is stopped while a connection is suspended. */
	for (struct mw_exchange *x = s->exchanges; x; x = x->behind) {
		if (x->stage == STAGE_READY || x->stage == STAGE_TAKEN || x->stage == STAGE_HELD) {
			mw_reply_release(&x->reply);
			if (x->connection)
				send_reply(x);
		} else if (x->end) {
			x->end(x->end_context);
		}
	}
	/* Answers given a moment ago still go out, if their clients take them. */
	for (int64_t until = now_ms() + CLOSE_MS; s->exchanges && now_ms() < until;)
		if (MHD_run_wait(s->daemon, 10) != MHD_YES)
			break;
	MHD_stop_daemon(s->daemon);
	mw_listener_deinit(&s->listener);
	mw_server_share_return(s->connections_max);
	while (s->exchanges) /* whose clients went first */
		exchange_free(s->exchanges);
	mw_replies_deinit(&s->replies);
	free(s);
}

uint16_t mw_server_port(const struct mw_server *s)
{
	return s->port;
}

int mw_server_fd(const struct mw_server *s)
{
	return s->listener.epoll;
}

bool mw_server_watch(struct mw_server *s, int fd)
{
	if (s->watched_count == OWN_WATCHED + MW_SERVER_WATCHED)
		return false;
	s->watched[s->watched_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	return true;
}

/* Sleep until there is something to do for us or for who watches. False: not for the sockets alone. */
static bool sleep_until(struct mw_server *s, int64_t timeout_ms)
{
	MHD_UNSIGNED_LONG_LONG own;
	if (s->has_answers)
		timeout_ms = 0;
	/* As long as somebody waits for an answer libmicrohttpd would ask for it without end. */
	int64_t least = s->waiting > 0 && !s->has_moved ? ASK_MS : 0;
	s->has_answers = s->has_moved = false;
	if (MHD_get_timeout(s->daemon, &own) == MHD_YES && own < (MHD_UNSIGNED_LONG_LONG)timeout_ms)
		timeout_ms = (int64_t)own < least && least < timeout_ms ? least : (int64_t)own;
	s->watched[1].fd = mw_listener_fd(&s->listener);
	s->watched[1].revents = 0;
	if (poll(s->watched, s->watched_count, (int)timeout_ms) <= 0)
		return timeout_ms > 0 && errno == EINTR ? false : true;
	for (nfds_t i = OWN_WATCHED; i < s->watched_count; i++) {
		uint64_t count;
		if (s->watched[i].revents) {
			/* An eventfd is emptied; another server's epoll can't be read, and says so. */
			(void)!read(s->watched[i].fd, &count, sizeof count);
			return false;
		}
	}
	return true;
}

static unsigned connections(const struct mw_server *s)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info ? info->num_connections : 0;
}

static void accept_some(struct mw_server *s)
{
	struct mw_accepted a;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		if (connections(s) >= s->connections_max) {
			mw_listener_rest(&s->listener, now_ms());
			return;
		}
		int fd = mw_listener_accept(&s->listener, now_ms(), &a);
		if (fd < 0)
			return;
		s->has_moved = true;
		/* Closes it, if it is one too many of its address. */
		MHD_add_connection(s->daemon, fd, (struct sockaddr *)&a.from, a.from_len);
	}
}

void mw_server_wait(struct mw_server *s, int64_t timeout_ms)
{
	int64_t until = now_ms() + timeout_ms;
	int64_t left = timeout_ms;
	bool more = true;
	while (more) {
		errno = 0;
		more = sleep_until(s, s->ready.first ? 0 : left > LOOK_MS ? LOOK_MS : left);
		if (s->watched[1].revents)
			accept_some(s);
		if (MHD_run_wait(s->daemon, 0) != MHD_YES)
			return;
		int64_t now = now_ms();
		mw_listener_look(&s->listener, now);
		if (now - s->peers.looked_at >= LOOK_MS)
			mw_peers_look(&s->peers, now, s->is_quiet);
		left = until - now;
		more = more && !s->ready.first && left > 0;
	}
}

/* Whoever waited for those in front may be gone. */
static struct mw_exchange *first_ready(struct mw_server *s)
{
	while (s->ready.first && !s->ready.first->connection)
		exchange_free(queue_take(&s->ready));
	return s->ready.first;
}

bool mw_server_is_ready(struct mw_server *s)
{
	return first_ready(s) != NULL;
}

struct mw_exchange *mw_server_take(struct mw_server *s)
{
	if (!first_ready(s))
		return NULL;
	struct mw_exchange *x = queue_take(&s->ready);
	x->stage = STAGE_TAKEN;
	return x;
}

bool mw_exchange_is_gone(const struct mw_exchange *x)
{
	return !x->connection;
}

struct mw_exchange *mw_server_next(struct mw_server *s, int64_t timeout_ms)
{
	/* A round even with something queued: answers go out and other clients are read meanwhile. */
	mw_server_wait(s, timeout_ms);
	return mw_server_take(s);
}

void mw_server_quiesce(struct mw_server *s)
{
	if (s->is_quiet)
		return;
	s->is_quiet = true;
	mw_listener_close(&s->listener);
	mw_peers_look(&s->peers, now_ms(), true);
}

size_t mw_server_busy(const struct mw_server *s)
{
	return s->busy;
}

struct mw_server_stats mw_server_stats(const struct mw_server *s)
{
	return (struct mw_server_stats){.accepted = s->peers.accepted,
					.connections = s->peers.connections,
					.refused = s->refused,
					.too_slow = s->peers.too_slow};
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
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
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
	send_reply(x);
	return err;
}

enum mw_err mw_exchange_hold(struct mw_exchange *x, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body)
{
	struct mw_reply_parts parts = {.names = names, .values = values, .headers = headers, .body = body};
	enum mw_err err = reply_with(x, status, &parts);
	x->stage = STAGE_HELD;
	queue_add(&x->server->held, x);
	return err;
}

void mw_server_release(struct mw_server *s, size_t count)
{
	struct mw_exchange *x;
	while (count-- > 0 && (x = queue_take(&s->held)))
		send_reply(x);
}

enum mw_err mw_server_refuse(struct mw_server *s, size_t count, unsigned status, const char *const *names,
			     const char *const *values, size_t headers, struct mw_span body)
{
	struct mw_exchange *x;
	enum mw_err err = MW_OK;
	while (count-- > 0 && (x = queue_take(&s->held))) {
		enum mw_err one = mw_exchange_answer(x, status, names, values, headers, body);
		err = err == MW_OK ? one : err;
	}
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
	mw_reply_release(&x->reply);
	x->reply.response = response;
	x->status = status;
	send_reply(x);
}

void mw_exchange_at_close(struct mw_exchange *x, void (*end)(void *context), void *context)
{
	x->end = end;
	enter(x, MW_PEER_BUSY); /* it takes as long as it likes */
	x->end_context = context;
}
