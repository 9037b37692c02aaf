/* server_framing.h -- may this request be taken, by its line and headers alone?
 *
 * Where a request ends must not be a matter of opinion: a proxy in front that thinks otherwise could be made
 * to hand one client's bytes to another (request smuggling, RFC 9112 section 11.2). So what is doubtful is
 * refused rather than understood: two lengths, a length beside chunks, a length that is no plain number, a
 * coding other than "chunked", chunks in HTTP/1.0, a line that ends in a bare CR or LF, a folded line, a
 * space before the colon, control characters, no Host or two.
 *
 * Limits are libmicrohttpd's memory for a connection and the ones given here.
 */
#ifndef MW_SERVER_FRAMING_H
#define MW_SERVER_FRAMING_H

#include <stddef.h>

struct MHD_Connection;

struct mw_framing {
	const char *target; /* as it came, a copy */
	const char *url;    /* where it lay */
	const char *method;
	const char *version;
	size_t head_max;
	size_t length_max; /* that a body may say it has */
};

/* 0: take it. Else the status to refuse it with: 400, 413, 414, 431. */
unsigned mw_framing_check(struct MHD_Connection *connection, const struct mw_framing *f);

#endif
