/* crowd.c -- opens many connections that say nothing, and keeps them until the server closes the first.
 *
 *     crowd PORT COUNT
 *
 * Prints "open N" when they are there; N is fewer if no more could be opened.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	int count = atoi(argv[2]), open = 0, first = -1;
	while (open < count) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
			break;
		first = open++ == 0 ? fd : first;
	}
	printf("open %d\n", open);
	fflush(stdout);
	char byte;
	while (first >= 0 && recv(first, &byte, 1, 0) > 0)
		;
	return 0;
}
