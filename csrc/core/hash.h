/* hash.h -- a keyed hash of names: SipHash-2-4.
 *
 * Names come from outside. With a hash that anybody can compute, whoever picks account names could pick
 * a hundred thousand that collide; with a secret key nobody can.
 */
#ifndef MW_HASH_H
#define MW_HASH_H

#include "buf.h"

struct mw_hash_key {
	uint64_t a, b;
};

uint64_t mw_hash(struct mw_hash_key key, struct mw_span bytes);

#endif
