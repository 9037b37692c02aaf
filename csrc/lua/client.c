/* client.c -- an engine as a userdata: how it is opened, given keys, waited for and closed. */
#include "client.h"
#include "lessee.h"

#include <math.h>

/* Milliseconds that a wait may last; anything longer is a misplaced unit. */
static const double WAIT_MAX_S = 365.0 * 24 * 3600;

struct mwl_client *mwl_client_check(lua_State *L)
{
	return luaL_checkudata(L, 1, MWL_CLIENT);
}

struct mwl_client *mwl_client_check_open(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	if (c->closed || !c->engine)
		luaL_error(L, "this client is closed");
	return c;
}

bool mwl_is_wait(lua_State *L, int index, int64_t *ms)
{
	double seconds = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : -1;
	if (!(seconds >= 0 && seconds <= WAIT_MAX_S))
		return false;
	*ms = (int64_t)llround(seconds * 1000);
	return true;
}

int64_t mwl_check_wait(lua_State *L, int index, double otherwise)
{
	int64_t ms = (int64_t)llround(otherwise * 1000);
	luaL_argcheck(L, lua_isnoneornil(L, index) || mwl_is_wait(L, index, &ms), index,
		      "seconds, from 0 to a year");
	return ms;
}

int mwl_client_answer(lua_State *L, enum mw_err err, const struct mw_error *e)
{
	if (err == MW_OK) {
		lua_pushboolean(L, 1);
		return 1;
	}
	return e && e->code == err ? mwl_fail(L, e) : mwl_fail_code(L, err);
}

/* client:sync([seconds]): until all that was pushed is on disk; at once without a spool. */
static int client_sync(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	struct mw_error e = {.code = MW_OK};
	return mwl_client_answer(L, mw_engine_sync(c->engine, mwl_check_wait(L, 2, MWL_SYNC_MS / 1000.0), &e),
				 &e);
}

/* client:mark() -> a number that stands for all that was pushed before */
static int client_mark(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)mw_engine_mark(mwl_client_check_open(L)->engine));
	return 1;
}

/* client:is_safe(mark) -> true: on disk, and synced; false: not yet; nil, message, code: not to be expected
 */
static int client_is_safe(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	struct mw_error e = {.code = MW_OK};
	int64_t mark = -1;
	luaL_argcheck(L, lua_type(L, 2) == LUA_TNUMBER && mwl_exact_integer(L, 2, &mark) && mark >= 0, 2,
		      "what client:mark gave");
	enum mw_err err = mw_engine_is_safe(c->engine, (uint64_t)mark, &e);
	if (err != MW_TIMEOUT)
		return mwl_client_answer(L, err, &e);
	lua_pushboolean(L, 0);
	return 1;
}

/* client:safe_fd() -> a descriptor to wait for before is_safe is asked again (server:watch) | nil */
static int client_safe_fd(lua_State *L)
{
	int fd = mw_engine_safe_fd(mwl_client_check_open(L)->engine);
	if (fd < 0)
		return mwl_fail_code(L, MW_IO);
	lua_pushinteger(L, fd);
	return 1;
}

/* client:remap(mapper, stamp): the next push goes through another program. Called by Client:reload. */
static int client_remap(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	if (c->busy)
		return luaL_error(L, "reload: called while a push of this client is under way");
	struct mwl_mapper *mapper = mwl_check_mapper(L, 2);
	struct mw_span stamp = mwl_check_span(L, 3);
	if (stamp.len > c->stamp.max)
		return mwl_fail_code(L, MW_TOO_LARGE);
	mw_buf_clear(&c->stamp);
	if (mw_buf_append_span(&c->stamp, stamp) != MW_OK)
		return mwl_fail_code(L, MW_NO_MEMORY);
	mwl_getuservalue(L, 1);
	lua_rawgeti(L, -1, MWL_CLIENT_SPOOL);
	mwl_mapper_keep_letters(mapper, !lua_isnil(L, -1));
	lua_pop(L, 1);
	lua_pushvalue(L, 2);
	lua_rawseti(L, -2, MWL_CLIENT_MAPPER);
	lua_pushboolean(L, 1);
	return 1;
}

/* client:start(): its keys are there. Called by moonweir.open. */
static int client_start(lua_State *L)
{
	mw_engine_start(mwl_client_check_open(L)->engine);
	return 0;
}

/* client:lessee() -> what moonweir.hiredis fetches permits for | nil, message, code: it has its own, or was
 * forked */
static int client_lessee(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	struct mw_lessee *lessee = mwl_newuserdata(L, sizeof *lessee);
	luaL_getmetatable(L, MWL_LESSEE);
	lua_setmetatable(L, -2);
	lua_newtable(L);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	mwl_setuservalue(L, -2);
	if (mw_engine_is_forked(c->engine))
		return mwl_fail_code(L, MW_FORKED);
	if (!mw_engine_lessee(c->engine, lessee))
		return luaL_error(L, "lessee: this client was not opened with leased = true");
	return 1;
}

static int client_flush(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	return mwl_client_answer(L, mw_engine_flush(c->engine, mwl_check_wait(L, 2, 30)), NULL);
}

/* client:set_account(name, { write_key =, endpoint = }): name "" is every account without a key of its own */
static int client_set_account(lua_State *L)
{
	struct mwl_client *c = mwl_client_check_open(L);
	struct mw_span account = mwl_check_span(L, 2);
	static const char *const known[] = {"write_key", "endpoint", NULL};
	luaL_argcheck(L, account.len <= MW_ACCOUNT_MAX, 2, "an account is named by at most 255 bytes");
	luaL_checktype(L, 3, LUA_TTABLE);
	lua_settop(L, 3);
	for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1))
		mwl_check_option(L, known);
	lua_getfield(L, 3, "write_key");
	lua_getfield(L, 3, "endpoint");
	luaL_argcheck(L, lua_type(L, 4) == LUA_TSTRING, 3, "write_key must be a string");
	bool own = !lua_isnil(L, 5);
	luaL_argcheck(L, !own || lua_type(L, 5) == LUA_TSTRING, 3, "endpoint must be a string");
	struct mw_error e = {0};
	struct mw_endpoint endpoint;
	enum mw_err err = own ? mw_endpoint_parse(mwl_check_span(L, 5), &endpoint, &e) : MW_OK;
	if (err == MW_OK)
		err = mw_engine_set_key(c->engine, account, mwl_check_span(L, 4), own ? &endpoint : NULL, &e);
	return mwl_client_answer(L, err, &e);
}

/* client:close([seconds]): deliver what can be delivered in that time, then stop. */
static int client_close(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	int64_t deadline_ms = mwl_check_wait(L, 2, 5);
	if (c->closed || !c->engine) {
		lua_pushboolean(L, 1);
		return 1;
	}
	c->closed = true;
	struct mw_error e = {0};
	return mwl_client_answer(L, mw_engine_close(c->engine, deadline_ms, &e), &e);
}

/* local client <close>: the second argument is the error that ended the block, if any */
static int client_close_block(lua_State *L)
{
	lua_settop(L, 1);
	return client_close(L);
}

static int client_gc(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	c->closed = true;
	mw_engine_free(c->engine);
	c->engine = NULL;
	mw_outbox_deinit(&c->box);
	mw_buf_deinit(&c->fields);
	mw_buf_deinit(&c->message);
	mw_buf_deinit(&c->body);
	mw_buf_deinit(&c->stamp);
	return 0;
}

static int client_tostring(lua_State *L)
{
	struct mwl_client *c = mwl_client_check(L);
	lua_pushfstring(L, "moonweir client (%s)", c->closed ? "closed" : "open");
	return 1;
}

static lua_Number opt_number(lua_State *L, const char *name, lua_Number otherwise)
{
	lua_getfield(L, 1, name);
	lua_Number n = luaL_optnumber(L, -1, otherwise);
	lua_pop(L, 1);
	return n;
}

/* The string stays on the stack, so that the pointer stays good. */
static const char *opt_string(lua_State *L, const char *name)
{
	lua_getfield(L, 1, name);
	return luaL_optstring(L, -1, NULL);
}

/* client at 2: what the mapping fails on is kept in its spool. */
static void keep_letters(lua_State *L, const char *dir)
{
	mwl_getuservalue(L, 2);
	lua_pushstring(L, dir);
	lua_rawseti(L, -2, MWL_CLIENT_SPOOL);
	lua_rawgeti(L, -1, MWL_CLIENT_MAPPER);
	if (!lua_isnil(L, -1))
		mwl_mapper_keep_letters(mwl_check_mapper(L, -1), true);
	lua_pop(L, 2);
}

/* core.client{...}: options already checked by moonweir/init.lua, in base units. */
static int client_new(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	struct mwl_client *c = mwl_newuserdata(L, sizeof *c);
	memset(c, 0, sizeof *c);
	luaL_getmetatable(L, MWL_CLIENT);
	lua_setmetatable(L, -2);
	lua_newtable(L);
	lua_getfield(L, 1, "mapper");
	lua_rawseti(L, -2, MWL_CLIENT_MAPPER);
	lua_pushcfunction(L, mwl_client_tell); /* now: making a function may run finalizers */
	lua_rawseti(L, -2, MWL_CLIENT_TELL);
	lua_getfield(L, 1, "review");
	c->review = mwl_opt_review(L, -1);
	lua_rawseti(L, -2, MWL_CLIENT_REVIEW);
	mwl_setuservalue(L, 2);
	mw_outbox_init(&c->box, 2 * MW_MESSAGE_MAX);
	mw_buf_init(&c->fields, MW_EVENT_MAX);
	mw_buf_init(&c->message, 2 * MW_MESSAGE_MAX);
	mw_buf_init(&c->body, MW_EVENT_MAX);
	mw_buf_init(&c->stamp, MW_MESSAGE_MAX);

	lua_getfield(L, 1, "account");
	if (!lua_isnil(L, -1)) {
		struct mw_span account = mwl_check_account(L, -1);
		memcpy(c->account, account.at, account.len);
		c->account_len = account.len;
		c->has_account = true;
	}
	lua_getfield(L, 1, "stamp");
	if (!lua_isnil(L, -1) && mw_buf_append_span(&c->stamp, mwl_check_span(L, -1)) != MW_OK)
		return mwl_fail_code(L, MW_NO_MEMORY);

	struct mw_engine_config config = {.weir = mw_weir_defaults()};
	config.weir.rate = opt_number(L, "rate", config.weir.rate);
	config.weir.linger_ms =
	    (int64_t)(1000 * opt_number(L, "linger", (double)config.weir.linger_ms / 1000));
	config.weir.batch_messages = (uint32_t)opt_number(L, "batch_messages", config.weir.batch_messages);
	config.queue_max = (size_t)opt_number(L, "queue_bytes", 0);
	config.weir.retries_max = (uint32_t)opt_number(L, "retries", config.weir.retries_max);
	config.holds = true; /* until start */
	lua_getfield(L, 1, "leased");
	config.is_leased = lua_toboolean(L, -1);
	lua_pop(L, 1);
	config.timeout_ms = (int64_t)(1000 * opt_number(L, "timeout", 0));
	lua_getfield(L, 1, "report");
	config.report_delivered = lua_isstring(L, -1) && strcmp(lua_tostring(L, -1), "all") == 0;
	uint8_t random[16];
	mwl_random(NULL, random);
	memcpy(&config.weir.seed, random, sizeof config.weir.seed);
	luaL_checkstack(L, 16, NULL);
	config.master_key_file = opt_string(L, "master_key_file");
	struct mw_spool_config spool = {.dir = opt_string(L, "spool")};
	if (spool.dir) {
		spool.disk_max = (uint64_t)opt_number(L, "disk_bytes", 0);
		spool.repeats_ms = (int64_t)(1000 * opt_number(L, "repeats", MW_REPEATS_MS / 1000));
		spool.dead_ms = (int64_t)ceil(86400000 * opt_number(L, "dead_days", MW_DEAD_DAYS_DEFAULT));
		spool.dead_bytes = (uint64_t)opt_number(L, "dead_bytes", 0);
		spool.repeats_max = (uint64_t)opt_number(L, "repeats_max", 0);
		config.spool = &spool;
		keep_letters(L, spool.dir);
	}
	config.state_dir = opt_string(L, "state");
	config.proxy = opt_string(L, "proxy");
	config.ca_file = opt_string(L, "ca_file");
	lua_getfield(L, 1, "endpoint");
	struct mw_error e = {0};
	struct mw_span text = lua_isnil(L, -1) ? MW_SPAN("us") : mwl_check_span(L, -1);
	enum mw_err err = mw_endpoint_parse(text, &config.endpoint, &e);
	if (err == MW_OK)
		err = mw_engine_open(&config, &c->engine, &e);
	if (err != MW_OK)
		return e.code == err ? mwl_fail(L, &e) : mwl_fail_code(L, err);
	lua_pushvalue(L, 2);
	return 1;
}

void mwl_open_client(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"sync", client_sync},
	    {"mark", client_mark},
	    {"is_safe", client_is_safe},
	    {"safe_fd", client_safe_fd},
	    {"remap", client_remap},
	    {"flush", client_flush},
	    {"start", client_start},
	    {"close", client_close},
	    {"lessee", client_lessee},
	    {"set_account", client_set_account},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_LESSEE);
	lua_pop(L, 1);
	luaL_newmetatable(L, MWL_CLIENT);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	mwl_client_push_methods(L);
	mwl_client_state_methods(L);
	mwl_client_dead_methods(L);
	lua_pushvalue(L, -1);
	lua_setfield(L, -4, "Client"); /* for methods that are written in Lua */
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, client_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, client_close_block);
	lua_setfield(L, -2, "__close");
	lua_pushcfunction(L, client_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	lua_pushcfunction(L, client_new);
	lua_setfield(L, -2, "client");
}
