/* server_listen.h -- the socket that a server listens on, and how many connections it can hold. The socket
 * itself is made by mw_server_listen (server.h).
 *
 * libmicrohttpd could accept connections, too, but when there is no descriptor for one it stops until one of
 * its own closes, which a single busy client can put off for ever; and without any it tries again without
 * end. Here a listener that can't accept rests: until a connection closes, or for MW_LISTENER_REST_MS.
 *
 * Clock: monotonic milliseconds, given by the caller. One thread; the shares of descriptors are of all
 * threads.
 */
#ifndef MW_SERVER_LISTEN_H
#define MW_SERVER_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MW_LISTENER_REST_MS = 1000 };

struct mw_listener {
	int fd;             /* -1: closed */
	int epoll;          /* readable when there is something to accept, or to do for libmicrohttpd */
	int64_t rests_till; /* 0: it does not rest */
};

struct mw_accepted {
	struct sockaddr_storage from;
	socklen_t from_len;
};

/* Of a socket that listens, which it takes over, and libmicrohttpd's epoll. False: no descriptor for its own
 * epoll, or no memory; `fd` is closed then. */
bool mw_listener_init(struct mw_listener *l, int fd, int inner);
void mw_listener_deinit(struct mw_listener *l);
/* Accept no more. */
void mw_listener_close(struct mw_listener *l);

/* What to poll for connections: -1 while there is nothing to be accepted. */
int mw_listener_fd(const struct mw_listener *l);

/* The next connection; -1: none waits, or there is nothing to accept it with, and it rests. */
int mw_listener_accept(struct mw_listener *l, int64_t now, struct mw_accepted *out);

/* Don't try before a connection has closed, or some time has passed. */
void mw_listener_rest(struct mw_listener *l, int64_t now);
/* A connection has closed. */
void mw_listener_wake(struct mw_listener *l);
/* Time has passed. */
void mw_listener_look(struct mw_listener *l, int64_t now);

/* As many connections as were asked for, or as there can be beside those of the process's other servers: a
 * process out of descriptors could neither accept nor commit. The soft limit is raised where that is allowed;
 * if it does not reach, the first server leaves some for a second. At least 1. */
unsigned mw_server_share_take(unsigned wanted);
void mw_server_share_return(unsigned share);

#endif
