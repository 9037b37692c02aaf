/* vault.h -- what vault.c (accounts) and vault_app.c (OAuth apps) share. */
#ifndef MWL_VAULT_H
#define MWL_VAULT_H

#include "../io/vault_app.h"
#include "mwl.h"

struct mwl_vault {
	struct mw_state *state;
	struct mw_vault *vault; /* NULL: closed */
	struct mw_buf names;    /* while a list is made: each a byte of length and the name */
	uint8_t *typed;         /* while a key is read: locked memory */
};

/* Raises if it is none, or closed. */
struct mwl_vault *mwl_check_vault(lua_State *L);

/* The string in member `name` of the table at `index`, NULL if there is none. It stays in the table. */
const char *mwl_opt_text(lua_State *L, int index, const char *name, size_t *len);

/* Of the table on top. */
void mwl_set_text(lua_State *L, const char *name, const void *text, size_t len);
void mwl_set_flag(lua_State *L, const char *name, bool flag);

/* Names for a list; the room is the vault's. */
struct mwl_names {
	struct mw_buf *buf;
	enum mw_err err;
};
struct mwl_names mwl_names_start(struct mwl_vault *v);
void mwl_names_add(struct mwl_names *n, struct mw_span name);

/* true, or what is in e. */
int mwl_answer(lua_State *L, const struct mw_error *e);

/* The methods about apps, into the table on top. */
void mwl_open_vault_apps(lua_State *L);

/* The methods that copy rows, likewise. */
void mwl_open_vault_copy(lua_State *L);

#endif
