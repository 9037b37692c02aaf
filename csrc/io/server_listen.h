/* server_listen.h -- the socket that a server listens on, and how many connections a process can hold. */
#ifndef MW_SERVER_LISTEN_H
#define MW_SERVER_LISTEN_H

#include "../core/err.h"

#include <stdint.h>

/* A socket on that IP address; *bound is its port, also where 0 was asked for. -1: not, and why in `e`. */
int mw_server_listen(const char *host, uint16_t port, uint16_t *bound, struct mw_error *e);

/* As many connections as were asked for, or as there can be: a process out of descriptors could neither
 * accept nor commit. The soft limit is raised where that is allowed. */
unsigned mw_server_connections_within(unsigned wanted);

#endif
