/* inflate.h -- compressed bodies, within bounds.
 *
 * gzip (RFC 1952, several members too) and what HTTP calls deflate: zlib (RFC 1950), or the bare stream (RFC
 * 1951) that some send in its place. A body that grows beyond MW_EVENT_MAX, or beyond two hundred times its
 * size once that is more than a megabyte, is refused as soon as it does: a bomb costs what an event costs. By
 * zlib; linked into moonweir.inflate only.
 */
#ifndef MW_INFLATE_H
#define MW_INFLATE_H

#include "../core/buf.h"

enum { MW_INFLATE_RATIO = 200, MW_INFLATE_FREE = 1024 * 1024 };

enum mw_coding { MW_GZIP, MW_DEFLATE };

/* Append what it was before. MW_INVALID: it is not of that coding, is cut short, or has something behind it;
 * MW_TOO_LARGE, MW_NO_MEMORY; on error the buffer is as it was. */
enum mw_err mw_inflate(enum mw_coding coding, struct mw_span body, struct mw_buf *out, struct mw_error *e);

#endif
