/* link_key.h -- the key that the tool's own app signs links with, and we the sessions that they open.
 *
 *     HMAC-SHA256 under 32 bytes, written in base64url without padding: 43 characters
 *
 * A key of its own: who can sign links can open the settings of any account, and no more. It comes from a
 * file or the credential "moonweir-link-key", in the forms that a master key has (master_key.h), and lives in
 * the same kind of memory. A child process must open its own: there the key is zeros, and all is refused.
 *
 * Immutable after open, so any thread may use it.
 */
#ifndef MW_LINK_KEY_H
#define MW_LINK_KEY_H

#include "../core/buf.h"

struct mw_link_key;

enum { MW_MAC_TEXT_LEN = 43 };

/* `path` NULL: the credential. MW_BAD_MASTER_KEY: there is none, or it is no key; MW_IO, MW_NO_MEMORY. */
enum mw_err mw_link_key_open(const char *path, struct mw_link_key **out, struct mw_error *e);
void mw_link_key_close(struct mw_link_key *k); /* NULL is fine */

/* MW_FORKED in a child process. */
enum mw_err mw_link_key_sign(const struct mw_link_key *k, struct mw_span text, char mac[MW_MAC_TEXT_LEN + 1]);

/* Is `mac` what sign makes of `text`, letter for letter? Compared in constant time, as text: in binary,
 * several spellings would do. False in a child process. */
bool mw_link_key_is_genuine(const struct mw_link_key *k, struct mw_span text, struct mw_span mac);

#endif
