#include "../../csrc/core/lanes.h"

#include "check.h"

/* The reference vectors of SipHash-2-4: key 00 01 .. 0f, input 00 01 .. n-1. */
TEST(the_hash_is_siphash)
{
	const struct mw_hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	uint8_t bytes[15];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	CHECK(mw_hash(key, (struct mw_span){bytes, 0}) == 0x726fdb47dd0e0e31u);
	CHECK(mw_hash(key, (struct mw_span){bytes, 1}) == 0x74f839c593dc67fdu);
	CHECK(mw_hash(key, (struct mw_span){bytes, 8}) == 0x93f5f5799a932462u);
	CHECK(mw_hash(key, (struct mw_span){bytes, 15}) == 0xa129ca6149be45e5u);
}

static struct mw_span name_of(char name[32], unsigned i)
{
	return (struct mw_span){(const uint8_t *)name, (size_t)snprintf(name, 32, "%u", i)};
}

TEST(a_lane_is_found_by_its_whole_name_and_never_moves)
{
	enum { COUNT = 20000 };
	static struct mw_lane *lanes[COUNT];
	struct mw_lanes l;
	char name[32];
	mw_lanes_init(&l, (struct mw_hash_key){1, 2});
	CHECK(!mw_lanes_find(&l, MW_SPAN("0")));
	for (unsigned i = 0; i < COUNT; i++) {
		struct mw_span span = name_of(name, i);
		CHECK(!mw_lanes_find(&l, span));
		lanes[i] = mw_lanes_add(&l, span);
		CHECK(lanes[i] && mw_span_is(mw_lane_account(lanes[i]), name));
	}
	for (unsigned i = 0; i < COUNT; i++)
		CHECK(mw_lanes_find(&l, name_of(name, i)) == lanes[i] && l.all[i] == lanes[i] &&
		      lanes[i]->number == i);
	CHECK(!mw_lanes_find(&l, MW_SPAN("20000")) && !mw_lanes_find(&l, MW_SPAN("")));
	mw_lanes_deinit(&l);
}

TEST(names_are_bytes)
{
	struct mw_lanes l;
	mw_lanes_init(&l, (struct mw_hash_key){1, 2});
	struct mw_lane *empty = mw_lanes_add(&l, (struct mw_span){NULL, 0});
	struct mw_lane *one = mw_lanes_add(&l, MW_SPAN("a\0b"));
	struct mw_lane *other = mw_lanes_add(&l, MW_SPAN("a\0c"));
	CHECK(empty && one && other && one != other);
	CHECK(mw_lanes_find(&l, MW_SPAN("")) == empty && mw_lanes_find(&l, MW_SPAN("a\0c")) == other);
	mw_lanes_deinit(&l);
}

int main(void)
{
	RUN(the_hash_is_siphash);
	RUN(a_lane_is_found_by_its_whole_name_and_never_moves);
	RUN(names_are_bytes);
	return CHECK_END();
}
