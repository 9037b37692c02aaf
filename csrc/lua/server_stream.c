/* server_stream.c -- answers without an end, for server-sent events.
 *
 *     local stream, message, code = x:stream(200, { ["Content-Type"] = "text/event-stream" })
 *     stream:write "data: hello\n\n"            -- true | nil, message, "full" (a slow client) or "closed"
 *     stream:is_open(); stream:waiting(); stream:close(); stream:cut()
 */
#include "../io/server_stream.h"

#include "server.h"

#define MWL_STREAM "moonweir.stream"

enum { WAITING_MAX = 4 * 1024 * 1024 };

struct mwl_stream {
	struct mw_stream *stream; /* NULL: let go */
};

/* exchange:stream(status [, headers [, waiting_max]]) -> stream | nil, message, code */
int mwl_exchange_stream(lua_State *L)
{
	unsigned status = mwl_check_status(L, 2);
	lua_settop(L, 4);
	lua_Integer waiting_max = luaL_optinteger(L, 4, WAITING_MAX);
	luaL_argcheck(L, waiting_max > 0 && waiting_max <= 1 << 28, 4, "bytes, up to 256 MB");
	struct mwl_headers h = {0};
	mwl_check_headers(L, 3, &h);
	/* All that may fail in Lua comes before the exchange is taken. */
	struct mwl_stream *s = mwl_newuserdata_plain(L, sizeof *s);
	s->stream = NULL;
	luaL_getmetatable(L, MWL_STREAM);
	lua_setmetatable(L, -2);
	struct mw_exchange *x = mwl_take_exchange(L);
	enum mw_err err = mw_exchange_stream(x, status, h.names, h.values, (size_t)h.count,
					     (size_t)waiting_max, &s->stream);
	return err == MW_OK ? 1 : mwl_server_fail(L, err);
}

static struct mwl_stream *check_stream(lua_State *L)
{
	return luaL_checkudata(L, 1, MWL_STREAM);
}

static int stream_write(lua_State *L)
{
	struct mwl_stream *s = check_stream(L);
	size_t len;
	const char *bytes = luaL_checklstring(L, 2, &len);
	enum mw_err err = MW_CLOSED;
	if (s->stream)
		err = mw_stream_write(s->stream, (struct mw_span){(const uint8_t *)bytes, len});
	if (err == MW_FULL) {
		lua_pushnil(L);
		lua_pushliteral(L, "the client is slow: it has not taken what was written before");
		lua_pushstring(L, mw_err_word(err));
		return 3;
	}
	if (err != MW_OK)
		return mwl_server_fail(L, err);
	lua_pushboolean(L, 1);
	return 1;
}

static int stream_is_open(lua_State *L)
{
	const struct mwl_stream *s = check_stream(L);
	lua_pushboolean(L, s->stream && mw_stream_is_open(s->stream));
	return 1;
}

static int stream_waiting(lua_State *L)
{
	const struct mwl_stream *s = check_stream(L);
	lua_pushinteger(L, s->stream ? (lua_Integer)mw_stream_waiting(s->stream) : 0);
	return 1;
}

static int stream_close(lua_State *L)
{
	struct mwl_stream *s = check_stream(L);
	mw_stream_free(s->stream);
	s->stream = NULL;
	return 0;
}

static int stream_cut(lua_State *L)
{
	struct mwl_stream *s = check_stream(L);
	if (s->stream)
		mw_stream_close(s->stream, true);
	return stream_close(L);
}

void mwl_open_stream(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"write", stream_write}, {"is_open", stream_is_open}, {"waiting", stream_waiting},
	    {"close", stream_close}, {"cut", stream_cut},         {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_STREAM);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, stream_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, stream_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
}
