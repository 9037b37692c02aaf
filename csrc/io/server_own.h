/* server_own.h -- what the files of the server share, and nobody else: what it and its exchanges consist of.
 *
 *     server.c            from its opening to its end; what it waits for
 *     server_intake.c     what libmicrohttpd calls, while a request comes in and when it is over
 *     server_exchange.c   a request as the caller sees it, and its answer
 *     server_stream.c     an answer without an end
 *
 * Nobody else sees libmicrohttpd's types.
 */
#ifndef MW_SERVER_OWN_H
#define MW_SERVER_OWN_H

#include "server.h"

#include "server_listen.h"
#include "server_peers.h"
#include "server_replies.h"

#include <microhttpd.h>
#include <poll.h>
#include <time.h>

enum { MW_METHOD_MAX = 23 };

enum mw_stage {
	MW_STAGE_READING, /* headers or body still coming */
	MW_STAGE_READY,   /* complete, in the queue */
	MW_STAGE_TAKEN,   /* with the caller */
	MW_STAGE_HELD,    /* its answer is there, and waits to be released */
	MW_STAGE_ANSWERED,
};

struct mw_exchange {
	struct mw_server *server;
	struct MHD_Connection *connection; /* NULL: the client is gone, before it was answered */
	struct mw_peer *peer;
	struct mw_exchange *before, *behind; /* all exchanges of the server */
	struct mw_exchange *next;            /* that is ready, or held */
	struct mw_reply reply;
	unsigned status;
	enum mw_stage stage;
	bool began; /* the access handler saw it */
	bool is_suspended;
	unsigned asked;             /* for its answer, in vain */
	unsigned refusal;           /* the status that its end is answered with, not asking the caller */
	size_t discarded;           /* body bytes that were not kept */
	void (*end)(void *context); /* of an answer that has none by itself; NULL */
	void *end_context;
	struct mw_buf body;
	char *path;
	char method[MW_METHOD_MAX + 1];
	char uri[]; /* as it came, percent signs and all */
};

/* A queue. */
struct mw_exchanges {
	struct mw_exchange *first, *last;
};

/* Of what is polled these come first: libmicrohttpd's epoll and the listener. */
enum { MW_OWN_WATCHED = 2 };

struct mw_server {
	struct MHD_Daemon *daemon;
	struct mw_exchange *exchanges;
	struct mw_exchanges ready, held; /* held: answers */
	struct mw_replies replies;
	size_t busy;    /* exchanges */
	size_t waiting; /* of them: complete, not answered, not suspended */
	size_t body_max, head_max;
	size_t bodies, memory_max; /* bytes of them */
	struct mw_peers peers;
	uint64_t refused;
	struct mw_listener listener;
	unsigned connections_max;
	struct pollfd watched[MW_OWN_WATCHED + MW_SERVER_WATCHED];
	nfds_t watched_count;
	bool is_quiet;
	bool has_answers; /* given, and not yet fetched by libmicrohttpd, which nothing tells of them */
	bool has_moved;   /* something came or went in the last round */
	uint16_t port;
};

static inline int64_t mw_server_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Of who is to be taken next, or released. */
void mw_exchanges_add(struct mw_exchanges *q, struct mw_exchange *x);
struct mw_exchange *mw_exchanges_take(struct mw_exchanges *q);

void mw_exchange_free(struct mw_exchange *x);

/* Its connection is in another phase from now on. */
void mw_exchange_enter(struct mw_exchange *x, enum mw_peer_phase phase);

/* Let libmicrohttpd fetch its answer, or find that there is none: then the connection is cut. */
void mw_exchange_send(struct mw_exchange *x);

/* Answer with this response, which becomes the exchange's; the exchange is no longer the caller's. NULL: the
 * connection is cut. */
void mw_exchange_respond(struct mw_exchange *x, unsigned status, struct MHD_Response *response);

/* Before the server stops it calls `end`, which must see to it that the connection is not suspended. Not
 * called once the response is destroyed. */
void mw_exchange_at_close(struct mw_exchange *x, void (*end)(void *context), void *context);

/* Callbacks of libmicrohttpd; the context of the first two is the server. */
void *mw_intake_uri(void *context, const char *uri, struct MHD_Connection *connection);
enum MHD_Result mw_intake_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request);
void mw_intake_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode why);

#endif
