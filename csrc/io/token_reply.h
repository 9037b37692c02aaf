/* token_reply.h -- what a token server says: a token and how long it lives, or why there is none.
 *
 *     {"access_token":"eyJ...","token_type":"Bearer","expires_in":86400}
 *     {"error":"invalid_client","error_description":"..."}                    RFC 6749, 5.1 and 5.2
 */
#ifndef MW_TOKEN_REPLY_H
#define MW_TOKEN_REPLY_H

#include "../core/buf.h"

enum {
	MW_TOKEN_MAX = 8192,
	MW_TOKEN_REASON_MAX = 100,
	MW_TOKEN_LIFE_S = 3600, /* of one whose server does not say */
};

/* The token (borrowed) and its life in ms. False: there is none that could be put into a header. */
bool mw_token_reply_read(struct mw_span body, struct mw_span *token, int64_t *life_ms);

/* "invalid_client: no such key", "" if it does not say. Words longer than those of people are left out: a
 * server may repeat what it was sent. */
void mw_token_reply_reason(struct mw_span body, char out[MW_TOKEN_REASON_MAX]);

#endif
