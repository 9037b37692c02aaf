#include "identity_row.h"

#include "../core/checksum.h"

#include <sodium.h>

enum { LAYOUT = 1, CHECK_LEN = 8, LEN_LEN = 2, BLOCK = 64 };

_Static_assert(sizeof((struct mw_identity_secret *)0)->hash == crypto_shorthash_siphashx24_KEYBYTES,
	       "hash key");
_Static_assert(MW_NODE_LEN == crypto_shorthash_siphashx24_BYTES, "a node is a hash");
_Static_assert(MW_IDENTITY_NONCE == crypto_stream_chacha20_ietf_NONCEBYTES, "nonce");

void mw_identity_secret_derive(struct mw_identity_secret *s, const struct mw_master_key *master)
{
	static const char hash[] = "moonweir identities: keys", seal[] = "moonweir identities: rows";
	crypto_generichash(s->hash, sizeof s->hash, (const uint8_t *)hash, sizeof hash - 1, master->bytes,
			   MW_MASTER_KEY_LEN);
	crypto_generichash(s->seal, sizeof s->seal, (const uint8_t *)seal, sizeof seal - 1, master->bytes,
			   MW_MASTER_KEY_LEN);
}

struct mw_node mw_identity_key(const struct mw_identity_secret *s, struct mw_span account,
			       enum mw_identity_kind kind, bool is_fallback, struct mw_span id)
{
	struct mw_node key;
	uint8_t text[2 + MW_ACCOUNT_MAX + MW_IDENTITY_MAX];
	text[0] = (uint8_t)kind;
	text[1] = (uint8_t)account.len;
	memcpy(text + 2, account.at, account.len);
	memcpy(text + 2 + account.len, id.at, id.len);
	crypto_shorthash_siphashx24(key.bytes, text, 2 + account.len + id.len, s->hash);
	key.bytes[MW_NODE_LEN - 1] ^= is_fallback;
	return key;
}

static void put(uint8_t *at, uint64_t value, int len)
{
	for (int i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *at, int len)
{
	uint64_t value = 0;
	for (int i = 0; i < len; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

static uint64_t check_of(const struct mw_node *key, const uint8_t *row, size_t len)
{
	return mw_checksum_step(mw_checksum(key->bytes, sizeof key->bytes), mw_checksum(row, len));
}

size_t mw_identity_row_pack(const struct mw_identity_secret *s, const struct mw_node *key,
			    const struct mw_identity_row *r, struct mw_span user, struct mw_span id,
			    uint8_t out[MW_IDENTITY_ROW_MAX])
{
	size_t len = MW_IDENTITY_HEAD;
	memset(out, 0, MW_IDENTITY_HEAD);
	out[0] = LAYOUT;
	out[1] = (uint8_t)r->kind;
	out[2] = r->is_fallback;
	put(out + 4, r->account, 4);
	put(out + 8, (uint64_t)r->at, 8);
	memcpy(out + 16, r->node.bytes, MW_NODE_LEN);
	if (user.at) {
		uint8_t *nonce = out + len, *text = nonce + MW_IDENTITY_NONCE;
		size_t text_len = LEN_LEN + user.len + id.len;
		randombytes_buf(nonce, MW_IDENTITY_NONCE);
		put(text, user.len, LEN_LEN);
		memcpy(text + LEN_LEN, user.at, user.len);
		memcpy(text + LEN_LEN + user.len, id.at, id.len);
		crypto_stream_chacha20_ietf_xor(text, text, text_len, nonce, s->seal);
		len += MW_IDENTITY_NONCE + text_len;
	}
	put(out + len, check_of(key, out, len), CHECK_LEN);
	return len + CHECK_LEN;
}

bool mw_identity_row_unpack(struct mw_span bytes, const struct mw_node *key, struct mw_identity_row *r)
{
	const uint8_t *at = bytes.at;
	if (bytes.len < MW_IDENTITY_HEAD + CHECK_LEN || bytes.len > MW_IDENTITY_ROW_MAX || at[0] != LAYOUT ||
	    at[1] >= MW_IDENTITY_KINDS)
		return false;
	size_t len = bytes.len - CHECK_LEN;
	if (get(at + len, CHECK_LEN) != check_of(key, at, len))
		return false;
	*r = (struct mw_identity_row){
	    .kind = (enum mw_identity_kind)at[1],
	    .is_fallback = at[2] == 1,
	    .is_void = len == MW_IDENTITY_HEAD,
	    .account = (uint32_t)get(at + 4, 4),
	    .at = (int64_t)get(at + 8, 8),
	    .sealed = {at + MW_IDENTITY_HEAD, len - MW_IDENTITY_HEAD},
	};
	memcpy(r->node.bytes, at + 16, MW_NODE_LEN);
	return r->is_void || r->sealed.len > MW_IDENTITY_NONCE + LEN_LEN;
}

bool mw_identity_row_read(const struct mw_identity_secret *s, const struct mw_identity_row *r,
			  uint8_t room[2 + 2 * MW_IDENTITY_MAX], struct mw_span *user, struct mw_span *id)
{
	const uint8_t *nonce = r->sealed.at, *text = nonce + MW_IDENTITY_NONCE;
	size_t len = r->sealed.len - MW_IDENTITY_NONCE;
	if (len > LEN_LEN + 2 * MW_IDENTITY_MAX)
		return false;
	/* Most users fit into the cipher's first block, and who asks for no id need not read it. */
	size_t part = id || len < BLOCK ? len : BLOCK;
	crypto_stream_chacha20_ietf_xor(room, text, part, nonce, s->seal);
	size_t user_len = get(room, LEN_LEN);
	if (user_len == 0 || user_len > MW_IDENTITY_MAX || LEN_LEN + user_len > len)
		return false;
	if (LEN_LEN + user_len > part)
		crypto_stream_chacha20_ietf_xor(room, text, len, nonce, s->seal);
	*user = (struct mw_span){room + LEN_LEN, user_len};
	if (id)
		*id = (struct mw_span){room + LEN_LEN + user_len, len - LEN_LEN - user_len};
	return true;
}
