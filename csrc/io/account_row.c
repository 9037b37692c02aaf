#include "account_row.h"

#include "row.h"

#include <assert.h>

enum { LAYOUT = 1, LAYOUT_WITH_APP = 2, HEAD = 32, CHECK = MW_ROW_CHECK };

_Static_assert(MW_SEAL_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "the nonce");
_Static_assert(MW_SEAL_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "the tag");
_Static_assert(MW_MASTER_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the key");

size_t mw_account_row_pack(const struct mw_account_row *r, struct mw_span account,
			   uint8_t out[MW_ACCOUNT_ROW_MAX])
{
	assert(r->endpoint.len < MW_ENDPOINT_URL_MAX && r->label.len <= MW_LABEL_MAX &&
	       r->sealed.len <= MW_SEALED_MAX && r->app.len <= MW_APP_NAME_MAX);
	size_t last_len = strlen(r->last);
	memset(out, 0, HEAD);
	out[0] = r->app.len > 0 ? LAYOUT_WITH_APP : LAYOUT;
	out[1] = r->paused;
	out[2] = (uint8_t)last_len;
	out[3] = (uint8_t)r->app.len;
	mw_row_put(out + 4, 2, r->endpoint.len);
	mw_row_put(out + 6, 2, r->label.len);
	mw_row_put(out + 8, 8, r->revision);
	mw_row_put(out + 16, 8, (uint64_t)r->updated_at);
	memcpy(out + 24, r->last, last_len);
	memcpy(out + 28, r->kid, MW_KID_LEN);
	uint8_t *at = mw_row_append(out + HEAD, r->endpoint);
	at = mw_row_append(at, r->label);
	at = mw_row_append(at, r->app);
	at = mw_row_append(at, r->sealed);
	size_t len = (size_t)(at - out);
	mw_row_check(out, len, account, at);
	return len + CHECK;
}

bool mw_account_row_unpack(struct mw_span bytes, struct mw_span account, struct mw_account_row *r)
{
	const uint8_t *at = bytes.at;
	if (bytes.len < HEAD + MW_SEAL_NONCE + MW_SEAL_TAG + CHECK || bytes.len > MW_ACCOUNT_ROW_MAX)
		return false;
	size_t len = bytes.len - CHECK;
	uint8_t check[CHECK];
	mw_row_check(at, len, account, check);
	if (memcmp(check, at + len, CHECK) != 0 || at[1] > 1 || (at[2] != 0 && at[2] != MW_LAST_LEN))
		return false;
	size_t app_len = at[3];
	if (app_len > 0 ? at[0] != LAYOUT_WITH_APP || app_len > MW_APP_NAME_MAX : at[0] != LAYOUT)
		return false;
	size_t endpoint_len = (size_t)mw_row_get(at + 4, 2), label_len = (size_t)mw_row_get(at + 6, 2);
	size_t rest = len - HEAD;
	if (endpoint_len >= MW_ENDPOINT_URL_MAX || label_len > MW_LABEL_MAX ||
	    endpoint_len + label_len + app_len > rest)
		return false;
	size_t texts = endpoint_len + label_len + app_len, sealed_len = rest - texts;
	if (sealed_len < MW_SEAL_NONCE + MW_SEAL_TAG || sealed_len > MW_SEALED_MAX)
		return false;
	*r = (struct mw_account_row){
	    .paused = at[1] == 1,
	    .revision = mw_row_get(at + 8, 8),
	    .updated_at = (int64_t)mw_row_get(at + 16, 8),
	    .endpoint = {at + HEAD, endpoint_len},
	    .label = {at + HEAD + endpoint_len, label_len},
	    .app = {at + HEAD + endpoint_len + label_len, app_len},
	    .sealed = {at + HEAD + texts, sealed_len},
	};
	memcpy(r->last, at + 24, at[2]);
	memcpy(r->kid, at + 28, MW_KID_LEN);
	return true;
}

enum { AAD_MAX = 64 + MW_ACCOUNT_MAX + MW_ENDPOINT_URL_MAX + MW_APP_NAME_MAX };

/* No endpoint and no app holds a '|' and the rest but the account is of known length, so this can be read one
 * way only. */
static size_t write_aad(const struct mw_account_row *r, struct mw_span account, uint8_t aad[AAD_MAX])
{
	char kid[MW_KID_TEXT];
	mw_kid_text(r->kid, kid);
	uint8_t *at = mw_row_append(aad, r->app.len > 0 ? MW_SPAN("v2|") : MW_SPAN("v1|"));
	at = mw_row_append(at, (struct mw_span){(const uint8_t *)kid, MW_KID_TEXT - 1});
	at = mw_row_append(at, MW_SPAN("|"));
	at = mw_row_append(at, account);
	at = mw_row_append(at, MW_SPAN("|write_key|"));
	at = mw_row_append(at, r->endpoint);
	if (r->app.len > 0) {
		at = mw_row_append(at, MW_SPAN("|"));
		at = mw_row_append(at, r->app);
	}
	return (size_t)(at - aad);
}

void mw_account_row_seal(struct mw_account_row *r, struct mw_span account, const struct mw_key *key,
			 const struct mw_master_key *master, uint8_t room[MW_SEALED_MAX])
{
	assert(account.len <= MW_ACCOUNT_MAX && r->endpoint.len < MW_ENDPOINT_URL_MAX &&
	       r->app.len <= MW_APP_NAME_MAX && key->len <= MW_WRITE_KEY_MAX);
	uint8_t aad[AAD_MAX];
	unsigned long long len;
	memcpy(r->kid, master->kid, MW_KID_LEN);
	memset(r->last, 0, sizeof r->last);
	if (key->len >= MW_LAST_KEY_MIN)
		memcpy(r->last, key->text + key->len - MW_LAST_LEN, MW_LAST_LEN);
	size_t aad_len = write_aad(r, account, aad);
	randombytes_buf(room, MW_SEAL_NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(room + MW_SEAL_NONCE, &len, (const uint8_t *)key->text,
						   key->len, aad, aad_len, NULL, room, master->bytes);
	r->sealed = (struct mw_span){room, MW_SEAL_NONCE + (size_t)len};
}

bool mw_account_row_open(const struct mw_account_row *r, struct mw_span account,
			 const struct mw_master_key *master, struct mw_key *key)
{
	uint8_t aad[AAD_MAX];
	unsigned long long len;
	key->len = 0;
	if (account.len > MW_ACCOUNT_MAX || memcmp(r->kid, master->kid, MW_KID_LEN) != 0)
		return false;
	size_t aad_len = write_aad(r, account, aad);
	const uint8_t *nonce = r->sealed.at, *sealed = nonce + MW_SEAL_NONCE;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)key->text, &len, NULL, sealed,
						       r->sealed.len - MW_SEAL_NONCE, aad, aad_len, nonce,
						       master->bytes) != 0)
		return false;
	key->len = (size_t)len;
	return true;
}
