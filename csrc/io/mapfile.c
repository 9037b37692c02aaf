#include "mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* As much of a path as leaves room for the sentence around it. */
#define PATH_SHOWN "%.100s"

enum way { SHARE, RENEW, VIEW };

static enum mw_err refuse(struct mw_error *e, const char *what, const char *path, int number)
{
	const char *hint = number == ELOOP ? "; it is a symbolic link, which is not followed" : "";
	return mw_error_set(e, MW_IO, 0, "the %s file " PATH_SHOWN ": %s%s", what, path, strerror(number),
			    hint);
}

static enum mw_err check_ownership(const char *path, const char *what, const struct stat *s, enum way way,
				   struct mw_error *e)
{
	if (!S_ISREG(s->st_mode))
		return mw_error_set(e, MW_IO, 0, "the %s file " PATH_SHOWN " is not a plain file", what,
				    path);
	if (s->st_uid != geteuid() && !(way == VIEW && geteuid() == 0))
		return mw_error_set(e, MW_IO, 0,
				    "the %s file " PATH_SHOWN
				    " belongs to user %ld, this process to %ld; run it as that user",
				    what, path, (long)s->st_uid, (long)geteuid());
	if (s->st_mode & 077)
		return mw_error_set(e, MW_IO, 0,
				    "the %s file " PATH_SHOWN
				    " has mode %04o, so that other users can touch it; chmod 600 it",
				    what, path, (unsigned)s->st_mode & 07777);
	return MW_OK;
}

/* Two processes that do this at once do no harm: it adds zeros and changes nothing that is there. */
static int lengthen(int fd, size_t size)
{
	int number;
	do
		number = posix_fallocate(fd, 0, (off_t)size);
	while (number == EINTR);
	return number;
}

static enum mw_err map(int fd, const char *path, const char *what, size_t size, enum way way, void **out,
		       struct mw_error *e)
{
	struct stat s;
	if (fstat(fd, &s) != 0)
		return refuse(e, what, path, errno);
	enum mw_err err = check_ownership(path, what, &s, way, e);
	if (err)
		return err;
	if ((uintmax_t)s.st_size > size || (way == VIEW && (uintmax_t)s.st_size < size))
		return mw_error_set(e, MW_IO, 0,
				    "the %s file " PATH_SHOWN
				    " has %lld bytes, not %zu: it is something else, another version's or "
				    "only just being made",
				    what, path, (long long)s.st_size, size);
	int number = way == VIEW ? 0 : lengthen(fd, size);
	if (number)
		return refuse(e, what, path, number);
	void *at = mmap(NULL, size, way == VIEW ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return refuse(e, what, path, errno);
	*out = at;
	return MW_OK;
}

static enum mw_err open_and_map(const char *path, const char *what, size_t size, enum way way, void **out,
				struct mw_error *e)
{
	/* Non-blocking for the sake of a FIFO, which is refused, not waited for. */
	int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (way == VIEW ? O_RDONLY : O_RDWR | O_CREAT);
	int fd;
	if (way == RENEW) {
		if (unlink(path) != 0 && errno != ENOENT)
			return refuse(e, what, path, errno);
		flags |= O_EXCL;
	}
	do
		fd = open(path, flags, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return refuse(e, what, path, errno);
	enum mw_err err = map(fd, path, what, size, way, out, e);
	close(fd);
	return err;
}

enum mw_err mw_mapfile_open(const char *path, const char *what, size_t size, void **out, struct mw_error *e)
{
	return open_and_map(path, what, size, SHARE, out, e);
}

enum mw_err mw_mapfile_renew(const char *path, const char *what, size_t size, void **out, struct mw_error *e)
{
	return open_and_map(path, what, size, RENEW, out, e);
}

enum mw_err mw_mapfile_view(const char *path, const char *what, size_t size, const void **out,
			    struct mw_error *e)
{
	void *at;
	enum mw_err err = open_and_map(path, what, size, VIEW, &at, e);
	if (!err)
		*out = at;
	return err;
}

void mw_mapfile_close(const void *at, size_t size)
{
	if (at)
		munmap((void *)(uintptr_t)at, size);
}
