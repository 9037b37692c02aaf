#include "env_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { LINE_ROOM = 5000 };

/* LMDB tells its map's address only where it was fixed, so the system is asked. */
struct mw_env_map mw_env_map_find(int fd)
{
	struct mw_env_map map = {NULL, 0};
	struct stat st;
	char line[LINE_ROOM];
	FILE *maps = fstat(fd, &st) == 0 ? fopen("/proc/self/maps", "re") : NULL;
	while (maps && fgets(line, sizeof line, maps)) {
		uintptr_t from, to;
		uintmax_t inode;
		char mode[5];
		/* The device is not compared: some file systems tell another one here than stat does. */
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*x %*x:%*x %" SCNuMAX, &from, &to, mode,
			   &inode) == 4 &&
		    inode == st.st_ino && strcmp(mode, "r--s") == 0 && strstr(line, "/data.mdb"))
			map = (struct mw_env_map){(void *)from, to - from};
	}
	if (maps)
		fclose(maps);
	return map;
}

void mw_env_map_let_go(const struct mw_env_map *m)
{
	/* Of a shared map of a file this takes no data, and it is read-only: dirty pages are elsewhere. */
	if (m->start)
		madvise(m->start, m->len, MADV_DONTNEED);
}
