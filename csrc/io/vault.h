/* vault.h -- accounts: whose write key, sent where, and is it to be sent at all?
 *
 *     mw_vault_open(state, "/etc/acme/master-key", &v, &e);
 *     mw_vault_set(v, MW_SPAN("acme"), &(struct mw_account_change){.write_key = key, .endpoint = eu}, &e);
 *     mw_vault_get(v, MW_SPAN("acme"), &key, &endpoint, &paused, &e);        at send time: 1.4 us
 *     mw_vault_changes(v, &revision, changed, context, &e);                  0.2 us if nobody changed
 *
 * It lies in the state that all processes of a host share (state.h): what one process saves, the next get of
 * any other finds. Write keys are sealed with the master key (account_row.h, master_key.h) and never leave in
 * clear but through mw_vault_get; all else that is told of a key is its last four characters.
 *
 * Without a master key accounts can be listed, labelled, paused, resumed and removed; saving or fetching a
 * key and changing an endpoint, which the seal covers, is MW_BAD_MASTER_KEY.
 *
 * Each change of an account gives it the next revision of a counter that all accounts share.
 *
 * An account is named by 1 to 255 bytes of UTF-8. Borrows the state, which must outlive it. Thread-safe;
 * after fork() every call is MW_FORKED. A change is one synced commit, a few ms, and waits for other writers.
 */
#ifndef MW_VAULT_H
#define MW_VAULT_H

#include "account_row.h"
#include "state.h"

struct mw_vault;

/* `master_key_file` NULL: the service manager's credential, if there is one (mw_master_key_load). */
enum mw_err mw_vault_open(struct mw_state *s, const char *master_key_file, struct mw_vault **out,
			  struct mw_error *e);
void mw_vault_close(struct mw_vault *v); /* before its state; wipes the master key; NULL is fine */
bool mw_vault_has_master_key(const struct mw_vault *v);

/* Members whose `at` is NULL stay as they were. An empty endpoint is the engine's own, an empty label none.
 */
struct mw_account_change {
	struct mw_span write_key;
	struct mw_span endpoint; /* "us", "eu" or a URL: endpoint.h */
	struct mw_span label;    /* UTF-8, at most MW_LABEL_MAX bytes */
	struct mw_span
	    app; /* sends with this OAuth app's tokens (vault_app.h); empty: Basic authentication */
};

/* Changes an account or makes it, active. MW_BAD_KEY and MW_BAD_ENDPOINT say what is wrong and never quote a
 * key; MW_INVALID: the name or the label; MW_NO_ACCOUNT: the OAuth app; MW_BAD_MASTER_KEY: none, or what is
 * there was sealed with another, which only giving both key and endpoint replaces; MW_CORRUPT likewise. */
enum mw_err mw_vault_set(struct mw_vault *v, struct mw_span account, const struct mw_account_change *change,
			 struct mw_error *e);

/* MW_NO_ACCOUNT if it is not there. A paused account stays paused when its key is set. */
enum mw_err mw_vault_pause(struct mw_vault *v, struct mw_span account, struct mw_error *e);
enum mw_err mw_vault_resume(struct mw_vault *v, struct mw_span account, struct mw_error *e);
enum mw_err mw_vault_remove(struct mw_vault *v, struct mw_span account, struct mw_error *e);

/* The key to send with, and `app` to send it with, "" for Basic authentication. `endpoint` is left alone if
 * the account has none of its own; `paused` is told whenever the account could be read, even if its key
 * can't. MW_NO_ACCOUNT; MW_BAD_KEY: no key was set yet; MW_BAD_MASTER_KEY; MW_CORRUPT. On every error `key`
 * is empty. The caller wipes `key` (sodium_memzero). */
enum mw_err mw_vault_get(struct mw_vault *v, struct mw_span account, struct mw_key *key,
			 struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1], bool *paused,
			 struct mw_error *e);

/* An account as it may be shown to people. Texts are borrowed until the call that told them returns. */
struct mw_account_info {
	struct mw_span account;
	bool damaged; /* nothing below is known */
	bool paused;
	bool has_key;
	bool foreign; /* sealed with a master key that is not the one given (false if none was) */
	char last[MW_LAST_LEN + 1];
	char kid[MW_KID_TEXT];
	struct mw_span endpoint; /* as it was set; "" if it was not */
	struct mw_span label;
	struct mw_span app; /* "": Basic authentication */
	uint64_t revision;
	int64_t updated_at; /* ms since 1970 */
};
typedef void mw_account_told(void *context, const struct mw_account_info *info);

/* One account; MW_NO_ACCOUNT, MW_CORRUPT. Or all of them, in the order of their names' bytes. `tell` must not
 * call the vault and must return. */
enum mw_err mw_vault_show(struct mw_vault *v, struct mw_span account, mw_account_told *tell, void *context,
			  struct mw_error *e);
enum mw_err mw_vault_each(struct mw_vault *v, mw_account_told *tell, void *context, struct mw_error *e);

/* The revision of the latest change, 0 before the first: where to begin watching. */
enum mw_err mw_vault_revision(struct mw_vault *v, uint64_t *revision, struct mw_error *e);

/* Names each account that was changed or removed after `*revision`, some perhaps twice, and moves `*revision`
 * to the latest. What it is now, mw_vault_get knows. Removals are remembered for a day: who looks less often
 * may miss one. `changed` as `tell` above. */
typedef void mw_account_changed(void *context, struct mw_span account);
enum mw_err mw_vault_changes(struct mw_vault *v, uint64_t *revision, mw_account_changed *changed,
			     void *context, struct mw_error *e);

#endif
