#include "../../csrc/core/binary_text.h"
#include "../../csrc/io/signature.h"
#include "check.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define HAS_MEMCHECK 1
#else
#define HAS_MEMCHECK 0
#endif

static struct mw_span text(const char *s)
{
	return (struct mw_span){(const uint8_t *)s, strlen(s)};
}

static struct mw_span hex(const char *s, uint8_t *room)
{
	struct mw_span bytes = {room, 0};
	if (!mw_binary_text_read(MW_HEX, text(s), room, &bytes.len))
		abort();
	return bytes;
}

static bool check(enum mw_signature_kind kind, struct mw_span key, struct mw_span piece,
		  struct mw_span signature)
{
	struct mw_error e = {0};
	bool genuine = true;
	return mw_signature_check(kind, key, &piece, 1, &signature, 1, &genuine, &e) == MW_OK && genuine;
}

TEST(kinds_have_names)
{
	enum mw_signature_kind kind;
	CHECK(mw_signature_kind_named(MW_SPAN("hmac-sha1"), &kind) && kind == MW_HMAC_SHA1);
	CHECK(mw_signature_kind_named(MW_SPAN("ecdsa-p256"), &kind) && kind == MW_ECDSA_P256);
	CHECK(!mw_signature_kind_named(MW_SPAN("md5"), &kind) &&
	      !mw_signature_kind_named(MW_SPAN(""), &kind));
}

/* RFC 2202 and RFC 4231, test case 2; FIPS 180 for the plain hash. */
TEST(published_macs_are_genuine)
{
	uint8_t room[200];
	struct mw_span key = text("Jefe"), data = text("what do ya want for nothing?");
	CHECK(check(MW_HMAC_SHA1, key, data, hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", room)));
	CHECK(check(MW_HMAC_SHA256, key, data,
		    hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", room)));
	CHECK(check(MW_HMAC_SHA512, key, data,
		    hex("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
			"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
			room)));
	struct mw_span abc = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", room);
	CHECK(check(MW_SHA256, text(""), text("abc"), abc) && check(MW_SHA256, text("a"), text("bc"), abc));
	CHECK(check(MW_HMAC_SHA256, text(""), text(""),
		    hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", room)));
}

TEST(pieces_are_one_text)
{
	uint8_t room[64];
	struct mw_span mac = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", room);
	struct mw_span pieces[] = {text("what do "), {NULL, 0}, text("ya want"), text(" for nothing?")};
	bool genuine;
	CHECK(mw_signature_check(MW_HMAC_SHA256, text("Jefe"), pieces, 4, &mac, 1, &genuine, NULL) == MW_OK);
	CHECK(genuine);
	CHECK(mw_signature_check(MW_HMAC_SHA256, text("Jefe"), pieces, 3, &mac, 1, &genuine, NULL) == MW_OK);
	CHECK(!genuine);
}

TEST(any_signature_may_be_the_right_one)
{
	uint8_t room[64], other[32] = {0};
	struct mw_span mac = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", room);
	struct mw_span data = text("what do ya want for nothing?"), wrong = {other, sizeof other};
	struct mw_span orders[3][3] = {{mac, wrong, {NULL, 0}}, {wrong, mac, wrong}, {{NULL, 0}, wrong, mac}};
	for (int i = 0; i < 3; i++) {
		bool genuine = false;
		CHECK(!mw_signature_check(MW_HMAC_SHA256, text("Jefe"), &data, 1, orders[i], 3, &genuine,
					  NULL));
		CHECK(genuine);
	}
	bool genuine = true;
	CHECK(!mw_signature_check(MW_HMAC_SHA256, text("Jefe"), &data, 1, NULL, 0, &genuine, NULL) &&
	      !genuine);
}

/* One more byte, one less, and each single bit. */
static bool every_change_is_refused(enum mw_signature_kind kind, struct mw_span key, const void *data,
				    size_t n, const void *signature, size_t len)
{
	uint8_t d[300], s[300];
	memcpy(d, data, n);
	memcpy(s, signature, len);
	s[len] = 0;
	struct mw_span whole = {d, n}, mac = {s, len};
	if (!check(kind, key, whole, mac))
		return false;
	/* Each bit; under valgrind some, at all places within a byte. */
	size_t step = getenv("MW_VALGRIND") ? 21 : 1;
	for (size_t bit = 0; bit < n * 8; bit += step) {
		d[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (check(kind, key, whole, mac))
			return false;
		d[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < len * 8; bit += step) {
		s[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (check(kind, key, whole, mac))
			return false;
		s[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return !check(kind, key, (struct mw_span){d, n - 1}, mac) &&
	       !check(kind, key, whole, (struct mw_span){s, len - 1}) &&
	       !check(kind, key, whole, (struct mw_span){s, len + 1}) &&
	       !check(kind, key, whole, (struct mw_span){s, 0});
}

TEST(every_other_bit_is_refused)
{
	uint8_t room[64];
	struct mw_span mac = hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79", room);
	CHECK(every_change_is_refused(MW_HMAC_SHA1, text("Jefe"), "what do ya want for nothing?", 28, mac.at,
				      mac.len));
	mac = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", room);
	CHECK(every_change_is_refused(MW_HMAC_SHA256, text("Jefe"), "what do ya want for nothing?", 28,
				      mac.at, mac.len));
	CHECK(!check(MW_HMAC_SHA256, text("Jeff"), text("what do ya want for nothing?"), mac));
}

/* RFC 8032, 7.1, test 3 */
TEST(ed25519_signatures_are_checked)
{
	uint8_t key_room[32], room[64];
	struct mw_span key =
	    hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", key_room);
	struct mw_span s = hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
			       "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
			       room);
	CHECK(every_change_is_refused(MW_ED25519, key, "\xaf\x82", 2, s.at, s.len));
	struct mw_span halves[] = {text("\xaf"), text("\x82")};
	bool genuine;
	CHECK(!mw_signature_check(MW_ED25519, key, halves, 2, &s, 1, &genuine, NULL) && genuine);
}

/* A key of its own for each run: the random part of ECDSA makes each signature another. */
TEST(ecdsa_signatures_are_checked)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *spki = NULL, signature[300];
	int spki_len = key ? i2d_PUBKEY(key, &spki) : 0;
	size_t len = sizeof signature;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	CHECK(spki_len > 0 && c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1);
	CHECK(EVP_DigestSign(c, signature, &len, (const uint8_t *)"1600112502[{}]\r\n", 16) == 1);
	struct mw_span public = {spki, (size_t)spki_len};
	CHECK(every_change_is_refused(MW_ECDSA_P256, public, "1600112502[{}]\r\n", 16, signature, len));
	EVP_MD_CTX_free(c);
	OPENSSL_free(spki);
	EVP_PKEY_free(key);
}

static enum mw_err with_key(enum mw_signature_kind kind, struct mw_span key, char *detail)
{
	struct mw_error e = {0};
	struct mw_span piece = text("x");
	bool genuine = true;
	enum mw_err err = mw_signature_check(kind, key, &piece, 1, &piece, 1, &genuine, &e);
	strcpy(detail, e.detail);
	return genuine ? MW_OK : err;
}

TEST(a_key_that_is_none_is_told)
{
	char detail[sizeof((struct mw_error *)0)->detail];
	uint8_t *spki = NULL;
	CHECK(with_key(MW_ECDSA_P256, text("no key"), detail) == MW_INVALID &&
	      strcmp(detail, "not a P-256 public key") == 0);
	CHECK(with_key(MW_ECDSA_P256, text(""), detail) == MW_INVALID);
	CHECK(with_key(MW_ED25519, text("too short"), detail) == MW_INVALID &&
	      strcmp(detail, "not an Ed25519 public key") == 0);
	/* Another curve is no P-256, and what stands behind a key is no part of it. */
	EVP_PKEY *other = EVP_EC_gen("P-384"), *right = EVP_EC_gen("P-256");
	size_t len = (size_t)i2d_PUBKEY(other, &spki);
	CHECK(with_key(MW_ECDSA_P256, (struct mw_span){spki, len}, detail) == MW_INVALID);
	OPENSSL_free(spki);
	uint8_t longer[200] = {0}, *to = longer;
	len = (size_t)i2d_PUBKEY(right, &to);
	CHECK(with_key(MW_ECDSA_P256, (struct mw_span){longer, len + 1}, detail) == MW_INVALID);
	EVP_PKEY_free(other);
	EVP_PKEY_free(right);
}

TEST(what_the_host_has_in_its_queue_of_errors_stays)
{
	char detail[sizeof((struct mw_error *)0)->detail];
	ERR_clear_error();
	with_key(MW_ECDSA_P256, text("no key"), detail);
	CHECK(ERR_peek_error() == 0);
	ERR_raise(ERR_LIB_USER, 7);
	with_key(MW_ECDSA_P256, text("no key"), detail);
	CHECK(ERR_GET_REASON(ERR_get_error()) == 7 && ERR_peek_error() == 0);
}

TEST(equal_is_equal)
{
	bool same;
	CHECK(!mw_signature_equal(text("secret"), text("secret"), &same, NULL) && same);
	CHECK(!mw_signature_equal(text("secret"), text("secreT"), &same, NULL) && !same);
	CHECK(!mw_signature_equal(text("secret"), text("secret1"), &same, NULL) && !same);
	CHECK(!mw_signature_equal(text(""), (struct mw_span){NULL, 0}, &same, NULL) && same);
	CHECK(!mw_signature_equal(text(""), text("a"), &same, NULL) && !same);
}

/* The key counts as undefined, and so does all that is computed from it; valgrind tells of each branch and
 * each address that depends on it. */
TEST(neither_branch_nor_address_depends_on_a_secret)
{
#if HAS_MEMCHECK
	if (!RUNNING_ON_VALGRIND) {
		printf("skipped: constant time is watched by `make valgrind`\n");
		return;
	}
	uint8_t room[64];
	char key[] = "Jefe", other[] = "Jefe";
	struct mw_span data = text("what do ya want for nothing?");
	struct mw_span macs[] = {
	    hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", room),
	    {(const uint8_t *)"12345678901234567890123456789012", 32}};
	unsigned long before = VALGRIND_COUNT_ERRORS;
	bool results[6] = {0}, *result = results;
	(void)VALGRIND_MAKE_MEM_UNDEFINED(key, 4);
	for (enum mw_signature_kind kind = MW_HMAC_SHA1; kind <= MW_SHA256; kind++)
		CHECK(!mw_signature_check(kind, (struct mw_span){(uint8_t *)key, 4}, &data, 1, macs, 2,
					  result++, NULL));
	CHECK(!mw_signature_equal((struct mw_span){(uint8_t *)key, 4}, text(other), result++, NULL));
	CHECK(!mw_signature_equal(text("Jeff"), (struct mw_span){(uint8_t *)key, 4}, result, NULL));
	unsigned long errors = VALGRIND_COUNT_ERRORS - before;
	/* Known to nobody until here: this is what shows that the mark has come all the way. */
	uint8_t unknown_bits = 0;
	(void)VALGRIND_GET_VBITS(&results[MW_HMAC_SHA256], &unknown_bits, 1);
	(void)VALGRIND_MAKE_MEM_DEFINED(results, sizeof results);
	(void)VALGRIND_MAKE_MEM_DEFINED(key, 4);
	CHECK(errors == 0 && unknown_bits != 0);
	CHECK(!results[MW_HMAC_SHA1] && results[MW_HMAC_SHA256] && !results[MW_SHA256] && results[4] &&
	      !results[5]);
#else
	printf(
	    "skipped: constant time is watched by valgrind, whose <valgrind/memcheck.h> is not installed\n");
#endif
}

TEST(random_keys_and_signatures_are_refused)
{
	uint64_t random = check_seed("signatures");
	struct mw_span data = text("event");
	for (int round = 0, rounds = check_rounds(20000); round < rounds; round++) {
		uint8_t bytes[2][120];
		struct mw_span spans[2];
		for (int i = 0; i < 2; i++) {
			spans[i] = (struct mw_span){bytes[i], check_random(&random) % sizeof bytes[i]};
			for (size_t j = 0; j < spans[i].len; j++)
				bytes[i][j] = (uint8_t)check_random(&random);
		}
		if (round % 2) /* a beginning as of a key or signature in DER */
			bytes[0][0] = bytes[1][0] = 0x30;
		bool genuine = true;
		enum mw_signature_kind kind = (enum mw_signature_kind)(check_random(&random) % 6);
		enum mw_err err = mw_signature_check(kind, spans[0], &data, 1, &spans[1], 1, &genuine, NULL);
		CHECK(!genuine && (err == MW_OK || (err == MW_INVALID && kind >= MW_ECDSA_P256)));
	}
}

int main(void)
{
	RUN(kinds_have_names);
	RUN(published_macs_are_genuine);
	RUN(pieces_are_one_text);
	RUN(any_signature_may_be_the_right_one);
	RUN(every_other_bit_is_refused);
	RUN(ed25519_signatures_are_checked);
	RUN(ecdsa_signatures_are_checked);
	RUN(a_key_that_is_none_is_told);
	RUN(what_the_host_has_in_its_queue_of_errors_stays);
	RUN(equal_is_equal);
	RUN(neither_branch_nor_address_depends_on_a_secret);
	RUN(random_keys_and_signatures_are_refused);
	return CHECK_END();
}
