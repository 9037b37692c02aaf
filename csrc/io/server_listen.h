/* server_listen.h -- how many connections a server can hold. The socket that it listens on is made beside
 * that, by mw_server_listen (server.h). */
#ifndef MW_SERVER_LISTEN_H
#define MW_SERVER_LISTEN_H

/* As many connections as were asked for, or as there can be: a process out of descriptors could neither
 * accept nor commit. The soft limit is raised where that is allowed. */
unsigned mw_server_connections_within(unsigned wanted);

#endif
