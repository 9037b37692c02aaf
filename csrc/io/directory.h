/* directory.h -- is this folder fit to hold data that must not get lost, and secrets?
 *
 *     mw_directory_open("/var/lib/acme/spool", &e)     made with mode 0700 if it is not there, else examined
 *
 * Refused with MW_IO and a sentence that says what, where and what to do:
 *
 *     what is no directory, or a symbolic link that leads nowhere
 *     a directory of another user, or one that group or others may enter, read or write
 *     a read-only file system, or a directory that we may not write to
 *     a network or cluster file system (NFS, SMB, 9p, Ceph ...): locks and memory maps are what the stores
 *     stand on, and both are promised there only in part
 *
 * Allowed on purpose: overlay (what is written lies in the upper layer, a plain file system), tmpfs (whoever
 * picks it knows what a power cut does), FUSE (its type does not say whether a disk or a network is behind
 * it, and containers run on it; where it can't map memory, opening the store says so), and a symbolic link,
 * which is judged by what it leads to: service managers put one in front of a service's state directory.
 *
 * Only the last part of the path is made. Its entry in the parent directory is synced each time, because who
 * made it may have died before that. Nothing stays open. Thread-safe.
 */
#ifndef MW_DIRECTORY_H
#define MW_DIRECTORY_H

#include "../core/err.h"

enum mw_err mw_directory_open(const char *path, struct mw_error *e);

/* The name of a file system that no store may live on, by statfs's f_type; NULL if it is fit. */
const char *mw_directory_unfit(long f_type);

#endif
