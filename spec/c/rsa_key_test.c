#include "../../csrc/io/rsa_key.h"
#include "folder.h"
#include "rsa_fixture.h"

#include <sys/wait.h>

static struct mw_error error;

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static bool reads(const char *pem, struct mw_rsa_key *k)
{
	mw_error_clear(&error);
	return mw_rsa_key_read(span(pem), k, &error) == MW_OK;
}

/* Refused with these words, and without a piece of the key. */
static bool refuses(const char *pem, const char *words)
{
	struct mw_rsa_key k;
	bool refused = !reads(pem, &k) && !k.der && error.code == MW_BAD_KEY && strstr(error.detail, words);
	if (!refused)
		fprintf(stderr, "said: %s\n", error.detail);
	return refused;
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(folder_path(name), "w");
	if (!f || fwrite(bytes, 1, len, f) != len || fclose(f) != 0)
		abort();
}

TEST(both_forms_are_read_as_one_key)
{
	char pem[PEM_ROOM], wrapped[PEM_ROOM + 256];
	struct mw_rsa_key one, two, three;
	CHECK(reads(pem_of(rsa_key(2048, 0), PKCS8, pem), &one));
	snprintf(wrapped, sizeof wrapped, "\xef\xbb\xbf a note\r\n%s\r\nanother", pem);
	CHECK(reads(wrapped, &three));
	CHECK(reads(pem_of(rsa_key(2048, 0), PKCS1, pem), &two));
	CHECK(one.bits == 2048 && one.len == two.len && memcmp(one.der, two.der, one.len) == 0);
	CHECK(one.len == three.len && memcmp(one.der, three.der, one.len) == 0);
	CHECK(memcmp(one.fingerprint, two.fingerprint, sizeof one.fingerprint) == 0);
	mw_rsa_key_free(&one);
	mw_rsa_key_free(&two);
	mw_rsa_key_free(&three);
	CHECK(reads(pem_of(rsa_key(2048, 1), PKCS8, pem), &two));
	CHECK(memcmp(one.fingerprint, two.fingerprint, sizeof one.fingerprint) != 0);
	mw_rsa_key_free(&two);
}

TEST(lines_may_end_as_on_windows)
{
	char pem[PEM_ROOM], dos[PEM_ROOM];
	struct mw_rsa_key k;
	size_t n = 0;
	pem_of(rsa_key(2048, 0), PKCS8, pem);
	for (const char *at = pem; *at; at++) {
		if (*at == '\n')
			dos[n++] = '\r';
		dos[n++] = *at;
	}
	dos[n] = '\0';
	CHECK(reads(dos, &k));
	mw_rsa_key_free(&k);
}

TEST(what_is_no_usable_key_is_called_by_its_name)
{
	char pem[PEM_ROOM];
	CHECK(refuses("", "no private key in PEM"));
	CHECK(refuses("hello", "no private key in PEM"));
	CHECK(refuses(pem_of(rsa_key(2048, 0), PUBLIC, pem), "this is the public key"));
	CHECK(refuses(pem_of(rsa_key(2048, 0), ENCRYPTED, pem), "encrypted"));
	CHECK(refuses(
	    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
	    "-----END RSA PRIVATE KEY-----\n",
	    "encrypted"));
	CHECK(refuses("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"));
	CHECK(
	    refuses("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "SSH"));
	CHECK(refuses("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "elliptic"));
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *weak = rsa_key(1024, 0);
	CHECK(refuses(pem_of(ec, PKCS8, pem), "no RSA key"));
	CHECK(refuses(pem_of(weak, PKCS8, pem), "has 1024 bits"));
	CHECK(refuses(pem_of(weak, PKCS1, pem), "has 1024 bits"));
	EVP_PKEY_free(ec);
	EVP_PKEY_free(weak);
}

TEST(a_damaged_key_is_refused)
{
	char pem[PEM_ROOM], copy[PEM_ROOM];
	pem_of(rsa_key(2048, 0), PKCS1, pem);
	strcpy(copy, pem);
	*strstr(copy, "-----END") = '\0';
	CHECK(refuses(copy, "breaks off"));
	strcpy(copy, pem);
	copy[100] = '*';
	CHECK(refuses(copy, "no base64"));
	/* Any one character another: refused, or it was in a number that the others make up for, and it signs
	 * as before. */
	char public[PEM_ROOM];
	pem_of(rsa_key(2048, 0), PUBLIC, public);
	int refused = 0;
	uint64_t seed = check_seed("damaged keys");
	size_t first = strlen("-----BEGIN RSA PRIVATE KEY-----\n"),
	       last = (size_t)(strstr(pem, "\n-----END") - pem) - 4;
	for (int i = getenv("MW_VALGRIND") ? 390 : 0; i < 400; i++) {
		struct mw_rsa_key k = {0};
		strcpy(copy, pem);
		size_t at = first + check_random(&seed) % (last - first);
		copy[at] = copy[at] == 'A' ? 'B' : 'A';
		if (strcmp(copy, pem) == 0 || copy[at - 1] == '\n' || pem[at] == '\n')
			continue;
		uint8_t signature[MW_RSA_SIGNATURE_MAX];
		size_t len;
		if (!reads(copy, &k)) {
			refused++;
			continue;
		}
		CHECK(mw_rsa_key_sign((struct mw_span){k.der, k.len}, MW_SPAN("text"), signature, &len,
				      &error) == MW_OK);
		CHECK(mw_rsa_key_verify(span(public), MW_SPAN("text"), (struct mw_span){signature, len},
					&error) == MW_OK);
		mw_rsa_key_free(&k);
	}
	printf("%d damaged keys were refused, the others sign as before\n", refused);
	CHECK(refused > 0);
	char long_text[MW_RSA_PEM_MAX + 2];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	CHECK(refuses(long_text, "too long"));
}

TEST(random_bytes_are_no_key)
{
	uint64_t seed = check_seed("random keys");
	char text[600];
	for (int i = 0; i < 2000; i++) {
		static const char letters[] = "ABCDEFGHIabcdefghi0123456789+/=\n MIIE";
		size_t n = (size_t)snprintf(text, sizeof text, "-----BEGIN %sPRIVATE KEY-----\n",
					    i % 2 ? "RSA " : "");
		for (size_t k = check_random(&seed) % 300; k > 0; k--)
			text[n++] = letters[check_random(&seed) % (sizeof letters - 1)];
		snprintf(text + n, sizeof text - n, "\n-----END %sPRIVATE KEY-----\n", i % 2 ? "RSA " : "");
		struct mw_rsa_key k;
		CHECK(!reads(text, &k) && error.code == MW_BAD_KEY);
	}
}

/* The openssl command as the judge. */
TEST(a_signature_is_one_to_openssl)
{
	char pem[PEM_ROOM], command[1024], public[256], text[256], signed_by_us[256];
	static const char words[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0";
	static const unsigned sizes[] = {2048, 3072, 4096};
	snprintf(public, sizeof public, "%s", folder_path("public.pem"));
	snprintf(text, sizeof text, "%s", folder_path("text"));
	snprintf(signed_by_us, sizeof signed_by_us, "%s", folder_path("signature"));
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		EVP_PKEY *key = rsa_key(sizes[i], 0);
		struct mw_rsa_key k;
		uint8_t signature[MW_RSA_SIGNATURE_MAX];
		size_t len;
		CHECK(reads(pem_of(key, PKCS8, pem), &k) && k.bits == sizes[i]);
		CHECK(mw_rsa_key_sign((struct mw_span){k.der, k.len}, span(words), signature, &len, &error) ==
		      MW_OK);
		CHECK(len == sizes[i] / 8);
		pem_of(key, PUBLIC, pem);
		write_file("public.pem", pem, strlen(pem));
		write_file("text", words, strlen(words));
		write_file("signature", signature, len);
		snprintf(command, sizeof command,
			 "openssl dgst -sha256 -verify %s -signature %s %s >/dev/null", public, signed_by_us,
			 text);
		CHECK(system(command) == 0);
		/* And our own judge agrees, of this key and this text alone. */
		struct mw_span mine = {signature, len};
		CHECK(mw_rsa_key_verify(span(pem), span(words), mine, &error) == MW_OK);
		CHECK(mw_rsa_key_verify(span(pem), MW_SPAN("other words"), mine, &error) == MW_INVALID);
		signature[7] ^= 1;
		CHECK(mw_rsa_key_verify(span(pem), span(words), mine, &error) == MW_INVALID);
		CHECK(mw_rsa_key_verify(MW_SPAN("no key"), span(words), mine, &error) == MW_BAD_KEY);
		snprintf(command, sizeof command,
			 "openssl pkey -pubin -in %s -outform DER | sha256sum | cut -c1-16 >%s", public,
			 text);
		char hex[17] = "", ours[17];
		FILE *f = system(command) == 0 ? fopen(text, "r") : NULL;
		CHECK(f && fread(hex, 1, 16, f) == 16 && fclose(f) == 0);
		for (int b = 0; b < MW_FINGERPRINT_LEN; b++)
			snprintf(ours + 2 * b, 3, "%02x", k.fingerprint[b]);
		CHECK(strcmp(hex, ours) == 0);
		mw_rsa_key_free(&k);
		if (sizes[i] != 2048)
			EVP_PKEY_free(key);
	}
}

TEST(no_der_is_no_key_to_sign_with)
{
	uint8_t signature[MW_RSA_SIGNATURE_MAX];
	size_t len;
	CHECK(mw_rsa_key_sign(MW_SPAN("not DER"), MW_SPAN("text"), signature, &len, &error) == MW_BAD_KEY);
	CHECK(mw_rsa_key_sign((struct mw_span){signature, 0}, MW_SPAN("text"), signature, &len, &error) ==
	      MW_BAD_KEY);
}

int main(void)
{
	RUN(both_forms_are_read_as_one_key);
	RUN(lines_may_end_as_on_windows);
	RUN(what_is_no_usable_key_is_called_by_its_name);
	RUN(a_damaged_key_is_refused);
	RUN(random_bytes_are_no_key);
	RUN(a_signature_is_one_to_openssl);
	RUN(no_der_is_no_key_to_sign_with);
	return CHECK_END();
}
