/* server.h -- what the files of moonweir.server share. */
#ifndef MWL_SERVER_H
#define MWL_SERVER_H

#include "../io/server.h"
#include "compat.h"

enum { MWL_HEADERS_MAX = 100 };

/* Headers whose strings somebody else holds. */
struct mwl_headers {
	int count;
	const char *names[MWL_HEADERS_MAX];
	const char *values[MWL_HEADERS_MAX];
};

/* The headers of an answer: a table of strings, or nil. Its strings are borrowed: it stays on the stack. */
void mwl_check_headers(lua_State *L, int i, struct mwl_headers *out);

/* A status at `i`. */
unsigned mwl_check_status(lua_State *L, int i);

/* The exchange at index 1, which is answered from now on. */
struct mw_exchange *mwl_take_exchange(lua_State *L);

/* server_request.c. The exchange at `i`, not answered yet; else it raises. */
#define MWL_EXCHANGE "moonweir.exchange"
struct mw_exchange *mwl_exchange_at(lua_State *L, int i);
/* Pushes what a handler may ask of the exchange at `exchange`. */
void mwl_push_request(lua_State *L, int exchange);
int mwl_exchange_index(lua_State *L); /* upvalue: the methods */
int mwl_exchange_header(lua_State *L);
int mwl_exchange_contains(lua_State *L);
/* Requests' metatable, and into that of exchanges, on top of the stack, how to get at their headers. */
void mwl_open_requests(lua_State *L);

/* nil, message, code */
int mwl_server_fail(lua_State *L, enum mw_err err);

/* exchange:stream(...); streams' metatable */
int mwl_exchange_stream(lua_State *L);
void mwl_open_stream(lua_State *L);

#endif
