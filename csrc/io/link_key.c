#include "link_key.h"

#include "master_key.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

struct mw_link_key {
	struct mw_master_key key;
	pid_t owner;
};

enum mw_err mw_link_key_open(const char *path, struct mw_link_key **out, struct mw_error *e)
{
	static const struct mw_key_kind kind = {"moonweir-link-key", "link key"};
	struct mw_link_key *k = calloc(1, sizeof *k);
	if (!k)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the link key");
	k->owner = getpid();
	enum mw_err err = mw_key_load(&k->key, &kind, path, e);
	if (err == MW_OK && !k->key.bytes)
		err = mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				   "no link key. Give its file, or the credential %s of the service manager",
				   kind.credential);
	if (err != MW_OK) {
		free(k);
		return err;
	}
	*out = k;
	return MW_OK;
}

void mw_link_key_close(struct mw_link_key *k)
{
	/* In a child libsodium's canary is zeros too, and wiping would end the process. */
	if (k && k->owner == getpid())
		mw_master_key_wipe(&k->key);
	free(k);
}

enum mw_err mw_link_key_sign(const struct mw_link_key *k, struct mw_span text, char mac[MW_MAC_TEXT_LEN + 1])
{
	uint8_t bytes[crypto_auth_hmacsha256_BYTES];
	mac[0] = '\0';
	if (k->owner != getpid())
		return MW_FORKED;
	crypto_auth_hmacsha256(bytes, text.at, text.len, k->key.bytes);
	sodium_bin2base64(mac, MW_MAC_TEXT_LEN + 1, bytes, sizeof bytes,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof bytes);
	return MW_OK;
}

bool mw_link_key_is_genuine(const struct mw_link_key *k, struct mw_span text, struct mw_span mac)
{
	char own[MW_MAC_TEXT_LEN + 1];
	if (mac.len != MW_MAC_TEXT_LEN || mw_link_key_sign(k, text, own) != MW_OK)
		return false;
	bool same = sodium_memcmp(own, mac.at, MW_MAC_TEXT_LEN) == 0;
	sodium_memzero(own, sizeof own);
	return same;
}
