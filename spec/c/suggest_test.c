#include "../../csrc/core/suggest.h"
#include "check.h"

static const char *const known[] = {"userId", "event", "properties", "messageId", "id", NULL};

static bool suggests(const char *name, const char *expected)
{
	char out[64], whole[64] = "";
	mw_suggest(out, sizeof out, name, strlen(name), known);
	if (*expected)
		snprintf(whole, sizeof whole, ", did you mean \"%s\"?", expected);
	return strcmp(out, whole) == 0;
}

TEST(the_nearest_known_name_is_suggested)
{
	CHECK(suggests("user_id", "userId") && suggests("USERID", "userId") && suggests("userID", "userId"));
	CHECK(suggests("propertes", "properties") && suggests("propertiess", "properties"));
	CHECK(suggests("evnt", "event") && suggests("messageid", "messageId") && suggests("ids", "id"));
}

TEST(another_word_suggests_nothing)
{
	CHECK(suggests("colour", "") && suggests("props", "") && suggests("timestamp", "") &&
	      suggests("evxyz", ""));
	/* Three letters of eight may differ, but not four; of four letters two. */
	CHECK(suggests("messag", "messageId") && suggests("messa", ""));
}

TEST(of_equally_near_ones_the_first_counts)
{
	static const char *const alike[] = {"cart", "card", NULL};
	char out[64];
	mw_suggest(out, sizeof out, "carx", 4, alike);
	CHECK(strcmp(out, ", did you mean \"cart\"?") == 0);
}

TEST(no_name_is_too_long_and_no_room_too_small)
{
	static const char *const longs[] = {"a_known_name_of_thirty_three_bytes",
					    "a_known_name_of_thirty_two_bytes", NULL};
	char out[64], small[8];
	mw_suggest(out, sizeof out, "a_known_name_of_thirty_two_byte", 31, longs);
	CHECK(strstr(out, "thirty_two"));
	mw_suggest(out, sizeof out, "a_known_name_of_thirty_three_bytes", 34, longs);
	CHECK(out[0] == '\0');
	mw_suggest(small, sizeof small, "evnt", 4, known);
	CHECK(strcmp(small, ", did y") == 0);
}

int main(void)
{
	RUN(the_nearest_known_name_is_suggested);
	RUN(another_word_suggests_nothing);
	RUN(of_equally_near_ones_the_first_counts);
	RUN(no_name_is_too_long_and_no_room_too_small);
	return CHECK_END();
}
