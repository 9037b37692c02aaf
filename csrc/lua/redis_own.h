/* redis_own.h -- what redis.c (commands) and redis_lease.c (permits) share. */
#ifndef MWL_REDIS_OWN_H
#define MWL_REDIS_OWN_H

#include "../io/redis.h"
#include "compat.h"

#define MWL_REDIS "moonweir.hiredis"

struct mwl_redis {
	struct mw_redis *redis; /* NULL: closed */
	bool busy;              /* its replies are being made Lua values */
};

/* Raises if it is busy, as it may be for a finalizer. */
void mwl_redis_check_idle(lua_State *L, const struct mwl_redis *r);

/* nil, message, code; the message is the code's sentence if `detail` is empty. */
int mwl_redis_fail(lua_State *L, enum mw_err err, const char *detail);

/* Registers what redis_lease.c has; its method is added to the table on top of the stack. */
void mwl_open_redis_lease(lua_State *L);

#endif
