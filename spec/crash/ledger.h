/* ledger.h -- who was told what: the books that outlive a killed process, held against what the server saw.
 *
 * A history is one spool with all the processes that run on it, one after the other, until one drains it.
 * They write into memory that they share with the test, so what a process noted before it died is known:
 *
 *     UNKNOWN -> PUSHED (just before push) -> SAFE (sync said so)
 *
 * A message is told by history, account and number, which say all of its bytes:
 *
 *     {"messageId":"<history>-<account>-<number>","p":"xxxxx"}
 *
 * One in 61 holds POISON, which the server refuses.
 */
#ifndef MW_LEDGER_H
#define MW_LEDGER_H

#include "../c/folder.h"
#include "../c/rig.h"

#include "../../csrc/core/dead_letter.h"

#include <lmdb.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { LEDGER_ACCOUNTS = 5, LEDGER_MESSAGES = 60000, POISON_EVERY = 61, MESSAGE_FILLER_MAX = 20000 };

enum ledger_state { UNKNOWN, PUSHED, SAFE };

struct ledger_lane {
	_Atomic uint32_t next; /* number of the next message */
	_Atomic uint8_t state[LEDGER_MESSAGES];
	struct mw_counts found; /* as the last start found them */
	/* The test's own. */
	bool seen[LEDGER_MESSAGES];
	uint64_t seen_count;
	uint32_t seen_next; /* a message that is new has at least this number */
	struct mw_counts before;
	uint64_t safe_before;
	uint64_t seen_before;
};

struct ledger {
	unsigned history;
	char dir[256];
	char url[64];
	struct ledger_lane lanes[LEDGER_ACCOUNTS];
	_Atomic bool has_found; /* the process got as far as to read its counts */
	_Atomic uint32_t syncs; /* that said yes, in all processes of the history */
	bool is_shared;         /* another history goes on in the same spool: counts are of both */
	char complaint[512];    /* of a process that ended by itself */
	/* The test's own. */
	int messages_fd; /* the server's list of what it took */
	size_t partial;
	char line[MW_MESSAGE_MAX + 1024];
	uint64_t repeats;
	uint64_t dead; /* never taken by the server */
	uint64_t letters;
	long failing;   /* the number of the call that a fault test makes fail */
	bool is_broken; /* the process said that its disk had failed */
};

/* Histories begun: no two of a test have the same number. */
static unsigned ledger_histories;

/* What all histories came to. */
static struct {
	uint64_t pushed, safe, seen, repeats, dead;
} ledger_sums;

__attribute__((unused)) static struct ledger *ledger_new(void)
{
	struct ledger *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		exit(2);
	b->messages_fd = -1;
	return b;
}

__attribute__((unused)) static bool ledger_complain(struct ledger *b, const char *what, unsigned lane,
						    uint64_t a, uint64_t c)
{
	fprintf(stderr, "history %u, account %u: %s (%" PRIu64 ", %" PRIu64 ")\n", b->history, lane, what, a,
		c);
	return false;
}

static uint64_t message_dice(unsigned history, unsigned lane, uint32_t number)
{
	uint64_t dice = (uint64_t)history << 40 ^ (uint64_t)lane << 32 ^ number;
	return check_random(&dice);
}

static bool is_poison(unsigned history, unsigned lane, uint32_t number)
{
	return message_dice(history, lane, number) % POISON_EVERY == 0;
}

/* The bytes of a message; static. */
static struct mw_span message_of(unsigned history, unsigned lane, uint32_t number)
{
	static char text[MW_MESSAGE_MAX];
	uint64_t dice = message_dice(history, lane, number);
	/* Mostly small; some that fill pages of their own. */
	size_t filler = dice >> 16 & 1023;
	if ((dice >> 32) % 50 == 0)
		filler = (dice >> 40) % MESSAGE_FILLER_MAX;
	size_t len = (size_t)snprintf(text, sizeof text, "{\"messageId\":\"%u-%u-%u\",\"p\":\"%s", history,
				      lane, number, is_poison(history, lane, number) ? "POISON" : "");
	for (size_t i = 0; i < filler; i++)
		text[len++] = (char)('a' + (dice + i * (1 + dice % 7)) % 26);
	text[len++] = '"';
	text[len++] = '}';
	return (struct mw_span){(const uint8_t *)text, len};
}

static const char *account_of(unsigned lane)
{
	static const char *const names[LEDGER_ACCOUNTS] = {"acme", "b", "customer-3", "d/4", "e"};
	return names[lane];
}

/* A new spool, and the server's list from its beginning. */
__attribute__((unused)) static void ledger_begin(struct ledger *b, const struct mock *m)
{
	char name[48], path[160];
	memset(b->lanes, 0, sizeof b->lanes);
	b->history = ++ledger_histories;
	b->repeats = b->dead = b->letters = 0;
	atomic_store(&b->syncs, 0);
	b->partial = 0;
	b->is_shared = false;
	snprintf(name, sizeof name, "h%u", b->history);
	snprintf(b->dir, sizeof b->dir, "%s", folder_path(name));
	snprintf(b->url, sizeof b->url, "%s", m->url);
	mock_forget(m);
	snprintf(path, sizeof path, "%s/messages", m->folder);
	if (b->messages_fd >= 0)
		close(b->messages_fd);
	b->messages_fd = open(path, O_RDONLY | O_CLOEXEC);
}

/* One message that the server took: no other bytes than were pushed, nothing new before something older. */
static bool ledger_line(struct ledger *b, size_t len)
{
	unsigned history, lane;
	uint32_t number;
	if (sscanf(b->line, "{\"messageId\":\"%u-%u-%u\"", &history, &lane, &number) != 3 ||
	    lane >= LEDGER_ACCOUNTS || number >= LEDGER_MESSAGES)
		return ledger_complain(b, "a message that nobody wrote", 0, len, 0);
	if (history != b->history) /* from the socket of a process that is long dead */
		return history < b->history || b->is_shared ||
		       ledger_complain(b, "a message of the future", lane, history, 0);
	struct ledger_lane *l = &b->lanes[lane];
	struct mw_span expected = message_of(history, lane, number);
	if (expected.len != len || memcmp(expected.at, b->line, len) != 0)
		return ledger_complain(b, "a message has changed", lane, number, len);
	if (atomic_load(&l->state[number]) == UNKNOWN)
		return ledger_complain(b, "a message that nobody pushed", lane, number, 0);
	if (l->seen[number]) {
		b->repeats++;
		return true;
	}
	/* One that was refused, and whose refusal was not on disk before the kill, may be taken later. So may
	 * what waits in a partition for somebody to adopt it. */
	if (number < l->seen_next && !is_poison(history, lane, number) && !b->is_shared)
		return ledger_complain(b, "a message after a newer one", lane, number, l->seen_next);
	l->seen[number] = true;
	if (number >= l->seen_next)
		l->seen_next = number + 1;
	l->seen_count++;
	return true;
}

/* Read on in the server's list. */
__attribute__((unused)) static bool ledger_read(struct ledger *b)
{
	for (;;) {
		ssize_t n = read(b->messages_fd, b->line + b->partial, sizeof b->line - b->partial);
		if (n <= 0)
			return n == 0;
		b->partial += (size_t)n;
		char *end;
		size_t done = 0;
		while ((end = memchr(b->line + done, '\n', b->partial - done))) {
			size_t len = (size_t)(end - b->line) - done;
			memmove(b->line, b->line + done, b->partial - done);
			b->partial -= done;
			b->line[len] = '\0';
			if (!ledger_line(b, len))
				return false;
			done = len + 1;
		}
		memmove(b->line, b->line + done, b->partial - done);
		b->partial -= done;
	}
}

static uint64_t count_safe(const struct ledger_lane *l)
{
	uint64_t safe = 0;
	for (uint32_t n = 0; n < atomic_load(&l->next); n++)
		safe += atomic_load(&l->state[n]) == SAFE;
	return safe;
}

/* Before a process is started. */
__attribute__((unused)) static bool ledger_before(struct ledger *b)
{
	if (!ledger_read(b))
		return false;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) {
		struct ledger_lane *l = &b->lanes[i];
		l->before = l->found;
		l->safe_before = count_safe(l);
		l->seen_before = l->seen_count;
	}
	atomic_store(&b->has_found, false);
	b->complaint[0] = '\0';
	return true;
}

/* What the process found at its start: all that was safe, no more than was pushed, nothing settled that the
 * server had not seen, and it adds up. */
__attribute__((unused)) static bool ledger_after(struct ledger *b)
{
	if (b->complaint[0]) {
		fprintf(stderr, "history %u: %s\n", b->history, b->complaint);
		return false;
	}
	if (!atomic_load(&b->has_found))
		return true;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) {
		const struct ledger_lane *l = &b->lanes[i];
		if (!stats_add_up(&l->found))
			return ledger_complain(b, "the counts don't add up", i, l->found.accepted,
					       l->found.queued);
		if (l->found.accepted < l->safe_before)
			return ledger_complain(b, "safe messages are lost", i, l->found.accepted,
					       l->safe_before);
		if (l->found.accepted < l->before.accepted)
			return ledger_complain(b, "accepted ones are lost", i, l->found.accepted,
					       l->before.accepted);
		if (l->found.accepted > atomic_load(&l->next))
			return ledger_complain(b, "more than was pushed", i, l->found.accepted,
					       atomic_load(&l->next));
		if (l->found.delivered < l->before.delivered || l->found.dead < l->before.dead)
			return ledger_complain(b, "settled ones are back", i, l->found.delivered,
					       l->found.dead);
		if (l->found.delivered > l->seen_before)
			return ledger_complain(b, "settled and never seen", i, l->found.delivered,
					       l->seen_before);
	}
	return true;
}

/* ---- in the process */

static struct mw_spool_config ledger_spool;

static struct mw_engine_config ledger_config(const struct ledger *b)
{
	ledger_spool = (struct mw_spool_config){.dir = b->dir, .disk_max = 256 << 20};
	struct mw_engine_config c = rig_config();
	c.spool = &ledger_spool;
	c.weir.retries_max = MW_RETRY_FOREVER;
	return c;
}

__attribute__((format(printf, 2, 3))) static void ledger_say(struct ledger *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(b->complaint, sizeof b->complaint, format, args);
	va_end(args);
}

/* An engine on the history's spool; its counts are noted before it may send. NULL: said why. */
__attribute__((unused)) static struct mw_engine *ledger_open(struct ledger *b, struct mw_engine_config config,
							     struct mw_error *e)
{
	struct mw_engine *g = NULL;
	struct mw_engine_lane lanes[LEDGER_ACCOUNTS];
	if (mw_endpoint_parse(span(b->url), &config.endpoint, e) != MW_OK ||
	    mw_engine_open(&config, &g, e) != MW_OK)
		return NULL;
	size_t count = mw_engine_lanes(g, lanes, LEDGER_ACCOUNTS);
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		for (size_t k = 0; k < count && k < LEDGER_ACCOUNTS; k++)
			if (strcmp(lanes[k].account, account_of(i)) == 0)
				b->lanes[i].found = lanes[k].counts;
	atomic_store(&b->has_found, true);
	return g;
}

/* Push up to `count` messages, of accounts as the dice fall, noted first. */
__attribute__((unused)) static enum mw_err
ledger_push(struct ledger *b, struct mw_engine *g, struct mw_outbox *box, uint64_t *random, unsigned count)
{
	uint32_t next[LEDGER_ACCOUNTS];
	mw_outbox_clear(box);
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		next[i] = atomic_load(&b->lanes[i].next);
	for (unsigned i = 0; i < count; i++) {
		unsigned lane = (unsigned)(check_random(random) % LEDGER_ACCOUNTS);
		if (next[lane] == LEDGER_MESSAGES)
			continue;
		struct mw_parcel p = {.account = span(account_of(lane)),
				      .message = message_of(b->history, lane, next[lane]),
				      .tag = next[lane]};
		if (mw_outbox_add(box, &p) != MW_OK)
			return MW_NO_MEMORY;
		atomic_store(&b->lanes[lane].state[next[lane]++], PUSHED);
	}
	uint32_t first[LEDGER_ACCOUNTS];
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) {
		first[i] = atomic_load(&b->lanes[i].next);
		atomic_store(&b->lanes[i].next, next[i]);
	}
	enum mw_err err = mw_engine_push(g, box);
	if (err == MW_OK)
		return MW_OK;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) {
		atomic_store(&b->lanes[i].next, first[i]);
		for (uint32_t n = first[i]; n < next[i]; n++)
			atomic_store(&b->lanes[i].state[n], UNKNOWN);
	}
	return err;
}

/* Wait until all is safe that this process pushed, the messages from first[] on, and note it. */
__attribute__((unused)) static enum mw_err ledger_sync(struct ledger *b, struct mw_engine *g,
						       uint32_t first[LEDGER_ACCOUNTS], struct mw_error *e)
{
	enum mw_err err = mw_engine_sync(g, RIG_PATIENCE_MS, e);
	if (err != MW_OK)
		return err;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		while (first[i] < atomic_load(&b->lanes[i].next))
			atomic_store(&b->lanes[i].state[first[i]++], SAFE);
	atomic_fetch_add(&b->syncs, 1);
	return MW_OK;
}

/* The last process of a history: all that is there must get through. */
__attribute__((unused)) static void ledger_drain(struct ledger *b)
{
	struct mw_error e = {.code = MW_OK};
	struct mw_engine_stats s;
	struct mw_engine *g = ledger_open(b, ledger_config(b), &e);
	if (!g) {
		ledger_say(b, "can't be opened to drain it: %s", e.detail);
		return;
	}
	mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, NULL);
	enum mw_err err = mw_engine_flush(g, RIG_PATIENCE_MS);
	if (err != MW_OK || mw_engine_stats(g, &s) != MW_OK ||
	    s.weir.counts.queued + s.weir.counts.in_flight > 0)
		ledger_say(b, "does not drain: %s, %" PRIu64 " queued", mw_err_word(err),
			   s.weir.counts.queued);
	else if (!stats_add_up(&s.weir.counts))
		ledger_say(b, "drained, and does not add up");
	else if (s.spool.damaged > 0)
		ledger_say(b, "%" PRIu64 " messages were damaged", s.spool.damaged);
	else if ((err = mw_engine_close(g, RIG_PATIENCE_MS, &e)) != MW_OK)
		ledger_say(b, "can't be closed: %s", e.detail);
	mw_engine_free(g);
}

/* ---- the end of a history */

/* Every dead letter is of a message that the server refused, and whole. What the server had taken, and
 * refused when a process that was killed meanwhile had it sent again, is both. */
static bool ledger_read_partition(struct ledger *b, unsigned partition)
{
	char path[300];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi db;
	MDB_cursor *cursor;
	MDB_val key, value;
	/* A process may have died before it had made all of its partition. */
	snprintf(path, sizeof path, "%s/p%u/data.mdb", b->dir, partition);
	if (access(path, F_OK) != 0)
		return true;
	snprintf(path, sizeof path, "%s/p%u", b->dir, partition);
	bool fine = mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 16) == 0 &&
		    mdb_env_open(env, path, MDB_RDONLY, 0) == 0 &&
		    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
	/* A partition whose process died at once has none yet. */
	if (fine && mdb_dbi_open(txn, "dead", 0, &db) == MDB_NOTFOUND) {
		mdb_env_close(env);
		return true;
	}
	fine = fine && mdb_cursor_open(txn, db, &cursor) == 0;
	if (!fine)
		return ledger_complain(b, "its dead letters can't be read", 0, partition, 0);
	while (fine && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		struct mw_dead_letter letter = {.status = 0};
		unsigned history = 0, lane = 0;
		uint32_t number = 0;
		fine = mw_dead_letter_read((struct mw_span){value.mv_data, value.mv_size}, &letter) &&
		       letter.message.len > 0 && letter.status == 400 &&
		       sscanf((const char *)letter.message.at, "{\"messageId\":\"%u-%u-%u\"", &history, &lane,
			      &number) == 3 &&
		       history == b->history && lane < LEDGER_ACCOUNTS && number < LEDGER_MESSAGES &&
		       is_poison(history, lane, number);
		if (!fine && b->is_shared && history > 0 && history != b->history) {
			fine = true;
			continue;
		}
		if (!fine) {
			ledger_complain(b, "a dead letter is not what it should be", lane, number,
					(uint64_t)letter.status);
			break;
		}
		b->dead += !b->lanes[lane].seen[number];
		b->lanes[lane].seen[number] = true;
		b->letters++;
	}
	mdb_env_close(env);
	return fine;
}

static bool ledger_read_dead(struct ledger *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (!ledger_read_partition(b, i))
			return false;
	return true;
}

/* After the drain: each safe message was delivered, or is a dead letter and deserved it; and the books agree.
 */
__attribute__((unused)) static bool ledger_end(struct ledger *b)
{
	uint64_t accepted = 0, seen = 0, dead = 0, found_dead = 0;
	if (!ledger_read(b))
		return false;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		seen += b->lanes[i].seen_count;
	if (!ledger_read_dead(b))
		return false;
	dead = b->dead;
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++) {
		const struct ledger_lane *l = &b->lanes[i];
		accepted += l->found.accepted;
		found_dead += l->found.dead;
		for (uint32_t n = 0; n < atomic_load(&l->next); n++) {
			ledger_sums.pushed++;
			ledger_sums.safe += atomic_load(&l->state[n]) == SAFE;
			if (atomic_load(&l->state[n]) == SAFE && !l->seen[n])
				return ledger_complain(b, "a safe message is lost", i, n,
						       atomic_load(&l->next));
		}
	}
	if (!b->is_shared && accepted != seen + dead)
		return ledger_complain(b, "accepted are not delivered and dead", 0, accepted, seen + dead);
	if (!b->is_shared && found_dead > b->letters)
		return ledger_complain(b, "more counted dead than there are letters", 0, found_dead,
				       b->letters);
	ledger_sums.seen += seen;
	ledger_sums.repeats += b->repeats;
	ledger_sums.dead += dead;
	if (!b->is_shared)
		nftw(b->dir, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return true;
}

/* The spool's last process, with the server as good as it can be. */
__attribute__((unused)) static bool ledger_finish_shared(struct ledger *b, const struct mock *m)
{
	int status;
	if (!mock_script(m, "reset\nmarker POISON"))
		return false;
	b->complaint[0] = '\0';
	pid_t pid = fork();
	if (pid == 0) {
		alarm(RIG_PATIENCE_MS / 1000 * 3);
		ledger_drain(b);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "history %u: the process that drains ended with %#x\n", b->history,
			(unsigned)status);
		return false;
	}
	if (b->is_shared)
		atomic_store(&b->has_found, false);
	return ledger_after(b);
}

/* ... and all that is to be said of a history. */
__attribute__((unused)) static bool ledger_finish(struct ledger *b, const struct mock *m)
{
	return ledger_before(b) && ledger_finish_shared(b, m) && ledger_end(b);
}

#endif
