#include "spool_check.h"

#include "directory.h"
#include "partition.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, TEXT_MAX = 1024 };

struct mw_verify {
	char dir[PATH_ROOM];
	uint32_t partition; /* the one that is read, or the next */
	pid_t child;        /* 0: none */
	FILE *in;
	bool is_summed; /* the child came to its end */
	uint8_t bytes[TEXT_MAX];
};

static const struct {
	const char *word;
	const char *advice;
} findings[] = {
#define TEXTS_OF(code, word, advice) {word, advice},
    MW_FINDINGS(TEXTS_OF)
#undef TEXTS_OF
};

const char *mw_finding_word(enum mw_finding f)
{
	return findings[f].word;
}

const char *mw_finding_advice(enum mw_finding f)
{
	return findings[f].advice;
}

/* Whether there is something to look at: a process that died as it made a partition left an empty one. */
static bool has_data(const char *dir, uint32_t partition)
{
	char path[PATH_ROOM + 32];
	struct stat st;
	snprintf(path, sizeof path, "%s/p%u/data.mdb", dir, partition);
	return stat(path, &st) == 0 && st.st_size > 0;
}

enum mw_err mw_verify_open(const char *dir, struct mw_verify **out, struct mw_error *e)
{
	char path[PATH_ROOM];
	struct stat st;
	bool found = false;
	if (strlen(dir) > PATH_ROOM - 32)
		return mw_error_set(e, MW_IO, 0, "the spool's path is too long");
	for (uint32_t i = 0; i < MW_PARTITIONS_MAX; i++) {
		snprintf(path, sizeof path, "%.4000s/p%u", dir, i);
		if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
			continue;
		/* A reader's entry in LMDB's table is written: as somebody else, that would keep the owner
		 * out. */
		enum mw_err err = mw_directory_open(path, e);
		if (err != MW_OK)
			return err;
		found = true;
	}
	if (!found)
		return stat(dir, &st) != 0
			   ? mw_error_set(e, MW_IO, 0, "%.150s: %s", dir, strerror(errno))
			   : mw_error_set(e, MW_IO, 0,
					  "%.150s: holds no spool; name the directory that was given "
					  "as --spool to what sends",
					  dir);
	struct mw_verify *v = calloc(1, sizeof *v);
	if (!v)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory to verify a spool");
	strcpy(v->dir, dir);
	*out = v;
	return MW_OK;
}

static void close_child(struct mw_verify *v)
{
	if (v->in)
		fclose(v->in);
	v->in = NULL;
	if (v->child > 0) {
		kill(v->child, SIGKILL);
		while (waitpid(v->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	v->child = 0;
}

void mw_verify_close(struct mw_verify *v)
{
	if (!v)
		return;
	close_child(v);
	free(v);
}

/* ---- records on their way */

void mw_verify_write(FILE *out, const struct mw_verify_record *r)
{
	fwrite(r, sizeof *r, 1, out);
	fwrite(r->account.at, 1, r->account.len, out);
	fwrite(r->text.at, 1, r->text.len, out);
}

static bool read_record(struct mw_verify *v, struct mw_verify_record *r)
{
	if (fread(r, sizeof *r, 1, v->in) != 1 || r->account.len > sizeof v->bytes ||
	    r->text.len > sizeof v->bytes - r->account.len)
		return false;
	size_t len = r->account.len + r->text.len;
	if (fread(v->bytes, 1, len, v->in) != len)
		return false;
	r->account.at = v->bytes;
	r->text.at = v->bytes + r->account.len;
	return true;
}

/* ---- the child */

static void be_child(const struct mw_verify *v, pid_t parent, int fd)
{
	char path[PATH_ROOM];
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGINT, SIGTERM, SIGPIPE};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* A crash is an answer here, and no handler of this process's is to have a say in it; nor a core file
	 * with what may be keys in it. */
	prctl(PR_SET_DUMPABLE, 0);
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		signal(fatal[i], SIG_DFL);
	/* LMDB says on stderr which of its assertions failed. */
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	FILE *out = fdopen(fd, "w");
	snprintf(path, sizeof path, "%.4000s/p%u", v->dir, v->partition);
	if (!out)
		_exit(1);
	mw_spool_check(path, v->partition, out);
	_exit(fclose(out) == 0 ? 0 : 1);
}

static enum mw_err start_child(struct mw_verify *v, struct mw_error *e)
{
	int ends[2];
	pid_t parent = getpid();
	if (pipe2(ends, O_CLOEXEC) != 0)
		return mw_error_set(e, MW_IO, 0, "no pipe to verify a spool with: %s", strerror(errno));
	v->in = fdopen(ends[0], "r");
	pid_t child = v->in ? fork() : -1;
	if (child == 0)
		be_child(v, parent, ends[1]);
	int why = errno;
	close(ends[1]);
	if (child < 0) {
		if (!v->in)
			close(ends[0]);
		close_child(v);
		return mw_error_set(e, MW_IO, 0, "no process to verify a spool with: %s", strerror(why));
	}
	v->child = child;
	v->is_summed = false;
	return MW_OK;
}

/* The child is gone before it came to the end of what it had to read. */
static void tell_crash(const struct mw_verify *v, struct mw_verify_record *out)
{
	static const char text[] =
	    "can't be read: its structure is so damaged that reading it ends in a crash";
	*out = (struct mw_verify_record){.kind = MW_VERIFY_FINDING,
					 .finding = MW_FINDING_CRASH,
					 .partition = v->partition,
					 .text = {(const uint8_t *)text, sizeof text - 1}};
}

enum mw_err mw_verify_next(struct mw_verify *v, struct mw_verify_record *out, struct mw_error *e)
{
	if (!v->in) {
		while (v->partition < MW_PARTITIONS_MAX && !has_data(v->dir, v->partition))
			v->partition++;
		if (v->partition == MW_PARTITIONS_MAX) {
			*out = (struct mw_verify_record){.kind = MW_VERIFY_END};
			return MW_OK;
		}
		enum mw_err err = start_child(v, e);
		if (err != MW_OK)
			return err;
	}
	if (read_record(v, out)) {
		v->is_summed = out->kind == MW_VERIFY_PARTITION;
		return MW_OK;
	}
	bool crashed = !v->is_summed;
	close_child(v);
	if (crashed)
		tell_crash(v, out);
	v->partition++;
	return crashed ? MW_OK : mw_verify_next(v, out, e);
}
