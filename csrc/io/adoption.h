/* adoption.h -- what dead processes left in their partitions, on its way into ours.
 *
 *     next     a box of messages of a partition that nobody owns; it goes the way of all boxes
 *     done     they are in our spool, synced: they leave the other
 *
 * A crash between the two leaves them in both, and they are sent twice with the same messageId. Messages of
 * an account stay in order among themselves; newer ones of ours may go before them. Known ids are not
 * adopted.
 *
 * Owned by the engine's thread.
 */
#ifndef MW_ADOPTION_H
#define MW_ADOPTION_H

#include "spool.h"

struct mw_adoption;

/* Strings are copied. NULL if memory is short. */
struct mw_adoption *mw_adoption_new(const struct mw_spool_config *config, unsigned own_partition);
void mw_adoption_free(struct mw_adoption *a);

/* Fills the box, which is empty, with about a megabyte. False: all that there was is adopted. */
bool mw_adoption_next(struct mw_adoption *a, struct mw_outbox *box, int64_t now);

void mw_adoption_done(struct mw_adoption *a, int64_t now);

#endif
