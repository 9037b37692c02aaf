/* assertion.h -- the signed form in which an OAuth app asks for a token.
 *
 *     POST /token    grant_type=client_credentials&client_assertion_type=...&client_assertion=<JWT>&scope=...
 *
 *     {"alg":"RS256","typ":"JWT","kid":"<key id>"}
 *     {"iss":"<client id>","sub":"<client id>","aud":"https://oauth2.segment.io",
 *      "iat":1763935075,"exp":1763935130,"jti":"0b1f..."}
 *
 * As Segment's page on OAuth 2.0 has it: it must live for less than 60 seconds, and each has a `jti` of its
 * own. `iss` is the client id, as Segment's libraries send it. It is dated 5 seconds back, for clocks that
 * differ a little; by how much the server's really differs, the caller has reckoned in.
 *
 * Pure: time and chance are arguments.
 */
#ifndef MW_ASSERTION_H
#define MW_ASSERTION_H

#include "../core/buf.h"

enum {
	MW_ASSERTION_BACK_S = 5,
	MW_ASSERTION_LIFE_S = 55,
	MW_OAUTH_ID_MAX = 128, /* client id, key id; Segment's have some 20 characters */
	MW_OAUTH_SCOPE_MAX = 200,
	MW_ASSERTION_FORM_MAX = 6144,
};

struct mw_assertion {
	struct mw_span client_id, key_id, scope; /* as mw_oauth_id_check and mw_oauth_scope_check let pass */
	struct mw_span audience;                 /* URL of the token server, without /token */
	int64_t now_s;                           /* since 1970, by the server's clock */
	uint8_t jti[16];                         /* random */
};

/* Printable ASCII without blanks, quotes, backslashes and bars: it is put into JSON as it is. MW_INVALID,
 * naming `what`. */
enum mw_err mw_oauth_id_check(const char *what, struct mw_span id, struct mw_error *e);

/* Words of RFC 6749, a blank between them. MW_INVALID. */
enum mw_err mw_oauth_scope_check(struct mw_span scope, struct mw_error *e);

/* The form, whole, into `out`, which needs room for MW_ASSERTION_FORM_MAX and is not made to grow. `der`: a
 * key that mw_rsa_key_read made. MW_BAD_KEY, MW_TOO_LARGE. */
enum mw_err mw_assertion_write(const struct mw_assertion *a, struct mw_span der, struct mw_buf *out,
			       struct mw_error *e);

#endif
