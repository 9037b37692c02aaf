/* digits.c -- numbers between JSON and Lua, none of which loses a digit on the way.
 *
 * Lua 5.4 has 64-bit integers, LuaJIT only doubles, JSON any number of digits. An integer that does not fit
 * becomes a small userdata that prints and joins like the number it stands for, and is sent as it came:
 *
 *     event.id                 12345678901234567890
 *     "order " .. event.id     "order 12345678901234567890"
 *
 * It does not calculate: whatever has that many digits is an id. A number with a fraction is the nearest
 * double, as everywhere; one that is beyond all doubles (1e400) stays digits.
 */
#include "../core/number.h"
#include "mwl.h"

#include <math.h>

static const double EXACT_MAX = 9007199254740992.0; /* 2^53 */

bool mwl_exact_integer(lua_State *L, int index, int64_t *out)
{
	if (lua_isinteger(L, index)) {
		*out = (int64_t)lua_tointeger(L, index);
		return true;
	}
	double d = lua_tonumber(L, index);
	if (!(d >= -EXACT_MAX && d <= EXACT_MAX))
		return false;
	*out = (int64_t)d;
	return !((double)*out < d) && !((double)*out > d);
}

static void push_digits(lua_State *L, struct mw_span text)
{
	char *digits = mwl_newuserdata_plain(L, text.len);
	memcpy(digits, text.at, text.len);
	luaL_getmetatable(L, MWL_DIGITS);
	lua_setmetatable(L, -2);
}

static bool is_integer_text(struct mw_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.at[i];
		if (c == '.' || c == 'e' || c == 'E')
			return false;
	}
	return true;
}

/* False if no Lua number holds it. */
static bool push_exact(lua_State *L, int64_t i)
{
	if (MWL_HAS_INTEGERS)
		lua_pushinteger(L, (lua_Integer)i);
	else if (i >= -(int64_t)EXACT_MAX && i <= (int64_t)EXACT_MAX)
		lua_pushnumber(L, (lua_Number)i);
	else
		return false;
	return true;
}

void mwl_integer_push(lua_State *L, int64_t i)
{
	char digits[MW_NUMBER_MAX];
	if (!push_exact(L, i))
		push_digits(L, (struct mw_span){(const uint8_t *)digits, mw_number_write_int64(i, digits)});
}

void mwl_number_push(lua_State *L, struct mw_span text)
{
	int64_t i;
	if (mw_number_read_int64(text, &i)) {
		if (!push_exact(L, i))
			push_digits(L, text);
		return;
	}
	double d = is_integer_text(text) ? (double)INFINITY : mw_number_read_double(text);
	if (isfinite(d))
		lua_pushnumber(L, d);
	else
		push_digits(L, text);
}

struct mw_span mwl_digits_get(lua_State *L, int index)
{
	const uint8_t *digits = luaL_testudata(L, index, MWL_DIGITS);
	return (struct mw_span){digits, digits ? lua_rawlen(L, index) : 0};
}

static int digits_tostring(lua_State *L)
{
	luaL_checkudata(L, 1, MWL_DIGITS);
	struct mw_span text = mwl_digits_get(L, 1);
	lua_pushlstring(L, (const char *)text.at, text.len);
	return 1;
}

/* Either side may be the digits; the other must be what Lua joins too. */
static int digits_concat(lua_State *L)
{
	for (int i = 1; i <= 2; i++) {
		struct mw_span text = mwl_digits_get(L, i);
		if (text.at)
			lua_pushlstring(L, (const char *)text.at, text.len);
		else if (lua_isstring(L, i))
			lua_pushvalue(L, i);
		else
			return luaL_error(L, "attempt to concatenate a %s value with a number",
					  luaL_typename(L, i));
	}
	lua_concat(L, 2);
	return 1;
}

static int digits_eq(lua_State *L)
{
	struct mw_span a = mwl_digits_get(L, 1), b = mwl_digits_get(L, 2);
	lua_pushboolean(L, a.at && b.at && a.len == b.len && memcmp(a.at, b.at, a.len) == 0);
	return 1;
}

void mwl_open_digits(lua_State *L)
{
	static const luaL_Reg metamethods[] = {
	    {"__tostring", digits_tostring},
	    {"__concat", digits_concat},
	    {"__eq", digits_eq},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_DIGITS);
	luaL_setfuncs(L, metamethods, 0);
	lua_pushliteral(L, MWL_DIGITS);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
