/* vault_app.h -- OAuth apps: with whose client id and private key do accounts get their tokens?
 *
 *     mw_vault_app_set(v, MW_SPAN("segment"), &(struct mw_app_change){.client_id = id, .key_id = kid,
 *                                                                     .private_key = pem}, &e);
 *     mw_vault_set(v, MW_SPAN("acme"), &(struct mw_account_change){.app = MW_SPAN("segment")}, &e);
 *     mw_vault_app_get(v, MW_SPAN("segment"), &app, &e);                  when a token is to be asked for
 *
 * An app lies in the same state as the accounts and is shared by any number of them. Its private key is
 * sealed with the master key and leaves in clear but through mw_vault_app_get, into the secret heap; people
 * are shown the public key's fingerprint. Each change gives it the next of the revisions that it shares with
 * the accounts. An app is named by 1 to 64 letters, digits, '.', '_' and '-'.
 *
 * Threads and fork as in vault.h.
 */
#ifndef MW_VAULT_APP_H
#define MW_VAULT_APP_H

#include "app_row.h"
#include "vault.h"

/* Members whose `at` is NULL stay as they were. A new app needs the first three; its scope is then
 * MW_APP_SCOPE, its token server that of each account's region. */
struct mw_app_change {
	struct mw_span client_id, key_id; /* mw_oauth_id_check */
	struct mw_span private_key;       /* PEM: rsa_key.h */
	struct mw_span scope;             /* mw_oauth_scope_check */
	struct mw_span token_server;      /* "us", "eu" or a URL (endpoint.h); "": the account's region's */
};
#define MW_APP_SCOPE "tracking_api:write"

/* MW_BAD_KEY, MW_BAD_ENDPOINT and MW_INVALID say what is wrong; MW_BAD_MASTER_KEY and MW_CORRUPT as
 * mw_vault_set, but that only giving all of it replaces what can't be opened. */
enum mw_err mw_vault_app_set(struct mw_vault *v, struct mw_span app, const struct mw_app_change *c,
			     struct mw_error *e);

/* MW_INVALID while accounts send with it: it says how many, and one of them. MW_NO_ACCOUNT: there is none. */
enum mw_err mw_vault_app_remove(struct mw_vault *v, struct mw_span app, struct mw_error *e);

/* What an assertion is made of. */
struct mw_app {
	uint64_t revision;
	size_t client_id_len, key_id_len, scope_len;
	char client_id[MW_OAUTH_ID_MAX], key_id[MW_OAUTH_ID_MAX], scope[MW_OAUTH_SCOPE_MAX];
	bool has_token_server;
	struct mw_token_server token_server;
	size_t der_len;
	uint8_t der[MW_RSA_DER_MAX];
};

/* A new one in the secret heap, to be given back with mw_app_free. MW_NO_ACCOUNT, MW_BAD_MASTER_KEY,
 * MW_CORRUPT. */
enum mw_err mw_vault_app_get(struct mw_vault *v, struct mw_span app, struct mw_app **out, struct mw_error *e);
void mw_app_free(struct mw_app *a); /* wipes; NULL is fine */

/* The token server alone, which needs no master key. `*own` false: that of the account's region. */
enum mw_err mw_vault_app_server(struct mw_vault *v, struct mw_span app, bool *own,
				struct mw_token_server *out, struct mw_error *e);

/* An app as it may be shown to people. Texts are borrowed until the call that told them returns. */
struct mw_app_info {
	struct mw_span app;
	bool damaged; /* nothing below is known */
	bool foreign; /* as mw_account_info's */
	unsigned bits;
	char kid[MW_KID_TEXT], fingerprint[2 * MW_FINGERPRINT_LEN + 1];
	struct mw_span client_id, key_id, scope, token_server;
	uint64_t revision;
	int64_t updated_at;
};
typedef void mw_app_told(void *context, const struct mw_app_info *info);

/* As mw_vault_show and mw_vault_each. */
enum mw_err mw_vault_app_show(struct mw_vault *v, struct mw_span app, mw_app_told *tell, void *context,
			      struct mw_error *e);
enum mw_err mw_vault_app_each(struct mw_vault *v, mw_app_told *tell, void *context, struct mw_error *e);

/* Names each app that was changed after `revision`, with its own. Looks at all of them: for when
 * mw_vault_changes found that something changed. */
typedef void mw_app_changed(void *context, struct mw_span app, uint64_t revision);
enum mw_err mw_vault_app_changes(struct mw_vault *v, uint64_t revision, mw_app_changed *changed,
				 void *context, struct mw_error *e);

#endif
