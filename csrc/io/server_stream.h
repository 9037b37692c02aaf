/* server_stream.h -- an answer without an end, written piece by piece: server-sent events.
 *
 *   mw_exchange_stream(x, 200, names, values, n, 1 << 20, &stream);
 *   mw_stream_write(stream, MW_SPAN("data: hello\n\n"));      kept; mw_server_next sends it
 *
 * What is written waits in a buffer of at most `waiting_max` bytes until the client takes it: a slow client
 * fills it (MW_FULL) and costs no more. Nothing is called back. A client that has gone is noticed when it
 * is written to, so write now and then (a comment, ":\n\n").
 *
 * Used by the thread of its server. A stream may outlive its server; it is closed then.
 */
#ifndef MW_SERVER_STREAM_H
#define MW_SERVER_STREAM_H

#include "server.h"

struct mw_stream;

/* Answer with a stream; the exchange is gone then, whatever comes of it. MW_INVALID: a header; MW_NO_MEMORY;
 * the connection is cut then. */
enum mw_err mw_exchange_stream(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, size_t waiting_max,
			       struct mw_stream **out);

/* All of it or nothing: MW_FULL until the client has taken some, MW_CLOSED for good, MW_NO_MEMORY. */
enum mw_err mw_stream_write(struct mw_stream *s, struct mw_span bytes);

/* Is there a client still, as far as is known? */
bool mw_stream_is_open(const struct mw_stream *s);

/* Bytes that the client has not taken yet. */
size_t mw_stream_waiting(const struct mw_stream *s);

/* End the answer once all that was written is sent; with `cut` end the connection now, in the middle of it.
 */
void mw_stream_close(struct mw_stream *s, bool cut);

/* Close and let go. */
void mw_stream_free(struct mw_stream *s);

#endif
