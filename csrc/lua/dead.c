/* dead.c -- the dead letters of a spool as Lua tables (core.dead_list, dead_get, dead_drop, dead_ends), and
 * client:resend, which gives one of them another chance. What is asked for is checked by moonweir/dead.lua.
 */
#include "../io/dead.h"
#include "client.h"

#include <math.h>

/* A list gives no more than so much text at once; who wants more asks again from there. */
enum { LIST_BYTES = 4 * 1024 * 1024 };

static void set_headers(lua_State *L, const struct mw_dead_letter *l)
{
	struct mw_span name, value;
	size_t position = 0;
	if (l->headers.len == 0)
		return;
	lua_newtable(L);
	while (mw_dead_letter_header(l, &position, &name, &value)) {
		lua_pushlstring(L, (const char *)name.at, name.len);
		lua_pushlstring(L, (const char *)value.at, value.len);
		lua_rawset(L, -3);
	}
	lua_setfield(L, -2, "headers");
}

static void push_letter(lua_State *L, struct mw_dead_id id, const struct mw_dead_letter *l)
{
	char name[MW_DEAD_ID_MAX];
	size_t len = mw_dead_id_write(id, name);
	luaL_checkstack(L, 6, NULL);
	lua_createtable(L, 0, 16);
	lua_pushlstring(L, name, len);
	lua_setfield(L, -2, "id");
	lua_pushnumber(L, (lua_Number)l->at / 1000);
	lua_setfield(L, -2, "at");
	mwl_set_nonempty(L, "account", l->account);
	mwl_set_nonempty(L, "code", l->code);
	mwl_set_nonempty(L, "reason", l->reason);
	mwl_set_nonempty(L, "place", l->place);
	mwl_set_nonempty(L, "source", l->source);
	mwl_set_nonempty(L, "answer", l->answer);
	mwl_set_nonempty(L, "event", l->event);
	mwl_set_nonempty(L, "message", l->message);
	set_headers(L, l);
	if (l->status != 0)
		mwl_set_integer(L, "status", l->status);
	mwl_set_integer(L, "tag", l->tag);
	mwl_set_integer(L, "attempts", l->attempts);
	mwl_set_integer(L, "count", l->count);
	if (l->event.len > 0) {
		lua_pushstring(L, l->format == MW_FORMAT_FORM  ? "form"
				  : l->format == MW_FORMAT_XML ? "xml"
							       : "json");
		lua_setfield(L, -2, "format");
	}
}

/* ---- list: the callback must not raise across the walk, so each table is made under pcall */

struct listing {
	lua_State *L;
	struct mw_dead_id id;
	const struct mw_dead_letter *letter;
	size_t left;
	size_t bytes;
	bool failed;
};

enum { LIST = 4, LISTING, LIST_BUILD };

/* stack: list, struct listing */
static int list_build(lua_State *L)
{
	const struct listing *s = lua_touserdata(L, 2);
	push_letter(L, s->id, s->letter);
	lua_rawseti(L, 1, (int)lua_rawlen(L, 1) + 1);
	return 0;
}

static bool list_one(void *context, struct mw_dead_id id, const struct mw_dead_letter *letter)
{
	struct listing *s = context;
	s->id = id;
	s->letter = letter;
	lua_pushvalue(s->L, LIST_BUILD);
	lua_pushvalue(s->L, LIST);
	lua_pushvalue(s->L, LISTING);
	s->failed = lua_pcall(s->L, 2, 0, 0) != LUA_OK; /* then its error is on top */
	s->bytes += letter->event.len + letter->message.len + letter->answer.len;
	return !s->failed && --s->left > 0 && s->bytes < LIST_BYTES;
}

static struct mw_span field_text(lua_State *L, int index, const char *name)
{
	lua_getfield(L, index, name); /* stays on the stack, so that the text stays good */
	return lua_isnil(L, -1) ? (struct mw_span){NULL, 0} : mwl_check_span(L, -1);
}

static int64_t field_ms(lua_State *L, int index, const char *name)
{
	lua_getfield(L, index, name);
	lua_Number seconds = luaL_optnumber(L, -1, 0);
	lua_pop(L, 1);
	return fabs(seconds) < 1e12 ? (int64_t)llround(seconds * 1000) : 0;
}

static struct mw_dead_id check_id(lua_State *L, int index)
{
	struct mw_dead_id id = {0, 0};
	if (lua_type(L, index) != LUA_TSTRING || !mw_dead_id_parse(mwl_check_span(L, index), &id))
		luaL_error(L, "a dead letter is named like \"0-17\"");
	return id;
}

/* Leaves four values on the stack. */
static void read_filter(lua_State *L, int index, struct mw_dead_filter *f)
{
	luaL_checktype(L, index, LUA_TTABLE);
	luaL_checkstack(L, 8, NULL);
	*f = (struct mw_dead_filter){.account = field_text(L, index, "account"),
				     .code = field_text(L, index, "code"),
				     .source = field_text(L, index, "source"),
				     .since = field_ms(L, index, "since"),
				     .until = field_ms(L, index, "until_")};
	lua_getfield(L, index, "behind");
	f->is_behind = !lua_isnil(L, -1);
	if (f->is_behind)
		f->behind = check_id(L, -1);
}

/* core.dead_list(dir, filter, max) -> list of letters, oldest first in each partition; empty: there are no
 * more. It may be shorter than `max`: filter.behind = the last one's id goes on. */
static int dead_list(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	lua_Number max = luaL_checknumber(L, 3);
	luaL_argcheck(L, max >= 1 && max <= 1e6, 3, "from 1 to a million");
	lua_settop(L, 3);
	lua_newtable(L);
	struct listing *s = mwl_newuserdata(L, sizeof *s);
	*s = (struct listing){.L = L, .left = (size_t)max};
	lua_pushcfunction(L, list_build);
	struct mw_dead_filter filter;
	read_filter(L, 2, &filter);
	struct mw_error e = {0};
	enum mw_err err = mw_dead_each(dir, &filter, list_one, s, &e);
	if (s->failed)
		return lua_error(L);
	if (err != MW_OK)
		return mwl_fail(L, &e);
	lua_pushvalue(L, LIST);
	return 1;
}

/* A buffer that Lua frees, whatever happens. */
static int room_gc(lua_State *L)
{
	mw_buf_deinit(lua_touserdata(L, 1));
	return 0;
}

static struct mw_buf *new_room(lua_State *L)
{
	struct mw_buf *room = mwl_newuserdata(L, sizeof *room);
	mw_buf_init(room, SIZE_MAX);
	if (luaL_newmetatable(L, "moonweir.room")) {
		lua_pushcfunction(L, room_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return room;
}

/* core.dead_get(dir, id) -> letter | nil, message, code; nil alone: there is none of that name */
static int dead_get(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	struct mw_dead_id id = check_id(L, 2);
	struct mw_buf *room = new_room(L);
	struct mw_dead_letter letter;
	struct mw_error e = {0};
	bool found;
	enum mw_err err = mw_dead_get(dir, id, room, &letter, &found, &e);
	if (err != MW_OK)
		return mwl_fail(L, &e);
	if (found)
		push_letter(L, id, &letter);
	else
		lua_pushnil(L);
	return 1;
}

/* core.dead_drop(dir, list of ids) or (dir, filter, true) -> count | nil, message, code */
static int dead_drop(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	luaL_checktype(L, 2, LUA_TTABLE);
	struct mw_error e = {0};
	uint64_t dropped = 0;
	enum mw_err err;
	if (lua_toboolean(L, 3)) {
		struct mw_dead_filter filter;
		read_filter(L, 2, &filter);
		err = mw_dead_drop_all(dir, &filter, &dropped, &e);
	} else {
		size_t count = lua_rawlen(L, 2);
		struct mw_dead_id *ids = mwl_newuserdata(L, (count + 1) * sizeof *ids);
		for (size_t i = 0; i < count; i++) {
			lua_rawgeti(L, 2, (int)i + 1);
			ids[i] = check_id(L, -1);
			lua_pop(L, 1);
		}
		err = mw_dead_drop(dir, ids, count, &dropped, &e);
	}
	if (err != MW_OK)
		return mwl_fail(L, &e);
	lua_pushinteger(L, (lua_Integer)dropped);
	return 1;
}

/* core.dead_ends(dir) -> { ["0"] = id of partition 0's last letter, ... } | nil, message, code */
static int dead_ends(lua_State *L)
{
	const char *dir = luaL_checkstring(L, 1);
	uint64_t ends[MW_PARTITIONS_MAX];
	struct mw_error e = {0};
	if (mw_dead_ends(dir, ends, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_newtable(L);
	for (unsigned i = 0; i < MW_PARTITIONS_MAX; i++) {
		if (ends[i] == 0)
			continue;
		lua_pushinteger(L, (lua_Integer)i);
		lua_tostring(L, -1);
		lua_pushnumber(L, (lua_Number)(ends[i] - 1));
		lua_rawset(L, -3);
	}
	return 1;
}

/* ---- client:resend */

static void add_text(struct mw_buf *b, struct mw_span text, enum mw_err *err)
{
	const uint64_t len = text.len;
	if (*err == MW_OK)
		*err = mw_buf_append(b, &len, sizeof len);
	if (*err == MW_OK)
		*err = mw_buf_append_span(b, text);
}

/* What is this letter's alone: ids that would be random are made of it. */
static enum mw_err seed_of(struct mw_buf *room, struct mw_span id, struct mw_span account,
			   struct mw_span event, int64_t at, uint8_t seed[32])
{
	enum mw_err err = mw_buf_append(room, &at, sizeof at);
	add_text(room, id, &err);
	add_text(room, account, &err);
	add_text(room, event, &err);
	mwl_sha256(room->data, room->len, seed);
	return err;
}

/* nil, message, code of a mapping that failed; client at 1, mapper at `mapper`. Called under pcall. */
static int tell_failure(lua_State *L)
{
	mwl_mapper_push_problems(L, mwl_check_mapper(L, 1));
	if (lua_isnil(L, -1))
		return mwl_fail_code(L, MW_MAPPING);
	mwl_client_push_first_problem(L);
	lua_pushnil(L);
	lua_insert(L, -3);
	return 3;
}

/* stack: client, letter, options, uservalue, mapper, ... */
static int resend_event(lua_State *L, struct mwl_client *c, struct mw_span event, struct mwl_asked asked)
{
	if (lua_isnil(L, 5)) {
		const struct mw_error e = {
		    .code = MW_MAPPING, .detail = "this client has no source that could map the event again"};
		return mwl_fail(L, &e);
	}
	if (c->busy)
		return luaL_error(L, "resend: called while a push of this client is under way");
	struct mw_header headers[MWL_HEADERS_MAX];
	struct mw_delivery d = {.body = event, .now = field_ms(L, 2, "at")};
	lua_pushcfunction(L, tell_failure);
	int failure = lua_gettop(L);
	/* The letter's own table has the names that a push's options have; but it has others too. */
	lua_createtable(L, 0, 4);
	int options = lua_gettop(L);
	const char *const names[] = {"headers", "format", "account", "tag"};
	for (int i = 0; i < 4; i++) {
		lua_getfield(L, 2, names[i]);
		lua_setfield(L, options, names[i]);
	}
	mwl_delivery_options(L, options, &d, headers);
	if (!d.account.at && c->has_account)
		d.account = (struct mw_span){(const uint8_t *)c->account, c->account_len};
	lua_rawgeti(L, 4, MWL_CLIENT_SPOOL);
	bool keeps_letters = !lua_isnil(L, -1);
	struct mw_buf *room = new_room(L);
	uint8_t seed[32];
	enum mw_err err = seed_of(room, field_text(L, 2, "id"), d.account, event, d.now, seed);
	if (err != MW_OK)
		return mwl_fail_code(L, err);

	/* From here to the end the script's functions and finalizers may run, and call this client. */
	struct mwl_mapper *mapper = mwl_check_mapper(L, 5);
	struct mw_outbox *box = mwl_mapper_outbox(mapper);
	struct mw_tally tally = {0};
	c->busy = true;
	mwl_mapper_keep_letters(mapper, false); /* it has its letter */
	mwl_mapper_seed(mapper, seed);
	mwl_mapper_run(L, 5, &d, &tally);
	mwl_mapper_seed(mapper, NULL);
	mwl_mapper_keep_letters(mapper, keeps_letters);
	bool failed = tally.failed > 0;
	if (!failed && box->count > 0)
		err = mwl_client_push_box(c, box, asked);
	mw_outbox_clear(box);
	if (failed) {
		lua_pushvalue(L, failure);
		lua_pushvalue(L, 5);
		int status = lua_pcall(L, 1, 3, 0);
		c->busy = false;
		return status == LUA_OK ? 3 : lua_error(L);
	}
	c->busy = false;
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_pushinteger(L, (lua_Integer)tally.messages);
	return 1;
}

static int resend_message(lua_State *L, struct mwl_client *c, struct mw_span message, struct mwl_asked asked)
{
	/* Not as one that may be a repeat: its id is known, and it is to be sent all the same. */
	struct mw_parcel parcel = {.account = field_text(L, 2, "account"), .message = message};
	lua_getfield(L, 2, "tag");
	parcel.tag = (int64_t)luaL_optinteger(L, -1, 0);
	mw_outbox_clear(&c->box);
	enum mw_err err = mw_outbox_add(&c->box, &parcel);
	if (err == MW_OK)
		err = mwl_client_push_box(c, &c->box, asked);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_pushinteger(L, 1);
	return 1;
}

/* client:resend(letter [, { wait =, sync = }]) -> messages | nil, message, code. An event is mapped once
 * more, a refused message queued as it is. */
static int client_resend(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	luaL_checktype(L, 2, LUA_TTABLE);
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	lua_settop(L, 3);
	struct mwl_asked asked = {.sync_ms = -1};
	if (!lua_isnil(L, 3)) {
		luaL_checktype(L, 3, LUA_TTABLE);
		asked = mwl_client_asked(L, 3);
	}
	mwl_getuservalue(L, 1);
	lua_rawgeti(L, 4, MWL_CLIENT_MAPPER);
	struct mw_span event = field_text(L, 2, "event"), message = field_text(L, 2, "message");
	lua_getfield(L, 2, "code");
	bool is_damaged =
	    lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), mw_err_word(MW_CORRUPT)) == 0;
	if (is_damaged || (event.len == 0 && message.len == 0)) {
		const struct mw_error e = {.code = MW_CORRUPT,
					   .detail = "this letter holds nothing that could be sent"};
		return mwl_fail(L, &e);
	}
	return event.len > 0 ? resend_event(L, c, event, asked) : resend_message(L, c, message, asked);
}

/* client:spool_dir() -> as given to open; nil: it keeps messages in memory */
static int client_spool_dir(lua_State *L)
{
	mwl_client_check_open(L);
	mwl_getuservalue(L, 1);
	lua_rawgeti(L, -1, MWL_CLIENT_SPOOL);
	return 1;
}

void mwl_client_dead_methods(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"resend", client_resend}, {"spool_dir", client_spool_dir}, {NULL, NULL}};
	luaL_setfuncs(L, methods, 0);
}

void mwl_open_dead(lua_State *L)
{
	static const luaL_Reg functions[] = {{"dead_list", dead_list},
					     {"dead_get", dead_get},
					     {"dead_drop", dead_drop},
					     {"dead_ends", dead_ends},
					     {NULL, NULL}};
	luaL_setfuncs(L, functions, 0);
}
