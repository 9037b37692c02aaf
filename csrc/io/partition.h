/* partition.h -- which process owns a part of a spool.
 *
 * <dir>/p0, <dir>/p1 ... each belong to one process at a time: the one that has the lock of the file `owner`
 * in it. The kernel gives the lock back when the process ends, however it ends; a child does not inherit it.
 *
 * Thread-safe.
 */
#ifndef MW_PARTITION_H
#define MW_PARTITION_H

#include "../core/err.h"

/* Processes that may share one spool. */
#define MW_PARTITIONS_MAX 64

#define MW_PARTITION_PATH_ROOM 4096

struct mw_partition {
	int owner; /* file descriptor that holds the lock; -1: none */
	unsigned number;
	char path[MW_PARTITION_PATH_ROOM];
};

/* Takes the first that nobody owns, made if there is none. MW_IO, MW_LOCKED (all are owned). */
enum mw_err mw_partition_take(struct mw_partition *p, const char *dir, struct mw_error *e);

/* Takes number `number`, if it is there. MW_LOCKED: it has an owner, or there is no such partition; MW_IO. */
enum mw_err mw_partition_take_number(struct mw_partition *p, const char *dir, unsigned number,
				     struct mw_error *e);

void mw_partition_release(struct mw_partition *p);

/* LMDB must not open one environment twice in a process, so whoever opens, closes or looks into a partition's
 * does it from enter to leave: no other thread of this process does so meanwhile, nor does it fork. Not while
 * commits are made or waited for. */
void mw_partition_enter(void);
void mw_partition_leave(void);

/* Between the two: what its owner has open, for other threads; until release. */
void mw_partition_share(const struct mw_partition *p, void *store);
/* Of the partition with this path; NULL: it is not this process's, who may open it then. */
void *mw_partition_shared(const char *path);

#endif
