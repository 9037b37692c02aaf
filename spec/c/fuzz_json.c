/* fuzz_json.c -- whatever is read can be written again and reads back as the same tape.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined spec/c/fuzz_json.c \
 *         csrc/core/{buf,err,utf8,number,json_*}.c -lm
 */
#include "../../csrc/core/json_read.h"
#include "../../csrc/core/json_write.h"
#include "../../csrc/core/number.h"
#include "../../csrc/core/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			abort();                                                                             \
	} while (0)

static struct mw_json first, second;
static struct mw_buf text, chars, again;

static void write_string(const struct mw_json *doc, uint32_t node)
{
	mw_buf_clear(&chars);
	MUST(mw_json_unescape(doc, node, &chars) == MW_OK);
	MUST(mw_utf8_valid(chars.data, chars.len) == chars.len);
	MUST(mw_json_write_string(&text, chars.data, chars.len) == MW_OK);
}

static void write_scalar(const struct mw_json *doc, uint32_t node)
{
	struct mw_span raw = mw_json_raw(doc, node);
	int64_t i;
	if (doc->nodes[node].type == MW_JSON_STRING) {
		write_string(doc, node);
	} else if (doc->nodes[node].type == MW_JSON_NUMBER && mw_number_read_int64(raw, &i) &&
		   !(i == 0 && raw.at[0] == '-')) {
		size_t mark = text.len;
		MUST(mw_json_write_int64(&text, i) == MW_OK);
		MUST(text.len - mark == raw.len && memcmp(text.data + mark, raw.at, raw.len) == 0);
	} else {
		MUST(mw_buf_append_span(&text, raw) == MW_OK);
	}
}

/* Every node once, in order; containers end where the tape says. */
static void write_all(const struct mw_json *doc)
{
	uint32_t ends[256];
	char brackets[256];
	int depth = 0;
	for (uint32_t n = 0; n < doc->count; n++) {
		enum mw_json_type type = doc->nodes[n].type;
		bool is_value_of_key = n > 0 && doc->nodes[n - 1].type == MW_JSON_KEY;
		bool is_first = n > 0 && depth > 0 && (doc->nodes[n - 1].type >= MW_JSON_ARRAY) &&
				(doc->nodes[n - 1].type <= MW_JSON_OBJECT) && doc->nodes[n - 1].next > n;
		if (n > 0 && !is_value_of_key && !is_first)
			MUST(mw_buf_append_byte(&text, ',') == MW_OK);
		if (type == MW_JSON_KEY) {
			write_string(doc, n);
			MUST(mw_buf_append_byte(&text, ':') == MW_OK);
			continue;
		}
		if (type == MW_JSON_ARRAY || type == MW_JSON_OBJECT) {
			MUST(mw_buf_append_byte(&text, type == MW_JSON_ARRAY ? '[' : '{') == MW_OK);
			ends[depth] = doc->nodes[n].next;
			brackets[depth++] = type == MW_JSON_ARRAY ? ']' : '}';
		} else {
			MUST(doc->nodes[n].next == n + 1);
			write_scalar(doc, n);
		}
		for (; depth > 0 && ends[depth - 1] == n + 1; depth--)
			MUST(mw_buf_append_byte(&text, brackets[depth - 1]) == MW_OK);
	}
	MUST(depth == 0);
}

static void compare(void)
{
	MUST(first.count == second.count);
	for (uint32_t n = 0; n < first.count; n++) {
		const struct mw_json_node *a = &first.nodes[n], *b = &second.nodes[n];
		MUST(a->type == b->type && a->next == b->next);
		if (a->type == MW_JSON_STRING || a->type == MW_JSON_KEY) {
			mw_buf_clear(&chars);
			mw_buf_clear(&again);
			MUST(mw_json_unescape(&first, n, &chars) == MW_OK &&
			     mw_json_unescape(&second, n, &again) == MW_OK);
			MUST(chars.len == again.len &&
			     (!chars.len || memcmp(chars.data, again.data, chars.len) == 0));
		} else {
			MUST(a->aux == b->aux && a->flags == b->flags);
		}
	}
}

/* A member is found by each of its names, and of several the last. */
static void look_up(uint32_t object)
{
	const struct mw_json_node *node = &first.nodes[object];
	uint32_t steps = 0;
	for (uint32_t key = node->aux ? object + node->aux : 0; key && steps < 32;
	     key = first.nodes[key].next, steps++) {
		mw_buf_clear(&chars);
		MUST(mw_json_unescape(&first, key, &chars) == MW_OK);
		uint32_t found =
		    mw_json_member(&first, object, chars.data, chars.len, mw_json_tag(chars.data, chars.len));
		MUST(found >= key + 1 && found < node->next && first.nodes[found - 1].type == MW_JSON_KEY);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (text.max == 0) {
		mw_buf_init(&text, 1 << 24);
		mw_buf_init(&chars, 1 << 24);
		mw_buf_init(&again, 1 << 24);
	}
	struct mw_error e = {0};
	if (mw_json_read(&first, data, size, &e) != MW_OK) {
		MUST(first.count == 0 && e.detail[0] && e.offset <= size);
		return 0;
	}
	mw_buf_clear(&text);
	write_all(&first);
	MUST(mw_json_read(&second, text.data, text.len, &e) == MW_OK);
	compare();
	for (uint32_t n = 0; n < first.count; n++) {
		if (first.nodes[n].type == MW_JSON_OBJECT) {
			look_up(n);
		} else if (first.nodes[n].type == MW_JSON_NUMBER) {
			double value = mw_number_read_double(mw_json_raw(&first, n));
			mw_buf_clear(&chars);
			if (mw_json_write_double(&chars, value) == MW_OK)
				MUST(mw_number_read_double(mw_buf_span(&chars)) == value);
		}
	}
	return 0;
}
