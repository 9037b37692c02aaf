/* intake.h -- a request to the Tracking API, looked at as Segment looks at it.
 *
 *   {"writeKey":"k","batch":[{"type":"track","event":"Paid","userId":"u1"},{"type":"page","userId":7}]}
 *
 *       message 1   track "Paid" u1    MW_FAULT_NONE
 *       message 2   page               MW_FAULT_ID_NOT_STRING: answered 200 and dropped all the same
 *
 * A fault is what the documentation calls "Failed on Ingest": the sender is told 200 and the message is
 * gone. Showing those is what a debugger is for. What Segment refuses openly (400) is an error here.
 *
 * Everything points into the body, which must outlive the reading. One intake serves one thread and is
 * used again and again.
 */
#ifndef MW_INTAKE_H
#define MW_INTAKE_H

#include "json_read.h"
#include "message.h"

#define MW_FAULTS(X)                                                                                         \
	X(MW_FAULT_NONE, "", "")                                                                             \
	X(MW_FAULT_NO_BATCH, "empty_batch", "there is no message in the batch")                              \
	X(MW_FAULT_TOO_MANY, "too_many_messages", "more than 2,500 messages: Segment rejects all of them")   \
	X(MW_FAULT_TOO_LARGE, "message_too_large", "more than 32 KB")                                        \
	X(MW_FAULT_NOT_OBJECT, "message_not_object", "a message is an object")                               \
	X(MW_FAULT_NO_TYPE, "type_not_known", "type must be one of the six calls")                           \
	X(MW_FAULT_NO_ID, "no_user_anon_id", "neither userId nor anonymousId")                               \
	X(MW_FAULT_ID_NOT_STRING, "id_not_string", "userId and anonymousId are non-empty strings")           \
	X(MW_FAULT_NO_EVENT, "event_not_defined", "a track call names its event")                            \
	X(MW_FAULT_EVENT_NOT_STRING, "event_not_string", "the event's name is a string")                     \
	X(MW_FAULT_PROPERTIES, "properties_not_object", "properties is an object")                           \
	X(MW_FAULT_TRAITS, "traits_not_object", "traits is an object")                                       \
	X(MW_FAULT_NAME, "name_not_string", "name is a non-empty string")                                    \
	X(MW_FAULT_CATEGORY, "category_not_string", "category is a non-empty string")                        \
	X(MW_FAULT_MESSAGE_ID, "message_id_too_long", "messageId has fewer than 100 characters")

enum mw_fault {
#define MW_FAULT_CODE(code, word, sentence) code,
	MW_FAULTS(MW_FAULT_CODE)
#undef MW_FAULT_CODE
	    MW_FAULT_COUNT
};

const char *mw_fault_word(enum mw_fault fault);
const char *mw_fault_sentence(enum mw_fault fault);

struct mw_intake {
	struct mw_json doc;
	enum mw_call call;   /* MW_CALLS: a batch */
	enum mw_fault fault; /* of the request as a whole; its messages then have it too */
	uint32_t count;      /* messages */
	uint32_t next;       /* node of the next one */
};

/* Spans are insides of JSON strings as they were sent, escapes and all; at == NULL: absent or no string. */
struct mw_intake_message {
	struct mw_span raw;
	struct mw_span type;
	struct mw_span name; /* event, or the name of a page or screen */
	struct mw_span user; /* userId, else anonymousId */
	struct mw_span id;   /* messageId */
	bool anonymous;
	enum mw_fault fault;
};

void mw_intake_init(struct mw_intake *in);
void mw_intake_deinit(struct mw_intake *in);

/* Read a body posted to the route of one call, or with call == MW_CALLS to /v1/batch or /v1/import.
 * MW_TOO_LARGE (MW_REQUEST_MAX; one call: MW_MESSAGE_MAX), MW_JSON, MW_INVALID if it is no object,
 * MW_NO_MEMORY. */
enum mw_err mw_intake_read(struct mw_intake *in, enum mw_call call, struct mw_span body, struct mw_error *e);

/* The body's own writeKey; at == NULL if it has none. */
struct mw_span mw_intake_key(const struct mw_intake *in);

/* A member that stands beside the batch, for all of its messages: "context" or "integrations", as it was
 * sent; at == NULL if there is none, or no batch. */
struct mw_span mw_intake_shared(const struct mw_intake *in, const char *name);

/* The next message, in the order sent; false behind the last. */
bool mw_intake_next(struct mw_intake *in, struct mw_intake_message *out);

#endif
