#include "../../csrc/core/json_path.h"
#include "check.h"

static struct mw_json_path path;

static void name(const char *step)
{
	mw_json_path_prepend(&path, step, strlen(step));
}

static bool is(const char *text)
{
	return path.len == strlen(text) && strcmp(path.text, text) == 0;
}

TEST(steps_are_put_in_front_of_each_other)
{
	mw_json_path_clear(&path);
	CHECK(is(""));
	name("x");
	CHECK(is("x"));
	mw_json_path_prepend_index(&path, 3);
	mw_json_path_prepend_index(&path, 12);
	name("items");
	CHECK(is("items[12][3].x"));
	name("properties");
	CHECK(is("properties.items[12][3].x"));
}

TEST(of_a_path_that_is_too_long_the_beginning_counts)
{
	char whole[400] = "", long_name[200];
	mw_json_path_clear(&path);
	for (int i = 0; i < 60; i++) {
		char step[16], before[sizeof whole + sizeof step];
		snprintf(step, sizeof step, "m%d", i);
		name(step);
		snprintf(before, sizeof before, "%s%s%s", step, *whole ? "." : "", whole);
		memcpy(whole, before, sizeof whole);
		CHECK(path.len < sizeof path.text && strncmp(path.text, whole, path.len) == 0);
		CHECK(strlen(whole) >= sizeof path.text || is(whole));
	}
	memset(long_name, 'n', sizeof long_name);
	mw_json_path_prepend(&path, long_name, sizeof long_name);
	CHECK(path.len == sizeof path.text - 1 && memcmp(path.text, long_name, path.len) == 0);
}

int main(void)
{
	RUN(steps_are_put_in_front_of_each_other);
	RUN(of_a_path_that_is_too_long_the_beginning_counts);
	return CHECK_END();
}
