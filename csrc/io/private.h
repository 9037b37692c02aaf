/* private.h -- files that hold secrets, read only if nobody else can read them.
 *
 * The check is on the open file, so that nobody can swap it in between. A pipe will do: a shell's <(...).
 */
#ifndef MW_PRIVATE_H
#define MW_PRIVATE_H

#include "../core/err.h"

/* Reads at most `size` bytes. MW_IO with the path and the reason: it is not there, is no file, belongs to
 * neither us nor root, may be read by others (mode & 077, but for the bits in `spared`), or is longer. After
 * an error the room may hold part of the file: who asked for a secret wipes it in any case. */
enum mw_err mw_private_read(const char *path, unsigned spared, void *room, size_t size, size_t *len,
			    struct mw_error *e);

/* An empty file of mode 0600 at this path, made or emptied; no link is followed. MW_IO: it belongs to
 * somebody else, is no file, or can't be made. */
enum mw_err mw_private_make(const char *path, struct mw_error *e);

#endif
