/* money.h -- amounts in minor units, as payment tools send them, to amounts as people write them.
 *
 *     1999 USD -> 19.99      1999 JPY -> 1999      1999 KWD -> 1.999      2000 USD -> 20
 *
 * By ISO 4217, with MGA counted as having no decimals (its fifths are never charged).
 */
#ifndef MW_MONEY_H
#define MW_MONEY_H

#include "buf.h"

enum { MW_MONEY_LEN_MAX = 24 };

/* Decimals of a currency by its code, in either case; 2 for one that is not known. */
int mw_money_decimals(struct mw_span currency);

/* The amount as the shortest decimal number, exact for every `minor`. Returns its length; no NUL. */
size_t mw_money_write(int64_t minor, int decimals, char out[MW_MONEY_LEN_MAX]);

#endif
