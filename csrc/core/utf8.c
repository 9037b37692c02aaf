#include "utf8.h"

#include "scan.h"

size_t mw_utf8_valid(const void *bytes, size_t len)
{
	const uint8_t *start = bytes, *p = start, *end = start + len;
	while ((p = mw_scan_ascii(p, end)) < end) {
		/* Where one byte is not ASCII the next is often not either. */
		do {
			size_t n = mw_utf8_sequence(p, end);
			if (n == 0)
				return (size_t)(p - start);
			p += n;
		} while (p < end && *p >= 0x80);
	}
	return len;
}
