/* account_row.h -- one account as it lies in the vault: bytes in, bytes out.
 *
 *     offset  bytes
 *          0  1    layout: 1, or 2 if there is an OAuth app
 *          1  1    1 if paused
 *          2  1    how many of the last characters follow at 24: 0 or 4
 *          3  1    length of the OAuth app's name; 0: the account sends with Basic authentication
 *          4  2    length of the endpoint's text
 *          6  2    length of the label
 *          8  8    revision
 *         16  8    updated_at, ms since 1970
 *         24  4    last characters of the write key
 *         28  4    kid of the master key
 *         32       endpoint, label, app
 *                  24 bytes nonce, the write key sealed (its length and 16)
 *          -8      check
 *
 * Numbers are little-endian. An account without an app is written as ever, so that an older Moonweir reads
 * it. Sealed is by XChaCha20-Poly1305 (libsodium) with a random nonce, and with
 *
 *     v1|<kid>|<account>|write_key|<endpoint>              layout 1
 *     v2|<kid>|<account>|write_key|<endpoint>|<app>        layout 2
 *
 * as associated data: a sealed key opens for its own account only, and only beside the endpoint it was saved
 * and app it was saved with, so whoever can write to the file can't have it sent elsewhere or otherwise. An
 * account without a key has an empty one sealed, for its endpoint's sake.
 *
 * The check covers all of it and the account's name. It finds damage, not malice: state, label and last
 * characters can be forged by who can write the file, and are no secret.
 */
#ifndef MW_ACCOUNT_ROW_H
#define MW_ACCOUNT_ROW_H

#include "../core/limits.h"
#include "endpoint.h"
#include "keyring.h"
#include "master_key.h"

/* Shown of a key, and how long it must be for that. */
enum { MW_LAST_LEN = 4, MW_LAST_KEY_MIN = 12 };

enum {
	MW_SEAL_NONCE = 24,
	MW_SEAL_TAG = 16,
	MW_SEALED_MAX = MW_SEAL_NONCE + MW_WRITE_KEY_MAX + MW_SEAL_TAG,
	MW_APP_NAME_MAX = 64,
	MW_ACCOUNT_ROW_MAX = 32 + MW_ENDPOINT_URL_MAX + MW_LABEL_MAX + MW_APP_NAME_MAX + MW_SEALED_MAX + 8,
};

struct mw_account_row {
	bool paused;
	uint64_t revision;
	int64_t updated_at;
	char last[MW_LAST_LEN + 1]; /* "" if there is no key or it is short */
	uint8_t kid[MW_KID_LEN];
	struct mw_span endpoint, label, app, sealed; /* borrowed */
};

/* Returns the length. The spans must be no longer than their limits. */
size_t mw_account_row_pack(const struct mw_account_row *r, struct mw_span account,
			   uint8_t out[MW_ACCOUNT_ROW_MAX]);

/* False: damaged, of another account, or of a layout that is not known. `r` borrows from `bytes`. */
bool mw_account_row_unpack(struct mw_span bytes, struct mw_span account, struct mw_account_row *r);

/* Fills kid, last and sealed of `r`, whose endpoint and app are already there; `room` is what `sealed`
 * borrows. */
void mw_account_row_seal(struct mw_account_row *r, struct mw_span account, const struct mw_key *key,
			 const struct mw_master_key *master, uint8_t room[MW_SEALED_MAX]);

/* False: not sealed with this key for this account, endpoint and app; `key` is empty then. */
bool mw_account_row_open(const struct mw_account_row *r, struct mw_span account,
			 const struct mw_master_key *master, struct mw_key *key);

#endif
