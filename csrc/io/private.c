#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum mw_err refuse(const char *path, const char *reason, struct mw_error *e)
{
	return mw_error_set(e, MW_IO, 0, "%.140s: %s", path, reason);
}

static enum mw_err examine(int fd, const char *path, unsigned spared, struct mw_error *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return refuse(path, strerror(errno), e);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return refuse(path, "not a file", e);
	if (st.st_mode & 077 & ~spared)
		return refuse(path, "others may read this file and it holds keys: chmod 600 it", e);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(path, "belongs to somebody else", e);
	return MW_OK;
}

static enum mw_err read_all(int fd, const char *path, uint8_t *room, size_t size, size_t *len,
			    struct mw_error *e)
{
	*len = 0;
	for (;;) {
		uint8_t one_more;
		bool room_left = *len < size;
		ssize_t n = read(fd, room_left ? room + *len : &one_more, room_left ? size - *len : 1);
		if (n == 0)
			return MW_OK;
		if (n < 0)
			return refuse(path, strerror(errno), e);
		if (!room_left)
			return mw_error_set(e, MW_IO, 0, "%.140s: longer than %zu bytes", path, size);
		*len += (size_t)n;
	}
}

enum mw_err mw_private_read(const char *path, unsigned spared, void *room, size_t size, size_t *len,
			    struct mw_error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(path, strerror(errno), e);
	enum mw_err err = examine(fd, path, spared, e);
	if (err == MW_OK)
		err = read_all(fd, path, room, size, len, e);
	close(fd);
	return err;
}

enum mw_err mw_private_make(const char *path, struct mw_error *e)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return refuse(path, errno == ELOOP ? "a symbolic link" : strerror(errno), e);
	enum mw_err err = MW_OK;
	if (fstat(fd, &st) < 0)
		err = refuse(path, strerror(errno), e);
	else if (!S_ISREG(st.st_mode))
		err = refuse(path, "not a file", e);
	else if (st.st_uid != geteuid())
		err = refuse(path, "belongs to somebody else", e);
	else if (ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0)
		err = refuse(path, strerror(errno), e);
	close(fd);
	return err;
}
