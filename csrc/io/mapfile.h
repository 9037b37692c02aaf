/* mapfile.h -- a small file of our own that processes share as memory.
 *
 * What one process writes there the others see at once, and the next one to start finds it; it is not meant
 * to survive the machine. Whoever maps it brings the order in which words are written, so that nothing needs
 * a lock that a killed process would leave behind.
 *
 * Only a plain file that belongs to this user and that no other user may touch (mode 0600) is mapped; a
 * symbolic link is not followed. All its blocks are there before it is mapped, so that a full disk is an
 * error here and not a SIGBUS later. Never shorten, replace or delete such a file while it is in use.
 */
#ifndef MW_MAPFILE_H
#define MW_MAPFILE_H

#include "../core/err.h"

/* Map `size` bytes of the file to read and write; it is made if it is not there, and zeros are added if it is
 * shorter. MW_IO says what stood in the way; `what` names the file's purpose ("budget"). A file longer than
 * `size` is not one of ours. */
enum mw_err mw_mapfile_open(const char *path, const char *what, size_t size, void **out, struct mw_error *e);

/* As above, but always a new file, of zeros; one that was there is removed, whatever it holds. Who still has
 * that one mapped keeps it. */
enum mw_err mw_mapfile_renew(const char *path, const char *what, size_t size, void **out, struct mw_error *e);

/* To read only; it has to be there, and `size` bytes long. The superuser may look at other users' files. */
enum mw_err mw_mapfile_view(const char *path, const char *what, size_t size, const void **out,
			    struct mw_error *e);

void mw_mapfile_close(const void *at, size_t size);

#endif
