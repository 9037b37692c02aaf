/* view.c -- a lazy, read-only look at the event, for the script's functions.
 *
 *     event.contact.email        two members followed in the tape, one string made
 *     #event.recipients, ipairs(event.recipients), pairs(event.contact)
 *
 * A view names an event by its ticket and a container by its node, and holds no pointer into either: when the
 * function that got it is over its ticket is no longer among the live ones, and reading it raises. Strings
 * become Lua strings, null nil, numbers what digits.c says, containers further views.
 */
#include "../core/limits.h"
#include "mwl.h"

#define MWL_VIEWS "moonweir.views"
#define THE_VIEWS "moonweir.views of this state"

enum { LIVE_MAX = 16, MEMBERS_MET = 64 };

struct mwl_views {
	struct {
		const struct mw_json *doc;
		uint64_t ticket;
		struct mwl_script *script;
		/* Of strings, escapes undone. One for each: to make a Lua string may run a finalizer that
		 * maps another event. */
		struct mw_buf text;
	} live[LIVE_MAX];
	int depth;
	uint64_t tickets; /* given out so far */
	int metatable;    /* reference in the registry */
	/* Where members were: events of one pattern have them at the same nodes. */
	struct met {
		uint64_t pattern;
		uint32_t container;
		uint32_t value;
	} met[MEMBERS_MET];
	/* Where the last walk stopped, so that the next step of a loop does not start from the beginning. */
	struct {
		uint64_t ticket;
		uint32_t container;
		uint32_t node;
		int64_t index;
	} last;
};

/* Its address begins every view. */
static const char is_view;

struct view {
	const void *mark;
	struct mwl_views *views;
	uint64_t ticket;
	uint32_t node;
};

struct mwl_views *mwl_views_of(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, THE_VIEWS);
	struct mwl_views *v = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return v;
}

bool mwl_views_begin(struct mwl_views *v, const struct mw_json *doc, struct mwl_script *script)
{
	if (v->depth == LIVE_MAX)
		return false;
	v->live[v->depth].doc = doc;
	v->live[v->depth].ticket = ++v->tickets;
	v->live[v->depth].script = script;
	v->depth++;
	return true;
}

void mwl_views_end(struct mwl_views *v)
{
	v->depth--;
}

struct mwl_script *mwl_views_script(const struct mwl_views *v)
{
	return v->depth > 0 ? v->live[v->depth - 1].script : NULL;
}

/* Of whoever is at work now. */
static struct mw_buf *text_of(struct mwl_views *v)
{
	return &v->live[v->depth - 1].text;
}

static void push_view(lua_State *L, struct mwl_views *views, uint64_t ticket, uint32_t node)
{
	struct view *v = mwl_newuserdata_plain(L, sizeof *v);
	*v = (struct view){.mark = &is_view, .views = views, .ticket = ticket, .node = node};
	lua_rawgeti(L, LUA_REGISTRYINDEX, views->metatable);
	lua_setmetatable(L, -2);
}

static void push_node(lua_State *L, struct mwl_views *views, uint64_t ticket, const struct mw_json *doc,
		      uint32_t node)
{
	switch ((enum mw_json_type)doc->nodes[node].type) {
	case MW_JSON_STRING:
	case MW_JSON_KEY:
		mwl_string_push(L, doc, node, text_of(views));
		break;
	case MW_JSON_NUMBER:
		mwl_number_push(L, mw_json_raw(doc, node));
		break;
	case MW_JSON_ARRAY:
	case MW_JSON_OBJECT:
		push_view(L, views, ticket, node);
		break;
	case MW_JSON_FALSE:
	case MW_JSON_TRUE:
		lua_pushboolean(L, doc->nodes[node].type == MW_JSON_TRUE);
		break;
	case MW_JSON_NULL:
		lua_pushnil(L);
		break;
	}
}

void mwl_view_push(lua_State *L, struct mwl_views *v, uint32_t node)
{
	push_node(L, v, v->live[v->depth - 1].ticket, v->live[v->depth - 1].doc, node);
}

static const struct mw_json *check_live(lua_State *L, const struct view *v)
{
	const struct mwl_views *views = v->views;
	for (int i = views->depth; i-- > 0;) { /* nearly always the innermost */
		if (views->live[i].ticket == v->ticket)
			return views->live[i].doc;
	}
	luaL_error(L, "this event is over; copy what you need while its function runs");
	return NULL;
}

bool mwl_view_get(lua_State *L, int index, const struct mw_json **doc, uint32_t *node)
{
	const struct view *v = luaL_testudata(L, index, MWL_VIEW);
	if (!v)
		return false;
	*doc = check_live(L, v);
	*node = v->node;
	return true;
}

/* The view that a metamethod is called on. Nothing else has this size and begins with that pointer, and
 * finding so costs less than comparing metatables. */
static const struct view *check_view(lua_State *L, const struct mw_json **doc)
{
	const struct view *v = lua_touserdata(L, 1);
	if (!v || lua_rawlen(L, 1) != sizeof *v || v->mark != &is_view)
		luaL_argerror(L, 1, "a part of the event expected");
	*doc = check_live(L, v);
	return v;
}

/* Element i, from 1; 0 if there is none. Goes on from where the last call stopped, if that was in the same
 * array. */
static uint32_t element(const struct view *v, const struct mw_json *doc, int64_t i)
{
	struct mwl_views *views = v->views;
	if (doc->nodes[v->node].type != MW_JSON_ARRAY)
		return doc->takes_one_for_many && i == 1 ? v->node : 0;
	if (i < 1 || i > doc->nodes[v->node].aux)
		return 0;
	uint32_t node = v->node + 1;
	int64_t left = i - 1;
	if (views->last.ticket == v->ticket && views->last.container == v->node && views->last.index <= i) {
		node = views->last.node;
		left = i - views->last.index;
	}
	for (; left > 0; left--)
		node = mw_json_after(doc, node);
	views->last.ticket = v->ticket;
	views->last.container = v->node;
	views->last.node = node;
	views->last.index = i;
	return node;
}

/* The value of a member, 0 if there is none. Lua keeps one copy of a short text, so the address of a script's
 * name tells well where to look; what is found there is compared. */
static uint32_t member(const struct view *v, const struct mw_json *doc, const char *name, size_t len)
{
	uint32_t hash = ((uint32_t)((uintptr_t)name / 8) ^ v->node << 16) * 2654435761u;
	struct met *met = &v->views->met[hash / (UINT32_MAX / MEMBERS_MET + 1)];
	if (doc->pattern != 0 && met->pattern == doc->pattern && met->container == v->node) {
		struct mw_span key = mw_json_raw(doc, met->value - 1);
		if (key.len == len && memcmp(key.at, name, len) == 0)
			return met->value;
	}
	uint32_t value = mw_json_member(doc, v->node, name, len, mw_json_tag(name, len));
	if (value && doc->pattern != 0)
		*met = (struct met){doc->pattern, v->node, value};
	return value;
}

static int view_index(lua_State *L)
{
	const struct mw_json *doc;
	const struct view *v = check_view(L, &doc);
	uint32_t child = 0;
	int64_t i;
	if (lua_type(L, 2) == LUA_TSTRING) {
		size_t len;
		const char *name = lua_tolstring(L, 2, &len);
		child = member(v, doc, name, len);
	} else if (lua_type(L, 2) == LUA_TNUMBER && mwl_exact_integer(L, 2, &i)) {
		child = element(v, doc, i);
	}
	if (child)
		push_node(L, v->views, v->ticket, doc, child);
	else
		lua_pushnil(L);
	return 1;
}

static int view_newindex(lua_State *L)
{
	return luaL_error(L, "the event is read-only; copy what you need into a table of your own");
}

/* Of an object 0, as of any table without a list part; 1 where it is taken for a list of one. */
static int view_len(lua_State *L)
{
	const struct mw_json *doc;
	const struct view *v = check_view(L, &doc);
	const struct mw_json_node *n = &doc->nodes[v->node];
	lua_pushinteger(L, n->type == MW_JSON_ARRAY ? (lua_Integer)n->aux : doc->takes_one_for_many);
	return 1;
}

/* Its JSON, as the event wrote it. */
static int view_tostring(lua_State *L)
{
	const struct mw_json *doc;
	const struct view *v = check_view(L, &doc);
	struct mw_span raw = mw_json_raw(doc, v->node);
	lua_pushlstring(L, (const char *)raw.at, raw.len);
	return 1;
}

static int view_eq(lua_State *L)
{
	const struct view *a = luaL_testudata(L, 1, MWL_VIEW), *b = luaL_testudata(L, 2, MWL_VIEW);
	lua_pushboolean(L, a && b && a->ticket == b->ticket && a->node == b->node);
	return 1;
}

static int next_element(lua_State *L, const struct view *v, const struct mw_json *doc)
{
	int64_t i = 0, n = doc->nodes[v->node].aux;
	if (!lua_isnil(L, 2) &&
	    (lua_type(L, 2) != LUA_TNUMBER || !mwl_exact_integer(L, 2, &i) || i < 1 || i > n))
		return luaL_error(L, "no such place in the list to go on from");
	for (i++; i <= n; i++) {
		uint32_t node = element(v, doc, i);
		if (doc->nodes[node].type != MW_JSON_NULL) {
			lua_pushinteger(L, (lua_Integer)i);
			push_node(L, v->views, v->ticket, doc, node);
			return 2;
		}
	}
	lua_pushnil(L);
	return 1;
}

/* The key of the member at which name points; of several with that name the last, which is the one that
 * counts. */
static uint32_t find_key(const struct view *v, const struct mw_json *doc, const char *name, size_t len)
{
	const struct mwl_views *views = v->views;
	uint32_t key = views->last.node;
	if (views->last.ticket == v->ticket && views->last.container == v->node &&
	    !(doc->nodes[key].flags & MW_JSON_ESCAPED) &&
	    mw_span_equal(mw_json_raw(doc, key), (struct mw_span){(const uint8_t *)name, len}))
		return key;
	uint32_t value = mw_json_member(doc, v->node, name, len, mw_json_tag(name, len));
	return value ? value - 1 : 0;
}

static int next_member(lua_State *L, const struct view *v, const struct mw_json *doc)
{
	struct mwl_views *views = v->views;
	uint32_t end = mw_json_after(doc, v->node), key = v->node + 1;
	if (!lua_isnil(L, 2)) {
		size_t len;
		const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &len) : NULL;
		uint32_t from = name ? find_key(v, doc, name, len) : 0;
		if (!from)
			return luaL_error(L, "no such member to go on from");
		key = mw_json_after(doc, from + 1);
	}
	for (; key < end; key = mw_json_after(doc, key + 1)) {
		if (doc->nodes[key + 1].type == MW_JSON_NULL)
			continue;
		mwl_string_push(L, doc, key, text_of(views));
		size_t len;
		const char *name = lua_tolstring(L, -1, &len);
		/* Passed over if a later member has the same name. */
		if (mw_json_member(doc, v->node, name, len, mw_json_tag(name, len)) == key + 1) {
			views->last.ticket = v->ticket;
			views->last.container = v->node;
			views->last.node = key;
			push_node(L, views, v->ticket, doc, key + 1);
			return 2;
		}
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	return 1;
}

/* core.view_next(view, key): what next is to tables. null members are left out, as nil ones are. */
static int view_next(lua_State *L)
{
	const struct mw_json *doc;
	const struct view *v = check_view(L, &doc);
	lua_settop(L, 2);
	return doc->nodes[v->node].type == MW_JSON_ARRAY ? next_element(L, v, doc) : next_member(L, v, doc);
}

/* On Lua 5.4; LuaJIT's pairs does not ask. */
static int view_pairs(lua_State *L)
{
	lua_settop(L, 1);
	lua_pushcfunction(L, view_next);
	lua_insert(L, 1);
	lua_pushnil(L);
	return 3;
}

static int views_gc(lua_State *L)
{
	struct mwl_views *views = luaL_checkudata(L, 1, MWL_VIEWS);
	for (int i = 0; i < LIVE_MAX; i++)
		mw_buf_deinit(&views->live[i].text);
	return 0;
}

/* Pushes the state's views, which are made once, however often the module is loaded: views that are still
 * about point to them. */
static struct mwl_views *push_views(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, THE_VIEWS);
	if (!lua_isnil(L, -1))
		return lua_touserdata(L, -1);
	lua_pop(L, 1);
	struct mwl_views *views = mwl_newuserdata_plain(L, sizeof *views);
	memset(views, 0, sizeof *views);
	for (int i = 0; i < LIVE_MAX; i++)
		mw_buf_init(&views->live[i].text, MW_EVENT_MAX);
	luaL_newmetatable(L, MWL_VIEWS);
	lua_pushcfunction(L, views_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, THE_VIEWS);
	return views;
}

void mwl_open_view(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
	    {"__index", view_index},
	    {"__newindex", view_newindex},
	    {"__len", view_len},
	    {"__pairs", view_pairs},
	    {"__tostring", view_tostring},
	    {"__eq", view_eq},
	    {NULL, NULL},
	};
	int module = lua_gettop(L);
	struct mwl_views *views = push_views(L);
	lua_pushcfunction(L, view_next);
	lua_setfield(L, module, "view_next");

	luaL_newmetatable(L, MWL_VIEW);
	lua_pushvalue(L, -1);
	views->metatable = luaL_ref(L, LUA_REGISTRYINDEX);
	luaL_setfuncs(L, metamethods, 0);
	lua_pushliteral(L, "a part of the event");
	lua_setfield(L, -2, "__metatable");
	lua_settop(L, module);
}
