#include "spool_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_ROOM = 4200 };

/* An environment with nothing in it. The owner's lock keeps others away, so it needs none of LMDB's. */
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

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int rc = fsync(fd) == 0 ? 0 : errno;
	close(fd);
	return rc;
}

int mw_spool_make_file(const char *partition)
{
	char path[PATH_ROOM], unfinished[PATH_ROOM];
	snprintf(path, sizeof path, "%.4096s/data.mdb", partition);
	snprintf(unfinished, sizeof unfinished, "%.4096s/data.new", partition);
	int rc = 0;
	if (access(path, F_OK) != 0) {
		rc = errno == ENOENT ? make_empty(unfinished) : errno;
		if (rc == 0 && rename(unfinished, path) != 0)
			rc = errno;
	}
	/* Whoever made it may have come to an end before this. */
	return rc == 0 ? sync_directory(partition) : rc;
}
