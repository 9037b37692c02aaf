/* core_file.h -- where a crashed process left its memory. */
#ifndef MW_CORE_FILE_H
#define MW_CORE_FILE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* The core file that a crash leaves, "" if this machine sends it elsewhere. */
static void find_core(const char *dir, char path[300])
{
	path[0] = '\0';
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strncmp(e->d_name, "core", 4) == 0)
			snprintf(path, 300, "%.200s/%.60s", dir, e->d_name);
	if (d)
		closedir(d);
}

#endif
