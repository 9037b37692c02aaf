/* server_request.c -- what a handler may ask of a request: fields that are made when they are asked for.
 *
 *     request.method, .target         there from the beginning
 *     request.body                    a string
 *     request.headers                 by name, as they came; of one that came more than once a list
 *     request.header "Content-Type"   without regard to case; nil, count if it is not there once
 *     request.remote                  the peer's address
 *     request.exchange                for client:push, in place of body and headers: makes neither
 *
 * LuaJIT's table of strings is slow with bodies that are alike, so who can do without the body as a string
 * takes the exchange.
 *
 * All but the first two are to be asked before the request is answered.
 */
#include "request_of.h"
#include "server.h"

#include <string.h>

#define MWL_REQUEST "moonweir.request"

static void collect_header(void *context, const char *name, const char *value)
{
	struct mwl_headers *h = context;
	if (h->count == MWL_HEADERS_MAX)
		return;
	h->names[h->count] = name;
	h->values[h->count++] = value;
}

/* stack: ... headers. A name that came before has a list. */
static void add_header(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, name);
	lua_pushvalue(L, -1);
	lua_rawget(L, -3);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushstring(L, value);
		lua_rawset(L, -3);
		return;
	}
	if (!lua_istable(L, -1)) {
		lua_createtable(L, 2, 0);
		lua_insert(L, -2);
		lua_rawseti(L, -2, 1);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -5);
	}
	lua_pushstring(L, value);
	lua_rawseti(L, -2, (int)lua_rawlen(L, -2) + 1);
	lua_pop(L, 2);
}

/* Names as they came; the value of one that came more than once is a list. */
static int push_headers(lua_State *L, const struct mw_exchange *x)
{
	struct mwl_headers h = {0};
	mw_exchange_each_header(x, collect_header, &h);
	lua_createtable(L, 0, h.count);
	for (int i = 0; i < h.count; i++)
		add_header(L, h.names[i], h.values[i]);
	return 1;
}

static void push_body(lua_State *L, const struct mw_exchange *x)
{
	struct mw_span body = mw_exchange_body(x);
	lua_pushlstring(L, body.at ? (const char *)body.at : "", body.len);
}

static void push_remote(lua_State *L, const struct mw_exchange *x)
{
	char remote[64];
	mw_exchange_remote(x, remote);
	lua_pushstring(L, remote);
}

/* exchange:header(name) -> value | nil, count: of a header that is there once, names without regard to case
 */
int mwl_exchange_header(lua_State *L)
{
	unsigned count;
	const char *value = mw_exchange_header(mwl_exchange_at(L, 1), luaL_checkstring(L, 2), &count);
	if (count == 1) {
		lua_pushstring(L, value);
		return 1;
	}
	lua_pushnil(L);
	lua_pushinteger(L, (lua_Integer)count);
	return 2;
}

/* request.header(name), the same; upvalue: the exchange */
static int request_header(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	return mwl_exchange_header(L);
}

/* __index of a request: what was made once stays. stack: request, name */
static int request_index(lua_State *L)
{
	const char *name = lua_tostring(L, 2);
	if (!name)
		return 0;
	bool is_header = strcmp(name, "header") == 0, is_body = strcmp(name, "body") == 0;
	if (!is_header && !is_body && strcmp(name, "headers") != 0 && strcmp(name, "remote") != 0)
		return 0;
	lua_settop(L, 2);
	lua_getfield(L, 1, "exchange");
	const struct mw_exchange *x = mwl_exchange_at(L, 3);
	if (is_header)
		lua_pushcclosure(L, request_header, 1);
	else if (is_body)
		push_body(L, x);
	else if (strcmp(name, "remote") == 0)
		push_remote(L, x);
	else
		push_headers(L, x);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, 1);
	return 1;
}

void mwl_push_request(lua_State *L, int exchange)
{
	const struct mw_exchange *x = mwl_exchange_at(L, exchange);
	lua_createtable(L, 0, 8); /* with room for what a router adds */
	lua_pushstring(L, mw_exchange_method(x));
	lua_setfield(L, -2, "method");
	lua_pushstring(L, mw_exchange_target(x));
	lua_setfield(L, -2, "target");
	lua_pushvalue(L, exchange);
	lua_setfield(L, -2, "exchange");
	luaL_getmetatable(L, MWL_REQUEST);
	lua_setmetatable(L, -2);
}

struct reading {
	struct mw_header *out;
	size_t count, max;
};

static void read_header(void *context, const char *name, const char *value)
{
	struct reading *r = context;
	if (r->count < r->max)
		r->out[r->count++] = (struct mw_header){{(const uint8_t *)name, strlen(name)},
							{(const uint8_t *)value, strlen(value)}};
}

static size_t read_headers(lua_State *L, int index, struct mw_header *out, size_t max)
{
	struct reading r = {out, 0, max};
	mw_exchange_each_header(mwl_exchange_at(L, index), read_header, &r);
	return r.count;
}

static struct mw_span read_body(lua_State *L, int index)
{
	struct mw_span body = mw_exchange_body(mwl_exchange_at(L, index));
	return body.at ? body : MW_SPAN("");
}

/* exchange:contains(text, max) -> is this in the body, if that has at most `max` bytes? */
int mwl_exchange_contains(lua_State *L)
{
	struct mw_span body = read_body(L, 1);
	size_t len;
	const char *text = luaL_checklstring(L, 2, &len);
	bool is_short = (lua_Number)body.len <= luaL_checknumber(L, 3);
	lua_pushboolean(L, is_short && memmem(body.at, body.len, text, len) != NULL);
	return 1;
}

void mwl_open_requests(lua_State *L)
{
	static const struct mwl_request_of request_of = {read_body, read_headers};
	lua_pushlightuserdata(L, (void *)(uintptr_t)&request_of);
	lua_setfield(L, -2, MWL_REQUEST_OF);
	luaL_newmetatable(L, MWL_REQUEST);
	lua_pushcfunction(L, request_index);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

/* Fields: method, path, query, body, headers, remote. Methods: header, contains, answer, hold, stream, cut,
 * is_gone. */
int mwl_exchange_index(lua_State *L)
{
	luaL_checkudata(L, 1, MWL_EXCHANGE);
	lua_pushvalue(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	if (!lua_isnil(L, -1))
		return 1;
	const struct mw_exchange *x = mwl_exchange_at(L, 1);
	const char *name = luaL_checkstring(L, 2);
	if (strcmp(name, "method") == 0) {
		lua_pushstring(L, mw_exchange_method(x));
	} else if (strcmp(name, "path") == 0) {
		lua_pushstring(L, mw_exchange_path(x));
	} else if (strcmp(name, "query") == 0) {
		lua_pushstring(L, mw_exchange_query(x));
	} else if (strcmp(name, "body") == 0) {
		push_body(L, x);
	} else if (strcmp(name, "remote") == 0) {
		push_remote(L, x);
	} else if (strcmp(name, "headers") == 0) {
		return push_headers(L, x);
	} else {
		lua_pushnil(L);
	}
	return 1;
}
