#include "server_listen.h"

#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors that are left to everything else: stores, connections to Segment, files. */
enum { DESCRIPTORS_KEPT = 256 };

enum { BACKLOG = 1024 };

int mw_server_listen(const char *host, uint16_t *port, struct mw_error *e)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(*port)};
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
	    bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0 || getsockname(fd, address, &len) < 0) {
		mw_error_set(e, MW_IO, 0, "can't listen on %.80s port %u: %s", host, (unsigned)*port,
			     strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port = ntohs(is_six ? six.sin6_port : four.sin_port);
	return fd;
}

unsigned mw_server_connections_within(unsigned wanted)
{
	struct rlimit limit;
	rlim_t needed = (rlim_t)wanted + DESCRIPTORS_KEPT;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return wanted;
	if (limit.rlim_cur < needed) {
		limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= needed)
		return wanted;
	return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (unsigned)(limit.rlim_cur - DESCRIPTORS_KEPT)
						     : (unsigned)(limit.rlim_cur / 2);
}
