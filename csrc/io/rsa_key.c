/* The RSA_* calls are deprecated, and are what is wanted here: what goes through EVP_PKEY is copied by the
 * providers to memory that is not wiped. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "rsa_key.h"

#include "secret_heap.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <sodium.h>

static enum mw_err bad(struct mw_error *e, const char *what)
{
	ERR_clear_error(); /* the host's threads look at the same queue */
	return mw_error_set(e, MW_BAD_KEY, 0, "%s", what);
}

static struct mw_span find(struct mw_span in, const char *text)
{
	const uint8_t *at = memmem(in.at, in.len, text, strlen(text));
	return at ? (struct mw_span){at, in.len - (size_t)(at - in.at)} : (struct mw_span){0};
}

/* What there is instead of a private key: people hand in the file beside it. */
static const struct {
	const char *label, *say;
} strangers[] = {
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----",
     "the private key is encrypted, and nobody would be there to type "
     "its pass phrase; decrypt it: openssl pkey -in KEY -out PLAIN"},
    {"-----BEGIN EC ", "this is an elliptic-curve key; Segment wants RSA: openssl genrsa -out KEY 2048"},
    {"-----BEGIN DSA ", "this is a DSA key; Segment wants RSA: openssl genrsa -out KEY 2048"},
    {"-----BEGIN OPENSSH ", "this is a key for SSH; make one in PEM: openssl genrsa -out KEY 2048"},
    {"PUBLIC KEY-----", "this is the public key, which belongs into Segment; give the private one"},
    {"-----BEGIN CERT", "this is a certificate; give the private key"},
    {"-----BEGIN ", "this PEM file holds no private key"},
};

static enum mw_err name_stranger(struct mw_span pem, struct mw_error *e)
{
	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
		if (find(pem, strangers[i].label).at)
			return bad(e, strangers[i].say);
	return bad(e, "this is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----");
}

/* What stands between "BEGIN" and "END" of this label, decoded into `der`. MW_INVALID: there is none. */
static enum mw_err decode(struct mw_span pem, const char *begin, const char *end, uint8_t *der, size_t *len,
			  struct mw_error *e)
{
	struct mw_span body = find(pem, begin);
	if (!body.at)
		return MW_INVALID;
	body = (struct mw_span){body.at + strlen(begin), body.len - strlen(begin)};
	struct mw_span rest = find(body, end);
	if (!rest.at)
		return bad(e, "the private key breaks off: its -----END line is missing");
	body.len -= rest.len;
	if (find(body, "ENCRYPTED").at)
		return bad(e, strangers[0].say);
	if (sodium_base642bin(der, MW_RSA_DER_MAX, (const char *)body.at, body.len, " \t\r\n", len, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return bad(e, "the private key is damaged: what stands between its lines is no base64");
	return MW_OK;
}

/* An RSA key out of either form, or NULL and the reason. */
static RSA *parse(const uint8_t *der, size_t len, bool pkcs8, struct mw_error *e)
{
	const unsigned char *at = der;
	if (!pkcs8) {
		RSA *rsa = d2i_RSAPrivateKey(NULL, &at, (long)len);
		if (!rsa)
			bad(e, "the private key is damaged");
		return rsa;
	}
	const ASN1_OBJECT *kind = NULL;
	const unsigned char *inside = NULL;
	int inside_len = 0;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)len);
	if (!info || !PKCS8_pkey_get0(&kind, &inside, &inside_len, NULL, info)) {
		PKCS8_PRIV_KEY_INFO_free(info);
		bad(e, "the private key is damaged");
		return NULL;
	}
	RSA *rsa = NULL;
	if (OBJ_obj2nid(kind) != NID_rsaEncryption)
		bad(e, "this is no RSA key, which Segment wants: openssl genrsa -out KEY 2048");
	else if (!(rsa = d2i_RSAPrivateKey(NULL, &inside, inside_len)))
		bad(e, "the private key is damaged");
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes */
	return rsa;
}

static enum mw_err check(RSA *rsa, struct mw_error *e)
{
	int bits = RSA_bits(rsa);
	if (bits < MW_RSA_BITS_MIN || bits > MW_RSA_BITS_MAX)
		return mw_error_set(
		    e, MW_BAD_KEY, 0,
		    "the private key has %d bits; %d to %d are taken: openssl genrsa -out KEY 2048", bits,
		    MW_RSA_BITS_MIN, MW_RSA_BITS_MAX);
	/* Not RSA_check_key, which leaves what it computes in memory that it gives back unwiped: it is enough
	 * to find the key with. What signs so that its own public half agrees is a key. */
	uint8_t digest[SHA256_DIGEST_LENGTH] = {1, 2, 3}, signature[MW_RSA_SIGNATURE_MAX];
	unsigned int len = 0;
	if (RSA_sign(NID_sha256, digest, sizeof digest, signature, &len, rsa) != 1 ||
	    RSA_verify(NID_sha256, digest, sizeof digest, signature, len, rsa) != 1)
		return bad(e, "the private key is damaged: its numbers do not belong together");
	return MW_OK;
}

static enum mw_err keep(RSA *rsa, struct mw_rsa_key *out, struct mw_error *e)
{
	uint8_t *public = NULL, digest[SHA256_DIGEST_LENGTH];
	int public_len = i2d_RSA_PUBKEY(rsa, &public), len = i2d_RSAPrivateKey(rsa, NULL);
	if (public_len > 0)
		SHA256(public, (size_t)public_len, digest);
	OPENSSL_free(public);
	if (public_len <= 0 || len <= 0 || len > MW_RSA_DER_MAX)
		return bad(e, "the private key is damaged");
	uint8_t *der = mw_secret_malloc((size_t)len), *end = der;
	if (!der)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the private key");
	i2d_RSAPrivateKey(rsa, &end);
	*out = (struct mw_rsa_key){.der = der, .len = (size_t)len, .bits = (unsigned)RSA_bits(rsa)};
	memcpy(out->fingerprint, digest, MW_FINGERPRINT_LEN);
	return MW_OK;
}

enum mw_err mw_rsa_key_read(struct mw_span pem, struct mw_rsa_key *out, struct mw_error *e)
{
	*out = (struct mw_rsa_key){0};
	if (pem.len > MW_RSA_PEM_MAX)
		return bad(e, "too long for a private key");
	uint8_t *der = mw_secret_malloc(MW_RSA_DER_MAX);
	if (!der)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the private key");
	size_t len = 0;
	bool pkcs8 = true;
	enum mw_err err =
	    decode(pem, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", der, &len, e);
	if (err == MW_INVALID) {
		pkcs8 = false;
		err = decode(pem, "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", der,
			     &len, e);
	}
	if (err == MW_INVALID)
		err = name_stranger(pem, e);
	RSA *rsa = err == MW_OK ? parse(der, len, pkcs8, e) : NULL;
	mw_secret_free(der); /* wipes */
	if (!rsa)
		return MW_BAD_KEY;
	err = check(rsa, e);
	if (err == MW_OK)
		err = keep(rsa, out, e);
	RSA_free(rsa); /* wipes */
	return err;
}

void mw_rsa_key_free(struct mw_rsa_key *k)
{
	mw_secret_free(k->der);
	*k = (struct mw_rsa_key){0};
}

enum mw_err mw_rsa_key_sign(struct mw_span der, struct mw_span text, uint8_t signature[MW_RSA_SIGNATURE_MAX],
			    size_t *len, struct mw_error *e)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	unsigned int signed_len = 0;
	RSA *rsa = parse(der.at, der.len, false, e);
	if (!rsa)
		return MW_BAD_KEY;
	SHA256(text.at, text.len, digest);
	bool done = RSA_size(rsa) <= MW_RSA_SIGNATURE_MAX &&
		    RSA_sign(NID_sha256, digest, sizeof digest, signature, &signed_len, rsa) == 1;
	RSA_free(rsa); /* wipes */
	*len = signed_len;
	return done ? MW_OK : bad(e, "the private key can't sign");
}

enum mw_err mw_rsa_key_verify(struct mw_span pem, struct mw_span text, struct mw_span signature,
			      struct mw_error *e)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	BIO *bio = pem.len <= MW_RSA_PEM_MAX ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;
	RSA *rsa = bio ? PEM_read_bio_RSA_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	if (!rsa)
		return bad(e, "this is no public RSA key in PEM");
	SHA256(text.at, text.len, digest);
	bool good =
	    signature.len <= MW_RSA_SIGNATURE_MAX &&
	    RSA_verify(NID_sha256, digest, sizeof digest, signature.at, (unsigned)signature.len, rsa) == 1;
	RSA_free(rsa);
	ERR_clear_error();
	return good ? MW_OK : mw_error_set(e, MW_INVALID, 0, "the signature is not this key's");
}
