#include "redis_slot.h"

#include <strings.h>

/* CRC-16/XMODEM, bit by bit: keys are short, and commands come in batches. */
static unsigned crc16(struct mw_span s)
{
	unsigned crc = 0;
	for (size_t i = 0; i < s.len; i++) {
		crc ^= (unsigned)s.at[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? (crc << 1 ^ 0x1021) & 0xffff : crc << 1;
	}
	return crc;
}

int mw_redis_slot(struct mw_span key)
{
	const uint8_t *open = key.len > 0 ? memchr(key.at, '{', key.len) : NULL;
	if (open) {
		size_t left = key.len - (size_t)(open - key.at) - 1;
		const uint8_t *close = memchr(open + 1, '}', left);
		if (close && close > open + 1)
			key = (struct mw_span){open + 1, (size_t)(close - open) - 1};
	}
	return (int)(crc16(key) % MW_REDIS_SLOTS);
}

static bool is(struct mw_span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp((const char *)s.at, word, s.len) == 0;
}

enum { BEHIND_STREAMS = 0, NOWHERE = 1000000 };

static size_t key_of(struct mw_span name)
{
	static const char *const second[] = {"XGROUP", "XINFO", "OBJECT", "MEMORY"};
	static const char *const none[] = {"PING",   "AUTH",    "SELECT", "CLIENT", "SCRIPT",   "INFO",
					   "CONFIG", "CLUSTER", "ASKING", "TIME",   "FUNCTION", "WAIT"};
	static const char *const third[] = {"EVAL", "EVALSHA", "FCALL", "FCALL_RO"};
	for (size_t i = 0; i < sizeof second / sizeof *second; i++)
		if (is(name, second[i]))
			return 2;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (is(name, none[i]))
			return NOWHERE;
	for (size_t i = 0; i < sizeof third / sizeof *third; i++)
		if (is(name, third[i]))
			return 3;
	return is(name, "XREADGROUP") || is(name, "XREAD") ? BEHIND_STREAMS : 1;
}

void mw_redis_keyed_init(struct mw_redis_keyed *k)
{
	*k = (struct mw_redis_keyed){.slot = MW_REDIS_NO_SLOT, .key_at = NOWHERE};
}

static int64_t milliseconds(struct mw_span s)
{
	int64_t ms = 0;
	for (size_t i = 0; i < s.len && i < 9 && s.at[i] >= '0' && s.at[i] <= '9'; i++)
		ms = ms * 10 + s.at[i] - '0';
	return ms;
}

void mw_redis_keyed_arg(struct mw_redis_keyed *k, struct mw_span arg)
{
	if (k->index == 0)
		k->key_at = key_of(arg);
	else if (k->index == k->key_at)
		k->slot = mw_redis_slot(arg);
	if (k->index > 0 && k->key_at == BEHIND_STREAMS) {
		if (k->is_block_next)
			k->block_ms = milliseconds(arg);
		k->is_block_next = is(arg, "BLOCK");
		if (is(arg, "STREAMS"))
			k->key_at = k->index + 1;
	}
	k->index++;
}
