/* redis_slot.c: slots as the cluster specification has them, and where a command's key stands. */
#include "../../csrc/io/redis_slot.h"

#include "check.h"

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static int slot(const char *key)
{
	return mw_redis_slot(span(key));
}

TEST(slots_are_those_of_the_specification)
{
	CHECK(slot("123456789") == 0x31c3); /* the CRC's check value, below 16,384 as it is */
	CHECK(slot("") == 0);
	CHECK(slot("foo") == 12182 && slot("bar") == 5061 && slot("somekey") == 11058);
}

TEST(a_hash_tag_decides_alone)
{
	CHECK(slot("{foo}:dead") == slot("foo") && slot("x{foo}y{bar}") == slot("foo"));
	CHECK(slot("{}foo") != slot("foo") && slot("{}foo") != slot(""));
	CHECK(slot("foo{") != slot("foo") && slot("}foo{") != slot("foo"));
	CHECK(slot("{{foo}}") == slot("{foo"));
}

/* Arguments separated by blanks. */
static struct mw_redis_keyed keyed(const char *command)
{
	struct mw_redis_keyed k;
	mw_redis_keyed_init(&k);
	while (*command) {
		size_t len = strcspn(command, " ");
		mw_redis_keyed_arg(&k, (struct mw_span){(const uint8_t *)command, len});
		command += len + (command[len] == ' ');
	}
	return k;
}

TEST(the_key_is_found_where_each_command_has_it)
{
	CHECK(keyed("GET foo").slot == slot("foo") && keyed("set foo bar").slot == slot("foo"));
	CHECK(keyed("XGROUP CREATE foo g 0").slot == slot("foo"));
	CHECK(keyed("EVALSHA abc 1 foo bar").slot == slot("foo") &&
	      keyed("fcall f 1 foo").slot == slot("foo"));
	CHECK(keyed("XREADGROUP GROUP g c COUNT 5 STREAMS foo >").slot == slot("foo"));
	CHECK(keyed("PING").slot == MW_REDIS_NO_SLOT && keyed("AUTH foo bar").slot == MW_REDIS_NO_SLOT);
}

TEST(a_read_says_how_long_it_may_block)
{
	CHECK(keyed("XREADGROUP GROUP g c BLOCK 250 STREAMS foo >").block_ms == 250);
	CHECK(keyed("xread block 12 streams foo $").block_ms == 12);
	CHECK(keyed("XREADGROUP GROUP g c STREAMS foo >").block_ms == 0);
	CHECK(keyed("SET BLOCK 99").block_ms == 0);
}

int main(void)
{
	RUN(slots_are_those_of_the_specification);
	RUN(a_hash_tag_decides_alone);
	RUN(the_key_is_found_where_each_command_has_it);
	RUN(a_read_says_how_long_it_may_block);
	return CHECK_END();
}
