/* app_row.h -- one OAuth app as it lies in the vault: bytes in, bytes out.
 *
 *     offset  bytes
 *          0  1    layout, 1
 *          1  3    lengths of client id, key id and scope
 *          4  2    length of the token server's text; 0: that of the account's region
 *          6  2    bits of the private key
 *          8  8    revision
 *         16  8    updated_at, ms since 1970
 *         24  4    kid of the master key
 *         28  4    0
 *         32  8    fingerprint of the public key
 *         40       client id, key id, scope, token server
 *                  24 bytes nonce, the private key sealed (PKCS#1 DER, and 16)
 *          -8      check
 *
 * Numbers and check are as in account_row.h. Sealed is by XChaCha20-Poly1305 with a random nonce, and with
 *
 *     v1|<kid>|<app>|private_key|<client id>|<key id>|<scope>|<token server>
 *
 * as associated data, none of which holds a '|': whoever can write to the file can have no assertion signed
 * but the one that was meant, nor sent elsewhere.
 */
#ifndef MW_APP_ROW_H
#define MW_APP_ROW_H

#include "account_row.h"
#include "assertion.h"
#include "rsa_key.h"

enum {
	MW_APP_SEALED_MAX = MW_SEAL_NONCE + MW_RSA_DER_MAX + MW_SEAL_TAG,
	MW_APP_TEXTS_MAX = 2 * MW_OAUTH_ID_MAX + MW_OAUTH_SCOPE_MAX + MW_ENDPOINT_URL_MAX,
	MW_APP_ROW_MAX = 40 + MW_APP_TEXTS_MAX + MW_APP_SEALED_MAX + 8,
};

struct mw_app_row {
	uint64_t revision;
	int64_t updated_at;
	unsigned bits;
	uint8_t kid[MW_KID_LEN], fingerprint[MW_FINGERPRINT_LEN];
	struct mw_span client_id, key_id, scope, token_server, sealed; /* borrowed */
};

/* Returns the length. The spans must be no longer than their limits. */
size_t mw_app_row_pack(const struct mw_app_row *r, struct mw_span app, uint8_t out[MW_APP_ROW_MAX]);

/* False: damaged, of another app, or of a layout that is not known. `r` borrows from `bytes`. */
bool mw_app_row_unpack(struct mw_span bytes, struct mw_span app, struct mw_app_row *r);

/* Fills kid and sealed of `r`, whose texts are already there; `room` is what `sealed` borrows. */
void mw_app_row_seal(struct mw_app_row *r, struct mw_span app, struct mw_span der,
		     const struct mw_master_key *master, uint8_t room[MW_APP_SEALED_MAX]);

/* The key as DER into `der`, which is in the secret heap. False: not sealed with this master key for this app
 * and its texts. */
bool mw_app_row_open(const struct mw_app_row *r, struct mw_span app, const struct mw_master_key *master,
		     uint8_t der[MW_RSA_DER_MAX], size_t *len);

#endif
