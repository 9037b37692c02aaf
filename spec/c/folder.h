/* folder.h -- a temporary folder for a test that needs real files.
 *
 *     const char *f = folder();                 one for the process, mode 0700, gone at its end
 *     const char *p = folder_path("a/b");       inside it; good until four more were asked for
 */
#ifndef MW_FOLDER_H
#define MW_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static char folder_name[64];
static pid_t folder_owner;

static int folder_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void folder_remove(void)
{
	if (getpid() == folder_owner)
		nftw(folder_name, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

__attribute__((unused)) static const char *folder(void)
{
	if (!folder_name[0]) {
		const char *base = getenv("TMPDIR");
		snprintf(folder_name, sizeof folder_name, "%.40s/moonweir-XXXXXX", base ? base : "/tmp");
		if (!mkdtemp(folder_name))
			abort();
		folder_owner = getpid();
		atexit(folder_remove);
	}
	return folder_name;
}

__attribute__((unused)) static const char *folder_path(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", folder(), name);
	return path;
}

#endif
