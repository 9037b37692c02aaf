#include "seen_own.h"

#include "../core/limits.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SPAN = 16 }; /* the window's part that a run's ids may be apart */

/* ---- time and clocks */

/* True if the clock went back behind it. */
static bool rejuvenate(struct mw_seen_run *run, uint32_t now_s)
{
	if (run->first_s > now_s)
		run->first_s = now_s;
	if (run->last_s <= now_s)
		return false;
	run->last_s = now_s;
	return true;
}

/* What was seen later than now was seen now, for good: or it would be young again after each start. */
static int rejuvenate_all(struct mw_seen *s)
{
	int rc = 0;
	for (uint32_t i = 0; i < s->run_count && rc == 0; i++)
		if (rejuvenate(&s->runs[i], s->now_s))
			rc = mw_seen_put_head(s, &s->runs[i]);
	rejuvenate(&s->sealing.run, s->now_s);
	rejuvenate(&s->recent.run, s->now_s);
	return rc;
}

/* ---- open */

int mw_seen_open(const struct mw_seen_config *config, MDB_txn *txn, uint32_t now_s, struct mw_seen **out)
{
	struct mw_seen *s = calloc(1, sizeof *s);
	if (!s)
		return ENOMEM;
	s->config = *config;
	if (s->config.max < MW_SEEN_MIN)
		s->config.max = MW_SEEN_MIN;
	/* Enough runs for the bound and those that are sealed for their age, in RUNS_MAX. */
	uint64_t run_ids = s->config.max / 128;
	if (run_ids < MW_SEEN_RUN_MAX)
		run_ids = s->config.max / SPAN < MW_SEEN_RUN_MAX ? s->config.max / SPAN : MW_SEEN_RUN_MAX;
	s->run_ids = run_ids < MW_SEEN_SET_MAX / 2 ? (uint32_t)run_ids : MW_SEEN_SET_MAX / 2;
	s->now_s = now_s;
	s->txn = txn;
	int rc = mw_seen_load(s);
	if (rc == 0)
		rc = rejuvenate_all(s);
	s->txn = NULL;
	if (rc != 0) {
		mw_seen_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static void end_sealing(struct mw_seen *s)
{
	mw_seen_set_deinit(&s->sealing.set);
	free(s->sorted);
	s->sorted = NULL;
	s->sealed = 0;
	s->is_sealed = false;
	s->is_swept = false;
}

void mw_seen_close(struct mw_seen *s)
{
	if (!s)
		return;
	end_sealing(s);
	mw_seen_set_deinit(&s->recent.set);
	for (uint32_t i = 0; i < s->part_count; i++)
		mw_seen_index_deinit(&s->parts[i].index);
	free(s);
}

bool mw_seen_id(const struct mw_seen *s, struct mw_span account, struct mw_span id, struct mw_seen_id *out)
{
	uint8_t text[MW_ACCOUNT_MAX + 1 + 8 * MW_MESSAGE_ID_MAX], hash[crypto_shorthash_siphashx24_BYTES];
	if (!id.at || account.len > MW_ACCOUNT_MAX || id.len > sizeof text - account.len - 1)
		return false;
	memcpy(text, account.at, account.len);
	text[account.len] = '\0';
	memcpy(text + account.len + 1, id.at, id.len);
	crypto_shorthash_siphashx24(hash, text, account.len + 1 + id.len, s->config.key);
	memcpy(out, hash, sizeof *out);
	return true;
}

/* ---- runs */

uint32_t mw_seen_first_log(const struct mw_seen *s)
{
	return s->sorted ? s->sealing.run.number : s->recent.run.number;
}

uint32_t mw_seen_first_run(const struct mw_seen *s)
{
	return s->run_count > 0 ? s->runs[0].number : mw_seen_first_log(s);
}

static void drop_oldest(struct mw_seen *s)
{
	struct mw_seen_part *part = &s->parts[0];
	for (unsigned i = 0; i < part->index.runs; i++)
		if (part->number[i] == s->runs[0].number)
			part->live &= ~(1u << i);
	if (part->live == 0) {
		mw_seen_index_deinit(&part->index);
		memmove(s->parts, s->parts + 1, --s->part_count * sizeof *s->parts);
	}
	s->run_total -= s->runs[0].count;
	memmove(s->runs, s->runs + 1, --s->run_count * sizeof *s->runs);
	s->is_swept = false;
}

bool mw_seen_add_runs(struct mw_seen *s, const struct mw_seen_run *runs, const struct mw_seen_words *words,
		      uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		struct mw_seen_part *part = s->part_count > 0 ? &s->parts[s->part_count - 1] : NULL;
		bool is_new = !part || !mw_seen_index_fits(&part->index, words[done].count);
		if (is_new) {
			part = &s->parts[s->part_count];
			*part = (struct mw_seen_part){.live = 0};
		}
		/* As many as fit, in one pass. */
		struct mw_seen_index as_if = part->index;
		unsigned n = 0;
		while (done + n < count && mw_seen_index_fits(&as_if, words[done + n].count)) {
			if (as_if.runs++ == 0)
				as_if.bits = mw_seen_index_bits(words[done].count);
			as_if.count += words[done + n++].count;
		}
		unsigned first = part->index.runs;
		if (!mw_seen_index_add(&part->index, words + done, n))
			return false;
		s->part_count += is_new;
		for (unsigned i = 0; i < n; i++, done++) {
			part->number[first + i] = runs[done].number;
			part->live |= 1u << (first + i);
			s->runs[s->run_count++] = runs[done];
			s->run_total += runs[done].count;
		}
	}
	return true;
}

/* ---- sealing */

/* Without memory it is put off. */
static void start_sealing(struct mw_seen *s)
{
	s->sorted = mw_seen_set_sorted(&s->recent.set);
	if (!s->sorted)
		return;
	s->sealing = s->recent;
	s->sealing.run.count = s->recent.set.count;
	s->recent = (struct mw_seen_stage){.run = {.number = s->sealing.run.number + 1}};
	if (s->sealing.set.count >= s->run_ids)
		mw_seen_set_reserve(&s->recent.set, &s->sealing.set);
}

/* What is sealed is a run from now on. Without memory for its index, it stays as it is until there is. */
static void finish_sealing(struct mw_seen *s)
{
	const struct mw_seen_words words = {&s->sorted->word[0], sizeof *s->sorted / sizeof(uint32_t),
					    s->sealing.run.count};
	if (s->run_count == MW_SEEN_RUNS_MAX) {
		s->dropped += s->runs[0].count;
		drop_oldest(s);
	}
	if (mw_seen_add_runs(s, &s->sealing.run, &words, 1))
		end_sealing(s);
}

/* Is what is recent to be sealed? */
static bool is_due(const struct mw_seen *s)
{
	const uint32_t count = s->recent.set.count;
	return count >= s->run_ids ||
	       (count > 0 && (int64_t)s->now_s - s->recent.run.first_s > s->config.window_s / SPAN);
}

/* Units of ids to seal with a transaction of so many ids: so that the run before is sealed long before this
 * one. */
static uint32_t units_for(const struct mw_seen *s, uint64_t count)
{
	if (!s->sorted || s->is_sealed)
		return 0;
	if (is_due(s))
		return UINT32_MAX;
	return (uint32_t)(1 + 2 * count / MW_SEEN_UNIT);
}

uint64_t mw_seen_pages(const struct mw_seen *s, uint64_t count)
{
	const uint64_t units = units_for(s, count),
		       left = (s->sealing.run.count - s->sealed) / MW_SEEN_UNIT + 1;
	/* Each table's path, once for what is added and once for what is swept. */
	return 3 * 2 * 3 + count / MW_SEEN_LOG_ROW + 1 + 4 * (units < left ? units : left);
}

/* ---- a transaction */

static void forget(struct mw_seen *s, uint64_t coming)
{
	const int64_t window = s->config.window_s;
	while (s->run_count > 0 && mw_seen_age(s, &s->runs[0]) > window)
		drop_oldest(s);
	if (s->sorted && mw_seen_age(s, &s->sealing.run) > window)
		end_sealing(s);
	if (s->recent.set.count > 0 && mw_seen_age(s, &s->recent.run) > window) {
		mw_seen_set_deinit(&s->recent.set);
		s->recent.run = (struct mw_seen_run){.number = s->recent.run.number + 1};
		s->is_swept = false;
	}
	while (s->run_count > 0 && mw_seen_stats(s).count + coming > s->config.max) {
		s->dropped += s->runs[0].count;
		drop_oldest(s);
	}
}

int mw_seen_begin(struct mw_seen *s, MDB_txn *txn, uint32_t now_s, uint64_t count)
{
	s->txn = txn;
	s->cursor = NULL;
	s->now_s = now_s;
	int rc = rejuvenate_all(s);
	forget(s, count);
	if (!s->sorted && is_due(s))
		start_sealing(s);
	s->before = (struct mw_seen_progress){.log_next = s->log_next,
					      .recent = s->recent.set.count,
					      .first_s = s->recent.run.first_s,
					      .last_s = s->recent.run.last_s,
					      .sealed = s->sealed,
					      .is_sealed = s->is_sealed};
	return rc;
}

static int look_into_runs(struct mw_seen *s, const struct mw_seen_id *id, bool *is_known)
{
	int rc = 0;
	for (uint32_t p = s->part_count; p-- > 0 && rc == 0 && !*is_known;) {
		const struct mw_seen_part *part = &s->parts[p];
		unsigned found = mw_seen_index_find(&part->index, id) & part->live;
		for (; found != 0 && rc == 0 && !*is_known; found &= found - 1)
			rc = mw_seen_in_run(s, part->number[__builtin_ctz(found)], id, is_known);
	}
	return rc;
}

int mw_seen_look(struct mw_seen *s, const struct mw_seen_id *ids, unsigned count, bool *is_known)
{
	int rc = 0;
	for (unsigned i = 0; i < count; i++) {
		mw_seen_set_prefetch(&s->recent.set, &ids[i]);
		mw_seen_set_prefetch(&s->sealing.set, &ids[i]);
		for (uint32_t p = 0; p < s->part_count; p++)
			mw_seen_index_prefetch_start(&s->parts[p].index, &ids[i]);
	}
	for (uint32_t p = 0; p < s->part_count; p++)
		for (unsigned i = 0; i < count; i++)
			mw_seen_index_prefetch_entries(&s->parts[p].index, &ids[i]);
	for (unsigned i = 0; i < count && rc == 0; i++) {
		is_known[i] =
		    mw_seen_set_has(&s->recent.set, &ids[i]) || mw_seen_set_has(&s->sealing.set, &ids[i]);
		if (!is_known[i])
			rc = look_into_runs(s, &ids[i], &is_known[i]);
		if (rc != 0 || is_known[i])
			continue;
		if (!mw_seen_set_add(&s->recent.set, &ids[i])) {
			s->dropped++;
			continue;
		}
		if (s->recent.set.count == 1)
			s->recent.run.first_s = s->now_s;
		s->recent.run.last_s = s->now_s;
	}
	return rc;
}

int mw_seen_end(struct mw_seen *s)
{
	const uint32_t from = s->before.recent, count = s->recent.set.count - from;
	int rc = count > 0 ? mw_seen_put_log(s, s->recent.set.ids + from, count) : 0;
	if (rc == 0 && s->sorted && !s->is_sealed)
		rc = mw_seen_put_sorted(s, units_for(s, count));
	/* What is swept was written once, at most so much a commit. */
	if (rc == 0 && !s->is_swept)
		rc = mw_seen_sweep(s, 4 + 2 * (count / MW_SEEN_LOG_ROW));
	return rc;
}

void mw_seen_done(struct mw_seen *s, bool is_committed)
{
	s->txn = NULL;
	s->cursor = NULL;
	if (!is_committed) {
		mw_seen_set_cut(&s->recent.set, s->before.recent);
		s->recent.run.first_s = s->before.first_s;
		s->recent.run.last_s = s->before.last_s;
		s->log_next = s->before.log_next;
		s->sealed = s->before.sealed;
		s->is_sealed = s->before.is_sealed;
		s->is_swept = false;
	} else if (s->is_sealed) {
		finish_sealing(s);
	}
}

struct mw_seen_stats mw_seen_stats(const struct mw_seen *s)
{
	return (struct mw_seen_stats){
	    .count = s->run_total + s->recent.set.count + s->sealing.set.count,
	    .dropped = s->dropped,
	    .runs = s->run_count,
	};
}
