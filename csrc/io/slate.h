/* slate.h -- a page of text for each of a few processes of one family: each writes its own, all read all.
 *
 *     parent                  mw_slate_new(4), then forks four times
 *     worker 2                mw_slate_write(s, 2, its numbers)      once a second
 *     whoever is asked        mw_slate_read(s, 0..3)                 and adds them up
 *
 * Shared memory that has no name, gone with the last of the family. A page is read whole or not at all; one
 * that was being written when its process died is empty for readers until it is written again.
 * One process writes a page at a time: its worker's, or the parent once that is dead. Never waits.
 */
#ifndef MW_SLATE_H
#define MW_SLATE_H

#include "../core/buf.h"

enum { MW_SLATE_PAGE_MAX = 256 * 1024, MW_SLATE_PAGES_MAX = 64 };

struct mw_slate;

/* Every page is empty. NULL: no memory. */
struct mw_slate *mw_slate_new(unsigned pages);
/* Of this process; the others keep theirs. */
void mw_slate_free(struct mw_slate *s);
unsigned mw_slate_pages(const struct mw_slate *s);

/* False: too long, and the page is as it was. */
bool mw_slate_write(struct mw_slate *s, unsigned page, struct mw_span text);
/* Appends the text. MW_TIMEOUT: it is being written without end; MW_NO_MEMORY, MW_TOO_LARGE from the buffer.
 */
enum mw_err mw_slate_read(struct mw_slate *s, unsigned page, struct mw_buf *out);

#endif
