/* identities_fact.h -- facts on their way to other hosts (moonweir.redis.identities): sealed, and named so
 * that who has no master key can tell which two are about the same, and no more.
 *
 *     name      16 bytes: the user's node, as in identity_row.h
 *               16 bytes: keyed hash of kind, fallback, account and id; zeros: the user is to be forgotten
 *     sealed    24 bytes of nonce, the texts by XChaCha20-Poly1305, with the name as associated data
 *
 * When it was so lies beside it in clear: that is compared where no key is.
 */
#ifndef MW_IDENTITIES_FACT_H
#define MW_IDENTITIES_FACT_H

#include "identities.h"

enum {
	MW_FACT_NAME_LEN = 2 * MW_NODE_LEN,
	MW_FACT_TEXT_MAX = 4 + MW_ACCOUNT_MAX + 2 * MW_IDENTITY_MAX,
	MW_FACT_SEALED_MAX = 24 + MW_FACT_TEXT_MAX + 16,
};

/* Returns the length of `sealed`; 0: an id or a user of no or too many bytes, or an id that is its user's own
 * name. */
size_t mw_identities_seal(const struct mw_identities *d, const struct mw_identity_fact *f,
			  uint8_t name[MW_FACT_NAME_LEN], uint8_t sealed[MW_FACT_SEALED_MAX]);

/* All but `at`; texts lie in `room`. False: sealed with another master key, damaged, or another fact's. */
bool mw_identities_unseal(const struct mw_identities *d, const uint8_t name[MW_FACT_NAME_LEN],
			  struct mw_span sealed, uint8_t room[MW_FACT_TEXT_MAX], struct mw_identity_fact *f);

#endif
