/* server_own.h -- what server.c does for its own: answers that are made elsewhere.
 *
 * For server_stream.c. Nobody else sees libmicrohttpd's types.
 */
#ifndef MW_SERVER_OWN_H
#define MW_SERVER_OWN_H

#include "server.h"

struct MHD_Connection;
struct MHD_Response;

struct MHD_Connection *mw_exchange_connection(const struct mw_exchange *x);

/* Answer with this response, which becomes the exchange's; the exchange is no longer the caller's. NULL: the
 * connection is cut. */
void mw_exchange_respond(struct mw_exchange *x, unsigned status, struct MHD_Response *response);

/* Before the server stops it calls `end`, which must see to it that the connection is not suspended. Not
 * called once the response is destroyed. */
void mw_exchange_at_close(struct mw_exchange *x, void (*end)(void *context), void *context);

#endif
