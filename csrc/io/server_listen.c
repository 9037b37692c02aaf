#include "server_listen.h"

#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors that are left to everything else: stores, connections to Segment, files. */
enum { DESCRIPTORS_KEPT = 256 };

/* Connections that a first server leaves to a second, such as that of metrics, if there are few. */
enum { LEFT_MAX = 16 };

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

bool mw_listener_init(struct mw_listener *l, int fd, int inner)
{
	struct epoll_event wanted = {.events = EPOLLIN};
	*l = (struct mw_listener){.fd = fd, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	if (l->epoll >= 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, inner, &wanted) == 0 &&
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &wanted) == 0)
		return true;
	mw_listener_deinit(l);
	return false;
}

void mw_listener_deinit(struct mw_listener *l)
{
	mw_listener_close(l);
	if (l->epoll >= 0)
		close(l->epoll);
	l->epoll = -1;
}

static void watch(struct mw_listener *l, bool wanted)
{
	struct epoll_event e = {.events = wanted ? EPOLLIN : 0};
	if (l->fd >= 0)
		epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->fd, &e);
}

void mw_listener_close(struct mw_listener *l)
{
	if (l->fd < 0)
		return;
	/* Another process may hold the socket still, and an epoll does not forget it before all have closed.
	 */
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->fd, NULL);
	close(l->fd);
	l->fd = -1;
}

int mw_listener_fd(const struct mw_listener *l)
{
	return l->rests_till > 0 ? -1 : l->fd;
}

int mw_listener_accept(struct mw_listener *l, int64_t now, struct mw_accepted *out)
{
	int fd;
	do {
		out->from_len = sizeof out->from;
		fd = accept4(l->fd, (struct sockaddr *)&out->from, &out->from_len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		mw_listener_rest(l, now);
	return fd;
}

void mw_listener_rest(struct mw_listener *l, int64_t now)
{
	if (l->rests_till == 0)
		watch(l, false);
	l->rests_till = now + MW_LISTENER_REST_MS;
}

void mw_listener_wake(struct mw_listener *l)
{
	if (l->rests_till > 0)
		watch(l, true);
	l->rests_till = 0;
}

void mw_listener_look(struct mw_listener *l, int64_t now)
{
	if (l->rests_till > 0 && now >= l->rests_till)
		mw_listener_wake(l);
}

/* What this process's servers have taken together. */
static atomic_uint shares;

static rlim_t descriptors(rlim_t needed)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return needed;
	if (limit.rlim_cur < needed) {
		limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

unsigned mw_server_share_take(unsigned wanted)
{
	unsigned taken = atomic_load(&shares);
	rlim_t needed = (rlim_t)taken + wanted + DESCRIPTORS_KEPT;
	rlim_t have = descriptors(needed);
	unsigned share = wanted;
	if (have < needed) {
		rlim_t all = have > 2 * DESCRIPTORS_KEPT ? have - DESCRIPTORS_KEPT : have / 2;
		rlim_t for_second = all / 4 < LEFT_MAX ? all / 4 : LEFT_MAX;
		rlim_t others = taken > 0 ? taken : for_second;
		share = all > others ? (unsigned)(all - others) : 1;
	}
	share = share < wanted ? share : wanted;
	atomic_fetch_add(&shares, share);
	return share;
}

void mw_server_share_return(unsigned share)
{
	atomic_fetch_sub(&shares, share);
}
