/* push.c -- how messages get into a client's engine: client:push maps an event, the six calls take one
 * message each.
 *
 *     queued, message, code, problems, tally = client:push('{"type":"opened"}', { wait = 1 })
 *
 *     ok, message, code = client:track("acct-1", { userId = "u1", event = "Opened" })
 *
 * The usual push, of one event without a problem, makes no Lua table. Finalizers that garbage collection runs
 * may call the client that is at work: `busy` and `turn` are there for them.
 */
#include "client.h"
#include "request_of.h"

struct mwl_asked mwl_client_asked(lua_State *L, int options)
{
	struct mwl_asked asked = {.sync_ms = -1};
	lua_getfield(L, options, "wait");
	lua_getfield(L, options, "sync");
	int top = lua_gettop(L);
	if (!lua_isnil(L, top - 1) && !mwl_is_wait(L, top - 1, &asked.wait_ms))
		luaL_error(L, "wait must be seconds, from 0 to a year");
	if (lua_isboolean(L, top))
		asked.sync_ms = lua_toboolean(L, top) ? MWL_SYNC_MS : -1;
	else if (!lua_isnil(L, top) && !mwl_is_wait(L, top, &asked.sync_ms))
		luaL_error(L, "sync must be true, false, or seconds from 0 to a year");
	lua_pop(L, 2);
	return asked;
}

enum mw_err mwl_client_push_box(struct mwl_client *c, const struct mw_outbox *box, struct mwl_asked asked)
{
	int64_t wait_ms = asked.wait_ms;
	enum mw_err err = mw_engine_push(c->engine, box);
	int64_t until = wait_ms > 0 ? mwl_now_monotonic() + wait_ms : 0;
	while (err == MW_FULL && wait_ms > 0) {
		int64_t left = until - mwl_now_monotonic();
		if (left <= 0 || mw_engine_wait_room(c->engine, box->bytes.len, left) == MW_TIMEOUT)
			return MW_FULL;
		err = mw_engine_push(c->engine, box);
	}
	if (err == MW_OK && asked.sync_ms >= 0)
		err = mw_engine_sync(c->engine, asked.sync_ms, NULL);
	else
		return err;
	/* It was taken, and waits for room: "full" would be an invitation to push it once more. */
	return err == MW_FULL ? MW_TIMEOUT : err;
}

void mwl_client_push_first_problem(lua_State *L)
{
	int list = lua_gettop(L);
	lua_rawgeti(L, list, 1);
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "message");
		lua_getfield(L, -2, "code");
		lua_remove(L, -3);
	} else {
		lua_pushnil(L);
	}
}

int mwl_client_tell(lua_State *L)
{
	const struct mw_tally *tally = &mwl_client_check(L)->last;
	if (tally->failed > 0 && tally->messages == 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, (lua_Integer)tally->messages); /* at 3 */
	mwl_mapper_push_problems(L, mwl_check_mapper(L, 2));
	if (lua_isnil(L, 4)) {
		lua_pushnil(L);
		lua_pushnil(L);
	} else {
		mwl_client_push_first_problem(L);
	}
	/* queued, problems, message, code -> queued, message, code, problems, tally */
	lua_pushvalue(L, 4);
	lua_remove(L, 4);
	mwl_tally_push(L, tally);
	return 5;
}

/* The table at 2 as JSON. Reading it may collect garbage, and a finalizer that calls this very client writes
 * over what is there: then once more. */
static enum mw_err write_body(lua_State *L, struct mwl_client *c, struct mw_error *e)
{
	enum mw_err err;
	unsigned turn;
	do {
		turn = ++c->turn;
		mw_buf_clear(&c->body);
		err = mwl_table_write(L, 2, &c->body, e);
	} while (turn != c->turn);
	return err;
}

/* Maps and queues; nothing here can raise. */
static enum mw_err push_event(lua_State *L, struct mwl_client *c, const struct mw_delivery *d,
			      struct mwl_asked asked)
{
	c->last = (struct mw_tally){0};
	mwl_mapper_run(L, 5, d, &c->last);
	struct mwl_mapper *mapper = mwl_check_mapper(L, 5);
	struct mw_outbox *box = mwl_mapper_outbox(mapper);
	enum mw_err err = mwl_mapper_letters_lost(mapper);
	if (err == MW_OK && box->count > 0)
		err = mwl_client_push_box(c, box, asked);
	mw_outbox_clear(box);
	if (err != MW_OK && err != MW_TIMEOUT)
		return err;
	c->tally.events += c->last.events;
	c->tally.messages += c->last.messages;
	c->tally.ignored += c->last.ignored;
	c->tally.unmatched += c->last.unmatched;
	c->tally.failed += c->last.failed;
	return err;
}

/* opts.seed, a text of which ids are made that would be random; at == NULL: there is none. Good while the
 * options are. */
static struct mw_span read_seed(lua_State *L, int options)
{
	lua_getfield(L, options, "seed");
	luaL_argcheck(L, lua_isnil(L, -1) || lua_type(L, -1) == LUA_TSTRING, options,
		      "seed must be a string");
	struct mw_span seed = lua_isnil(L, -1) ? (struct mw_span){NULL, 0} : mwl_check_span(L, -1);
	lua_pop(L, 1);
	return seed;
}

/* The options at 3; nil: none. */
static void read_options(lua_State *L, struct mw_delivery *d, struct mw_header headers[MWL_HEADERS_MAX],
			 struct mwl_asked *asked, struct mw_span *seed)
{
	if (lua_isnil(L, 3))
		return;
	mwl_delivery_options(L, 3, d, headers);
	*asked = mwl_client_asked(L, 3);
	*seed = read_seed(L, 3);
	if (mwl_push_option(L, 3, "now"))
		d->now = mwl_check_integer(L, "now");
	lua_pop(L, 1);
}

/* stack: client, event, opts, uservalue, mapper. From here to the end the script's functions and finalizers
 * may run, and call this client. */
static int push_and_tell(lua_State *L, struct mwl_client *c, const struct mw_delivery *d,
			 struct mwl_asked asked, struct mw_span seed)
{
	c->busy = true;
	if (seed.at)
		mwl_mapper_seed_text(mwl_check_mapper(L, 5), seed);
	enum mw_err err = push_event(L, c, d, asked);
	if (seed.at)
		mwl_mapper_seed(mwl_check_mapper(L, 5), NULL);
	bool usual =
	    err == MW_OK && c->last.failed == 0 && c->last.events == 1 && d->format != MW_FORMAT_NDJSON;
	if (err != MW_OK || usual) {
		c->busy = false;
		if (err != MW_OK)
			return mwl_fail_code(L, err);
		lua_pushinteger(L, (lua_Integer)c->last.messages);
		return 1; /* the usual case makes no table */
	}
	lua_rawgeti(L, 4, MWL_CLIENT_TELL);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, 5);
	int status = lua_pcall(L, 2, 5, 0);
	c->busy = false;
	return status == LUA_OK ? 5 : lua_error(L);
}

/* client:push(event [, opts]) -> queued | nil, message, code, problems, tally */
static int client_push(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	if (c->busy)
		return luaL_error(L, "push: called while another push of this client is under way");
	const struct mwl_request_of *request = mwl_request_of(L, 2);
	luaL_argcheck(L, request || lua_type(L, 2) == LUA_TSTRING || lua_type(L, 2) == LUA_TTABLE, 2,
		      "the event as a string or a table");
	lua_settop(L, 3);
	mwl_getuservalue(L, 1); /* client, event, opts, uservalue */
	lua_rawgeti(L, 4, MWL_CLIENT_MAPPER);
	if (lua_isnil(L, 5))
		return luaL_error(L, "this client was opened without a source; open{ source = ... } or use "
				     "client:track and the other calls");
	luaL_checkstack(L, LUA_MINSTACK, NULL);

	struct mw_header headers[MWL_HEADERS_MAX];
	struct mw_delivery d = {.now = mwl_now_wall(), .account = mwl_client_account(c)};
	struct mwl_asked asked = {.sync_ms = -1};
	struct mw_span seed = {NULL, 0};
	read_options(L, &d, headers, &asked, &seed);
	if (lua_type(L, 2) == LUA_TTABLE) {
		struct mw_error e;
		mw_error_clear(&e);
		if (write_body(L, c, &e) != MW_OK)
			return mwl_fail(L, &e);
		d.body = mw_buf_span(&c->body);
		d.format = MW_FORMAT_JSON;
	} else {
		d.body = request ? request->body(L, 2) : mwl_check_span(L, 2);
	}
	return push_and_tell(L, c, &d, asked, seed);
}

/* The fields at 3 as a message; what its spans point into is the client's. Once more if a finalizer of
 * garbage that this collects made a call of its own. */
static enum mw_err read_message(lua_State *L, struct mwl_client *c, enum mw_call call, struct mw_message *m,
				struct mw_error *e)
{
	bool has_timestamp = false;
	enum mw_err err;
	unsigned turn;
	do {
		turn = ++c->turn;
		mw_message_clear(m);
		mw_buf_clear(&c->fields);
		err = mwl_table_message(L, 3, call, c->stamp.len > 0, c->review != NULL, &c->fields, m,
					&has_timestamp, e);
	} while (turn != c->turn);
	if (!has_timestamp)
		m->timestamp = mwl_now_wall();
	if (c->stamp.len > 0)
		m->stamp = mw_buf_span(&c->stamp);
	return err;
}

/* In `room`. */
static struct mw_span random_id(uint8_t room[MW_UUID_LEN])
{
	struct mw_buf text = {.data = room, .cap = MW_UUID_LEN, .max = MW_UUID_LEN};
	uint8_t random[16];
	mwl_random(NULL, random);
	mw_message_random_id(&text, random);
	return mw_buf_span(&text);
}

/* client:track(account, fields [, opts]) and the other five; the call is the closure's upvalue. */
static int client_call(lua_State *L)
{
	static const char *const known[] = {"tag", "wait", "sync", NULL};
	struct mwl_client *c = mwl_client_check_open(L);
	enum mw_call call = (enum mw_call)lua_tointeger(L, lua_upvalueindex(1));
	struct mw_parcel parcel = {.account = lua_isnoneornil(L, 2) ? mwl_client_account(c)
								    : mwl_check_account(L, 2)};
	luaL_checktype(L, 3, LUA_TTABLE);
	struct mwl_asked asked = {.sync_ms = -1};
	if (!lua_isnoneornil(L, 4)) {
		luaL_checktype(L, 4, LUA_TTABLE);
		lua_settop(L, 4);
		for (lua_pushnil(L); lua_next(L, 4); lua_pop(L, 1))
			mwl_check_option(L, known);
		if (mwl_push_option(L, 4, "tag"))
			parcel.tag = mwl_check_integer(L, "tag");
		asked = mwl_client_asked(L, 4);
	}
	if (!parcel.account.at)
		return mwl_fail_code(L, MW_NO_ACCOUNT);

	struct mw_error e;
	struct mw_message m;
	uint8_t id[MW_UUID_LEN];
	mw_error_clear(&e);
	enum mw_err err = read_message(L, c, call, &m, &e);
	if (err != MW_OK)
		return mwl_fail(L, &e);
	parcel.kind = m.message_id.at ? MW_PARCEL_REPEATABLE : MW_PARCEL_MESSAGE;
	if (!m.message_id.at)
		m.message_id = random_id(id);
	mw_buf_clear(&c->message);
	err = mw_message_write(&c->message, &m, &e);
	if (err != MW_OK)
		return e.code == err ? mwl_fail(L, &e) : mwl_fail_code(L, err);
	parcel.message = mw_buf_span(&c->message);
	err = mwl_review_message(L, c->review, &m, parcel.message, &e);
	if (err != MW_OK)
		return mwl_fail(L, &e);
	mw_outbox_clear(&c->box);
	err = mw_outbox_add(&c->box, &parcel);
	if (err == MW_OK)
		err = mwl_client_push_box(c, &c->box, asked);
	return mwl_client_answer(L, err, NULL);
}

void mwl_client_push_methods(lua_State *L)
{
	lua_pushcfunction(L, client_push);
	lua_setfield(L, -2, "push");
	for (int call = 0; call < MW_CALLS; call++) {
		lua_pushinteger(L, call);
		lua_pushcclosure(L, client_call, 1);
		lua_setfield(L, -2, mw_call_word((enum mw_call)call));
	}
}
