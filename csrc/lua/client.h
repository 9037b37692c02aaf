/* client.h -- a client's own state, shared by client.c (the engine: open, wait, close), push.c (what feeds
 * it), client_state.c (what tells of it) and dead.c (its dead letters). */
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
	struct mwl_review *review;        /* NULL: messages are not checked */
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

/* In the userdata's uservalue. */
enum { MWL_CLIENT_MAPPER = 1, MWL_CLIENT_TELL, MWL_CLIENT_SPOOL, MWL_CLIENT_REVIEW };

/* How long a sync waits of which no time was said. */
enum { MWL_SYNC_MS = 30000 };

/* The client at 1; check_open raises if it is closed. */
struct mwl_client *mwl_client_check(lua_State *L);
struct mwl_client *mwl_client_check_open(lua_State *L);

/* Are there seconds at `index`, at most a year? In `ms`, as milliseconds. */
bool mwl_is_wait(lua_State *L, int index, int64_t *ms);
/* The same of an argument; `otherwise`, in seconds, where nothing is given. Raises. */
int64_t mwl_check_wait(lua_State *L, int index, double otherwise);
/* The client's own account; at == NULL if it has none. */
static inline struct mw_span mwl_client_account(const struct mwl_client *c)
{
	return (struct mw_span){c->has_account ? (const uint8_t *)c->account : NULL, c->account_len};
}
/* Pushes true, or nil, message, code; returns how many. */
int mwl_client_answer(lua_State *L, enum mw_err err, const struct mw_error *e);

/* push.c. What a call may ask for beside its message. */
struct mwl_asked {
	int64_t wait_ms; /* for room, should the queue be full */
	int64_t sync_ms; /* until it is on disk; -1: not */
};
/* From the table at `options`: wait = seconds, sync = seconds or true. */
struct mwl_asked mwl_client_asked(lua_State *L, int options);
/* MW_TIMEOUT: taken, and not on disk in the time that was asked for. */
enum mw_err mwl_client_push_box(struct mwl_client *c, const struct mw_outbox *box, struct mwl_asked asked);
/* The message and code of the first problem in the list on top of the stack. */
void mwl_client_push_first_problem(lua_State *L);
/* For MWL_CLIENT_TELL: client, mapper -> queued | nil, message, code, problems, tally of the push under way.
 */
int mwl_client_tell(lua_State *L);
/* client:push and the six calls: added to the methods table on top of the stack. */
void mwl_client_push_methods(lua_State *L);
/* client:poll, stats and lanes (client_state.c) */
void mwl_client_state_methods(lua_State *L);
/* client:resend, spool_dir (dead.c) */
void mwl_client_dead_methods(lua_State *L);

#endif
