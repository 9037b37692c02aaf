/* err.h -- what can go wrong, in one table.
 *
 * Each error has a code for C, a word for programs (the third value that Lua functions
 * return) and a sentence for people. Words are part of the public contract.
 */
#ifndef MW_ERR_H
#define MW_ERR_H

#include <stddef.h>

#define MW_ERRORS(X)                                                                                         \
	X(MW_OK, "ok", "all is well")                                                                        \
	X(MW_FULL, "full", "the queue is full; try again once some of it is delivered")                      \
	X(MW_TOO_LARGE, "too_large", "larger than Segment or Moonweir takes")                                \
	X(MW_NO_MEMORY, "no_memory", "out of memory")                                                        \
	X(MW_JSON, "json", "not valid JSON")                                                                 \
	X(MW_MAPPING, "mapping", "the mapping script failed on this event")                                  \
	X(MW_UNMATCHED, "unmatched", "the source has no entry for this event")                               \
	X(MW_NO_EVENT, "no_event", "the event does not say what kind it is")                                 \
	X(MW_NO_USER, "no_user", "the event names no user")                                                  \
	X(MW_NO_ACCOUNT, "no_account", "the event names no account")                                         \
	X(MW_INVALID, "invalid", "not a valid Segment call")                                                 \
	X(MW_BAD_KEY, "bad_key", "not a Segment write key")                                                  \
	X(MW_BAD_ENDPOINT, "bad_endpoint", "not a usable endpoint")                                          \
	X(MW_CLOSED, "closed", "already closed")                                                             \
	X(MW_FORKED, "forked", "opened before fork; open it in this process")                                \
	X(MW_PARKED, "parked",                                                                               \
	  "an account has no valid key or OAuth token, or is paused; its messages are kept")                 \
	X(MW_TIMEOUT, "timeout", "not finished in the time given")                                           \
	X(MW_IO, "io", "the operating system refused")                                                       \
	X(MW_VERSION, "version", "the store was written by a newer Moonweir")                                \
	X(MW_LOCKED, "locked", "another process has it open")                                                \
	X(MW_CORRUPT, "corrupt", "the store is damaged")                                                     \
	X(MW_BAD_MASTER_KEY, "bad_master_key", "the vault's master key is missing or is another one")        \
	X(MW_SPEC, "spec", "against Segment's Spec, and the source is strict")

enum mw_err {
#define MW_ERROR_CODE(code, word, sentence) code,
	MW_ERRORS(MW_ERROR_CODE)
#undef MW_ERROR_CODE
};

/* An error with its place. Lives in the caller, so reporting one allocates nothing. */
struct mw_error {
	enum mw_err code;
	size_t offset;    /* byte in the input at which it was found; 0 if it has no place */
	char detail[232]; /* what, where, what to do; empty: the sentence says it all */
};

const char *mw_err_word(enum mw_err code);
const char *mw_err_sentence(enum mw_err code);

/* No error. Not `= {0}`: clearing all of it costs as much as reading ten members of an event. */
static inline void mw_error_clear(struct mw_error *e)
{
	e->code = MW_OK;
	e->offset = 0;
	e->detail[0] = '\0';
}

/* Fill `e` (may be NULL) and return `code`, so that a function can end with it. */
enum mw_err mw_error_set(struct mw_error *e, enum mw_err code, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
