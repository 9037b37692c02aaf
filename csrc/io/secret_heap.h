/* secret_heap.h -- memory that is left out of core files and wiped when it is given back.
 *
 * For what a write key passes through on its way to Segment: the request that holds it, and all of libcurl's
 * own memory, which copies it. Sizes are rounded up to powers of two and taken from chunks of 1 MiB, which
 * are kept; what is larger than a quarter of one has a mapping of its own. Functions are as malloc's,
 * thread-safe, and may be used in a child after fork.
 */
#ifndef MW_SECRET_HEAP_H
#define MW_SECRET_HEAP_H

#include <stddef.h>

void *mw_secret_malloc(size_t size);
void *mw_secret_calloc(size_t count, size_t size);
void *mw_secret_realloc(void *old, size_t size);
char *mw_secret_strdup(const char *text);
void mw_secret_free(void *p);

#endif
