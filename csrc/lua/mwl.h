/* mwl.h -- what the binding's files share.
 *
 * Bindings translate and never decide. One file per userdata:
 *
 *     map     a compiled source under construction, then in use       moonweir.core map(...)
 *     mapper  one thread's working memory, with the script's functions behind it
 *     view    a lazy, read-only look at the event, for function entries
 *     table   Lua tables to JSON and to messages (no userdata)
 *     guard   instruction, memory and time limits around a script's functions (no userdata)
 *     client  an engine, with the calls that feed it
 *     process what the command needs of its process: terminal, signals, argv (no userdata)
 *     reader  a file or pipe as blocks of whole lines
 *     intake  a Tracking API request taken apart, for the debugger (no userdata)
 *
 * Errors: misuse raises; everything else is nil, message, code (mwl_fail).
 */
#ifndef MWL_H
#define MWL_H

#include "../core/map.h"
#include "compat.h"

#define MWL_MAP "moonweir.map"
#define MWL_MAPPER "moonweir.mapper"
#define MWL_VIEW "moonweir.view"
#define MWL_CLIENT "moonweir.client"

/* Pushes nil, message, code; returns 3. The message is the error's detail, else the code's sentence. */
int mwl_fail(lua_State *L, const struct mw_error *e);
int mwl_fail_code(lua_State *L, enum mw_err code);

struct mw_span mwl_check_span(lua_State *L, int index);
int64_t mwl_now_wall(void);      /* ms since 1970 */
int64_t mwl_now_monotonic(void); /* ms */
void mwl_random(void *context, uint8_t bytes[16]);
void mwl_sha256(const void *bytes, size_t len, uint8_t digest[32]);

/* map.c. The userdata's uservalue is the table of the script's functions, by number. */
struct mwl_map {
	struct mw_map *map;
	int functions; /* how many */
	bool sealed;   /* a mapper holds it, so it may be running in other threads: it can't be built on */
};
struct mwl_map *mwl_check_map(lua_State *L, int index);

/* mapper.c. Its uservalue holds the map userdata, so neither dies before the other. */
struct mwl_mapper;
struct mwl_mapper *mwl_check_mapper(lua_State *L, int index);
/* Map one body; `mapper_index` is the stack index of the mapper. Messages are in its outbox afterwards. */
void mwl_mapper_run(lua_State *L, int mapper_index, const struct mw_delivery *d, struct mw_tally *tally);
struct mw_outbox *mwl_mapper_outbox(struct mwl_mapper *p);
/* Pushes the problems of the last run as { {index=, code=, message=, account=, raw=}, ... }, or nil if there were none. */
void mwl_mapper_push_problems(lua_State *L, struct mwl_mapper *p);
/* Reads the fields format, headers, account and tag of the options table at `index` (nil: none) into `d`; headers into
 * `room`. Misuse raises. */
enum { MWL_HEADERS_MAX = 64 };
void mwl_delivery_options(lua_State *L, int index, struct mw_delivery *d, struct mw_header room[MWL_HEADERS_MAX]);

/* view.c */
void mwl_view_push(lua_State *L, const struct mw_json *doc, uint32_t node, const uint64_t *generation);
/* The document and node of a view, or false if the value is none; a stale view raises. */
bool mwl_view_get(lua_State *L, int index, const struct mw_json **doc, uint32_t *node);

/* table.c: the value at `index` as JSON. MW_INVALID with the path of what can't be sent ("properties.items[3].x: a function"). */
enum mw_err mwl_table_write(lua_State *L, int index, struct mw_buf *out, struct mw_error *e);
/* A call as `client:track(account, {userId=..., event=..., properties={...}})` gets it, into `m`, whose spans then point into
 * `scratch`. `stamped`: leave out context.integration and context.library, the stamp has them. */
enum mw_err mwl_table_message(lua_State *L, int index, enum mw_call call, bool stamped, struct mw_buf *scratch,
                              struct mw_message *m, bool *has_timestamp, struct mw_error *e);

/* guard.c: lua_pcall under limits. Returns its status; the error value is a string in every case. */
struct mwl_limits {
	uint64_t instructions;
	size_t memory;
	int64_t time_ms;
};
extern const struct mwl_limits mwl_limits_event; /* one function call for one event */
extern const struct mwl_limits mwl_limits_load;  /* running the script once */
int mwl_guarded_call(lua_State *L, int args, int results, const struct mwl_limits *limits);

/* Each registers its metatable and adds its functions to the table on top of the stack. */
void mwl_open_map(lua_State *L);
void mwl_open_mapper(lua_State *L);
void mwl_open_view(lua_State *L);
void mwl_open_table(lua_State *L);
void mwl_open_guard(lua_State *L);
void mwl_open_client(lua_State *L);
void mwl_open_process(lua_State *L);
void mwl_open_reader(lua_State *L);
void mwl_open_intake(lua_State *L);

#endif
