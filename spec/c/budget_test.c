#include "../../csrc/io/budget.h"

#include "../../csrc/core/limits.h"
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], file[80];

static struct mw_budget *open_at(double per_second)
{
	struct mw_budget *b = NULL;
	struct mw_error e = {.code = MW_OK};
	if (mw_budget_open(file, per_second, &b, &e) != MW_OK)
		fprintf(stderr, "%s\n", e.detail);
	return b;
}

/* One that has been asked at 0, so that its first permit is there at 22. */
static struct mw_budget *new_at(double per_second)
{
	unlink(file);
	struct mw_budget *b = open_at(per_second);
	if (b)
		mw_budget_wait(b, 0);
	return b;
}

/* The file's words: mark, boot id (two), arrival, gate, latest clock. */
enum { MARK, BOOT, ARRIVAL = 3, GATE, LATEST };

static bool poke(size_t offset, const void *at, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT, 0600);
	bool done = fd >= 0 && pwrite(fd, at, len, (off_t)offset) == (ssize_t)len;
	if (fd >= 0)
		close(fd);
	return done;
}

static bool poke_word(size_t word, int64_t value)
{
	return poke(word * 8, &value, sizeof value);
}

static uint8_t peek(size_t offset)
{
	uint8_t byte = 0;
	int fd = open(file, O_RDONLY);
	if (fd < 0 || pread(fd, &byte, 1, (off_t)offset) != 1)
		fprintf(stderr, "%s: can't read byte %zu\n", file, offset);
	if (fd >= 0)
		close(fd);
	return byte;
}

TEST(a_new_budget_is_empty)
{
	unlink(file);
	struct mw_budget *b = open_at(50);
	CHECK(b && mw_budget_wait(b, 1000) == 22 && mw_budget_take(b, 1000) == 22);
	CHECK(mw_budget_take(b, 1021) == 1 && mw_budget_take(b, 1022) == 0 && mw_budget_take(b, 1022) == 21);
	struct stat s;
	CHECK(stat(file, &s) == 0 && (s.st_mode & 07777) == 0600 && s.st_size == 4096);
	mw_budget_free(b);
}

TEST(everybody_sees_what_the_others_took)
{
	struct mw_budget *a = new_at(50), *b = open_at(50);
	CHECK(a && b);
	CHECK(mw_budget_take(a, 1000) == 0 && mw_budget_take(b, 1010) == 11);
	CHECK(mw_budget_take(b, 1021) == 0 && mw_budget_wait(a, 1021) == 21);
	mw_budget_free(a);
	mw_budget_free(b);
}

TEST(a_restart_finds_what_was_taken_before)
{
	struct mw_budget *b = new_at(50);
	int taken = 0;
	for (int64_t now = 22; now < 22 + 10000; now++) {
		CHECK(b);
		taken += mw_budget_take(b, now) == 0;
		mw_budget_free(b);
		b = open_at(50);
	}
	CHECK(taken == 10000 / 21 + 1);
	mw_budget_free(b);
}

TEST(a_loop_of_restarts_with_new_files_gets_nothing)
{
	for (int64_t now = 0; now < 1000; now++) {
		unlink(file);
		struct mw_budget *b = open_at(50);
		CHECK(b && mw_budget_take(b, now) == 22);
		mw_budget_free(b);
	}
}

TEST(a_clock_read_long_ago_takes_no_second_permit)
{
	struct mw_budget *a = new_at(50), *b = open_at(50);
	CHECK(a && b);
	CHECK(mw_budget_take(a, 6000) == 0);
	CHECK(mw_budget_take(b, 1000) == 21 && mw_budget_wait(b, 1000) == 21);
	CHECK(mw_budget_take(a, 6001) == 20 && mw_budget_take(b, 1000) == 20);
	mw_budget_close_gate(a, 6001, MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_budget_gate_ms(b, 1000) == MW_RETRY_AFTER_MAX_MS);
	CHECK(mw_budget_gate_ms(a, 6001) == MW_RETRY_AFTER_MAX_MS);
	mw_budget_free(a);
	mw_budget_free(b);
}

TEST(a_gate_closed_by_one_is_closed_for_all_and_after_a_restart)
{
	struct mw_budget *a = new_at(50), *b = open_at(0);
	CHECK(a && b && mw_budget_gate_ms(b, 100) == 0);
	mw_budget_close_gate(a, 100, 5000);
	CHECK(mw_budget_gate_ms(b, 200) == 4900 && mw_budget_take(b, 200) == 4900);
	mw_budget_close_gate(b, 200, 1000);
	mw_budget_close_gate(b, 200, -5);
	CHECK(mw_budget_gate_ms(a, 200) == 4900);
	mw_budget_free(a);
	mw_budget_free(b);
	a = open_at(50);
	CHECK(a && mw_budget_take(a, 5099) == 1 && mw_budget_take(a, 5100) == 0);
	CHECK(mw_budget_gate_ms(a, 5100) == 0);
	mw_budget_close_gate(a, 5100, INT64_MAX);
	CHECK(mw_budget_gate_ms(a, 5100) == MW_RETRY_AFTER_MAX_MS);
	mw_budget_free(a);
}

TEST(an_unlimited_caller_waits_for_the_gate_alone_and_costs_the_others_nothing)
{
	struct mw_budget *limited = new_at(50), *unlimited = open_at(0);
	CHECK(limited && unlimited && mw_budget_take(limited, 1000) == 0);
	for (int i = 0; i < 1000; i++)
		CHECK(mw_budget_take(unlimited, 1000) == 0);
	CHECK(mw_budget_take(limited, 1000) == 21 && mw_budget_take(limited, 1021) == 0);
	mw_budget_close_gate(limited, 1021, 100);
	CHECK(mw_budget_take(unlimited, 1021) == 100 && mw_budget_take(unlimited, 1121) == 0);
	mw_budget_free(limited);
	mw_budget_free(unlimited);
}

TEST(different_rates_keep_to_the_highest_together)
{
	struct mw_budget *slow = new_at(5), *fast = open_at(50);
	CHECK(slow && fast);
	int64_t last = 0;
	for (int64_t now = 1000; now < 20000; now++) {
		bool taken = mw_budget_take(now % 3 ? slow : fast, now) == 0;
		CHECK(!taken || now - last >= 21);
		last = taken ? now : last;
	}
	mw_budget_free(slow);
	mw_budget_free(fast);
}

TEST(what_is_no_rate_is_refused)
{
	const double bad[] = {-1, -0.001, 0.0 / 0.0};
	struct mw_budget *b = NULL;
	struct mw_error e;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(mw_budget_open(file, bad[i], &b, &e) == MW_INVALID && !b && e.detail[0]);
	b = new_at(1e300);
	CHECK(b && mw_budget_take(b, 2) == 0 && mw_budget_take(b, 2) == 0);
	mw_budget_free(b);
	b = new_at(1e-300);
	CHECK(b && mw_budget_take(b, 2) > 1000000);
	mw_budget_free(b);
}

TEST(a_damaged_header_or_another_boot_starts_empty)
{
	for (size_t byte = 0; byte < 24; byte++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct mw_budget *b = new_at(50);
			CHECK(b && mw_budget_take(b, 5000) == 0);
			mw_budget_close_gate(b, 5000, 60000);
			mw_budget_free(b);
			uint8_t damaged = peek(byte) ^ (uint8_t)(1u << bit);
			if (byte == 0 && damaged > 1)
				continue; /* another version's: not damaged */
			CHECK(poke(byte, &damaged, 1));
			b = open_at(50);
			/* A new boot's clock starts again. The old one's gate says nothing. */
			CHECK(b && mw_budget_gate_ms(b, 100) == 0);
			CHECK(mw_budget_take(b, 100) == 22 && mw_budget_take(b, 122) == 0);
			mw_budget_free(b);
			b = open_at(50);
			CHECK(b && mw_budget_take(b, 143) == 0);
			mw_budget_free(b);
		}
}

TEST(a_file_cut_short_starts_empty_and_a_longer_one_is_none)
{
	const off_t lengths[] = {0, 1, 8, 23, 24, 40};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct mw_budget *b = new_at(50);
		CHECK(b && mw_budget_take(b, 5000) == 0);
		mw_budget_free(b);
		CHECK(truncate(file, lengths[i]) == 0);
		b = open_at(50);
		CHECK(b && (lengths[i] >= 24 || mw_budget_take(b, 5000) == 22));
		mw_budget_free(b);
	}
	struct mw_budget *b = NULL;
	struct mw_error e;
	CHECK(poke(4096, "x", 1) && mw_budget_open(file, 50, &b, &e) == MW_IO);
	CHECK(!b && strstr(e.detail, "4097 bytes, not 4096"));
}

TEST(a_newer_version_is_left_alone)
{
	struct mw_budget *b = new_at(50);
	mw_budget_free(b);
	struct mw_error e;
	b = NULL;
	CHECK(peek(0) == 1 && poke(0, "\2", 1) && mw_budget_open(file, 50, &b, &e) == MW_IO);
	CHECK(!b && strstr(e.detail, "newer Moonweir's (version 2, this one knows 1)"));
	CHECK(peek(0) == 2);
}

TEST(damaged_numbers_neither_block_for_long_nor_let_through_too_much)
{
	uint64_t seed = check_seed("damage");
	const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX, INT64_MAX - 1};
	enum { VALUES = sizeof values / sizeof *values };
	for (int round = 0; round < 2000; round++) {
		struct mw_budget *b = new_at(50);
		CHECK(b);
		size_t word = (size_t)ARRIVAL + check_random(&seed) % 3;
		uint64_t random = check_random(&seed);
		int64_t value =
		    round % 2 ? values[random % VALUES] : (int64_t)(random >> (check_random(&seed) % 64));
		int64_t now = 1000000, end = now + (word == ARRIVAL ? 22 : MW_RETRY_AFTER_MAX_MS + 22);
		CHECK(mw_budget_take(b, now) == 0 && poke_word(word, value));
		int64_t taken = -1;
		for (int64_t wait; taken < 0; now += wait) {
			CHECK(now <= end);
			wait = mw_budget_take(b, now);
			CHECK(wait >= 0);
			taken = wait ? -1 : now;
		}
		CHECK(mw_budget_wait(b, taken) == 21);
		mw_budget_close_gate(b, taken, 1000);
		CHECK(mw_budget_gate_ms(b, taken) == 1000);
		mw_budget_free(b);
	}
}

static bool refused_with(const char *path, const char *part)
{
	struct mw_budget *b = NULL;
	struct mw_error e = {.code = MW_OK};
	bool right = mw_budget_open(path, 50, &b, &e) == MW_IO && !b && strstr(e.detail, part) &&
		     strstr(e.detail, path);
	if (!right)
		fprintf(stderr, "%s: \"%s\", not \"%s\"\n", path, e.detail, part);
	return right;
}

TEST(what_others_may_touch_is_refused)
{
	const mode_t bad[] = {0644, 0660, 0602, 0610};
	struct mw_budget *b = new_at(50);
	mw_budget_free(b);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(chmod(file, bad[i]) == 0 && refused_with(file, "chmod 600"));
	CHECK(chmod(file, 0600) == 0);
	if (geteuid() == 0) {
		CHECK(chown(file, 12345, (gid_t)-1) == 0 && refused_with(file, "belongs to user 12345"));
		CHECK(chown(file, 0, (gid_t)-1) == 0);
	}
	b = open_at(50);
	CHECK(b);
	mw_budget_free(b);
}

TEST(only_a_plain_file_in_a_folder_that_is_there_will_do)
{
	char path[128];
	snprintf(path, sizeof path, "%s/link", folder);
	CHECK(symlink(file, path) == 0 && refused_with(path, "symbolic link") && unlink(path) == 0);
	snprintf(path, sizeof path, "%s/fifo", folder);
	CHECK(mkfifo(path, 0600) == 0 && refused_with(path, "not a plain file") && unlink(path) == 0);
	snprintf(path, sizeof path, "%s/none/budget", folder);
	CHECK(refused_with(path, "No such file or directory"));
	CHECK(refused_with(folder, "Is a directory"));
}

/* What the takers of a simulation share. Each permit was taken while the clock went from `before` to
 * `after`; both are 0 if its taker was killed before it could write them down. */
enum { PERMITS_MAX = 100000, TAKERS = 4 };

struct simulation {
	_Atomic int64_t clock;
	int64_t end;
	atomic_int go;
	atomic_uint count;
	struct permit {
		int64_t before, after;
	} permits[PERMITS_MAX];
};

static struct simulation *simulation_new(int64_t end)
{
	struct simulation *s =
	    mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	s->end = end;
	atomic_store(&s->clock, 1);
	return s;
}

/* Ask again and again, moving the clock a little, until its end. */
static void take_many(struct simulation *s, struct mw_budget *b, uint64_t random)
{
	for (;;) {
		int64_t now = atomic_load(&s->clock);
		if (now >= s->end)
			return;
		if (mw_budget_take(b, now) == 0) {
			unsigned i = atomic_fetch_add(&s->count, 1);
			if (i < PERMITS_MAX)
				s->permits[i] = (struct permit){now, atomic_load(&s->clock)};
		}
		if (check_random(&random) % 16 == 0)
			atomic_fetch_add(&s->clock, 1);
	}
}

static int by_before(const void *a, const void *b)
{
	const struct permit *p = a, *q = b;
	return (p->before > q->before) - (p->before < q->before);
}

/* The most permits that certainly were in one second. */
static unsigned most_in_a_second(struct simulation *s)
{
	unsigned count = atomic_load(&s->count), most = 0;
	qsort(s->permits, count, sizeof *s->permits, by_before);
	for (unsigned first = 0; first < count; first++) {
		unsigned n = 0;
		int64_t end = s->permits[first].before + 1000;
		for (unsigned i = first; i < count && s->permits[i].before < end; i++)
			n += s->permits[i].before && s->permits[i].after && s->permits[i].after < end;
		most = n > most ? n : most;
	}
	return most;
}

static void tell(const char *what, struct simulation *s, unsigned most)
{
	printf("%s: %u permits in %lld simulated s, at most %u in one second\n", what, atomic_load(&s->count),
	       (long long)(s->end / 1000), most);
	fflush(stdout); /* or children would print it again */
}

/* A taker dies of its alarm somewhere between two instructions, of opening too. */
static pid_t start_taker(struct simulation *s, uint64_t random)
{
	pid_t child = fork();
	if (child)
		return child;
	ualarm(1 + (useconds_t)(check_random(&random) % 4000), 0);
	struct mw_budget *b = open_at(50);
	if (!b)
		_exit(1);
	take_many(s, b, random);
	mw_budget_free(b); /* else valgrind may call it lost, and the exit is no good one */
	_exit(0);
}

/* Restart whoever dies, until the clock is at its end. -1 if one failed, else how many were killed. */
static int keep_alive(struct simulation *s, uint64_t random)
{
	pid_t takers[TAKERS] = {0};
	int kills = 0, status = 0;
	bool failed = false;
	while (atomic_load(&s->clock) < s->end && !failed) {
		for (int i = 0; i < TAKERS; i++)
			if (!takers[i])
				takers[i] = start_taker(s, check_random(&random));
		pid_t dead = waitpid(-1, &status, 0);
		/* All at once now and then: nobody is left to remember. */
		bool all = check_random(&random) % 16 == 0;
		for (int i = 0; i < TAKERS; i++)
			if (takers[i] == dead) {
				takers[i] = 0;
			} else if (all) {
				kill(takers[i], SIGKILL);
				waitpid(takers[i], NULL, 0);
				takers[i] = 0;
				kills++;
			}
		kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
		failed = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status) != SIGALRM;
	}
	for (int i = 0; i < TAKERS; i++)
		if (takers[i] > 0)
			waitpid(takers[i], NULL, 0);
	return failed ? -1 : kills;
}

TEST(processes_killed_at_any_moment_never_exceed_the_budget_together)
{
	uint64_t random = check_seed("kills");
	struct simulation *s = simulation_new(getenv("MW_VALGRIND") ? 5000
					      : getenv("MW_TSAN")   ? 50000
								    : 1000000);
	unlink(file);
	int kills = keep_alive(s, random);
	CHECK(kills > 0 && atomic_load(&s->count) < PERMITS_MAX);
	unsigned most = most_in_a_second(s);
	printf("%d kills: ", kills);
	tell("processes", s, most);
	CHECK(most <= 50);
	CHECK(atomic_load(&s->count) >= s->end / 21 * 9 / 10);
	munmap(s, sizeof *s);
}

TEST(processes_that_open_a_new_file_at_once_start_empty_together)
{
	struct simulation *s = simulation_new(0);
	for (int round = 0, rounds = check_rounds(100); round < rounds; round++) {
		pid_t takers[TAKERS];
		unlink(file);
		atomic_store(&s->go, 0);
		for (int i = 0; i < TAKERS; i++) {
			takers[i] = fork();
			if (takers[i] == 0) {
				while (atomic_load(&s->go) == 0)
					sched_yield();
				struct mw_budget *b = open_at(50);
				for (int n = 0; b && n < 1000; n++)
					atomic_fetch_add(&s->count, mw_budget_take(b, 1000) == 0);
				bool fine = b;
				mw_budget_free(b);
				_exit(fine ? 0 : 1);
			}
		}
		atomic_store(&s->go, 1);
		int failed = 0, status;
		for (int i = 0; i < TAKERS; i++)
			failed += waitpid(takers[i], &status, 0) != takers[i] || status != 0;
		CHECK(failed == 0 && atomic_load(&s->count) == 0);
		struct mw_budget *b = open_at(50);
		CHECK(b && mw_budget_take(b, 1022) == 0);
		mw_budget_free(b);
	}
	munmap(s, sizeof *s);
}

TEST(a_child_goes_on_with_its_parents_budget)
{
	struct mw_budget *b = new_at(50);
	CHECK(b && mw_budget_take(b, 1000) == 0);
	pid_t child = fork();
	if (child == 0)
		_exit(mw_budget_take(b, 1000) == 21 && mw_budget_take(b, 1021) == 0 ? 0 : 1);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(mw_budget_take(b, 1021) == 21);
	mw_budget_free(b);
}

struct thread {
	pthread_t id;
	struct simulation *s;
	struct mw_budget *b;
	uint64_t random;
};

static void *run_thread(void *argument)
{
	struct thread *t = argument;
	struct mw_budget *own = t->b ? NULL : open_at(50);
	take_many(t->s, own ? own : t->b, t->random);
	mw_budget_free(own);
	return NULL;
}

TEST(threads_may_share_a_budget_or_open_their_own)
{
	uint64_t random = check_seed("threads");
	struct simulation *s = simulation_new(20000);
	unlink(file);
	struct mw_budget *shared = open_at(50);
	struct thread threads[TAKERS];
	CHECK(shared);
	for (int i = 0; i < TAKERS; i++) {
		threads[i] = (struct thread){0, s, i % 2 ? shared : NULL, check_random(&random)};
		CHECK(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) == 0);
	}
	for (int i = 0; i < TAKERS; i++)
		pthread_join(threads[i].id, NULL);
	unsigned most = most_in_a_second(s);
	tell("threads", s, most);
	CHECK(most <= 50 && atomic_load(&s->count) >= s->end / 21 * 9 / 10);
	mw_budget_free(shared);
	munmap(s, sizeof *s);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%.40s/mw-budget-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder)) {
		perror("mkdtemp");
		return 1;
	}
	snprintf(file, sizeof file, "%s/budget", folder);
	RUN(a_new_budget_is_empty);
	RUN(everybody_sees_what_the_others_took);
	RUN(a_restart_finds_what_was_taken_before);
	RUN(a_loop_of_restarts_with_new_files_gets_nothing);
	RUN(a_clock_read_long_ago_takes_no_second_permit);
	RUN(a_gate_closed_by_one_is_closed_for_all_and_after_a_restart);
	RUN(an_unlimited_caller_waits_for_the_gate_alone_and_costs_the_others_nothing);
	RUN(different_rates_keep_to_the_highest_together);
	RUN(what_is_no_rate_is_refused);
	RUN(a_damaged_header_or_another_boot_starts_empty);
	RUN(a_file_cut_short_starts_empty_and_a_longer_one_is_none);
	RUN(a_newer_version_is_left_alone);
	RUN(damaged_numbers_neither_block_for_long_nor_let_through_too_much);
	RUN(what_others_may_touch_is_refused);
	RUN(only_a_plain_file_in_a_folder_that_is_there_will_do);
	RUN(processes_killed_at_any_moment_never_exceed_the_budget_together);
	RUN(processes_that_open_a_new_file_at_once_start_empty_together);
	RUN(a_child_goes_on_with_its_parents_budget);
	RUN(threads_may_share_a_budget_or_open_their_own);
	unlink(file);
	rmdir(folder);
	return CHECK_END();
}
