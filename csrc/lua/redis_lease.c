/* redis_lease.c -- red:lease(lessee, script, keys): permits for a client, by a thread of its own.
 *
 *     local lease = assert(red:lease(client:lessee(), budget.script, budget.keys "{moonweir}:budget"))
 *     lease:close()                      -- before the client is, or with it
 *
 * The connection becomes the lease's; `red` is closed then.
 */
#include "../io/redis_lease.h"

#include "lessee.h"
#include "redis_own.h"

#define MWL_LEASE "moonweir.hiredis.lease"

/* Its uservalue holds the lessee, and that the client: so the engine is there as long as the thread. */
struct mwl_lease {
	struct mw_redis_lease *lease; /* NULL: closed */
};

static struct mw_span check_span(lua_State *L, int index)
{
	size_t len;
	const char *text = luaL_checklstring(L, index, &len);
	return (struct mw_span){(const uint8_t *)text, len};
}

static int lease_new(lua_State *L)
{
	struct mwl_redis *r = luaL_checkudata(L, 1, MWL_REDIS);
	const struct mw_lessee *lessee = luaL_checkudata(L, 2, MWL_LESSEE);
	struct mw_span script = check_span(L, 3), keys[MW_REDIS_LEASE_KEYS];
	luaL_checktype(L, 4, LUA_TTABLE);
	lua_settop(L, 4);
	for (int i = 0; i < MW_REDIS_LEASE_KEYS; i++) {
		lua_rawgeti(L, 4, i + 1);
		keys[i] = check_span(L, -1);
	}
	struct mwl_lease *l = mwl_newuserdata(L, sizeof *l);
	l->lease = NULL;
	luaL_getmetatable(L, MWL_LEASE);
	lua_setmetatable(L, -2);
	lua_newtable(L);
	lua_pushvalue(L, 2);
	lua_rawseti(L, -2, 1);
	mwl_setuservalue(L, -2);
	mwl_redis_check_idle(L, r);
	luaL_argcheck(L, r->redis != NULL, 1, "this connection to Redis is closed");
	struct mw_redis *redis = r->redis;
	struct mw_error e = {.code = MW_OK};
	r->redis = NULL;
	enum mw_err err = mw_redis_lease_start(redis, lessee, script, keys, &l->lease, &e);
	return err == MW_OK ? 1 : mwl_redis_fail(L, err, e.detail);
}

static int lease_close(lua_State *L)
{
	struct mwl_lease *l = luaL_checkudata(L, 1, MWL_LEASE);
	mw_redis_lease_stop(l->lease);
	l->lease = NULL;
	return 0;
}

void mwl_open_redis_lease(lua_State *L)
{
	luaL_newmetatable(L, MWL_LEASE);
	lua_newtable(L);
	lua_pushcfunction(L, lease_close);
	lua_setfield(L, -2, "close");
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, lease_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, lease_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, lease_new);
	lua_setfield(L, -2, "lease");
}
