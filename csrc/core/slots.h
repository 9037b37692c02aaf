/* slots.h -- permits that were handed out elsewhere, ahead of time: one rate limit for many hosts.
 *
 * All workers of all hosts share one GCRA in Redis (moonweir.redis.budget). To ask it for each request, at
 * the moment the request leaves, would hold the engine up for a round trip; so a worker asks for a few
 * permits ahead, and each is good in a short window of its own only:
 *
 *     Redis     |--- 21.6 ms ---|--- 21.6 ms ---|           slots, one behind the other, whoever gets them
 *     worker A  [ window ]                      [ window ]  30 ms from the slot on
 *     worker B                  [ window ]                  one that is not used is gone
 *
 * No clock is compared with another. The script says how far ahead of its own clock a slot lies, and it ran
 * between our question and its answer. So a slot d us ahead is certainly reached d after the answer, and
 * certainly no older than its window until d + MW_SLOT_WINDOW_MS after the question: the round trip is what
 * the window loses, and an answer that took longer is of no use.
 *
 * At 50 requests/s the slots are (1 s + 30 ms window + 50 ms jitter) / 50 apart: a server for which the way
 * takes now 50 ms longer and now shorter counts at most 50 in any second.
 *
 * The script's clock may be set. Forward, slots that it hands out then fall among those it handed out before:
 * who sees the clock go otherwise than its own did says so, uses nothing of it, and lets the script begin
 * anew behind all that it can have handed out (`anew`).
 *
 * Never reads a clock. `now` is monotonic ms, what ends in _us the same clock. Allocates nothing. Not
 * thread-safe; the engine's core lock guards it.
 */
#ifndef MW_SLOTS_H
#define MW_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/* A slot is good for so long, its round trip included. */
#define MW_SLOT_WINDOW_MS 30

/* The way to the server may take now longer and now shorter by so much. */
#define MW_SLOT_JITTER_MS 50

/* The script hands out no slot that is further ahead: what a worker that died, or the script's clock that was
 * set, can do harm with. A script that begins anew begins behind it. */
#define MW_SLOT_AHEAD_MS 500

/* A worker holds at most what it needs for so long, and never fewer than 8. */
#define MW_SLOT_STOCK_MS 160

/* No wait: nothing is held, and nobody knows when there will be. */
#define MW_SLOTS_NONE INT64_MAX

enum { MW_SLOT_RUNS = 16 };

/* Slots `interval_us` apart; the first is good from from_us to until_us. */
struct mw_slot_run {
	int64_t from_us, until_us, interval_us;
	uint32_t count;
};

struct mw_slots {
	struct mw_slot_run runs[MW_SLOT_RUNS]; /* a ring, the oldest at `first` */
	uint32_t first, run_count;
	int64_t interval_us; /* 0: unlimited, nobody is asked */
	uint32_t stock_max;
	int64_t gate_until;                        /* ms */
	int64_t untold_ms;                         /* a gate that the others don't know of yet; 0: none */
	int64_t asked_us;                          /* since then a question is under way; -1: none is */
	uint32_t asked_count;                      /* ... for so many slots */
	int64_t ask_at;                            /* ms: not before */
	int64_t clock_us;                          /* of the script, when it answered last ... */
	int64_t clock_asked_us, clock_answered_us; /* ... and ours, before and after; -1: it never did */
	bool anew;
	uint32_t failures; /* questions in a row without a usable answer */
	uint64_t missed;   /* slots that went unused */
};

/* `per_second` as in rate.h; 0: unlimited, but for the gate. */
void mw_slots_init(struct mw_slots *s, double per_second);

struct mw_slots_ask {
	uint32_t count; /* slots wanted; 0: only the gate is told, or the script is to begin anew */
	int64_t interval_us;
	int64_t gate_ms; /* to close for all; 0: leave it */
	bool anew;
};

/* `wanted` requests wait for permits. True: ask this now, and give the answer to grant, or say failed. False:
 * not before *wait_ms (MW_SLOTS_NONE: not before more are wanted). */
bool mw_slots_ask(struct mw_slots *s, uint32_t wanted, int64_t now_us, struct mw_slots_ask *out,
		  int64_t *wait_ms);

/* Would it be worth while to call ask? */
bool mw_slots_has_question(const struct mw_slots *s, uint32_t wanted);

struct mw_lease {
	int64_t clock_us;    /* of the script */
	int64_t ahead_us;    /* the first slot, from there */
	uint32_t count;      /* of slots */
	int64_t interval_us; /* between them */
	int64_t gate_us;     /* closed for so long; 0: open */
	int64_t retry_us;    /* if there were none: when to ask again */
};

enum mw_slots_verdict {
	MW_SLOTS_TAKEN, /* none may have been to be had */
	MW_SLOTS_LATE,  /* the answer took too long to be of use */
	MW_SLOTS_JUMPED /* the script's clock was set */
};

enum mw_slots_verdict mw_slots_grant(struct mw_slots *s, const struct mw_lease *l, int64_t now_us);

/* There is no answer: ask again in a while that doubles to a second. */
void mw_slots_failed(struct mw_slots *s, int64_t now_us);

/* Ms until a slot may be used; 0: now; MW_SLOTS_NONE. A closed gate outranks slots. */
int64_t mw_slots_wait(struct mw_slots *s, int64_t now);

/* Use one: 0, or the wait, and nothing is used. */
int64_t mw_slots_take(struct mw_slots *s, int64_t now);

/* No permit for `for_ms` from now on, at most MW_RETRY_AFTER_MAX_MS, here and, with the next question,
 * everywhere. */
void mw_slots_close(struct mw_slots *s, int64_t now, int64_t for_ms);

int64_t mw_slots_gate_ms(const struct mw_slots *s, int64_t now);

#endif
