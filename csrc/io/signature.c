#include "signature.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

static const struct kind {
	const char *name;
	const char *digest;
} kinds[] = {
    [MW_HMAC_SHA1] = {"hmac-sha1", "SHA1"},       [MW_HMAC_SHA256] = {"hmac-sha256", "SHA256"},
    [MW_HMAC_SHA512] = {"hmac-sha512", "SHA512"}, [MW_SHA256] = {"sha256", "SHA256"},
    [MW_ECDSA_P256] = {"ecdsa-p256", "SHA256"},   [MW_ED25519] = {"ed25519", NULL},
};

bool mw_signature_kind_named(struct mw_span name, enum mw_signature_kind *kind)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (mw_span_is(name, kinds[i].name)) {
			*kind = (enum mw_signature_kind)i;
			return true;
		}
	}
	return false;
}

static enum mw_err no_memory(struct mw_error *e)
{
	return mw_error_set(e, MW_NO_MEMORY, 0, "no room to check a signature");
}

static const EVP_MD *digest_of(enum mw_signature_kind kind)
{
	return kind == MW_HMAC_SHA1 ? EVP_sha1() : kind == MW_HMAC_SHA512 ? EVP_sha512() : EVP_sha256();
}

/* ---- shared secrets */

/* Fetched once: looking an algorithm up by name costs as much as using it. */
static EVP_MAC *hmac;

static void fetch_hmac(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static bool make_hmac(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
		      size_t count, uint8_t *mac, size_t *len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch_hmac);
	char digest[8];
	strcpy(digest, kinds[kind].digest); /* the parameter is not const */
	const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
				     OSSL_PARAM_construct_end()};
	EVP_MAC_CTX *c = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	/* Without an address the key would be the one before. */
	bool ok = c && EVP_MAC_init(c, key.len ? key.at : (const uint8_t *)"", key.len, params);
	for (size_t i = 0; ok && i < count; i++)
		ok = pieces[i].len == 0 || EVP_MAC_update(c, pieces[i].at, pieces[i].len);
	ok = ok && EVP_MAC_final(c, mac, len, EVP_MAX_MD_SIZE);
	EVP_MAC_CTX_free(c);
	return ok;
}

static bool make_digest(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
			size_t count, uint8_t *digest, size_t *len)
{
	unsigned n = 0;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestInit_ex(c, digest_of(kind), NULL) && EVP_DigestUpdate(c, key.at, key.len);
	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(c, pieces[i].at, pieces[i].len);
	ok = ok && EVP_DigestFinal_ex(c, digest, &n);
	EVP_MD_CTX_free(c);
	*len = n;
	return ok;
}

static enum mw_err check_secret(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
				size_t piece_count, const struct mw_span *signatures, size_t signature_count,
				bool *is_genuine, struct mw_error *e)
{
	uint8_t expected[EVP_MAX_MD_SIZE];
	size_t len = 0;
	bool ok = kind == MW_SHA256 ? make_digest(kind, key, pieces, piece_count, expected, &len)
				    : make_hmac(kind, key, pieces, piece_count, expected, &len);
	/* No branch may depend on what is compared: that is what signature_test has valgrind watch. */
	unsigned found = 0;
	for (size_t i = 0; ok && i < signature_count; i++) {
		if (signatures[i].len == len)
			found |= CRYPTO_memcmp(signatures[i].at, expected, len) == 0;
	}
	OPENSSL_cleanse(expected, sizeof expected);
	*is_genuine = found;
	return ok ? MW_OK : no_memory(e);
}

/* ---- public keys */

static EVP_PKEY *read_key(enum mw_signature_kind kind, struct mw_span key)
{
	if (kind == MW_ED25519)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.at, key.len);
	const uint8_t *at = key.at;
	EVP_PKEY *made = d2i_PUBKEY(NULL, &at, (long)key.len);
	char group[32];
	size_t len = 0;
	if (made && at == key.at + key.len && EVP_PKEY_is_a(made, "EC") &&
	    EVP_PKEY_get_group_name(made, group, sizeof group, &len) && strcmp(group, "prime256v1") == 0)
		return made;
	EVP_PKEY_free(made);
	return NULL;
}

/* Ed25519 reads what was signed twice, so it wants it in one piece. */
static bool join(const struct mw_span *pieces, size_t count, struct mw_span *all, uint8_t **room)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += pieces[i].len;
	uint8_t *to = *room = malloc(len + 1);
	if (!to)
		return false;
	*all = (struct mw_span){to, len};
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].len > 0)
			memcpy(to, pieces[i].at, pieces[i].len);
		to += pieces[i].len;
	}
	return true;
}

static enum mw_err check_public(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
				size_t piece_count, const struct mw_span *signatures, size_t signature_count,
				bool *is_genuine, struct mw_error *e)
{
	enum mw_err err = MW_OK;
	struct mw_span all = {NULL, 0};
	uint8_t *room = NULL;
	EVP_PKEY *k = read_key(kind, key);
	if (!k)
		return mw_error_set(e, MW_INVALID, 0, "not %s public key",
				    kind == MW_ED25519 ? "an Ed25519" : "a P-256");
	if (!join(pieces, piece_count, &all, &room))
		err = no_memory(e);
	for (size_t i = 0; !err && i < signature_count; i++) {
		EVP_MD_CTX *c = EVP_MD_CTX_new();
		if (!c ||
		    !EVP_DigestVerifyInit(c, NULL, kind == MW_ED25519 ? NULL : digest_of(kind), NULL, k))
			err = no_memory(e);
		else if (EVP_DigestVerify(c, signatures[i].at, signatures[i].len, all.at, all.len) == 1)
			*is_genuine = true;
		EVP_MD_CTX_free(c);
	}
	free(room);
	EVP_PKEY_free(k);
	return err;
}

enum mw_err mw_signature_check(enum mw_signature_kind kind, struct mw_span key, const struct mw_span *pieces,
			       size_t piece_count, const struct mw_span *signatures, size_t signature_count,
			       bool *is_genuine, struct mw_error *e)
{
	*is_genuine = false;
	/* The thread's queue of errors is the host's, which may use OpenSSL itself: leave it as it was. */
	ERR_set_mark();
	enum mw_err err = (kind == MW_ECDSA_P256 || kind == MW_ED25519 ? check_public : check_secret)(
	    kind, key, pieces, piece_count, signatures, signature_count, is_genuine, e);
	ERR_pop_to_mark();
	return err;
}

enum mw_err mw_signature_equal(struct mw_span a, struct mw_span b, bool *is_equal, struct mw_error *e)
{
	uint8_t hashes[2][EVP_MAX_MD_SIZE];
	size_t len = 0;
	ERR_set_mark();
	bool ok = make_digest(MW_SHA256, (struct mw_span){NULL, 0}, &a, 1, hashes[0], &len) &&
		  make_digest(MW_SHA256, (struct mw_span){NULL, 0}, &b, 1, hashes[1], &len);
	ERR_pop_to_mark();
	unsigned same = 0;
	if (ok)
		same = CRYPTO_memcmp(hashes[0], hashes[1], len) == 0;
	*is_equal = same;
	OPENSSL_cleanse(hashes, sizeof hashes);
	return ok ? MW_OK : no_memory(e);
}
