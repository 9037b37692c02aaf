/* server_replies.h -- answers as libmicrohttpd takes them: small ones that come again and again are made
 * once.
 *
 * "200, no headers, no body" is what nearly every webhook gets. To make it anew costs some ten allocations
 * and a mutex; here it is found by its bytes. Of those that are kept none is longer than KEY_MAX bytes,
 * headers and all, and one that is in use is not replaced.
 *
 * Used by one thread.
 */
#ifndef MW_SERVER_REPLIES_H
#define MW_SERVER_REPLIES_H

#include "../core/buf.h"

struct MHD_Response;

enum { MW_REPLIES = 16, MW_REPLY_KEY_MAX = 240 };

struct mw_kept_reply {
	struct MHD_Response *response; /* NULL: free */
	unsigned users;
	size_t key_len;
	char key[MW_REPLY_KEY_MAX];
};

struct mw_replies {
	struct mw_kept_reply kept[MW_REPLIES];
	unsigned next; /* to be replaced */
};

struct mw_reply {
	struct MHD_Response *response; /* NULL: none */
	struct mw_kept_reply *kept;    /* NULL: it is this reply's alone */
};

struct mw_reply_parts {
	const char *const *names, *const *values;
	size_t headers;
	struct mw_span body;
	bool closes; /* the connection, behind it */
};

/* MW_INVALID: libmicrohttpd does not take a header. */
enum mw_err mw_replies_make(struct mw_replies *r, const struct mw_reply_parts *parts, struct mw_reply *out);
void mw_reply_release(struct mw_reply *reply);
/* Once no reply is in use. */
void mw_replies_deinit(struct mw_replies *r);

#endif
