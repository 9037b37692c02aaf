#include "turns.h"

#include "limits.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MS_US = 1000,
	TICK_MS = 10,
	ASK_EVERY_MS = 10, /* between two questions, whatever was answered */
	FAILED_MS = 50,    /* and after one that failed, doubling ... */
	FAILED_MAX_MS = 1000,
	TAKEN_MS = 40,   /* a slot that another has being over, all ask in so long, by chance, doubling */
	TAKEN_TIMES = 3, /* ... so often */
	LONG_MS = 1000,  /* a wait in which a quarter of it more or less is nothing */
	HOLD_MS = 3600 * 1000, /* none is forgotten, should nothing release it */
	NO_MEMORY_MS = 100,
	JUMP_US = 2000,         /* two clocks that go alike differ by less, the round trips aside ... */
	JUMP_SHARE = 2000,      /* ... and by less than a 2,000th of the time between */
	JUMP_AGE_US = 10000000, /* what was seen longer ago says too little */
	LATE_MIN_US = 2000,     /* of its window a slot must have so much left */
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
	return turn->state == MW_TURN_GIVEN ? &t->given : &t->ticks[turn->tick % MW_TURNS_TICKS];
}

/* Out of wherever it is. */
static void unhook(struct mw_turns *t, struct mw_turn *turn)
{
	if (turn->state == MW_TURN_WANTED || turn->state == MW_TURN_GIVEN)
		unlink_from(list_of(t, turn), turn);
	t->wanted_count -= turn->state == MW_TURN_WANTED;
	t->given_count -= turn->state == MW_TURN_GIVEN;
	turn->state = MW_TURN_NONE;
}

/* To be asked for from `at` (ms) on, behind those of the same tick. */
static void ask_from(struct mw_turns *t, struct mw_turn *turn, int64_t at)
{
	int64_t tick = (at + TICK_MS - 1) / TICK_MS;
	unhook(t, turn);
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

static void give(struct mw_turns *t, struct mw_turn *turn, int64_t from_us, int64_t until_us)
{
	unhook(t, turn);
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
static void turn_ring(struct mw_turns *t, int64_t now)
{
	int64_t tick = now / TICK_MS;
	if (t->wanted_count == 0 && t->tick < tick)
		t->tick = tick;
	while (t->tick < tick && !t->ticks[t->tick % MW_TURNS_TICKS].front)
		t->tick++;
}

/* When the first is to be asked for, ms. */
static int64_t first_ask(const struct mw_turns *t)
{
	for (int64_t tick = t->tick; t->wanted_count > 0 && tick < t->tick + MW_TURNS_TICKS; tick++)
		if (t->ticks[tick % MW_TURNS_TICKS].front)
			return tick * TICK_MS;
	return MW_TURNS_NONE;
}

/* ---- turns that are lost */

/* It went by, or another request used it. */
static void lose(struct mw_turns *t, struct mw_turn *turn, bool is_owed, int64_t now_us)
{
	unhook(t, turn);
	turn_ring(t, now_us / MS_US);
	turn->is_owed = is_owed;
	/* Of a request that is out nobody knows when it will be able to leave. */
	if (!turn->lane || turn->is_out)
		return;
	ask_from(t, turn, now_us / MS_US);
	t->has_news = true;
}

/* Turns whose window is over by `us` are lost. One that made up for another is not made up for. */
static void expire(struct mw_turns *t, int64_t us)
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
	turn_ring(t, now_us / MS_US);
	ask_from(t, turn, now_us / MS_US / TICK_MS * TICK_MS);
	turn->refused = 0;
	t->has_news = true;
}

void mw_turns_drop(struct mw_turns *t, struct mw_turn *turn)
{
	if (!turn)
		return;
	unhook(t, turn);
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
	expire(t, now * MS_US + MS_US - 1);
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
	expire(t, now_us / MS_US * MS_US + MS_US - 1);
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
		if (lane->turn && lane->turn->state == MW_TURN_WANTED && !lane->turn->is_full) {
			turn_ring(t, now);
			ask_from(t, lane->turn, now / TICK_MS * TICK_MS);
			t->has_news = true;
		}
}

int64_t mw_turns_call(struct mw_turns *t, struct mw_weir *w, int64_t now_us, bool *token)
{
	int64_t now = now_us / MS_US;
	*token = false;
	tell_swollen(t, w, now);
	expire(t, now * MS_US + MS_US - 1);
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
		give(t, other, from_us, until_us);
	else
		lose(t, other, true, now_us);
}

int64_t mw_turns_take(struct mw_turns *t, struct mw_turn *turn, int64_t now_us)
{
	int64_t now = now_us / MS_US, gate = mw_turns_gate_ms(t, now);
	if (gate > 0 || t->interval_us == 0)
		return gate;
	expire(t, now * MS_US + MS_US - 1);
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
		t->room = t->given_count + 1;
	return first ? wait_for(first, now) : MW_TURNS_NONE;
}

/* ---- whoever asks the script */

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

/* Whoever was paused, parked or told to back off wants none for now. */
static bool is_wanted(const struct mw_turn *turn)
{
	const struct mw_lane *lane = turn->lane;
	return !lane || turn->is_out || lane->state == MW_LANE_READY ||
	       (lane->state == MW_LANE_WAITING && lane->held);
}

/* Those whose time has come, the longest overdue first. */
static void name_accounts(struct mw_turns *t, const struct mw_weir *w, int64_t now, struct mw_turns_ask *out)
{
	while (t->tick * TICK_MS <= now && t->wanted_count > 0 && out->count < MW_TURNS_ASKED) {
		struct mw_turn *turn = t->ticks[t->tick % MW_TURNS_TICKS].front;
		if (!turn) {
			t->tick++;
			continue;
		}
		unhook(t, turn);
		if (!is_wanted(turn))
			continue;
		if (turn->ask_at > now) { /* farther ahead than the ring is long */
			ask_from(t, turn, turn->ask_at);
			continue;
		}
		turn->state = MW_TURN_ASKED;
		t->asked[out->count] = turn;
		out->accounts[out->count].is_token = !turn->lane;
		out->accounts[out->count].name =
		    turn->lane ? mw_lane_account(turn->lane)
			       : (struct mw_span){(const uint8_t *)t->token_name, MW_TURNS_NAME};
		turn->is_full = turn->lane && w && mw_weir_is_laden(w, turn->lane);
		out->accounts[out->count].is_full = turn->is_full;
		out->accounts[out->count].is_owed = turn->is_owed;
		out->count++;
	}
}

/* Who waits long would not notice that the script's clock was set. */
static int64_t next_beat(const struct mw_turns *t)
{
	return t->wanted_count > 0 && t->clock_answered_us >= 0
		   ? t->clock_answered_us / MS_US + MW_TURN_BEAT_MS
		   : MW_TURNS_NONE;
}

static int64_t wait_until(const struct mw_turns *t, int64_t at, int64_t now)
{
	int64_t beat = next_beat(t);
	at = beat > now && beat < at ? beat : at;
	return at == MW_TURNS_NONE ? MW_TURNS_NONE : at > now ? at - now : 0;
}

bool mw_turns_ask(struct mw_turns *t, const struct mw_weir *w, int64_t now_us, struct mw_turns_ask *out,
		  int64_t *wait_ms)
{
	int64_t now = now_us / MS_US;
	*wait_ms = MW_TURNS_NONE;
	if (t->interval_us == 0 || t->asked_us >= 0)
		return false;
	t->has_news = false;
	expire(t, now_us);
	turn_ring(t, now);
	int64_t at = t->room > t->given_count ? first_ask(t) : MW_TURNS_NONE;
	bool has_room = at != MW_TURNS_NONE;
	bool must = t->anew || t->untold_ms > 0 || next_beat(t) <= now;
	if (must)
		at = now;
	/* A gate is told at once. */
	if (at < t->ask_at && (t->untold_ms == 0 || t->failures > 0))
		at = t->ask_at;
	if (at > now) {
		*wait_ms = wait_until(t, at, now);
		return false;
	}
	*out = (struct mw_turns_ask){
	    .interval_us = t->interval_us,
	    .gate_ms = t->untold_ms > 0 ? mw_turns_gate_ms(t, now) : 0,
	    .anew = t->anew,
	};
	if (has_room && !t->anew)
		name_accounts(t, w, now, out);
	if (out->count == 0 && !must) {
		/* None of those was wanted any more. */
		*wait_ms = wait_until(t, first_ask(t), now);
		return false;
	}
	t->asked_us = now_us;
	t->asked_count = out->count;
	return true;
}

/* Did the script's clock go as ours did since it was last seen? */
static bool has_jumped(const struct mw_turns *t, const struct mw_turns_answer *a, int64_t now_us)
{
	int64_t age = now_us - t->clock_answered_us;
	if (t->clock_answered_us < 0 || age > JUMP_AGE_US)
		return false;
	int64_t least = t->asked_us - t->clock_answered_us, most = now_us - t->clock_asked_us;
	int64_t slack = JUMP_US + age / JUMP_SHARE, passed = a->clock_us - t->clock_us;
	return passed < least - slack || passed > most + slack;
}

static void learn_gate(struct mw_turns *t, int64_t gate_us, int64_t now)
{
	/* A gate that was closed meanwhile is told with the next question. */
	if (t->untold_ms > 0 && gate_us >= (mw_turns_gate_ms(t, now) - 1) * MS_US)
		t->untold_ms = 0;
	if (gate_us <= 0)
		return;
	int64_t untold = t->untold_ms;
	mw_turns_close(t, now, gate_us / MS_US + 1);
	t->untold_ms = untold;
}

/* The question is over; whose turn was not given asks again, in a while of its own or in so long. */
static void end_question(struct mw_turns *t, int64_t now, int64_t wait_ms)
{
	t->asked_us = -1;
	t->ask_at = now + (wait_ms < ASK_EVERY_MS ? ASK_EVERY_MS : wait_ms);
	for (uint32_t i = 0; i < t->asked_count; i++)
		if (t->asked[i]->state == MW_TURN_ASKED)
			ask_from(t, t->asked[i], now + wait_ms);
	t->asked_count = 0;
}

/* Lanes of one account on many workers want each slot of it: chance says who asks first, and they ask the
 * less often the more of them there are. */
static int64_t taken_ms(struct mw_turn *turn, const struct mw_turns_answer *a, uint32_t i)
{
	int64_t most = (int64_t)TAKEN_MS << (turn->refused < TAKEN_TIMES ? turn->refused : TAKEN_TIMES);
	uint64_t chance = (uint64_t)(a->clock_us + i) * 0x9e3779b97f4a7c15u >> 32;
	if (turn->refused < TAKEN_TIMES)
		turn->refused++;
	return (a->accounts[i].us + MS_US - 1) / MS_US + (int64_t)(chance % (uint64_t)most);
}

/* In so long, or a little sooner, with others: one question about many lanes costs Redis less. */
static int64_t in_company(int64_t now, int64_t wait_ms)
{
	int64_t together_ms = wait_ms >= LONG_MS       ? LONG_MS / 4
			      : wait_ms >= LONG_MS / 4 ? LONG_MS / 20
						       : TICK_MS;
	return (now + wait_ms) / together_ms * together_ms;
}

static void take_answer(struct mw_turns *t, const struct mw_turns_answer *a, uint32_t i, int64_t now_us)
{
	struct mw_turn *turn = t->asked[i];
	int64_t us = a->accounts[i].us, wait_ms = (us + MS_US - 1) / MS_US;
	/* It was dropped meanwhile, or asked for twice. */
	if (turn->state != MW_TURN_ASKED && turn->state != MW_TURN_WANTED)
		return;
	switch (a->accounts[i].say) {
	case MW_TURNS_SLOT:
		give(t, turn, now_us + us, t->asked_us + us + (int64_t)MS_US * MW_TURN_WINDOW_MS);
		return;
	case MW_TURNS_LINE:
		turn->refused = 0;
		ask_from(t, turn,
			 in_company(now_us / MS_US, wait_ms < ASK_EVERY_MS ? ASK_EVERY_MS : wait_ms));
		return;
	case MW_TURNS_TAKEN:
		ask_from(t, turn, now_us / MS_US + taken_ms(turn, a, i));
	}
}

enum mw_turns_verdict mw_turns_grant(struct mw_turns *t, const struct mw_turns_answer *a, int64_t now_us)
{
	int64_t now = now_us / MS_US, window_us = (int64_t)MS_US * MW_TURN_WINDOW_MS;
	if (t->asked_us < 0)
		return MW_TURNS_LATE; /* nobody asked */
	bool jumped = has_jumped(t, a, now_us);
	t->clock_us = a->clock_us;
	t->clock_asked_us = t->asked_us;
	t->clock_answered_us = now_us;
	learn_gate(t, a->gate_us, now);
	t->anew = jumped;
	turn_ring(t, now);
	if (jumped) {
		t->failures = 0;
		end_question(t, now, 0);
		return MW_TURNS_JUMPED;
	}
	if (now_us - t->asked_us > window_us - LATE_MIN_US || a->count != t->asked_count) {
		mw_turns_failed(t, now_us);
		return MW_TURNS_LATE;
	}
	t->failures = 0;
	for (uint32_t i = 0; i < a->count; i++)
		take_answer(t, a, i, now_us);
	end_question(t, now, 0);
	return MW_TURNS_GRANTED;
}

void mw_turns_failed(struct mw_turns *t, int64_t now_us)
{
	int64_t wait_ms = (int64_t)FAILED_MS << (t->failures < 8 ? t->failures : 8);
	t->failures++;
	turn_ring(t, now_us / MS_US);
	end_question(t, now_us / MS_US, wait_ms < FAILED_MAX_MS ? wait_ms : FAILED_MAX_MS);
}
