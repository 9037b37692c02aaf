/* tracer.h -- a child process whose system calls are counted, and one of them is its last or fails.
 *
 *     pid_t p = tracer_fork();            0 in the child, which then runs as usual
 *     tracer_run(p, &plan)                until it has ended
 *
 * All its threads are followed; calls are counted in the order in which this process hears of them.
 * ptrace(2), so it works on one's own children without privileges. A call is failed by making it another one
 * that does not exist and writing the result over: for that the registers must be known, so x86-64 only.
 */
#ifndef MW_TRACER_H
#define MW_TRACER_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* <linux/ptrace.h> does not go with <sys/ptrace.h>: what is needed of it. */
enum { TRACER_ENTRY = 1 };
#define TRACER_GET_SYSCALL_INFO ((enum __ptrace_request)0x420e)
struct tracer_info {
	uint8_t op;
	uint8_t pad[3];
	uint32_t arch;
	uint64_t instruction_pointer, stack_pointer;
	uint64_t nr; /* at an entry */
	uint64_t args[8];
};

enum { TRACER_CALLS = 512, TRACER_THREADS = 16 };

struct tracer {
	long kill_at; /* SIGKILL instead of call number kill_at, the first is 1; 0: never */
	long fail_nr; /* occurrence fail_at of this call fails with fail_errno */
	long fail_at; /* 0: none */
	int fail_errno;
	/* What came of it. */
	long calls;
	long counts[TRACER_CALLS]; /* by number */
	bool has_failed;
	int status; /* of waitpid */
};

__attribute__((unused)) static pid_t tracer_fork(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
	}
	return pid;
}

struct tracer_thread {
	pid_t tid;
	bool failing; /* between entry and exit of the call that is to fail */
};

static struct tracer_thread *tracer_thread(struct tracer_thread *all, pid_t tid)
{
	for (int i = 0; i < TRACER_THREADS; i++)
		if (all[i].tid == tid || all[i].tid == 0) {
			all[i].tid = tid;
			return &all[i];
		}
	fprintf(stderr, "tracer: too many threads\n");
	exit(2);
}

#ifdef __x86_64__
static void tracer_spoil(pid_t tid)
{
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, tid, NULL, &r);
	r.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, tid, NULL, &r);
}

static void tracer_answer(pid_t tid, int err)
{
	struct user_regs_struct r;
	ptrace(PTRACE_GETREGS, tid, NULL, &r);
	r.rax = (unsigned long long)(long long)-err;
	ptrace(PTRACE_SETREGS, tid, NULL, &r);
}
enum { TRACER_CAN_FAIL = 1 };
#else
static void tracer_spoil(pid_t tid)
{
	(void)tid;
}
static void tracer_answer(pid_t tid, int err)
{
	(void)tid;
	(void)err;
}
enum { TRACER_CAN_FAIL = 0 };
#endif

/* Until the process has ended; true if it was traced at all. */
__attribute__((unused)) static bool tracer_run(pid_t pid, struct tracer *t)
{
	struct tracer_thread threads[TRACER_THREADS] = {{0, false}};
	int status;
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)) != 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, __WALL);
		return false;
	}
	ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid == pid && (WIFEXITED(status) || WIFSIGNALED(status))) {
			t->status = status;
			return true;
		}
		if (tid < 0 && errno == ECHILD)
			return false;
		if (tid < 0 || !WIFSTOPPED(status))
			continue;
		long deliver = 0;
		int signal = WSTOPSIG(status);
		if (signal == (SIGTRAP | 0x80)) {
			struct tracer_info info = {.op = 0};
			struct tracer_thread *thread = tracer_thread(threads, tid);
			ptrace(TRACER_GET_SYSCALL_INFO, tid, sizeof info, &info);
			if (info.op == TRACER_ENTRY) {
				long n = info.nr < TRACER_CALLS ? ++t->counts[info.nr] : 0;
				if (++t->calls == t->kill_at)
					kill(pid, SIGKILL);
				if (t->fail_at > 0 && (long)info.nr == t->fail_nr && n == t->fail_at) {
					tracer_spoil(tid);
					thread->failing = t->has_failed = true;
				}
			} else if (thread->failing) {
				tracer_answer(tid, t->fail_errno);
				thread->failing = false;
			}
		} else if (signal != SIGTRAP && signal != SIGSTOP) {
			deliver = signal;
		}
		ptrace(PTRACE_SYSCALL, tid, NULL, (void *)deliver);
	}
}

#endif
