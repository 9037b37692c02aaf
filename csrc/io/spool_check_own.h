/* spool_check_own.h -- what the check of a partition is made of: spool_check.c (the partition, and telling),
 * spool_check_lanes.c (the first look: do the numbers of lanes and packs add up?) and spool_check_bytes.c
 * (the second: is every byte as it was written?).
 *
 * The first look needs one snapshot and reads little; the second reads everything, so it changes its snapshot
 * now and then, for LMDB can't use pages again that one still sees.
 */
#ifndef MW_SPOOL_CHECK_OWN_H
#define MW_SPOOL_CHECK_OWN_H

#include "spool_check.h"
#include "spool_own.h"

struct mw_check {
	FILE *out;
	struct mw_verify_record sums; /* the partition's, to be */
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta, lanes, messages, dead;
	int64_t told; /* progress, when */
	uint64_t done, total;
};

/* Both: 0, or what LMDB said, behind which nothing more can be read. */
int mw_check_lanes(struct mw_check *c);
int mw_check_bytes(struct mw_check *c);

/* One more finding, told at once. */
__attribute__((format(printf, 4, 5))) void mw_check_find(struct mw_check *c, enum mw_finding finding,
							 struct mw_span account, const char *format, ...);
/* Of the messages `first` to `end` - 1 of a lane. */
void mw_check_find_messages(struct mw_check *c, enum mw_finding finding, struct mw_span account,
			    uint32_t lane, uint64_t first, uint64_t end, const char *what);
static inline struct mw_span mw_check_no_account(void)
{
	return (struct mw_span){NULL, 0};
}

/* How far it is, now and then. */
void mw_check_progress(struct mw_check *c);

/* A value of meta that is `len` bytes long: 0, or LMDB's error. */
int mw_check_meta(struct mw_check *c, const char *name, void *value, size_t len);

#endif
