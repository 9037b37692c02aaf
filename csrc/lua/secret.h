/* secret.h -- secrets that people give: in a file, through a pipe, typed unseen. They go to locked memory and
 * never become Lua strings, which nobody could wipe. */
#ifndef MWL_SECRET_H
#define MWL_SECRET_H

#include "../core/buf.h"
#include "../io/private.h"

/* What is in the file `path`, which only its owner may read, or "-": on standard input, asked for with
 * `prompt` if that is a terminal. Without white space around it. `*room` is the caller's to sodium_free,
 * whatever comes of it. MW_IO; MW_BAD_KEY: empty; `what` it should have been is named. */
enum mw_err mwl_secret_read(const char *path, const char *prompt, const char *what, size_t max,
			    uint8_t **room, struct mw_span *out, struct mw_error *e);

#endif
