/* shape.h -- what a piece of JSON is like, whatever its values: 64 bits.
 *
 *     { "email_id": "m7", "opens": 3 }
 *     { "opens": 1, "email_id": "m9981" }    the same shape
 *     { "email_id": 7, "opens": 3 }          another one
 *
 * Whoever judges messages by their shape (review.h) judges one of a kind and knows the others. So a shape
 * takes in all that a rule of lua/moonweir/check/message.lua may look at, and nothing that differs from
 * message to message of one kind: the names of members, nested ones too, in any order, and each value's
 * class. Elements of an array count by what they are like, not by how many there are.
 *
 * Writers build it as they go, at a nanosecond or two a member: names have a hash (`key`), values a shape,
 * and
 *
 *     object = mw_shape_end(sum of mw_shape_member(key, value))
 *
 * mw_shape_of_json gets the same from finished bytes, for what nobody kept count of; some 30 ns a member.
 *
 * Not keyed, so two names can be made to collide: then a kind of message stays unjudged, and no more.
 */
#ifndef MW_SHAPE_H
#define MW_SHAPE_H

#include "buf.h"
#include "limits.h"

/* The shapes of values without members. Odd, and 0 is none: a shape not known. */
enum mw_class {
	MW_CLASS_ABSENT = 1,
	MW_CLASS_NULL = 3,
	MW_CLASS_FALSE = 5,
	MW_CLASS_TRUE = 7,
	MW_CLASS_INTEGER = 9,
	MW_CLASS_FRACTION = 11, /* 2.5 */
	MW_CLASS_WHOLE = 13,    /* 2.0 */
	MW_CLASS_EXPONENT = 15, /* 2e3 */
	MW_CLASS_TEXT = 17,     /* none of those below */
	MW_CLASS_EMPTY = 19,    /* no character */
	MW_CLASS_LONG = 21,     /* more than MW_TEXT_LONG characters */
	MW_CLASS_DATE = 23,     /* 2026-11-26, and no more */
	MW_CLASS_ZONED = 25,    /* date and time, and Z or an offset at the end */
	MW_CLASS_UNZONED = 27,  /* date and time, and nobody knows where */
	MW_CLASS_EMPTY_ARRAY = 29,
	MW_CLASS_EMPTY_OBJECT = 31,
	MW_CLASS_ECHO = 39, /* of members of context only: the text that is the userId, too */
	/* of ids only */
	MW_CLASS_EMAIL = 33,       /* an e-mail address */
	MW_CLASS_IGNORED = 35,     /* what Unify ignores: 0, -1, 000-000, null, anonymous */
	MW_CLASS_PLACEHOLDER = 37, /* what programs print for nothing: undefined, None, NaN */
};

static inline uint64_t mw_shape_mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9FB21C651E98DF25);
	return h ^ h >> 32;
}

/* Of a name's bytes as they are sent. Words that overlap see every byte, too. */
static inline uint64_t mw_shape_key(const void *name, size_t len)
{
	const uint8_t *at = name;
	uint64_t h = len, word = 0;
	uint32_t first, last;
	if (len >= 8) {
		for (size_t i = 0; i + 8 < len; i += 8) {
			memcpy(&word, at + i, 8);
			h = mw_shape_mix(h, word);
		}
		memcpy(&word, at + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&first, at, 4);
		memcpy(&last, at + len - 4, 4);
		word = first | (uint64_t)last << 32;
	} else if (len > 0) {
		word = at[0] | (uint64_t)at[len / 2] << 8 | (uint64_t)at[len - 1] << 16;
	}
	return mw_shape_mix(h, word);
}

/* A product: the same name with another value is another member, and the order of a sum does not count. */
static inline uint64_t mw_shape_member(uint64_t key, uint64_t value)
{
	return key * value;
}

/* The shape of an object with those members, of an array with elements of those kinds; never 0. */
static inline uint64_t mw_shape_end(uint64_t sum)
{
	return mw_shape_mix(sum, 101) | 1;
}

/* An element more behind the others: neighbours of one kind count once. `*before` is 0 at first, `h` too. */
static inline uint64_t mw_shape_element(uint64_t h, uint64_t *before, uint64_t value)
{
	if (value != *before)
		h = mw_shape_mix(h, value);
	*before = value;
	return h;
}

static inline uint64_t mw_shape_end_array(uint64_t h)
{
	return mw_shape_mix(h, 102) | 1;
}

/* The class of a text, or of the inside of a JSON string. */
enum mw_class mw_class_of_odd_text(struct mw_span text);

static inline enum mw_class mw_class_of_text(struct mw_span text)
{
	/* Dates begin with a digit. */
	if (text.len - 1 < MW_TEXT_LONG && (uint8_t)(text.at[0] - '0') >= 10)
		return MW_CLASS_TEXT;
	return mw_class_of_odd_text(text);
}

/* The class of a number that is not written as an integer. */
enum mw_class mw_class_of_fraction(struct mw_span number);

/* The class of an id; at == NULL: absent. */
enum mw_class mw_class_of_id(struct mw_span id);

/* Is it a name of which the Spec knows all values (load_type: linear, dynamic), or bounds? Then the value
 * itself counts, up to MW_SHAPE_VALUE_MAX bytes of JSON; mw_shape_watched gives the shape that it then has.
 */
bool mw_shape_watches_odd(struct mw_span name);

static inline bool mw_shape_watches(struct mw_span name)
{
	/* Few names have one of these lengths and begin with one of these letters. */
	enum { LENGTHS = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 };
	if (name.len > 10 || !(LENGTHS >> name.len & 1))
		return false;
	uint8_t c = name.at[0];
	return (c == 'a' || c == 'c' || c == 'e' || c == 'l' || c == 'q' || c == 's' || c == 't') &&
	       mw_shape_watches_odd(name);
}

enum { MW_SHAPE_VALUE_MAX = 64 };

static inline uint64_t mw_shape_watched(uint64_t shape, struct mw_span json)
{
	return json.len <= MW_SHAPE_VALUE_MAX ? mw_shape_key(json.at, json.len) | 1 : shape;
}

/* Which members in `json` have this very text as value: the sum of their names' hashes; 0: none. For the rule
 * that a userId is not the tool's own id, which stands in context. */
uint64_t mw_shape_echo(struct mw_span text, struct mw_span json);

/* The shape of one valid JSON value, or of the members of an object without its braces. Nothing is absent. */
uint64_t mw_shape_of_json(struct mw_span json);

#endif
