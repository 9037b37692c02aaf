/* engine.h -- the one background thread that delivers.
 *
 * It owns clock, sockets and the weir. Callers push finished messages and return at once; the thread
 * collects them (at most 5 ms or 128 KB after they came), lets the weir decide and posts batches
 * with libcurl.
 *
 *     any thread: push --> inbox --swap--> depot --next--> http --done--> weir --report--> poll
 *                                      (one commit for many boxes)
 *
 * Every function may be called from any thread, and refuses to work after fork (MW_FORKED).
 * The thread blocks all signals and the library installs no handler.
 */
#ifndef MW_ENGINE_H
#define MW_ENGINE_H

#include "../core/histogram.h"
#include "endpoint.h"
#include "lessee.h"
#include "spool.h"

struct mw_engine;

struct mw_engine_config {
	struct mw_weir_config weir; /* its store and report are the engine's own: leave them NULL */
	const struct mw_spool_config
	    *spool; /* NULL: messages are kept in memory. Its report is the engine's own */
	const char
	    *state_dir; /* without a spool: whose accounts and budget count, as a spool directory's do */
	const char *master_key_file; /* of the vault; NULL: the service manager's, if there is one */
	size_t queue_max; /* bytes that push takes before it says full: undelivered ones in memory, with
			   * a spool those on their way to the disk. 0: the default */
	struct mw_endpoint endpoint; /* where accounts without one of their own send */
	const char *proxy;           /* URL; NULL or "": none, whatever the environment says */
	const char *ca_file;         /* PEM; NULL: the system's */
	int64_t timeout_ms;          /* one request, whole; 0: 30,000 */
	const char *user_agent;      /* NULL: "moonweir/<version>" */
	bool
	    report_delivered; /* keep a report of every delivered message, not only of dead and parked ones */
	bool is_leased; /* permits come by mw_engine_lessee, at weir.rate over all hosts, and not otherwise */
	bool holds; /* sends nothing before mw_engine_start: keys can be saved first, or another process is to
		       send */
};

/* MW_NO_MEMORY, MW_IO, MW_BAD_ENDPOINT, and what mw_spool_open and mw_commons_open say. Strings are copied.
 */
enum mw_err mw_engine_open(const struct mw_engine_config *config, struct mw_engine **out, struct mw_error *e);

/* Send from now on, if the engine holds. In a child process it does nothing. */
void mw_engine_start(struct mw_engine *g);

/* Is this a child of the process that opened it? */
bool mw_engine_is_forked(const struct mw_engine *g);

/* For whoever fetches permits for it, if it is_leased. False: it is not, or after fork. */
bool mw_engine_lessee(struct mw_engine *g, struct mw_lessee *out);

/* Save an account's write key (and endpoint, NULL: the engine's): new, or in place of the old. A parked lane
 * resumes at once. `account` "" is the key for every account that has none of its own. MW_BAD_KEY never
 * repeats the key. */
enum mw_err mw_engine_set_key(struct mw_engine *g, struct mw_span account, struct mw_span write_key,
			      const struct mw_endpoint *endpoint, struct mw_error *e);

/* Take all of the box or nothing. MW_FULL, MW_CLOSED, MW_FORKED, MW_NO_MEMORY; MW_TOO_LARGE (a message or
 * account over its limit, or a box that never fits queue_max or a third of the disk), MW_INVALID (an empty
 * message), MW_IO (the spool's disk has failed). Copies; never blocks on network or disk. */
enum mw_err mw_engine_push(struct mw_engine *g, const struct mw_outbox *box);

/* Wait until all that was pushed before is safe: on disk and synced. Without a spool there is nothing to wait
 * for. MW_TIMEOUT, MW_FORKED, MW_CLOSED; MW_FULL: no room on the disk, and it still waits for some; MW_IO:
 * the disk has failed, and what was pushed since the last sync may be lost. */
enum mw_err mw_engine_sync(struct mw_engine *g, int64_t timeout_ms, struct mw_error *e);

/* The same without waiting, for who has others to serve meanwhile: a mark stands for all that was pushed
 * before it. MW_OK: that is safe. MW_TIMEOUT: not yet. MW_FULL, MW_IO, MW_CLOSED, MW_FORKED as from sync. */
uint64_t mw_engine_mark(struct mw_engine *g);
enum mw_err mw_engine_is_safe(struct mw_engine *g, uint64_t mark, struct mw_error *e);

/* A descriptor that becomes readable when a mark may have become safe, or never will; whoever waits for it
 * reads it empty (an eventfd) and asks again. The engine's own, closed with it. -1: the system has none left.
 */
int mw_engine_safe_fd(struct mw_engine *g);

/* Wait until a box of `bytes` (box->bytes.len) would fit. MW_TIMEOUT, MW_CLOSED, MW_FORKED, MW_TOO_LARGE
 * (never). */
enum mw_err mw_engine_wait_room(struct mw_engine *g, size_t bytes, int64_t timeout_ms);

/* Hurry partial batches and wait until no message is left, or none but those of parked and paused lanes
 * (MW_PARKED). MW_TIMEOUT, MW_FORKED. */
enum mw_err mw_engine_flush(struct mw_engine *g, int64_t timeout_ms);

/* The messages of parked and paused lanes go back to the caller: a report each, MW_OUTCOME_WITHDRAWN, in
 * poll. For who keeps them elsewhere, and pushes them again when the account is well. How many. Not with a
 * spool. */
uint64_t mw_engine_withdraw(struct mw_engine *g);

/* Counters that add up at any instant: accepted = delivered + dead + queued + in_flight. */
struct mw_engine_stats {
	struct mw_weir_stats weir;   /* with the inbox's messages counted as accepted and queued */
	struct mw_spool_stats spool; /* zeros without one */
	struct mw_histogram commits; /* how long they took, in microseconds */
	uint64_t throttled;          /* answers 429 */
	uint64_t reports_lost;       /* not collected by poll in time */
	uint64_t token_requests;     /* of OAuth apps; they are among the requests, and no lane's */
	uint64_t lanes_tokenless;    /* with messages, and whose app's last request for a token failed */
	char token_trouble[256];     /* of one of them: why, for people; "" */
	int64_t gate_ms;             /* how long a server keeps the gate closed; 0: open */
	uint64_t turns_missed;       /* permits that were leased and not used in time */
	int64_t unleased_ms;     /* requests wait, and there is no answer about permits since; 0: there is */
	char lease_trouble[256]; /* why, for people; "" */
};
enum mw_err mw_engine_stats(struct mw_engine *g, struct mw_engine_stats *out);

/* One lane's state, copied out. */
struct mw_engine_lane {
	char account[MW_ACCOUNT_MAX + 1];
	size_t account_len;
	struct mw_counts counts;
	uint64_t queued_bytes;
	uint64_t requests;
	uint64_t bytes_sent;
	enum mw_lane_state state;
	bool has_app;      /* it last sent, or was to send, with the token of an OAuth app */
	bool awaits_token; /* of it; it is waiting then */
	uint32_t attempts;
	int last_status;
	int64_t due_in_ms;    /* waiting and parked: until the next try; else 0 */
	int64_t delivered_ms; /* ago; -1: nothing since the start */
	char last_error[160]; /* of the last failed request, for people; never holds a secret */
};

/* The busiest or all lanes: fills up to `max`, returns how many there are. */
size_t mw_engine_lanes(struct mw_engine *g, struct mw_engine_lane *out, size_t max);

/* The lane of one account; false if it never had a message, or after fork. */
bool mw_engine_lane(struct mw_engine *g, struct mw_span account, struct mw_engine_lane *out);

/* Move finished reports into `each`, oldest first, at most `max`. Returns how many. `each` must not longjmp.
 */
size_t mw_engine_poll(struct mw_engine *g, size_t max, void (*each)(void *context, const struct mw_report *r),
		      void *context);

/* Flush for at most `deadline_ms`, then stop and join the thread; a request under way is cut. MW_TIMEOUT or
 * MW_PARKED (see flush) if messages were left: how many is in `e`. Safe to call twice. Counters and reports
 * stay until free. */
enum mw_err mw_engine_close(struct mw_engine *g, int64_t deadline_ms, struct mw_error *e);

/* Close with deadline 0 if still open, and free. In a child process it does nothing: its copy costs no memory
 * until touched, and may have been copied in the middle of a change. The write keys in it are zeros
 * (keyring.h). */
void mw_engine_free(struct mw_engine *g);

#endif
