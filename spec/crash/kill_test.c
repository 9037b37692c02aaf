/* Processes that are killed, at any moment and at every system call, on a spool that goes on: nothing that
 * sync called safe is lost, nothing is damaged or stuck, and what arrives twice is the same message.
 *
 *     MW_TRIALS=10000    random kills, default 1,000; a fifth as many of two processes at a time
 *     MW_NESTED=5        second kills for each first one of the sweep, default 1
 */
#include "ledger.h"
#include "tracer.h"

#include <poll.h>

enum { KILLS_MAX = 12, MOMENTS = 4 };

static struct ledger *books;

/* What the server is like while a process lives. */
static const char *const moods[] = {
    "",
    "",
    "",
    "delay 3",
    "always 503",
    "status 500 200 429 200 502 200 408",
    "cut-response 9",
    "cut-response 60",
    "cut-request 300",
    "cut-request 5000",
    "stall",
    "max-body 24000",
    "drop-reused",
};

static bool set_mood(const struct mock *m, const char *mood)
{
	return mock_script(m, "reset\nmarker POISON\n%s", mood);
}

/* Pushes, syncs and sends until it is killed, or for so many rounds. */
static void work(struct ledger *b, uint64_t random, unsigned rounds)
{
	struct mw_error e = {.code = MW_OK};
	struct mw_outbox box;
	uint32_t first[LEDGER_ACCOUNTS];
	mw_outbox_init(&box, 64u << 20);
	struct mw_engine *g = ledger_open(b, ledger_config(b), &e);
	if (!g) {
		ledger_say(b, "can't be opened: %s", e.detail);
		_exit(3);
	}
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		first[i] = atomic_load(&b->lanes[i].next);
	/* One in eight has no key yet: all lanes park. */
	if (check_random(&random) % 8)
		mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, NULL);
	for (unsigned i = 0; i < rounds; i++) {
		enum mw_err err =
		    ledger_push(b, g, &box, &random, 1 + (unsigned)(check_random(&random) % 30));
		if (err == MW_OK && check_random(&random) % 2 == 0)
			err = ledger_sync(b, g, first, &e);
		if (err != MW_OK) {
			ledger_say(b, "push or sync: %s: %s", mw_err_word(err), e.detail);
			_exit(3);
		}
		if (check_random(&random) % 16 == 0)
			mw_engine_flush(g, 2);
	}
	mw_engine_close(g, 20, NULL);
	mw_engine_free(g);
	_exit(0);
}

static pid_t start(struct ledger *b, uint64_t seed)
{
	pid_t pid = fork();
	if (pid == 0)
		work(b, seed, UINT32_MAX);
	return pid;
}

/* From nothing to well into sending. */
static void pass_a_moment(uint64_t *random)
{
	static const uint64_t within_us[MOMENTS] = {1500, 6000, 20000, 60000};
	int64_t us = (int64_t)(check_random(random) % within_us[check_random(random) % MOMENTS]);
	nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL); /* the moment, not a wait */
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* Kill it a moment after its fork or, one time in three, after it was told for the first time that something
 * is safe: however slow the machine is, some processes get that far. */
static void kill_at_some_moment(struct ledger *b, pid_t pid, uint32_t syncs_before, uint64_t *random)
{
	if (check_random(random) % 3 == 0)
		while (atomic_load(&b->syncs) == syncs_before && !has_ended(pid))
			nanosleep(&(struct timespec){0, 100000}, NULL);
	pass_a_moment(random);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* One spool, killed a few times, drained at the end. */
static bool history(const struct mock *m, uint64_t *random, uint64_t *kills)
{
	struct ledger *b = books;
	ledger_begin(b, m);
	for (uint64_t left = 1 + check_random(random) % KILLS_MAX; left > 0; left--) {
		uint64_t seed = check_random(random);
		if (!set_mood(m, moods[check_random(random) % (sizeof moods / sizeof *moods)]) ||
		    !ledger_before(b))
			return false;
		uint32_t syncs = atomic_load(&b->syncs);
		kill_at_some_moment(b, start(b, seed), syncs, random);
		(*kills)++;
		if (!ledger_after(b))
			return false;
	}
	return ledger_finish(b, m);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *given = getenv(name);
	return given ? strtoull(given, NULL, 0) : otherwise;
}

static void tell(const char *what, uint64_t kills, int64_t since)
{
	printf("%" PRIu64 " %s in %" PRId64 " s: %" PRIu64 " messages pushed, %" PRIu64 " told safe, %" PRIu64
	       " arrived, %" PRIu64 " of them more than once, %" PRIu64 " dead letters\n",
	       kills, what, (monotonic_ms() - since) / 1000, ledger_sums.pushed, ledger_sums.safe,
	       ledger_sums.seen, ledger_sums.repeats, ledger_sums.dead);
	memset(&ledger_sums, 0, sizeof ledger_sums);
}

TEST(a_process_killed_at_any_moment_loses_nothing_that_was_safe)
{
	uint64_t trials = from_environment("MW_TRIALS", 1000), kills = 0;
	uint64_t random = check_seed("kills");
	int64_t since = monotonic_ms();
	struct mock m = mock_start(NULL, NULL);
	bool fine = true;
	while (fine && kills < trials)
		fine = history(&m, &random, &kills);
	bool something = ledger_sums.safe > trials / 4 && ledger_sums.seen > 0 && ledger_sums.dead > 0;
	tell("kills at random", kills, since);
	mock_stop(&m);
	CHECK(fine && something);
}

/* ---- two at a time */

/* Two processes on one spool, each with books of its own; whoever comes next adopts what is left. */
static bool history_of_two(const struct mock *m, struct ledger *two[2], uint64_t *random, uint64_t *kills)
{
	ledger_begin(two[0], m);
	ledger_begin(two[1], m);
	snprintf(two[1]->dir, sizeof two[1]->dir, "%s", two[0]->dir);
	two[0]->is_shared = two[1]->is_shared = true;
	for (uint64_t left = 1 + check_random(random) % 4; left > 0; left--, *kills += 2) {
		pid_t pids[2];
		uint32_t syncs[2] = {atomic_load(&two[0]->syncs), atomic_load(&two[1]->syncs)};
		if (!set_mood(m, moods[check_random(random) % (sizeof moods / sizeof *moods)]))
			return false;
		for (int i = 0; i < 2; i++)
			pids[i] = start(two[i], check_random(random));
		for (int i = 0; i < 2; i++) {
			kill_at_some_moment(two[i], pids[i], syncs[i], random);
			atomic_store(&two[i]->has_found, false);
			if (!ledger_after(two[i]))
				return false;
		}
	}
	bool fine = ledger_finish_shared(two[0], m) && ledger_end(two[0]) && ledger_end(two[1]);
	nftw(two[0]->dir, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return fine;
}

TEST(what_two_killed_processes_leave_is_adopted_whole)
{
	uint64_t trials = from_environment("MW_TRIALS", 1000) / 5, kills = 0;
	uint64_t random = check_seed("kills of two");
	int64_t since = monotonic_ms();
	struct mock m = mock_start(NULL, NULL);
	struct ledger *two[2] = {ledger_new(), ledger_new()};
	bool fine = true;
	while (fine && kills < trials)
		fine = history_of_two(&m, two, &random, &kills);
	bool something = ledger_sums.safe > trials / 4 && ledger_sums.seen > 0;
	tell("kills, two processes at a time", kills, since);
	mock_stop(&m);
	CHECK(fine && something);
}

/* ---- at every system call */

enum { SWEEP_ROUNDS = 4 };

/* How many calls it made before it was dead. 0: something was wrong. */
static long run_traced(struct ledger *b, uint64_t seed, long kill_at)
{
	struct tracer t = {.kill_at = kill_at};
	if (!ledger_before(b))
		return 0;
	pid_t pid = tracer_fork();
	if (pid == 0)
		work(b, seed, SWEEP_ROUNDS);
	if (!tracer_run(pid, &t)) {
		fprintf(stderr, "ptrace(2) is not allowed here: the sweep over system calls can't be made\n");
		return 0;
	}
	if (WIFSIGNALED(t.status) && WTERMSIG(t.status) != SIGKILL) {
		fprintf(stderr, "history %u: killed by signal %d\n", b->history, WTERMSIG(t.status));
		return 0;
	}
	return ledger_after(b) ? t.calls : 0;
}

/* A new spool, a process killed at call n, another at call k, and one that drains. */
static bool sweep_history(const struct mock *m, long n, long k)
{
	struct ledger *b = books;
	ledger_begin(b, m);
	bool fine = set_mood(m, n % 3 ? "" : "status 500 200 429") && run_traced(b, 3, n) > 0 &&
		    run_traced(b, 4, k) > 0 && ledger_finish(b, m);
	if (!fine)
		fprintf(stderr, "killed at call %ld, then at call %ld\n", n, k);
	return fine;
}

TEST(a_process_killed_at_any_system_call_loses_nothing_that_was_safe)
{
	uint64_t nested = from_environment("MW_NESTED", 1), random = check_seed("sweep"), kills = 0;
	int64_t since = monotonic_ms();
	struct mock m = mock_start(NULL, NULL);
	ledger_begin(books, &m);
	bool fine = set_mood(&m, "");
	long first = fine ? run_traced(books, 3, 0) : 0, second = fine ? run_traced(books, 4, 0) : 0;
	fine = first > 100 && second > 100 && ledger_finish(books, &m);
	for (long n = 1; fine && n <= first; n++)
		for (uint64_t i = 0; fine && i < nested; i++, kills += 2) {
			/* The second kills go through all calls too, in a line of their own. */
			long k = 1 + (n - 1) * second / first;
			if (i > 0)
				k = 1 + (long)(check_random(&random) % (uint64_t)second);
			fine = sweep_history(&m, n, k);
		}
	printf("%ld system calls in the first process, %ld in the second\n", first, second);
	tell("kills at system calls", kills, since);
	mock_stop(&m);
	CHECK(fine);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	books = ledger_new();
	RUN(a_process_killed_at_any_moment_loses_nothing_that_was_safe);
	RUN(what_two_killed_processes_leave_is_adopted_whole);
	RUN(a_process_killed_at_any_system_call_loses_nothing_that_was_safe);
	return CHECK_END();
}
