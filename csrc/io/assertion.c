#include "assertion.h"

#include "rsa_key.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

enum mw_err mw_oauth_id_check(const char *what, struct mw_span id, struct mw_error *e)
{
	if (id.len == 0 || id.len > MW_OAUTH_ID_MAX)
		return mw_error_set(e, MW_INVALID, 0, "the %s has %zu characters; 1 to %d are allowed", what,
				    id.len, MW_OAUTH_ID_MAX);
	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] <= ' ' || id.at[i] >= 0x7f || strchr("\"\\|", id.at[i]))
			return mw_error_set(e, MW_INVALID, i,
					    "character %zu of the %s is none that one has: copy it again",
					    i + 1, what);
	return MW_OK;
}

enum mw_err mw_oauth_scope_check(struct mw_span scope, struct mw_error *e)
{
	bool fits = scope.len > 0 && scope.len <= MW_OAUTH_SCOPE_MAX && scope.at[0] != ' ' &&
		    scope.at[scope.len - 1] != ' ';
	for (size_t i = 0; fits && i < scope.len; i++)
		fits = scope.at[i] >= ' ' && scope.at[i] < 0x7f && !strchr("\"\\|", scope.at[i]) &&
		       !(scope.at[i] == ' ' && scope.at[i - 1] == ' ');
	return fits ? MW_OK
		    : mw_error_set(e, MW_INVALID, 0,
				   "a scope is 1 to %d characters, its words one blank apart; the usual is "
				   "tracking_api:write",
				   MW_OAUTH_SCOPE_MAX);
}

/* Without padding, in the alphabet of URLs (RFC 7515). */
static enum mw_err append_base64(struct mw_buf *b, const void *bytes, size_t len)
{
	size_t room = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	enum mw_err err = b->max - b->len >= room ? mw_buf_reserve(b, room) : MW_TOO_LARGE;
	if (err != MW_OK)
		return err;
	sodium_bin2base64((char *)b->data + b->len, room, bytes, len,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	b->len += room - 1; /* the NUL is not ours */
	return MW_OK;
}

static enum mw_err append_header(struct mw_buf *b, const struct mw_assertion *a)
{
	char text[MW_OAUTH_ID_MAX + 64];
	int n = snprintf(text, sizeof text, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%.*s\"}",
			 (int)a->key_id.len, (const char *)a->key_id.at);
	return append_base64(b, text, (size_t)n);
}

/* A UUID, version 4. */
static void write_uuid(const uint8_t random[16], char text[37])
{
	uint8_t u[16];
	memcpy(u, random, 16);
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	for (size_t i = 0, at = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		at += (size_t)snprintf(text + at, 3, "%02x", u[i]);
	}
}

static enum mw_err append_claims(struct mw_buf *b, const struct mw_assertion *a)
{
	char text[2 * MW_OAUTH_ID_MAX + 512 + 256], jti[37];
	int id_len = (int)a->client_id.len;
	const char *id = (const char *)a->client_id.at;
	int64_t from = a->now_s - MW_ASSERTION_BACK_S;
	write_uuid(a->jti, jti);
	int n = snprintf(text, sizeof text,
			 "{\"iss\":\"%.*s\",\"sub\":\"%.*s\",\"aud\":\"%.*s\",\"iat\":%" PRId64
			 ",\"exp\":%" PRId64 ",\"jti\":\"%s\"}",
			 id_len, id, id_len, id, (int)a->audience.len, (const char *)a->audience.at, from,
			 from + MW_ASSERTION_LIFE_S, jti);
	return n < (int)sizeof text ? append_base64(b, text, (size_t)n) : MW_TOO_LARGE;
}

/* As a value of application/x-www-form-urlencoded. */
static enum mw_err append_escaped(struct mw_buf *b, struct mw_span s)
{
	enum mw_err err = MW_OK;
	for (size_t i = 0; i < s.len && err == MW_OK; i++) {
		char c = (char)s.at[i], text[4];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			     strchr("-._", c);
		if (plain)
			err = mw_buf_append_byte(b, c);
		else
			err = mw_buf_append(b, text, (size_t)snprintf(text, sizeof text, "%%%02X", s.at[i]));
	}
	return err;
}

enum mw_err mw_assertion_write(const struct mw_assertion *a, struct mw_span der, struct mw_buf *out,
			       struct mw_error *e)
{
	uint8_t signature[MW_RSA_SIGNATURE_MAX];
	size_t signature_len;
	enum mw_err err =
	    mw_buf_append_literal(out, "grant_type=client_credentials&client_assertion_type="
				       "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
				       "&client_assertion=");
	size_t start = out->len;
	if (err == MW_OK)
		err = append_header(out, a);
	if (err == MW_OK)
		err = mw_buf_append_byte(out, '.');
	if (err == MW_OK)
		err = append_claims(out, a);
	if (err == MW_OK) {
		err = mw_rsa_key_sign(der, (struct mw_span){out->data + start, out->len - start}, signature,
				      &signature_len, e);
		if (err != MW_OK)
			return err;
		err = mw_buf_append_byte(out, '.');
	}
	if (err == MW_OK)
		err = append_base64(out, signature, signature_len);
	if (err == MW_OK)
		err = mw_buf_append_literal(out, "&scope=");
	if (err == MW_OK)
		err = append_escaped(out, a->scope);
	return err == MW_OK ? MW_OK : mw_error_set(e, err, 0, "the request for a token is too long");
}
