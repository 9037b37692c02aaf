#include "../../csrc/core/verdict.h"

#include "../../csrc/core/limits.h"
#include "check.h"

static bool is_one_of(int status, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == status)
			return true;
	return false;
}

#define IS_ONE_OF(status, ...)                                                                               \
	is_one_of(status, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

TEST(every_status_has_the_verdict_of_the_table)
{
	for (int status = -10; status < 1200; status++) {
		enum mw_verdict v = mw_verdict_of(status);
		bool retried = (status >= 500 && status <= 599 && status != 501 && status != 505) ||
			       IS_ONE_OF(status, MW_STATUS_NETWORK, MW_STATUS_UNSENT, 408, 410, 429, 460);
		CHECK((v == MW_DELIVERED) == (status >= 200 && status <= 299));
		CHECK((v == MW_RETRY) == retried);
		CHECK((v == MW_SPLIT) == (status == 400));
		CHECK((v == MW_SHRINK) == (status == 413));
		CHECK((v == MW_PARK) == IS_ONE_OF(status, 401, 403, MW_STATUS_NO_KEY, MW_STATUS_NO_TOKEN));
	}
	CHECK(mw_verdict_of(302) == MW_DEAD && mw_verdict_of(404) == MW_DEAD &&
	      mw_verdict_of(501) == MW_DEAD);
}

TEST(retry_after_in_seconds_is_clamped)
{
	CHECK(mw_verdict_retry_after("7", 0) == 7000);
	CHECK(mw_verdict_retry_after(" 7\t", 0) == 7000);
	CHECK(mw_verdict_retry_after("0", 0) == MW_RETRY_AFTER_MIN_MS);
	CHECK(mw_verdict_retry_after("300", 0) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_verdict_retry_after("301", 0) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_verdict_retry_after("1000000000", 0) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_verdict_retry_after("99999999999999999999999999999999", 0) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_verdict_retry_after("0000000000000000000000000000000002", 0) == 2000);
}

TEST(retry_after_as_a_date_is_read_against_the_wall_clock)
{
	const char *date = "Sun, 06 Nov 1994 08:49:37 GMT";
	const int64_t at = 784111777000;
	CHECK(mw_verdict_retry_after(date, at - 20000) == 20000);
	CHECK(mw_verdict_retry_after(date, at + 20000) == MW_RETRY_AFTER_MIN_MS);
	CHECK(mw_verdict_retry_after(date, 0) == MW_RETRY_AFTER_MAX_MS);
}

TEST(garbage_is_no_retry_after)
{
	const char *garbage[] = {"",
				 " ",
				 "-5",
				 "+5",
				 "5s",
				 "1.5",
				 "1e3",
				 "0x5",
				 "5 6",
				 "soon",
				 "2026-11-23",
				 "Sun",
				 "\xff",
				 "NaN",
				 "-",
				 "Infinity",
				 ";",
				 "5,6",
				 "Sun, 06",
				 "GMT",
				 "\"5\"",
				 "٥",
				 "Sun, 99 Nov 1994 08:49:37 GMT"};
	CHECK(mw_verdict_retry_after(NULL, 0) == -1);
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++)
		CHECK(mw_verdict_retry_after(garbage[i], 0) == -1);
}

int main(void)
{
	RUN(every_status_has_the_verdict_of_the_table);
	RUN(retry_after_in_seconds_is_clamped);
	RUN(retry_after_as_a_date_is_read_against_the_wall_clock);
	RUN(garbage_is_no_retry_after);
	return CHECK_END();
}
