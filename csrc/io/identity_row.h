/* identity_row.h -- what one address, number or id says of its user, as it lies in the store.
 *
 * Found by a key of 16 bytes: SipHash-2-4 with 128 bits of
 *
 *     kind, length of the account, the account, the id
 *
 * under a key of the store's own (with the last bit changed for the row of an anonymousId, which is asked for
 * where there is no other: beside it, on the same page), so neither the keys of the database nor their order
 * tell a name, long names are as short as any, and no two ids can be written to look alike. A user, or an
 * anonymousId, as the one pointed at is its *node*: the key it has as an id of that kind itself.
 *
 *     offset  bytes
 *          0  1    layout, 1
 *          1  1    kind
 *          2  1    1 if the node is that of an anonymousId
 *          3  1    0
 *          4  4    number of the account
 *          8  8    when it was so, ms since 1970
 *         16  16   node
 *         32  12   nonce, random: two in 2^32 rows are the same with a chance of one in 2^33
 *         44  2+   length of the user's text, that text, the id's: encrypted (ChaCha20)
 *         -8       check, over key and row
 *
 * One that a forgotten user left behind ends at offset 32, with its check: it keeps older messages out and
 * says nothing of anybody. Numbers are little-endian. The check finds damage, not malice: whoever may write
 * to the store may make anybody anybody.
 */
#ifndef MW_IDENTITY_ROW_H
#define MW_IDENTITY_ROW_H

#include "../core/identity.h"
#include "master_key.h"

enum {
	MW_NODE_LEN = 16,
	MW_IDENTITY_HEAD = 32,
	MW_IDENTITY_NONCE = 12,
	MW_IDENTITY_ROW_MAX = MW_IDENTITY_HEAD + MW_IDENTITY_NONCE + 2 + 2 * MW_IDENTITY_MAX + 8,
};

struct mw_node {
	uint8_t bytes[MW_NODE_LEN];
};

/* Both made of the master key; in locked memory. */
struct mw_identity_secret {
	uint8_t hash[16];
	uint8_t seal[32];
};

struct mw_identity_row {
	enum mw_identity_kind kind;
	bool is_fallback; /* the node is an anonymousId's */
	bool is_void;     /* its user was forgotten */
	uint32_t account;
	int64_t at;
	struct mw_node node;
	struct mw_span sealed; /* borrowed: nonce and what is encrypted */
};

void mw_identity_secret_derive(struct mw_identity_secret *s, const struct mw_master_key *master);

/* The key of an id; a fallback has one of its own. `id` is plain (identity.h). */
struct mw_node mw_identity_key(const struct mw_identity_secret *s, struct mw_span account,
			       enum mw_identity_kind kind, bool is_fallback, struct mw_span id);

/* Returns the length. Without `user` it is void. */
size_t mw_identity_row_pack(const struct mw_identity_secret *s, const struct mw_node *key,
			    const struct mw_identity_row *r, struct mw_span user, struct mw_span id,
			    uint8_t out[MW_IDENTITY_ROW_MAX]);

/* False: damaged, or of a layout that is not known. `r` borrows from `bytes`. */
bool mw_identity_row_unpack(struct mw_span bytes, const struct mw_node *key, struct mw_identity_row *r);

/* Decrypts the user's text into `user`, and the id's behind it if `id` is wanted (else NULL). Not for a void
 * row. False: damaged. */
bool mw_identity_row_read(const struct mw_identity_secret *s, const struct mw_identity_row *r,
			  uint8_t room[2 + 2 * MW_IDENTITY_MAX], struct mw_span *user, struct mw_span *id);

#endif
