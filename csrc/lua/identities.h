/* identities.h -- what identities.c (a store) and identities_fact.c (sealed facts) share. */
#ifndef MWL_IDENTITIES_H
#define MWL_IDENTITIES_H

#include "../io/identities.h"
#include "mwl.h"

struct mwl_identities {
	struct mw_state *state;
	struct mw_identities *store;   /* NULL: closed */
	uint8_t room[MW_IDENTITY_MAX]; /* for mappers */
};

/* Raises if the first argument is none, or closed. */
struct mwl_identities *mwl_check_open_identities(lua_State *L);

/* The fact on top of the stack, which keeps its texts. */
struct mw_identity_fact mwl_check_fact(lua_State *L);

/* The methods seal and unseal, into the table on top. */
void mwl_open_identities_fact(lua_State *L);

#endif
