/* server.c -- moonweir.server: HTTP requests as values that are answered when the caller is ready.
 *
 *     local server = require "moonweir.server"
 *     local s, message, code = server.open { host = "127.0.0.1", port = 0, body_max = 500000 }
 *     local x = s:next(0.25)                    -- nil if nothing came in that time
 *     if x then x:answer(200, { ["Content-Type"] = "text/plain" }, "you sent " .. #x.body) end
 *
 * A module of its own, so that the library does not need libmicrohttpd.
 */
#include "server.h"

#include <math.h>

#define MWL_SERVER   "moonweir.server"
#define MWL_EXCHANGE "moonweir.exchange"

struct mwl_server {
	struct mw_server *server; /* NULL: closed */
};

struct mwl_exchange {
	struct mw_exchange *exchange; /* NULL: answered */
	struct mwl_server *owner;     /* kept alive by the uservalue, { owner } */
};

static int fail(lua_State *L, const struct mw_error *e)
{
	lua_pushnil(L);
	lua_pushstring(L, e->detail[0] ? e->detail : mw_err_sentence(e->code));
	lua_pushstring(L, mw_err_word(e->code));
	return 3;
}

static lua_Integer opt_field(lua_State *L, const char *name, lua_Integer otherwise, lua_Integer max)
{
	lua_getfield(L, 1, name);
	lua_Integer n = luaL_optinteger(L, -1, otherwise);
	if (n < 0 || n > max)
		return luaL_error(L, "%s must be from 0 to %d", name, (int)max);
	lua_pop(L, 1);
	return n;
}

/* server.open{ host, port, body_max, connections_max, idle_timeout } -> server | nil, message, code */
static int server_open(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	struct mw_server_config config = {
	    .port = (uint16_t)opt_field(L, "port", 0, 65535),
	    .body_max = (size_t)opt_field(L, "body_max", 1 << 20, 1 << 28),
	    .connections_max = (unsigned)opt_field(L, "connections_max", 256, 100000),
	    .idle_timeout_s = (unsigned)opt_field(L, "idle_timeout", 60, 86400),
	};
	lua_getfield(L, 1, "host"); /* stays on the stack, for the pointer */
	config.host = luaL_optstring(L, -1, "127.0.0.1");

	struct mwl_server *s = mwl_newuserdata(L, sizeof *s);
	s->server = NULL;
	luaL_getmetatable(L, MWL_SERVER);
	lua_setmetatable(L, -2);
	struct mw_error e = {0};
	if (mw_server_open(&config, &s->server, &e) != MW_OK)
		return fail(L, &e);
	return 1;
}

static struct mwl_server *check_server(lua_State *L)
{
	return luaL_checkudata(L, 1, MWL_SERVER);
}

static struct mwl_server *check_open(lua_State *L)
{
	struct mwl_server *s = check_server(L);
	if (!s->server)
		luaL_error(L, "this server is closed");
	return s;
}

static int server_port(lua_State *L)
{
	lua_pushinteger(L, mw_server_port(check_open(L)->server));
	return 1;
}

static int server_close(lua_State *L)
{
	struct mwl_server *s = check_server(L);
	mw_server_close(s->server);
	s->server = NULL;
	return 0;
}

/* server:next([seconds]) -> exchange | nil */
static int server_next(lua_State *L)
{
	struct mwl_server *s = check_open(L);
	lua_Number seconds = luaL_optnumber(L, 2, 0);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 2, "seconds, from 0 to a day");
	/* All that may fail in Lua comes before the exchange is taken. */
	struct mwl_exchange *x = mwl_newuserdata(L, sizeof *x);
	*x = (struct mwl_exchange){.owner = s};
	luaL_getmetatable(L, MWL_EXCHANGE);
	lua_setmetatable(L, -2);
	lua_createtable(L, 1, 0);
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, 1);
	mwl_setuservalue(L, -2);
	x->exchange = mw_server_next(s->server, (int64_t)llround(seconds * 1000));
	if (!x->exchange)
		lua_pushnil(L);
	return 1;
}

static struct mwl_exchange *check_exchange(lua_State *L)
{
	struct mwl_exchange *x = luaL_checkudata(L, 1, MWL_EXCHANGE);
	if (!x->exchange)
		luaL_error(L, "this request is answered already");
	if (!x->owner->server)
		luaL_error(L, "the server of this request is closed");
	return x;
}

static void collect_header(void *context, const char *name, const char *value)
{
	struct mwl_headers *h = context;
	if (h->count == MWL_HEADERS_MAX)
		return;
	h->names[h->count] = name;
	h->values[h->count++] = value;
}

/* As they came; of two with one name the later counts, as in the table that a mapping sees. */
static int push_headers(lua_State *L, const struct mw_exchange *x)
{
	struct mwl_headers h = {0};
	mw_exchange_each_header(x, collect_header, &h);
	lua_createtable(L, 0, h.count);
	for (int i = 0; i < h.count; i++) {
		lua_pushstring(L, h.values[i]);
		lua_setfield(L, -2, h.names[i]);
	}
	return 1;
}

/* exchange:header(name) -> value | nil, names without regard to case */
static int exchange_header(lua_State *L)
{
	struct mwl_exchange *x = check_exchange(L);
	const char *value = mw_exchange_header(x->exchange, luaL_checkstring(L, 2));
	if (value)
		lua_pushstring(L, value);
	else
		lua_pushnil(L);
	return 1;
}

int mwl_server_fail(lua_State *L, enum mw_err err)
{
	return fail(L, &(struct mw_error){.code = err});
}

unsigned mwl_check_status(lua_State *L, int i)
{
	lua_Integer status = luaL_checkinteger(L, i);
	luaL_argcheck(L, status >= 200 && status <= 599, i, "a status from 200 to 599");
	return (unsigned)status;
}

void mwl_check_headers(lua_State *L, int i, struct mwl_headers *out)
{
	if (lua_isnil(L, i))
		return;
	luaL_checktype(L, i, LUA_TTABLE);
	/* The table holds the strings while the pointers are in use. */
	for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
		bool text = lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING;
		luaL_argcheck(L, text && out->count < MWL_HEADERS_MAX, i, "headers by name, as strings");
		out->names[out->count] = lua_tostring(L, -2);
		out->values[out->count++] = lua_tostring(L, -1);
	}
}

struct mw_exchange *mwl_take_exchange(lua_State *L)
{
	struct mwl_exchange *x = check_exchange(L);
	struct mw_exchange *exchange = x->exchange;
	x->exchange = NULL;
	return exchange;
}

/* exchange:answer(status [, headers [, body]]) */
static int exchange_answer(lua_State *L)
{
	check_exchange(L);
	unsigned status = mwl_check_status(L, 2);
	lua_settop(L, 4);
	size_t len = 0;
	const char *body = luaL_optlstring(L, 4, "", &len);
	struct mwl_headers h = {0};
	mwl_check_headers(L, 3, &h);
	enum mw_err err = mw_exchange_answer(mwl_take_exchange(L), status, h.names, h.values, (size_t)h.count,
					     (struct mw_span){(const uint8_t *)body, len});
	if (err != MW_OK)
		return mwl_server_fail(L, err);
	lua_pushboolean(L, 1);
	return 1;
}

/* exchange:cut(): the client sees its connection closed and no answer */
static int exchange_cut(lua_State *L)
{
	mw_exchange_cut(mwl_take_exchange(L));
	return 0;
}

/* A request nobody answered: its client must not hang. */
static int exchange_gc(lua_State *L)
{
	struct mwl_exchange *x = luaL_checkudata(L, 1, MWL_EXCHANGE);
	if (x->exchange && x->owner->server)
		mw_exchange_answer(x->exchange, 500, NULL, NULL, 0, (struct mw_span){0});
	x->exchange = NULL;
	return 0;
}

/* Fields: method, path, query, body, headers. Methods: header, answer, stream, cut. */
static int exchange_index(lua_State *L)
{
	luaL_checkudata(L, 1, MWL_EXCHANGE);
	lua_pushvalue(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	if (!lua_isnil(L, -1))
		return 1;
	const struct mw_exchange *x = check_exchange(L)->exchange;
	const char *name = luaL_checkstring(L, 2);
	if (strcmp(name, "method") == 0) {
		lua_pushstring(L, mw_exchange_method(x));
	} else if (strcmp(name, "path") == 0) {
		lua_pushstring(L, mw_exchange_path(x));
	} else if (strcmp(name, "query") == 0) {
		lua_pushstring(L, mw_exchange_query(x));
	} else if (strcmp(name, "body") == 0) {
		struct mw_span body = mw_exchange_body(x);
		lua_pushlstring(L, body.at ? (const char *)body.at : "", body.len);
	} else if (strcmp(name, "headers") == 0) {
		return push_headers(L, x);
	} else {
		lua_pushnil(L);
	}
	return 1;
}

static void register_server(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"next", server_next},
	    {"port", server_port},
	    {"close", server_close},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_SERVER);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, server_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, server_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
}

static void register_exchange(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"header", exchange_header},
	    {"answer", exchange_answer},
	    {"stream", mwl_exchange_stream},
	    {"cut", exchange_cut},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_EXCHANGE);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_pushcclosure(L, exchange_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, exchange_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_moonweir_server(lua_State *L);

int luaopen_moonweir_server(lua_State *L)
{
	register_server(L);
	register_exchange(L);
	mwl_open_stream(L);
	lua_newtable(L);
	lua_pushcfunction(L, server_open);
	lua_setfield(L, -2, "open");
	return 1;
}
