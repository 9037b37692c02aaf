#include "identities_fact.h"

#include "identities_own.h"

#include <sodium.h>

enum {
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};

_Static_assert(MW_FACT_SEALED_MAX == (int)NONCE + MW_FACT_TEXT_MAX + (int)TAG, "room for all");

/* What is in `text` in front of account, id and user. */
enum { KIND_AT, ACCOUNT_LEN_AT, ID_LEN_AT, TEXTS_AT = 4, FORGET = 0x40, FALLBACK = 0x80 };

static void derive(const struct mw_identities *d, uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES])
{
	static const char purpose[] = "moonweir identities: facts";
	crypto_generichash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, (const uint8_t *)purpose,
			   sizeof purpose - 1, d->secret->seal, sizeof d->secret->seal);
}

static void name_of(const struct mw_identities *d, const struct mw_identity_fact *f, struct mw_span id,
		    uint8_t name[MW_FACT_NAME_LEN])
{
	enum mw_identity_kind kind = f->is_fallback && !f->forget ? MW_IDENTITY_ANONYMOUS : MW_IDENTITY_USER;
	struct mw_node user = mw_identity_key(d->secret, f->account, kind, false, f->user), what = {{0}};
	if (!f->forget)
		what = mw_identity_key(d->secret, f->account, f->kind, f->is_fallback, id);
	memcpy(name, user.bytes, MW_NODE_LEN);
	memcpy(name + MW_NODE_LEN, what.bytes, MW_NODE_LEN);
}

size_t mw_identities_seal(const struct mw_identities *d, const struct mw_identity_fact *f,
			  uint8_t name[MW_FACT_NAME_LEN], uint8_t sealed[MW_FACT_SEALED_MAX])
{
	uint8_t plain[MW_IDENTITY_MAX], text[MW_FACT_TEXT_MAX],
	    key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	struct mw_span id = f->forget ? MW_SPAN("") : mw_identity_plain(f->kind, f->id, plain);
	if ((!f->forget && id.len == 0) || f->user.len == 0 || f->user.len > MW_IDENTITY_MAX ||
	    (!f->forget && f->kind == MW_IDENTITY_USER && mw_span_equal(id, f->user)))
		return 0;
	name_of(d, f, id, name);
	text[KIND_AT] =
	    (uint8_t)((unsigned)f->kind | (f->forget ? FORGET : 0u) | (f->is_fallback ? FALLBACK : 0u));
	text[ACCOUNT_LEN_AT] = (uint8_t)f->account.len;
	mw_le_put(text + ID_LEN_AT, id.len, 2);
	size_t len = TEXTS_AT;
	const struct mw_span parts[] = {f->account, id, f->user};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (parts[i].len > 0)
			memcpy(text + len, parts[i].at, parts[i].len);
		len += parts[i].len;
	}
	derive(d, key);
	randombytes_buf(sealed, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE, NULL, text, len, name, MW_FACT_NAME_LEN,
						   NULL, sealed, key);
	sodium_memzero(key, sizeof key);
	return NONCE + len + TAG;
}

bool mw_identities_unseal(const struct mw_identities *d, const uint8_t name[MW_FACT_NAME_LEN],
			  struct mw_span sealed, uint8_t room[MW_FACT_TEXT_MAX], struct mw_identity_fact *f)
{
	uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	if (sealed.len < NONCE + TEXTS_AT + TAG || sealed.len > MW_FACT_SEALED_MAX)
		return false;
	derive(d, key);
	unsigned long long len;
	int answer = crypto_aead_xchacha20poly1305_ietf_decrypt(
	    room, &len, NULL, sealed.at + NONCE, sealed.len - NONCE, name, MW_FACT_NAME_LEN, sealed.at, key);
	sodium_memzero(key, sizeof key);
	if (answer != 0)
		return false;
	size_t account_len = room[ACCOUNT_LEN_AT], id_len = mw_le_get(room + ID_LEN_AT, 2);
	size_t before_user = TEXTS_AT + account_len + id_len;
	unsigned kind = room[KIND_AT] & 0x3fu;
	if (kind >= MW_IDENTITY_KINDS || account_len == 0 || before_user >= len)
		return false;
	*f = (struct mw_identity_fact){
	    .account = {room + TEXTS_AT, account_len},
	    .forget = room[KIND_AT] & FORGET,
	    .is_fallback = room[KIND_AT] & FALLBACK,
	    .kind = (enum mw_identity_kind)kind,
	    .id = {room + TEXTS_AT + account_len, id_len},
	    .user = {room + before_user, (size_t)len - before_user},
	};
	return true;
}
