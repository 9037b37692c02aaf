/* turns.h -- turns that were given elsewhere, ahead of time: one rate limit for many hosts, fair to accounts.
 *
 * All workers of all hosts share one GCRA in Redis, and one line of accounts before it
 * (moonweir.redis.budget). An account stands in it once, however many workers hold lanes of it; whoever is
 * first in line is given the next slot. To ask at the moment a request leaves would hold the engine up for a
 * round trip; so a worker asks ahead, for each lane that is ready, and each slot is good in a short window of
 * its own only:
 *
 *     line      acme, zeta, blue, ...                 each account once, first come, first served
 *     slots     |--- 21.6 ms ---|--- 21.6 ms ---|     one behind the other
 *     acme      [ window ]                            30 ms from the slot on, for the worker that fetched
 *     zeta                      [ window ]            it: one that is not used is gone
 *
 * A lane without a turn is held by the weir. Its account is named in the next question, and the answer to
 * that is a slot, or when to ask again. So an account that has something waiting is served after at most one
 * slot of every other that has, and one in MW_LADEN_EVERY for those with full batches, wherever their lanes
 * are.
 *
 * No clock is compared with another. The script says how far ahead of its own clock a slot lies, and it ran
 * between our question and its answer. So a slot d us ahead is certainly reached d after the answer, and
 * certainly no older than its window until d + MW_TURN_WINDOW_MS after the question: the round trip is what
 * the window loses, and an answer that took longer is of no use.
 *
 * At 50 requests/s the slots are (1 s + 30 ms window + 50 ms jitter) / 50 apart: a server for which the way
 * takes now 50 ms longer and now shorter counts at most 50 in any second.
 *
 * The script's clock may be set. Slots that it gives out then fall among those that it gave out before: who
 * sees the clock go otherwise than its own did says so, uses nothing of it, and lets the script begin anew
 * behind all that it can have given out (`anew`).
 *
 * Lost turns. A request that had to connect first, or that curl sends once more by itself, comes when its
 * turn is over, and refused it would lose the connection again. It may take the turn of another lane of this
 * worker, which then has the one that it would have had, or is owed one. Who is owed a turn comes before all
 * others in line, once.
 *
 * Never reads a clock. `now` is monotonic ms, what ends in _us the same clock. A lane's turn is made when it
 * is first wanted and goes with the lane, which must live as long as this does; nothing else is allocated.
 * Not thread-safe; the engine's core lock guards it.
 */
#ifndef MW_TURNS_H
#define MW_TURNS_H

#include "turn.h"
#include "weir.h"

/* A slot is good for so long, its round trip included. */
#define MW_TURN_WINDOW_MS 30

/* The way to the server may take now longer and now shorter by so much. */
#define MW_TURN_JITTER_MS 50

/* The script gives out no slot that is further ahead: what a worker that died, or the script's clock that was
 * set, can do harm with. A script that begins anew begins behind it. */
#define MW_TURN_AHEAD_MS 500

/* While a lane waits, the script is asked so often at least, if only for its clock: whether it was set. */
#define MW_TURN_BEAT_MS 5000

/* No wait: there is no turn, and nobody knows when there will be. */
#define MW_TURNS_NONE INT64_MAX

/* Accounts in one question; requests for tokens are named by so many characters. */
enum { MW_TURNS_ASKED = 64, MW_TURNS_TICKS = 512, MW_TURNS_NAME = 16 };

struct mw_turns {
	int64_t interval_us;                       /* 0: unlimited, nobody is asked */
	uint32_t room;                             /* turns that can be used: requests that may still leave */
	int64_t gate_until;                        /* ms */
	int64_t untold_ms;                         /* a gate that the others don't know of yet; 0: none */
	struct mw_turn_list ticks[MW_TURNS_TICKS]; /* WANTED: a ring, by the 10 ms in which to ask */
	int64_t tick;                              /* the first that may hold any */
	struct mw_turn_list newcomers;             /* WANTED, and not in line yet */
	uint32_t wanted_count;
	struct mw_turn_list given; /* by from_us */
	uint32_t given_count;
	struct mw_turn *asked[MW_TURNS_ASKED]; /* in the question under way; answered in this order */
	uint32_t asked_count;
	int64_t asked_us;                          /* since then it is under way; -1: none is */
	int64_t ask_at;                            /* ms: not before */
	int64_t clock_us;                          /* of the script, when it answered last ... */
	int64_t clock_asked_us, clock_answered_us; /* ... and ours, before and after; -1: it never did */
	bool anew;
	bool has_news;     /* since the last call of ask: it is to be called */
	uint32_t failures; /* questions in a row without a usable answer */
	uint64_t missed;   /* turns that went unused */
	char token_name[MW_TURNS_NAME + 1];
};

/* `per_second` as in rate.h; 0: unlimited, but for the gate. `name` is this worker's and nobody else's: what
 * its requests for tokens are called in line. */
void mw_turns_init(struct mw_turns *t, double per_second, uint64_t name, uint32_t room);

/* Requests that may still leave; with none nothing is asked. */
void mw_turns_set_room(struct mw_turns *t, uint32_t room);

/* What this turn is for waits for it, from now on: its lane, or (a turn without one) a request for a token.
 */
void mw_turns_want(struct mw_turns *t, struct mw_turn *turn, int64_t now_us);

/* Nobody waits for it any more. NULL is fine. */
void mw_turns_drop(struct mw_turns *t, struct mw_turn *turn);

/* ---- at the weir */

/* May this request of mw_weir_next leave? True: it is out from now on. False: it was given back to the weir,
 * which holds its lane until the turn. */
bool mw_turns_admit(struct mw_turns *t, struct mw_weir *w, const struct mw_request *r, int64_t now_us);

/* Releases the lanes whose turn has come, and has those asked for again that have got a full batch meanwhile.
 * Ms until the next has; MW_TURNS_NONE. *token: so has the one for requests for tokens. */
int64_t mw_turns_call(struct mw_turns *t, struct mw_weir *w, int64_t now_us, bool *token);

/* The request is no longer out. Unless it comes again by itself (is_unsent), a turn that it still has, or
 * waits for, is dropped. */
void mw_turns_done(struct mw_turns *t, struct mw_turn *turn, bool is_unsent);

/* The same for a request for a token. Without a turn it is wanted from now on. */
bool mw_turns_admit_token(struct mw_turns *t, struct mw_turn *turn, int64_t now_us);

/* ---- where bytes leave */

/* Use the turn, or another lane's: 0. Else ms to wait, and nothing is used: MW_TURNS_NONE if none is given. A
 * closed gate outranks turns. */
int64_t mw_turns_take(struct mw_turns *t, struct mw_turn *turn, int64_t now_us);

/* ---- whoever asks the script */

struct mw_turns_ask {
	uint32_t count; /* of accounts; 0: the gate is told, the script is to begin anew, or the clock is
			   asked for */
	struct {
		struct mw_span name; /* borrowed from the lane */
		bool is_token;       /* it is no account's: the two may be called the same */
		bool is_full;        /* a full batch waits */
		bool is_owed;
	} accounts[MW_TURNS_ASKED];
	int64_t interval_us;
	int64_t gate_ms; /* to close for all; 0: leave it */
	bool anew;
};

/* True: ask this now, and give the answer to grant, or say failed. False: not before *wait_ms
 * (MW_TURNS_NONE: not before has_news). */
bool mw_turns_ask(struct mw_turns *t, const struct mw_weir *w, int64_t now_us, struct mw_turns_ask *out,
		  int64_t *wait_ms);

enum mw_turns_say {
	MW_TURNS_SLOT,  /* it has this slot, so many us ahead */
	MW_TURNS_LINE,  /* it stands in line: ask again in so many us */
	MW_TURNS_TAKEN, /* another worker's lane has the account's slot, so many us ahead; then ask again */
};

struct mw_turns_answer {
	int64_t clock_us; /* of the script */
	int64_t gate_us;  /* closed for so long; 0: open */
	uint32_t count;   /* as many as were asked for */
	struct {
		enum mw_turns_say say;
		int64_t us;
	} accounts[MW_TURNS_ASKED];
};

enum mw_turns_verdict {
	MW_TURNS_GRANTED, /* none may have been to be had */
	MW_TURNS_LATE,    /* the answer took too long to be of use */
	MW_TURNS_JUMPED   /* the script's clock was set */
};

enum mw_turns_verdict mw_turns_grant(struct mw_turns *t, const struct mw_turns_answer *a, int64_t now_us);

/* There is no answer: ask again in a while that doubles to a second. */
void mw_turns_failed(struct mw_turns *t, int64_t now_us);

/* Does anybody wait for a turn that is not given yet? */
static inline bool mw_turns_is_awaited(const struct mw_turns *t)
{
	return t->wanted_count + t->asked_count > 0;
}

/* ---- the gate */

/* Nothing leaves for `for_ms` from now on, at most MW_RETRY_AFTER_MAX_MS, here and, with the next question,
 * everywhere. */
void mw_turns_close(struct mw_turns *t, int64_t now, int64_t for_ms);

int64_t mw_turns_gate_ms(const struct mw_turns *t, int64_t now);

#endif
