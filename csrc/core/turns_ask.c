/* turns_ask.c -- what whoever fetches turns asks the script, and what comes of the answer. */
#include "turns_own.h"

enum {
	ASK_EVERY_MS = 10, /* between two questions, whatever was answered */
	FAILED_MS = 50,    /* and after one that failed, doubling ... */
	FAILED_MAX_MS = 1000,
	TAKEN_MS = 40,     /* a slot that another has being over, all ask in so long, by chance, doubling */
	TAKEN_TIMES = 3,   /* ... so often */
	LONG_MS = 1000,    /* a wait in which a quarter of it more or less is nothing */
	JUMP_US = 2000,    /* two clocks that go alike differ by less, the round trips aside ... */
	JUMP_SHARE = 2000, /* ... and by less than a 2,000th of the time between */
	JUMP_AGE_US = 10000000, /* what was seen longer ago says too little */
	LATE_MIN_US = 2000,     /* of its window a slot must have so much left */
};

/* Whoever was paused, parked or told to back off wants none for now. */
static bool is_wanted(const struct mw_turn *turn)
{
	const struct mw_lane *lane = turn->lane;
	return !lane || turn->is_out || lane->state == MW_LANE_READY ||
	       (lane->state == MW_LANE_WAITING && lane->held);
}

static void name_account(struct mw_turns *t, const struct mw_weir *w, struct mw_turn *turn,
			 struct mw_turns_ask *out)
{
	uint32_t i = out->count++;
	turn->state = MW_TURN_ASKED;
	t->asked[i] = turn;
	turn->is_full = turn->lane && w && mw_weir_is_laden(w, turn->lane);
	out->accounts[i].is_token = !turn->lane;
	out->accounts[i].name = turn->lane ? mw_lane_account(turn->lane)
					   : (struct mw_span){(const uint8_t *)t->token_name, MW_TURNS_NAME};
	out->accounts[i].is_full = turn->is_full;
	out->accounts[i].is_owed = turn->is_owed;
}

/* Those whose time has come, the longest overdue first; then newcomers. A crowd of these would keep those at
 * the head of the line from fetching their slots. */
static void name_accounts(struct mw_turns *t, const struct mw_weir *w, int64_t now, struct mw_turns_ask *out)
{
	struct mw_turn *turn;
	while (t->tick * TICK_MS <= now && t->wanted_count > 0 && out->count < MW_TURNS_ASKED) {
		if (!(turn = t->ticks[t->tick % MW_TURNS_TICKS].front)) {
			t->tick++;
			continue;
		}
		mw_turns_unhook(t, turn);
		if (!is_wanted(turn))
			continue;
		if (turn->ask_at > now) /* farther ahead than the ring is long */
			mw_turns_ask_from(t, turn, turn->ask_at);
		else
			name_account(t, w, turn, out);
	}
	while ((turn = t->newcomers.front) && out->count < MW_TURNS_ASKED) {
		mw_turns_unhook(t, turn);
		if (is_wanted(turn))
			name_account(t, w, turn, out);
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
	mw_turns_expire(t, now_us);
	mw_turns_turn_ring(t, now);
	int64_t at = t->room > t->given_count ? mw_turns_first_ask(t) : MW_TURNS_NONE;
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
		*wait_ms = wait_until(t, mw_turns_first_ask(t), now);
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
			mw_turns_ask_from(t, t->asked[i], now + wait_ms);
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
		mw_turns_give(t, turn, now_us + us, t->asked_us + us + (int64_t)MS_US * MW_TURN_WINDOW_MS);
		return;
	case MW_TURNS_LINE:
		turn->refused = 0;
		mw_turns_ask_from(
		    t, turn, in_company(now_us / MS_US, wait_ms < ASK_EVERY_MS ? ASK_EVERY_MS : wait_ms));
		return;
	case MW_TURNS_TAKEN:
		mw_turns_ask_from(t, turn, now_us / MS_US + taken_ms(turn, a, i));
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
	mw_turns_turn_ring(t, now);
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
	mw_turns_turn_ring(t, now_us / MS_US);
	end_question(t, now_us / MS_US, wait_ms < FAILED_MAX_MS ? wait_ms : FAILED_MAX_MS);
}
