/* vault_copy.h -- rows of a vault, sealed as they are, into another one: how hosts have their accounts in
 * common.
 *
 * The accounts of many hosts lie in Redis, each host's vault is a copy of them (moonweir.redis.accounts), and
 * the engine looks keys up in that, at send time, without a round trip. Rows cross the network sealed: nobody
 * on the way can read or exchange them (account_row.h). A copied row gets the next revision of the vault it
 * comes to, so that mw_vault_changes tells of it there.
 */
#ifndef MW_VAULT_COPY_H
#define MW_VAULT_COPY_H

#include "app_row.h"
#include "vault.h"

enum {
	MW_VAULT_ROW_MAX =
	    (int)MW_APP_ROW_MAX > (int)MW_ACCOUNT_ROW_MAX ? (int)MW_APP_ROW_MAX : (int)MW_ACCOUNT_ROW_MAX
};

/* One row. Its `at` NULL: there is none any more. */
struct mw_vault_copy {
	bool is_app;
	struct mw_span name;
	struct mw_span row;
};

/* All of them in one commit, or none. `changed` counts those that were not here alike already. What is no row
 * of ours is taken as it is, and is damaged here as it was there. */
enum mw_err mw_vault_copy_in(struct mw_vault *v, const struct mw_vault_copy *rows, size_t count,
			     size_t *changed, struct mw_error *e);

/* The row as it lies here; a length of 0: there is none. */
enum mw_err mw_vault_copy_out(struct mw_vault *v, bool is_app, struct mw_span name,
			      uint8_t row[MW_VAULT_ROW_MAX], size_t *len, struct mw_error *e);

#endif
