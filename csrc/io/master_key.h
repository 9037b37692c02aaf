/* master_key.h -- the one secret that the vault's secrets are sealed with.
 *
 * 32 random bytes in a file of its own, raw or as 64 hex digits, that only its owner may read. Never in the
 * environment or an argument, never made up, and there is no default: without it nothing is sealed or opened.
 * `kid`, 8 hex digits, tells one master key from another and says nothing about either.
 *
 * It lives in locked, guarded memory that is left out of core files (libsodium), read-only once it is there,
 * zeros in a child process. Immutable after load, so any thread may use it.
 */
#ifndef MW_MASTER_KEY_H
#define MW_MASTER_KEY_H

#include "../core/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { MW_MASTER_KEY_LEN = 32, MW_KID_LEN = 4, MW_KID_TEXT = 2 * MW_KID_LEN + 1 };

struct mw_master_key {
	uint8_t *bytes; /* NULL: there is none */
	uint8_t kid[MW_KID_LEN];
};

/* From the file `path`; if that is NULL, from the credential "moonweir-master-key" that the service manager
 * laid into $CREDENTIALS_DIRECTORY, and if there is none either, `k` is without a key, which is MW_OK.
 * MW_BAD_MASTER_KEY: not 32 bytes or 64 hex digits; MW_IO as mw_private_read; MW_NO_MEMORY. */
enum mw_err mw_master_key_load(struct mw_master_key *k, const char *path, struct mw_error *e);
void mw_master_key_wipe(struct mw_master_key *k);

/* The same for a key of another purpose: its credential's name, and what it is called in errors. */
struct mw_key_kind {
	const char *credential;
	const char *noun;
};
enum mw_err mw_key_load(struct mw_master_key *k, const struct mw_key_kind *kind, const char *path,
			struct mw_error *e);

/* Makes a new one in a file that must not exist yet: mode 0400, 64 hex digits and a newline, synced. Whoever
 * loses the file loses every key sealed with it: keep a copy apart from the store's. */
enum mw_err mw_master_key_create(const char *path, struct mw_error *e);

/* For what was made of a master key, in memory of sodium_malloc: a child process gets zeros in its place,
 * where the kernel can do that. */
void mw_master_key_keep_from_children(void *at, size_t len);

void mw_kid_text(const uint8_t kid[MW_KID_LEN], char text[MW_KID_TEXT]);

#endif
