/* message.h -- one Segment call, checked and complete, as JSON bytes.
 *
 *   {"type":"track","userId":"u1","messageId":"acme:7:ev_1:0","timestamp":"2026-11-23T21:58:00.123Z",
 *    "event":"Email Opened","properties":{...},"context":{...,"integration":{...},"library":{...}}}
 *
 * The rules and where they come from: Segment's Spec (common fields, the six calls), the
 * "Failed on Ingest" codes (ids are non-empty strings; a track has a name; properties and traits
 * are objects), the partner rules (userId on every call, context.integration), the HTTP
 * Tracking API page (32 KB a call, messageId shorter than 100).
 */
#ifndef MW_MESSAGE_H
#define MW_MESSAGE_H

#include "buf.h"
#include "limits.h"

enum mw_call { MW_TRACK, MW_IDENTIFY, MW_PAGE, MW_SCREEN, MW_GROUP, MW_ALIAS, MW_CALLS };

/* "track", "identify", ... */
const char *mw_call_word(enum mw_call call);
bool mw_call_parse(struct mw_span word, enum mw_call *call);
/* "properties" or "traits"; NULL for alias, which has neither. */
const char *mw_call_payload_word(enum mw_call call);

/* What goes into a message. Every span is JSON text that is already valid: ids and names are the
 * insides of strings (escaped, no quotes), `payload` and `integrations` are whole objects with
 * braces, `context` is the members of an object without its braces. A span with at == NULL
 * is absent. */
struct mw_message {
	enum mw_call call;
	struct mw_span user_id; /* or anonymous_id; one of them is required */
	struct mw_span anonymous_id;
	struct mw_span message_id;  /* required, 1 to MW_MESSAGE_ID_MAX characters */
	struct mw_span name;        /* track: the event, required. page, screen: optional */
	struct mw_span category;    /* page, screen */
	struct mw_span group_id;    /* group: required */
	struct mw_span previous_id; /* alias: required */
	struct mw_span payload;     /* properties or traits; {} if absent; alias has none */
	struct mw_span context;
	struct mw_span stamp; /* members of context that come last: integration and library */
	struct mw_span integrations;
	bool has_random_id;  /* no other message will ever have this messageId */
	int64_t timestamp;   /* ms since 1970 ... */
	struct mw_span time; /* ... unless it is here, just as mw_timestamp_write would write it */
	/* Shapes (shape.h) of the three objects, from whoever wrote them; 0: not known. */
	uint64_t payload_shape;
	uint64_t context_shape;
	uint64_t integrations_shape;
	bool knows_echo;            /* that of context tells which members are the userId, too */
	struct mw_span upstream_id; /* characters, not written: the mapper makes an absent message_id of it */
};

/* Is it one of the stamp's members? What else a context says about them does not count. */
static inline bool mw_message_is_stamp(struct mw_span name)
{
	return mw_span_is(name, "integration") || mw_span_is(name, "library");
}

/* A track without any field. Not `= {0}`: a structure of this size is cleared by a loop in microcode. */
static inline void mw_message_clear(struct mw_message *m)
{
	static const struct mw_span none = {NULL, 0};
	m->call = (enum mw_call)0;
	m->user_id = none;
	m->anonymous_id = none;
	m->message_id = none;
	m->has_random_id = false;
	m->name = none;
	m->category = none;
	m->group_id = none;
	m->previous_id = none;
	m->payload = none;
	m->context = none;
	m->stamp = none;
	m->integrations = none;
	m->timestamp = 0;
	m->time = none;
	m->payload_shape = 0;
	m->context_shape = 0;
	m->integrations_shape = 0;
	m->knows_echo = false;
	m->upstream_id = none;
}

/* Append the message. MW_INVALID (with the field's name), MW_NO_USER, MW_TOO_LARGE (with its size),
 * MW_NO_MEMORY; on error the buffer is as it was. */
enum mw_err mw_message_write(struct mw_buf *out, const struct mw_message *m, struct mw_error *e);

/* What the message is like, whatever its values, for review.h: its call; the name of a track's event, byte
 * for byte; the classes of a page's name and category, and of all ids; the shapes of the three objects; which
 * members of context repeat the userId. Not the time, which is always written alike, nor the stamp, which all
 * messages of a client have. Of a message that mw_message_write took; never 0. */
uint64_t mw_message_shape(const struct mw_message *m);

typedef void mw_sha256(const void *bytes, size_t len, uint8_t digest[32]);

/* A stable messageId for an upstream event: the same (slug, account, id, index) gives the same text,
 * different ones never do. Readable ("acme-mail:4711:ev_9:0") when slug, account and id are made of
 * [A-Za-z0-9._-] and it fits; else slug, '~' and a SHA-256 of the four (without the slug if that is not so
 * made). Segment de-duplicates across workspaces, which is why the account is part of it. */
enum mw_err mw_message_id(struct mw_buf *out, struct mw_span slug, struct mw_span account,
			  struct mw_span upstream_id, uint32_t index, mw_sha256 *sha256);

/* One that no other message has: a UUID of version 4, made of 16 random bytes. */
enum { MW_UUID_LEN = 36 };
enum mw_err mw_message_random_id(struct mw_buf *out, const uint8_t random[16]);

/* The messageId in a message that mw_message_write wrote; as it is there, escapes and all. */
struct mw_span mw_message_id_of(struct mw_span message);

#endif
