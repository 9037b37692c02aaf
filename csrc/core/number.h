/* number.h -- numbers between text and machine, exact in both directions.
 *
 *     0.1       -> "0.1"         the shortest text that reads back to the same bits
 *     1         -> "1.0"         a double stays recognizable as one
 *     1e300     -> "1e+300"      exponents from 16 up and below -4
 *     "0.1e1"   -> 1.0           the nearest double, ties to even
 *
 * Whatever the process's locale says about decimal points: no text that goes to or comes from
 * the C library holds one that matters.
 */
#ifndef MW_NUMBER_H
#define MW_NUMBER_H

#include "buf.h"

/* Sign, 17 digits, point, e+308; or 19 digits and a sign. */
enum { MW_NUMBER_MAX = 32 };

/* Both write no NUL and return the length. `value` is finite. */
size_t mw_number_write_double(double value, char out[MW_NUMBER_MAX]);
size_t mw_number_write_int64(int64_t value, char out[MW_NUMBER_MAX]);

/* `text` is a number in JSON's grammar. Out of range: infinity or zero with its sign. */
double mw_number_read_double(struct mw_span text);

/* False if the text has a fraction or exponent, or does not fit. */
bool mw_number_read_int64(struct mw_span text, int64_t *out);

#endif
