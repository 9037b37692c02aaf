/* map.h -- a compiled source: events in, messages out.
 *
 * The Lua side declares (source.lua) and builds this once; mw_map_run then goes from raw bytes to
 * finished messages in an outbox with no Lua value made, but for `apply` and function entries.
 *
 *     body --split--> events --event name--> entry --> calls --> messages, one record each
 *
 * A body is one JSON value, newline-separated JSON, a form, or XML. A top-level array, or what `each`
 * names, is split into events. Each event stands for itself: its messages are added whole or not
 * at all, and what is wrong with it is told to the host (`problem`) without touching its neighbours.
 *
 * A map is built by one thread and then never changes; any number of threads may run it, each with its
 * own struct mw_mapper (working memory).
 */
#ifndef MW_MAP_H
#define MW_MAP_H

#include "expr.h"
#include "outbox.h"
#include "review.h"

/* What belongs to the source as a whole; each is an expression, 0 where the script says nothing. */
enum mw_map_part {
	MW_PART_ACCOUNT,
	MW_PART_EACH, /* of a source: the events in the body; of a call: what it is made for, element by
			 element */
	MW_PART_EVENT,
	MW_PART_ID,
	MW_PART_TIME,
	MW_PART_USER,  /* usually ANY of several */
	MW_PART_EMAIL, /* for the identity store, and the anonymousId of policy ANONYMOUS ... */
	MW_PART_PHONE, /* ... where there is no anonymousId; these three are for the store too */
	MW_PART_ANONYMOUS_ID,
	MW_PART_TOOL_ID,
	MW_PART_CONTEXT, /* an object */
	MW_PART_INTEGRATIONS,
	MW_PARTS,
};

enum mw_missing_user { MW_NO_USER_DEAD, MW_NO_USER_DROP, MW_NO_USER_ANONYMOUS };
enum mw_unmatched { MW_UNMATCHED_DEAD, MW_UNMATCHED_COUNT, MW_UNMATCHED_IGNORE };

/* One Segment call of an entry. Expressions; 0 where the source's own part applies. */
struct mw_map_call {
	enum mw_call call;
	uint32_t name;
	uint32_t category;
	uint32_t group_id;
	uint32_t previous_id;
	uint32_t payload;         /* properties or traits: an object */
	uint32_t parts[MW_PARTS]; /* what this call says differently from its source */
	uint32_t when;            /* sent only if this is true; 0: always */
	struct mw_span place;     /* "acme.lua:14" */
};

struct mw_map;

/* `slug` and `version` become context.integration, `library_name` and `library_version` context.library. NULL
 * if memory is short or one of them is not UTF-8. */
struct mw_map *mw_map_new(struct mw_span slug, struct mw_span version, struct mw_span library_name,
			  struct mw_span library_version);
void mw_map_free(struct mw_map *m);
struct mw_exprs *mw_map_exprs(struct mw_map *m);
void mw_map_set(struct mw_map *m, enum mw_map_part part, uint32_t expr);
void mw_map_policy(struct mw_map *m, enum mw_missing_user missing, enum mw_unmatched unmatched);

/* Entries of `on`, by event name. One that ends in a star is for all events that begin like it and have no
 * nearer entry: "customer.*"; "*" alone for all. Several calls under one name are sent in the order added.
 * MW_INVALID for a name that already has an entry of another kind; MW_NO_MEMORY. */
enum mw_err mw_map_add_ignore(struct mw_map *m, struct mw_span event);
enum mw_err mw_map_add_call(struct mw_map *m, struct mw_span event, const struct mw_map_call *call);
enum mw_err mw_map_add_function(struct mw_map *m, struct mw_span event, int function, struct mw_span place);

/* `"integration":{...},"library":{...}`: the members that end every context. */
struct mw_span mw_map_stamp(const struct mw_map *m);
struct mw_span mw_map_slug(const struct mw_map *m);
struct mw_span mw_map_version(const struct mw_map *m);

/* XML: whoever maps it gives `xml` in the host. A body that does not begin with "<" is JSON made of XML
 * before. */
enum mw_format { MW_FORMAT_JSON, MW_FORMAT_NDJSON, MW_FORMAT_FORM, MW_FORMAT_XML };

/* One body and what is known about it. */
struct mw_delivery {
	struct mw_span body;
	enum mw_format format;
	const struct mw_header *headers;
	size_t header_count;
	struct mw_span account; /* whose it is if the source does not say; at == NULL: not known */
	int64_t tag;            /* copied to every message */
	int64_t now;            /* wall clock, ms since 1970: the timestamp where the source has no time */
};

struct mw_tally {
	uint64_t events;
	uint64_t messages;
	uint64_t ignored;   /* source.ignore, a `when` that was false, policy DROP */
	uint64_t unmatched; /* no entry, whatever the policy */
	uint64_t failed;    /* told to `problem` */
};

/* An event that failed. Spans are borrowed for the call. */
struct mw_problem {
	uint64_t index;         /* in the body, from 1; NDJSON: its line */
	struct mw_span raw;     /* its text as it came, for people */
	struct mw_span account; /* whose it is; at == NULL: not known */
	/* A body of its own that holds this event and no other, in three pieces: where `each` has split the
	 * body, what stands around the events comes with each of them. */
	struct mw_span body[3];
	enum mw_format format; /* of that body */
	const struct mw_error *error;
};

/* One thread's working memory for mapping. */
struct mw_mapper;

struct mw_mapper_host {
	struct mw_host host; /* its context is also that of the others */
	/* A function entry: call mw_mapper_emit any number of times. An error undoes them all. */
	enum mw_err (*entry)(void *context, int function, struct mw_mapper *mapper, const struct mw_json *doc,
			     uint32_t event, struct mw_error *e);
	void (*problem)(void *context, const struct mw_problem *problem);
	/* Judge a finished message of a shape that the review does not know, and let it learn. An error, in
	 * `e` why, fails the event. NULL review: messages are not judged. */
	enum mw_err (*judge)(void *context, uint64_t shape, struct mw_span message, struct mw_error *e);
	struct mw_review *review;
	/* Append an XML body to `out` as JSON (see io/xml.h for its shape). NULL: XML is refused. */
	enum mw_err (*xml)(void *context, struct mw_span body, struct mw_buf *out, struct mw_error *e);
};

struct mw_mapper *mw_mapper_new(const struct mw_mapper_host *host);
void mw_mapper_free(struct mw_mapper *p);

/* Where the messages collect; the caller takes them and clears it. */
struct mw_outbox *mw_mapper_outbox(struct mw_mapper *p);

/* Map a body. MW_OK even if events in it failed: the tally and `problem` say so. A body that
 * can't be read at all (malformed, too large) counts as one failed event; NDJSON fails line by line. Adds to
 * what `tally` holds. Never re-entered for the same mapper. */
void mw_map_run(const struct mw_map *m, struct mw_mapper *p, const struct mw_delivery *d,
		struct mw_tally *tally);

/* From inside `entry`: one more message. Whatever `message` leaves out (ids, message_id, timestamp, context)
 * comes from the source (message_id is made of upstream_id where that is given); `context` members are added
 * behind the source's. `account` at == NULL: the event's. */
enum mw_err mw_mapper_emit(struct mw_mapper *p, const struct mw_message *message, bool has_timestamp,
			   struct mw_span account, struct mw_error *e);

/* From inside `entry`, or `apply`: who is known by `id` to be a user of the event's account? As struct
 * mw_host's identify, and nobody where the host knows nobody; `found` is borrowed until the next question. */
enum mw_err mw_mapper_identify(struct mw_mapper *p, enum mw_identity_kind kind, struct mw_span id,
			       struct mw_identity_found *found, struct mw_error *e);

#endif
