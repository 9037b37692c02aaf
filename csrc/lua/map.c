/* map.c -- a compiled source under construction: what compile.lua calls, expression by expression.
 *
 *     m = core.map { slug = "acme-mail", version = "1.0.0" }
 *     total = m:binary("div", m:member(m:scope("item"), "cents"), m:constant(100))
 *     m:call("order.paid", { call = "track", name = m:constant("Order Completed"),
 *                            payload = m:object({ "total" }, { total }), place = "acme.lua:14" })
 *
 * Builders return the expression's number, or nil, message, code when a limit is passed. Once a mapper
 * holds the map it is sealed and only read: other threads may be running it.
 */
#include "mwl.h"

#include <math.h>

static const char *const scopes[] = {"item", "event", "body", NULL};

static const struct {
	const char *word;
	enum mw_op op;
} ops[] = {
    {"lower", MW_OP_LOWER},   {"upper", MW_OP_UPPER},      {"trim", MW_OP_TRIM},
    {"first", MW_OP_FIRST},   {"last", MW_OP_LAST},        {"time", MW_OP_TIME},
    {"string", MW_OP_STRING}, {"number", MW_OP_NUMBER},    {"boolean", MW_OP_BOOLEAN},
    {"sha256", MW_OP_SHA256}, {"snake_case", MW_OP_SNAKE}, {"concat", MW_OP_CONCAT},
    {"add", MW_OP_ADD},       {"sub", MW_OP_SUB},          {"mul", MW_OP_MUL},
    {"div", MW_OP_DIV},       {"default", MW_OP_DEFAULT},  {"is", MW_OP_IS},
    {"above", MW_OP_ABOVE},   {"below", MW_OP_BELOW},      {"money", MW_OP_MONEY},
    {"map", MW_OP_MAP},       {"filter", MW_OP_FILTER},    {"lookup", MW_OP_LOOKUP},
    {"before", MW_OP_BEFORE}, {"after", MW_OP_AFTER},      {"contains", MW_OP_CONTAINS},
    {"when", MW_OP_WHEN},     {"json", MW_OP_JSON},        {"without", MW_OP_WITHOUT},
    {"sum", MW_OP_SUM},       {"any", MW_OP_ANY},          {"array", MW_OP_ARRAY},
    {"all", MW_OP_ALL},       {"none", MW_OP_NONE},
};

static const char *const parts[] = {
    [MW_PART_ACCOUNT] = "account",
    [MW_PART_EACH] = "each",
    [MW_PART_EVENT] = "event",
    [MW_PART_ID] = "id",
    [MW_PART_TIME] = "time",
    [MW_PART_USER] = "user",
    [MW_PART_EMAIL] = "email",
    [MW_PART_PHONE] = "phone",
    [MW_PART_ANONYMOUS_ID] = "anonymous_id",
    [MW_PART_TOOL_ID] = "tool_id",
    [MW_PART_CONTEXT] = "context",
    [MW_PART_INTEGRATIONS] = "integrations",
    [MW_PARTS] = NULL,
};

static const char *const missing_words[] = {[MW_NO_USER_DEAD] = "dead_letter",
					    [MW_NO_USER_DROP] = "drop",
					    [MW_NO_USER_ANONYMOUS] = "anonymous",
					    NULL};

static const char *const unmatched_words[] = {[MW_UNMATCHED_DEAD] = "dead_letter",
					      [MW_UNMATCHED_COUNT] = "count",
					      [MW_UNMATCHED_IGNORE] = "ignore",
					      NULL};

struct mwl_map *mwl_check_map(lua_State *L, int index)
{
	struct mwl_map *m = luaL_checkudata(L, index, MWL_MAP);
	if (!m->map)
		luaL_error(L, "this map is gone: its Lua state is closing");
	return m;
}

static struct mwl_map *check_open(lua_State *L)
{
	struct mwl_map *m = mwl_check_map(L, 1);
	if (m->sealed)
		luaL_error(L, "this map is in use and can't be changed");
	return m;
}

static struct mw_exprs *check_exprs(lua_State *L)
{
	return mw_map_exprs(check_open(L)->map);
}

/* The number of an expression; whether it exists is for the pool to say. */
static uint32_t check_expr(lua_State *L, int index)
{
	lua_Number n = luaL_checknumber(L, index);
	luaL_argcheck(L, n >= 1 && n <= MW_EXPR_MAX && n == floor(n), index, "the number of an expression");
	return (uint32_t)n;
}

static enum mw_op check_op(lua_State *L, int index, enum mw_op first, enum mw_op last)
{
	const char *word = luaL_checkstring(L, index);
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		if (ops[i].op >= first && ops[i].op <= last && strcmp(ops[i].word, word) == 0)
			return ops[i].op;
	}
	luaL_argerror(L, index, "no such operation");
	return first;
}

static int fail(lua_State *L, struct mwl_map *m)
{
	struct mw_error e = mw_exprs_error(mw_map_exprs(m->map));
	if (e.code == MW_OK)
		e.code = MW_NO_MEMORY;
	return mwl_fail(L, &e);
}

static int push_expr(lua_State *L, uint32_t expr)
{
	if (expr == 0)
		return fail(L, mwl_check_map(L, 1));
	lua_pushinteger(L, (lua_Integer)expr);
	return 1;
}

static int answer(lua_State *L, enum mw_err err)
{
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_pushboolean(L, 1);
	return 1;
}

/* ---- expressions */

static int map_scope(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	return push_expr(L, mw_expr_scope(x, (enum mw_scope)luaL_checkoption(L, 2, NULL, scopes)));
}

static int map_member(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	return push_expr(L, mw_expr_member(x, check_expr(L, 2), mwl_check_span(L, 3)));
}

/* from 0; negative from the end */
static int map_element(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	uint32_t of = check_expr(L, 2);
	lua_Number i = luaL_checknumber(L, 3);
	luaL_argcheck(L, fabs(i) <= MW_EVENT_MAX && i == floor(i), 3, "a place in an array");
	return push_expr(L, mw_expr_element(x, of, (int64_t)i));
}

static int map_header(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	return push_expr(L, mw_expr_header(x, mwl_check_span(L, 2)));
}

/* 100 and 100.0 are the same constant, as on LuaJIT they are the same number. */
static uint32_t number(lua_State *L, struct mw_exprs *x, int index)
{
	int64_t i;
	if (mwl_exact_integer(L, index, &i))
		return mw_expr_int(x, i);
	double d = lua_tonumber(L, index);
	luaL_argcheck(L, isfinite(d), index, "JSON has no NaN or infinity");
	return mw_expr_double(x, d);
}

static int map_constant(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	switch (lua_type(L, 2)) {
	case LUA_TSTRING:
		return push_expr(L, mw_expr_string(x, mwl_check_span(L, 2)));
	case LUA_TNUMBER:
		return push_expr(L, number(L, x, 2));
	case LUA_TBOOLEAN:
		return push_expr(L, mw_expr_bool(x, lua_toboolean(L, 2)));
	case LUA_TLIGHTUSERDATA:
		luaL_argcheck(L, lua_touserdata(L, 2) == NULL, 2,
			      "the only pointer that means something is null");
		return push_expr(L, mw_expr_null(x));
	default:
		return luaL_argerror(L, 2, "expected a string, number, boolean or null");
	}
}

static int map_unary(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	enum mw_op op = check_op(L, 2, MW_OP_LOWER, MW_OP_SNAKE);
	return push_expr(L, mw_expr_unary(x, op, check_expr(L, 3)));
}

static int map_binary(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	enum mw_op op = check_op(L, 2, MW_OP_CONCAT, MW_OP_LOOKUP);
	return push_expr(L, mw_expr_binary(x, op, check_expr(L, 3), check_expr(L, 4)));
}

/* The sequence at `index` as expression numbers, in memory that Lua frees. Leaves that memory on the stack.
 */
static uint32_t *check_exprs_of(lua_State *L, int index, size_t *n)
{
	luaL_checktype(L, index, LUA_TTABLE);
	*n = lua_rawlen(L, index);
	luaL_argcheck(L, *n <= MW_EXPR_MAX, index, "more than 65535 expressions");
	uint32_t *numbers = lua_newuserdata(L, (*n + 1) * sizeof *numbers);
	for (size_t i = 0; i < *n; i++) {
		lua_rawgeti(L, index, (int)i + 1);
		numbers[i] = check_expr(L, -1);
		lua_pop(L, 1);
	}
	return numbers;
}

static int map_list(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	enum mw_op op = check_op(L, 2, MW_OP_ANY, MW_OP_NONE);
	size_t n;
	const uint32_t *items = check_exprs_of(L, 3, &n);
	return push_expr(L, mw_expr_list(x, op, items, n));
}

static int map_object(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	luaL_checktype(L, 2, LUA_TTABLE);
	size_t n;
	const uint32_t *values = check_exprs_of(L, 3, &n);
	luaL_argcheck(L, lua_rawlen(L, 2) == n, 2, "as many names as values");
	struct mw_span *names = lua_newuserdata(L, (n + 1) * sizeof *names);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, 2, (int)i + 1);
		luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "names are strings");
		names[i] = mwl_check_span(L, -1);
		lua_pop(L, 1); /* the table keeps the string alive */
	}
	return push_expr(L, mw_expr_object(x, names, values, n));
}

/* Keeps the function at `index` behind the userdata; its number is how the program calls it. */
static int keep_function(lua_State *L, struct mwl_map *m, int index)
{
	luaL_checktype(L, index, LUA_TFUNCTION);
	mwl_getuservalue(L, 1);
	lua_pushvalue(L, index);
	lua_rawseti(L, -2, m->functions + 1);
	lua_pop(L, 1);
	return ++m->functions;
}

static int map_apply(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	uint32_t a = check_expr(L, 2);
	return push_expr(L, mw_expr_apply(mw_map_exprs(m->map), a, keep_function(L, m, 3)));
}

static int map_place(lua_State *L)
{
	struct mw_exprs *x = check_exprs(L);
	mw_expr_place(x, check_expr(L, 2), mwl_check_span(L, 3));
	return 0;
}

/* ---- the source */

static int map_set(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	enum mw_map_part part = (enum mw_map_part)luaL_checkoption(L, 2, NULL, parts);
	mw_map_set(m->map, part, check_expr(L, 3));
	return 0;
}

static int map_policy(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	enum mw_missing_user missing = (enum mw_missing_user)luaL_checkoption(L, 2, NULL, missing_words);
	enum mw_unmatched unmatched = (enum mw_unmatched)luaL_checkoption(L, 3, NULL, unmatched_words);
	mw_map_policy(m->map, missing, unmatched);
	return 0;
}

static int map_ignore(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	return answer(L, mw_map_add_ignore(m->map, mwl_check_span(L, 2)));
}

/* Field `name` of the table at 3: an expression's number, or 0 where it has none. */
static uint32_t expr_field(lua_State *L, const char *name)
{
	uint32_t expr = 0;
	lua_getfield(L, 3, name);
	if (!lua_isnil(L, -1)) {
		if (lua_type(L, -1) != LUA_TNUMBER)
			luaL_error(L, "call: %s is not the number of an expression", name);
		expr = check_expr(L, -1);
	}
	lua_pop(L, 1);
	return expr;
}

static int map_call(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	struct mw_span event = mwl_check_span(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	struct mw_map_call call = {0};
	lua_getfield(L, 3, "call");
	if (lua_type(L, -1) != LUA_TSTRING || !mw_call_parse(mwl_check_span(L, -1), &call.call))
		return luaL_argerror(L, 3, "call is none of Segment's six");
	call.name = expr_field(L, "name");
	call.category = expr_field(L, "category");
	call.group_id = expr_field(L, "group_id");
	call.previous_id = expr_field(L, "previous_id");
	call.payload = expr_field(L, "payload");
	call.when = expr_field(L, "when");
	for (int part = 0; part < MW_PARTS; part++)
		call.parts[part] = expr_field(L, parts[part]);
	lua_getfield(L, 3, "place");
	call.place = mwl_check_span(L, -1);
	return answer(L, mw_map_add_call(m->map, event, &call));
}

static int map_entry(lua_State *L)
{
	struct mwl_map *m = check_open(L);
	struct mw_span event = mwl_check_span(L, 2);
	struct mw_span place = mwl_check_span(L, 4);
	return answer(L, mw_map_add_function(m->map, event, keep_function(L, m, 3), place));
}

static int map_slug(lua_State *L)
{
	struct mw_span slug = mw_map_slug(mwl_check_map(L, 1)->map);
	lua_pushlstring(L, (const char *)slug.at, slug.len);
	return 1;
}

/* The members that end every context: "integration":{...},"library":{...} */
static int map_stamp(lua_State *L)
{
	struct mw_span stamp = mw_map_stamp(mwl_check_map(L, 1)->map);
	lua_pushlstring(L, (const char *)stamp.at, stamp.len);
	return 1;
}

static int map_gc(lua_State *L)
{
	struct mwl_map *m = luaL_checkudata(L, 1, MWL_MAP);
	mw_map_free(m->map);
	m->map = NULL;
	return 0;
}

/* core.map { slug =, version =, library_name =, library_version = } */
static int new_map(lua_State *L)
{
	static const char *const names[] = {"slug", "version", "library_name", "library_version"};
	struct mw_span given[4];
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	for (int i = 0; i < 4; i++) {
		lua_getfield(L, 1, names[i]);
		if (lua_type(L, -1) != LUA_TSTRING)
			return luaL_error(L, "map: %s must be a string", names[i]);
		given[i] = mwl_check_span(L, -1);
	}
	struct mwl_map *m = mwl_newuserdata(L, sizeof *m);
	*m = (struct mwl_map){0};
	luaL_getmetatable(L, MWL_MAP);
	lua_setmetatable(L, -2);
	lua_newtable(L);
	mwl_setuservalue(L, -2);
	m->map = mw_map_new(given[0], given[1], given[2], given[3]);
	return m->map ? 1 : mwl_fail_code(L, MW_NO_MEMORY);
}

static const luaL_Reg methods[] = {
    {"scope", map_scope},   {"member", map_member},     {"element", map_element},
    {"header", map_header}, {"constant", map_constant}, {"unary", map_unary},
    {"binary", map_binary}, {"list", map_list},         {"apply", map_apply},
    {"object", map_object}, {"place", map_place},       {"set", map_set},
    {"policy", map_policy}, {"ignore", map_ignore},     {"call", map_call},
    {"entry", map_entry},   {"slug", map_slug},         {"stamp", map_stamp},
    {NULL, NULL},
};

void mwl_open_map(lua_State *L)
{
	luaL_newmetatable(L, MWL_MAP);
	lua_pushcfunction(L, map_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, new_map);
	lua_setfield(L, -2, "map");
}
