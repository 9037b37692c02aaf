/* mapping.h -- the state of one thread while it maps: what mapper.c, facts.c, context.c and compose.c share.
 *
 *     mapper   a body into documents, documents into events, an event to its entry
 *     facts    what the source says about every event: whose, who, which, when
 *     context  a message's context: what source, call and function say of it
 *     compose  a call of an entry, or what a function emits, into one message
 */
#ifndef MW_MAPPING_H
#define MW_MAPPING_H

#include "map_entry.h"

/* Evaluated when first asked for, then kept: for the event, or for a call that says some of them itself. */
struct mw_facts {
	const uint32_t *own;      /* the call's parts, NULL if it has none ... */
	const uint32_t *parts;    /* ... then the source's */
	unsigned known;           /* a bit for each of enum mw_map_part */
	struct mw_span account;   /* characters */
	struct mw_span id;        /* characters; at == NULL: none */
	struct mw_span user;      /* inside of a JSON string; at == NULL: none */
	struct mw_span anonymous; /* the same: what stands in where there is no user */
	bool is_asked;            /* the identity store was, and knows no user */
	int64_t time;
	struct mw_span time_text; /* at != NULL: instead */
};

struct mw_mapper {
	struct mw_mapper_host host;
	struct mw_outbox outbox;
	struct mw_json doc;
	struct mw_memo memo;
	struct mw_arena arena;      /* until the next event */
	struct mw_arena body_arena; /* until the next document */
	struct mw_buf form;         /* a form or XML as JSON */
	struct mw_buf scratch;      /* the pieces of one message ... */
	struct mw_buf message_id;   /* ... and its id */
	struct mw_buf context;      /* a context before its duplicates are taken out */
	struct mw_json context_doc;

	const struct mw_map *map;
	const struct mw_delivery *delivery;
	struct mw_tally *tally;

	struct mw_span before; /* what stands around the events of the body, for whoever keeps one of them */
	struct mw_span after;

	/* of the event */
	struct mw_scene scene;
	struct mw_facts facts;
	uint32_t calls; /* so far: the index in the next messageId */
	uint64_t messages;
	uint64_t ignored;
	bool context_known; /* of the source, for functions; so are the next three */
	bool integrations_known;
	struct mw_span source_context;
	struct mw_span source_integrations;
	uint64_t source_context_shape;
	uint64_t source_integrations_shape;
};

/* facts.c. Errors say the place and the part. */
enum mw_err mw_facts_account(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e);
enum mw_err mw_facts_id(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e);
enum mw_err mw_facts_time(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e);
enum mw_err mw_facts_user(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e);
/* Once the user is known to be absent: the event's anonymousId, else the store's, else the e-mail address. */
enum mw_err mw_facts_anonymous(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e);

/* The text of an id as the inside of a JSON string; at == NULL if it is absent. */
enum mw_err mw_facts_text(struct mw_mapper *p, uint32_t expr, const char *field, struct mw_span *inside,
			  struct mw_error *e);

/* context.c: the members, without braces, behind what is in the scratch. *shape: 0 if it is not known. */
enum mw_err mw_context_write(struct mw_mapper *p, const struct mw_entry_call *c, uint64_t *shape,
			     struct mw_error *e);
/* The source's in front of a message's own, which win; the scratch is overwritten. */
enum mw_err mw_context_complete(struct mw_mapper *p, struct mw_message *m, struct mw_error *e);

/* compose.c: one message more in the outbox, unless the call's `when` or the policy says no. */
enum mw_err mw_compose_call(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_error *e);

/* Errors that are no expression's: "acme.lua:14: what". */
enum mw_err mw_mapping_fail(struct mw_mapper *p, struct mw_error *e, enum mw_err err, const char *what);

#endif
