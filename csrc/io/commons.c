#include "commons.h"

#include <stdio.h>

enum { PATH_ROOM = 4096 };

enum mw_err mw_commons_open(struct mw_commons *c, const struct mw_commons_config *config, struct mw_error *e)
{
	char path[PATH_ROOM];
	*c = (struct mw_commons){.state = NULL};
	enum mw_err err = mw_state_open(config->dir, 0, &c->state, e);
	if (err == MW_OK)
		err = mw_vault_open(c->state, config->master_key_file, &c->vault, e);
	if (err == MW_OK)
		err = mw_vault_revision(c->vault, &c->revision, e);
	if (err == MW_OK && snprintf(path, sizeof path, "%s/budget", config->dir) < PATH_ROOM)
		err = mw_budget_open(path, config->rate, &c->budget, e);
	/* On a disk that is full there may be no room for the board: `moonweir top` then has nothing to show,
	 * and what would make room goes on. */
	if (err == MW_OK && !config->has_no_board &&
	    snprintf(path, sizeof path, "%s/p%u/board", config->dir, config->partition) < PATH_ROOM &&
	    mw_board_open(path, &c->board, e) != MW_OK)
		c->board = NULL;
	return err;
}

void mw_commons_close(struct mw_commons *c)
{
	mw_vault_close(c->vault);
	mw_state_close(c->state);
	if (c->budget)
		mw_budget_free(c->budget);
	if (c->board)
		mw_board_free(c->board);
	*c = (struct mw_commons){.state = NULL};
}

bool mw_commons_is_due(struct mw_commons *c, int64_t now, int64_t *wait_ms)
{
	*wait_ms = INT64_MAX;
	if (!c->vault)
		return false;
	if (now >= c->next_look) {
		c->next_look = now + MW_COMMONS_LOOK_MS;
		*wait_ms = MW_COMMONS_LOOK_MS;
		return true;
	}
	*wait_ms = c->next_look - now;
	return false;
}

void mw_commons_changes(struct mw_commons *c, mw_account_changed *changed, mw_app_changed *app_changed,
			void *context)
{
	struct mw_error e; /* whatever it is, the next look may fare better */
	uint64_t before = c->revision;
	/* The apps second: one that changes in between is named twice, and not missed. */
	if (c->vault && mw_vault_changes(c->vault, &c->revision, changed, context, &e) == MW_OK &&
	    c->revision > before && mw_vault_app_changes(c->vault, before, app_changed, context, &e) != MW_OK)
		c->revision = before;
}

enum mw_err mw_commons_key(struct mw_commons *c, struct mw_span account, struct mw_key *key,
			   struct mw_endpoint *endpoint, char app[MW_APP_NAME_MAX + 1], bool *paused,
			   struct mw_error *e)
{
	*paused = false;
	app[0] = '\0';
	/* The vault's accounts have names. */
	return c->vault && account.len > 0 ? mw_vault_get(c->vault, account, key, endpoint, app, paused, e)
					   : MW_NO_ACCOUNT;
}

int64_t mw_commons_permit(struct mw_commons *c, struct mw_turn *turn, int64_t now_us)
{
	if (c->is_leased)
		return mw_turns_take(&c->turns, turn, now_us);
	return c->budget ? mw_budget_take(c->budget, now_us / 1000) : 0;
}

void mw_commons_lease(struct mw_commons *c, double rate, uint64_t name, uint32_t room)
{
	if (c->budget)
		mw_budget_free(c->budget);
	c->budget = NULL;
	c->is_leased = true;
	mw_turns_init(&c->turns, rate, name, room);
}

void mw_commons_close_gate(struct mw_commons *c, int64_t now, int64_t for_ms)
{
	if (c->is_leased)
		mw_turns_close(&c->turns, now, for_ms);
	else if (c->budget && for_ms > 0)
		mw_budget_close_gate(c->budget, now, for_ms);
}
