/* server.c -- libmicrohttpd, turned from callbacks into a queue.
 *
 * A complete request is queued; mw_server_take takes it out; mw_exchange_answer stores the answer, and
 * libmicrohttpd, which asks for it in every round, gets it in the next one. So all of its callbacks run
 * inside mw_server_wait or mw_server_close, and none of them runs caller's code.
 *
 * A connection whose answer takes more than a few rounds is suspended, and no longer asked about: that costs
 * three system calls a request, which one that is answered with the next commit is spared.
 */
#include "server_own.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* What one connection may use beside its request line and headers: the answer's, and libmicrohttpd's records.
 * All of a connection's memory is cleared behind each request, so it is not more than needed. */
enum { CONNECTION_EXTRA = 8 * 1024 };

/* How long mw_server_close waits for answers to be taken. */
enum { CLOSE_MS = 200 };

/* How often slow peers are looked for; and how much later than ours libmicrohttpd's own timeout may come. It
 * is there for what has no deadline of ours: a body without a rate, a stream that nobody reads. */
enum { LOOK_MS = 1000, BACKSTOP_S = 3 };

/* How long libmicrohttpd is kept from asking again for an answer when nothing else is to be done. */
enum { ASK_MS = 1 };

/* How many connections are accepted before those that are there get their turn. */
enum { ACCEPTS_MAX = 16 };

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
	*socket_context = info ? mw_peers_add(&s->peers, info->connect_fd, mw_server_now()) : NULL;
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
	    NULL, mw_intake_request, s, MHD_OPTION_EXTERNAL_LOGGER, be_quiet, NULL,
	    MHD_OPTION_URI_LOG_CALLBACK, mw_intake_uri, s, MHD_OPTION_NOTIFY_COMPLETED, mw_intake_completed,
	    NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
	    s->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->connections_per_ip,
	    MHD_OPTION_CONNECTION_TIMEOUT, backstop_s(config), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    s->head_max + CONNECTION_EXTRA, MHD_OPTION_END);
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
	s->watched_count = MW_OWN_WATCHED;
	*out = s;
	return MW_OK;
}

void mw_server_close(struct mw_server *s)
{
	if (!s)
		return;
	/* libmicrohttpd aborts the process if it is stopped while a connection is suspended. */
	for (struct mw_exchange *x = s->exchanges; x; x = x->behind) {
		if (x->stage == MW_STAGE_READY || x->stage == MW_STAGE_TAKEN || x->stage == MW_STAGE_HELD) {
			mw_reply_release(&x->reply);
			if (x->connection)
				mw_exchange_send(x);
		} else if (x->end) {
			x->end(x->end_context);
		}
	}
	/* Answers given a moment ago still go out, if their clients take them. */
	for (int64_t until = mw_server_now() + CLOSE_MS; s->exchanges && mw_server_now() < until;)
		if (MHD_run_wait(s->daemon, 10) != MHD_YES)
			break;
	MHD_stop_daemon(s->daemon);
	mw_listener_deinit(&s->listener);
	mw_server_share_return(s->connections_max);
	while (s->exchanges) /* whose clients went first */
		mw_exchange_free(s->exchanges);
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
	if (s->watched_count == MW_OWN_WATCHED + MW_SERVER_WATCHED)
		return false;
	s->watched[s->watched_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
	return true;
}

bool mw_server_is_due(struct mw_server *s)
{
	MHD_UNSIGNED_LONG_LONG own;
	if (s->has_answers || s->ready.first)
		return true;
	/* As long as somebody waits for an answer libmicrohttpd says so without end. */
	bool is_true = s->waiting == 0 || s->has_moved;
	return is_true && MHD_get_timeout(s->daemon, &own) == MHD_YES && own == 0;
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
	for (nfds_t i = MW_OWN_WATCHED; i < s->watched_count; i++) {
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
			mw_listener_rest(&s->listener, mw_server_now());
			return;
		}
		int fd = mw_listener_accept(&s->listener, mw_server_now(), &a);
		if (fd < 0)
			return;
		s->has_moved = true;
		/* Closes it, if it is one too many of its address. */
		MHD_add_connection(s->daemon, fd, (struct sockaddr *)&a.from, a.from_len);
	}
}

void mw_server_wait(struct mw_server *s, int64_t timeout_ms)
{
	int64_t until = mw_server_now() + timeout_ms;
	int64_t left = timeout_ms;
	bool more = true;
	while (more) {
		errno = 0;
		more = sleep_until(s, s->ready.first ? 0 : left > LOOK_MS ? LOOK_MS : left);
		if (s->watched[1].revents)
			accept_some(s);
		if (MHD_run_wait(s->daemon, 0) != MHD_YES)
			return;
		int64_t now = mw_server_now();
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
		mw_exchange_free(mw_exchanges_take(&s->ready));
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
	struct mw_exchange *x = mw_exchanges_take(&s->ready);
	x->stage = MW_STAGE_TAKEN;
	return x;
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
	mw_peers_look(&s->peers, mw_server_now(), true);
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
