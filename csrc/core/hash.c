#include "hash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(struct state *s, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

/* Little-endian on every machine. */
static uint64_t load(const uint8_t *at, size_t len)
{
	uint64_t word = 0;
	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)at[i] << (8 * i);
	return word;
}

uint64_t mw_hash(struct mw_hash_key key, struct mw_span bytes)
{
	struct state s = {
	    key.a ^ 0x736f6d6570736575u,
	    key.b ^ 0x646f72616e646f6du,
	    key.a ^ 0x6c7967656e657261u,
	    key.b ^ 0x7465646279746573u,
	};
	size_t i = 0;
	for (; bytes.len - i >= 8; i += 8) {
		uint64_t word = load(bytes.at + i, 8);
		s.v3 ^= word;
		mix(&s, 2);
		s.v0 ^= word;
	}
	uint64_t last = (uint64_t)bytes.len << 56;
	if (bytes.len > i)
		last |= load(bytes.at + i, bytes.len - i);
	s.v3 ^= last;
	mix(&s, 2);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	mix(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
