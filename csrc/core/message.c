#include "message.h"

#include "json_write.h"
#include "shape.h"
#include "timestamp.h"

static const char *const words[MW_CALLS] = {
    [MW_TRACK] = "track",   [MW_IDENTIFY] = "identify", [MW_PAGE] = "page",
    [MW_SCREEN] = "screen", [MW_GROUP] = "group",       [MW_ALIAS] = "alias",
};

const char *mw_call_word(enum mw_call call)
{
	return words[call];
}

bool mw_call_parse(struct mw_span word, enum mw_call *call)
{
	for (int i = 0; i < MW_CALLS; i++) {
		if (mw_span_is(word, words[i])) {
			*call = (enum mw_call)i;
			return true;
		}
	}
	return false;
}

/* A key is copied whole, whatever its length: that is two stores, where the exact length would be a call. */
struct key {
	char text[24];
	size_t len;
};

/* What stands around the values and differs from call to call. An empty key: the call has no such field. */
struct frame {
	struct key head;
	struct key name;
	struct key payload;
	const char *name_word;
	const char *payload_word;
};

#define LITERAL(text)                                                                                        \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}
#define EVENT      .name = LITERAL(",\"event\":\""), .name_word = "event"
#define NAME       .name = LITERAL(",\"name\":\""), .name_word = "name"
#define PROPERTIES .payload = LITERAL(",\"properties\":"), .payload_word = "properties"
#define TRAITS     .payload = LITERAL(",\"traits\":"), .payload_word = "traits"

static const struct frame frames[MW_CALLS] = {
    [MW_TRACK] = {.head = LITERAL("{\"type\":\"track\""), EVENT, PROPERTIES},
    [MW_IDENTIFY] = {.head = LITERAL("{\"type\":\"identify\""), TRAITS},
    [MW_PAGE] = {.head = LITERAL("{\"type\":\"page\""), NAME, PROPERTIES},
    [MW_SCREEN] = {.head = LITERAL("{\"type\":\"screen\""), NAME, PROPERTIES},
    [MW_GROUP] = {.head = LITERAL("{\"type\":\"group\""), TRAITS},
    [MW_ALIAS] = {.head = LITERAL("{\"type\":\"alias\"")},
};

const char *mw_call_payload_word(enum mw_call call)
{
	return frames[call].payload_word;
}

static enum mw_err missing(struct mw_error *e, enum mw_call call, const char *field)
{
	return mw_error_set(e, MW_INVALID, 0, "%s: %s is missing; Segment takes no such call", words[call],
			    field);
}

static enum mw_err check_text(struct mw_span s, enum mw_call call, const char *field, struct mw_error *e)
{
	if (s.at && s.len == 0)
		return mw_error_set(e, MW_INVALID, 0, "%s: %s is an empty string", words[call], field);
	return MW_OK;
}

static enum mw_err check_object(struct mw_span s, enum mw_call call, const char *field, struct mw_error *e)
{
	if (s.at && (s.len < 2 || s.at[0] != '{' || s.at[s.len - 1] != '}'))
		return mw_error_set(e, MW_INVALID, 0, "%s: %s must be an object", words[call], field);
	return MW_OK;
}

static enum mw_err check_required(const struct mw_message *m, struct mw_error *e)
{
	if (!m->user_id.at && (!m->anonymous_id.at || m->call == MW_ALIAS))
		return mw_error_set(e, MW_NO_USER, 0, "%s: no userId", words[m->call]);
	if (!m->message_id.at)
		return missing(e, m->call, "messageId");
	if (m->time.at && m->time.len != MW_TIMESTAMP_LEN)
		return mw_error_set(e, MW_INVALID, 0, "%s: timestamp is not in Segment's form",
				    words[m->call]);
	if (m->message_id.len > MW_MESSAGE_ID_MAX && mw_json_count_chars(m->message_id) > MW_MESSAGE_ID_MAX)
		return mw_error_set(e, MW_INVALID, 0, "%s: messageId has %zu characters; Segment takes %d",
				    words[m->call], mw_json_count_chars(m->message_id), MW_MESSAGE_ID_MAX);
	if (m->call == MW_TRACK && !m->name.at)
		return missing(e, m->call, "event");
	if (m->call == MW_GROUP && !m->group_id.at)
		return missing(e, m->call, "groupId");
	if (m->call == MW_ALIAS && !m->previous_id.at)
		return missing(e, m->call, "previousId");
	return MW_OK;
}

static enum mw_err check(const struct mw_message *m, struct mw_error *e)
{
	const struct frame *frame = &frames[m->call];
	enum mw_err err = check_text(m->user_id, m->call, "userId", e);
	if (!err)
		err = check_text(m->anonymous_id, m->call, "anonymousId", e);
	if (!err)
		err = check_text(m->message_id, m->call, "messageId", e);
	if (!err && frame->name_word)
		err = check_text(m->name, m->call, frame->name_word, e);
	if (!err)
		err = check_text(m->category, m->call, "category", e);
	if (!err)
		err = check_text(m->group_id, m->call, "groupId", e);
	if (!err)
		err = check_text(m->previous_id, m->call, "previousId", e);
	if (!err && frame->payload_word)
		err = check_object(m->payload, m->call, frame->payload_word, e);
	if (!err)
		err = check_object(m->integrations, m->call, "integrations", e);
	return err ? err : check_required(m, e);
}

static uint8_t *put(uint8_t *at, struct mw_span s)
{
	if (s.len > 0)
		memcpy(at, s.at, s.len);
	return at + s.len;
}

/* The length is known when this is compiled, so it becomes a store or two. */
#define PUT(at, literal) ((uint8_t *)memcpy((at), "" literal, sizeof(literal) - 1) + sizeof(literal) - 1)

static uint8_t *put_text(uint8_t *at, struct mw_span key, struct mw_span text)
{
	if (!text.at)
		return at;
	at = put(put(at, key), text);
	*at++ = '"';
	return at;
}

static uint8_t *put_key(uint8_t *at, const struct key *key)
{
	memcpy(at, key->text, sizeof key->text);
	return at + key->len;
}

static uint8_t *put_context(uint8_t *at, const struct mw_message *m)
{
	if (m->context.len + m->stamp.len == 0)
		return at;
	at = put(PUT(at, ",\"context\":{"), m->context);
	if (m->context.len > 0 && m->stamp.len > 0)
		*at++ = ',';
	at = put(at, m->stamp);
	*at++ = '}';
	return at;
}

static uint8_t *put_message(uint8_t *at, const struct mw_message *m)
{
	const struct frame *frame = &frames[m->call];
	at = put_key(at, &frame->head);
	at = put_text(at, MW_SPAN(",\"userId\":\""), m->user_id);
	at = put_text(at, MW_SPAN(",\"anonymousId\":\""), m->anonymous_id);
	at = put_text(at, MW_SPAN(",\"messageId\":\""), m->message_id);
	at = PUT(at, ",\"timestamp\":\"");
	if (m->time.at)
		memcpy(at, m->time.at, MW_TIMESTAMP_LEN);
	else
		mw_timestamp_write((char *)at, m->timestamp);
	at = PUT(at + MW_TIMESTAMP_LEN, "\"");
	if (frame->name.len > 0 && m->name.at)
		at = put_text(put_key(at, &frame->name), MW_SPAN(""), m->name);
	if (m->call == MW_PAGE || m->call == MW_SCREEN)
		at = put_text(at, MW_SPAN(",\"category\":\""), m->category);
	if (m->call == MW_GROUP)
		at = put_text(at, MW_SPAN(",\"groupId\":\""), m->group_id);
	if (m->call == MW_ALIAS)
		at = put_text(at, MW_SPAN(",\"previousId\":\""), m->previous_id);
	if (frame->payload.len > 0) {
		at = put_key(at, &frame->payload);
		at = m->payload.at ? put(at, m->payload) : PUT(at, "{}");
	}
	at = put_context(at, m);
	if (m->integrations.at)
		at = put(PUT(at, ",\"integrations\":"), m->integrations);
	*at++ = '}';
	return at;
}

/* At least what the keys, quotes and braces of any message take together, and what is copied behind a key. */
enum { FRAME_ROOM = 256 };

enum mw_err mw_message_write(struct mw_buf *out, const struct mw_message *m, struct mw_error *e)
{
	enum mw_err err = check(m, e);
	if (err)
		return err;
	size_t room = FRAME_ROOM + m->user_id.len + m->anonymous_id.len + m->message_id.len + m->name.len +
		      m->category.len + m->group_id.len + m->previous_id.len + m->payload.len +
		      m->context.len + m->stamp.len + m->integrations.len;
	err = mw_buf_reserve(out, room);
	if (err)
		return mw_error_set(e, err, 0, "%s: no room for a message of about %zu bytes", words[m->call],
				    room);
	uint8_t *start = out->data + out->len;
	size_t len = (size_t)(put_message(start, m) - start);
	if (len > MW_MESSAGE_MAX)
		return mw_error_set(e, MW_TOO_LARGE, 0, "%s: the message has %zu bytes; Segment takes %d",
				    words[m->call], len, MW_MESSAGE_MAX);
	out->len += len;
	return MW_OK;
}

/* ---- shape */

static uint64_t shape_of(uint64_t known, struct mw_span json)
{
	if (known)
		return known;
	return json.len > 0 ? mw_shape_of_json(json) : MW_CLASS_ABSENT;
}

static uint64_t class_of_text(struct mw_span text)
{
	return text.at ? mw_class_of_text(text) : MW_CLASS_ABSENT;
}

/* Six bits each. */
static uint64_t classes_of(const struct mw_message *m)
{
	uint64_t all = (uint64_t)m->call << 1 | (m->message_id.len > MW_MESSAGE_ID_MAX);
	all = all << 6 | mw_class_of_id(m->user_id);
	all = all << 6 | mw_class_of_id(m->anonymous_id);
	if (m->call == MW_GROUP)
		all = all << 6 | mw_class_of_id(m->group_id);
	if (m->call == MW_ALIAS)
		all = all << 6 | mw_class_of_id(m->previous_id);
	if (m->call == MW_PAGE || m->call == MW_SCREEN)
		all = (all << 6 | class_of_text(m->name)) << 6 | class_of_text(m->category);
	return all;
}

uint64_t mw_message_shape(const struct mw_message *m)
{
	uint64_t h = m->call == MW_TRACK ? mw_shape_key(m->name.at, m->name.len) : 0;
	h = mw_shape_mix(h, classes_of(m));
	h = mw_shape_mix(h, m->payload.at ? shape_of(m->payload_shape, m->payload) : MW_CLASS_EMPTY_OBJECT);
	h = mw_shape_mix(h, shape_of(m->context_shape, m->context));
	h = mw_shape_mix(h, shape_of(m->integrations_shape, m->integrations));
	if (m->user_id.at && !m->knows_echo)
		h ^= mw_shape_echo(m->user_id, m->context);
	return h ? h : 1;
}
