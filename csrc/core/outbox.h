/* outbox.h -- finished messages on their way to their lanes.
 *
 * A flat run of records, so that handing a thousand of them to another thread is one memcpy:
 *
 *   | message_len u32 | account_len u16 | kind u16 | tag i64 | account | message | pad to 8 |
 *
 * Whoever writes marks first and rolls back on error, so an event is in whole or not at all.
 */
#ifndef MW_OUTBOX_H
#define MW_OUTBOX_H

#include "buf.h"

struct mw_outbox {
	struct mw_buf bytes;
	size_t count;   /* records */
	size_t letters; /* those of them that are dead letters */
};

struct mw_outbox_mark {
	size_t len;
	size_t count;
	size_t letters;
};

enum mw_parcel_kind {
	MW_PARCEL_MESSAGE,    /* its messageId is random: there is no other like it */
	MW_PARCEL_REPEATABLE, /* its messageId is the same should the event come again */
	MW_PARCEL_DEAD,       /* a dead letter (dead_letter.h), not to be delivered */
};

struct mw_parcel {
	struct mw_span account;
	struct mw_span message;
	int64_t tag; /* the caller's own number for it, 0 if none */
	enum mw_parcel_kind kind;
};

void mw_outbox_init(struct mw_outbox *o, size_t max);
void mw_outbox_deinit(struct mw_outbox *o);
void mw_outbox_clear(struct mw_outbox *o);

struct mw_outbox_mark mw_outbox_mark(const struct mw_outbox *o);
void mw_outbox_rollback(struct mw_outbox *o, struct mw_outbox_mark mark);

/* MW_TOO_LARGE past the box's max, MW_NO_MEMORY; the box is then as it was. */
enum mw_err mw_outbox_add(struct mw_outbox *o, const struct mw_parcel *p);

/* The same in two steps, for a writer that makes the message in place: begin, append it to o->bytes, end.
 * Whoever gives up between the two rolls back. */
enum mw_err mw_outbox_begin(struct mw_outbox *o, struct mw_span account, int64_t tag,
			    enum mw_parcel_kind kind);
enum mw_err mw_outbox_end(struct mw_outbox *o, struct mw_outbox_mark begun);

/* All of `from` behind what is in `to`. */
enum mw_err mw_outbox_append(struct mw_outbox *to, const struct mw_outbox *from);

/* Walk the records: start with *position = 0; false at the end. Spans are borrowed from the box. */
bool mw_outbox_next(const struct mw_outbox *o, size_t *position, struct mw_parcel *p);

#endif
