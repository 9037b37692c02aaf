/* turns_own.h -- what turns.c (at the weir and at the wire) and turns_ask.c (questions and answers) share,
 * and nobody else.
 *
 * A turn is in at most one list: WANTED among the newcomers until it is asked for the first time, and later
 * at a tick of the ring; GIVEN among those that are. ASKED ones are in the question under way.
 */
#ifndef MW_TURNS_OWN_H
#define MW_TURNS_OWN_H

#include "turns.h"

enum { MS_US = 1000, TICK_MS = 10 };

/* Out of wherever it is. */
void mw_turns_unhook(struct mw_turns *t, struct mw_turn *turn);

/* To be asked for from `at` (ms) on, behind those of the same tick. */
void mw_turns_ask_from(struct mw_turns *t, struct mw_turn *turn, int64_t at);

void mw_turns_give(struct mw_turns *t, struct mw_turn *turn, int64_t from_us, int64_t until_us);

/* The ring begins with the first tick that holds any, or with the present one. */
void mw_turns_turn_ring(struct mw_turns *t, int64_t now);

/* When the first is to be asked for, ms; MW_TURNS_NONE. */
int64_t mw_turns_first_ask(const struct mw_turns *t);

/* Turns whose window is over by `us` are lost. */
void mw_turns_expire(struct mw_turns *t, int64_t us);

#endif
