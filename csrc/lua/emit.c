/* emit.c -- emit(call, options): one more message from a function entry.
 *
 *     emit(source.track "Email Delivered" { email_id = r.id }, { user = r.user_id, id = r.id })
 *
 * `call` is what source.track and the like made; its fields are read raw. Whatever options leave out comes
 * from the source. `id` is the tool's own, as in source.define: the messageId is made of it.
 */
#include "../core/suggest.h"
#include "mwl.h"

/* What a call holds. The names are made once and kept as upvalues. */
enum part { CALL, NAME, PAYLOAD, CATEGORY, GROUP_ID, PREVIOUS_ID, PARTS };

static const char *const part_names[PARTS] = {
    [CALL] = "call",         [NAME] = "name",         [PAYLOAD] = "payload",
    [CATEGORY] = "category", [GROUP_ID] = "group_id", [PREVIOUS_ID] = "previous_id",
};

enum { UPVALUE_OWNER = 1, UPVALUE_SCRIPT, UPVALUE_CALL, UPVALUE_PARTS };

enum option { USER, ACCOUNT, TIME, ID, CONTEXT, INTEGRATIONS, ANONYMOUS, OPTIONS };

static const char *const option_names[OPTIONS + 1] = {
    [USER] = "user",       [ACCOUNT] = "account",           [TIME] = "time",           [ID] = "id",
    [CONTEXT] = "context", [INTEGRATIONS] = "integrations", [ANONYMOUS] = "anonymous", [OPTIONS] = NULL,
};

struct emission {
	lua_State *L;
	struct mw_buf *out;
	struct mw_message m;
	struct mwl_piece parts[PARTS];
	struct mwl_piece options[OPTIONS];
	struct mwl_time time;
	struct mw_error e;
};

/* Field by field: clearing it whole costs as much as reading a member or two of the event. */
static void begin(struct emission *em, lua_State *L, struct mw_buf *out)
{
	em->L = L;
	em->out = out;
	mw_buf_clear(out);
	mw_message_clear(&em->m);
	mwl_pieces_clear(em->parts, PARTS);
	mwl_pieces_clear(em->options, OPTIONS);
	em->time = (struct mwl_time){.present = false};
	mw_error_clear(&em->e);
}

static void push_part(lua_State *L, enum part part)
{
	lua_pushvalue(L, lua_upvalueindex(UPVALUE_PARTS + (int)part));
	lua_rawget(L, 1);
}

/* What is on top of the stack, which it pops. */
static enum mw_err take_text(struct emission *em, enum part part)
{
	enum mw_err err = MW_OK;
	if (!lua_isnil(em->L, -1))
		err = mwl_text_write(em->L, -1, part_names[part], em->out, &em->parts[part], &em->e);
	lua_pop(em->L, 1);
	return err;
}

static enum mw_err read_text(struct emission *em, enum part part)
{
	push_part(em->L, part);
	return take_text(em, part);
}

static enum mw_err write_object(struct emission *em, int index, const char *name, struct mwl_piece *piece,
				uint64_t *shape)
{
	size_t start = em->out->len;
	enum mw_err err = mwl_table_object(em->L, index, name, em->out, shape, &em->e);
	*piece = (struct mwl_piece){.start = start, .len = em->out->len - start, .present = true};
	return err;
}

/* On top of the stack, too. */
static enum mw_err take_payload(struct emission *em)
{
	enum mw_err err = MW_OK;
	if (!lua_isnil(em->L, -1) && !mwl_is_null(em->L, -1))
		err = write_object(em, lua_gettop(em->L), mw_call_payload_word(em->m.call),
				   &em->parts[PAYLOAD], &em->m.payload_shape);
	lua_pop(em->L, 1);
	return err;
}

/* Was it made the quick way? A list of a script's own is no call. */
static bool is_ready(lua_State *L)
{
	if (lua_rawlen(L, 1) != MWL_READY_PAYLOAD || !lua_getmetatable(L, 1))
		return false;
	bool is_call = lua_rawequal(L, -1, lua_upvalueindex(UPVALUE_CALL));
	lua_pop(L, 1);
	return is_call;
}

static enum mw_err read_ready(struct emission *em)
{
	em->m.call = MW_TRACK;
	lua_rawgeti(em->L, 1, MWL_READY_NAME);
	enum mw_err err = take_text(em, NAME);
	if (err)
		return err;
	lua_rawgeti(em->L, 1, MWL_READY_PAYLOAD);
	return take_payload(em);
}

static enum mw_err read_call(struct emission *em)
{
	static const struct mw_span none;
	enum mw_err err = MW_OK;
	if (is_ready(em->L))
		return read_ready(em);
	push_part(em->L, CALL);
	size_t len;
	const char *word = lua_type(em->L, -1) == LUA_TSTRING ? lua_tolstring(em->L, -1, &len) : NULL;
	struct mw_span span = word ? (struct mw_span){(const uint8_t *)word, len} : none;
	bool known = word && mw_call_parse(span, &em->m.call);
	lua_pop(em->L, 1);
	if (!known)
		return mw_error_set(&em->e, MW_INVALID, 0,
				    "emit: expected a call, as in source.track \"Name\" { }");
	switch (em->m.call) {
	case MW_PAGE:
	case MW_SCREEN:
		err = read_text(em, CATEGORY);
		if (!err)
			err = read_text(em, NAME);
		break;
	case MW_TRACK:
		err = read_text(em, NAME);
		break;
	case MW_GROUP:
		err = read_text(em, GROUP_ID);
		break;
	case MW_ALIAS:
		return read_text(em, PREVIOUS_ID);
	default:
		break;
	}
	if (err)
		return err;
	push_part(em->L, PAYLOAD);
	return take_payload(em);
}

static enum mw_err read_option(struct emission *em, enum option option, int value)
{
	const char *name = option_names[option];
	struct mwl_piece *piece = &em->options[option];
	size_t start = em->out->len;
	enum mw_err err;
	if (mwl_is_null(em->L, value))
		return MW_OK;
	switch (option) {
	case TIME:
		return mwl_time_read(em->L, value, name, em->out, &em->time, &em->e);
	case ACCOUNT: /* not sent as they are: their characters, not the inside of a JSON string */
	case ID:
		if (lua_type(em->L, value) != LUA_TSTRING)
			break;
		size_t len;
		const char *text = lua_tolstring(em->L, value, &len);
		if (option == ID && len == 0)
			return MW_OK;
		err = mw_buf_append(em->out, text, len);
		*piece = (struct mwl_piece){.start = start, .len = len, .present = true};
		return err;
	case INTEGRATIONS:
		return write_object(em, value, name, piece, &em->m.integrations_shape);
	case CONTEXT:
		err = mwl_table_members(em->L, value, name, true, em->out, &em->m.context_shape, &em->e);
		*piece = (struct mwl_piece){.start = start, .len = em->out->len - start, .present = true};
		return err;
	default:
		break;
	}
	return mwl_text_write(em->L, value, name, em->out, piece, &em->e);
}

static enum mw_err refuse_option(struct emission *em, int key)
{
	if (lua_type(em->L, key) != LUA_TSTRING)
		return mw_error_set(&em->e, MW_INVALID, 0,
				    "emit: expected named options, as in { user = id }");
	char hint[64];
	size_t len;
	const char *name = lua_tolstring(em->L, key, &len);
	mw_suggest(hint, sizeof hint, name, len, option_names);
	return mw_error_set(&em->e, MW_INVALID, 0, "emit: no option \"%.64s\"%s", name, hint);
}

static enum option find_option(lua_State *L, int key)
{
	if (lua_type(L, key) != LUA_TSTRING)
		return OPTIONS;
	const char *name = lua_tostring(L, key);
	for (int i = 0; i < OPTIONS; i++) {
		if (name[0] == option_names[i][0] && strcmp(name, option_names[i]) == 0)
			return (enum option)i;
	}
	return OPTIONS;
}

static enum mw_err read_options(struct emission *em)
{
	lua_State *L = em->L;
	if (lua_isnil(L, 2))
		return MW_OK;
	if (lua_type(L, 2) != LUA_TTABLE)
		return mw_error_set(&em->e, MW_INVALID, 0,
				    "emit: expected a table of options, as in { user = id }");
	enum mw_err err = MW_OK;
	lua_pushnil(L);
	while (!err && lua_next(L, 2)) {
		enum option option = find_option(L, 3);
		err = option == OPTIONS ? refuse_option(em, 3) : read_option(em, option, 4);
		lua_settop(L, 3);
	}
	lua_settop(L, 2);
	return err;
}

static void fill(struct emission *em)
{
	struct mw_message *m = &em->m;
	m->name = mwl_piece_span(em->parts[NAME], em->out);
	m->category = mwl_piece_span(em->parts[CATEGORY], em->out);
	m->group_id = mwl_piece_span(em->parts[GROUP_ID], em->out);
	m->previous_id = mwl_piece_span(em->parts[PREVIOUS_ID], em->out);
	m->payload = mwl_piece_span(em->parts[PAYLOAD], em->out);
	m->user_id = mwl_piece_span(em->options[USER], em->out);
	m->anonymous_id = mwl_piece_span(em->options[ANONYMOUS], em->out);
	m->upstream_id = mwl_piece_span(em->options[ID], em->out);
	m->context = mwl_piece_span(em->options[CONTEXT], em->out);
	m->integrations = mwl_piece_span(em->options[INTEGRATIONS], em->out);
	mwl_time_fill(m, &em->time, em->out);
}

/* Behind "acme.lua:12: ", where the mapping says that its entry begins: the line of emit, put in front, is
 * nearer. */
static const char *without_place(const char *detail, const char *where)
{
	size_t name = strcspn(where, ":");
	if (name == 0 || strncmp(detail, where, name + 1) != 0)
		return detail;
	const char *at = detail + name + 1;
	size_t digits = strspn(at, "0123456789");
	return digits > 0 && strncmp(at + digits, ": ", 2) == 0 ? at + digits + 2 : detail;
}

/* Raises with the script's line in front; the code is kept for whoever finds the message again at the top. */
static int refuse(lua_State *L, struct mwl_script *s, enum mw_err err, const struct mw_error *e)
{
	luaL_where(L, 1);
	const char *detail =
	    e->detail[0] ? without_place(e->detail, lua_tostring(L, -1)) : mw_err_sentence(err);
	mw_error_set(&s->emitted, err, 0, "%s", detail);
	lua_pushstring(L, s->emitted.detail);
	lua_concat(L, 2);
	return lua_error(L);
}

static int emit(lua_State *L)
{
	struct mwl_script *s = lua_touserdata(L, lua_upvalueindex(UPVALUE_SCRIPT));
	if (!s->mapper)
		return luaL_error(L, "emit: its function has returned; it makes no more messages");
	if (s->emitting)
		return luaL_error(L, "emit: called while another call of emit is under way");
	lua_settop(L, 2);
	struct emission em;
	begin(&em, L, &s->fields);
	enum mw_err err;
	if (lua_type(L, 1) != LUA_TTABLE)
		err = mw_error_set(&em.e, MW_INVALID, 0,
				   "emit: expected a call, as in source.track \"Name\" { }");
	else
		err = read_call(&em);
	if (!err)
		err = read_options(&em);
	if (err)
		return refuse(L, s, err, &em.e);
	fill(&em);
	struct mw_span account = mwl_piece_span(em.options[ACCOUNT], em.out);
	/* The source's own expressions may call functions of the script: on this thread, if it is a
	 * coroutine. */
	lua_State *outer = s->L;
	s->L = s->guard.L = L;
	s->emitting = true;
	err = mw_mapper_emit(s->mapper, &em.m, em.time.present, account, &em.e);
	s->emitting = false;
	s->L = s->guard.L = outer;
	return err ? refuse(L, s, err, &em.e) : 0;
}

void mwl_emit_push(lua_State *L, struct mwl_script *s, int owner)
{
	lua_pushvalue(L, owner); /* so that a kept emit never outlives what it points to */
	lua_pushlightuserdata(L, s);
	lua_getfield(L, LUA_REGISTRYINDEX, MWL_CALL);
	for (int i = 0; i < PARTS; i++)
		lua_pushstring(L, part_names[i]);
	lua_pushcclosure(L, emit, 3 + PARTS);
}
