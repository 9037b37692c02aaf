/* redis.c -- moonweir.hiredis: commands to a Redis, a Valkey or a cluster.
 *
 *     local hiredis = require "moonweir.hiredis"
 *     local red = assert(hiredis.new { url = "redis://127.0.0.1:6379", patience = 2 })   -- or file =, env =
 *     local id, message, code = red:call("XADD", "events", "*", "body", body)
 *     local n = red:call_again("XACK", "events", "segment", id)    -- may run twice, should the link break
 *     local replies = red:pipeline { { "PING" }, { "GET", "x" } }  -- .errors[i] = { message =, code = }
 *     local add = hiredis.script "return redis.call('INCRBY', KEYS[1], ARGV[1])"
 *     red:call(add, 1, "count", 5)
 *
 * Strings are bytes. A null reply is false, so nil means an error and nothing else; codes are the server's
 * first word in lower case ("noperm", "oom", "err", see io/redis.h) or "io", "timeout", "forked",
 * "no_memory", "too_large".
 *
 * A module of its own, so that the library does not need hiredis.
 */
#include "../io/private.h"
#include "../io/redis_slot.h"
#include "redis_own.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define MWL_REDIS_SCRIPT "moonweir.hiredis.script"

int mwl_redis_fail(lua_State *L, enum mw_err err, const char *detail)
{
	lua_pushnil(L);
	lua_pushstring(L, detail && *detail ? detail : mw_err_sentence(err));
	lua_pushstring(L, mw_err_word(err));
	return 3;
}

void mwl_redis_check_idle(lua_State *L, const struct mwl_redis *r)
{
	if (r->busy)
		luaL_error(L, "called while another call of this connection to Redis is under way");
}

static struct mw_redis *check_open(lua_State *L)
{
	struct mwl_redis *r = luaL_checkudata(L, 1, MWL_REDIS);
	mwl_redis_check_idle(L, r);
	if (!r->redis)
		luaL_error(L, "this connection to Redis is closed");
	return r->redis;
}

/* ---- scripts; the text is the userdata's uservalue's first item */

static int script_new(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct mw_redis_script *s = mwl_newuserdata(L, sizeof *s);
	mw_redis_script_init(s, (struct mw_span){(const uint8_t *)text, len});
	lua_newtable(L);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	mwl_setuservalue(L, -2);
	luaL_getmetatable(L, MWL_REDIS_SCRIPT);
	lua_setmetatable(L, -2);
	return 1;
}

/* The script at `index`; NULL: it is none. */
static const struct mw_redis_script *to_script(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TUSERDATA ? luaL_checkudata(L, index, MWL_REDIS_SCRIPT) : NULL;
}

/* ---- commands */

/* A number as Redis is to read it: whole ones without a fraction. */
static size_t write_number(lua_State *L, int index, char out[40])
{
#if MWL_HAS_INTEGERS
	if (lua_isinteger(L, index))
		return (size_t)snprintf(out, 40, "%lld", (long long)lua_tointeger(L, index));
#endif
	lua_Number n = lua_tonumber(L, index);
	bool whole = n == floor(n) && fabs(n) < 9007199254740992.0;
	return (size_t)snprintf(out, 40, whole ? "%.0f" : "%.17g", n);
}

/* The value on top of the stack as the next argument; `number` names it in an error. */
static void add_arg(lua_State *L, struct mw_redis *r, int number)
{
	char digits[40];
	size_t len;
	int type = lua_type(L, -1);
	if (type == LUA_TSTRING) {
		const char *text = lua_tolstring(L, -1, &len);
		mw_redis_arg(r, (struct mw_span){(const uint8_t *)text, len});
	} else if (type == LUA_TNUMBER) {
		len = write_number(L, -1, digits);
		mw_redis_arg(r, (struct mw_span){(const uint8_t *)digits, len});
	} else {
		luaL_error(L, "argument %d of a command to Redis must be a string or a number, not a %s",
			   number, lua_typename(L, type));
	}
}

/* The arguments from `first` to `last` on the stack are one command. */
static void add_command_on_stack(lua_State *L, struct mw_redis *r, int first, int last)
{
	luaL_argcheck(L, last >= first, first, "a command of Redis");
	const struct mw_redis_script *script = to_script(L, first);
	if (script)
		mw_redis_command_script(r, script, (size_t)(last - first));
	else
		mw_redis_command(r, (size_t)(last - first + 1));
	for (int i = script ? first + 1 : first; i <= last; i++) {
		lua_pushvalue(L, i);
		add_arg(L, r, i - first + 1);
		lua_pop(L, 1);
	}
}

/* The table on top of the stack is one. */
static void add_command_table(lua_State *L, struct mw_redis *r)
{
	if (!lua_istable(L, -1))
		luaL_error(L, "a pipeline is a list of commands, each a list of strings and numbers");
	int count = (int)lua_rawlen(L, -1);
	if (count == 0)
		luaL_error(L, "a pipeline holds an empty command");
	lua_rawgeti(L, -1, 1);
	const struct mw_redis_script *script = to_script(L, -1); /* stays in the table */
	lua_pop(L, 1);
	if (script)
		mw_redis_command_script(r, script, (size_t)count - 1);
	else
		mw_redis_command(r, (size_t)count);
	for (int i = script ? 2 : 1; i <= count; i++) {
		lua_rawgeti(L, -1, i);
		add_arg(L, r, i);
		lua_pop(L, 1);
	}
}

static void push_reply(lua_State *L, const struct mw_redis_reply *reply)
{
	luaL_checkstack(L, 4, NULL);
	switch (reply->type) {
	case MW_REDIS_NIL:
		lua_pushboolean(L, 0);
		return;
	case MW_REDIS_INTEGER:
		lua_pushinteger(L, (lua_Integer)reply->integer);
		return;
	case MW_REDIS_STRING:
	case MW_REDIS_ERROR: /* inside a list, where it is what a script made of it */
		lua_pushlstring(L, (const char *)reply->text.at, reply->text.len);
		return;
	case MW_REDIS_LIST:
		lua_createtable(L, (int)reply->count, 0);
		for (size_t i = 0; i < reply->count; i++) {
			push_reply(L, reply->items[i]);
			lua_rawseti(L, -2, (int)i + 1);
		}
		return;
	}
}

/* Runs the commands, and gives what the function on top of the stack makes of the replies. To make it may run
 * finalizers that call this very connection, which would write over them: they are refused until it is made.
 */
static int run(lua_State *L, bool may_run_twice)
{
	struct mwl_redis *r = lua_touserdata(L, 1);
	int tell = lua_gettop(L);
	enum mw_err err = mw_redis_run(r->redis, may_run_twice);
	if (err != MW_OK)
		return mwl_redis_fail(L, err, NULL);
	r->busy = true;
	lua_pushvalue(L, 1);
	int status = lua_pcall(L, 1, LUA_MULTRET, 0);
	r->busy = false;
	return status == LUA_OK ? lua_gettop(L) - tell + 1 : lua_error(L);
}

/* stack: connection */
static int tell_one(lua_State *L)
{
	const struct mw_redis_reply *reply =
	    mw_redis_reply(((const struct mwl_redis *)lua_touserdata(L, 1))->redis, 0);
	if (reply->type == MW_REDIS_ERROR) {
		lua_pushnil(L);
		lua_pushlstring(L, (const char *)reply->text.at, reply->text.len);
		lua_pushstring(L, reply->code);
		return 3;
	}
	push_reply(L, reply);
	return 1;
}

static int run_one(lua_State *L, bool may_run_twice)
{
	int last = lua_gettop(L);
	lua_pushcfunction(L, tell_one); /* now: it may collect garbage, and with it run who calls us */
	struct mw_redis *r = check_open(L);
	mw_redis_begin(r);
	add_command_on_stack(L, r, 2, last);
	return run(L, may_run_twice);
}

/* red:call(name or script, arguments…) -> reply | nil, message, code */
static int redis_call(lua_State *L)
{
	return run_one(L, false);
}

static int redis_call_again(lua_State *L)
{
	return run_one(L, true);
}

/* Into `errors` of the replies at 2. */
static void note_error(lua_State *L, int i, const struct mw_redis_reply *error)
{
	lua_getfield(L, 2, "errors");
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_setfield(L, 2, "errors");
	}
	lua_createtable(L, 0, 2);
	lua_pushlstring(L, (const char *)error->text.at, error->text.len);
	lua_setfield(L, -2, "message");
	lua_pushstring(L, error->code);
	lua_setfield(L, -2, "code");
	lua_rawseti(L, -2, i);
	lua_pop(L, 1);
}

/* stack: connection */
static int tell_all(lua_State *L)
{
	const struct mw_redis *r = ((const struct mwl_redis *)lua_touserdata(L, 1))->redis;
	int count = (int)mw_redis_count(r);
	lua_createtable(L, count, 0);
	for (int i = 1; i <= count; i++) {
		const struct mw_redis_reply *reply = mw_redis_reply(r, (size_t)i - 1);
		if (reply->type == MW_REDIS_ERROR) {
			note_error(L, i, reply);
			lua_pushboolean(L, 0);
		} else {
			push_reply(L, reply);
		}
		lua_rawseti(L, 2, i);
	}
	return 1;
}

/* red:pipeline({ { name or script, arguments… }, … } [, may run twice]) -> replies, with `errors` by number
 * if there are any | nil, message, code. */
static int redis_pipeline(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TTABLE);
	bool again = lua_toboolean(L, 3);
	lua_settop(L, 2);
	lua_pushcfunction(L, tell_all); /* now, as in run_one */
	struct mw_redis *r = check_open(L);
	mw_redis_begin(r);
	int count = (int)lua_rawlen(L, 2);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(L, 2, i);
		add_command_table(L, r);
		lua_pop(L, 1);
	}
	return run(L, again);
}

static int redis_address(lua_State *L)
{
	lua_pushstring(L, mw_redis_address(check_open(L)));
	return 1;
}

static int redis_stats(lua_State *L)
{
	struct mw_redis_stats s = mw_redis_stats(check_open(L));
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"commands", s.commands},
		      {"connects", s.connects},
		      {"redirects", s.redirects},
		      {"repeats", s.repeats}};
	lua_createtable(L, 0, 4);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		lua_pushinteger(L, (lua_Integer)counts[i].value);
		lua_setfield(L, -2, counts[i].name);
	}
	return 1;
}

static int redis_close(lua_State *L)
{
	struct mwl_redis *r = luaL_checkudata(L, 1, MWL_REDIS);
	mwl_redis_check_idle(L, r);
	mw_redis_free(r->redis);
	r->redis = NULL;
	return 0;
}

static struct mwl_redis *push_redis(lua_State *L)
{
	struct mwl_redis *r = mwl_newuserdata_plain(L, sizeof *r);
	*r = (struct mwl_redis){.redis = NULL};
	luaL_getmetatable(L, MWL_REDIS);
	lua_setmetatable(L, -2);
	return r;
}

/* red:twin() -> another to the same place, with connections of its own | nil, message, code */
static int redis_twin(lua_State *L)
{
	struct mwl_redis *twin = push_redis(L);
	struct mw_redis *r = check_open(L);
	struct mw_error e = {.code = MW_OK};
	enum mw_err err = mw_redis_twin(r, &twin->redis, &e);
	return err == MW_OK ? 1 : mwl_redis_fail(L, err, e.detail);
}

/* ---- new */

/* The string stays in the options' table, which stays on the stack. */
static const char *opt_text(lua_State *L, const char *name)
{
	lua_getfield(L, 1, name);
	if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "%s must be a string", name);
	const char *text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

static int64_t opt_seconds(lua_State *L, const char *name, double otherwise)
{
	lua_getfield(L, 1, name);
	double seconds = luaL_optnumber(L, -1, otherwise);
	lua_pop(L, 1);
	if (!(seconds >= 0 && seconds <= 86400))
		luaL_error(L, "%s must be seconds, at most a day", name);
	return (int64_t)llround(seconds * 1000);
}

static struct mw_span trim(struct mw_span s)
{
	while (s.len > 0 && memchr(" \t\r\n", s.at[0], 4))
		s = (struct mw_span){s.at + 1, s.len - 1};
	while (s.len > 0 && memchr(" \t\r\n", s.at[s.len - 1], 4))
		s.len--;
	return s;
}

/* Where the URL is to be read from; the first that is there counts. */
struct url_source {
	const char *url, *file, *env;
};

/* Nothing here raises: `text` and `out` are locked memory of the caller's. */
static enum mw_err read_url(const struct url_source *from, char *text, struct mw_redis_url *out,
			    struct mw_error *e)
{
	size_t len = 0;
	const char *given = from->url ? from->url : from->file || !from->env ? NULL : getenv(from->env);
	if (from->url || !from->file) {
		if (!given || !*given)
			return mw_error_set(e, MW_BAD_ENDPOINT, 0,
					    "no URL of Redis. Give one, a file that holds it, or set %s",
					    from->env ? from->env : "an environment variable");
		len = strlen(given);
		if (len >= MW_REDIS_URL_MAX)
			return mw_error_set(e, MW_BAD_ENDPOINT, 0, "the URL of Redis is too long");
		memcpy(text, given, len);
	} else {
		enum mw_err err = mw_private_read(from->file, 0, text, MW_REDIS_URL_MAX, &len, e);
		if (err != MW_OK)
			return err;
	}
	struct mw_span url = trim((struct mw_span){(const uint8_t *)text, len});
	return mw_redis_url_parse(url, out, e);
}

/* hiredis.new{ url = | file = | env =, ca_file =, cert_file =, key_file =, name =, timeout =, patience = }
 * -> connection | nil, message, code. Connects when it is first used. */
static int redis_new(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	struct url_source from = {opt_text(L, "url"), opt_text(L, "file"), opt_text(L, "env")};
	struct mw_redis_config config = {.ca_file = opt_text(L, "ca_file"),
					 .cert_file = opt_text(L, "cert_file"),
					 .key_file = opt_text(L, "key_file"),
					 .name = opt_text(L, "name"),
					 .timeout_ms = opt_seconds(L, "timeout", 5),
					 .patience_ms = opt_seconds(L, "patience", 0)};
	struct mwl_redis *r = push_redis(L);
	struct mw_error e = {.code = MW_OK};
	if (sodium_init() < 0)
		return mwl_redis_fail(L, MW_IO, "libsodium found no source of randomness");
	struct mw_redis_url *url = sodium_malloc(sizeof *url);
	char *text = sodium_malloc(MW_REDIS_URL_MAX);
	enum mw_err err = url && text ? read_url(&from, text, url, &e) : MW_NO_MEMORY;
	config.url = url;
	if (err == MW_OK)
		err = mw_redis_new(&config, &r->redis, &e);
	sodium_free(text);
	sodium_free(url);
	return err == MW_OK ? 1 : mwl_redis_fail(L, err, e.detail);
}

/* hiredis.slot(key) -> 0 to 16383: keys of one slot may be in one script */
static int redis_slot(lua_State *L)
{
	size_t len;
	const char *key = luaL_checklstring(L, 1, &len);
	lua_pushinteger(L, mw_redis_slot((struct mw_span){(const uint8_t *)key, len}));
	return 1;
}

__attribute__((visibility("default"))) int luaopen_moonweir_hiredis(lua_State *L);

int luaopen_moonweir_hiredis(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"call", redis_call},         {"call_again", redis_call_again},
	    {"pipeline", redis_pipeline}, {"address", redis_address},
	    {"stats", redis_stats},       {"twin", redis_twin},
	    {"close", redis_close},       {NULL, NULL},
	};
	static const luaL_Reg functions[] = {
	    {"new", redis_new}, {"script", script_new}, {"slot", redis_slot}, {NULL, NULL}};
	luaL_newmetatable(L, MWL_REDIS_SCRIPT);
	luaL_newmetatable(L, MWL_REDIS);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	mwl_open_redis_lease(L);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, redis_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, redis_close);
	lua_setfield(L, -2, "__close");
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	return 1;
}
