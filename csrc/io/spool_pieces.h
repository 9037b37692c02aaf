/* spool_pieces.h -- packs as LMDB keeps them: in pieces of at most a page.
 *
 *     (lane, number)          the pack's first piece, with its head; nearly always all of it
 *     (lane, number, 1)       what a large message has more, behind it: 2 bytes, big endian
 *     (lane, number, 2) ...
 *
 * LMDB finds a single free page at once. For several, which must be neighbours, it reads and merges its list
 * of free pages for each such value anew, and where a large file was in use for a while there are few
 * neighbours: with packs of 16 pages and a backlog of 10 GB, a commit of 128 KB took 240 ms of CPU
 * (spec/bench/soak.c).
 */
#ifndef MW_SPOOL_PIECES_H
#define MW_SPOOL_PIECES_H

#include "../core/pack.h"

#include <lmdb.h>

/* Of a piece that is not the first. */
#define MW_PIECE_KEY_LEN 14

/* A page of 4096 bytes, less what LMDB puts before a large value. */
#define MW_PIECE_MAX MW_PACK_MAX

/* Each returns what LMDB said. Keys have 12 bytes. */

/* A new pack, of any size. */
int mw_pieces_put(MDB_cursor *cursor, const MDB_val *key, const uint8_t *pack, size_t len);

/* As mdb_cursor_get over packs: NEXT, SET_RANGE; PREV, LAST. `value` is the first piece. */
int mw_pieces_seek(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);

/* All of the pack that the cursor is at: `first` itself, or `room`, good until its next use. What is missing
 * is missing in the end. The cursor stays in the pack. */
struct mw_span mw_pieces_join(MDB_cursor *cursor, const MDB_val *first, struct mw_buf *room);

#endif
