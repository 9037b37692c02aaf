/* commons.h -- what the processes that use one spool directory have in common, as one engine sees it.
 *
 *     <dir>/state/     accounts: write keys, looked up when a request is about to go (vault.h)
 *     <dir>/budget     the rate, all of them together (budget.h)
 *     <dir>/pN/board   this engine's counters, for others to read (board.h)
 *
 * Engines on many hosts have their rate in Redis: permits are then turns that somebody fetches from there
 * (core/turns.h, lessee.h), and the file is not used.
 *
 * An engine without a spool may use those of a directory all the same, but for the board. Without either
 * there are none: every call then answers as if there were no accounts and no limit. Owned by the engine's
 * thread, once it is open.
 */
#ifndef MW_COMMONS_H
#define MW_COMMONS_H

#include "../core/turns.h"
#include "board.h"
#include "budget.h"
#include "vault_app.h"

/* How soon a key that another process saved is noticed, and how often the board is written. */
#define MW_COMMONS_LOOK_MS 250

struct mw_commons {
	struct mw_state *state; /* NULL: no spool */
	struct mw_vault *vault;
	struct mw_budget *budget; /* NULL too if is_leased */
	struct mw_turns turns;
	bool is_leased;
	struct mw_board *board;
	uint64_t revision; /* of the vault, as of the last look */
	int64_t next_look;
};

struct mw_commons_config {
	const char *dir;
	unsigned partition;
	bool has_no_board; /* and no partition to keep it in */
	double rate;
	const char *master_key_file; /* NULL: the service manager's credential, if there is one */
};

/* The errors of vault.h and budget.h. Close it in any case. */
enum mw_err mw_commons_open(struct mw_commons *c, const struct mw_commons_config *config, struct mw_error *e);
void mw_commons_close(struct mw_commons *c);

/* Is it time for a look at the accounts and for the board? `wait_ms`: until then, if not. */
bool mw_commons_is_due(struct mw_commons *c, int64_t now, int64_t *wait_ms);

/* Names the accounts and the OAuth apps that were changed since the last look. */
void mw_commons_changes(struct mw_commons *c, mw_account_changed *changed, mw_app_changed *app_changed,
			void *context);

/* As mw_vault_get; MW_NO_ACCOUNT too where there is no vault. */
enum mw_err mw_commons_key(struct mw_commons *c, struct mw_span account, struct mw_key *key,
			   struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1], bool *paused,
			   struct mw_error *e);

/* Permits are turns from now on, at so many a second over all hosts; `room` requests may be out. */
void mw_commons_lease(struct mw_commons *c, double rate, uint64_t name, uint32_t room);

/* A permit of the common budget: 0, or ms to wait (MW_TURNS_NONE: for its turn, nobody knows how long). */
int64_t mw_commons_permit(struct mw_commons *c, struct mw_turn *turn, int64_t now_us);

/* A server closed our gate for so long: nobody else need try. */
void mw_commons_close_gate(struct mw_commons *c, int64_t now, int64_t for_ms);

#endif
