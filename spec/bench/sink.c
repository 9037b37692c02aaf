/* sink.c -- takes batches as fast as loopback brings them, and counts.
 *
 *     sink [--port N] [--exact] [--cert FILE --key FILE]
 *
 * The other end of a benchmark must not be what is measured: one thread, epoll, no JSON. Most bodies are
 * thrown away unread in the kernel. One request in SAMPLE is read and its "messageId": keys counted, and the
 * events of all are reckoned from its bytes an event; with --exact every body is read.
 *
 * Prints its port at start, and on SIGINT or SIGTERM "requests R bytes B events E"; bytes are those of
 * bodies.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SAMPLE = 16, HEAD_MAX = 16 * 1024, CHUNK = 128 * 1024, EVENTS = 64 };

static const char marker[] = "\"messageId\":";
enum { MARKER_LEN = sizeof marker - 1 };

struct connection {
	int fd;
	SSL *ssl; /* NULL: in clear */
	bool sampled;
	size_t head_len;
	size_t left; /* of the body; only when the head is complete */
	bool in_body;
	size_t tail_len; /* end of the last chunk, in case it cuts a marker in two */
	char head[HEAD_MAX + 1];
	char chunk[MARKER_LEN + CHUNK];
};

static uint64_t requests, bytes, sampled_bytes, sampled_events;
static bool exact;
static SSL_CTX *tls;

static ssize_t receive(struct connection *c, void *to, size_t len)
{
	return c->ssl ? SSL_read(c->ssl, to, (int)len) : recv(c->fd, to, len, 0);
}

/* `chunk` holds tail_len old bytes and `len` new ones. */
static void scan(struct connection *c, size_t len)
{
	char *at = c->chunk, *end = c->chunk + c->tail_len + len;
	while ((at = memmem(at, (size_t)(end - at), marker, MARKER_LEN))) {
		sampled_events++;
		at += MARKER_LEN;
	}
	/* One byte less than a marker cannot hold one, so none is counted twice. */
	c->tail_len = (size_t)(end - c->chunk) < MARKER_LEN - 1 ? (size_t)(end - c->chunk) : MARKER_LEN - 1;
	memmove(c->chunk, end - c->tail_len, c->tail_len);
}

static bool reply(struct connection *c)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true}";
	c->in_body = false;
	c->head_len = 0;
	return c->ssl ? SSL_write(c->ssl, ok, sizeof ok - 1) == (int)sizeof ok - 1
		      : send(c->fd, ok, sizeof ok - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ok - 1;
}

/* The head is complete: what comes behind it in the same bytes is body. */
static bool start_body(struct connection *c, char *end)
{
	char *length = strcasestr(c->head, "\r\ncontent-length:");
	if (!length || length > end)
		return false;
	size_t body_len = strtoul(length + 17, NULL, 10);
	size_t have = (size_t)(c->head + c->head_len - end - 4);
	if (have > body_len) /* pipelining is not for sinks */
		return false;
	c->sampled = exact || requests % SAMPLE == 0;
	requests++;
	bytes += body_len;
	c->in_body = true;
	c->left = body_len - have;
	c->tail_len = 0;
	if (c->sampled) {
		sampled_bytes += body_len;
		memcpy(c->chunk, end + 4, have);
		scan(c, have);
	}
	return c->left > 0 || reply(c);
}

/* One read; false if the connection is done for. */
static bool advance(struct connection *c)
{
	if (!c->in_body) {
		ssize_t n = receive(c, c->head + c->head_len, HEAD_MAX - c->head_len);
		if (n <= 0)
			return false;
		c->head_len += (size_t)n;
		c->head[c->head_len] = '\0';
		char *end = strstr(c->head, "\r\n\r\n");
		return end ? start_body(c, end) : c->head_len < HEAD_MAX;
	}
	ssize_t n;
	if (c->sampled) {
		n = receive(c, c->chunk + c->tail_len, c->left < CHUNK ? c->left : CHUNK);
		if (n > 0)
			scan(c, (size_t)n);
	} else if (c->ssl) {
		n = receive(c, c->chunk, c->left < CHUNK ? c->left : CHUNK);
	} else {
		n = recv(c->fd, NULL, c->left, MSG_TRUNC); /* thrown away, not copied */
	}
	if (n <= 0)
		return false;
	c->left -= (size_t)n;
	return c->left > 0 || reply(c);
}

static int listen_on_loopback(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 128) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		perror("sink");
		exit(2);
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void watch(int epoll, int fd, void *what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) {
		perror("sink");
		exit(2);
	}
}

static void end(struct connection *c)
{
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
}

/* False if a certificate can't be used. */
static bool speak_tls(const char *cert, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	return tls && SSL_CTX_use_certificate_chain_file(tls, cert) == 1 &&
	       SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1;
}

/* All that can be read without waiting. */
static bool read_all(struct connection *c)
{
	bool more = advance(c);
	while (more && c->ssl && SSL_pending(c->ssl) > 0)
		more = advance(c);
	return more;
}

static void accept_one(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct connection *c = fd < 0 ? NULL : malloc(sizeof *c);
	if (!c) {
		if (fd >= 0)
			close(fd);
		return;
	}
	c->fd = fd;
	c->ssl = tls ? SSL_new(tls) : NULL;
	if (c->ssl && (!SSL_set_fd(c->ssl, fd) || SSL_accept(c->ssl) != 1)) {
		end(c);
		return;
	}
	c->head_len = 0;
	c->in_body = false;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	watch(epoll, fd, c);
}

int main(int argc, char **argv)
{
	int port = 0;
	const char *cert = NULL, *key = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--exact") == 0)
			exact = true;
		else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
			port = atoi(argv[++i]);
		else if (strcmp(argv[i], "--cert") == 0 && i + 1 < argc)
			cert = argv[++i];
		else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc)
			key = argv[++i];
		else
			return fprintf(stderr, "usage: sink [--port N] [--exact] [--cert FILE --key FILE]\n"),
			       2;
	}
	if (cert && (!key || !speak_tls(cert, key)))
		return fprintf(stderr, "sink: can't use %s and its key\n", cert), 2;
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	int stopped = signalfd(-1, &stop, SFD_CLOEXEC);
	int listener = listen_on_loopback(port), epoll = epoll_create1(EPOLL_CLOEXEC);
	watch(epoll, listener, &listener);
	watch(epoll, stopped, &stopped);
	for (bool more = true; more;) {
		struct epoll_event ready[EVENTS];
		int n = epoll_wait(epoll, ready, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			void *what = ready[i].data.ptr;
			if (what == &stopped) {
				more = false;
			} else if (what == &listener) {
				accept_one(epoll, listener);
			} else if (!read_all(what)) {
				end(what);
			}
		}
	}
	double per_event = sampled_events ? (double)sampled_bytes / (double)sampled_events : 0;
	printf("requests %llu bytes %llu events %.0f\n", (unsigned long long)requests,
	       (unsigned long long)bytes, per_event > 0 ? (double)bytes / per_event : 0);
	return 0;
}
