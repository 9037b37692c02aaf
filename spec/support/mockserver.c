/* mockserver.c -- a Tracking API on loopback that misbehaves on request.
 *
 *     mockserver [--log FILE] [--heads FILE] [--bodies FILE] [--messages FILE] [--port-file FILE]
 *                [--cert PEM --key PEM]
 *
 * Prints its port on stdout (and into the port file). Ends on SIGTERM, on SIGINT, and on the end of stdin if
 * that is a pipe, so that a test that dies takes its server along. HTTP/1.1 with keep-alive, a thread a
 * connection, TLS if given a certificate.
 *
 * The log has one line a request: monotonic ns, connection, request on that connection, bytes of body,
 * messages, write key (of the Basic header; or the Bearer token), X-Retry-Count, status answered (0: none),
 * key in the body, path. The time is that at which the system had its first bytes (with TLS, at which they
 * were read): on a busy machine this process may get to read many requests at once that were sent one by one.
 * Lines stand in the order in which requests were read. A request the server left unanswered is in it as
 * well: what counts for a rate limit is what arrived. Heads and bodies are what came, a NUL behind each head
 * and a newline behind each body; messages are those of batches answered with 2xx, one a line.
 *
 * POST /control changes the behaviour from then on: see mockscript.h.
 */
#include "mockscript.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024 };

static struct script script;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* script and files */
static int log_fd = -1, heads_fd = -1, bodies_fd = -1, messages_fd = -1;
static SSL_CTX *tls;

struct connection {
	int fd;
	SSL *ssl;
	long number;
	long requests;
	char head[HEAD_MAX + 1];
	size_t head_len; /* bytes in `head`, also past the end of the head */
	int64_t came_ns; /* the request that is read */
};

struct request {
	char *body;
	size_t body_len;
	char key[160], body_key[160], path[256];
	bool is_bearer;
	long retry, messages;
};

static ssize_t receive(struct connection *c, void *to, size_t len)
{
	return c->ssl ? SSL_read(c->ssl, to, (int)len) : recv(c->fd, to, len, 0);
}

static bool transmit(struct connection *c, const char *at, size_t len)
{
	while (len > 0) {
		ssize_t n = c->ssl ? SSL_write(c->ssl, at, (int)len) : send(c->fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static void append(int fd, const char *at, size_t len)
{
	while (fd >= 0 && len > 0) {
		ssize_t n = write(fd, at, len);
		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

/* A header's value, copied; "" if absent. */
static void header_value(const char *head, const char *name, char *out, size_t out_len)
{
	size_t name_len = strlen(name);
	*out = '\0';
	for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
		const char *at = line + 2;
		if (strncasecmp(at, name, name_len) != 0 || at[name_len] != ':')
			continue;
		at += name_len + 1;
		at += strspn(at, " ");
		snprintf(out, out_len, "%.*s", (int)strcspn(at, "\r\n"), at);
		return;
	}
}

/* "Basic a2V5Og==" -> "key" */
static void decode_key(const char *authorization, char *out, size_t out_len)
{
	unsigned char text[320];
	size_t len = strlen(authorization);
	*out = '\0';
	if (strncmp(authorization, "Basic ", 6) != 0 || (len - 6) / 4 * 3 >= sizeof text)
		return;
	int n = EVP_DecodeBlock(text, (const unsigned char *)authorization + 6, (int)len - 6);
	if (n <= 0)
		return;
	text[n] = '\0'; /* padding decodes to NULs */
	char *colon = strchr((char *)text, ':');
	snprintf(out, out_len, "%.*s%s", colon ? (int)(colon - (char *)text) : n, (char *)text,
		 colon && !colon[1] ? "" : "?");
}

/* Calls for each element of "batch":[...]; returns how many there are. */
static long each_message(const char *body, size_t len, int fd)
{
	static const char opening[] = "\"batch\":[";
	const char *at = memmem(body, len, opening, sizeof opening - 1), *end = body + len;
	if (!at)
		return 0;
	long count = 0;
	int depth = 0;
	bool in_string = false;
	const char *start = NULL;
	for (at += sizeof opening - 1; at < end && depth >= 0; at++) {
		if (in_string) {
			if (*at == '\\')
				at++;
			else if (*at == '"')
				in_string = false;
			continue;
		}
		if (*at == '"') {
			in_string = true;
		} else if (*at == '{' || *at == '[') {
			if (depth++ == 0)
				start = at;
		} else if (*at == '}' || *at == ']') {
			if (--depth != 0)
				continue;
			count++;
			append(fd, start, (size_t)(at + 1 - start));
			append(fd, "\n", fd >= 0);
		}
	}
	return count;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits for the first byte of a request, and notes when it came: the system stamps it (SO_TIMESTAMPNS) by its
 * wall clock. False at the end of the connection. */
static bool wait_for_request(struct connection *c)
{
	char first, control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec to = {&first, 1};
	struct msghdr m = {
	    .msg_iov = &to, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	if ((c->ssl ? SSL_peek(c->ssl, &first, 1) : recvmsg(c->fd, &m, MSG_PEEK)) <= 0)
		return false;
	c->came_ns = clock_ns(CLOCK_MONOTONIC);
	struct cmsghdr *stamp = c->ssl ? NULL : CMSG_FIRSTHDR(&m);
	if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SO_TIMESTAMPNS) {
		struct timespec at;
		memcpy(&at, CMSG_DATA(stamp), sizeof at);
		int64_t ago = clock_ns(CLOCK_REALTIME) - ((int64_t)at.tv_sec * 1000000000 + at.tv_nsec);
		if (ago > 0 && ago < 60000000000) /* else the wall clock was set meanwhile */
			c->came_ns -= ago;
	}
	return true;
}

/* Reads one request; false at the end of the connection. */
static bool read_request(struct connection *c, struct request *r)
{
	static const char control[] = "POST /control";
	const size_t control_len = sizeof control - 1;
	if (c->head_len == 0 && !wait_for_request(c))
		return false;
	/* Only now, for the script may have changed while the connection was idle. */
	pthread_mutex_lock(&lock);
	long cut = script.cut_request;
	pthread_mutex_unlock(&lock);
	char *end = NULL;
	while (!(end = strstr(c->head, "\r\n\r\n"))) {
		size_t room = HEAD_MAX - c->head_len;
		if (c->head_len >= control_len && memcmp(c->head, control, control_len) == 0)
			cut = -1;
		/* A client cannot tell that a few bytes more were read before the end. */
		if (cut >= 0 && c->head_len < control_len)
			room = control_len - c->head_len;
		else if (cut >= 0)
			room = (size_t)cut > c->head_len ? (size_t)cut - c->head_len : 0;
		ssize_t n = room ? receive(c, c->head + c->head_len, room) : 0;
		if (n <= 0)
			return false;
		c->head_len += (size_t)n;
		c->head[c->head_len] = '\0';
	}
	size_t head_len = (size_t)(end - c->head) + 4, extra = c->head_len - head_len;
	end[2] = '\0'; /* the head ends behind its last line */
	char value[512];
	header_value(c->head, "Content-Length", value, sizeof value);
	r->body_len = strtoul(value, NULL, 10);
	header_value(c->head, "X-Retry-Count", value, sizeof value);
	r->retry = atol(value);
	header_value(c->head, "Authorization", value, sizeof value);
	decode_key(value, r->key, sizeof r->key);
	r->is_bearer = strncmp(value, "Bearer ", 7) == 0;
	if (r->is_bearer)
		snprintf(r->key, sizeof r->key, "%.150s", value + 7);
	if (sscanf(c->head, "%*s %255s", r->path) != 1 || r->body_len > 256u << 20)
		return false;
	r->body = malloc(r->body_len + 1);
	if (!r->body)
		return false;
	size_t have = extra < r->body_len ? extra : r->body_len;
	memcpy(r->body, c->head + head_len, have);
	while (have < r->body_len) {
		size_t room = r->body_len - have;
		if (cut >= 0) {
			size_t got = head_len + have;
			room = (size_t)cut <= got ? 0 : (size_t)cut - got < room ? (size_t)cut - got : room;
		}
		ssize_t n = room ? receive(c, r->body + have, room) : 0;
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	r->body[have] = '\0';
	pthread_mutex_lock(&lock);
	append(heads_fd, c->head, head_len - 1); /* with one NUL */
	pthread_mutex_unlock(&lock);
	/* What follows is the next request's. */
	size_t taken = head_len + (extra < r->body_len ? extra : r->body_len);
	memmove(c->head, c->head + taken, c->head_len - taken);
	c->head_len -= taken;
	c->head[c->head_len] = '\0';
	char *key = strstr(r->body, "\"writeKey\":\"");
	if (key)
		snprintf(r->body_key, sizeof r->body_key, "%.*s", (int)strcspn(key + 12, "\""), key + 12);
	return true;
}

static void record(const struct connection *c, struct request *r, int status)
{
	r->messages = each_message(r->body, r->body_len, status / 100 == 2 ? messages_fd : -1);
	append(bodies_fd, r->body, r->body_len);
	append(bodies_fd, "\n", 1);
	char line[900];
	int n = snprintf(line, sizeof line, "%lld %ld %ld %zu %ld %s %ld %d %s %s\n", (long long)c->came_ns,
			 c->number, c->requests, r->body_len, r->messages, *r->key ? r->key : "-", r->retry,
			 status, *r->body_key ? r->body_key : "-", r->path);
	append(log_fd, line, (size_t)n);
}

/* A head without end, or nearly: `bytes` of header lines. */
static bool answer_flood(struct connection *c, int status, long bytes)
{
	static const char line[] = "X-Flood: on and on and on\r\n", end[] = "Content-Length: 0\r\n\r\n";
	char first[64];
	int n = snprintf(first, sizeof first, "HTTP/1.1 %d Mock\r\n", status);
	if (!transmit(c, first, (size_t)n))
		return false;
	for (long sent = 0; sent < bytes; sent += (long)sizeof line - 1)
		if (!transmit(c, line, sizeof line - 1))
			return false;
	return transmit(c, end, sizeof end - 1);
}

static void wait_for_end(struct connection *c)
{
	char byte;
	while (receive(c, &byte, 1) > 0)
		continue;
}

/* A number of the claims in the body's assertion, 0 if there is none. */
static long claim(const struct request *r, const char *name)
{
	unsigned char text[2048];
	char part[2048];
	const char *at = strstr(r->body, "client_assertion="), *dot = at ? strchr(at, '.') : NULL;
	size_t len = dot ? strcspn(dot + 1, ".&") : 0;
	if (len == 0 || len > sizeof part - 5)
		return 0;
	memcpy(part, dot + 1, len);
	for (size_t i = 0; i < len; i++)
		part[i] = part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i];
	while (len % 4)
		part[len++] = '=';
	int n = EVP_DecodeBlock(text, (unsigned char *)part, (int)len);
	if (n <= 0)
		return 0;
	text[n < (int)sizeof text ? n : (int)sizeof text - 1] = '\0';
	char *found = strstr((char *)text, name);
	return found ? atol(found + strlen(name)) : 0;
}

/* Under the lock: the token server's answer into head and body; its status, 0 for none. */
static int answer_token(struct request *r, char head[SCRIPT_TEXT_MAX * 2], int *head_len,
			char body[SCRIPT_TEXT_MAX])
{
	time_t now = time(NULL), theirs = now + script.clock_s;
	int status = script_token_status(&script, claim(r, "\"iat\":"), claim(r, "\"exp\":"), now);
	struct tm tm;
	char date[64];
	if (status / 100 == 2 && !*script.token_body)
		snprintf(body, SCRIPT_TEXT_MAX,
			 "{\"access_token\":\"mock-token-of-sixteen-%ld\",\"token_type\":\"Bearer\","
			 "\"expires_in\":%ld}",
			 ++script.tokens, script.token_life_s);
	else
		snprintf(body, SCRIPT_TEXT_MAX, "%s",
			 *script.token_body ? script.token_body : "{\"error\":\"invalid_client\"}");
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&theirs, &tm));
	*head_len = snprintf(head, SCRIPT_TEXT_MAX * 2,
			     "HTTP/1.1 %d Mock\r\nDate: %s\r\n%sContent-Length: %zu\r\n\r\n", status, date,
			     script.token_header, strlen(body));
	return status;
}

/* Answers a request; false if the connection is to be closed. */
static bool answer(struct connection *c, struct request *r)
{
	char head[SCRIPT_TEXT_MAX * 2], body[SCRIPT_TEXT_MAX];
	c->requests++;
	pthread_mutex_lock(&lock);
	if (strcmp(r->path, "/control") == 0) {
		char *save = NULL;
		for (char *line = strtok_r(r->body, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			script_line(&script, line);
		pthread_mutex_unlock(&lock);
		static const char done[] =
		    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
		transmit(c, done, sizeof done - 1);
		return false; /* who sends a script seldom has more to say */
	}
	if (strcmp(r->path, "/token") == 0) {
		int head_len, status = answer_token(r, head, &head_len, body);
		record(c, r, status);
		pthread_mutex_unlock(&lock);
		if (status == 0)
			wait_for_end(c);
		return status != 0 && transmit(c, head, (size_t)head_len) && transmit(c, body, strlen(body));
	}
	int status = script_status(&script, r->is_bearer ? r->body_key : r->key, r->body, r->body_len,
				   c->requests > 1);
	if (status / 100 == 2 && script.bearer && !(r->is_bearer && script_token_is_good(&script, r->key)))
		status = 401;
	record(c, r, status);
	long delay = script.delay_ms, flood = script.flood, huge = script.huge, cut = script.cut_response;
	bool dropped = script.drop_reused && c->requests > 1;
	snprintf(body, sizeof body, "%s", *script.body ? script.body : "{\"success\":true}");
	bool bare = status / 100 == 1 || status == 204 || status == 304;
	size_t body_len = bare ? 0 : huge >= 0 ? (size_t)huge : strlen(body);
	int head_len = snprintf(head, sizeof head, "HTTP/1.1 %d Mock\r\n%s", status, script.header);
	if (!bare)
		head_len += snprintf(head + head_len, sizeof head - (size_t)head_len,
				     "Content-Length: %zu\r\n", body_len);
	head_len += snprintf(head + head_len, sizeof head - (size_t)head_len, "\r\n");
	pthread_mutex_unlock(&lock);

	if (delay > 0)
		nanosleep(&(struct timespec){delay / 1000, delay % 1000 * 1000000}, NULL);
	if (status == 0) {
		if (!dropped)
			wait_for_end(c);
		return false;
	}
	if (flood >= 0)
		return answer_flood(c, status, flood);
	size_t first = cut >= 0 && cut < head_len ? (size_t)cut : (size_t)head_len;
	if (!transmit(c, head, first))
		return false;
	size_t left = body_len;
	if (cut >= 0) {
		size_t rest = (size_t)cut - first;
		left = left < rest ? left : rest;
	}
	if (huge < 0)
		return transmit(c, body, left) && left == body_len && first == (size_t)head_len &&
		       status / 100 != 1;
	char filler[4096];
	memset(filler, 'x', sizeof filler);
	for (; left > 0; left -= left < sizeof filler ? left : sizeof filler)
		if (!transmit(c, filler, left < sizeof filler ? left : sizeof filler))
			return false;
	return cut < 0;
}

static void *serve(void *argument)
{
	struct connection *c = argument;
	if (c->ssl && SSL_accept(c->ssl) != 1)
		ERR_clear_error();
	else
		for (bool more = true; more;) {
			struct request r = {0};
			more = read_request(c, &r) && answer(c, &r);
			free(r.body);
		}
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

static void *accept_all(void *argument)
{
	int listener = *(int *)argument;
	for (long number = 1;; number++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct connection *c = fd < 0 ? NULL : calloc(1, sizeof *c);
		if (!c)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
		c->fd = fd;
		c->number = number;
		if (tls && (c->ssl = SSL_new(tls)))
			SSL_set_fd(c->ssl, fd);
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, c) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

static int open_append(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void write_port(const char *path, int port)
{
	/* Renamed into place, so that whoever waits for the file finds it whole. */
	char part[1024];
	snprintf(part, sizeof part, "%s.part", path);
	FILE *f = fopen(part, "w");
	if (!f || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0 || rename(part, path) != 0) {
		perror(path);
		exit(2);
	}
}

static int listen_on_loopback(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 512) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
		perror("mockserver");
		exit(2);
	}
	*port = ntohs(address.sin_port);
	return fd;
}

/* Until a signal, or the end of stdin. */
static void wait_for_stop(void)
{
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	struct stat st;
	bool piped = fstat(STDIN_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
	for (;;) {
		if (sigtimedwait(&stop, NULL, &(struct timespec){0, piped ? 50000000 : 999999999}) > 0)
			return;
		struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
		char bytes[256];
		if (piped && poll(&in, 1, 0) > 0 && read(STDIN_FILENO, bytes, sizeof bytes) <= 0)
			return;
	}
}

int main(int argc, char **argv)
{
	const char *cert = NULL, *key = NULL, *port_file = NULL;
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];
		if (strcmp(name, "--log") == 0)
			log_fd = open_append(value);
		else if (strcmp(name, "--heads") == 0)
			heads_fd = open_append(value);
		else if (strcmp(name, "--bodies") == 0)
			bodies_fd = open_append(value);
		else if (strcmp(name, "--messages") == 0)
			messages_fd = open_append(value);
		else if (strcmp(name, "--port-file") == 0)
			port_file = value;
		else if (strcmp(name, "--cert") == 0)
			cert = value;
		else if (strcmp(name, "--key") == 0)
			key = value;
		else
			return fprintf(stderr, "mockserver: no option %s\n", name), 2;
	}
	script_reset(&script);
	signal(SIGPIPE, SIG_IGN);
	sigset_t stop;
	sigfillset(&stop);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	if (cert) {
		tls = SSL_CTX_new(TLS_server_method());
		if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
		    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
			return ERR_print_errors_fp(stderr), 2;
	}
	int port, listener = listen_on_loopback(&port);
	pthread_t thread;
	if (pthread_create(&thread, NULL, accept_all, &listener) != 0)
		return 2;
	printf("%d\n", port);
	fflush(stdout);
	if (port_file)
		write_port(port_file, port);
	wait_for_stop();
	_exit(0);
}
