/* mwl.h -- what the binding's files share.
 *
 * Bindings translate and never decide. One file per userdata:
 *
 *     map     a compiled source under construction, then in use       moonweir.core map(...)
 *     mapper  one thread's working memory, with the script's functions behind it
 *     script  the script's functions, called by the mapper (no userdata)
 *     call    the calls that they make (no userdata)
 *     emit    the messages that they make (no userdata)
 *     view    a lazy, read-only look at the event, for function entries
 *     digits  a number that no Lua number holds, with every digit
 *     decode  JSON to Lua values (no userdata)
 *     table   Lua tables to JSON, from C (no userdata)
 *     encode  the same from Lua (no userdata)
 *     array   what tells arrays from objects there (no userdata)
 *     message Lua tables to messages (no userdata)
 *     guard   instruction, memory and time limits around a script's functions (no userdata)
 *     spares  small blocks that they gave back, for them to take again (no userdata)
 *     client  an engine, with the calls that feed it
 *     review  messages against Segment's Spec, each kind of them judged once
 *     letters failed events as dead letters (no userdata)
 *     dead    the dead letters of a spool (no userdata)
 *     process what the command needs of its process: terminal, signals, argv (no userdata)
 *     reader  a file or pipe as blocks of whole lines
 *     vault   the accounts of a store
 *     errand  one HTTP request by a thread of its own
 *     link    keys of links to the settings page, and claims (two userdata)
 *     identities who is known by which address or id, in a store
 *     roll    the same as a list in memory, for fixtures
 *     verify  a look at a spool (no userdata)
 *     board   what a spool's process shows of itself (no userdata)
 *     screen  a terminal as one page, and its keys (no userdata)
 *     signature is a webhook the tool's own? (no userdata)
 *     intake  a Tracking API request taken apart, for the debugger (no userdata)
 *     loan    what decode, encode and intake keep from call to call (no userdata)
 *
 * Errors: misuse raises; everything else is nil, message, code (mwl_fail).
 */
#ifndef MWL_H
#define MWL_H

#include "../core/map.h"
#include "compat.h"
#include "members.h"
#include "spares.h"

#define MWL_MAP        "moonweir.map"
#define MWL_MAPPER     "moonweir.mapper"
#define MWL_VIEW       "moonweir.view"
#define MWL_IDENTITIES "moonweir.identities"
#define MWL_ROLL       "moonweir.roll"
#define MWL_DIGITS     "moonweir.digits"
#define MWL_ARRAY      "moonweir.array"
#define MWL_CLIENT     "moonweir.client"
#define MWL_REVIEW     "moonweir.review"

/* Pushes nil, message, code; returns 3. The message is the error's detail, else the code's sentence. */
int mwl_fail(lua_State *L, const struct mw_error *e);
int mwl_fail_code(lua_State *L, enum mw_err code);

struct mw_span mwl_check_span(lua_State *L, int index);
/* The name of an account: 1 to 255 bytes. */
struct mw_span mwl_check_account(lua_State *L, int index);
int64_t mwl_now_wall(void);      /* ms since 1970 */
int64_t mwl_now_monotonic(void); /* ms */
int64_t mwl_now_cpu(void);       /* ms that this thread had of a CPU: on a busy machine fewer than went by */
void mwl_random(void *context, uint8_t bytes[16]);
void mwl_sha256(const void *bytes, size_t len, uint8_t digest[32]);

/* map.c. The userdata's uservalue is the table of the script's functions, by number. */
struct mwl_map {
	struct mw_map *map;
	int functions; /* how many */
	bool sealed;   /* a mapper holds it, so it may be running in other threads: it can't be built on */
};
struct mwl_map *mwl_check_map(lua_State *L, int index);

/* letters.c: what a mapper needs to write a dead letter of an event that failed. */
struct mwl_letters {
	const struct mw_map *map;
	const struct mw_delivery *delivery;
	struct mw_buf texts; /* of one letter, put together */
	enum mw_err err;     /* why one could not be written, if so */
};
void mwl_letters_begin(struct mwl_letters *l, const struct mw_map *map, const struct mw_delivery *d);
void mwl_letters_add(struct mwl_letters *l, struct mw_outbox *out, const struct mw_problem *p);

/* problems.c: what failed of one body. */
struct mwl_problems {
	struct mw_buf kept;
	size_t max;
	size_t count; /* kept */
	size_t lost;  /* and not */
};
void mwl_problems_init(struct mwl_problems *p, size_t max);
void mwl_problems_deinit(struct mwl_problems *p);
void mwl_problems_clear(struct mwl_problems *p);
void mwl_problems_add(struct mwl_problems *p, const struct mw_problem *found);
/* Pushes { {index=, code=, message=, account=, raw=}, ..., more= }, or nil if there were none; `more` is how
 * many were not kept. */
void mwl_problems_push(lua_State *L, const struct mwl_problems *p);

/* mapper.c. Its uservalue holds the map userdata, so neither dies before the other. */
struct mwl_mapper;
struct mwl_mapper *mwl_check_mapper(lua_State *L, int index);
/* Map one body; `mapper_index` is the stack index of the mapper. Messages are in its outbox afterwards; what
 * was in it before is gone. Raises if called from a function of the script that is running. */
void mwl_mapper_run(lua_State *L, int mapper_index, const struct mw_delivery *d, struct mw_tally *tally);
struct mw_outbox *mwl_mapper_outbox(struct mwl_mapper *p);
/* Should events that fail be put into the outbox too, as dead letters? After a run, MW_OK: none is missing.
 */
void mwl_mapper_keep_letters(struct mwl_mapper *p, bool keep);
enum mw_err mwl_mapper_letters_lost(const struct mwl_mapper *p);
/* Until it is taken back with NULL: ids that would be random are made from this, the same ones in each run.
 */
void mwl_mapper_seed(struct mwl_mapper *p, const uint8_t seed[32]);
/* The same from a text of any length, borrowed until it is taken back. */
void mwl_mapper_seed_text(struct mwl_mapper *p, struct mw_span text);
/* Pushes the problems of the last run. */
void mwl_mapper_push_problems(lua_State *L, struct mwl_mapper *p);
/* Pushes { events =, messages =, ignored =, unmatched =, failed = }. */
void mwl_tally_push(lua_State *L, const struct mw_tally *t);
/* delivery.c: options one by one. push_option pushes a member of the table at `index`, false if it is nil;
 * the others take the value on top of the stack, and raise in the option's name if it is of another type. */
struct mw_span mwl_check_field(lua_State *L, const char *name, int type);
bool mwl_push_option(lua_State *L, int index, const char *name);
int64_t mwl_check_integer(lua_State *L, const char *name);
/* stack: ... name value. Which of the known names (NULL ends them) this one is; raises if it is none. */
int mwl_check_option(lua_State *L, const char *const known[]);
/* Reads the fields format, headers, account and tag of the options table at `index` (nil: none) into `d`;
 * headers into `room`. Without format the Content-Type decides. Misuse raises. The spans are good while the
 * table is. */
enum { MWL_HEADERS_MAX = 128 };
void mwl_delivery_options(lua_State *L, int index, struct mw_delivery *d,
			  struct mw_header room[MWL_HEADERS_MAX]);

/* view.c: one mwl_views for each Lua state, which never dies before it. A view knows its event by number, so
 * that one that is kept too long is found out, whatever became of the document. */
struct mwl_views;
struct mwl_views *mwl_views_of(lua_State *L);
/* From begin to end, views of `doc` can be made and read. Pairs nest, up to 16 deep; false beyond that. */
struct mwl_script;
bool mwl_views_begin(struct mwl_views *v, const struct mw_json *doc, struct mwl_script *script);
void mwl_views_end(struct mwl_views *v);
/* The script that a function of runs just now; NULL: none does. */
struct mwl_script *mwl_views_script(const struct mwl_views *v);
/* Pushes a node of the document begun last: a view of a container, else a plain value; null is nil. Takes 4
 * slots of the stack. */
void mwl_view_push(lua_State *L, struct mwl_views *v, uint32_t node);
/* The document and node of a view, or false if the value is none; a stale view raises. */
bool mwl_view_get(lua_State *L, int index, const struct mw_json **doc, uint32_t *node);

/* digits.c. The text of a JSON number as a Lua number if that holds it (an integer in all its digits; a
 * fraction as the nearest double), else as digits. */
void mwl_number_push(lua_State *L, struct mw_span text);
void mwl_integer_push(lua_State *L, int64_t i);
/* The text behind digits, NULL at if the value is none. */
struct mw_span mwl_digits_get(lua_State *L, int index);
/* A Lua number as an exact integer: an integer on 5.4; on both VMs a double without fraction from -2^53 to
 * 2^53. */
bool mwl_exact_integer(lua_State *L, int index, int64_t *out);

/* Pushes the characters of a string or key; those of one with escapes by way of `text`. */
static inline void mwl_string_push(lua_State *L, const struct mw_json *doc, uint32_t node,
				   struct mw_buf *text)
{
	struct mw_span s = mw_json_raw(doc, node);
	if (doc->nodes[node].flags & MW_JSON_ESCAPED) {
		mw_buf_clear(text);
		if (mw_json_unescape_span(s, text) != MW_OK)
			luaL_error(L, "%s", mw_err_sentence(MW_NO_MEMORY));
		s = mw_buf_span(text);
	}
	lua_pushlstring(L, (const char *)s.at, s.len);
}

/* decode.c: pushes a node with all it holds: tables, arrays with core.array's metatable, null as core.null.
 * `text` is for escapes. */
void mwl_decode_push(lua_State *L, const struct mw_json *doc, uint32_t node, struct mw_buf *text);

/* array.c: what a metatable, on top of the stack, says of its tables. Takes 5 slots of the stack. */
enum mwl_array {
	MWL_ARRAY_UNSAID, /* what is in it says what it is; {} if nothing is */
	MWL_ARRAY_IF_EMPTY,
	MWL_ARRAY_ALWAYS,
};
enum mwl_array mwl_array_by_metatable(lua_State *L);
/* Is the light userdata at `index`, from the bottom, cjson's empty array? Takes 2 slots. */
bool mwl_array_is_empty(lua_State *L, int index);

/* table.c: the value at `index` as JSON. MW_INVALID with the path of what can't be sent
 * ("properties.items[3].x: a function"). */
enum mw_err mwl_table_write(lua_State *L, int index, struct mw_buf *out, struct mw_error *e);
/* What must be an object; what is none is MW_INVALID. `root` begins the path. *shape is the object's
 * (shape.h); NULL: it is not counted. */
enum mw_err mwl_table_object(lua_State *L, int index, const char *root, struct mw_buf *out, uint64_t *shape,
			     struct mw_error *e);
/* The members of an object without its braces. `stamped`: without its integration and library, which come
 * from the source. */
enum mw_err mwl_table_members(lua_State *L, int index, const char *root, bool stamped, struct mw_buf *out,
			      uint64_t *shape, struct mw_error *e);
/* core.null, or cjson's, which is the same. */
static inline bool mwl_is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL;
}

/* message.c. A piece of a buffer that may still move while more is written behind it. */
struct mwl_piece {
	size_t start;
	size_t len;
	bool present;
};
static inline void mwl_pieces_clear(struct mwl_piece *pieces, int count)
{
	for (int i = 0; i < count; i++)
		pieces[i].present = false;
}
static inline struct mw_span mwl_piece_span(struct mwl_piece p, const struct mw_buf *b)
{
	return p.present ? (struct mw_span){b->data + p.start, p.len} : (struct mw_span){NULL, 0};
}
/* The inside of a JSON string: a string, or a number as its digits; null is absent. MW_INVALID with the
 * field's name. */
enum mw_err mwl_text_write(lua_State *L, int index, const char *field, struct mw_buf *out,
			   struct mwl_piece *piece, struct mw_error *e);
/* A date: as text if it stands there just as Segment writes it, else in ms since 1970. */
struct mwl_time {
	bool present;
	struct mwl_piece text;
	int64_t ms;
};
/* From text or, Unix time, from a number; null is absent. */
enum mw_err mwl_time_read(lua_State *L, int index, const char *field, struct mw_buf *out,
			  struct mwl_time *time, struct mw_error *e);
static inline void mwl_time_fill(struct mw_message *m, const struct mwl_time *time, const struct mw_buf *b)
{
	m->timestamp = time->ms;
	m->time = mwl_piece_span(time->text, b);
}
/* A call as `client:track(account, {userId=..., event=..., properties={...}})` gets it, into `m`, whose spans
 * then point into `scratch`. `stamped`: leave out context.integration and context.library, the stamp has
 * them. */
enum mw_err mwl_table_message(lua_State *L, int index, enum mw_call call, bool stamped, bool counts_shapes,
			      struct mw_buf *scratch, struct mw_message *m, bool *has_timestamp,
			      struct mw_error *e);
/* guard.c: a script's functions run between enter and leave, each call with a budget of its own. */
struct mwl_limits {
	uint64_t instructions;
	size_t memory;   /* by which the Lua heap may grow */
	int64_t time_ms; /* of CPU time: nobody's event fails because others had the CPU */
};
extern const struct mwl_limits mwl_limits_event; /* one function call for one event */
extern const struct mwl_limits mwl_limits_load;  /* running the script once */

struct mwl_guard {
	struct mwl_guard *outer;
	lua_State *L;
	struct mwl_limits limits;
	uint64_t instructions;
	int64_t deadline; /* ms, monotonic; 0 until the first look at the clock */
	int64_t heap;     /* bytes, when the call under way began */
	int64_t alive;    /* after the last collection at the begin of a call, or less; 0 before the first */
	int64_t grown;    /* bytes, since the call began */
	int64_t collect_at;
	int calls;      /* under way: they nest, and those inside share the outermost one's budget */
	bool clears;    /* garbage, at the call's first instruction */
	bool refused;   /* memory, since the call began */
	char over[128]; /* which limit was passed, and where; empty: none */
	lua_Alloc alloc;
	void *alloc_context;
	struct mwl_spares *spares; /* NULL: none are kept */
	lua_Hook hook;
	int hook_mask;
	int hook_count;
	bool swapped_strings;
};
/* Needs five free slots of stack. Neither enter nor leave raises or allocates. A new guard is all zero; one
 * that is entered again knows what was alive. */
void mwl_guard_enter(lua_State *L, struct mwl_guard *g, const struct mwl_limits *limits,
		     struct mwl_spares *spares);
/* Before whoever owns them goes; may be called under a guard. */
void mwl_guard_spares_free(lua_State *L, struct mwl_spares *spares);
/* lua_pcall under the limits. MW_MAPPING if it failed, with what the script raised as text in `e` and nothing
 * pushed. */
enum mw_err mwl_guard_call(struct mwl_guard *g, int args, int results, struct mw_error *e);
void mwl_guard_leave(struct mwl_guard *g);
/* Between the two, code of ours runs as if there were no guard: no hook, no limits, the host's string
 * methods. Needs five free slots of stack; neither raises or allocates. */
struct mwl_pause {
	struct mwl_guard *innermost;
	lua_Hook hook;
	int hook_mask;
	int hook_count;
	lua_Alloc alloc;
	void *alloc_context;
	bool swapped_strings;
};
void mwl_guard_pause(lua_State *L, struct mwl_pause *p);
void mwl_guard_resume(lua_State *L, const struct mwl_pause *p);

/* guard_strings.c. True if it gave strings the sandbox's methods: then leave gives them the host's again.
 * Neither raises or allocates. */
bool mwl_guard_strings_enter(lua_State *L);
void mwl_guard_strings_leave(lua_State *L);

/* script.c: what the mapper's host callbacks need. `kept` is a reference to a registry slot that holds, only
 * while a body is mapped, the table that mwl_script_push made: a script's functions may hold the mapper, and
 * must not keep it alive. */
struct mwl_script {
	lua_State *L; /* the one that is running */
	struct mwl_guard guard;
	struct mwl_spares spares;
	struct mwl_views *views;
	int kept;
	struct mw_mapper *asks;   /* of whose event identity.lookup asks */
	struct mw_mapper *mapper; /* NULL unless an entry is running */
	bool emitting;
	struct mw_buf fields; /* what the spans of an emitted message point into */
	struct mw_buf text;
	struct mw_json answer;   /* a finished piece of JSON on its way to a function */
	struct mw_error emitted; /* the last error that emit raised */
};
/* Pushes the table to be kept, with the script's functions (a table at `functions`) in it. `owner` is the
 * stack index of the userdata that `s` is a part of. */
void mwl_script_push(lua_State *L, struct mwl_script *s, int owner, int functions);
enum mw_err mwl_script_entry(struct mwl_script *s, int function, struct mw_mapper *mapper,
			     const struct mw_json *doc, uint32_t event, struct mw_error *e);
enum mw_err mwl_script_apply(struct mwl_script *s, int function, const struct mw_json *doc,
			     const struct mw_value *argument, struct mw_arena *arena, struct mw_value *result,
			     struct mw_error *e);
/* call.c: what a track call made the quick way holds, and the name of all calls' metatable. */
enum { MWL_READY_NAME = 1, MWL_READY_PAYLOAD };
#define MWL_CALL "moonweir.call"

/* emit.c: pushes what a function entry gets to emit with. */
void mwl_emit_push(lua_State *L, struct mwl_script *s, int owner);

/* roll.c. NULL: it is none. What is found points into the roll. */
struct mwl_roll;
struct mwl_roll *mwl_test_roll(lua_State *L, int index);
void mwl_roll_find(const struct mwl_roll *r, struct mw_span account, enum mw_identity_kind kind,
		   struct mw_span id, struct mw_identity_found *found);

/* identities.c. One that was closed knows nobody. */
struct mwl_identities;
struct mwl_identities *mwl_check_identities(lua_State *L, int index);
enum mw_err mwl_identities_find(struct mwl_identities *d, struct mw_span account, enum mw_identity_kind kind,
				struct mw_span id, struct mw_identity_found *found, struct mw_error *e);
/* review.c. The owner of a client or mapper keeps the userdata in its uservalue. */
struct mwl_review {
	struct mw_review review;
	int judge; /* a reference to the Lua function */
	struct mw_json doc;
	struct mw_buf text;
	uint64_t failed; /* judgements that raised ... */
	char why[200];   /* ... and what the last of them raised */
};
/* NULL for nil. */
struct mwl_review *mwl_opt_review(lua_State *L, int index);
/* Is a finished message right? MW_OK also if it is not and the review is not strict; MW_SPEC with the reason
 * in `e`. Never raises. */
enum mw_err mwl_review_message(lua_State *L, struct mwl_review *r, const struct mw_message *m,
			       struct mw_span message, struct mw_error *e);
/* The same for one of a shape that the review does not know. */
enum mw_err mwl_review_judge(lua_State *L, struct mwl_review *r, uint64_t shape, struct mw_span message,
			     struct mw_error *e);

/* client_state.c: of an enum mw_lane_state, for Lua. */
const char *mwl_lane_state_word(uint32_t state);

/* Each registers its metatable and adds its functions to the table on top of the stack. */
void mwl_open_map(lua_State *L);
void mwl_open_mapper(lua_State *L);
void mwl_open_call(lua_State *L);
void mwl_open_view(lua_State *L);
void mwl_open_digits(lua_State *L);
void mwl_open_decode(lua_State *L);
void mwl_open_encode(lua_State *L);
void mwl_open_array(lua_State *L);
void mwl_open_guard(lua_State *L);
void mwl_open_guard_strings(lua_State *L);
void mwl_open_client(lua_State *L);
void mwl_open_dead(lua_State *L);
void mwl_open_process(lua_State *L);
void mwl_open_family(lua_State *L);
void mwl_open_reader(lua_State *L);
void mwl_open_intake(lua_State *L);
void mwl_open_vault(lua_State *L);
void mwl_open_link(lua_State *L);
void mwl_open_errand(lua_State *L);
void mwl_open_identities(lua_State *L);
void mwl_open_roll(lua_State *L);
void mwl_open_verify(lua_State *L);
void mwl_open_board(lua_State *L);
void mwl_open_screen(lua_State *L);
void mwl_open_review(lua_State *L);
void mwl_open_signature(lua_State *L);
void mwl_open_rs256(lua_State *L);

#endif
