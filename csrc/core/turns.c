#include "turns_own.h"

#include "limits.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	HOLD_MS = 3600 * 1000, /* none is forgotten, should nothing release it */
	NO_MEMORY_MS = 100,
};

void mw_turns_init(struct mw_turns *t, double per_second, uint64_t name, uint32_t room)
{
	*t = (struct mw_turns){.asked_us = -1, .clock_answered_us = -1, .room = room};
	snprintf(t->token_name, sizeof t->token_name, "%016llx", (unsigned long long)name);
	if (!(per_second > 0))
		return;
	double second_us = 1000.0 * (1000 + MW_TURN_WINDOW_MS + MW_TURN_JITTER_MS);
	double interval = second_us / per_second;
	t->interval_us = interval < 1 ? 1 : interval > 1e12 ? (int64_t)1e12 : (int64_t)interval + 1;
}

/* ---- lists */

static void insert_after(struct mw_turn_list *l, struct mw_turn *before, struct mw_turn *turn)
{
	struct mw_turn *next = before ? before->next : l->front;
	turn->before = before;
	turn->next = next;
	*(before ? &before->next : &l->front) = turn;
	*(next ? &next->before : &l->back) = turn;
}

static void unlink_from(struct mw_turn_list *l, struct mw_turn *turn)
{
	*(turn->before ? &turn->before->next : &l->front) = turn->next;
	*(turn->next ? &turn->next->before : &l->back) = turn->before;
	turn->next = turn->before = NULL;
}

static struct mw_turn_list *list_of(struct mw_turns *t, const struct mw_turn *turn)
{
	return turn->state == MW_TURN_GIVEN ? &t->given
	       : turn->is_new               ? &t->newcomers
					    : &t->ticks[turn->tick % MW_TURNS_TICKS];
}

void mw_turns_unhook(struct mw_turns *t, struct mw_turn *turn)
{
	if (turn->state == MW_TURN_WANTED || turn->state == MW_TURN_GIVEN)
		unlink_from(list_of(t, turn), turn);
	t->wanted_count -= turn->state == MW_TURN_WANTED;
	t->given_count -= turn->state == MW_TURN_GIVEN;
	turn->state = MW_TURN_NONE;
	turn->is_new = false;
}

/* To be asked for when there is room in a question, behind those who came before. */
static void ask_newly(struct mw_turns *t, struct mw_turn *turn, int64_t at)
{
	turn->state = MW_TURN_WANTED;
	turn->is_new = true;
	turn->ask_at = at;
	insert_after(&t->newcomers, t->newcomers.back, turn);
	t->wanted_count++;
}

void mw_turns_ask_from(struct mw_turns *t, struct mw_turn *turn, int64_t at)
{
	int64_t tick = (at + TICK_MS - 1) / TICK_MS;
	mw_turns_unhook(t, turn);
	if (tick < t->tick)
		tick = t->tick;
	if (tick >= t->tick + MW_TURNS_TICKS)
		tick = t->tick + MW_TURNS_TICKS - 1;
	turn->state = MW_TURN_WANTED;
	turn->tick = tick;
	turn->ask_at = at;
	struct mw_turn_list *l = list_of(t, turn);
	insert_after(l, l->back, turn);
	t->wanted_count++;
}

void mw_turns_give(struct mw_turns *t, struct mw_turn *turn, int64_t from_us, int64_t until_us)
{
	mw_turns_unhook(t, turn);
	turn->state = MW_TURN_GIVEN;
	turn->from_us = from_us;
	turn->until_us = until_us;
	turn->is_called = false;
	struct mw_turn *before = t->given.back;
	while (before && before->from_us > from_us)
		before = before->before;
	insert_after(&t->given, before, turn);
	t->given_count++;
}

/* The ring begins with the first tick that holds any, or with the present one. */
void mw_turns_turn_ring(struct mw_turns *t, int64_t now)
{
	int64_t tick = now / TICK_MS;
	if (t->wanted_count == 0 && t->tick < tick)
		t->tick = tick;
	while (t->tick < tick && !t->ticks[t->tick % MW_TURNS_TICKS].front)
		t->tick++;
}

/* When the first is to be asked for, ms. */
int64_t mw_turns_first_ask(const struct mw_turns *t)
{
	if (t->newcomers.front)
		return t->newcomers.front->ask_at;
	for (int64_t tick = t->tick; t->wanted_count > 0 && tick < t->tick + MW_TURNS_TICKS; tick++)
		if (t->ticks[tick % MW_TURNS_TICKS].front)
			return tick * TICK_MS;
	return MW_TURNS_NONE;
}

/* ---- turns that are lost */

/* It went by, or another request used it. */
static void lose(struct mw_turns *t, struct mw_turn *turn, bool is_owed, int64_t now_us)
{
	mw_turns_unhook(t, turn);
	mw_turns_turn_ring(t, now_us / MS_US);
	turn->is_owed = is_owed;
	/* Of a request that is out nobody knows when it will be able to leave. */
	if (!turn->lane || turn->is_out)
		return;
	mw_turns_ask_from(t, turn, now_us / MS_US);
	t->has_news = true;
}

/* Turns whose window is over by `us` are lost. One that made up for another is not made up for. */
void mw_turns_expire(struct mw_turns *t, int64_t us)
{
	struct mw_turn *turn;
	while ((turn = t->given.front) && turn->until_us < us) {
		t->missed++;
		lose(t, turn, !turn->is_owed, us);
	}
}

void mw_turns_set_room(struct mw_turns *t, uint32_t room)
{
	if (t->room <= t->given_count && room > t->given_count)
		t->has_news = true;
	t->room = room;
}

void mw_turns_want(struct mw_turns *t, struct mw_turn *turn, int64_t now_us)
{
	if (turn->state != MW_TURN_NONE || t->interval_us == 0)
		return;
	mw_turns_turn_ring(t, now_us / MS_US);
	int64_t at = now_us / MS_US / TICK_MS * TICK_MS;
	if (turn->is_owed)
		mw_turns_ask_from(t, turn, at);
	else
		ask_newly(t, turn, at);
	turn->refused = 0;
	t->has_news = true;
}

void mw_turns_drop(struct mw_turns *t, struct mw_turn *turn)
{
	if (!turn)
		return;
	mw_turns_unhook(t, turn);
	turn->is_owed = false;
}

/* ---- at the weir */

int64_t mw_turns_gate_ms(const struct mw_turns *t, int64_t now)
{
	return t->gate_until > now ? t->gate_until - now : 0;
}

/* `now` was cut to a millisecond: it is anywhere within. */
static int64_t wait_for(const struct mw_turn *turn, int64_t now)
{
	int64_t at_least = now * MS_US;
	return turn->from_us <= at_least ? 0 : (turn->from_us - at_least + MS_US - 1) / MS_US;
}

/* May what this turn is for leave now? */
static bool is_good(const struct mw_turns *t, const struct mw_turn *turn, int64_t now)
{
	return t->interval_us == 0 ||
	       (turn->state == MW_TURN_GIVEN && wait_for(turn, now) == 0 && mw_turns_gate_ms(t, now) == 0);
}

/* The lane's turn; NULL if memory is short. */
static struct mw_turn *turn_of(struct mw_lane *lane)
{
	if (!lane->turn && (lane->turn = calloc(1, sizeof *lane->turn)))
		lane->turn->lane = lane;
	return lane->turn;
}

bool mw_turns_admit(struct mw_turns *t, struct mw_weir *w, const struct mw_request *r, int64_t now_us)
{
	int64_t now = now_us / MS_US;
	if (t->interval_us == 0)
		return true;
	struct mw_turn *turn = turn_of(r->lane);
	mw_turns_expire(t, now * MS_US + MS_US - 1);
	if (turn && is_good(t, turn, now)) {
		turn->is_out = true;
		return true;
	}
	if (turn)
		mw_turns_want(t, turn, now_us);
	mw_weir_hold(w, r, false, now + (turn ? HOLD_MS : NO_MEMORY_MS), now);
	return false;
}

bool mw_turns_admit_token(struct mw_turns *t, struct mw_turn *turn, int64_t now_us)
{
	mw_turns_expire(t, now_us / MS_US * MS_US + MS_US - 1);
	/* One that another request was sent on its way with is that one's. */
	if (is_good(t, turn, now_us / MS_US) && (!turn->is_out || t->interval_us == 0)) {
		turn->is_out = true;
		return true;
	}
	if (turn->state == MW_TURN_NONE)
		turn->is_out = false;
	mw_turns_want(t, turn, now_us);
	return false;
}

/* Who has got a full batch may be served sooner, if that is known. */
static void tell_swollen(struct mw_turns *t, struct mw_weir *w, int64_t now)
{
	struct mw_lane *lane;
	while (t->interval_us > 0 && (lane = mw_weir_swollen(w)))
		if (lane->turn && lane->turn->state == MW_TURN_WANTED && !lane->turn->is_new &&
		    !lane->turn->is_full) {
			mw_turns_turn_ring(t, now);
			mw_turns_ask_from(t, lane->turn, now / TICK_MS * TICK_MS);
			t->has_news = true;
		}
}

int64_t mw_turns_call(struct mw_turns *t, struct mw_weir *w, int64_t now_us, bool *token)
{
	int64_t now = now_us / MS_US;
	*token = false;
	tell_swollen(t, w, now);
	mw_turns_expire(t, now * MS_US + MS_US - 1);
	for (struct mw_turn *turn = t->given.front; turn; turn = turn->next) {
		int64_t wait = wait_for(turn, now);
		if (wait > 0)
			return wait;
		if (turn->is_called)
			continue;
		turn->is_called = true;
		if (!turn->lane)
			*token = true;
		else if (!turn->is_out)
			mw_weir_release(w, turn->lane, now);
	}
	return MW_TURNS_NONE;
}

void mw_turns_done(struct mw_turns *t, struct mw_turn *turn, bool is_unsent)
{
	if (!turn)
		return;
	turn->is_out = false;
	if (!is_unsent)
		mw_turns_drop(t, turn);
}

/* ---- where bytes leave */

/* Another's turn that is good now is used; that has ours in its place, if we have one that is still to come.
 */
static void exchange(struct mw_turns *t, struct mw_turn *turn, struct mw_turn *other, int64_t now_us)
{
	int64_t from_us = turn->from_us, until_us = turn->until_us;
	bool has_other = turn->state == MW_TURN_GIVEN;
	mw_turns_drop(t, turn);
	if (has_other)
		mw_turns_give(t, other, from_us, until_us);
	else
		lose(t, other, true, now_us);
}

int64_t mw_turns_take(struct mw_turns *t, struct mw_turn *turn, int64_t now_us)
{
	int64_t now = now_us / MS_US, gate = mw_turns_gate_ms(t, now);
	if (gate > 0 || t->interval_us == 0)
		return gate;
	mw_turns_expire(t, now * MS_US + MS_US - 1);
	if (turn->state == MW_TURN_GIVEN && wait_for(turn, now) == 0) {
		mw_turns_drop(t, turn);
		return 0;
	}
	struct mw_turn *first = t->given.front;
	if (first && wait_for(first, now) == 0) {
		exchange(t, turn, first, now_us);
		return 0;
	}
	turn->is_owed = true;
	mw_turns_want(t, turn, now_us);
	if (t->room <= t->given_count)
		mw_turns_set_room(t, t->given_count + 1);
	return first ? wait_for(first, now) : MW_TURNS_NONE;
}

/* ---- the gate */

void mw_turns_close(struct mw_turns *t, int64_t now, int64_t for_ms)
{
	if (for_ms > MW_RETRY_AFTER_MAX_MS)
		for_ms = MW_RETRY_AFTER_MAX_MS;
	if (for_ms <= 0 || t->gate_until >= now + for_ms)
		return;
	t->gate_until = now + for_ms;
	t->untold_ms = for_ms;
	t->has_news = true;
}
