#include "verdict.h"

#include "limits.h"
#include "timestamp.h"

enum mw_verdict mw_verdict_of(int status)
{
	if (status >= 200 && status <= 299)
		return MW_DELIVERED;
	switch (status) {
	case MW_STATUS_NETWORK:
	case MW_STATUS_UNSENT:
	case 408: /* request timeout */
	case 410: /* gone: what Segment's libraries retry */
	case 429: /* over the rate limit */
	case 460: /* client closed, as AWS load balancers say it */
		return MW_RETRY;
	case 400:
		return MW_SPLIT;
	case 413:
		return MW_SHRINK;
	case MW_STATUS_NO_KEY:
	case MW_STATUS_NO_TOKEN:
	case 401:
	case 403:
		return MW_PARK;
	case 501: /* not implemented */
	case 505: /* HTTP version: neither will be better next time */
		return MW_DEAD;
	default:
		return status >= 500 && status <= 599 ? MW_RETRY : MW_DEAD;
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int64_t clamp(int64_t ms)
{
	if (ms < MW_RETRY_AFTER_MIN_MS)
		return MW_RETRY_AFTER_MIN_MS;
	return ms > MW_RETRY_AFTER_MAX_MS ? MW_RETRY_AFTER_MAX_MS : ms;
}

int64_t mw_verdict_retry_after(const char *value, int64_t now_wall)
{
	if (!value)
		return -1;
	while (is_blank(*value))
		value++;
	size_t len = strlen(value);
	while (len > 0 && is_blank(value[len - 1]))
		len--;

	if (len > 0 && value[0] >= '0' && value[0] <= '9') {
		int64_t seconds = 0;
		for (size_t i = 0; i < len; i++) {
			if (value[i] < '0' || value[i] > '9')
				return -1;
			/* Stops growing where it is clamped anyway; any number of digits is a number. */
			if (seconds <= MW_RETRY_AFTER_MAX_MS)
				seconds = seconds * 10 + (value[i] - '0');
		}
		return clamp(seconds * 1000);
	}

	/* An HTTP date begins with its weekday; other spellings of a date are no Retry-After. */
	int64_t until;
	bool letter = len > 0 && ((value[0] | 0x20) >= 'a' && (value[0] | 0x20) <= 'z');
	if (!letter || !mw_timestamp_parse((struct mw_span){(const uint8_t *)value, len}, &until))
		return -1;
	return clamp(until - now_wall);
}
