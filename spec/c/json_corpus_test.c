/* The public JSON parsing corpus (nst/JSONTestSuite): y_* must be read, n_* must be refused, and
 * i_* is what RFC 8259 leaves open; the table below is what Moonweir decided, and why.
 *
 *     json_corpus_test [directory]      or MW_JSON_CORPUS; without the corpus it is skipped
 */
#include "../../csrc/core/json_read.h"
#include "check.h"

#include <dirent.h>

#define HALF  "half a surrogate pair is no character; it could not be sent on as UTF-8"
#define BYTES "the bytes are not UTF-8; RFC 8259 section 8.1 asks for nothing else"
#define UTF16 "UTF-16 is not UTF-8; RFC 8259 section 8.1"
#define RANGE                                                                                                \
	"valid grammar; a number is kept as text, so its size is nobody's business until it is computed "    \
	"with"

static const struct {
	const char *file;
	bool accept;
	const char *reason;
} decisions[] = {
    {"i_number_double_huge_neg_exp.json", true, RANGE},
    {"i_number_huge_exp.json", true, RANGE},
    {"i_number_neg_int_huge_exp.json", true, RANGE},
    {"i_number_pos_double_huge_exp.json", true, RANGE},
    {"i_number_real_neg_overflow.json", true, RANGE},
    {"i_number_real_pos_overflow.json", true, RANGE},
    {"i_number_real_underflow.json", true, RANGE},
    {"i_number_too_big_neg_int.json", true, RANGE},
    {"i_number_too_big_pos_int.json", true, RANGE},
    {"i_number_very_big_negative_int.json", true, RANGE},
    {"i_object_key_lone_2nd_surrogate.json", false, HALF},
    {"i_string_1st_surrogate_but_2nd_missing.json", false, HALF},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", false, HALF},
    {"i_string_UTF-16LE_with_BOM.json", false, UTF16},
    {"i_string_UTF-8_invalid_sequence.json", false, BYTES},
    {"i_string_UTF8_surrogate_U+D800.json", false, BYTES},
    {"i_string_incomplete_surrogate_and_escape_valid.json", false, HALF},
    {"i_string_incomplete_surrogate_pair.json", false, HALF},
    {"i_string_incomplete_surrogates_escape_valid.json", false, HALF},
    {"i_string_invalid_lonely_surrogate.json", false, HALF},
    {"i_string_invalid_surrogate.json", false, HALF},
    {"i_string_invalid_utf-8.json", false, BYTES},
    {"i_string_inverted_surrogates_U+1D11E.json", false, HALF},
    {"i_string_iso_latin_1.json", false, BYTES},
    {"i_string_lone_second_surrogate.json", false, HALF},
    {"i_string_lone_utf8_continuation_byte.json", false, BYTES},
    {"i_string_not_in_unicode_range.json", false, BYTES},
    {"i_string_overlong_sequence_2_bytes.json", false, BYTES},
    {"i_string_overlong_sequence_6_bytes.json", false, BYTES},
    {"i_string_overlong_sequence_6_bytes_null.json", false, BYTES},
    {"i_string_truncated-utf-8.json", false, BYTES},
    {"i_string_utf16BE_no_BOM.json", false, UTF16},
    {"i_string_utf16LE_no_BOM.json", false, UTF16},
    {"i_structure_500_nested_arrays.json", false,
     "deeper than MW_JSON_DEPTH_MAX: no tool nests like that, and a bound must be somewhere"},
    {"i_structure_UTF-8_BOM_empty_object.json", false,
     "RFC 8259 section 8.1 forbids to send a byte-order mark; what sends one is worth a look"},
};
enum { DECISIONS = sizeof decisions / sizeof decisions[0] };

static const char *directory;
static int accepted, refused, decided, wrong;

static bool reads(const char *file, struct mw_error *e)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", directory, file);
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "can't open %s\n", path);
		exit(1);
	}
	size_t cap = 1 << 20, len;
	char *text = malloc(cap);
	if (!text)
		exit(1);
	len = fread(text, 1, cap, f);
	fclose(f);
	char *exact = malloc(len ? len : 1); /* so that a sanitizer sees one byte too many */
	if (!exact)
		exit(1);
	memcpy(exact, text, len);
	struct mw_json doc;
	mw_json_init(&doc);
	bool ok = mw_json_read(&doc, exact, len, e) == MW_OK;
	mw_json_deinit(&doc);
	free(exact);
	free(text);
	return ok;
}

static void tell(const char *file, const char *what, const struct mw_error *e)
{
	fprintf(stderr, "%s: %s (byte %zu: %s)\n", file, what, e->offset, e->detail);
	wrong++;
}

static void look_at(const char *file)
{
	struct mw_error e = {0};
	if (strncmp(file, "y_", 2) == 0) {
		if (reads(file, &e))
			accepted++;
		else
			tell(file, "should have been read", &e);
	} else if (strncmp(file, "n_", 2) == 0) {
		if (!reads(file, &e))
			refused++;
		else
			tell(file, "should have been refused", &e);
		if (e.detail[0] == 0)
			tell(file, "refused without a word", &e);
	} else if (strncmp(file, "i_", 2) == 0) {
		int i = 0;
		while (i < DECISIONS && strcmp(decisions[i].file, file) != 0)
			i++;
		if (i == DECISIONS)
			tell(file, "not decided", &e);
		else if (reads(file, &e) == decisions[i].accept)
			decided++;
		else
			tell(file, decisions[i].reason, &e);
	}
}

TEST(the_corpus_is_read_and_refused_as_the_rfc_says)
{
	DIR *d = opendir(directory);
	CHECK(d != NULL);
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		look_at(entry->d_name);
	closedir(d);
	printf("read %d of 95, refused %d of 188, as decided %d of 35\n", accepted, refused, decided);
	CHECK(wrong == 0);
	CHECK(accepted == 95 && refused == 188 && decided == 35);
}

int main(int argc, char **argv)
{
	const char *given = getenv("MW_JSON_CORPUS");
	directory = argc > 1 ? argv[1] : given ? given : "../shared/fixtures/json-test-suite";
	DIR *d = opendir(directory);
	if (!d) {
		printf("skipped: no corpus at %s\n", directory);
		return 0;
	}
	closedir(d);
	RUN(the_corpus_is_read_and_refused_as_the_rfc_says);
	return CHECK_END();
}
