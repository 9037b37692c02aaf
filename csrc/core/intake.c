#include "intake.h"

#include "json_write.h"
#include "limits.h"

static const char *const words[] = {
#define WORD(code, word, sentence) [code] = word,
    MW_FAULTS(WORD)
#undef WORD
};

static const char *const sentences[] = {
#define SENTENCE(code, word, sentence) [code] = sentence,
    MW_FAULTS(SENTENCE)
#undef SENTENCE
};

const char *mw_fault_word(enum mw_fault fault)
{
	return words[fault];
}

const char *mw_fault_sentence(enum mw_fault fault)
{
	return sentences[fault];
}

void mw_intake_init(struct mw_intake *in)
{
	*in = (struct mw_intake){0};
	mw_json_init(&in->doc);
}

void mw_intake_deinit(struct mw_intake *in)
{
	mw_json_deinit(&in->doc);
}

/* A member's node, 0 if it is absent or null: to Segment that is the same. */
static uint32_t member(const struct mw_json *doc, uint32_t object, const char *name)
{
	size_t len = strlen(name);
	uint32_t node = mw_json_member(doc, object, name, len, mw_json_tag(name, len));
	return node && doc->nodes[node].type == MW_JSON_NULL ? 0 : node;
}

static bool is_type(const struct mw_json *doc, uint32_t node, enum mw_json_type type)
{
	return node && doc->nodes[node].type == type;
}

/* A string's inside; at == NULL if the node is none. */
static struct mw_span text(const struct mw_json *doc, uint32_t node)
{
	return is_type(doc, node, MW_JSON_STRING) ? mw_json_raw(doc, node) : (struct mw_span){0};
}

enum mw_err mw_intake_read(struct mw_intake *in, enum mw_call call, struct mw_span body, struct mw_error *e)
{
	size_t max = call == MW_CALLS ? MW_REQUEST_MAX : MW_MESSAGE_MAX;
	in->call = call;
	in->fault = MW_FAULT_NONE;
	in->count = 0;
	in->next = 0;
	if (body.len > max)
		return mw_error_set(e, MW_TOO_LARGE, max, "%zu bytes; Segment takes at most %zu here",
				    body.len, max);
	enum mw_err err = mw_json_read(&in->doc, body.at, body.len, e);
	if (err != MW_OK)
		return err;
	if (in->doc.nodes[0].type != MW_JSON_OBJECT)
		return mw_error_set(e, MW_INVALID, 0, "the body is not a JSON object");
	if (call != MW_CALLS) {
		in->count = 1;
		return MW_OK;
	}
	uint32_t batch = member(&in->doc, 0, "batch");
	if (is_type(&in->doc, batch, MW_JSON_ARRAY))
		in->count = in->doc.nodes[batch].aux;
	if (in->count == 0)
		in->fault = MW_FAULT_NO_BATCH;
	else if (in->count > MW_BATCH_MESSAGES)
		in->fault = MW_FAULT_TOO_MANY;
	in->next = batch + 1;
	return MW_OK;
}

struct mw_span mw_intake_key(const struct mw_intake *in)
{
	return text(&in->doc, member(&in->doc, 0, "writeKey"));
}

static bool is_bad_text(const struct mw_json *doc, uint32_t node)
{
	return node && (doc->nodes[node].type != MW_JSON_STRING || doc->nodes[node].len == 0);
}

static enum mw_fault check_track(const struct mw_json *doc, uint32_t node)
{
	uint32_t event = member(doc, node, "event");
	if (!event)
		return MW_FAULT_NO_EVENT;
	if (!is_type(doc, event, MW_JSON_STRING))
		return MW_FAULT_EVENT_NOT_STRING;
	return doc->nodes[event].len == 0 ? MW_FAULT_NO_EVENT : MW_FAULT_NONE;
}

/* properties or traits: null counts as wrong here, unlike for ids. */
static bool is_bad_object(const struct mw_json *doc, uint32_t node, const char *name)
{
	size_t len = strlen(name);
	uint32_t found = mw_json_member(doc, node, name, len, mw_json_tag(name, len));
	return found && doc->nodes[found].type != MW_JSON_OBJECT;
}

/* What a message of a known type must fulfil: the first rule it breaks. */
static enum mw_fault check(const struct mw_json *doc, uint32_t node, enum mw_call call, struct mw_span id)
{
	uint32_t user = member(doc, node, "userId");
	uint32_t anonymous = member(doc, node, "anonymousId");
	if (!user && !anonymous)
		return MW_FAULT_NO_ID;
	if (is_bad_text(doc, user) || is_bad_text(doc, anonymous))
		return MW_FAULT_ID_NOT_STRING;
	enum mw_fault fault = call == MW_TRACK ? check_track(doc, node) : MW_FAULT_NONE;
	if (fault != MW_FAULT_NONE)
		return fault;
	if (is_bad_object(doc, node, "properties"))
		return MW_FAULT_PROPERTIES;
	if (is_bad_object(doc, node, "traits"))
		return MW_FAULT_TRAITS;
	if (call == MW_PAGE || call == MW_SCREEN) {
		if (is_bad_text(doc, member(doc, node, "name")))
			return MW_FAULT_NAME;
		if (is_bad_text(doc, member(doc, node, "category")))
			return MW_FAULT_CATEGORY;
	}
	bool is_long = id.len > MW_MESSAGE_ID_MAX && mw_json_count_chars(id) > MW_MESSAGE_ID_MAX;
	return is_long ? MW_FAULT_MESSAGE_ID : MW_FAULT_NONE;
}

struct mw_span mw_intake_shared(const struct mw_intake *in, const char *name)
{
	uint32_t node = in->call == MW_CALLS ? member(&in->doc, 0, name) : 0;
	return node ? mw_json_whole(&in->doc, node) : (struct mw_span){0};
}

bool mw_intake_next(struct mw_intake *in, struct mw_intake_message *out)
{
	if (in->count == 0)
		return false;
	in->count--;
	const struct mw_json *doc = &in->doc;
	uint32_t node = in->next;
	in->next = mw_json_after(doc, node);
	*out = (struct mw_intake_message){.raw = mw_json_whole(doc, node), .fault = in->fault};
	if (doc->nodes[node].type != MW_JSON_OBJECT) {
		out->fault = in->fault ? in->fault : MW_FAULT_NOT_OBJECT;
		return true;
	}
	enum mw_call call = in->call;
	bool known = call != MW_CALLS;
	if (known) {
		const char *word = mw_call_word(call);
		out->type = (struct mw_span){(const uint8_t *)word, strlen(word)};
	} else {
		out->type = text(doc, member(doc, node, "type"));
		known = out->type.at && mw_call_parse(out->type, &call);
	}
	out->name = text(doc, member(doc, node, known && call == MW_TRACK ? "event" : "name"));
	out->user = text(doc, member(doc, node, "userId"));
	if (!out->user.at) {
		out->user = text(doc, member(doc, node, "anonymousId"));
		out->anonymous = out->user.at != NULL;
	}
	out->id = text(doc, member(doc, node, "messageId"));
	if (in->fault != MW_FAULT_NONE)
		return true;
	if (out->raw.len > MW_MESSAGE_MAX)
		out->fault = MW_FAULT_TOO_LARGE;
	else if (!known)
		out->fault = MW_FAULT_NO_TYPE;
	else
		out->fault = check(doc, node, call, out->id);
	return true;
}
