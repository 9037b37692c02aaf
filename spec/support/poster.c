/* poster.c -- posts events one by one and writes down which were answered 200, until the server is gone.
 *
 *     poster PORT FILE PREFIX [CONNECTIONS]
 *
 * Each line of FILE is an event id, written before the next request of its connection goes out: what stands
 * there was promised. Ends with 0 when all connections are lost, which is what a kill of the server looks
 * like.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64 };

struct connection {
	long id;
	size_t got;
	char in[1024];
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd sockets[CONNECTIONS_MAX];
static const char *prefix;
static int file;
static long next_id;

static bool post(int i)
{
	char body[128], request[512];
	struct connection *c = &connections[i];
	c->id = next_id++;
	c->got = 0;
	snprintf(body, sizeof body, "{\"type\":\"t\",\"event_id\":\"%s-%ld\",\"user\":\"u\"}", prefix, c->id);
	int n = snprintf(request, sizeof request,
			 "POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
			 "Content-Length: %zu\r\n\r\n%s",
			 strlen(body), body);
	return send(sockets[i].fd, request, (size_t)n, MSG_NOSIGNAL) == n;
}

static void note(const struct connection *c)
{
	char line[64];
	int n = snprintf(line, sizeof line, "%s-%ld\n", prefix, c->id);
	if (write(file, line, (size_t)n) != n) {
		perror("poster");
		exit(2);
	}
}

/* False: this connection is of no more use. */
static bool take(int i)
{
	struct connection *c = &connections[i];
	ssize_t n = recv(sockets[i].fd, c->in + c->got, sizeof c->in - 1 - c->got, 0);
	if (n <= 0)
		return false;
	c->got += (size_t)n;
	c->in[c->got] = '\0';
	if (!strstr(c->in, "\r\n\r\n"))
		return true;
	if (strncmp(c->in, "HTTP/1.1 200", 12) != 0)
		return false;
	note(c);
	return post(i);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: poster PORT FILE PREFIX [CONNECTIONS]\n");
		return 2;
	}
	int count = argc > 4 ? atoi(argv[4]) : 16, left = 0;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	prefix = argv[3];
	for (int i = 0; i < count && i < CONNECTIONS_MAX; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		sockets[i] = (struct pollfd){.fd = fd, .events = POLLIN};
		if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && post(i))
			left++;
		else
			sockets[i].fd = -1;
	}
	while (left > 0 && poll(sockets, (nfds_t)count, 60000) > 0)
		for (int i = 0; i < count; i++)
			if (sockets[i].fd >= 0 && sockets[i].revents && !take(i)) {
				close(sockets[i].fd);
				sockets[i].fd = -1;
				left--;
			}
	return left > 0;
}
