/* board.h -- an engine's state, on show for other processes.
 *
 * The engine writes its counters and its busiest lanes to a file in its partition a few times a second;
 * `moonweir top` reads them without asking it anything, and nothing it does can slow the engine down. What an
 * engine wrote last stays readable after its death; the next one to open the file begins a new one.
 *
 *     engine                                          moonweir top
 *     mw_board_open("spool/1/board", &b, e)
 *     mw_board_write(b, &totals, lanes, 12)           mw_board_read("spool/1/board", &copy, e)
 *
 * Two places take turns: a snapshot is written to the one, while the one before it can be read from the
 * other. So a reader sees whole snapshots only, even of an engine that was killed while it wrote.
 *
 * About 250 KB, mode 0600. Holds accounts' names and what servers said, never a write key: the writer gives
 * no such thing. Not meant to survive the machine; nothing is synced.
 */
#ifndef MW_BOARD_H
#define MW_BOARD_H

#include "../core/err.h"
#include "../core/limits.h"

#include <stdint.h>

enum { MW_BOARD_LANES = 256, MW_BOARD_ERROR_MAX = 160 };

/* As in mw_weir_stats, and how the spool fares. Whatever changes here changes VERSION in board.c. */
struct mw_board_totals {
	uint64_t accepted; /* = delivered + dead + queued + in_flight */
	uint64_t delivered;
	uint64_t dead;
	uint64_t queued;
	uint64_t in_flight;
	uint64_t queued_bytes;
	uint64_t held; /* messages of parked and paused lanes */
	uint64_t requests;
	uint64_t answers;
	uint64_t retries;
	uint64_t splits;
	uint64_t bytes_sent;
	uint64_t lanes;
	uint64_t lanes_parked;
	uint64_t lanes_backing_off;
	int64_t oldest_ms;   /* age of the oldest queued message; -1: none */
	int64_t gate_ms;     /* how long the gate stays closed; 0: open */
	uint64_t rate_milli; /* the budget: thousandths of a request a second; 0: unlimited */
	uint64_t commits;
	uint64_t commit_us_max;
	uint64_t disk_bytes; /* taken by the spool */
	uint64_t disk_max;   /* its budget; 0: none */
	uint64_t closed;     /* 1: these are the last, the engine has come to its end */
	uint64_t lanes_held; /* until their OAuth token is there */
	uint64_t token_requests;
	uint64_t unused[7]; /* zeros: taken from here, a number needs no new VERSION */
};

enum { MW_BOARD_PARKED = 1, MW_BOARD_PAUSED = 2, MW_BOARD_BACKING_OFF = 4, MW_BOARD_AWAITS_TOKEN = 8 };

struct mw_board_lane {
	uint64_t queued;
	uint64_t in_flight;
	uint64_t delivered;
	uint64_t dead;
	int64_t due_in_ms; /* until it may send or probes; -1: nothing is due */
	uint32_t state;    /* enum mw_lane_state */
	uint32_t flags;    /* MW_BOARD_* */
	uint32_t attempts;
	int32_t last_status; /* HTTP, or MW_STATUS_* */
	uint32_t account_len;
	uint32_t
	    delivered_s; /* seconds since the last delivery, and 1; 0: none in this life of the process */
	char account[MW_ACCOUNT_MAX + 1]; /* any bytes; a 0 behind them */
	char last_error[MW_BOARD_ERROR_MAX];
};

/* --- the engine's side: one process, one thread; not to be used by a child after fork --- */

struct mw_board;

/* A new file, in place of what was there; its folder has to be there. MW_IO says why not. MW_NO_MEMORY. */
enum mw_err mw_board_open(const char *path, struct mw_board **out, struct mw_error *e);

/* The first MW_BOARD_LANES of `lanes` are shown, in their order. Copies; waits for nobody. */
void mw_board_write(struct mw_board *b, const struct mw_board_totals *totals,
		    const struct mw_board_lane *lanes, size_t n);

/* The file stays. */
void mw_board_free(struct mw_board *b);

/* --- the other side --- */

struct mw_board_head {
	uint64_t number; /* of this snapshot, from 1 */
	int64_t pid;
	int64_t started_wall_ms; /* since 1970 */
	int64_t written_wall_ms;
	int64_t written_ms; /* CLOCK_MONOTONIC: how long ago, if it is this boot's */
	uint64_t lane_count;
};

struct mw_board_copy {
	struct mw_board_head head;
	struct mw_board_totals totals;
	struct mw_board_lane lanes[MW_BOARD_LANES]; /* head.lane_count of them */
};

/* The last whole snapshot. MW_IO: there is none, and why. About 120 KB: not for a small stack. */
enum mw_err mw_board_read(const char *path, struct mw_board_copy *out, struct mw_error *e);

#endif
