#include "../../csrc/core/binary_text.h"

#include "check.h"

static uint8_t out[256];
static size_t len;

static bool read(enum mw_binary_text form, const void *text, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1); /* a byte too many is seen by a sanitizer */
	uint8_t *room = malloc(n ? n : 1);
	if (!exact || !room)
		abort();
	memcpy(exact, text, n);
	bool ok = mw_binary_text_read(form, (struct mw_span){exact, n}, room, &len);
	memcpy(out, room, len);
	free(exact);
	free(room);
	return ok;
}

static bool gives(enum mw_binary_text form, const char *text, const char *bytes, size_t n)
{
	return read(form, text, strlen(text)) && len == n && memcmp(out, bytes, n) == 0;
}

static bool refuses(enum mw_binary_text form, const char *text)
{
	return !read(form, text, strlen(text)) && len == 0;
}

TEST(forms_have_names)
{
	enum mw_binary_text form;
	CHECK(mw_binary_text_named(MW_SPAN("HEX"), &form) && form == MW_HEX_UPPER);
	CHECK(mw_binary_text_named(MW_SPAN("base64url"), &form) && form == MW_BASE64URL);
	CHECK(!mw_binary_text_named(MW_SPAN("base32"), &form) && !mw_binary_text_named(MW_SPAN(""), &form));
}

TEST(hex_is_of_one_case)
{
	CHECK(gives(MW_HEX, "00fa7f", "\x00\xfa\x7f", 3) && gives(MW_HEX_UPPER, "00FA7F", "\x00\xfa\x7f", 3));
	CHECK(gives(MW_HEX, "", "", 0));
	CHECK(refuses(MW_HEX, "FA") && refuses(MW_HEX_UPPER, "fa") && refuses(MW_HEX, "f") &&
	      refuses(MW_HEX, "0g"));
	CHECK(refuses(MW_HEX, " 00") && refuses(MW_HEX, "00\n") && refuses(MW_HEX, "0x00"));
}

/* RFC 4648, section 10 */
TEST(base64_is_read)
{
	CHECK(gives(MW_BASE64, "", "", 0) && gives(MW_BASE64, "Zg==", "f", 1) &&
	      gives(MW_BASE64, "Zm8=", "fo", 2));
	CHECK(gives(MW_BASE64, "Zm9v", "foo", 3) && gives(MW_BASE64, "Zm9vYg==", "foob", 4) &&
	      gives(MW_BASE64, "Zm9vYmFy", "foobar", 6));
	CHECK(gives(MW_BASE64, "+/+/", "\xfb\xff\xbf", 3) && gives(MW_BASE64URL, "-_-_", "\xfb\xff\xbf", 3));
	CHECK(gives(MW_BASE64URL, "Zg", "f", 1) && gives(MW_BASE64URL, "Zm8", "fo", 2));
}

TEST(base64_has_one_spelling)
{
	CHECK(refuses(MW_BASE64, "Zg") && refuses(MW_BASE64, "Zg=") && refuses(MW_BASE64, "Z==="));
	CHECK(refuses(MW_BASE64, "====") && refuses(MW_BASE64, "=") && refuses(MW_BASE64, "Zm9v===="));
	CHECK(refuses(MW_BASE64, "Zh==") && refuses(MW_BASE64, "Zm9=")); /* bits left over */
	CHECK(refuses(MW_BASE64, "Zm 9") && refuses(MW_BASE64, "Zm9v\n") && refuses(MW_BASE64, "Z=9v"));
	CHECK(refuses(MW_BASE64, "-_-_") && refuses(MW_BASE64URL, "+/+/") && refuses(MW_BASE64URL, "Zg=="));
	CHECK(refuses(MW_BASE64URL, "Zh") && refuses(MW_BASE64URL, "Zm9vZ"));
}

/* Whatever is read is written back as it was: there are no two texts for the same bytes. */
TEST(whatever_is_read_has_no_other_spelling)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char letters[] = "AZaz09+/=-_ fF\n\x80";
	uint64_t random = check_seed("base64");
	int read_ones = 0;
	for (int round = 0, rounds = check_rounds(200000); round < rounds; round++) {
		char text[24], again[24] = "";
		size_t n = check_random(&random) % sizeof text, w = 0;
		for (size_t i = 0; i < n; i++)
			text[i] = round % 2 ? digits[check_random(&random) % 64]
					    : letters[check_random(&random) % (sizeof letters - 1)];
		if (n > 0 && round % 4 == 1)
			text[n - 1] = '=';
		for (enum mw_binary_text form = MW_HEX; form <= MW_BASE64URL; form++) {
			bool ok = read(form, text, n);
			CHECK(ok || len == 0);
			if (!ok || form != MW_BASE64)
				continue;
			read_ones++;
			for (size_t i = 0; i < len; i += 3) {
				uint32_t bits = (uint32_t)out[i] << 16;
				bits |= i + 1 < len ? (uint32_t)out[i + 1] << 8 : 0;
				bits |= i + 2 < len ? out[i + 2] : 0;
				for (int d = 0; d < 4; d++)
					again[w++] =
					    (size_t)d > len - i ? '=' : digits[bits >> (18 - 6 * d) & 63];
			}
			CHECK(w == n && memcmp(again, text, n) == 0);
		}
	}
	printf("%d random texts are base64\n", read_ones);
	CHECK(read_ones > check_rounds(10000));
}

int main(void)
{
	RUN(forms_have_names);
	RUN(hex_is_of_one_case);
	RUN(base64_is_read);
	RUN(base64_has_one_spelling);
	RUN(whatever_is_read_has_no_other_spelling);
	return CHECK_END();
}
