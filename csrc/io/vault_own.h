/* vault_own.h -- what vault.c (changing), vault_read.c (reading), vault_copy.c (rows from elsewhere) and
 * vault_app.c (OAuth apps) share. */
#ifndef MW_VAULT_OWN_H
#define MW_VAULT_OWN_H

#include "vault.h"

#include <lmdb.h>

enum { MW_REVISION_LEN = 8, MW_REMOVED_AT_LEN = 8 };

struct mw_vault {
	struct mw_state *state;
	struct mw_master_key master;
	MDB_dbi accounts;    /* name -> row */
	MDB_dbi by_revision; /* revision, big-endian -> name; at 0 the counter itself */
	MDB_dbi apps;        /* name -> row (app_row.h); vault_app.c */
	MDB_dbi removed;     /* revision, big-endian -> when in ms, little-endian, and name */
};

/* So much of an account's name fits into a message. */
#define MW_ACCOUNT_NAMED      "account \"%.*s\""
#define MW_ACCOUNT_NAME(span) (span).len > 64 ? 64 : (int)(span).len, (const char *)(span).at

enum mw_err mw_vault_no_account(struct mw_span account, struct mw_error *e);
enum mw_err mw_vault_damaged(struct mw_span account, struct mw_error *e);

/* Opens the row's seal, or says which master key it wants or that it is damaged. */
enum mw_err mw_vault_open_row(const struct mw_vault *v, struct mw_span account,
			      const struct mw_account_row *r, struct mw_key *key, struct mw_error *e);

void mw_revision_put(uint8_t key[MW_REVISION_LEN], uint64_t revision);
uint64_t mw_revision_get(MDB_val v);

/* The counter; 0 if nothing was ever changed. LMDB's answer. */
int mw_vault_read_counter(const struct mw_vault *v, MDB_txn *txn, uint64_t *revision);

/* The next revision, taken. */
int mw_vault_next_revision(const struct mw_vault *v, MDB_txn *txn, uint64_t *revision);

/* Writing, LMDB's answers: the account's row under its next revision; instead of it that it was removed; no
 * longer the name under a revision that it had. */
int mw_vault_put_row(const struct mw_vault *v, MDB_txn *txn, struct mw_span account, struct mw_span row,
		     uint64_t revision);
int mw_vault_note_removal(const struct mw_vault *v, MDB_txn *txn, struct mw_span account, uint64_t revision,
			  int64_t now);
int mw_vault_forget_revision(const struct mw_vault *v, MDB_txn *txn, uint64_t revision);

/* Calls for each row of the accounts or apps. */
typedef void mw_vault_row(const struct mw_vault *v, struct mw_span name, struct mw_span row, void *context);
enum mw_err mw_vault_walk(struct mw_vault *v, MDB_dbi db, mw_vault_row *each, void *context,
			  struct mw_error *e);

/* Since 1970. */
int64_t mw_vault_now_ms(void);

/* MW_INVALID: not the name of an app. MW_NO_ACCOUNT: there is none of this name. */
enum mw_err mw_vault_app_name_check(struct mw_span app, struct mw_error *e);
enum mw_err mw_vault_app_exists(const struct mw_vault *v, MDB_txn *txn, struct mw_span app,
				struct mw_error *e);

static inline MDB_val mw_value_of(struct mw_span s)
{
	return (MDB_val){s.len, (void *)(uintptr_t)s.at};
}

static inline struct mw_span mw_span_of(MDB_val v)
{
	return (struct mw_span){v.mv_data, v.mv_size};
}

#endif
