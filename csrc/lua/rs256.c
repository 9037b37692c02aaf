/* rs256.c -- core.rs256(public_key, text, signature): was it signed so? For those who play the other
 * side.
 */
#include "../io/rsa_key.h"
#include "mwl.h"

/* core.rs256(pem, text, signature) -> boolean | nil, message, code ("bad_key": pem is no public RSA key) */
static int rs256(lua_State *L)
{
	struct mw_error e;
	mw_error_clear(&e);
	enum mw_err err =
	    mw_rsa_key_verify(mwl_check_span(L, 1), mwl_check_span(L, 2), mwl_check_span(L, 3), &e);
	if (err != MW_OK && err != MW_INVALID)
		return mwl_fail(L, &e);
	lua_pushboolean(L, err == MW_OK);
	return 1;
}

void mwl_open_rs256(lua_State *L)
{
	lua_pushcfunction(L, rs256);
	lua_setfield(L, -2, "rs256");
}
