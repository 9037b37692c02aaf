/* dead_letter.h -- what could not be delivered, with all that is needed to understand it and to try again.
 *
 *     an event that the mapping failed on   event = a body with it alone; format and headers it came with
 *     a message that Segment refused        message = the call, answer = what Segment said
 *     messages that the disk lost           message = what is left of them, count = how many there were
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
	struct mw_span headers; /* name, NUL, value, NUL; again and again */
	struct mw_span event;
	struct mw_span message;
};

/* Append it to `out`. MW_TOO_LARGE, MW_NO_MEMORY. */
enum mw_err mw_dead_letter_write(struct mw_buf *out, const struct mw_dead_letter *letter);

/* False if it is damaged. Spans point into `bytes`. */
bool mw_dead_letter_read(struct mw_span bytes, struct mw_dead_letter *out);

/* When it died, without a look at the rest, damaged or not; 0 if it is too short to say. */
int64_t mw_dead_letter_at(struct mw_span bytes);

/* The next header: start with *position = 0; false at the end. */
bool mw_dead_letter_header(const struct mw_dead_letter *letter, size_t *position, struct mw_span *name,
			   struct mw_span *value);

/* Headers whose names say that they hold a secret (Authorization, cookies, keys, tokens, signatures) have no
 * place in a letter. */
bool mw_dead_letter_is_secret(struct mw_span header_name);

/* "acme.lua:14" at the start of an error's text, and what is said behind it; place is empty if it has none.
 */
void mw_dead_letter_place(struct mw_span text, struct mw_span *place, struct mw_span *reason);

#endif
