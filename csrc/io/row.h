/* row.h -- what the vault's rows are written with: numbers, little-endian, and a check. */
#ifndef MW_ROW_H
#define MW_ROW_H

#include "../core/buf.h"

#include <sodium.h>

enum { MW_ROW_CHECK = crypto_shorthash_BYTES };

static inline void mw_row_put(uint8_t *at, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t mw_row_get(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

static inline uint8_t *mw_row_append(uint8_t *at, struct mw_span s)
{
	if (s.len > 0)
		memcpy(at, s.at, s.len);
	return at + s.len;
}

/* SipHash of the row, which keys the SipHash of its name: two hashes, no copy. It finds damage, not malice.
 */
static inline void mw_row_check(const uint8_t *row, size_t len, struct mw_span name,
				uint8_t check[MW_ROW_CHECK])
{
	uint8_t key[crypto_shorthash_KEYBYTES] = {0};
	crypto_shorthash(key, row, len, key);
	crypto_shorthash(check, name.at, name.len, key);
}

#endif
