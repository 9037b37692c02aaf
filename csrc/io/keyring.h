/* keyring.h -- write keys by account, looked up at the moment of sending.
 *
 * In locked memory that is left out of core files (libsodium), wiped on removal, zeros in a
 * child process. Never printed. Thread-safe.
 */
#ifndef MW_KEYRING_H
#define MW_KEYRING_H

#include "../core/limits.h"
#include "endpoint.h"

struct mw_keyring;

struct mw_keyring *mw_keyring_new(void);
void mw_keyring_free(struct mw_keyring *k);

/* Could this be a write key? Also for those who keep keys elsewhere. MW_BAD_KEY as below. */
enum mw_err mw_key_check(struct mw_span key, struct mw_error *e);

/* MW_BAD_KEY says what is wrong (empty, too long, a character that does not belong) and never quotes the key.
 */
enum mw_err mw_keyring_set(struct mw_keyring *k, struct mw_span account, struct mw_span write_key,
			   const struct mw_endpoint *endpoint, struct mw_error *e);

/* Has the account a key of its own? */
bool mw_keyring_has(struct mw_keyring *k, struct mw_span account);

/* Copy out the key and endpoint of an account, or of "" if it has none. `endpoint` is left alone if the entry
 * has none. False if there is no key. The caller wipes `key` (sodium_memzero). */
struct mw_key {
	size_t len;
	char text[MW_WRITE_KEY_MAX];
};
bool mw_keyring_get(struct mw_keyring *k, struct mw_span account, struct mw_key *key,
		    struct mw_endpoint *endpoint);

#endif
