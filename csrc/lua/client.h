/* client.h -- the client's own state, shared by client.c (what feeds it) and client_state.c (what tells of
 * it). */
#ifndef MWL_CLIENT_H
#define MWL_CLIENT_H

#include "../io/engine.h"
#include "mwl.h"

struct mwl_client {
	struct mw_engine *engine;
	struct mw_outbox box; /* one call's message on its way to the engine */
	struct mw_buf fields; /* what the message's spans point into */
	struct mw_buf message;
	struct mw_buf body;               /* an event that came as a table, as JSON */
	struct mw_buf stamp;              /* integration and library, for calls made without a mapping */
	char account[MW_ACCOUNT_MAX + 1]; /* whose events are those that name nobody */
	size_t account_len;
	bool has_account;
	bool closed;
	bool busy;             /* a push is under way, whose buffers must stay as they are */
	unsigned turn;         /* counts what writes to `fields` and `body` */
	struct mw_tally last;  /* of the push under way */
	uint64_t reports_lost; /* in poll, for want of memory */
	struct mw_tally tally; /* over all pushes */
};

/* client:poll, stats and lanes: added to the methods table on top of the stack. */
void mwl_client_state_methods(lua_State *L);

#endif
