/* spool_check.h -- the look at one partition, for spool_verify.c, which runs it in a process of its own.
 *
 * Records go to `out` as they are, account and text behind each.
 */
#ifndef MW_SPOOL_CHECK_H
#define MW_SPOOL_CHECK_H

#include "spool_verify.h"

#include <stdio.h>

/* False if it can't be read to the end: then the last record says why. */
void mw_spool_check(const char *path, uint32_t partition, FILE *out);

/* One record. */
void mw_verify_write(FILE *out, const struct mw_verify_record *r);

#endif
