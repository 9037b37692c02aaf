/* encode.c -- core.encode: a Lua value as JSON text (table.c). */
#include "../core/limits.h"
#include "loan.h"
#include "mwl.h"

#define MWL_ENCODER "moonweir.encoder"

/* An encoder that once held more than this gives its memory back. */
enum { ENCODER_KEEP = 256 * 1024 };

static int encoder_gc(lua_State *L)
{
	mw_buf_deinit(luaL_checkudata(L, 1, MWL_ENCODER));
	return 0;
}

static void push_encoder(lua_State *L)
{
	mw_buf_init(mwl_newuserdata_plain(L, sizeof(struct mw_buf)), MW_EVENT_MAX);
	luaL_getmetatable(L, MWL_ENCODER);
	lua_setmetatable(L, -2);
}

/* core.encode(value) -> JSON text | nil, message, code */
static int encode(lua_State *L)
{
	struct mw_error e = {0};
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	struct mw_buf *out = mwl_loan_take(L, push_encoder);
	int results = 1;
	mw_buf_clear(out);
	if (mwl_table_write(L, 1, out, &e) == MW_OK)
		lua_pushlstring(L, (const char *)out->data, out->len);
	else
		results = mwl_fail(L, &e);
	if (out->cap > ENCODER_KEEP) {
		mw_buf_deinit(out);
		mw_buf_init(out, MW_EVENT_MAX);
	}
	mwl_loan_return(L, 2);
	return results;
}

void mwl_open_encode(lua_State *L)
{
	luaL_newmetatable(L, MWL_ENCODER);
	lua_pushcfunction(L, encoder_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	push_encoder(L);
	lua_pushcclosure(L, encode, 1);
	lua_setfield(L, -2, "encode");
}
