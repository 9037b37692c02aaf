/* rsa_key.h -- a customer's RSA private key: read from PEM, kept as DER, used to sign.
 *
 *     mw_rsa_key_read(pem, &key, &e);             "-----BEGIN PRIVATE KEY-----..." to PKCS#1 DER
 *     mw_rsa_key_sign(der, text, signature, &len, &e);
 *     mw_rsa_key_free(&key);
 *
 * Taken are PKCS#1 ("RSA PRIVATE KEY") and PKCS#8 ("PRIVATE KEY") of 2,048 to 8,192 bits. Whatever else
 * people have in such files is refused by name, with what to do: an encrypted key, a public one, a
 * certificate, another kind of key.
 *
 * Between uses a key is DER in the secret heap (secret_heap.h). OpenSSL's own form of it is made for each
 * signature and wiped behind it: a millisecond every few hours, for OpenSSL keeps it in ordinary memory,
 * which a core file shows. Thread-safe. Only rsa_key.c knows OpenSSL.
 */
#ifndef MW_RSA_KEY_H
#define MW_RSA_KEY_H

#include "../core/buf.h"

enum {
	MW_RSA_BITS_MIN = 2048, /* weaker ones can be broken */
	MW_RSA_BITS_MAX = 8192, /* slower ones hold up the thread that sends */
	MW_RSA_DER_MAX = 5120,  /* of a key of that size, and some */
	MW_RSA_PEM_MAX = 16384, /* with whatever else people keep in the file */
	MW_RSA_SIGNATURE_MAX = MW_RSA_BITS_MAX / 8,
	MW_FINGERPRINT_LEN = 8,
};

struct mw_rsa_key {
	uint8_t *der; /* PKCS#1; in the secret heap */
	size_t len;
	unsigned bits;
	uint8_t fingerprint[MW_FINGERPRINT_LEN]; /* of the public half: SHA-256 of its DER, cut */
};

/* MW_BAD_KEY says what it is instead of a usable key and never quotes it. MW_NO_MEMORY. */
enum mw_err mw_rsa_key_read(struct mw_span pem, struct mw_rsa_key *out, struct mw_error *e);
void mw_rsa_key_free(struct mw_rsa_key *k); /* wipes */

/* RS256 (RFC 7518): PKCS#1 v1.5 over SHA-256. `der` is what read made. MW_BAD_KEY: it is not. */
enum mw_err mw_rsa_key_sign(struct mw_span der, struct mw_span text, uint8_t signature[MW_RSA_SIGNATURE_MAX],
			    size_t *len, struct mw_error *e);

/* Was `text` signed by the private half of this public key (PEM)? MW_BAD_KEY: `pem` is no public RSA key;
 * MW_INVALID: it was not. */
enum mw_err mw_rsa_key_verify(struct mw_span pem, struct mw_span text, struct mw_span signature,
			      struct mw_error *e);

#endif
