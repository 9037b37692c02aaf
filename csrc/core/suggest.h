/* suggest.h -- which known name was meant by one that is not known?
 *
 *     "user_id"      , did you mean "userId"?          somebody who knows another API
 *     "propertes"    , did you mean "properties"?
 *     "colour"                                         nothing is near
 *
 * Near is what at most two letters of a name of up to five bytes, or three of a longer one, separate:
 * changed, missing or too many, whatever their case.
 */
#ifndef MW_SUGGEST_H
#define MW_SUGGEST_H

#include <stddef.h>

/* The end of a sentence into `out`, or "". `names` ends with NULL; of equally near ones the first counts.
 * What is longer than 32 bytes is near to nothing. */
void mw_suggest(char *out, size_t size, const char *name, size_t len, const char *const *names);

#endif
