/* identity.h -- by what a user may be known other than by the userId, and when two writings of it are the
 * same.
 *
 *     e-mail   " Ann@Example.COM "    ann@example.com   ASCII letters lowered, no white space at the ends
 *     phone    "+1 (555) 010-4477"    +15550104477      only digits, letters, '+' and what is not ASCII stay
 *     others                                            as they are, byte for byte
 *
 * A userId itself is never changed: two texts that differ are two users.
 */
#ifndef MW_IDENTITY_H
#define MW_IDENTITY_H

#include "buf.h"
#include "limits.h"

/* The numbers are written to disk: new ones go to the end. */
enum mw_identity_kind {
	MW_IDENTITY_USER,      /* an earlier userId, or whatever an alias named as previousId */
	MW_IDENTITY_ANONYMOUS, /* an anonymousId */
	MW_IDENTITY_EMAIL,
	MW_IDENTITY_PHONE,
	MW_IDENTITY_TOOL, /* the tool's own id of the user */
	MW_IDENTITY_KINDS,
};

/* "user_id", "anonymous_id", "email", "phone", "tool_id": as scripts and stores call them. */
const char *mw_identity_word(enum mw_identity_kind kind);
bool mw_identity_kind_named(struct mw_span word, enum mw_identity_kind *kind);

/* The text to compare, in `room` or as it came. Empty: there is nothing left of it, or it is longer than
 * MW_IDENTITY_MAX. */
struct mw_span mw_identity_plain(enum mw_identity_kind kind, struct mw_span text,
				 uint8_t room[MW_IDENTITY_MAX]);

/* Who was found. `text` at == NULL: nobody. */
struct mw_identity_found {
	struct mw_span text;
	bool is_anonymous; /* no userId is known; `text` is the anonymousId that came with it */
};

#endif
