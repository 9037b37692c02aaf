/* env_map.h -- where an LMDB environment's file is mapped, and how to let go of its pages.
 *
 * What is read through the map stays in the process's memory, as the system counts it, until somebody needs
 * the room. A backlog of gigabytes that goes by would look like a leak of gigabytes.
 */
#ifndef MW_ENV_MAP_H
#define MW_ENV_MAP_H

#include <stddef.h>

struct mw_env_map {
	void *start; /* NULL: not found, and nothing is let go of */
	size_t len;
};

/* Of the environment whose data file has this descriptor (mdb_env_get_fd), and whose map is read-only. Anew
 * after each mdb_env_set_mapsize. */
struct mw_env_map mw_env_map_find(int fd);

/* The pages leave this process and stay in the system's cache: whoever reads them again pays a page fault of
 * a fraction of a microsecond. Safe beside readers and transactions. */
void mw_env_map_let_go(const struct mw_env_map *m);

#endif
