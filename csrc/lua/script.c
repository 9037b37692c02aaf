/* script.c -- the script's functions, called by the mapper: entries, and :apply on one field.
 *
 * The mapper is C that a longjmp must not cross. So whatever may raise, be it the script or Lua out of
 * memory, happens below a lua_pcall: the mapper calls entry or apply, which call `enter_entry` or
 * `enter_apply` under the guard, and only these make Lua values.
 */
#include "../core/utf8.h"
#include "mwl.h"

#include <math.h>

/* Places in the kept table, and the upvalues of what is there. */
enum { KEPT_ENTRY = 1, KEPT_APPLY };
enum { UPVALUE_FUNCTIONS = 1, UPVALUE_EMIT };

/* Calls the function at `under` of the kept table with `call`. */
static enum mw_err enter(struct mwl_script *s, int under, void *call, struct mw_error *e)
{
	lua_State *L = s->L;
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->kept);
	lua_rawgeti(L, -1, under);
	lua_replace(L, -2);
	lua_pushlightuserdata(L, call);
	return mwl_guard_call(&s->guard, 1, 0, e);
}

struct entry_call {
	struct mwl_script *s;
	int function;
	uint32_t event;
};

/* stack: struct entry_call */
static int enter_entry(lua_State *L)
{
	const struct entry_call *call = lua_touserdata(L, 1);
	lua_rawgeti(L, lua_upvalueindex(UPVALUE_FUNCTIONS), call->function);
	mwl_view_push(L, call->s->views, call->event);
	lua_pushvalue(L, lua_upvalueindex(UPVALUE_EMIT));
	lua_call(L, 2, 0);
	return 0;
}

static enum mw_err too_deep(struct mw_error *e)
{
	return mw_error_set(e, MW_MAPPING, 0, "functions that call the mapping nest too deep");
}

enum mw_err mwl_script_entry(struct mwl_script *s, int function, struct mw_mapper *mapper,
			     const struct mw_json *doc, uint32_t event, struct mw_error *e)
{
	struct entry_call call = {.s = s, .function = function, .event = event};
	if (!mwl_views_begin(s->views, doc, s))
		return too_deep(e);
	s->mapper = mapper;
	s->emitting = false;
	s->emitted.code = MW_OK;
	enum mw_err err = enter(s, KEPT_ENTRY, &call, e);
	s->mapper = NULL;
	mwl_views_end(s->views);
	/* The script may have caught what emit raised and gone on; then it is no longer the reason. */
	if (err == MW_MAPPING && s->emitted.code != MW_OK && strstr(e->detail, s->emitted.detail))
		e->code = err = s->emitted.code;
	return err;
}

struct apply_call {
	struct mwl_script *s;
	int function;
	const struct mw_json *doc;
	const struct mw_value *argument;
	struct mw_arena *arena;
	struct mw_value *result;
};

static int no_memory(lua_State *L)
{
	return luaL_error(L, "%s", mw_err_sentence(MW_NO_MEMORY));
}

static void push_argument(lua_State *L, const struct apply_call *call)
{
	struct mwl_script *s = call->s;
	const struct mw_value *v = call->argument;
	struct mw_span text;
	switch (v->kind) {
	case MW_VALUE_ABSENT:
		lua_pushnil(L);
		break;
	case MW_VALUE_FALSE:
	case MW_VALUE_TRUE:
		lua_pushboolean(L, v->kind == MW_VALUE_TRUE);
		break;
	case MW_VALUE_INT:
		mwl_integer_push(L, v->i);
		break;
	case MW_VALUE_DOUBLE:
		lua_pushnumber(L, v->d);
		break;
	case MW_VALUE_NUMBER:
		mwl_number_push(L, v->text);
		break;
	case MW_VALUE_CHARS:
	case MW_VALUE_ESCAPED:
		if (!mw_value_chars(v, call->arena, &text))
			no_memory(L);
		lua_pushlstring(L, (const char *)text.at, text.len);
		break;
	case MW_VALUE_NODE:
		mwl_view_push(L, s->views, v->node);
		break;
	case MW_VALUE_NODES:
		lua_createtable(L, (int)v->count, 0);
		for (uint32_t i = 0; i < v->count; i++) {
			mwl_view_push(L, s->views, v->nodes[i]);
			lua_rawseti(L, -2, (int)i + 1);
		}
		break;
	case MW_VALUE_JSON:
		if (mw_json_read(&s->answer, v->text.at, v->text.len, NULL) != MW_OK)
			no_memory(L);
		mwl_decode_push(L, &s->answer, 0, &s->text);
		break;
	}
}

static struct mw_span copy(lua_State *L, const struct apply_call *call, struct mw_span text)
{
	struct mw_span kept = {NULL, 0};
	if (!mw_arena_copy(call->arena, text, &kept))
		no_memory(L);
	return kept;
}

static struct mw_value number_result(lua_State *L)
{
	int64_t i;
	if (mwl_exact_integer(L, -1, &i))
		return (struct mw_value){.kind = MW_VALUE_INT, .i = i};
	double d = lua_tonumber(L, -1);
	if (!isfinite(d))
		luaL_error(L, "the function returned %s; JSON has no word for it",
			   isnan(d) ? "NaN" : "infinity");
	return (struct mw_value){.kind = MW_VALUE_DOUBLE, .d = d};
}

static struct mw_value string_result(lua_State *L, const struct apply_call *call)
{
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);
	if (mw_utf8_valid(text, len) != len)
		luaL_error(L, "the function returned text that is not UTF-8");
	return (struct mw_value){.kind = MW_VALUE_CHARS,
				 .text = copy(L, call, (struct mw_span){(const uint8_t *)text, len})};
}

/* A table, a part of the event or digits: as finished JSON. */
static struct mw_value json_result(lua_State *L, const struct apply_call *call)
{
	struct mw_buf *text = &call->s->text;
	struct mw_error e = {0};
	const struct mw_json *doc;
	struct mw_value v = {.kind = MW_VALUE_JSON};
	if (mwl_view_get(L, -1, &doc, &v.node) && doc == call->doc) {
		v.kind = MW_VALUE_NODE;
		return v;
	}
	if (mwl_digits_get(L, -1).at)
		v.kind = MW_VALUE_NUMBER;
	mw_buf_clear(text);
	if (mwl_table_write(L, -1, text, &e) != MW_OK)
		luaL_error(L, "the function returned %s", e.detail);
	v.text = copy(L, call, mw_buf_span(text));
	return v;
}

static struct mw_value take_result(lua_State *L, const struct apply_call *call)
{
	switch (lua_type(L, -1)) {
	case LUA_TNIL:
		return (struct mw_value){.kind = MW_VALUE_ABSENT};
	case LUA_TBOOLEAN:
		return (struct mw_value){.kind = lua_toboolean(L, -1) ? MW_VALUE_TRUE : MW_VALUE_FALSE};
	case LUA_TNUMBER:
		return number_result(L);
	case LUA_TSTRING:
		return string_result(L, call);
	default:
		return json_result(L, call);
	}
}

/* stack: struct apply_call */
static int enter_apply(lua_State *L)
{
	const struct apply_call *call = lua_touserdata(L, 1);
	lua_rawgeti(L, lua_upvalueindex(UPVALUE_FUNCTIONS), call->function);
	push_argument(L, call);
	lua_call(L, 1, 1);
	*call->result = take_result(L, call);
	return 0;
}

enum mw_err mwl_script_apply(struct mwl_script *s, int function, const struct mw_json *doc,
			     const struct mw_value *argument, struct mw_arena *arena, struct mw_value *result,
			     struct mw_error *e)
{
	struct apply_call call = {
	    .s = s, .function = function, .doc = doc, .argument = argument, .arena = arena, .result = result};
	if (!mwl_views_begin(s->views, doc, s))
		return too_deep(e);
	enum mw_err err = enter(s, KEPT_APPLY, &call, e);
	mwl_views_end(s->views);
	return err;
}

void mwl_script_push(lua_State *L, struct mwl_script *s, int owner, int functions)
{
	lua_createtable(L, 2, 0);
	lua_pushvalue(L, functions);
	mwl_emit_push(L, s, owner);
	lua_pushcclosure(L, enter_entry, 2);
	lua_rawseti(L, -2, KEPT_ENTRY);
	lua_pushvalue(L, functions);
	lua_pushcclosure(L, enter_apply, 1);
	lua_rawseti(L, -2, KEPT_APPLY);
}
