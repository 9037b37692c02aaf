#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Numbers of <linux/magic.h> and, for what is not in the kernel's tree, of the file systems themselves. */
static const struct unfit {
	uint32_t type;
	const char *name;
} unfit[] = {
    {0x6969, "NFS"},
    {0x517b, "SMB"},
    {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB"},
    {0x01021997, "9p"},
    {0x00c36400, "Ceph"},
    {0x5346414f, "AFS"},
    {0x6b414653, "AFS"},
    {0x73757245, "Coda"},
    {0x564c, "NCP"},
    {0x0bd00bd0, "Lustre"},
    {0x47504653, "GPFS"},
    {0x7461636f, "OCFS2"},
    {0x01161970, "GFS2"},
    {0x19830326, "BeeGFS"},
    {0xaad7aaea, "PanFS"},
    {0x61636673, "ACFS"},
    {0xbeefdead, "StorNext"},
    {0xbacbacbc, "a VMware shared folder"},
    {0x786f4256, "a VirtualBox shared folder"},
    {0x7c7c6673, "a Parallels shared folder"},
};

const char *mw_directory_unfit(long f_type)
{
	/* f_type is signed and as wide as a long: where that is 32 bits, half of the numbers are negative. */
	for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
		if (unfit[i].type == (uint32_t)f_type)
			return unfit[i].name;
	return NULL;
}

/* So much of a path fits into a message and leaves room for what to do. */
#define PATH "%.110s"

static enum mw_err refuse(const char *path, const char *what, struct mw_error *e)
{
	return mw_error_set(e, MW_IO, 0, PATH ": %s", path, what);
}

static enum mw_err examine(int fd, const char *path, struct mw_error *e)
{
	struct stat st;
	struct statfs fs;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return refuse(path, strerror(errno), e);
	const char *name = mw_directory_unfit((long)fs.f_type);
	if (name)
		return mw_error_set(e, MW_IO, 0,
				    PATH ": lies on %s, where locks and memory maps can't be relied on; "
					 "use a directory on a local disk",
				    path, name);
	if (st.st_uid != geteuid())
		return mw_error_set(e, MW_IO, 0,
				    PATH ": belongs to user %u, and this process runs as %u; "
					 "run as that user or chown it",
				    path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077)
		return mw_error_set(e, MW_IO, 0,
				    PATH ": has mode %04o, open to others, and it is to hold keys and "
					 "customers' data; chmod 700 it",
				    path, (unsigned)st.st_mode & 07777);
	struct statvfs vfs;
	if (fstatvfs(fd, &vfs) == 0 && (vfs.f_flag & ST_RDONLY))
		return refuse(path, "lies on a file system that is mounted read-only; mount it read-write",
			      e);
	/* Root may write whatever the mode says, so the mode is looked at as well. */
	if ((st.st_mode & 0700) != 0700 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return mw_error_set(e, MW_IO, 0, PATH ": has mode %04o and can't be written to; chmod 700 it",
				    path, (unsigned)st.st_mode & 07777);
	return MW_OK;
}

/* A directory that somebody else made may stand in one that we can't open; then its entry is their affair. */
static enum mw_err sync_parent(int fd, const char *path, bool made, struct mw_error *e)
{
	int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return made ? mw_error_set(e, MW_IO, 0, PATH ": its parent can't be opened and synced: %s",
					   path, strerror(errno))
			    : MW_OK;
	int failed = fsync(parent) < 0 && errno != EINVAL && errno != EROFS ? errno : 0;
	close(parent);
	return failed ? mw_error_set(e, MW_IO, 0, PATH ": its parent can't be synced: %s", path,
				     strerror(failed))
		      : MW_OK;
}

static enum mw_err refuse_unmade(const char *path, int why, struct mw_error *e)
{
	if (why == ENOENT)
		return refuse(path,
			      "can't be made, because what it is to stand in is missing; make that first", e);
	if (why == EROFS)
		return refuse(path,
			      "can't be made: the file system is mounted read-only; mount it read-write", e);
	return mw_error_set(e, MW_IO, 0, PATH ": can't be made: %s", path, strerror(why));
}

static enum mw_err refuse_unopened(const char *path, int why, struct mw_error *e)
{
	if (why == ENOTDIR)
		return refuse(path, "is not a directory; name another path or move it away", e);
	if (why == ENOENT)
		return refuse(path, "is a symbolic link that leads nowhere; make what it names, or remove it",
			      e);
	if (why == EACCES)
		return refuse(path, "can't be opened by this user; use a directory of its own or chown it",
			      e);
	return refuse(path, strerror(why), e);
}

enum mw_err mw_directory_open(const char *path, struct mw_error *e)
{
	bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST) {
		/* The reason may be one that matters only if it is not there yet. */
		int why = errno;
		struct stat st;
		if (stat(path, &st) < 0)
			return refuse_unmade(path, why, e);
	}
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refuse_unopened(path, errno, e);
	enum mw_err err = examine(fd, path, e);
	if (err == MW_OK)
		err = sync_parent(fd, path, made, e);
	close(fd);
	return err;
}
