#include "money.h"

#include "number.h"

#include <assert.h>

/* The others have two. */
static const char no_decimals[] = "BIF CLP DJF GNF ISK JPY KMF KRW MGA PYG RWF UGX UYI VND VUV XAF XOF XPF";
static const char three_decimals[] = "BHD IQD JOD KWD LYD OMR TND";
static const char four_decimals[] = "CLF UYW";

static bool holds(const char *codes, const char code[3])
{
	for (; *codes; codes += codes[3] ? 4 : 3) {
		if (memcmp(codes, code, 3) == 0)
			return true;
	}
	return false;
}

int mw_money_decimals(struct mw_span currency)
{
	char code[3];
	if (currency.len != sizeof code)
		return 2;
	for (size_t i = 0; i < sizeof code; i++) {
		uint8_t c = currency.at[i];
		code[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
	}
	if (holds(no_decimals, code))
		return 0;
	if (holds(three_decimals, code))
		return 3;
	return holds(four_decimals, code) ? 4 : 2;
}

size_t mw_money_write(int64_t minor, int decimals, char out[MW_MONEY_LEN_MAX])
{
	assert(decimals >= 0 && decimals <= 4);
	char digits[MW_NUMBER_MAX];
	size_t len = mw_number_write_int64(minor, digits), places = (size_t)decimals;
	const char *first = digits;
	char *to = out;
	if (minor < 0) {
		*to++ = '-';
		first++;
		len--;
	}
	while (places > 0 && len > 1 && first[len - 1] == '0') {
		places--;
		len--;
	}
	if (minor == 0)
		places = 0;
	size_t whole = len > places ? len - places : 0;
	if (whole == 0)
		*to++ = '0';
	memcpy(to, first, whole);
	to += whole;
	if (places > 0) {
		*to++ = '.';
		for (size_t i = len; i < places; i++)
			*to++ = '0';
		memcpy(to, first + whole, len - whole);
		to += len - whole;
	}
	return (size_t)(to - out);
}
