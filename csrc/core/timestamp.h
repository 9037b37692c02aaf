/* timestamp.h -- dates as Segment writes them and as tools write them.
 *
 * Milliseconds since 1970-01-01T00:00:00Z, negative before. Years 0000 to 9999. No clock, no
 * time zone database: a text without a zone is taken as UTC.
 */
#ifndef MW_TIMESTAMP_H
#define MW_TIMESTAMP_H

#include "buf.h"

enum { MW_TIMESTAMP_LEN = 24 };

/* "2026-11-23T21:58:00.123Z", always MW_TIMESTAMP_LEN bytes, no NUL. Clamps to years 0000-9999. */
void mw_timestamp_write(char out[MW_TIMESTAMP_LEN], int64_t ms);

/* Whether a text is a date as mw_timestamp_write writes it, and can be used as it is. A quick look that says
 * no to the last days of a month. */
bool mw_timestamp_is_written(struct mw_span text);

/* ISO 8601 as found in the wild: "2026-11-23", "2026-11-23T21:58Z", "2026-11-23 21:58:00.123456+01:00",
 * "20261123T215800Z", comma for the point, offsets with or without colon; more than three
 * decimals are cut. Also RFC 1123/2822 ("Mon, 23 Nov 2026 21:58:00 +0000"), and Unix time in text. Eight
 * or fourteen digits alone are a date ("20261123", "20261123215800"); any other count is Unix time.
 * False if it is no date, or a day that does not exist. */
bool mw_timestamp_parse(struct mw_span text, int64_t *ms);

/* Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by size:
 * below 1e11 seconds (until the year 5138), below 1e14 milliseconds, and so on. */
bool mw_timestamp_from_number(double number, int64_t *ms);

#endif
