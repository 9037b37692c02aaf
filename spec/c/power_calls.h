/* power_calls.h -- the system calls of this program and of its libraries, logged for power_disk.h.
 *
 *     power_record(&log, &disk, dir)   `dir` has the disk's files; from now on changes below it are logged
 *     power_stop()                     no longer
 *     power_sync_to_fail = 3           of what is synced while this is logged, the third fails with EIO
 *
 * Each call is done as well: what is logged are copies. The program has to export its symbols (-rdynamic), so
 * that liblmdb finds these here before libc's. One thread.
 *
 * What LMDB stores into its lock file's map is not seen: power_disk.h makes that up.
 */
#ifndef MW_POWER_CALLS_H
#define MW_POWER_CALLS_H

#include "power_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdarg.h>
#include <sys/uio.h>

#define POWER_CALL __attribute__((visibility("default")))

/* libc's own. */
#define POWER_REAL(name)                                                                                     \
	static __typeof__(&name) real;                                                                       \
	if (!real)                                                                                           \
	*(void **)(&real) = dlsym(RTLD_NEXT, #name)

static struct power_list *power_log; /* NULL: nothing is logged */
static struct {
	dev_t device;
	ino_t inode;
} power_inodes[POWER_NODES];
static int power_node_count;
static int power_sync_to_fail; /* counts down */
static uint64_t power_failure_seed;
static unsigned power_env_flags; /* added to those that LMDB is opened with */
static MDB_env *power_env;       /* the one opened last */

/* Copies of what was written, until power_forget. */
static struct power_copy {
	struct power_copy *next;
	uint8_t bytes[];
} * power_copies;

static const uint8_t *power_copy(const void *bytes, size_t len)
{
	struct power_copy *copy = power_alloc(NULL, sizeof *copy + len);
	copy->next = power_copies;
	power_copies = copy;
	memcpy(copy->bytes, bytes, len);
	return copy->bytes;
}

/* Of all logs: no disk may have anything pending from them. */
static void power_forget(void)
{
	while (power_copies) {
		struct power_copy *next = power_copies->next;
		free(power_copies);
		power_copies = next;
	}
}

/* ---- which node */

static int power_node_of(const struct stat *st)
{
	for (int i = power_node_count - 1; i >= 0 && power_log; i--)
		if (power_inodes[i].device == st->st_dev && power_inodes[i].inode == st->st_ino)
			return i;
	return POWER_NOTHING;
}

static int power_node_of_fd(int fd)
{
	struct stat st;
	return power_log && fstat(fd, &st) == 0 ? power_node_of(&st) : POWER_NOTHING;
}

static void power_know(int node, const char *path)
{
	struct stat st;
	if (node >= POWER_NODES || lstat(path, &st) != 0)
		abort();
	power_inodes[node].device = st.st_dev;
	power_inodes[node].inode = st.st_ino;
	if (node >= power_node_count)
		power_node_count = node + 1;
}

static void power_know_all(const struct power_tree *t, int dir, const char *path)
{
	power_know(dir, path);
	for (int i = 0; i < t->name_count; i++) {
		char own[512];
		snprintf(own, sizeof own, "%s/%s", path, t->names[i].name);
		if (t->names[i].dir == dir)
			power_know_all(t, t->names[i].node, own);
	}
}

static void power_record(struct power_list *log, const struct power_disk *disk, const char *dir)
{
	memset(power_inodes, 0, sizeof power_inodes);
	power_node_count = disk->node_count;
	power_know_all(&disk->cache, 0, dir);
	power_log = log;
}

static void power_stop(void)
{
	power_log = NULL;
}

/* ---- names */

/* The directory's node, and the last part of the path. */
static int power_place(const char *path, const char **name)
{
	char dir[512];
	struct stat st;
	const char *slash = strrchr(path, '/');
	if (!power_log || !slash || slash == path)
		return POWER_NOTHING;
	snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	return stat(dir, &st) == 0 ? power_node_of(&st) : POWER_NOTHING;
}

static void power_log_name(int dir, const char *name, int node, bool is_dir)
{
	struct power_change c = {.kind = POWER_NAME, .node = dir, .at = node, .is_dir = is_dir};
	if (strlen(name) > POWER_NAME_MAX)
		abort();
	snprintf(c.name, sizeof c.name, "%s", name);
	power_list_add(power_log, &c);
}

static void power_log_new(const char *path, bool is_dir)
{
	const char *name;
	int dir = power_place(path, &name);
	if (dir == POWER_NOTHING)
		return;
	power_know(power_node_count, path);
	power_log_name(dir, name, power_node_count - 1, is_dir);
}

POWER_CALL int open(const char *path, int flags, ...)
{
	POWER_REAL(open);
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & O_CREAT ? (mode_t)va_arg(args, unsigned) : 0;
	va_end(args);
	bool is_new = power_log && (flags & O_CREAT) && access(path, F_OK) != 0;
	int fd = real(path, flags, mode);
	if (fd >= 0 && is_new)
		power_log_new(path, false);
	return fd;
}

POWER_CALL int mkdir(const char *path, mode_t mode)
{
	POWER_REAL(mkdir);
	int rc = real(path, mode);
	if (rc == 0 && power_log)
		power_log_new(path, true);
	return rc;
}

POWER_CALL int unlink(const char *path)
{
	POWER_REAL(unlink);
	const char *name;
	int rc = real(path), dir = rc == 0 ? power_place(path, &name) : POWER_NOTHING;
	if (dir != POWER_NOTHING)
		power_log_name(dir, name, POWER_NOTHING, false);
	return rc;
}

POWER_CALL int rename(const char *from, const char *to)
{
	POWER_REAL(rename);
	const char *old_name, *name;
	struct stat st;
	int rc = real(from, to), dir = rc == 0 ? power_place(to, &name) : POWER_NOTHING;
	int old_dir = rc == 0 ? power_place(from, &old_name) : POWER_NOTHING;
	if (dir != POWER_NOTHING && old_dir != POWER_NOTHING && lstat(to, &st) == 0) {
		power_log_name(dir, name, power_node_of(&st), S_ISDIR(st.st_mode));
		power_log_name(old_dir, old_name, POWER_NOTHING, false);
	}
	return rc;
}

/* ---- bytes */

static bool power_fails(void)
{
	return power_log && power_sync_to_fail > 0 && --power_sync_to_fail == 0;
}

static void power_log_sync(int node, bool fails)
{
	struct power_change c = {.kind = fails ? POWER_SYNC_FAILED : POWER_SYNC, .node = node};
	c.at = fails ? (int64_t)power_failure_seed : 0;
	power_list_add(power_log, &c);
}

/* What a write did; -1 with EIO if it is to fail as its file is synced. */
static ssize_t power_wrote(int fd, const void *bytes, ssize_t len, off_t at)
{
	int node = len > 0 ? power_node_of_fd(fd) : POWER_NOTHING;
	if (node == POWER_NOTHING)
		return len;
	bool is_synced = fcntl(fd, F_GETFL) & O_DSYNC;
	bool fails = is_synced && power_fails();
	struct power_change c = {.kind = is_synced && !fails ? POWER_WRITE_SYNCED : POWER_WRITE,
				 .node = node,
				 .at = at,
				 .len = (size_t)len,
				 .bytes = power_copy(bytes, (size_t)len)};
	power_list_add(power_log, &c);
	if (fails) {
		power_log_sync(node, true);
		errno = EIO;
		return -1;
	}
	return len;
}

POWER_CALL ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	POWER_REAL(pwrite);
	return power_wrote(fd, bytes, real(fd, bytes, len, at), at);
}

POWER_CALL ssize_t write(int fd, const void *bytes, size_t len)
{
	POWER_REAL(write);
	off_t at = power_log ? lseek(fd, 0, SEEK_CUR) : 0;
	return power_wrote(fd, bytes, real(fd, bytes, len), at);
}

POWER_CALL ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	ssize_t done = 0;
	for (int i = 0; i < count; i++) {
		ssize_t rc = pwrite(fd, parts[i].iov_base, parts[i].iov_len, at + done);
		if (rc < 0)
			return rc;
		done += rc;
	}
	return done;
}

POWER_CALL ssize_t writev(int fd, const struct iovec *parts, int count)
{
	ssize_t done = 0;
	for (int i = 0; i < count; i++) {
		ssize_t rc = write(fd, parts[i].iov_base, parts[i].iov_len);
		if (rc < 0)
			return rc;
		done += rc;
	}
	return done;
}

static void power_log_size(int fd, off_t size, bool may_shrink)
{
	struct stat st;
	int node = power_node_of_fd(fd);
	if (node == POWER_NOTHING)
		return;
	if (may_shrink && (fstat(fd, &st) != 0 || st.st_size > size))
		abort();
	struct power_change c = {.kind = POWER_SIZE, .node = node, .at = size};
	power_list_add(power_log, &c);
}

POWER_CALL int ftruncate(int fd, off_t size)
{
	POWER_REAL(ftruncate);
	power_log_size(fd, size, true);
	return real(fd, size);
}

/* The file gets its size and stays sparse: images are many. */
POWER_CALL int fallocate(int fd, int mode, off_t at, off_t len)
{
	POWER_REAL(ftruncate);
	struct stat st;
	if (mode != 0 || fstat(fd, &st) != 0)
		abort();
	if (st.st_size >= at + len)
		return 0;
	power_log_size(fd, at + len, false);
	return real(fd, at + len);
}

static int power_sync(int fd, int (*real)(int))
{
	int node = power_node_of_fd(fd);
	if (node != POWER_NOTHING) {
		bool fails = power_fails();
		power_log_sync(node, fails);
		if (fails) {
			errno = EIO;
			return -1;
		}
	}
	return real(fd);
}

POWER_CALL int fsync(int fd)
{
	POWER_REAL(fsync);
	return power_sync(fd, real);
}

POWER_CALL int fdatasync(int fd)
{
	POWER_REAL(fdatasync);
	return power_sync(fd, real);
}

POWER_CALL int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	POWER_REAL(mdb_env_open);
	power_env = env;
	return real(env, path, flags | power_env_flags, mode);
}

#endif
