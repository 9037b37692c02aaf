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

#include "members.h"

#include <math.h>

#define MWL_SERVER "moonweir.server"

struct mwl_server {
	struct mw_server *server; /* NULL: closed */
};

struct mwl_exchange {
	struct mw_exchange *exchange; /* NULL: answered */
	struct mwl_server *owner;     /* kept alive by the uservalue, { owner }, which is the owner's too */
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

/* server.open{ host, port, body_max, memory_max, head_max, connections_max, connections_per_ip, idle_timeout,
 * head_timeout, body_rate_min, listener } -> server | nil, message, code. Bytes and seconds, as in
 * io/server.h. */
static int server_open(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	struct mw_server_config config = {
	    .port = (uint16_t)opt_field(L, "port", 0, 65535),
	    .body_max = (size_t)opt_field(L, "body_max", 1 << 20, 1 << 28),
	    .connections_max = (unsigned)opt_field(L, "connections_max", 256, 100000),
	    .connections_per_ip = (unsigned)opt_field(L, "connections_per_ip", 0, 100000),
	    .memory_max = (size_t)opt_field(L, "memory_max", 0, INT32_MAX),
	    .head_max = (size_t)opt_field(L, "head_max", 0, MW_SERVER_HEAD_MAX),
	    .idle_timeout_s = (unsigned)opt_field(L, "idle_timeout", 60, 86400),
	    .head_timeout_s = (unsigned)opt_field(L, "head_timeout", 0, 86400),
	    .listener = (int)opt_field(L, "listener", 0, INT32_MAX),
	    .body_rate_min = (unsigned)opt_field(L, "body_rate_min", 0, 1 << 20),
	};
	lua_getfield(L, 1, "host"); /* stays on the stack, for the pointer */
	config.host = luaL_optstring(L, -1, "127.0.0.1");

	struct mwl_server *s = mwl_newuserdata(L, sizeof *s);
	s->server = NULL;
	luaL_getmetatable(L, MWL_SERVER);
	lua_setmetatable(L, -2);
	lua_createtable(L, 1, 0);
	lua_pushvalue(L, -2);
	lua_rawseti(L, -2, 1);
	mwl_setuservalue(L, -2);
	struct mw_error e = {0};
	if (mw_server_open(&config, &s->server, &e) != MW_OK)
		return fail(L, &e);
	return 1;
}

/* server.listen(host, port) -> a descriptor for server.open{ listener = }, in this process or those it forks,
 * and the port | nil, message, code */
static int server_listen(lua_State *L)
{
	struct mw_error e = {0};
	lua_Integer wanted = luaL_checkinteger(L, 2);
	luaL_argcheck(L, wanted >= 0 && wanted <= 65535, 2, "a port");
	uint16_t port = (uint16_t)wanted;
	int fd = mw_server_listen(luaL_checkstring(L, 1), &port, &e);
	if (fd < 0)
		return fail(L, &e);
	lua_pushinteger(L, fd);
	lua_pushinteger(L, port);
	return 2;
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

static int64_t check_wait(lua_State *L, int i)
{
	lua_Number seconds = luaL_optnumber(L, i, 0);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, i, "seconds, from 0 to a day");
	return (int64_t)llround(seconds * 1000);
}

/* Pushes the next exchange that is ready, or nil; true: it is one. */
static bool push_exchange(lua_State *L, struct mwl_server *s)
{
	/* All that may fail in Lua comes before the exchange is taken. */
	struct mwl_exchange *x = mwl_newuserdata(L, sizeof *x);
	*x = (struct mwl_exchange){.owner = s};
	luaL_getmetatable(L, MWL_EXCHANGE);
	lua_setmetatable(L, -2);
	mwl_getuservalue(L, 1);
	mwl_setuservalue(L, -2);
	x->exchange = mw_server_take(s->server);
	if (!x->exchange)
		lua_pushnil(L);
	return x->exchange != NULL;
}

/* server:next([seconds]) -> exchange | nil */
static int server_next(lua_State *L)
{
	struct mwl_server *s = check_open(L);
	mw_server_wait(s->server, check_wait(L, 2));
	push_exchange(L, s);
	return 1;
}

/* server:wait(seconds): serves sockets until there is something to do for the caller */
static int server_wait(lua_State *L)
{
	mw_server_wait(check_open(L)->server, check_wait(L, 2));
	return 0;
}

/* server:take() -> exchange, request | nil: one that is ready, without looking at sockets */
static int server_take(lua_State *L)
{
	struct mwl_server *s = check_open(L);
	lua_settop(L, 1);
	if (!mw_server_is_ready(s->server) || !push_exchange(L, s))
		return 0;
	mwl_push_request(L, 2);
	return 2;
}

/* server:watch(fd): wake up for that, too */
static int server_watch(lua_State *L)
{
	lua_pushboolean(L, mw_server_watch(check_open(L)->server, (int)luaL_checkinteger(L, 2)));
	return 1;
}

/* server:is_due(): is there something to do at once, so that another server's wait is to be none? */
static int server_is_due(lua_State *L)
{
	lua_pushboolean(L, mw_server_is_due(check_open(L)->server));
	return 1;
}

/* server:fd() -> for another server's watch */
static int server_fd(lua_State *L)
{
	lua_pushinteger(L, mw_server_fd(check_open(L)->server));
	return 1;
}

static int server_quiesce(lua_State *L)
{
	mw_server_quiesce(check_open(L)->server);
	return 0;
}

/* server:stats() -> { accepted =, connections =, busy =, refused =, too_slow = } */
static int server_stats(lua_State *L)
{
	const struct mw_server *s = check_open(L)->server;
	struct mw_server_stats stats = mw_server_stats(s);
	lua_createtable(L, 0, 5);
	mwl_set_count(L, "accepted", stats.accepted);
	mwl_set_count(L, "connections", stats.connections);
	mwl_set_count(L, "busy", mw_server_busy(s));
	mwl_set_count(L, "refused", stats.refused);
	mwl_set_count(L, "too_slow", stats.too_slow);
	return 1;
}

struct mw_exchange *mwl_exchange_at(lua_State *L, int i)
{
	struct mwl_exchange *x = luaL_checkudata(L, i, MWL_EXCHANGE);
	if (!x->exchange)
		luaL_error(L, "this request is answered already");
	if (!x->owner->server)
		luaL_error(L, "the server of this request is closed");
	return x->exchange;
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
	struct mw_exchange *exchange = mwl_exchange_at(L, 1);
	((struct mwl_exchange *)lua_touserdata(L, 1))->exchange = NULL;
	return exchange;
}

struct reply {
	unsigned status;
	struct mwl_headers headers;
	struct mw_span body;
};

/* status [, headers [, body]] from `i` on */
static void check_reply(lua_State *L, int i, struct reply *out)
{
	lua_settop(L, i + 2);
	out->status = mwl_check_status(L, i);
	size_t len = 0;
	const char *body = luaL_optlstring(L, i + 2, "", &len);
	out->body = (struct mw_span){(const uint8_t *)body, len};
	out->headers.count = 0;
	mwl_check_headers(L, i + 1, &out->headers);
}

static int reply_result(lua_State *L, enum mw_err err)
{
	if (err != MW_OK)
		return mwl_server_fail(L, err);
	lua_pushboolean(L, 1);
	return 1;
}

/* exchange:answer(status [, headers [, body]]) */
static int exchange_answer(lua_State *L)
{
	struct reply r;
	mwl_exchange_at(L, 1);
	check_reply(L, 2, &r);
	return reply_result(L, mw_exchange_answer(mwl_take_exchange(L), r.status, r.headers.names,
						  r.headers.values, (size_t)r.headers.count, r.body));
}

/* exchange:hold(status [, headers [, body]]): the same, once server:release says so */
static int exchange_hold(lua_State *L)
{
	struct reply r;
	mwl_exchange_at(L, 1);
	check_reply(L, 2, &r);
	return reply_result(L, mw_exchange_hold(mwl_take_exchange(L), r.status, r.headers.names,
						r.headers.values, (size_t)r.headers.count, r.body));
}

static size_t check_count(lua_State *L, int i)
{
	lua_Integer count = luaL_checkinteger(L, i);
	luaL_argcheck(L, count >= 0, i, "how many");
	return (size_t)count;
}

/* server:release(count): the oldest answers that are held go out */
static int server_release(lua_State *L)
{
	mw_server_release(check_open(L)->server, check_count(L, 2));
	return 0;
}

/* server:refuse(count, status [, headers [, body]]): this goes out in place of the oldest that are held */
static int server_refuse(lua_State *L)
{
	struct reply r;
	struct mw_server *s = check_open(L)->server;
	size_t count = check_count(L, 2);
	check_reply(L, 3, &r);
	return reply_result(L, mw_server_refuse(s, count, r.status, r.headers.names, r.headers.values,
						(size_t)r.headers.count, r.body));
}

/* exchange:is_gone() -> has its client closed the connection? What is not read of its headers by then is
 * lost.
 */
static int exchange_is_gone(lua_State *L)
{
	lua_pushboolean(L, mw_exchange_is_gone(mwl_exchange_at(L, 1)));
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

static void register_server(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"next", server_next},
	    {"wait", server_wait},
	    {"take", server_take},
	    {"is_due", server_is_due},
	    {"watch", server_watch},
	    {"fd", server_fd},
	    {"quiesce", server_quiesce},
	    {"stats", server_stats},
	    {"port", server_port},
	    {"close", server_close},
	    {"release", server_release},
	    {"refuse", server_refuse},
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
	    {"header", mwl_exchange_header}, {"contains", mwl_exchange_contains},
	    {"answer", exchange_answer},     {"hold", exchange_hold},
	    {"stream", mwl_exchange_stream}, {"cut", exchange_cut},
	    {"is_gone", exchange_is_gone},   {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_EXCHANGE);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_pushcclosure(L, mwl_exchange_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, exchange_gc);
	lua_setfield(L, -2, "__gc");
	mwl_open_requests(L);
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
	lua_pushcfunction(L, server_listen);
	lua_setfield(L, -2, "listen");
	return 1;
}
