/* dead_letter.h -- what could not be delivered, with all that is needed to understand it and to try again.
 *
 *     an event that the mapping failed on      event = its raw bytes, message empty
 *     a message that Segment refused           message = the call, answer = what Segment said
 *     messages that the disk lost              message = what is left of them, count = how many there were
 *
 * Pure: a struct of spans to one run of bytes and back.
 */
#ifndef MW_DEAD_LETTER_H
#define MW_DEAD_LETTER_H

#include "buf.h"

struct mw_dead_letter {
	int64_t at; /* when it died: wall clock, ms since 1970 */
	int64_t tag;
	int32_t status; /* HTTP; 0: no request decided it */
	uint32_t attempts;
	uint32_t count;         /* messages that it stands for; 0: an event that never became one */
	uint32_t format;        /* enum mw_format of the event */
	struct mw_span account; /* empty: not known */
	struct mw_span code;    /* a word of err.h, or "refused" */
	struct mw_span reason;  /* for people */
	struct mw_span place;   /* "acme.lua:14" where the script is to be mended; may be empty */
	struct mw_span source;  /* slug and version of the source; may be empty */
	struct mw_span answer;
	struct mw_span event;
	struct mw_span message;
};

/* Append it to `out`. MW_TOO_LARGE, MW_NO_MEMORY. */
enum mw_err mw_dead_letter_write(struct mw_buf *out, const struct mw_dead_letter *letter);

/* False if it is damaged. Spans point into `bytes`. */
bool mw_dead_letter_read(struct mw_span bytes, struct mw_dead_letter *out);

#endif
