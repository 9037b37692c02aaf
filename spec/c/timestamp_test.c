#include "../../csrc/core/timestamp.h"
#include "check.h"

#include <math.h>

#define MOMENT INT64_C(1795471080000) /* 2026-11-23T21:58:00Z */

static bool parses(const char *text, int64_t expected)
{
	int64_t ms = 0;
	size_t len = strlen(text);
	uint8_t *exact = malloc(len ? len : 1); /* a byte too many is seen by a sanitizer */
	if (!exact)
		abort();
	memcpy(exact, text, len);
	bool ok = mw_timestamp_parse((struct mw_span){exact, len}, &ms);
	free(exact);
	if (ok && ms == expected)
		return true;
	fprintf(stderr, "%s: %s %" PRId64 "\n", text, ok ? "is" : "is no date", ms);
	return false;
}

static bool is_no_date(const char *text)
{
	int64_t ms = 77;
	bool ok = mw_timestamp_parse((struct mw_span){(const uint8_t *)text, strlen(text)}, &ms);
	if (ok)
		fprintf(stderr, "%s: %" PRId64 "\n", text, ms);
	return !ok && ms == 77;
}

static bool writes(int64_t ms, const char *text)
{
	char out[MW_TIMESTAMP_LEN + 1] = {0};
	mw_timestamp_write(out, ms);
	if (strcmp(out, text) == 0)
		return true;
	fprintf(stderr, "%" PRId64 ": %s\n", ms, out);
	return false;
}

TEST(times_are_written_with_milliseconds_in_utc)
{
	CHECK(writes(0, "1970-01-01T00:00:00.000Z"));
	CHECK(writes(MOMENT + 123, "2026-11-23T21:58:00.123Z"));
	CHECK(writes(-1, "1969-12-31T23:59:59.999Z"));
	CHECK(writes(INT64_C(951782400000), "2000-02-29T00:00:00.000Z"));
	CHECK(writes(INT64_MIN, "0000-01-01T00:00:00.000Z"));
	CHECK(writes(INT64_MAX, "9999-12-31T23:59:59.999Z"));
}

TEST(iso_8601_is_read_as_found_in_the_wild)
{
	int64_t midnight = MOMENT - (21 * 60 + 58) * 60000;
	CHECK(parses("2026-11-23", midnight) && parses("20261123", midnight));
	CHECK(parses("2026-11-23T21:58Z", MOMENT) && parses("2026-11-23T21:58", MOMENT));
	CHECK(parses("2026-11-23T21:58:00.123Z", MOMENT + 123) &&
	      parses("2026-11-23t21:58:00,1z", MOMENT + 100));
	CHECK(parses("2026-11-23 22:58:00.123456789+01:00", MOMENT + 123));
	CHECK(parses("2026-11-23T13:58:00-0800", MOMENT) && parses("2026-11-23T22:58:00+01", MOMENT));
	CHECK(parses("20261123T215800Z", MOMENT) && parses("20261123T2158", MOMENT));
	CHECK(parses("20261123215800", MOMENT) && parses("20261123215800.5", MOMENT + 500));
	CHECK(parses("2026-11-23 21:58:00 UTC", MOMENT) && parses("2026-11-23 22:58:00 +0100", MOMENT));
	CHECK(parses("  2026-11-23T21:58:00Z ", MOMENT));
	CHECK(parses("2026-11-22T24:00:00Z", midnight));
	CHECK(parses("2016-12-31T23:59:60Z", INT64_C(1483228800000)));
	CHECK(parses("0000-01-01T00:00:00Z", INT64_C(-62167219200000)));
	CHECK(parses("9999-12-31T23:59:59.999Z", INT64_C(253402300799999)));
	CHECK(parses("2024-02-29", INT64_C(1709164800000)));
}

TEST(mail_dates_are_read)
{
	CHECK(parses("Mon, 23 Nov 2026 21:58:00 +0000", MOMENT));
	CHECK(parses("Mon, 23 Nov 2026 21:58:00 GMT", MOMENT));
	CHECK(parses("mon, 23 nov 2026 13:58:00 PST", MOMENT));
	CHECK(parses("23 Nov 2026 21:58 +0000", MOMENT));
	CHECK(parses("Mon, 23 Nov 2026 16:58:00 -0500 (EST)", MOMENT));
	CHECK(parses("Sun, 1 Nov 2026 00:00:00 +0000", INT64_C(1793491200000)));
}

TEST(unix_times_are_told_apart_by_size)
{
	CHECK(parses("1795471080", MOMENT) && parses("1795471080.123", MOMENT + 123));
	CHECK(parses("1795471080123", MOMENT + 123) && parses("1795471080123999", MOMENT + 123));
	CHECK(parses("1795471080123999999", MOMENT + 123));
	CHECK(parses("0", 0) && parses("-1", -1000) && parses("-1.5", -1500));
	CHECK(parses("-1795471080123999", -MOMENT - 124));
	int64_t ms;
	CHECK(mw_timestamp_from_number(1795471080, &ms) && ms == MOMENT);
	CHECK(mw_timestamp_from_number(1795471080.123, &ms) && ms == MOMENT + 123);
	CHECK(mw_timestamp_from_number(1795471080123.0, &ms) && ms == MOMENT + 123);
	CHECK(mw_timestamp_from_number(1795471080123999.0, &ms) && ms == MOMENT + 123);
	CHECK(mw_timestamp_from_number(99999999999.0, &ms) && ms == INT64_C(99999999999000));
	CHECK(mw_timestamp_from_number(1e11, &ms) && ms == INT64_C(100000000000));
	CHECK(mw_timestamp_from_number(-0.0005, &ms) && ms == -1);
	CHECK(!mw_timestamp_from_number((double)NAN, &ms) &&
	      !mw_timestamp_from_number((double)INFINITY, &ms));
	CHECK(!mw_timestamp_from_number(1e300, &ms) && !mw_timestamp_from_number(-9e10, &ms));
}

TEST(what_is_no_date_is_refused)
{
	static const char *const texts[] = {"",
					    " ",
					    "now",
					    "-",
					    "-.",
					    "1.",
					    "1.2.3",
					    "2026-02-29",
					    "2026-13-01",
					    "2026-00-10",
					    "2026-04-31",
					    "2026-1-1",
					    "2026-11-23T",
					    "2026-11-23T25:00",
					    "2026-11-23T24:01",
					    "2026-11-23T21:60",
					    "2026-11-23T21:58:61",
					    "2026-11-23T21:58:60",
					    "2026-11-23T21:58:00.",
					    "2026-11-23T21:58:00+",
					    "2026-11-23T21:58:00+1",
					    "2026-11-23T21:58:00+24:00",
					    "2026-11-23T21:58:00+01:",
					    "2026-11-23T21:58:00Zx",
					    "2026-11-23T21:58:00 XYZ",
					    "20261323",
					    "99999999",
					    "Mon 23 Nov 2026 21:58:00 GMT",
					    "Mon, 31 Nov 2026 21:58:00 GMT",
					    "Mon, 23 Foo 2026 21:58:00 GMT",
					    "Mon, 23 Nov 26 21:58:00 GMT",
					    "Mon,",
					    "Mon, 23 Nov 2026 21:58:00 GMT (",
					    "0000-01-01T00:00:00+01:00",
					    "9999-12-31T23:59:59-01:00",
					    "99999999999999999999999",
					    "-90000000000"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		CHECK(is_no_date(texts[i]));
}

TEST(every_day_of_ten_thousand_years_comes_back)
{
	/* A calendar kept by counting, beside the one kept by arithmetic. */
	int year = 0, month = 1, day = 1;
	uint64_t random = check_seed("days");
	for (int64_t at = INT64_C(-62167219200000); year < 10000; at += 86400000) {
		int64_t ms = at + (int64_t)(check_random(&random) % 86400000), back;
		char out[MW_TIMESTAMP_LEN], date[16];
		mw_timestamp_write(out, ms);
		snprintf(date, sizeof date, "%04d-%02d-%02d", year % 10000, month % 100, day % 100);
		CHECK(memcmp(out, date, 10) == 0);
		CHECK(mw_timestamp_parse((struct mw_span){(uint8_t *)out, sizeof out}, &back) && back == ms);
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		int last = month == 2                                              ? 28 + leap
			   : month == 4 || month == 6 || month == 9 || month == 11 ? 30
										   : 31;
		if (++day > last) {
			day = 1;
			if (++month > 12) {
				month = 1;
				year++;
			}
		}
	}
}

/* The short cut for times never lets one through that reading and writing would change or refuse. */
TEST(a_time_taken_as_it_is_reads_back_the_same)
{
	uint64_t seed = check_seed("times");
	static const char some[] = "0123456789-:.TZ /;\xb0\x80";
	int taken = 0;
	for (int i = 0, rounds = check_rounds(300000); i < rounds; i++) {
		char time[MW_TIMESTAMP_LEN], again[MW_TIMESTAMP_LEN];
		struct mw_span s = {(const uint8_t *)time, sizeof time};
		int64_t ms = (int64_t)(check_random(&seed) % 253402300800000);
		mw_timestamp_write(time, ms);
		bool is_early = (time[8] - '0') * 10 + time[9] - '0' <= 28;
		CHECK(mw_timestamp_is_written(s) == is_early);
		for (uint64_t n = check_random(&seed) % 3; n > 0; n--)
			time[check_random(&seed) % sizeof time] =
			    some[check_random(&seed) % (sizeof some - 1)];
		if (!mw_timestamp_is_written(s))
			continue;
		taken++;
		CHECK(mw_timestamp_parse(s, &ms));
		mw_timestamp_write(again, ms);
		CHECK(memcmp(time, again, sizeof time) == 0);
	}
	CHECK(taken > check_rounds(100000));
	CHECK(!mw_timestamp_is_written(MW_SPAN("2026-02-29T00:00:00.000Z")));
	CHECK(!mw_timestamp_is_written(MW_SPAN("2026-02-2800:00:00.000Z")));
}

int main(void)
{
	RUN(times_are_written_with_milliseconds_in_utc);
	RUN(iso_8601_is_read_as_found_in_the_wild);
	RUN(mail_dates_are_read);
	RUN(unix_times_are_told_apart_by_size);
	RUN(what_is_no_date_is_refused);
	if (!check_is_slow()) /* three million and a half of them */
		RUN(every_day_of_ten_thousand_years_comes_back);
	RUN(a_time_taken_as_it_is_reads_back_the_same);
	return CHECK_END();
}
