/* turns_model.h -- what the script of lua/moonweir/redis/budget.lua does in Redis, once more in C, for the
 * simulations. spec/redis_turns_spec.lua compares the two, step by step.
 *
 * Accounts are numbers. Times are us of the script's clock.
 */
#ifndef MW_TURNS_MODEL_H
#define MW_TURNS_MODEL_H

#include "../../csrc/core/turns.h"

#include <stdlib.h>
#include <string.h>

enum { MODEL_AHEAD_US = 1000 * MW_TURN_AHEAD_MS, MODEL_GRACE_US = 3000000, MODEL_LEAST_US = 10000 };
enum { MODEL_LONG_US = 5000000, MODEL_GATE_US = 300000000, MODEL_POPS = 256, MODEL_DEAD = 100 };

/* Of those who lost a turn. */
static const int64_t MODEL_FRONT = -(INT64_C(1) << 52);

/* A sorted set: by place. */
struct model_line {
	struct model_place {
		int64_t place;
		uint32_t account;
	} * at;
	uint32_t count, room;
};

struct model_account {
	int64_t line, laden; /* places; 0: it stands there not */
	int64_t due;         /* -1: none */
	int64_t slot;        /* passed: as good as none */
	bool is_fetched;
};

struct model {
	bool exists;
	int64_t next, gate, clock, ticket, passed;
	uint64_t run;
	struct model_line line, laden;
	struct model_account *accounts;
	uint32_t accounts_count;
	int64_t due_least; /* nobody's due is before it */
};

static inline void model_init(struct model *m, uint32_t accounts)
{
	*m = (struct model){.accounts_count = accounts, .accounts = malloc(accounts * sizeof *m->accounts)};
	for (uint32_t i = 0; i < accounts; i++)
		m->accounts[i] = (struct model_account){.due = -1, .slot = -1};
}

static inline void model_deinit(struct model *m)
{
	free(m->accounts);
	free(m->line.at);
	free(m->laden.at);
	*m = (struct model){.exists = false};
}

static inline void model_copy_line(struct model_line *to, const struct model_line *from)
{
	to->at = realloc(to->at, (from->count + 1) * sizeof *to->at);
	if (from->count > 0)
		memcpy(to->at, from->at, from->count * sizeof *to->at);
	to->room = to->count = from->count;
}

/* As if Redis had been written to disk and read again. Both are initialized, for as many accounts. */
static inline void model_copy(struct model *to, const struct model *from)
{
	struct model old = *to;
	*to = *from;
	to->accounts = old.accounts;
	memcpy(to->accounts, from->accounts, from->accounts_count * sizeof *to->accounts);
	to->line = old.line;
	to->laden = old.laden;
	model_copy_line(&to->line, &from->line);
	model_copy_line(&to->laden, &from->laden);
}

static inline uint32_t model_rank(const struct model_line *l, int64_t place)
{
	uint32_t low = 0, high = l->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (l->at[middle].place < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline void model_add(struct model_line *l, int64_t *kept, int64_t place, uint32_t account)
{
	if (l->count == l->room || !l->at) {
		l->room = 2 * l->room + 16;
		l->at = realloc(l->at, l->room * sizeof *l->at);
	}
	uint32_t at = model_rank(l, place);
	memmove(l->at + at + 1, l->at + at, (l->count++ - at) * sizeof *l->at);
	l->at[at] = (struct model_place){place, account};
	*kept = place;
}

static inline void model_remove(struct model_line *l, int64_t *kept)
{
	if (*kept == 0)
		return;
	uint32_t at = model_rank(l, *kept);
	memmove(l->at + at, l->at + at + 1, (--l->count - at) * sizeof *l->at);
	*kept = 0;
}

static inline void model_leave(struct model *m, uint32_t account)
{
	struct model_account *a = &m->accounts[account];
	model_remove(&m->line, &a->line);
	model_remove(&m->laden, &a->laden);
	a->due = -1;
}

/* Accounts that nobody asked for when they were due leave: the longest overdue first, not all at once. */
static inline void model_forget(struct model *m, int64_t now)
{
	int64_t before = now - MODEL_GRACE_US;
	if (m->due_least > before)
		return;
	for (uint32_t count = 0; count < MODEL_DEAD; count++) {
		uint32_t first = UINT32_MAX;
		m->due_least = INT64_MAX;
		for (uint32_t i = 0; i < m->accounts_count; i++) {
			int64_t due = m->accounts[i].due;
			if (due >= 0 && due < m->due_least) {
				m->due_least = due;
				first = i;
			}
		}
		if (m->due_least > before)
			return;
		model_leave(m, first);
	}
	m->due_least = 0;
}

static inline void model_join(struct model *m, uint32_t account, bool is_full, bool is_owed, int64_t now)
{
	struct model_account *a = &m->accounts[account];
	int64_t place = a->line;
	if (place == 0 || (is_owed && place > 0)) {
		model_remove(&m->line, &a->line);
		m->ticket = m->ticket + 1 > now ? m->ticket + 1 : now;
		place = m->ticket + (is_owed ? MODEL_FRONT : 0);
		model_add(&m->line, &a->line, place, account);
	}
	if (is_full && a->laden == 0)
		model_add(&m->laden, &a->laden, place, account);
}

static inline bool model_has_slot(const struct model *m, uint32_t account, int64_t now)
{
	return m->accounts[account].slot >= now;
}

/* Whoever is first in line gets the next slots. */
static inline int64_t model_give(struct model *m, int64_t now, int64_t interval)
{
	int64_t from = m->next > now ? m->next : now;
	int pops = 0;
	while (m->gate <= now && from <= now + MODEL_AHEAD_US && pops < MODEL_POPS) {
		bool any = m->laden.count > 0, out_of_turn = any && m->passed >= MW_LADEN_EVERY - 1;
		struct model_line *l = out_of_turn ? &m->laden : &m->line;
		if (l->count == 0)
			break;
		uint32_t account = l->at[0].account;
		m->passed = any && !out_of_turn ? m->passed + 1 : 0;
		model_leave(m, account);
		m->accounts[account].slot = from;
		m->accounts[account].is_fetched = false;
		from += interval;
		pops++;
	}
	if (pops > 0)
		m->next = from;
	return from;
}

static inline int64_t model_wait(const struct model *m, uint32_t account, bool is_full, bool is_owed,
				 int64_t from, int64_t now, int64_t interval)
{
	const struct model_account *a = &m->accounts[account];
	int64_t rank = model_rank(&m->line, a->line);
	int64_t among =
	    is_full && a->laden != 0 ? MW_LADEN_EVERY * (int64_t)model_rank(&m->laden, a->laden) : rank;
	int64_t wait = from + (among < rank ? among : rank) * interval - now -
		       (is_owed ? MODEL_AHEAD_US : MODEL_AHEAD_US / 2);
	wait = wait > m->gate - now ? wait : m->gate - now;
	wait = wait > MODEL_LEAST_US ? wait : MODEL_LEAST_US;
	int64_t least = wait < MODEL_LONG_US ? wait : MODEL_LONG_US;
	return least > wait / 2 ? least : wait / 2;
}

/* The script, run by a Redis that is called `run`. `accounts` are the numbers of those that the question
 * names. */
static inline void model_run(struct model *m, const struct mw_turns_ask *ask, const uint32_t *accounts,
			     int64_t now, uint64_t run, struct mw_turns_answer *out)
{
	int64_t behind_all = now + MODEL_AHEAD_US + ask->interval_us;
	if (!m->exists)
		m->gate = m->ticket = m->passed = 0;
	if (ask->anew || !m->exists || m->run != run || m->next > behind_all || m->clock > now + 1000) {
		m->next = behind_all;
		for (uint32_t i = 0; i < m->accounts_count; i++)
			m->accounts[i].slot = -1;
	}
	m->exists = true;
	m->run = run;
	m->clock = now;
	if (m->gate > now + MODEL_GATE_US)
		m->gate = now + MODEL_GATE_US;
	if (ask->gate_ms > 0 && now + ask->gate_ms * 1000 > m->gate)
		m->gate = now + ask->gate_ms * 1000;
	model_forget(m, now);
	for (uint32_t i = 0; i < ask->count; i++)
		if (!model_has_slot(m, accounts[i], now))
			model_join(m, accounts[i], ask->accounts[i].is_full, ask->accounts[i].is_owed, now);
	int64_t from = model_give(m, now, ask->interval_us);
	out->clock_us = now;
	out->gate_us = m->gate > now ? m->gate - now : 0;
	out->count = ask->count;
	for (uint32_t i = 0; i < ask->count; i++) {
		struct model_account *a = &m->accounts[accounts[i]];
		if (model_has_slot(m, accounts[i], now)) {
			out->accounts[i].say = a->is_fetched ? MW_TURNS_TAKEN : MW_TURNS_SLOT;
			out->accounts[i].us = a->slot - now;
			a->is_fetched = true;
			continue;
		}
		int64_t wait = model_wait(m, accounts[i], ask->accounts[i].is_full, ask->accounts[i].is_owed,
					  from, now, ask->interval_us);
		a->due = now + wait;
		if (a->due < m->due_least)
			m->due_least = a->due;
		out->accounts[i].say = MW_TURNS_LINE;
		out->accounts[i].us = wait;
	}
}

#endif
