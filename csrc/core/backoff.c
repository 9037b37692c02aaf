#include "backoff.h"

#include "limits.h"

int64_t mw_backoff_ms(uint32_t attempts, uint64_t random)
{
	int64_t whole = MW_BACKOFF_BASE_MS;
	for (uint32_t i = 1; i < attempts && whole < MW_BACKOFF_MAX_MS; i++)
		whole *= 2;
	if (whole > MW_BACKOFF_MAX_MS)
		whole = MW_BACKOFF_MAX_MS;
	int64_t half = whole / 2;
	return half + (int64_t)(random % (uint64_t)(whole - half + 1));
}

int64_t mw_backoff_pause_ms(uint32_t attempts, int status, int64_t retry_after_ms, uint64_t random)
{
	int64_t pause_ms = mw_backoff_ms(attempts, random);
	if (retry_after_ms < 0 || (status != 429 && status != 503))
		return pause_ms;
	if (retry_after_ms < MW_RETRY_AFTER_MIN_MS)
		retry_after_ms = MW_RETRY_AFTER_MIN_MS;
	if (retry_after_ms > MW_RETRY_AFTER_MAX_MS)
		retry_after_ms = MW_RETRY_AFTER_MAX_MS;
	return retry_after_ms > pause_ms ? retry_after_ms : pause_ms;
}
