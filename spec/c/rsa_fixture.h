/* rsa_fixture.h -- RSA keys for tests, made when they are needed, in the forms that people have them in; and
 * what a JWT says, read by other means than ours. */
#ifndef MW_RSA_FIXTURE_H
#define MW_RSA_FIXTURE_H

#include "check.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { PEM_ROOM = 16384 };

enum pem_form { PKCS8, PKCS1, PUBLIC, ENCRYPTED };

/* The command makes it: under valgrind a large one would take minutes. As it takes seconds otherwise, one of
 * each size is kept in the folder MW_KEYS, if make has named one, for all tests and their runs with
 * sanitizers. */
static EVP_PKEY *rsa_key_made(unsigned bits)
{
	char command[256];
	if (bits <= 2048 || !getenv("MW_KEYS"))
		snprintf(command, sizeof command, "openssl genrsa %u 2>/dev/null", bits);
	else
		snprintf(command, sizeof command,
			 "umask 077; key=$MW_KEYS/rsa-%u.pem; mkdir -p \"$MW_KEYS\"; [ -s \"$key\" ] || "
			 "{ openssl genrsa %u >\"$key.$$\" 2>/dev/null && mv \"$key.$$\" \"$key\"; }; "
			 "cat \"$key\"",
			 bits, bits);
	FILE *made = popen(command, "r");
	EVP_PKEY *key = made ? PEM_read_PrivateKey(made, NULL, NULL, NULL) : NULL;
	if (!key) {
		fprintf(stderr, "`%s` made no key\n", command);
		exit(1);
	}
	pclose(made);
	return key;
}

/* A key of so many bits; 2,048 are the same one for each `number` of the process. */
__attribute__((unused)) static EVP_PKEY *rsa_key(unsigned bits, unsigned number)
{
	static EVP_PKEY *kept[4];
	if (bits != 2048)
		return rsa_key_made(bits);
	if (!kept[number])
		kept[number] = rsa_key_made(bits);
	return kept[number];
}

__attribute__((unused)) static const char *pem_of(EVP_PKEY *key, enum pem_form form, char room[PEM_ROOM])
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (form == PKCS8)
		PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	else if (form == PKCS1)
		PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
	else if (form == PUBLIC)
		PEM_write_bio_PUBKEY(bio, key);
	else
		PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "pass", 4, NULL, NULL);
	int n = BIO_read(bio, room, PEM_ROOM - 1);
	room[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	return room;
}

/* base64url without padding, decoded; -1: it is none. */
__attribute__((unused)) static int unbase64(const char *at, size_t len, unsigned char *out, size_t room)
{
	char text[4096];
	size_t whole = len, padding = (4 - len % 4) % 4;
	if (len + padding > sizeof text || (len + padding) / 4 * 3 > room)
		return -1;
	for (size_t i = 0; i < len; i++)
		text[i] = at[i] == '-' ? '+' : at[i] == '_' ? '/' : at[i];
	for (size_t i = 0; i < padding; i++)
		text[whole++] = '=';
	int n = EVP_DecodeBlock(out, (unsigned char *)text, (int)whole);
	return n < 0 ? -1 : n - (int)padding;
}

/* Is the JWT signed by this key? Its header and claims as text, each in 2 KB. */
__attribute__((unused)) static bool jwt_opens(const char *jwt, size_t len, EVP_PKEY *key, char header[2048],
					      char claims[2048])
{
	const char *first = memchr(jwt, '.', len);
	const char *second = first ? memchr(first + 1, '.', len - (size_t)(first + 1 - jwt)) : NULL;
	unsigned char signature[2048];
	if (!second)
		return false;
	int n = unbase64(jwt, (size_t)(first - jwt), (unsigned char *)header, 2047);
	int m = unbase64(first + 1, (size_t)(second - first - 1), (unsigned char *)claims, 2047);
	int s = unbase64(second + 1, len - (size_t)(second + 1 - jwt), signature, sizeof signature);
	if (n < 0 || m < 0 || s < 0)
		return false;
	header[n] = claims[m] = '\0';
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestVerify(context, signature, (size_t)s, (const unsigned char *)jwt,
				     (size_t)(second - jwt)) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

/* The value of a form's field up to the next '&'. */
__attribute__((unused)) static bool form_field(const char *form, const char *name, const char **at,
					       size_t *len)
{
	const char *found = strstr(form, name);
	if (!found)
		return false;
	*at = found + strlen(name);
	*len = strcspn(*at, "&\r\n");
	return true;
}

#endif
