/* serve_load.c -- posts webhooks as fast as they are answered: how fast is `moonweir serve`?
 *
 *     serve_load PORT SECONDS [CONNECTIONS [EVENTS_PER_POST [PATH [SECRET [SERVER_PID]]]]]
 *
 * One thread, epoll, keep-alive: each connection has one request under way, whose answer is waited for before
 * the next. Bodies are one event, or as many lines of JSON; each event has an id of its own. With a SECRET
 * each body is signed as for source.verify.hmac { header = "X-Signature" }: HMAC-SHA256 in hex. With a pid
 * the CPU time of that process is told, too: a figure that other load on the machine hardly changes.
 *
 * Prints one line; exit code 1 if an answer was not 200 or a connection was lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 20000, LATENCIES_MAX = 4 * 1024 * 1024 };

struct connection {
	int fd;
	size_t sent, len; /* of what goes out */
	char *out;
	size_t got;
	char in[1024];
	int64_t since; /* us */
};

static struct {
	int port, connections, events;
	const char *path, *secret;
	size_t room; /* of one request */
	int epoll;
	uint64_t number; /* of the next event */
	uint64_t answered, wrong;
	uint32_t *latencies;
	uint64_t base;
} load;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "serve_load: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* The events of one body, as the demo source takes them. */
static size_t write_events(char *at)
{
	size_t len = 0;
	for (int i = 0; i < load.events; i++, load.number++)
		len += (size_t)sprintf(
		    at + len,
		    "{\"event_id\":\"b%llx-%llu\",\"type\":\"message.opened\",\"occurred_at\":1795392001123,"
		    "\"contact\":{\"id\":9007199254741993,\"external_id\":\"user-%llu\",\"email\":\"ada@"
		    "example.com\"},"
		    "\"message\":{\"id\":7205759403792793601,\"subject\":\"Hello\"},\"campaign\":{\"id\":311,"
		    "\"name\":"
		    "\"Spring\"}}\n",
		    (unsigned long long)load.base, (unsigned long long)load.number,
		    (unsigned long long)(load.number % 1000));
	return len;
}

static void prepare(struct connection *c)
{
	enum { HEAD = 512 };
	char signature[80] = "";
	char *body = c->out + HEAD;
	size_t body_len = write_events(body);
	if (load.secret) {
		unsigned char digest[32];
		unsigned digest_len = sizeof digest;
		HMAC(EVP_sha256(), load.secret, (int)strlen(load.secret), (const unsigned char *)body,
		     body_len, digest, &digest_len);
		size_t n = (size_t)sprintf(signature, "X-Signature: ");
		for (unsigned i = 0; i < digest_len; i++)
			n += (size_t)sprintf(signature + n, "%02x", digest[i]);
		memcpy(signature + n, "\r\n", 3);
	}
	char head[HEAD];
	size_t n = (size_t)snprintf(
	    head, sizeof head,
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Acme-Hooks/1.0\r\nAccept: "
	    "*/*\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n",
	    load.path, load.events > 1 ? "application/x-ndjson" : "application/json", signature, body_len);
	memcpy(body - n, head, n);
	c->sent = HEAD - n;
	c->len = HEAD + body_len;
	c->got = 0;
	c->since = now_us();
}

/* False: the connection is lost. */
static bool send_some(struct connection *c)
{
	while (c->sent < c->len) {
		ssize_t n = send(c->fd, c->out + c->sent, c->len - c->sent, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		c->sent += (size_t)n;
	}
	return true;
}

static void count(struct connection *c)
{
	if (load.answered < LATENCIES_MAX)
		load.latencies[load.answered] = (uint32_t)(now_us() - c->since);
	load.answered++;
	if (strncmp(c->in, "HTTP/1.1 200", 12) != 0)
		load.wrong++;
}

static bool receive(struct connection *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->in + c->got, sizeof c->in - 1 - c->got, 0);
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		c->got += (size_t)n;
		c->in[c->got] = '\0';
		if (!strstr(c->in, "\r\n\r\n")) /* answers of 200 have no body */
			continue;
		count(c);
		prepare(c);
		if (!send_some(c))
			return false;
	}
}

static void connect_one(struct connection *c, uint32_t index)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load.port)};
	int on = 1;
	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at) != 0)
		die("connect");
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->out = malloc(load.room);
	if (!c->out)
		die("memory");
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = index};
	epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e);
	prepare(c);
	send_some(c);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* CPU seconds of a process; 0 if that is not known. */
static double cpu_of(const char *pid)
{
	char path[64], text[1024];
	unsigned long user, system;
	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	char *at = strrchr(text, ')');
	if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		return 0;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double percentile(double part)
{
	size_t n = load.answered < LATENCIES_MAX ? load.answered : LATENCIES_MAX;
	return n == 0 ? 0 : load.latencies[(size_t)((double)(n - 1) * part)] / 1000.0;
}

static void report(double seconds, double cpu)
{
	size_t n = load.answered < LATENCIES_MAX ? load.answered : LATENCIES_MAX;
	qsort(load.latencies, n, sizeof *load.latencies, by_size);
	struct rusage own;
	getrusage(RUSAGE_SELF, &own);
	double mine = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
		      (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
	double posts = load.answered > 0 ? (double)load.answered : 1;
	printf("%.0f events/s, %.0f requests/s, p50 %.1f ms, p99 %.1f ms; CPU: server %.1f us a request "
	       "(%.2f an event), "
	       "this %.1f us; %llu wrong\n",
	       (double)load.answered * load.events / seconds, (double)load.answered / seconds,
	       percentile(0.5), percentile(0.99), cpu / posts * 1e6, cpu / posts / load.events * 1e6,
	       mine / posts * 1e6, (unsigned long long)load.wrong);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(
		    stderr,
		    "usage: serve_load PORT SECONDS [CONNECTIONS [EVENTS [PATH [SECRET [SERVER_PID]]]]]\n");
		return 2;
	}
	load.port = atoi(argv[1]);
	double seconds = atof(argv[2]);
	load.connections = argc > 3 ? atoi(argv[3]) : 400;
	load.events = argc > 4 ? atoi(argv[4]) : 1;
	load.path = argc > 5 ? argv[5] : "/webhooks/acme";
	load.secret = argc > 6 && argv[6][0] ? argv[6] : NULL;
	const char *pid = argc > 7 ? argv[7] : "none";
	load.room = 512 + 400 * (size_t)load.events;
	load.base = (uint64_t)now_us();
	load.epoll = epoll_create1(0);
	load.latencies = malloc(LATENCIES_MAX * sizeof *load.latencies);
	struct connection *all = calloc((size_t)load.connections, sizeof *all);
	if (load.connections < 1 || load.connections > CONNECTIONS_MAX || load.events < 1 ||
	    !load.latencies || !all)
		die("arguments");
	for (int i = 0; i < load.connections; i++)
		connect_one(&all[i], (uint32_t)i);
	double cpu = cpu_of(pid);
	int64_t began = now_us(), until = began + (int64_t)(seconds * 1e6);
	uint64_t lost = 0;
	while (now_us() < until) {
		struct epoll_event events[512];
		int n = epoll_wait(load.epoll, events, 512, 100);
		for (int i = 0; i < n; i++) {
			struct connection *c = &all[events[i].data.u32];
			if (c->fd >= 0 && (!send_some(c) || !receive(c))) {
				close(c->fd);
				c->fd = -1;
				lost++;
			}
		}
	}
	report((double)(now_us() - began) / 1e6, cpu_of(pid) - cpu);
	if (lost > 0)
		fprintf(stderr, "serve_load: %llu connections were lost\n", (unsigned long long)lost);
	return load.wrong > 0 || lost > 0 ? 1 : 0;
}
