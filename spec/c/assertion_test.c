#include "../../csrc/io/assertion.h"
#include "../../csrc/io/rsa_key.h"
#include "../../csrc/io/token_reply.h"
#include "rsa_fixture.h"

static struct mw_error error;

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static struct mw_assertion usual(void)
{
	struct mw_assertion a = {.client_id = MW_SPAN("2aBcD_-9"),
				 .key_id = MW_SPAN("kid~1"),
				 .scope = MW_SPAN("tracking_api:write"),
				 .audience = MW_SPAN("https://oauth2.segment.io"),
				 .now_s = 1763935080};
	for (size_t i = 0; i < sizeof a.jti; i++)
		a.jti[i] = (uint8_t)(i * 17);
	return a;
}

static char text[MW_ASSERTION_FORM_MAX + 1];

static enum mw_err write_with(const struct mw_assertion *a, EVP_PKEY *key)
{
	char pem[PEM_ROOM];
	struct mw_rsa_key k;
	struct mw_buf b = {.data = (uint8_t *)text, .cap = sizeof text - 1, .max = sizeof text - 1};
	memset(text, 0, sizeof text);
	if (mw_rsa_key_read(span(pem_of(key, PKCS8, pem)), &k, &error) != MW_OK)
		return MW_BAD_KEY;
	enum mw_err err = mw_assertion_write(a, (struct mw_span){k.der, k.len}, &b, &error);
	mw_rsa_key_free(&k);
	return err;
}

TEST(an_assertion_is_a_jwt_that_others_can_read)
{
	struct mw_assertion a = usual();
	char header[2048], claims[2048];
	const char *at;
	size_t len;
	CHECK(write_with(&a, rsa_key(2048, 0)) == MW_OK);
	CHECK(form_field(text, "&client_assertion=", &at, &len));
	CHECK(jwt_opens(at, len, rsa_key(2048, 0), header, claims));
	CHECK(strcmp(header, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid~1\"}") == 0);
	CHECK(strcmp(claims,
		     "{\"iss\":\"2aBcD_-9\",\"sub\":\"2aBcD_-9\",\"aud\":\"https://oauth2.segment.io\","
		     "\"iat\":1763935075,\"exp\":1763935130,"
		     "\"jti\":\"00112233-4455-4677-8899-aabbccddeeff\"}") == 0);
	CHECK(strncmp(text, "grant_type=client_credentials&", 30) == 0);
	CHECK(strcmp(strstr(text, "&scope="), "&scope=tracking_api%3Awrite") == 0);
}

TEST(the_longest_parts_fit)
{
	struct mw_assertion a = usual();
	char id[MW_OAUTH_ID_MAX], scope[MW_OAUTH_SCOPE_MAX], url[511];
	memset(id, '%', sizeof id);
	memset(scope, '!', sizeof scope);
	memset(url, 'u', sizeof url);
	a.client_id = a.key_id = (struct mw_span){(uint8_t *)id, sizeof id};
	a.scope = (struct mw_span){(uint8_t *)scope, sizeof scope};
	a.audience = (struct mw_span){(uint8_t *)url, sizeof url};
	EVP_PKEY *large = rsa_key(4096, 0);
	CHECK(write_with(&a, large) == MW_OK);
	size_t used = strlen(text);
	printf("the longest form with %d bits: %zu of %d bytes\n", EVP_PKEY_get_bits(large), used,
	       MW_ASSERTION_FORM_MAX);
	CHECK(used + (MW_RSA_SIGNATURE_MAX - 512) * 4 / 3 + 4 < MW_ASSERTION_FORM_MAX);
	EVP_PKEY_free(large);
}

TEST(ids_and_scopes_are_checked)
{
	static const char *const bad[] = {"", "a b", "a\"b", "a\\b", "a|b", "a\nb", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(mw_oauth_id_check("client id", span(bad[i]), &error) == MW_INVALID &&
		      strstr(error.detail, "client id"));
	char many[MW_OAUTH_ID_MAX + 1];
	memset(many, 'a', sizeof many);
	CHECK(mw_oauth_id_check("key id", (struct mw_span){(uint8_t *)many, sizeof many}, &error) ==
	      MW_INVALID);
	CHECK(mw_oauth_id_check("key id", (struct mw_span){(uint8_t *)many, sizeof many - 1}, &error) ==
	      MW_OK);
	CHECK(mw_oauth_scope_check(MW_SPAN("tracking_api:write public_api:read_write"), &error) == MW_OK);
	static const char *const scopes[] = {"", " a", "a ", "a  b", "a\tb", "a\"b"};
	for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
		CHECK(mw_oauth_scope_check(span(scopes[i]), &error) == MW_INVALID);
}

static bool replies(const char *body, const char *token, int64_t life_ms)
{
	struct mw_span got;
	int64_t life;
	return mw_token_reply_read(span(body), &got, &life) && got.len == strlen(token) &&
	       memcmp(got.at, token, got.len) == 0 && life == life_ms;
}

TEST(a_reply_holds_a_token_and_its_life)
{
	CHECK(replies("{\"access_token\":\"a.b-c_d~e+f/g==\",\"expires_in\":86400,\"x\":[1]}",
		      "a.b-c_d~e+f/g==", 86400000));
	CHECK(replies("{\"access_token\":\"a\",\"expires_in\":\"60\"}", "a", 60000));
	CHECK(replies("{\"access_token\":\"a\",\"expires_in\":1.5}", "a", 1500));
	CHECK(replies("{\"access_token\":\"a\"}", "a", 3600000));
	CHECK(replies("{\"access_token\":\"a\",\"expires_in\":1e300}", "a", INT64_C(1000000000000)));
	static const char *const none[] = {"",
					   "null",
					   "[]",
					   "{}",
					   "{\"access_token\":\"\"}",
					   "{\"access_token\":1}",
					   "{\"access_token\":\"a\\u0062\"}",
					   "{\"access_token\":\"a b\"}",
					   "{\"access_token\":\"a\",\"expires_in\":0}",
					   "{\"access_token\":\"a\",\"expires_in\":-1}",
					   "{\"access_token\":\"a\",\"expires_in\":\"soon\"}",
					   "{\"access_token\":\"a\",",
					   "{\"access_token\":\"a\r\nX: y\"}"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		CHECK(!replies(none[i], "a", 1));
}

static bool gives_reason(const char *body, const char *reason)
{
	char out[MW_TOKEN_REASON_MAX];
	mw_token_reply_reason(span(body), out);
	bool same = strcmp(out, reason) == 0;
	if (!same)
		fprintf(stderr, "said: %s\n", out);
	return same;
}

TEST(a_reason_is_for_people_and_repeats_no_secret)
{
	CHECK(gives_reason("{\"error\":\"invalid_client\",\"error_description\":\"no such key\"}",
			   "invalid_client: no such key"));
	CHECK(gives_reason("{\"error\":\"invalid_client\"}", "invalid_client"));
	CHECK(gives_reason("{\"error_description\":\"well\"}", "well"));
	CHECK(gives_reason("{\"error\":\"a eyJhbGciOiJSUzI1NiIsInR5cCI6.e b\\u001b[2J\"}",
			   "a ... b\\u001b[2J"));
	CHECK(gives_reason("<html>", ""));
	CHECK(gives_reason("{\"error\":{\"a\":1}}", ""));
	uint64_t seed = check_seed("reasons");
	for (int i = 0; i < 20000; i++) {
		char body[600] = "{\"error\":\"", out[MW_TOKEN_REASON_MAX];
		size_t n = strlen(body);
		for (size_t k = check_random(&seed) % 400; k > 0; k--)
			body[n++] = "ab  cdef\t-"[check_random(&seed) % 8];
		snprintf(body + n, sizeof body - n, "\",\"error_description\":\"x y z\"}");
		mw_token_reply_reason(span(body), out);
		CHECK(strlen(out) < MW_TOKEN_REASON_MAX);
	}
}

int main(void)
{
	RUN(an_assertion_is_a_jwt_that_others_can_read);
	RUN(the_longest_parts_fit);
	RUN(ids_and_scopes_are_checked);
	RUN(a_reply_holds_a_token_and_its_life);
	RUN(a_reason_is_for_people_and_repeats_no_secret);
	return CHECK_END();
}
