#include "partition.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Partitions that this process owns: its own locks would not keep it out (fcntl(2)), and closing any
 * descriptor of the lock's file would give the lock away. */
static pthread_mutex_t own_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct own {
	dev_t device;
	ino_t inode;
	pid_t pid; /* a child does not inherit its parent's locks */
	void *store;
} own[MW_PARTITIONS_MAX];

static pthread_mutex_t store_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct own *find_own(const struct stat *st)
{
	for (size_t i = 0; i < MW_PARTITIONS_MAX; i++)
		if (own[i].pid == getpid() && own[i].device == st->st_dev && own[i].inode == st->st_ino)
			return &own[i];
	return NULL;
}

static struct own *free_place(void)
{
	for (size_t i = 0; i < MW_PARTITIONS_MAX; i++)
		if (own[i].pid != getpid())
			return &own[i];
	return NULL;
}

/* The file's lock, or -1 with errno EAGAIN if somebody has it. */
static int lock_file(const char *path, int flags)
{
	struct stat st;
	if (stat(path, &st) == 0 && find_own(&st)) {
		errno = EAGAIN;
		return -1;
	}
	struct own *place = free_place();
	errno = EAGAIN;
	int fd = place ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600) : -1;
	if (fd < 0)
		return -1;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(fd, F_SETLK, &lock) != 0 || fstat(fd, &st) != 0) {
		int err = errno == EACCES ? EAGAIN : errno;
		close(fd);
		errno = err;
		return -1;
	}
	*place = (struct own){.device = st.st_dev, .inode = st.st_ino, .pid = getpid()};
	return fd;
}

static enum mw_err lock(struct mw_partition *p, int flags, struct mw_error *e)
{
	char owner[MW_PARTITION_PATH_ROOM + 8];
	snprintf(owner, sizeof owner, "%s/owner", p->path);
	pthread_mutex_lock(&own_mutex);
	p->owner = lock_file(owner, flags);
	int err = errno;
	pthread_mutex_unlock(&own_mutex);
	if (p->owner >= 0)
		return MW_OK;
	if (err == EAGAIN || err == ENOENT)
		return mw_error_set(e, MW_LOCKED, 0, "%.150s: another process sends from it", p->path);
	return mw_error_set(e, MW_IO, 0, "%.150s: %s", owner, strerror(err));
}

static enum mw_err name(struct mw_partition *p, const char *dir, unsigned number, struct mw_error *e)
{
	p->owner = -1;
	p->number = number;
	if (snprintf(p->path, sizeof p->path, "%s/p%u", dir, number) >= MW_PARTITION_PATH_ROOM)
		return mw_error_set(e, MW_IO, 0, "the spool's path is too long");
	return MW_OK;
}

enum mw_err mw_partition_take_number(struct mw_partition *p, const char *dir, unsigned number,
				     struct mw_error *e)
{
	enum mw_err err = name(p, dir, number, e);
	return err == MW_OK ? lock(p, 0, e) : err;
}

enum mw_err mw_partition_take(struct mw_partition *p, const char *dir, struct mw_error *e)
{
	for (unsigned i = 0; i < MW_PARTITIONS_MAX; i++) {
		enum mw_err err = name(p, dir, i, e);
		if (err == MW_OK)
			err = mw_directory_open(p->path, e);
		if (err == MW_OK)
			err = lock(p, O_CREAT, e);
		if (err != MW_LOCKED)
			return err;
	}
	return mw_error_set(e, MW_LOCKED, 0,
			    "%.120s: all %d partitions are in use; end a process that sends from this spool",
			    dir, MW_PARTITIONS_MAX);
}

void mw_partition_release(struct mw_partition *p)
{
	struct stat st;
	if (p->owner < 0)
		return;
	pthread_mutex_lock(&own_mutex);
	struct own *place = fstat(p->owner, &st) == 0 ? find_own(&st) : NULL;
	if (place)
		*place = (struct own){0};
	close(p->owner);
	p->owner = -1;
	pthread_mutex_unlock(&own_mutex);
}

/* ---- what is open */

static void before_fork(void)
{
	pthread_mutex_lock(&store_mutex);
	pthread_mutex_lock(&own_mutex);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&own_mutex);
	pthread_mutex_unlock(&store_mutex);
}

/* Another thread may hold them when this process forks; the child must be able to open a spool of its own. */
static void guard_fork(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

void mw_partition_enter(void)
{
	pthread_once(&once, guard_fork);
	pthread_mutex_lock(&store_mutex);
}

void mw_partition_leave(void)
{
	pthread_mutex_unlock(&store_mutex);
}

void mw_partition_share(const struct mw_partition *p, void *store)
{
	struct stat st;
	pthread_mutex_lock(&own_mutex);
	struct own *place = fstat(p->owner, &st) == 0 ? find_own(&st) : NULL;
	if (place)
		place->store = store;
	pthread_mutex_unlock(&own_mutex);
}

void *mw_partition_shared(const char *path)
{
	char owner[MW_PARTITION_PATH_ROOM + 8];
	struct stat st;
	snprintf(owner, sizeof owner, "%s/owner", path);
	pthread_mutex_lock(&own_mutex);
	const struct own *place = stat(owner, &st) == 0 ? find_own(&st) : NULL;
	void *store = place ? place->store : NULL;
	pthread_mutex_unlock(&own_mutex);
	return store;
}
