#include "timestamp.h"

#include "number.h"

#include <math.h>

#define DAY_MS   INT64_C(86400000)
#define EARLIEST INT64_C(-62167219200000) /* 0000-01-01T00:00:00.000Z */
#define LATEST   INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
enum { MONTHS = 12 };

static bool in_range(int64_t ms)
{
	return ms >= EARLIEST && ms <= LATEST;
}

/* Days since 1970-01-01. Years are counted from March, so that the leap day is the last of its year and the
 * days before a month follow one line, (153 m + 2) / 5. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400; /* of 146,097 days each */
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* The way back, for days of the years 0000 to 9999. */
static void date_from_days(int64_t days, int *year, int *month, int *day)
{
	/* From the March of the year -400, so that nothing is negative. */
	uint32_t since = (uint32_t)(days + 719468 + 146097);
	uint32_t era = since / 146097, of_era = since % 146097;
	uint32_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * y + y / 4 - y / 100);
	uint32_t m = (5 * of_year + 2) / 153;
	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(y + era * 400) - 400 + (*month <= 2);
}

static int days_of_month(int year, int month)
{
	static const int days[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

static void put_pair(char *out, uint32_t value)
{
	out[0] = (char)('0' + value / 10);
	out[1] = (char)('0' + value % 10);
}

void mw_timestamp_write(char out[MW_TIMESTAMP_LEN], int64_t ms)
{
	ms = ms < EARLIEST ? EARLIEST : ms > LATEST ? LATEST : ms;
	int64_t days = (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
	uint32_t of_day = (uint32_t)(ms - days * DAY_MS), second = of_day / 1000;
	int year, month, day;
	date_from_days(days, &year, &month, &day);
	memcpy(out, "0000-00-00T00:00:00.000Z", MW_TIMESTAMP_LEN);
	put_pair(out, (uint32_t)year / 100);
	put_pair(out + 2, (uint32_t)year % 100);
	put_pair(out + 5, (uint32_t)month);
	put_pair(out + 8, (uint32_t)day);
	put_pair(out + 11, second / 3600);
	put_pair(out + 14, second / 60 % 60);
	put_pair(out + 17, second % 60);
	put_pair(out + 20, of_day % 1000 / 10);
	out[22] = (char)('0' + of_day % 10);
}

/* ---- reading */

/* Whether 8 characters have the form of 8 others: a digit where those have '0', else the very same. */
static bool has_form(const uint8_t *text, const char *form)
{
	uint64_t t, f, digits, high = 0x8080808080808080u;
	memcpy(&t, text, sizeof t);
	memcpy(&f, form, sizeof f);
	/* Of the characters of a form only '0' has bit 4 and not bit 2, 3 or 6: no '-', ':', '.', 'T' or 'Z'.
	 */
	digits = (f >> 4) & ~(f >> 3) & ~(f >> 2) & ~(f >> 6) & 0x0101010101010101u;
	t ^= f;
	/* The high bit of each byte comes up where a digit is above 9 or anything else differs at all. */
	return (((t + (high - 0x0101010101010101u) - digits * 9) | t) & high) == 0;
}

static int two_digits(const uint8_t *at)
{
	return (at[0] - '0') * 10 + at[1] - '0';
}

bool mw_timestamp_is_written(struct mw_span text)
{
	const uint8_t *at = text.at;
	if (text.len != MW_TIMESTAMP_LEN || !has_form(at, "0000-00-") || !has_form(at + 8, "00T00:00") ||
	    !has_form(at + 16, ":00.000Z"))
		return false;
	int month = two_digits(at + 5), day = two_digits(at + 8);
	return month >= 1 && month <= 12 && day >= 1 && day <= 28 && two_digits(at + 11) <= 23 &&
	       two_digits(at + 14) <= 59 && two_digits(at + 17) <= 59;
}

/* What is still to be read. */
struct rest {
	const uint8_t *p, *end;
};

struct moment {
	int year, month, day, hour, minute, second, ms;
	int offset; /* minutes east of UTC */
};

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool take(struct rest *r, char c)
{
	if (r->p == r->end || *r->p != (uint8_t)c)
		return false;
	r->p++;
	return true;
}

static bool take_spaces(struct rest *r)
{
	const uint8_t *from = r->p;
	while (take(r, ' ') || take(r, '\t'))
		;
	return r->p > from;
}

/* How many digits come next. */
static size_t count_digits(const struct rest *r)
{
	size_t n = 0;
	while (r->p + n < r->end && is_digit(r->p[n]))
		n++;
	return n;
}

/* Exactly `width` digits. */
static bool take_number(struct rest *r, size_t width, int *value)
{
	if (count_digits(r) < width)
		return false;
	for (*value = 0; width > 0; width--)
		*value = *value * 10 + (*r->p++ - '0');
	return true;
}

/* A word of letters, in whatever case: its place in the list, -1 if it is not there. */
static int take_word(struct rest *r, const char *const *words, int count)
{
	size_t n = 0;
	while (r->p + n < r->end && (r->p[n] | 0x20) >= 'a' && (r->p[n] | 0x20) <= 'z')
		n++;
	for (int i = 0; i < count; i++) {
		size_t same = 0;
		while (same < n && words[i][same] && ((r->p[same] ^ (uint8_t)words[i][same]) & ~0x20) == 0)
			same++;
		if (n > 0 && same == n && words[i][same] == 0) {
			r->p += n;
			return i;
		}
	}
	return -1;
}

/* Milliseconds of as many decimals as there are; the fourth and later are cut. */
static bool take_fraction(struct rest *r, int *ms)
{
	if (count_digits(r) == 0)
		return false;
	*ms = 0;
	for (int weight = 100; r->p < r->end && is_digit(*r->p); weight /= 10)
		*ms += (*r->p++ - '0') * weight;
	return true;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.fff, or the same without colons. */
static bool take_time(struct rest *r, struct moment *m)
{
	bool basic = count_digits(r) == 4 || count_digits(r) == 6;
	if (!take_number(r, 2, &m->hour) || (!basic && !take(r, ':')) || !take_number(r, 2, &m->minute))
		return false;
	if (basic ? count_digits(r) == 0 : !take(r, ':'))
		return true;
	if (!take_number(r, 2, &m->second))
		return false;
	return (take(r, '.') || take(r, ',')) ? take_fraction(r, &m->ms) : true;
}

/* Z, +01:00, +0100, +01, or a name that RFC 2822 knows. Nothing at all is UTC. */
static bool take_zone(struct rest *r, struct moment *m)
{
	static const char *const names[] = {"Z",   "UTC", "GMT", "UT",  "EST", "EDT",
					    "CST", "CDT", "MST", "MDT", "PST", "PDT"};
	static const int hours[] = {0, 0, 0, 0, -5, -4, -6, -5, -7, -6, -8, -7};
	if (r->p == r->end)
		return true;
	bool west = *r->p == '-';
	if (!take(r, '+') && !take(r, '-')) {
		int name = take_word(r, names, (int)(sizeof names / sizeof names[0]));
		m->offset = name < 0 ? 0 : hours[name] * 60;
		return name >= 0;
	}
	int hour, minute = 0;
	if (!take_number(r, 2, &hour))
		return false;
	if ((take(r, ':') || r->p < r->end) && !take_number(r, 2, &minute))
		return false;
	m->offset = (hour * 60 + minute) * (west ? -1 : 1);
	return hour < 24 && minute < 60;
}

/* 2026-11-23, 20261123, either with a time behind it. */
static bool take_iso(struct rest *r, struct moment *m)
{
	bool basic = count_digits(r) != 4;
	if (!take_number(r, 4, &m->year) || (!basic && !take(r, '-')) || !take_number(r, 2, &m->month) ||
	    (!basic && !take(r, '-')) || !take_number(r, 2, &m->day))
		return false;
	if (r->p == r->end)
		return true;
	/* 20261123215800 needs no sign between the two. */
	bool joined = basic && is_digit(*r->p);
	if (!joined && !take(r, 'T') && !take(r, 't') && !take_spaces(r))
		return false;
	if (!take_time(r, m))
		return false;
	take_spaces(r);
	return take_zone(r, m);
}

/* Mon, 23 Nov 2026 21:58:00 +0000 (UTC). The day of the week is redundant: which one it is isn't checked. */
static bool take_mail_date(struct rest *r, struct moment *m)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	static const char *const months[MONTHS] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
						   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	if (take_word(r, days, 7) >= 0 && !take(r, ','))
		return false;
	take_spaces(r);
	size_t width = count_digits(r);
	if (width < 1 || width > 2 || !take_number(r, width, &m->day) || !take_spaces(r))
		return false;
	m->month = take_word(r, months, MONTHS) + 1;
	if (m->month == 0 || !take_spaces(r) || !take_number(r, 4, &m->year) || !take_spaces(r) ||
	    !take_time(r, m))
		return false;
	take_spaces(r);
	if (!take_zone(r, m))
		return false;
	take_spaces(r);
	if (!take(r, '('))
		return true;
	bool closed = r->end[-1] == ')';
	r->p = r->end;
	return closed;
}

static bool moment_to_ms(const struct moment *m, int64_t *ms)
{
	if (m->month < 1 || m->month > MONTHS || m->day < 1 || m->day > days_of_month(m->year, m->month))
		return false;
	/* 24:00 is the end of a day, and :60 a leap second; both count as what comes next. */
	bool midnight = m->hour == 24 && m->minute == 0 && m->second == 0 && m->ms == 0;
	if ((m->hour > 23 && !midnight) || m->minute > 59 || m->second > 60 ||
	    (m->second == 60 && m->minute != 59))
		return false;
	int64_t minutes = m->hour * 60 + m->minute - m->offset;
	int64_t at =
	    days_from_date(m->year, m->month, m->day) * DAY_MS + minutes * 60000 + m->second * 1000 + m->ms;
	if (!in_range(at))
		return false;
	*ms = at;
	return true;
}

/* value / by, rounded down. */
static int64_t floor_div(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

/* How a Unix time of this size is counted: units a second, 0 if it is out of range. */
static int64_t units_by_size(double size)
{
	return size < 1e11 ? 1 : size < 1e14 ? 1000 : size < 1e17 ? 1000000 : size < 2.6e20 ? 1000000000 : 0;
}

bool mw_timestamp_from_number(double number, int64_t *ms)
{
	int64_t units = units_by_size(fabs(number)); /* NaN is smaller than nothing: 0 */
	double at;
	if (units == 0)
		return false;
	if (units == 1) /* a double near now is good for microseconds: 1700000000.123 has no exact form */
		at = floor(round(number * 1e6) / 1e3);
	else
		at = floor(number / (double)(units / 1000));
	if (at < (double)EARLIEST || at > (double)LATEST)
		return false;
	*ms = (int64_t)at;
	return true;
}

/* [-]digits[.digits], exact where a double would not be. Eight digits are a date, and so are fourteen: as
 * Unix times they would lie in 1970 or far ahead. */
static bool parse_unix(struct mw_span text, int64_t *ms)
{
	struct rest r = {text.at, text.at + text.len};
	bool negative = take(&r, '-');
	size_t n = count_digits(&r);
	struct mw_span digits = {text.at, n + negative};
	r.p += n;
	int64_t value;
	int fraction = 0;
	if (n == 0 || (r.p < r.end && (!take(&r, '.') || !take_fraction(&r, &fraction))) || r.p < r.end)
		return false;
	if (!mw_number_read_int64(digits, &value))
		return mw_timestamp_from_number(mw_number_read_double(digits), ms);
	int64_t units = units_by_size(fabs((double)value));
	int64_t at =
	    units == 1 ? value * 1000 + (negative ? -fraction : fraction) : floor_div(value, units / 1000);
	if (!in_range(at))
		return false;
	*ms = at;
	return true;
}

bool mw_timestamp_parse(struct mw_span text, int64_t *ms)
{
	struct rest r = {text.at, text.at + text.len};
	take_spaces(&r);
	while (r.p < r.end && (r.end[-1] == ' ' || r.end[-1] == '\t'))
		r.end--;
	if (r.p == r.end)
		return false;
	struct mw_span all = {r.p, (size_t)(r.end - r.p)};
	size_t digits = count_digits(&r);
	bool alone = digits == all.len || r.p[digits] == '.';
	bool date = digits == 14 || (digits == 8 && digits == all.len);
	if (*r.p == '-' || (digits > 0 && alone && !date))
		return parse_unix(all, ms);
	struct moment m = {0};
	bool ok = digits >= 4 ? take_iso(&r, &m) : take_mail_date(&r, &m);
	return ok && r.p == r.end && moment_to_ms(&m, ms);
}
