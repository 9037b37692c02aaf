/* redis_slot.h -- where in a Redis cluster a command belongs.
 *
 * A cluster has 16,384 slots; a key lies in that of its CRC16, reckoned over what stands between its first {
 * and the next }, if anything does:
 *
 *     mw_redis_slot("{events}:dead") == mw_redis_slot("events") == 3283… whatever it is, the same
 *
 * so that one script may touch several keys.
 */
#ifndef MW_REDIS_SLOT_H
#define MW_REDIS_SLOT_H

#include "../core/buf.h"

enum { MW_REDIS_SLOTS = 16384, MW_REDIS_NO_SLOT = -1 };

int mw_redis_slot(struct mw_span key);

/* Finds the key of a command while its arguments come by, its name first. */
struct mw_redis_keyed {
	int slot; /* MW_REDIS_NO_SLOT: it has no key, or it has not come yet */
	size_t index;
	size_t key_at;    /* which argument it is; 0: the one behind STREAMS */
	int64_t block_ms; /* how long it asks to wait: the argument behind BLOCK */
	bool is_block_next;
};

void mw_redis_keyed_init(struct mw_redis_keyed *k);
void mw_redis_keyed_arg(struct mw_redis_keyed *k, struct mw_span arg);

#endif
