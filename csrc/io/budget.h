/* budget.h -- one rate limit for all processes of a host.
 *
 * The two numbers of core/rate.h, in a file that every process maps: at 50 requests/s the permits of all of
 * them together are 21 ms apart, whoever takes them. A restart finds what was taken before it. A gate that
 * one process closes is closed for all.
 *
 *     process A   take(1000) = 0    take(1000) = 21                     take(1042) = 0
 *     process B                     take(1010) = 11    take(1021) = 0
 *
 * A budget starts empty: the first permit of a new file, of one that an earlier boot left behind and of a
 * damaged one comes an interval after the first time it is asked for, so that no loop of restarts gets more
 * than the rate. An earlier boot's gate is forgotten with its clock.
 *
 * The interval is each caller's own configuration; all should have the same. If they differ, the permits of
 * all together keep to the highest of the rates, but the slower ones get more than their own. A caller whose
 * rate is 0 (unlimited) neither waits for the others' permits nor counts against them; the gate holds it too.
 *
 * No locks: taking is one compare-and-swap, so a process can be killed at any moment, or stopped, and the
 * others go on. Thread-safe, and a child may go on using its parent's budget after fork.
 *
 * Never reads a clock: `now` is CLOCK_MONOTONIC in ms, the same for every process of a boot; processes in
 * another time namespace need a file of their own. It may be out of date when it gets here (a process can be
 * stopped after it read the clock): everybody reckons with the latest time that anybody came with.
 * A damaged number blocks nothing for longer than MW_RETRY_AFTER_MAX_MS.
 */
#ifndef MW_BUDGET_H
#define MW_BUDGET_H

#include "../core/err.h"

#include <stdint.h>

struct mw_budget;

/* The file is made (mode 0600) if it is not there; its folder has to be. MW_IO: it can't be used, and why
 * (see mapfile.h). MW_INVALID: not a rate. MW_NO_MEMORY. */
enum mw_err mw_budget_open(const char *path, double per_second, struct mw_budget **out, struct mw_error *e);

/* The file stays. */
void mw_budget_free(struct mw_budget *b);

/* Take a permit: 0, or the milliseconds to wait before asking again, and nothing is taken. */
int64_t mw_budget_take(struct mw_budget *b, int64_t now);

/* Milliseconds until a permit may be had; 0: now, unless another process is faster. */
int64_t mw_budget_wait(struct mw_budget *b, int64_t now);

/* No permit for anybody for `for_ms` from now on, at most MW_RETRY_AFTER_MAX_MS; never opens it early. */
void mw_budget_close_gate(struct mw_budget *b, int64_t now, int64_t for_ms);

/* How long the gate stays closed; 0: open. */
int64_t mw_budget_gate_ms(struct mw_budget *b, int64_t now);

#endif
