/* secret_rig.h -- a process that holds secrets and ends in a core file, and a look for them in all it leaves.
 */
#ifndef MW_SECRET_RIG_H
#define MW_SECRET_RIG_H

#include "../c/folder.h"
#include "../c/rig.h"
#include "core_file.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum { SECRET_FORMS_MAX = 256, SECRET_FORM_LEN = 16 };

/* What a secret may look like: so many bytes of it each. */
struct secret_forms {
	uint8_t bytes[SECRET_FORMS_MAX][SECRET_FORM_LEN];
	size_t count;
};

static inline void secret_add(struct secret_forms *f, const void *bytes)
{
	if (f->count < SECRET_FORMS_MAX)
		memcpy(f->bytes[f->count++], bytes, SECRET_FORM_LEN);
}

/* Is one of them in this file? Tells where, unless it is as it should be. */
static inline bool secret_found(const char *path, const struct secret_forms *f, bool quiet)
{
	bool found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t cap = 1 << 20, len = 0;
	char *all = malloc(cap);
	for (ssize_t n; fd >= 0 && all && (n = read(fd, all + len, cap - len)) > 0;) {
		len += (size_t)n;
		if (len == cap)
			all = realloc(all, cap *= 2);
	}
	for (size_t i = 0; all && i < f->count; i++) {
		const char *at = memmem(all, len, f->bytes[i], SECRET_FORM_LEN);
		if (!at)
			continue;
		if (!quiet)
			fprintf(stderr, "%s holds form %zu of %zu at %td of %zu\n", path, i, f->count,
				at - all, len);
		found = true;
	}
	free(all);
	if (fd >= 0)
		close(fd);
	return found;
}

/* In what /proc tells of a process. */
static inline bool secret_found_in_process(pid_t pid, const struct secret_forms *f)
{
	static const char *const files[] = {"cmdline", "environ", "status", "maps", "comm", "stat"};
	bool found = false;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
		found |= secret_found(path, f, false);
	}
	return found;
}

static const struct secret_forms *secret_wanted;
static unsigned secret_files;
static bool secret_in_files;

static inline int secret_look(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind == FTW_F) {
		secret_files++;
		secret_in_files |= secret_found(path, secret_wanted, false);
	}
	return 0;
}

/* In any file of the test's folder; says how many they were. */
static inline bool secret_found_in_files(const struct secret_forms *f, bool dumped)
{
	if (!dumped)
		printf("SKIPPED: core files are not written into the directory of the process here\n");
	secret_wanted = f;
	nftw(folder(), secret_look, 8, FTW_PHYS);
	printf("%u files looked at for %zu forms%s\n", secret_files, f->count,
	       dumped ? ", a core file among them" : "");
	return secret_in_files;
}

static inline void secret_print_report(void *context, const struct mw_report *r)
{
	(void)context;
	printf("%.*s: %d %d %.*s %.*s\n", (int)r->account.len, r->account.at, r->outcome, r->status,
	       (int)r->answer.len, r->answer.at, (int)r->message.len, r->message.at);
}

/* All that an engine tells. */
static inline void secret_print_state(struct mw_engine *g)
{
	struct mw_engine_lane lanes[16];
	size_t n = mw_engine_lanes(g, lanes, 16);
	for (size_t i = 0; i < n; i++)
		printf("%s: %d %s\n", lanes[i].account, lanes[i].last_status, lanes[i].last_error);
	while (mw_engine_poll(g, 100, secret_print_report, NULL) > 0)
		continue;
}

/* mock_script leaves what it sent on its stack: that is the test's doing, not the engine's. */
__attribute__((noinline)) static void secret_wipe_stack(void)
{
	volatile char deep[16384];
	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = 0;
}

/* The end of what the process does: it says how that went, and stays until it is ended. */
static inline void secret_stay(int ready, bool ok)
{
	fflush(stdout);
	secret_wipe_stack();
	if (write(ready, ok ? "y" : "n", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* A process that does `play` in `dir`, where its output is, and has come to secret_stay. */
static inline pid_t secret_start(void (*play)(const struct mock *m, int ready), const struct mock *m,
				 const char *dir, char *answer)
{
	int ready[2];
	fflush(stdout);
	pid_t pid = pipe2(ready, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid == 0) {
		const struct rlimit whole = {RLIM_INFINITY, RLIM_INFINITY};
		char output[300];
		snprintf(output, sizeof output, "%s/output", dir);
		int fd = open(output, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		setrlimit(RLIMIT_CORE, &whole);
		if (fd < 0 || chdir(dir) != 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(1);
		play(m, ready[1]);
	}
	close(ready[1]);
	*answer = 'n';
	if (pid < 0 || read(ready[0], answer, 1) != 1)
		*answer = 'n';
	close(ready[0]);
	return pid;
}

/* Ends it; was there a core file? */
static inline bool secret_end(pid_t pid, const char *dir, int *status)
{
	char path[300];
	kill(pid, SIGABRT);
	waitpid(pid, status, 0);
	find_core(dir, path);
	return WIFSIGNALED(*status) && WCOREDUMP(*status) && path[0];
}

#endif
