/* checksum.h -- has a disk changed these bytes?
 *
 * 64 bits over any run of bytes, the same on every machine of one byte order. Each step is a bijection of the
 * state for a given word and of the word for a given state, so no change of a single word goes unseen; others
 * do with a chance of 2^-64 or so. Against accidents, not against people.
 */
#ifndef MW_CHECKSUM_H
#define MW_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_CHECKSUM_ODD UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t mw_checksum_step(uint64_t state, uint64_t word)
{
	state = (state ^ word) * MW_CHECKSUM_ODD;
	return state ^ (state >> 29);
}

static inline uint64_t mw_checksum(const uint8_t *at, size_t len)
{
	/* Four at a time, for the processor to work on side by side. */
	uint64_t lane[4] = {len, len + 1, len + 2, len + 3}, word[4];
	for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
		memcpy(word, at, sizeof word);
		for (int i = 0; i < 4; i++)
			lane[i] = mw_checksum_step(lane[i], word[i]);
	}
	uint64_t sum = lane[0];
	for (int i = 1; i < 4; i++)
		sum = mw_checksum_step(sum, lane[i]);
	for (; len > 0; at += word[1], len -= word[1]) {
		word[0] = 0;
		word[1] = len < 8 ? len : 8;
		memcpy(word, at, word[1]);
		sum = mw_checksum_step(sum, word[0]);
	}
	return sum;
}

#endif
