/* signature.h -- was this signed by somebody who holds the key?
 *
 *     pieces   "1533204620" "." {"id":"evt_1",…}       what was signed, in order
 *     key      the shared secret
 *     kind     MW_HMAC_SHA256
 *     -> is one of the given signatures the one that the key makes of the pieces?
 *
 * Takes the same time whatever key and signature are, and all signatures given are looked at: how long a
 * refusal takes tells nothing. (Of a public key there is nothing to hide.) What the key makes never leaves
 * this file, and is wiped. By OpenSSL's libcrypto; allocates, keeps nothing, may be used by several threads.
 */
#ifndef MW_SIGNATURE_H
#define MW_SIGNATURE_H

#include "../core/buf.h"

enum mw_signature_kind {
	MW_HMAC_SHA1,
	MW_HMAC_SHA256,
	MW_HMAC_SHA512,
	MW_SHA256,     /* of the key and the pieces behind it; with an empty key, a checksum */
	MW_ECDSA_P256, /* key: DER, SubjectPublicKeyInfo; signature: DER; over SHA-256 */
	MW_ED25519,    /* key: 32 bytes; signature: 64 */
};

/* The name that scripts use: "hmac-sha256", "ecdsa-p256", … False: no such kind. */
bool mw_signature_kind_named(struct mw_span name, enum mw_signature_kind *kind);

/* MW_INVALID: a public key that is none, MW_NO_MEMORY. Otherwise `*is_genuine` says; a malformed signature is
 * simply none of that key. */
enum mw_err mw_signature_check(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
			       size_t piece_count, const struct mw_span *signatures, size_t signature_count,
			       bool *is_genuine, struct mw_error *e);

/* Are the two the same? Takes the same time wherever they differ, and tells nothing of the lengths beyond
 * what reading them takes. */
enum mw_err mw_signature_equal(struct mw_span a, struct mw_span b, bool *is_equal, struct mw_error *e);

#endif
