/* state.h -- the store that all processes of a host share: accounts, and later identities and what was seen.
 *
 * An LMDB environment in `<spool>/state/`, made on first use. LMDB does the locking: any number of readers in
 * any number of processes, which never wait, and one writer at a time. A commit is synced when it returns.
 *
 *     mw_state_open("spool", 0, &s, &e);
 *     mw_state_database(s, "accounts", &dbi, &e);
 *     mw_state_read(s, &txn, &e);  mdb_get(txn, dbi, ...);  mw_state_read_end(s, txn);     about 0.2 us
 *     mw_state_write(s, step, context, &e);                                                one synced commit
 *     mw_state_close(s);
 *
 * One process must not open one LMDB environment twice: closing either would drop the locks of both. So
 * states are counted, by device and inode of their directory: opening what is open gives the same one again,
 * whatever the path is called, and the last close closes it.
 *
 * After fork() a state of the parent is of no use in the child: each call says MW_FORKED, and closing it does
 * nothing. The child may open its own.
 *
 * The map begins at MW_STATE_MAP_LEN, which is address space and not memory, doubles when it is full, up to
 * MW_STATE_MAP_MAX, and follows when another process made it grow.
 *
 * A thread has one transaction open at a time: where the map has to move, a second one would wait for the
 * first for ever.
 *
 * Thread-safe. Only state.c and the stores on it know LMDB: the rest of the code has no use for these calls
 * but open and close.
 */
#ifndef MW_STATE_H
#define MW_STATE_H

#include "../core/err.h"

#include <stdbool.h>

struct mw_state;
struct MDB_txn;

/* What is written today. A store of a newer format is refused, an older one is brought up to this. */
enum { MW_STATE_FORMAT = 1 };

/* Opens `<spool>/state`, making both directories (mw_directory_open). `map_len`: the map to begin with, 0 for
 * the usual one. MW_IO: not a fit place; MW_VERSION: a newer format; MW_CORRUPT: no store of ours, or
 * damaged; MW_NO_MEMORY. */
enum mw_err mw_state_open(const char *spool, size_t map_len, struct mw_state **out, struct mw_error *e);
void mw_state_close(struct mw_state *s); /* NULL is fine */

/* A database of the store by name, made if it is not there. */
enum mw_err mw_state_database(struct mw_state *s, const char *name, unsigned *dbi, struct mw_error *e);

/* A snapshot to read from, good until read_end. Short, please: pages that it can see are not used again. */
enum mw_err mw_state_read(struct mw_state *s, struct MDB_txn **txn, struct mw_error *e);
void mw_state_read_end(struct mw_state *s, struct MDB_txn *txn);

/* Runs `step` in the write transaction, waiting for other writers, and commits if it returns MW_OK; otherwise
 * nothing has happened and its error is returned. MW_FULL from step, which mw_state_fail makes of a full map,
 * grows the map and calls step again from the start, so it must be able to begin anew. */
typedef enum mw_err mw_state_step(struct MDB_txn *txn, void *context, struct mw_error *e);
enum mw_err mw_state_write(struct mw_state *s, mw_state_step *step, void *context, struct mw_error *e);

/* What LMDB answered, as an error of ours. `s` is the state that was asked. */
enum mw_err mw_state_fail(const struct mw_state *s, int answer, struct mw_error *e);

/* Is this a process into which `s` was not opened? */
bool mw_state_is_forked(const struct mw_state *s);

#endif
