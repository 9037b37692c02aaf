#include "app_row.h"

#include "row.h"

#include <assert.h>

enum { LAYOUT = 1, HEAD = 40, CHECK = MW_ROW_CHECK };

static void check_texts(const struct mw_app_row *r, struct mw_span app)
{
	assert(app.len <= MW_APP_NAME_MAX && r->client_id.len <= MW_OAUTH_ID_MAX &&
	       r->key_id.len <= MW_OAUTH_ID_MAX && r->scope.len <= MW_OAUTH_SCOPE_MAX &&
	       r->token_server.len < MW_ENDPOINT_URL_MAX);
}

size_t mw_app_row_pack(const struct mw_app_row *r, struct mw_span app, uint8_t out[MW_APP_ROW_MAX])
{
	check_texts(r, app);
	assert(r->sealed.len <= MW_APP_SEALED_MAX);
	memset(out, 0, HEAD);
	out[0] = LAYOUT;
	out[1] = (uint8_t)r->client_id.len;
	out[2] = (uint8_t)r->key_id.len;
	out[3] = (uint8_t)r->scope.len;
	mw_row_put(out + 4, 2, r->token_server.len);
	mw_row_put(out + 6, 2, r->bits);
	mw_row_put(out + 8, 8, r->revision);
	mw_row_put(out + 16, 8, (uint64_t)r->updated_at);
	memcpy(out + 24, r->kid, MW_KID_LEN);
	memcpy(out + 32, r->fingerprint, MW_FINGERPRINT_LEN);
	uint8_t *at = mw_row_append(out + HEAD, r->client_id);
	at = mw_row_append(at, r->key_id);
	at = mw_row_append(at, r->scope);
	at = mw_row_append(at, r->token_server);
	at = mw_row_append(at, r->sealed);
	size_t len = (size_t)(at - out);
	mw_row_check(out, len, app, at);
	return len + CHECK;
}

/* The next `len` bytes of *rest; false if it has not so many, or `max` is less. */
static bool cut(struct mw_span *rest, size_t len, size_t max, struct mw_span *out)
{
	if (len > rest->len || len > max)
		return false;
	*out = (struct mw_span){rest->at, len};
	*rest = (struct mw_span){rest->at + len, rest->len - len};
	return true;
}

bool mw_app_row_unpack(struct mw_span bytes, struct mw_span app, struct mw_app_row *r)
{
	const uint8_t *at = bytes.at;
	uint8_t check[CHECK];
	if (bytes.len < HEAD + MW_SEAL_NONCE + MW_SEAL_TAG + CHECK || bytes.len > MW_APP_ROW_MAX)
		return false;
	size_t len = bytes.len - CHECK;
	mw_row_check(at, len, app, check);
	if (memcmp(check, at + len, CHECK) != 0 || at[0] != LAYOUT)
		return false;
	*r = (struct mw_app_row){.bits = (unsigned)mw_row_get(at + 6, 2),
				 .revision = mw_row_get(at + 8, 8),
				 .updated_at = (int64_t)mw_row_get(at + 16, 8)};
	memcpy(r->kid, at + 24, MW_KID_LEN);
	memcpy(r->fingerprint, at + 32, MW_FINGERPRINT_LEN);
	struct mw_span rest = {at + HEAD, len - HEAD};
	bool whole = cut(&rest, at[1], MW_OAUTH_ID_MAX, &r->client_id) &&
		     cut(&rest, at[2], MW_OAUTH_ID_MAX, &r->key_id) &&
		     cut(&rest, at[3], MW_OAUTH_SCOPE_MAX, &r->scope) &&
		     cut(&rest, (size_t)mw_row_get(at + 4, 2), MW_ENDPOINT_URL_MAX - 1, &r->token_server);
	r->sealed = rest;
	return whole && rest.len >= MW_SEAL_NONCE + MW_SEAL_TAG && rest.len <= MW_APP_SEALED_MAX;
}

enum { AAD_MAX = 64 + MW_APP_NAME_MAX + MW_APP_TEXTS_MAX };

static size_t write_aad(const struct mw_app_row *r, struct mw_span app, uint8_t aad[AAD_MAX])
{
	const struct mw_span bar = MW_SPAN("|"),
			     texts[] = {r->client_id, r->key_id, r->scope, r->token_server};
	char kid[MW_KID_TEXT];
	mw_kid_text(r->kid, kid);
	uint8_t *at = mw_row_append(aad, MW_SPAN("v1|"));
	at = mw_row_append(at, (struct mw_span){(const uint8_t *)kid, MW_KID_TEXT - 1});
	at = mw_row_append(at, bar);
	at = mw_row_append(at, app);
	at = mw_row_append(at, MW_SPAN("|private_key"));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		at = mw_row_append(at, bar);
		at = mw_row_append(at, texts[i]);
	}
	return (size_t)(at - aad);
}

void mw_app_row_seal(struct mw_app_row *r, struct mw_span app, struct mw_span der,
		     const struct mw_master_key *master, uint8_t room[MW_APP_SEALED_MAX])
{
	uint8_t aad[AAD_MAX];
	unsigned long long len;
	check_texts(r, app);
	assert(der.len <= MW_RSA_DER_MAX);
	memcpy(r->kid, master->kid, MW_KID_LEN);
	size_t aad_len = write_aad(r, app, aad);
	randombytes_buf(room, MW_SEAL_NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(room + MW_SEAL_NONCE, &len, der.at, der.len, aad, aad_len,
						   NULL, room, master->bytes);
	r->sealed = (struct mw_span){room, MW_SEAL_NONCE + (size_t)len};
}

bool mw_app_row_open(const struct mw_app_row *r, struct mw_span app, const struct mw_master_key *master,
		     uint8_t der[MW_RSA_DER_MAX], size_t *len)
{
	uint8_t aad[AAD_MAX];
	unsigned long long opened;
	if (app.len > MW_APP_NAME_MAX || memcmp(r->kid, master->kid, MW_KID_LEN) != 0)
		return false;
	size_t aad_len = write_aad(r, app, aad);
	const uint8_t *nonce = r->sealed.at;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(der, &opened, NULL, nonce + MW_SEAL_NONCE,
						       r->sealed.len - MW_SEAL_NONCE, aad, aad_len, nonce,
						       master->bytes) != 0)
		return false;
	*len = (size_t)opened;
	return true;
}
