/* env_files.h -- the two files of an LMDB environment, made so that neither a power cut nor a full disk finds
 * them half made.
 *
 * LMDB writes a new data file's first pages unsynced, and leaves the lock file sparse: written to through its
 * map, on a full disk, it would end the process.
 */
#ifndef MW_ENV_FILES_H
#define MW_ENV_FILES_H

#include <stdbool.h>

/* Before mdb_env_open, and not while this process has the environment open: closing a descriptor of the lock
 * file gives all locks away. `is_shared`: other processes may do the same at this moment. 0 or errno or what
 * LMDB said. */
int mw_env_files_make(const char *directory, bool is_shared);

struct MDB_env;

/* After mdb_env_open, before the first transaction: a file that was cut short, as by a copy that broke off,
 * gets its length back, as zeros. Those LMDB calls corrupt; what is not there at all would end the process
 * with SIGBUS. */
void mw_env_files_lengthen(struct MDB_env *env);

/* The transaction that is seen to be the newest is on the disk behind this. It may not be before: its process
 * was killed at the sync, or the sync failed, and then the kernel takes for clean what never reached the
 * disk, so that another sync alone says yes to nothing. The next transaction but one would be written over
 * what the disk takes for the newest. 0 or errno or what LMDB said. */
int mw_env_files_settle(struct MDB_env *env);

#endif
