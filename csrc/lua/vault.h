/* vault.h -- what vault.c (accounts) and vault_app.c (OAuth apps) share. */
#ifndef MWL_VAULT_H
#define MWL_VAULT_H

#include "../io/vault_app.h"
#include "mwl.h"

struct mwl_vault {
	struct mw_state *state;
	struct mw_vault *vault; /* NULL: closed */
	uint8_t *typed;         /* while a key is read: locked memory */
};

/* Raises if it is none, or closed. */
struct mwl_vault *mwl_check_vault(lua_State *L);

/* The string in member `name` of the table at `index`, NULL if there is none. It stays in the table. */
const char *mwl_opt_text(lua_State *L, int index, const char *name, size_t *len);

/* Names for a list: each a byte of length and the name. Their room is pushed. */
struct mwl_names {
	struct mw_buf *buf;
	enum mw_err err;
};
struct mwl_names mwl_names_start(lua_State *L);
void mwl_names_add(struct mwl_names *n, struct mw_span name);

/* Pushes a table about what is called so: MW_OK, or MW_CORRUPT for one that is damaged, of which it says
 * little. Else nothing. */
typedef enum mw_err mwl_tell(lua_State *L, struct mw_vault *v, struct mw_span name, struct mw_error *e);
/* Pushes the list of such tables of the vault at 1, or nil, message, code: what is in `e` already, or comes.
 * Returns how many.
 */
int mwl_names_tell(lua_State *L, const struct mwl_names *names, mwl_tell *tell_one, struct mw_error *e);

/* true, or what is in e. */
int mwl_answer(lua_State *L, const struct mw_error *e);

/* The methods about apps, into the table on top. */
void mwl_open_vault_apps(lua_State *L);

/* The methods that copy rows, likewise. */
void mwl_open_vault_copy(lua_State *L);

#endif
