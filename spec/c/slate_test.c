#include "../../csrc/io/slate.h"

#include "check.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mw_buf text;

static bool reads(struct mw_slate *s, unsigned page, const char *expected)
{
	mw_buf_clear(&text);
	return mw_slate_read(s, page, &text) == MW_OK && text.len == strlen(expected) &&
	       (text.len == 0 || memcmp(text.data, expected, text.len) == 0);
}

TEST(a_page_is_empty_until_it_is_written_and_then_the_last_that_was)
{
	struct mw_slate *s = mw_slate_new(3);
	mw_buf_init(&text, MW_SLATE_PAGE_MAX);
	CHECK(s && mw_slate_pages(s) == 3);
	CHECK(reads(s, 0, "") && reads(s, 2, ""));
	CHECK(mw_slate_write(s, 2, MW_SPAN("three, longer")) && reads(s, 2, "three, longer"));
	CHECK(mw_slate_write(s, 2, MW_SPAN("two")) && reads(s, 2, "two") && reads(s, 1, ""));
	CHECK(mw_slate_write(s, 2, MW_SPAN("")) && reads(s, 2, ""));
	mw_slate_free(s);
	mw_buf_deinit(&text);
}

TEST(what_is_too_long_leaves_the_page_as_it_was)
{
	static uint8_t long_text[MW_SLATE_PAGE_MAX + 1];
	struct mw_slate *s = mw_slate_new(1);
	mw_buf_init(&text, MW_SLATE_PAGE_MAX);
	CHECK(mw_slate_write(s, 0, MW_SPAN("kept")));
	CHECK(!mw_slate_write(s, 0, (struct mw_span){long_text, sizeof long_text}) && reads(s, 0, "kept"));
	CHECK(mw_slate_write(s, 0, (struct mw_span){long_text, MW_SLATE_PAGE_MAX}));
	mw_buf_clear(&text);
	CHECK(mw_slate_read(s, 0, &text) == MW_OK && text.len == MW_SLATE_PAGE_MAX);
	mw_slate_free(s);
	mw_buf_deinit(&text);
}

/* Pages of one byte each, all over, again and again; killed in the middle of it. */
static pid_t scribble(struct mw_slate *s)
{
	static uint8_t page[40000];
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned n = 0;; n++) {
		memset(page, 'a' + (int)(n % 26), sizeof page);
		mw_slate_write(s, 0, (struct mw_span){page, 1 + n * 7919 % sizeof page});
	}
}

static bool is_whole(void)
{
	for (size_t i = 1; i < text.len; i++)
		if (text.data[i] != text.data[0])
			return false;
	return true;
}

TEST(a_reader_sees_whole_pages_whoever_writes_and_whenever_it_dies)
{
	struct mw_slate *s = mw_slate_new(1);
	mw_buf_init(&text, MW_SLATE_PAGE_MAX);
	for (int round = 0; round < 20; round++) {
		pid_t pid = scribble(s);
		CHECK(pid > 0);
		for (int seen = 0, tries = 0; seen < 50 && tries < 100000; tries++) {
			mw_buf_clear(&text);
			if (mw_slate_read(s, 0, &text) != MW_OK)
				continue;
			CHECK(is_whole());
			seen++;
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		mw_buf_clear(&text);
		enum mw_err err = mw_slate_read(s, 0, &text);
		CHECK(err == MW_OK ? is_whole() : err == MW_TIMEOUT);
		CHECK(mw_slate_write(s, 0, MW_SPAN("ppp")) && reads(s, 0, "ppp"));
	}
	mw_slate_free(s);
	mw_buf_deinit(&text);
}

int main(void)
{
	RUN(a_page_is_empty_until_it_is_written_and_then_the_last_that_was);
	RUN(what_is_too_long_leaves_the_page_as_it_was);
	RUN(a_reader_sees_whole_pages_whoever_writes_and_whenever_it_dies);
	return CHECK_END();
}
