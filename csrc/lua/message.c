/* message.c -- Lua tables to messages: what client:track and the other five are given.
 *
 *     { userId = "u1", event = "Email Opened", properties = { email_id = "m7" } }
 *
 * Fields have Segment's own names. One that the call does not have is refused, for a misspelt field would be
 * lost without a word. One pass over the table; what spans must point into is written to a scratch buffer.
 */
#include "../core/json_write.h"
#include "../core/suggest.h"
#include "../core/timestamp.h"
#include "mwl.h"

enum field {
	USER_ID,
	ANONYMOUS_ID,
	EVENT,
	NAME,
	CATEGORY,
	GROUP_ID,
	PREVIOUS_ID,
	PROPERTIES,
	TRAITS,
	CONTEXT,
	INTEGRATIONS,
	MESSAGE_ID,
	TIMESTAMP,
	FIELDS,
};

#define CALL(call) (1u << (call))
#define ALL_CALLS  (CALL(MW_CALLS) - 1u)
#define PAGES      (CALL(MW_PAGE) | CALL(MW_SCREEN))
#define FIELD(text, c)                                                                                       \
	{                                                                                                    \
		.name = (text), .len = sizeof(text) - 1, .calls = (c)                                        \
	}

static const struct {
	const char *name;
	size_t len;
	unsigned calls; /* that have it */
} fields[FIELDS] = {
    [USER_ID] = FIELD("userId", ALL_CALLS),
    [ANONYMOUS_ID] = FIELD("anonymousId", ALL_CALLS),
    [EVENT] = FIELD("event", CALL(MW_TRACK)),
    [NAME] = FIELD("name", PAGES),
    [CATEGORY] = FIELD("category", PAGES),
    [GROUP_ID] = FIELD("groupId", CALL(MW_GROUP)),
    [PREVIOUS_ID] = FIELD("previousId", CALL(MW_ALIAS)),
    [PROPERTIES] = FIELD("properties", CALL(MW_TRACK) | PAGES),
    [TRAITS] = FIELD("traits", CALL(MW_IDENTIFY) | CALL(MW_GROUP)),
    [CONTEXT] = FIELD("context", ALL_CALLS),
    [INTEGRATIONS] = FIELD("integrations", ALL_CALLS),
    [MESSAGE_ID] = FIELD("messageId", ALL_CALLS),
    [TIMESTAMP] = FIELD("timestamp", ALL_CALLS),
};

static enum field find_field(const char *name, size_t len)
{
	for (int i = 0; i < FIELDS; i++) {
		if (fields[i].len == len && memcmp(fields[i].name, name, len) == 0)
			return (enum field)i;
	}
	return FIELDS;
}

static enum mw_err refuse_field(lua_State *L, int key, enum mw_call call, struct mw_error *e)
{
	if (lua_type(L, key) != LUA_TSTRING)
		return mw_error_set(e, MW_INVALID, 0, "%s: expected named fields, as in { userId = \"u1\" }",
				    mw_call_word(call));
	size_t len;
	const char *name = lua_tolstring(L, key, &len);
	const char *known[FIELDS + 1];
	int n = 0;
	for (int i = 0; i < FIELDS; i++) {
		if (fields[i].calls & CALL(call))
			known[n++] = fields[i].name;
	}
	known[n] = NULL;
	char hint[64];
	mw_suggest(hint, sizeof hint, name, len, known);
	return mw_error_set(e, MW_INVALID, 0, "%s: no field \"%.64s\"%s", mw_call_word(call), name, hint);
}

enum mw_err mwl_text_write(lua_State *L, int index, const char *field, struct mw_buf *out,
			   struct mwl_piece *piece, struct mw_error *e)
{
	size_t start = out->len, len;
	enum mw_err err = MW_INVALID;
	const char *why = "must be a string";
	int64_t i;
	struct mw_span digits;
	switch (lua_type(L, index)) {
	case LUA_TSTRING: {
		const char *text = lua_tolstring(L, index, &len);
		err = mw_json_write_chars(out, text, len);
		why = "text that is not UTF-8";
		break;
	}
	case LUA_TNUMBER:
		if (mwl_exact_integer(L, index, &i))
			err = mw_json_write_int64(out, i);
		why = "must be a string; a number that is not whole, or too large to be exact, is none";
		break;
	case LUA_TUSERDATA:
		digits = mwl_digits_get(L, index);
		if (digits.at)
			err = mw_buf_append_span(out, digits);
		break;
	default:
		if (mwl_is_null(L, index))
			return MW_OK;
	}
	if (err)
		return mw_error_set(e, err, 0, "%s: %s", field,
				    err == MW_INVALID ? why : mw_err_sentence(err));
	*piece = (struct mwl_piece){.start = start, .len = out->len - start, .present = true};
	return MW_OK;
}

enum mw_err mwl_time_read(lua_State *L, int index, const char *field, struct mw_buf *out,
			  struct mwl_time *time, struct mw_error *e)
{
	bool ok = false;
	size_t len, start = out->len;
	if (mwl_is_null(L, index))
		return MW_OK;
	if (lua_type(L, index) == LUA_TSTRING) {
		const char *chars = lua_tolstring(L, index, &len);
		struct mw_span text = {(const uint8_t *)chars, len};
		ok = mw_timestamp_is_written(text) && mw_buf_append_span(out, text) == MW_OK;
		if (ok)
			time->text = (struct mwl_piece){.start = start, .len = len, .present = true};
		else
			ok = mw_timestamp_parse(text, &time->ms);
	} else if (lua_type(L, index) == LUA_TNUMBER) {
		ok = mw_timestamp_from_number(lua_tonumber(L, index), &time->ms);
	}
	if (!ok)
		return mw_error_set(e, MW_INVALID, 0,
				    "%s: expected a date like \"2026-11-23T21:58:00Z\" or Unix time", field);
	time->present = true;
	return MW_OK;
}

struct reading {
	lua_State *L;
	struct mw_buf *scratch;
	struct mw_message *m;
	bool stamped;
	bool counts_shapes;
	struct mwl_time time;
	struct mwl_piece pieces[FIELDS];
	struct mw_error *e;
};

static enum mw_err read_object(struct reading *r, enum field field, int value)
{
	struct mwl_piece *piece = &r->pieces[field];
	size_t start = r->scratch->len;
	uint64_t *shape = field == CONTEXT        ? &r->m->context_shape
			  : field == INTEGRATIONS ? &r->m->integrations_shape
						  : &r->m->payload_shape;
	if (!r->counts_shapes)
		shape = NULL;
	enum mw_err err;
	if (mwl_is_null(r->L, value))
		return MW_OK;
	if (field == CONTEXT)
		err = mwl_table_members(r->L, value, fields[field].name, r->stamped, r->scratch, shape, r->e);
	else
		err = mwl_table_object(r->L, value, fields[field].name, r->scratch, shape, r->e);
	if (err)
		return err;
	*piece = (struct mwl_piece){.start = start, .len = r->scratch->len - start, .present = true};
	return MW_OK;
}

static enum mw_err read_field(struct reading *r, enum field field, int value)
{
	switch (field) {
	case TIMESTAMP:
		return mwl_time_read(r->L, value, fields[field].name, r->scratch, &r->time, r->e);
	case PROPERTIES:
	case TRAITS:
	case CONTEXT:
	case INTEGRATIONS:
		return read_object(r, field, value);
	default:
		return mwl_text_write(r->L, value, fields[field].name, r->scratch, &r->pieces[field], r->e);
	}
}

static void fill(struct reading *r)
{
	const struct mw_buf *b = r->scratch;
	struct mw_message *m = r->m;
	m->user_id = mwl_piece_span(r->pieces[USER_ID], b);
	m->anonymous_id = mwl_piece_span(r->pieces[ANONYMOUS_ID], b);
	m->message_id = mwl_piece_span(r->pieces[MESSAGE_ID], b);
	/* A call has one of each two. */
	m->name = mwl_piece_span(r->pieces[r->pieces[EVENT].present ? EVENT : NAME], b);
	m->payload = mwl_piece_span(r->pieces[r->pieces[TRAITS].present ? TRAITS : PROPERTIES], b);
	m->category = mwl_piece_span(r->pieces[CATEGORY], b);
	m->group_id = mwl_piece_span(r->pieces[GROUP_ID], b);
	m->previous_id = mwl_piece_span(r->pieces[PREVIOUS_ID], b);
	m->context = mwl_piece_span(r->pieces[CONTEXT], b);
	m->integrations = mwl_piece_span(r->pieces[INTEGRATIONS], b);
	mwl_time_fill(m, &r->time, b);
}

enum mw_err mwl_table_message(lua_State *L, int index, enum mw_call call, bool stamped, bool counts_shapes,
			      struct mw_buf *scratch, struct mw_message *m, bool *has_timestamp,
			      struct mw_error *e)
{
	struct reading r;
	r.L = L;
	r.scratch = scratch;
	r.m = m;
	r.stamped = stamped;
	r.counts_shapes = counts_shapes;
	r.time = (struct mwl_time){.present = false};
	mwl_pieces_clear(r.pieces, FIELDS);
	r.e = e;
	if (!lua_checkstack(L, 8))
		return mw_error_set(e, MW_NO_MEMORY, 0, "%s", mw_err_sentence(MW_NO_MEMORY));
	index = lua_absindex(L, index);
	int key = lua_gettop(L) + 1;
	enum mw_err err = MW_OK;
	lua_pushnil(L);
	while (!err && lua_next(L, index)) {
		size_t len = 0;
		const char *name = lua_type(L, key) == LUA_TSTRING ? lua_tolstring(L, key, &len) : NULL;
		enum field field = name ? find_field(name, len) : FIELDS;
		if (field == FIELDS || !(fields[field].calls & CALL(call)))
			err = refuse_field(L, key, call, e);
		else
			err = read_field(&r, field, key + 1);
		lua_settop(L, key);
	}
	lua_settop(L, key - 1);
	if (err)
		return err;
	m->call = call;
	*has_timestamp = r.time.present;
	fill(&r);
	return MW_OK;
}
