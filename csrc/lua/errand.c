/* errand.c -- one HTTP request by a thread of its own: core.errand{ url =, … }, errand:answer().
 *
 *     local x = core.errand { url = "https://id.example/token", form = "grant_type=…", user = id,
 *                             password = secret }
 *     local status, body = x:answer()     -- nil: not yet; nil, message, "io": there will be none
 */
#include "../io/http_errand.h"
#include "mwl.h"

#define MWL_ERRAND "moonweir.errand"

enum { TIMEOUT_MS = 20000 };

struct mwl_errand {
	struct mw_errand *errand; /* NULL: closed */
};

/* Stays in the table, which stays on the stack. */
static const char *text_of(lua_State *L, const char *name, size_t *len)
{
	lua_getfield(L, 1, name);
	if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "%s must be a string", name);
	const char *text = lua_tolstring(L, -1, len);
	lua_pop(L, 1);
	return text;
}

/* core.errand{ url =, form =, user =, password =, bearer =, proxy =, ca_file = } -> errand | nil, message,
 * code. With a form it is a POST, else a GET. */
static int errand_new(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	struct mw_errand_config c = {.timeout_ms = TIMEOUT_MS};
	c.url = text_of(L, "url", NULL);
	c.form.at = (const uint8_t *)text_of(L, "form", &c.form.len);
	c.user = text_of(L, "user", NULL);
	c.password = text_of(L, "password", NULL);
	c.bearer = text_of(L, "bearer", NULL);
	c.proxy = text_of(L, "proxy", NULL);
	c.ca_file = text_of(L, "ca_file", NULL);
	luaL_argcheck(L, c.url, 1, "a URL is needed");
	struct mwl_errand *x = mwl_newuserdata_plain(L, sizeof *x);
	x->errand = NULL;
	luaL_getmetatable(L, MWL_ERRAND);
	lua_setmetatable(L, -2);
	struct mw_error e;
	mw_error_clear(&e);
	return mw_errand_start(&c, &x->errand, &e) == MW_OK ? 1 : mwl_fail(L, &e);
}

static int errand_close(lua_State *L)
{
	struct mwl_errand *x = luaL_checkudata(L, 1, MWL_ERRAND);
	mw_errand_free(x->errand);
	x->errand = NULL;
	return 0;
}

/* errand:answer() -> status, body | nil while it is under way | nil, message, code */
static int errand_answer(lua_State *L)
{
	struct mwl_errand *x = luaL_checkudata(L, 1, MWL_ERRAND);
	if (!x->errand)
		return luaL_error(L, "this errand is closed");
	if (!mw_errand_is_done(x->errand)) {
		lua_pushnil(L);
		return 1;
	}
	int status;
	struct mw_span body;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_errand_answer(x->errand, &status, &body, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushinteger(L, status);
	lua_pushlstring(L, (const char *)body.at, body.len);
	return 2;
}

void mwl_open_errand(lua_State *L)
{
	static const luaL_Reg methods[] = {{"answer", errand_answer}, {"close", errand_close}, {NULL, NULL}};
	luaL_newmetatable(L, MWL_ERRAND);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, errand_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, errand_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, errand_new);
	lua_setfield(L, -2, "errand");
}
