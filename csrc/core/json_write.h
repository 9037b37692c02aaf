/* json_write.h -- values to JSON bytes.
 *
 * Writes what every reader takes: UTF-8, no escape that is not needed (only '"', '\' and
 * the controls), integers with every digit, doubles in the shortest form that reads back to
 * the same bits ("0.1", "1e+300"; 1.0 is written "1.0" so that a reader that tells integers
 * from floats keeps doing so). Infinity and NaN are refused: JSON has no word for them.
 *
 * On error the buffer is as it was. Independent of the process's locale.
 */
#ifndef MW_JSON_WRITE_H
#define MW_JSON_WRITE_H

#include "buf.h"

/* A quoted string. MW_INVALID if the bytes are not strict UTF-8. */
enum mw_err mw_json_write_string(struct mw_buf *b, const void *bytes, size_t len);

/* The inside of a string, without quotes. MW_INVALID as above. */
enum mw_err mw_json_write_chars(struct mw_buf *b, const void *bytes, size_t len);

enum mw_err mw_json_write_int64(struct mw_buf *b, int64_t value);

/* MW_INVALID for NaN and infinity. */
enum mw_err mw_json_write_double(struct mw_buf *b, double value);

/* Characters of a JSON string's inside: an escape is one, a surrogate pair of escapes too. */
size_t mw_json_count_chars(struct mw_span inside);

#endif
