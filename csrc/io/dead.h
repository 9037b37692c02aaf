/* dead.h -- the dead letters of a spool: found, read, dropped; from its own process or from any other.
 *
 *     0-17     letter 17 of partition 0: a name that no other letter will ever have
 *
 * A letter is put into its partition by the spool that owns it (spool.h). Here all partitions are looked at,
 * whoever owns them, without a lock that would keep their owners from working: LMDB lets any process read,
 * and one at a time write. What this process has open is used as it is, for LMDB must not open it twice.
 *
 * A long list is read in slices, each in a transaction of its own that no caller's code runs in. Letters that
 * come or go meanwhile may be in the list or not.
 *
 * Nothing stays open between two calls. Thread-safe.
 */
#ifndef MW_DEAD_H
#define MW_DEAD_H

#include "../core/dead_letter.h"
#include "partition.h"

#define MW_DEAD_ID_MAX 32

struct mw_dead_id {
	unsigned partition;
	uint64_t number;
};

/* "0-17"; returns its length. */
size_t mw_dead_id_write(struct mw_dead_id id, char out[MW_DEAD_ID_MAX]);
bool mw_dead_id_parse(struct mw_span text, struct mw_dead_id *out);

/* Which letters. All zeros: every one. */
struct mw_dead_filter {
	struct mw_span account; /* at == NULL: any. "": those that name none */
	struct mw_span code;    /* at == NULL: any */
	struct mw_span source;  /* "acme-mail", or with its version "acme-mail 1.0.0". at == NULL: any */
	int64_t since;          /* wall clock, ms: it died then or later; 0: any */
	int64_t until;          /* before then; 0: any */
	bool is_behind;         /* only those behind this one, in the order of mw_dead_each */
	struct mw_dead_id behind;
};

/* The number behind the last letter of each partition, 0 where there is none: what a walk must not pass that
 * makes new letters itself. */
enum mw_err mw_dead_ends(const char *dir, uint64_t ends[MW_PARTITIONS_MAX], struct mw_error *e);

/* Calls `each` with those that match, oldest first in each partition, until it says false. A letter that is
 * damaged comes with the code "corrupt" and what is left of it as its event. MW_IO (no such spool),
 * MW_VERSION, MW_CORRUPT, MW_NO_MEMORY. */
typedef bool mw_dead_call(void *context, struct mw_dead_id id, const struct mw_dead_letter *letter);
enum mw_err mw_dead_each(const char *dir, const struct mw_dead_filter *filter, mw_dead_call *each,
			 void *context, struct mw_error *e);

/* One letter. Its texts are in `room`. */
enum mw_err mw_dead_get(const char *dir, struct mw_dead_id id, struct mw_buf *room,
			struct mw_dead_letter *out, bool *found, struct mw_error *e);

/* Drops letters for good: when it returns, that is on disk. `dropped` counts those that were there; after an
 * error too. */
enum mw_err mw_dead_drop(const char *dir, const struct mw_dead_id *ids, size_t count, uint64_t *dropped,
			 struct mw_error *e);
enum mw_err mw_dead_drop_all(const char *dir, const struct mw_dead_filter *filter, uint64_t *dropped,
			     struct mw_error *e);

#endif
