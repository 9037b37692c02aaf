/* Each system call that the engine and its spool make, failed once with each error that it may have: either
 * somebody is told, or all works. In any case nothing that sync called safe is lost, and the next process
 * finds a spool in order.
 *
 *     MW_FAULTS=1000     occurrences of each call that are failed, at most; default 6, spread over all
 */
#include "ledger.h"
#include "tracer.h"

enum { ERRORS_MAX = 8, ROUNDS = 3, FLUSH_MS = 1500, JOBS = 4 };

static struct ledger *books;

/* What may go wrong. Not here: calls without an error that could happen (getpid), and those that only end
 * things. */
static const struct fault {
	const char *name;
	long nr;
	int errors[ERRORS_MAX];
} faults[] = {
    {"openat", SYS_openat, {EMFILE, ENFILE, EACCES, ENOSPC, EIO, ENOMEM, EINTR}},
    {"read", SYS_read, {EIO, EINTR, EAGAIN}},
    {"write", SYS_write, {EIO, ENOSPC, EAGAIN, EINTR}},
    {"pread64", SYS_pread64, {EIO, EINTR}},
    {"pwrite64", SYS_pwrite64, {EIO, ENOSPC, EDQUOT, EFBIG, EINTR}},
    {"pwritev", SYS_pwritev, {EIO, ENOSPC, EDQUOT, EFBIG, EINTR}},
    {"writev", SYS_writev, {EIO, ENOSPC, EDQUOT}},
    {"fsync", SYS_fsync, {EIO, ENOSPC, EDQUOT}},
    {"fdatasync", SYS_fdatasync, {EIO, ENOSPC, EDQUOT}},
    {"msync", SYS_msync, {EIO}},
    {"ftruncate", SYS_ftruncate, {EIO, ENOSPC, EFBIG}},
    {"fallocate", SYS_fallocate, {EIO, ENOSPC, EOPNOTSUPP, EINTR, EFBIG}},
    {"lseek", SYS_lseek, {EIO}},
    {"newfstatat", SYS_newfstatat, {EIO, ENOMEM}},
    {"statfs", SYS_statfs, {EIO}},
    {"fstatfs", SYS_fstatfs, {EIO}},
    {"faccessat2", SYS_faccessat2, {EIO, EACCES}},
    {"mmap", SYS_mmap, {ENOMEM}},
    {"mprotect", SYS_mprotect, {ENOMEM}},
    {"mremap", SYS_mremap, {ENOMEM}},
    {"madvise", SYS_madvise, {EAGAIN, EINVAL}},
    {"mlock", SYS_mlock, {ENOMEM, EPERM}},
    {"fcntl", SYS_fcntl, {ENOLCK, EMFILE, EIO, EINTR}},
    {"socket", SYS_socket, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES}},
    {"socketpair", SYS_socketpair, {EMFILE, ENFILE}},
    {"pipe2", SYS_pipe2, {EMFILE, ENFILE}},
    {"eventfd2", SYS_eventfd2, {EMFILE, ENFILE, ENOMEM}},
    {"connect", SYS_connect, {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, EACCES}},
    {"getsockopt", SYS_getsockopt, {ENOBUFS}},
    {"setsockopt", SYS_setsockopt, {ENOBUFS}},
    {"getsockname", SYS_getsockname, {ENOBUFS}},
    {"getpeername", SYS_getpeername, {ENOTCONN}},
    {"sendto", SYS_sendto, {EPIPE, ECONNRESET, ENOBUFS, EINTR, EAGAIN}},
    {"recvfrom", SYS_recvfrom, {ECONNRESET, ETIMEDOUT, ENOMEM, EINTR}},
    {"poll", SYS_poll, {EINTR, ENOMEM}},
    {"mkdir", SYS_mkdir, {EACCES, ENOSPC, EIO, EMLINK}},
    {"clone3", SYS_clone3, {EAGAIN, ENOSYS}},
    {"clone", SYS_clone, {EAGAIN}},
    {"getrandom", SYS_getrandom, {EINTR}},
    {"clock_gettime", SYS_clock_gettime, {EINVAL}},
    {"close", SYS_close, {EIO, EINTR}},
    {"munmap", SYS_munmap, {ENOMEM}},
};

/* An error is one of those that its caller may get, and says something. */
static bool is_told(enum mw_err err, const struct mw_error *e)
{
	/* LMDB takes any refusal of its lock for another process that has it, and then misses what that one
	 * has written. */
	if (err == MW_CORRUPT)
		return books->failing == SYS_fcntl;
	return (err == MW_IO || err == MW_FULL || err == MW_NO_MEMORY) && e->code == err &&
	       strlen(e->detail) > 10;
}

/* The fault may be over, and full or out of memory may pass by itself: until it does, or it is told that it
 * won't. */
static enum mw_err sync_in_the_end(struct ledger *b, struct mw_engine *g, uint32_t first[LEDGER_ACCOUNTS],
				   struct mw_error *e)
{
	enum mw_err err = MW_OK;
	for (int64_t deadline = monotonic_ms() + RIG_PATIENCE_MS; monotonic_ms() < deadline;) {
		err = ledger_sync(b, g, first, e);
		if (err != MW_FULL && err != MW_NO_MEMORY)
			return err;
	}
	return err;
}

/* Everything once, and whoever is refused says so. */
static void work(struct ledger *b, uint64_t random)
{
	struct mw_error e = {.code = MW_OK};
	struct mw_outbox box;
	uint32_t first[LEDGER_ACCOUNTS];
	alarm(RIG_PATIENCE_MS / 1000 * 3);
	mw_outbox_init(&box, 64u << 20);
	struct mw_engine *g = NULL;
	/* The fault happens once: the second time it must open. */
	for (int i = 0; i < 2 && !g; i++) {
		g = ledger_open(b, ledger_config(b), &e);
		if (!g && (i == 1 || !is_told(e.code, &e))) {
			ledger_say(b, "open said %s: %s", mw_err_word(e.code), e.detail);
			_exit(3);
		}
	}
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		first[i] = atomic_load(&b->lanes[i].next);
	bool is_broken = false;
	enum mw_err err = mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, &e);
	if (err == MW_NO_MEMORY)
		err = mw_engine_set_key(g, MW_SPAN(""), MW_SPAN("key"), NULL, &e);
	if (err != MW_OK) {
		ledger_say(b, "a key said %s: %s", mw_err_word(err), e.detail);
		_exit(3);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		err = ledger_push(b, g, &box, &random, 10);
		bool is_refused = err != MW_OK;
		if (is_broken ? err != MW_IO : err != MW_OK && err != MW_IO && err != MW_NO_MEMORY) {
			ledger_say(b, "push said %s", mw_err_word(err));
			_exit(3);
		}
		err = sync_in_the_end(b, g, first, &e);
		/* With nothing new to wait for, all that was taken is safe. */
		if (is_broken ? err != MW_IO && !is_refused
			      : err != MW_OK && (err != MW_IO || !is_told(err, &e))) {
			ledger_say(b, "sync said %s: %s", mw_err_word(err), e.detail);
			_exit(3);
		}
		is_broken |= err == MW_IO;
		err = mw_engine_flush(g, FLUSH_MS);
		if (err != MW_OK && err != MW_TIMEOUT && err != MW_IO) {
			ledger_say(b, "flush said %s", mw_err_word(err));
			_exit(3);
		}
		is_broken |= err == MW_IO;
	}
	b->is_broken = is_broken;
	err = mw_engine_close(g, FLUSH_MS, &e);
	if (is_broken ? err != MW_IO : err != MW_OK && err != MW_TIMEOUT && err != MW_IO)
		ledger_say(b, "close said %s: %s", mw_err_word(err), e.detail);
	mw_engine_free(g);
	_exit(b->complaint[0] ? 3 : 0);
}

static struct {
	unsigned runs, broken;
} done;

static bool run(struct ledger *b, const struct mock *m, struct tracer *t)
{
	ledger_begin(b, m);
	b->is_broken = false;
	b->failing = t->fail_nr;
	if (!mock_script(m, "reset\nmarker POISON") || !ledger_before(b))
		return false;
	pid_t pid = tracer_fork();
	if (pid == 0)
		work(b, 5);
	if (!tracer_run(pid, t)) {
		fprintf(stderr, "ptrace(2) is not allowed here: no system call can be made to fail\n");
		return false;
	}
	done.runs++;
	done.broken += b->is_broken;
	if (t->status != 0)
		fprintf(stderr, "history %u: ended with %#x\n", b->history, (unsigned)t->status);
	bool fine = ledger_after(b) && t->status == 0;
	return ledger_finish(b, m) && fine;
}

static bool fail_each(struct ledger *b, const struct mock *m, const struct fault *f, long count, long max)
{
	bool fine = true;
	for (int i = 0; i < ERRORS_MAX && f->errors[i]; i++) {
		long step = count > max ? (count + max - 1) / max : 1, from = 1 + i % step;
		for (long n = from; n <= count; n += step) {
			struct tracer t = {.fail_nr = f->nr, .fail_at = n, .fail_errno = f->errors[i]};
			if (run(b, m, &t))
				continue;
			fprintf(stderr, "  where %s number %ld failed with %s\n", f->name, n,
				strerrorname_np(f->errors[i]));
			fine = false;
		}
	}
	return fine;
}

/* Every JOBSth of the faults, on a server and in histories of its own: most of them are waiting for
 * something. */
static int job(unsigned number, const long *counts)
{
	const char *given = getenv("MW_FAULTS"), *only = getenv("MW_FAULT");
	struct mock m = mock_start(NULL, NULL);
	unsigned wrong = 0;
	books = ledger_new();
	ledger_histories = (number + 1) * 100000;
	for (size_t i = number; i < sizeof faults / sizeof *faults; i += JOBS)
		if (!only || strcmp(only, faults[i].name) == 0)
			wrong +=
			    !fail_each(books, &m, &faults[i], counts[faults[i].nr], given ? atol(given) : 6);
	printf("%u faults, %u of them ended with a spool that said its disk had failed\n", done.runs,
	       done.broken);
	mock_stop(&m);
	return wrong > 0 || done.runs == 0;
}

TEST(each_call_may_fail_once_with_each_error)
{
	if (!TRACER_CAN_FAIL) {
		printf("SKIPPED: system calls can be made to fail on x86-64 only\n");
		return;
	}
	struct mock m = mock_start(NULL, NULL);
	struct tracer dry = {.kill_at = 0};
	bool fine = run(books, &m, &dry);
	mock_stop(&m);
	CHECK(fine && dry.counts[SYS_fdatasync] > 2 && dry.counts[SYS_sendto] > 2);
	fflush(stdout);
	pid_t jobs[JOBS];
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = fork();
		if (jobs[i] == 0)
			exit(job(i, dry.counts));
	}
	for (unsigned i = 0; i < JOBS; i++) {
		int status;
		fine &= waitpid(jobs[i], &status, 0) == jobs[i] && status == 0;
	}
	CHECK(fine);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	books = ledger_new();
	RUN(each_call_may_fail_once_with_each_error);
	return CHECK_END();
}
