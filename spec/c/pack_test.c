/* Built with csrc/core. What spool_test does not see: packs that no writer makes. */
#include "../../csrc/core/pack.h"

#include "../../csrc/core/checksum.h"
#include "check.h"

#include <stdlib.h>

static const char *const texts[] = {"first", "", "third"};
enum { TEXTS = 3 };

static size_t write_pack(uint8_t *room)
{
	struct mw_pack_writer w;
	mw_pack_begin(&w, room, 7, 1);
	for (int i = 0; i < TEXTS; i++)
		mw_pack_add(&w, (struct mw_span){(const uint8_t *)texts[i], strlen(texts[i])}, i);
	mw_pack_end(&w);
	return w.head.size;
}

/* How many messages of a pack can be read; -1: one of them reaches behind its end. */
static int count_messages(const uint8_t *bytes, size_t len)
{
	struct mw_pack pack;
	struct mw_span message;
	int64_t tag;
	int count = 0;
	uint8_t *exact = malloc(len); /* so that a read past its end is seen */
	if (!exact)
		abort();
	memcpy(exact, bytes, len);
	if (mw_pack_open((struct mw_span){exact, len}, &pack)) {
		for (; count >= 0 && mw_pack_next(&pack, &message, &tag); count++)
			if (message.len > (size_t)(exact + len - message.at))
				count = -2;
	}
	free(exact);
	return count;
}

/* As nobody does it: with sums that are right. */
static void sign(uint8_t *bytes, size_t len)
{
	struct mw_pack_head h;
	memcpy(&h, bytes, sizeof h);
	h.body_sum = mw_checksum(bytes + sizeof h, len - sizeof h);
	memcpy(bytes, &h, sizeof h);
	h.head_sum = mw_checksum(bytes + sizeof h.head_sum, sizeof h - sizeof h.head_sum);
	memcpy(bytes, &h, sizeof h);
}

TEST(a_record_that_says_it_is_longer_than_its_pack_is_the_end_of_it)
{
	uint8_t bytes[256];
	size_t len = write_pack(bytes), second = sizeof(struct mw_pack_head) + mw_pack_record_size(5);
	CHECK(count_messages(bytes, len) == TEXTS);
	const uint32_t lengths[] = {UINT32_MAX, 1000, (uint32_t)(len - second - mw_pack_record_size(0) + 1)};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		memcpy(bytes + second, &lengths[i], sizeof lengths[i]);
		CHECK(count_messages(bytes, len) == 0);
		sign(bytes, len);
		CHECK(count_messages(bytes, len) == 1);
	}
}

TEST(damage_anywhere_is_seen)
{
	uint8_t bytes[256];
	size_t len = write_pack(bytes);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 0x10;
		CHECK(count_messages(bytes, len) == 0);
		bytes[i] ^= 0x10;
		CHECK(i == 0 || count_messages(bytes, i) == 0);
	}
	CHECK(count_messages(bytes, len) == TEXTS);
}

int main(void)
{
	RUN(a_record_that_says_it_is_longer_than_its_pack_is_the_end_of_it);
	RUN(damage_anywhere_is_seen);
	return CHECK_END();
}
