#include "env_files.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PATH_ROOM = 4200,
	HEADS = 2,
	LOCK_FILE_LEN = 72 * 1024, /* LMDB's table of 1024 readers, 64 bytes each, and what is before it */
};

/* An environment with nothing in it. Nobody else knows its name, so it needs no lock. */
static int make_empty(const char *path)
{
	MDB_env *env;
	int rc = unlink(path) == 0 || errno == ENOENT ? mdb_env_create(&env) : errno;
	if (rc != 0)
		return rc;
	rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
	if (rc == 0)
		rc = mdb_env_sync(env, 1);
	mdb_env_close(env);
	return rc;
}

/* Gives it its name. One that another process made meanwhile stays. */
static int publish(const char *unfinished, const char *path, bool is_shared)
{
	if (!is_shared)
		return rename(unfinished, path) == 0 ? 0 : errno;
	int rc = link(unfinished, path) == 0 || errno == EEXIST ? 0 : errno;
	unlink(unfinished);
	return rc;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	/* Some file systems have no notion of it. */
	int rc = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
	close(fd);
	return rc;
}

static int fill_lock_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	/* Not posix_fallocate: where the file system can't do it, that one writes into what others use. */
	int rc;
	do
		rc = fallocate(fd, 0, 0, LOCK_FILE_LEN) < 0 ? errno : 0;
	while (rc == EINTR);
	if (rc != ENOSPC && rc != EDQUOT)
		rc = 0;
	close(fd);
	return rc;
}

int mw_env_files_make(const char *directory, bool is_shared)
{
	char path[PATH_ROOM], unfinished[PATH_ROOM + 32];
	int rc = 0;
	snprintf(path, sizeof path, "%.4096s/data.mdb", directory);
	if (is_shared)
		snprintf(unfinished, sizeof unfinished, "%.4096s/data.new.%ld", directory, (long)getpid());
	else
		snprintf(unfinished, sizeof unfinished, "%.4096s/data.new", directory);
	if (access(path, F_OK) != 0) {
		rc = errno == ENOENT ? make_empty(unfinished) : errno;
		if (rc == 0)
			rc = publish(unfinished, path, is_shared);
	}
	if (rc == 0) {
		snprintf(path, sizeof path, "%.4096s/lock.mdb", directory);
		rc = fill_lock_file(path);
	}
	/* Whoever made them may have come to an end before this. */
	return rc == 0 ? sync_directory(directory) : rc;
}

void mw_env_files_lengthen(struct MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd;
	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0 || mdb_env_get_fd(env, &fd) != 0 ||
	    fstat(fd, &st) != 0)
		return;
	off_t len = ((off_t)info.me_last_pgno + 1) * stat.ms_psize;
	/* Where this fails things are as they were. */
	if (st.st_size < len && ftruncate(fd, len) != 0)
		return;
}

/* Both pages that say which transaction is the newest are written as they are seen. */
static int rewrite_heads(MDB_env *env)
{
	MDB_stat stat;
	int fd, rc = mdb_env_stat(env, &stat);
	if (rc != 0 || (rc = mdb_env_get_fd(env, &fd)) != 0)
		return rc;
	size_t len = (size_t)HEADS * stat.ms_psize;
	uint8_t *heads = malloc(len);
	if (!heads)
		return ENOMEM;
	ssize_t n = pread(fd, heads, len, 0);
	if (n == (ssize_t)len)
		n = pwrite(fd, heads, len, 0);
	rc = n == (ssize_t)len ? 0 : n < 0 ? errno : EIO;
	free(heads);
	return rc;
}

int mw_env_files_settle(MDB_env *env)
{
	MDB_txn *alone;
	int rc = mdb_txn_begin(env, NULL, 0, &alone);
	if (rc != 0)
		return rc;
	rc = rewrite_heads(env);
	mdb_txn_abort(alone);
	return rc == 0 ? mdb_env_sync(env, 1) : rc;
}
