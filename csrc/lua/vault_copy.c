/* vault_copy.c -- vault:copy_in and vault:copy_out: sealed rows from and to elsewhere (io/vault_copy.h). */
#include "../io/vault_copy.h"

#include "vault.h"

static bool check_kind(lua_State *L, int index)
{
	static const char *const kinds[] = {"account", "app", NULL};
	return luaL_checkoption(L, index, NULL, kinds) == 1;
}

/* vault:copy_in(kind, { name, row, name, row, … }) -> how many changed | nil, message, code. Row false: gone.
 */
static int copy_in(lua_State *L)
{
	bool is_app = check_kind(L, 2);
	luaL_checktype(L, 3, LUA_TTABLE);
	size_t count = lua_rawlen(L, 3) / 2, changed = 0;
	struct mw_vault_copy *rows = mwl_newuserdata_plain(L, (count ? count : 1) * sizeof *rows);
	for (size_t i = 0; i < count; i++) {
		rows[i] = (struct mw_vault_copy){.is_app = is_app};
		lua_rawgeti(L, 3, (int)(2 * i + 1));
		lua_rawgeti(L, 3, (int)(2 * i + 2));
		luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 3, "names and rows");
		/* The table keeps them. */
		rows[i].name = mwl_check_span(L, lua_gettop(L) - 1);
		if (lua_toboolean(L, -1))
			rows[i].row = mwl_check_span(L, lua_gettop(L));
		lua_pop(L, 2);
	}
	struct mwl_vault *v = mwl_check_vault(L);
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_vault_copy_in(v->vault, rows, count, &changed, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushinteger(L, (lua_Integer)changed);
	return 1;
}

/* vault:copy_out(kind, name) -> row, false if there is none | nil, message, code */
static int copy_out(lua_State *L)
{
	struct mwl_vault *v = mwl_check_vault(L);
	bool is_app = check_kind(L, 2);
	uint8_t row[MW_VAULT_ROW_MAX];
	size_t len;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_vault_copy_out(v->vault, is_app, mwl_check_span(L, 3), row, &len, &e) != MW_OK)
		return mwl_fail(L, &e);
	if (len > 0)
		lua_pushlstring(L, (const char *)row, len);
	else
		lua_pushboolean(L, 0);
	return 1;
}

void mwl_open_vault_copy(lua_State *L)
{
	static const luaL_Reg methods[] = {{"copy_in", copy_in}, {"copy_out", copy_out}, {NULL, NULL}};
	luaL_setfuncs(L, methods, 0);
}
