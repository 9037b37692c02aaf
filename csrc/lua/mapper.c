/* mapper.c -- one thread's working memory for a map: m:map(body, options), and the same from C for
 * client:push.
 *
 *     messages, tally, problems = core.mapper(map):map('{"type":"opened", ...}', { account = "acct-1" })
 *
 * What fails is collected in C while the body is mapped, and becomes Lua values only afterwards (problems.c).
 */
#include "mwl.h"
#include "xml_reader.h"

#include <math.h>

/* Kept of one body, by default. */
enum { PROBLEMS_DEFAULT = 1000 };

/* In the userdata's uservalue. */
enum { OWN_MAP = 1, OWN_KEPT, OWN_REVIEW, OWN_IDENTITIES };

/* Upvalue of the methods that map: what they then give. */
enum { TELL = 1 };

struct mwl_mapper {
	struct mw_mapper *mapper;
	struct mwl_map *map;
	struct mwl_script script;
	struct mwl_review *review;         /* NULL: messages are not checked */
	struct mwl_identities *identities; /* NULL: none; the uservalue holds it */
	const struct mwl_roll *roll;       /* in place of them; NULL: none */
	struct mwl_problems problems;      /* of the last body */
	bool keeps_letters;                /* what fails goes into the outbox, as a dead letter */
	struct mwl_letters letters;
	const uint8_t *seed;      /* of 32 bytes; NULL: ids are random */
	struct mw_span seed_text; /* of which it is made when it is needed; at == NULL: there is none */
	uint64_t seeded;
	uint8_t own_seed[32];             /* what was made of a text */
	struct mw_tally tally;            /* of the last run that mapper:map or :tally made */
	const struct mwl_xml_reader *xml; /* of the run under way, if it is of XML; may be NULL */
	bool running;                     /* until what it made is told */
};

struct mwl_mapper *mwl_check_mapper(lua_State *L, int index)
{
	struct mwl_mapper *p = luaL_checkudata(L, index, MWL_MAPPER);
	if (!p->mapper)
		luaL_error(L, "this mapper is gone: its Lua state is closing");
	return p;
}

struct mw_outbox *mwl_mapper_outbox(struct mwl_mapper *p)
{
	return mw_mapper_outbox(p->mapper);
}

static enum mw_err on_apply(void *context, int function, const struct mw_json *doc,
			    const struct mw_value *argument, struct mw_arena *arena, struct mw_value *result,
			    struct mw_error *e)
{
	struct mwl_mapper *p = context;
	return mwl_script_apply(&p->script, function, doc, argument, arena, result, e);
}

static enum mw_err on_entry(void *context, int function, struct mw_mapper *mapper, const struct mw_json *doc,
			    uint32_t event, struct mw_error *e)
{
	struct mwl_mapper *p = context;
	return mwl_script_entry(&p->script, function, mapper, doc, event, e);
}

static enum mw_err on_identify(void *context, struct mw_span account, enum mw_identity_kind kind,
			       struct mw_span id, struct mw_identity_found *found, struct mw_error *e)
{
	struct mwl_mapper *p = context;
	if (p->roll) {
		mwl_roll_find(p->roll, account, kind, id, found);
		return MW_OK;
	}
	return mwl_identities_find(p->identities, account, kind, id, found, e);
}

static enum mw_err on_judge(void *context, uint64_t shape, struct mw_span message, struct mw_error *e)
{
	struct mwl_mapper *p = context;
	return mwl_review_judge(p->script.L, p->review, shape, message, e);
}

/* The same event of the same letter gets the same ids again, should it be sent twice. */
static void on_random(void *context, uint8_t bytes[16])
{
	struct mwl_mapper *p = context;
	uint8_t text[32 + sizeof p->seeded], digest[32];
	if (!p->seed && p->seed_text.at) { /* only now: most sources name their events themselves */
		mwl_sha256(p->seed_text.at, p->seed_text.len, p->own_seed);
		p->seed = p->own_seed;
	}
	if (!p->seed) {
		mwl_random(NULL, bytes);
		return;
	}
	memcpy(text, p->seed, 32);
	memcpy(text + 32, &p->seeded, sizeof p->seeded);
	p->seeded++;
	mwl_sha256(text, sizeof text, digest);
	memcpy(bytes, digest, 16);
}

static void on_problem(void *context, const struct mw_problem *found)
{
	struct mwl_mapper *p = context;
	if (p->keeps_letters)
		mwl_letters_add(&p->letters, mw_mapper_outbox(p->mapper), found);
	mwl_problems_add(&p->problems, found);
}

void mwl_mapper_push_problems(lua_State *L, struct mwl_mapper *p)
{
	mwl_problems_push(L, &p->problems);
}

/* What the functions need while they may run: in the registry, and taken out again, for they may hold the
 * mapper. */
static void keep(lua_State *L, struct mwl_mapper *p, int mapper_index)
{
	mwl_getuservalue(L, mapper_index);
	lua_rawgeti(L, -1, OWN_KEPT);
	lua_rawseti(L, LUA_REGISTRYINDEX, p->script.kept);
	lua_pop(L, 1);
}

static void unkeep(lua_State *L, struct mwl_mapper *p)
{
	lua_pushboolean(L, 0);
	lua_rawseti(L, LUA_REGISTRYINDEX, p->script.kept);
}

/* The reader of moonweir.xml, which is loaded when the first XML body comes; NULL: it is not installed. */
static const struct mwl_xml_reader *find_xml_reader(lua_State *L)
{
	for (int round = 0; round < 2; round++) {
		lua_getfield(L, LUA_REGISTRYINDEX, MWL_XML_READER);
		const struct mwl_xml_reader *reader = lua_touserdata(L, -1);
		lua_pop(L, 1);
		if (reader || round == 1)
			return reader;
		lua_getglobal(L, "require");
		lua_pushliteral(L, "moonweir.xml");
		if (lua_pcall(L, 1, 0, 0) != LUA_OK)
			lua_pop(L, 1);
	}
	return NULL;
}

static enum mw_err on_xml(void *context, struct mw_span body, struct mw_buf *out, struct mw_error *e)
{
	const struct mwl_mapper *p = context;
	if (p->xml)
		return p->xml->to_json(body, out, e);
	return mw_error_set(e, MW_INVALID, 0,
			    "XML bodies need the module moonweir.xml, which is not installed here (rock "
			    "moonweir-receive)");
}

void mwl_mapper_keep_letters(struct mwl_mapper *p, bool keep)
{
	p->keeps_letters = keep;
}

enum mw_err mwl_mapper_letters_lost(const struct mwl_mapper *p)
{
	return p->letters.err;
}

void mwl_mapper_seed(struct mwl_mapper *p, const uint8_t seed[32])
{
	p->seed = seed;
	p->seed_text.at = NULL;
	p->seeded = 0;
}

void mwl_mapper_seed_text(struct mwl_mapper *p, struct mw_span text)
{
	p->seed = NULL;
	p->seed_text = text;
	p->seeded = 0;
}

void mwl_mapper_run(lua_State *L, int mapper_index, const struct mw_delivery *d, struct mw_tally *tally)
{
	struct mwl_mapper *p = mwl_check_mapper(L, mapper_index);
	if (p->running)
		luaL_error(L, "this mapper is at work already: it can't be used from the script it runs");
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	mw_outbox_clear(mw_mapper_outbox(p->mapper));
	mwl_problems_clear(&p->problems);
	mwl_letters_begin(&p->letters, p->map->map, d);
	p->script.L = L;
	if (d->format == MW_FORMAT_XML)
		p->xml = find_xml_reader(L);
	if (p->map->functions == 0) {
		p->running = true;
		mw_map_run(p->map->map, p->mapper, d, tally);
		p->running = false;
		return;
	}
	keep(L, p, mapper_index);
	p->running = true;
	mwl_guard_enter(L, &p->script.guard, &mwl_limits_event, &p->script.spares);
	mw_map_run(p->map->map, p->mapper, d, tally);
	mwl_guard_leave(&p->script.guard);
	p->running = false;
	unkeep(L, p);
}

static void push_messages(lua_State *L, const struct mw_outbox *box)
{
	lua_createtable(L, (int)box->count, 0);
	struct mw_parcel parcel;
	size_t position = 0;
	for (int i = 1; mw_outbox_next(box, &position, &parcel); i++) {
		lua_createtable(L, 0, 3);
		mwl_set_span(L, "account", parcel.account);
		mwl_set_span(L, "message", parcel.message);
		if (parcel.tag != 0)
			mwl_set_integer(L, "tag", parcel.tag);
		lua_rawseti(L, -2, i);
	}
}

void mwl_tally_push(lua_State *L, const struct mw_tally *t)
{
	lua_createtable(L, 0, 5);
	mwl_set_count(L, "events", t->events);
	mwl_set_count(L, "messages", t->messages);
	mwl_set_count(L, "ignored", t->ignored);
	mwl_set_count(L, "unmatched", t->unmatched);
	mwl_set_count(L, "failed", t->failed);
}

/* stack: ... the text of which ids are made that would be random, or nil */
static void read_seed(lua_State *L, struct mwl_mapper *p)
{
	if (p->running) /* refused in a moment; the seed is that of the run under way */
		return;
	p->seed = NULL;
	if (lua_isnil(L, -1))
		return;
	struct mw_span text = mwl_check_field(L, "seed", LUA_TSTRING);
	mwl_sha256(text.at, text.len, p->own_seed);
	mwl_mapper_seed(p, p->own_seed);
}

/* Maps the body at 2 under the options at 3, and gives what the function `tell` makes of it. */
static int map_body(lua_State *L)
{
	struct mwl_mapper *p = mwl_check_mapper(L, 1);
	struct mw_header headers[MWL_HEADERS_MAX];
	struct mw_delivery d = {.body = mwl_check_span(L, 2), .now = mwl_now_wall()};
	lua_settop(L, 3);
	lua_pushnil(L);
	read_seed(L, p);
	if (!lua_isnil(L, 3)) {
		mwl_delivery_options(L, 3, &d, headers);
		if (mwl_push_option(L, 3, "now"))
			d.now = mwl_check_integer(L, "now");
		mwl_push_option(L, 3, "seed");
		read_seed(L, p);
		lua_settop(L, 3);
	}
	struct mw_tally tally = {0};
	lua_settop(L, 3);
	mwl_mapper_run(L, 1, &d, &tally);
	p->tally = tally;
	/* Making tables may run a finalizer that calls this very mapper: it is refused until they are made.
	 */
	p->running = true;
	lua_pushvalue(L, lua_upvalueindex(TELL));
	lua_pushvalue(L, 1);
	int status = lua_pcall(L, 1, LUA_MULTRET, 0);
	p->running = false;
	mw_outbox_clear(mwl_mapper_outbox(p));
	return status == LUA_OK ? lua_gettop(L) - 3 : lua_error(L);
}

/* mapper:map(body, { format =, headers =, account =, tag =, now = in ms since 1970, seed = })
 *     -> { { account =, message =, tag = }, ... }, { events =, ... }, problems or nil
 *
 * The same seed, a text, gives the same ids where they would be random. */
static int tell_all(lua_State *L)
{
	struct mwl_mapper *p = mwl_check_mapper(L, 1);
	push_messages(L, mwl_mapper_outbox(p));
	mwl_tally_push(L, &p->tally);
	mwl_mapper_push_problems(L, p);
	return 3;
}

/* mapper:tally(body, options): the same without the messages, for whoever only wants to know whether all is
 * well */
static int tell_tally(lua_State *L)
{
	struct mwl_mapper *p = mwl_check_mapper(L, 1);
	mwl_tally_push(L, &p->tally);
	mwl_mapper_push_problems(L, p);
	return 2;
}

/* Finalizers of older objects, which run later, may still know it. */
static int mapper_gc(lua_State *L)
{
	struct mwl_mapper *p = luaL_checkudata(L, 1, MWL_MAPPER);
	mw_mapper_free(p->mapper);
	p->mapper = NULL;
	mwl_problems_deinit(&p->problems);
	mw_buf_deinit(&p->letters.texts);
	mw_buf_deinit(&p->script.fields);
	mw_buf_deinit(&p->script.text);
	mw_json_deinit(&p->script.answer);
	luaL_unref(L, LUA_REGISTRYINDEX, p->script.kept);
	p->script.kept = LUA_NOREF;
	mwl_guard_spares_free(L, &p->script.spares);
	return 0;
}

static size_t check_problems_max(lua_State *L)
{
	if (lua_isnoneornil(L, 2))
		return PROBLEMS_DEFAULT;
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_getfield(L, 2, "problems_max");
	lua_Number n = luaL_optnumber(L, -1, PROBLEMS_DEFAULT);
	luaL_argcheck(L, n >= 0 && n <= 1e6 && !(n > floor(n)), 2, "problems_max: from 0 to a million");
	lua_settop(L, 2);
	return (size_t)n;
}

/* Of the options at 2: pushes the userdata, or nil. */
static void push_given(lua_State *L, const char *name)
{
	if (lua_istable(L, 2))
		lua_getfield(L, 2, name);
	else
		lua_pushnil(L);
}

/* stack: map, mapper, review, identities, which all live as long as the mapper; pops the last two */
static void own(lua_State *L, struct mwl_mapper *p)
{
	lua_createtable(L, 4, 0); /* at 5 */
	lua_pushvalue(L, 1);
	lua_rawseti(L, 5, OWN_MAP);
	lua_pushvalue(L, 3);
	lua_rawseti(L, 5, OWN_REVIEW);
	lua_pushvalue(L, 4);
	lua_rawseti(L, 5, OWN_IDENTITIES);
	mwl_getuservalue(L, 1); /* the functions, at 6 */
	mwl_script_push(L, &p->script, 2, 6);
	lua_rawseti(L, 5, OWN_KEPT);
	lua_settop(L, 5);
	mwl_setuservalue(L, 2);
	lua_settop(L, 2);
	lua_pushboolean(L, 0);
	p->script.kept = luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct mw_mapper *new_core_mapper(struct mwl_mapper *p)
{
	const struct mw_mapper_host host = {
	    .host = {.context = p,
		     .sha256 = mwl_sha256,
		     .random = on_random,
		     .apply = on_apply,
		     .identify = p->identities || p->roll ? on_identify : NULL},
	    .entry = on_entry,
	    .problem = on_problem,
	    .judge = on_judge,
	    .review = p->review ? &p->review->review : NULL,
	    .xml = on_xml,
	};
	return mw_mapper_new(&host);
}

/* core.mapper(map [, { problems_max =, review =, identities = }]) */
static int new_mapper(lua_State *L)
{
	struct mwl_map *map = mwl_check_map(L, 1);
	size_t problems_max = check_problems_max(L);
	lua_settop(L, 2);
	push_given(L, "review");
	push_given(L, "identities");
	lua_remove(L, 2); /* map, review, identities */
	struct mwl_review *review = mwl_opt_review(L, 2);
	struct mwl_roll *roll = mwl_test_roll(L, 3);
	struct mwl_identities *identities = roll || lua_isnil(L, 3) ? NULL : mwl_check_identities(L, 3);
	struct mwl_mapper *p = mwl_newuserdata(L, sizeof *p);
	lua_insert(L, 2); /* map, mapper, review, identities */
	memset(p, 0, sizeof *p);
	p->identities = identities;
	p->roll = roll;
	p->map = map;
	p->review = review;
	p->script.kept = LUA_NOREF;
	p->script.views = mwl_views_of(L);
	mwl_problems_init(&p->problems, problems_max);
	mw_buf_init(&p->letters.texts, SIZE_MAX);
	mw_buf_init(&p->script.fields, MW_EVENT_MAX);
	mw_buf_init(&p->script.text, MW_EVENT_MAX);
	mw_json_init(&p->script.answer);
	luaL_getmetatable(L, MWL_MAPPER);
	lua_setmetatable(L, 2);
	own(L, p);
	p->mapper = new_core_mapper(p);
	if (!p->mapper)
		return mwl_fail_code(L, MW_NO_MEMORY);
	p->script.asks = p->mapper;
	map->sealed = true;
	return 1;
}

void mwl_open_mapper(lua_State *L)
{
	luaL_newmetatable(L, MWL_MAPPER);
	lua_pushcfunction(L, mapper_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	lua_pushcfunction(L, tell_all);
	lua_pushcclosure(L, map_body, TELL);
	lua_setfield(L, -2, "map");
	lua_pushcfunction(L, tell_tally);
	lua_pushcclosure(L, map_body, TELL);
	lua_setfield(L, -2, "tally");
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, new_mapper);
	lua_setfield(L, -2, "mapper");
}
