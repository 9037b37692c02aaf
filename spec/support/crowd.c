/* crowd.c -- opens many connections that are no use, and keeps them.
 *
 *     crowd PORT COUNT                   they say nothing; until the server closes the first
 *     crowd PORT COUNT PATH REQUESTS     each asks so often for PATH, reads no answer; until stdin ends
 *
 * Prints "open N" when they are there, and have asked as far as the server let them; N is fewer if no more
 * could be opened. Who reads nothing does not see its connection end, either: so the second form is told.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int join(int port, int receive_max)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && receive_max > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_max, sizeof receive_max);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Ask as often as was said, or until nothing more is taken. */
static void ask(int fd, const char *request, int times)
{
	size_t len = strlen(request), sent = 0, all = len * (size_t)times;
	while (sent < all) {
		size_t at = sent % len;
		ssize_t n = send(fd, request + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return;
		sent += (size_t)n;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 5)
		return 2;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int count = atoi(argv[2]), open = 0;
	char request[512];
	if (argc == 5)
		snprintf(request, sizeof request, "GET %.400s HTTP/1.1\r\nHost: h\r\n\r\n", argv[3]);
	int first = -1;
	while (open < count) {
		int fd = join(atoi(argv[1]), argc == 5 ? 1024 : 0);
		if (fd < 0)
			break;
		if (argc == 5)
			ask(fd, request, atoi(argv[4]));
		first = open++ == 0 ? fd : first;
	}
	printf("open %d\n", open);
	fflush(stdout);
	char byte;
	if (argc == 5)
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	else
		while (first >= 0 && recv(first, &byte, 1, 0) > 0)
			;
	return 0;
}
