/* oauth_rig.h -- an engine whose accounts send with the tokens of OAuth apps, and a server that gives them.
 */
#ifndef MW_OAUTH_RIG_H
#define MW_OAUTH_RIG_H

#include "../../csrc/io/vault_app.h"
#include "folder.h"
#include "rig.h"
#include "rsa_fixture.h"

static const char master_file[] = "master";

/* A spool with a vault of its own for each test. */
__attribute__((unused)) static struct mw_engine_config oauth_config(void)
{
	static struct mw_spool_config spool;
	static char dir[256], master[256];
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "spool-%u", count++);
	snprintf(dir, sizeof dir, "%s", folder_path(name));
	snprintf(master, sizeof master, "%s", folder_path(master_file));
	spool = (struct mw_spool_config){.dir = dir, .disk_max = 64 << 20};
	struct mw_engine_config c = rig_config();
	c.spool = &spool;
	c.master_key_file = master;
	return c;
}

/* What another process would do: through a vault of its own on the same spool. */
struct hand {
	struct mw_state *state;
	struct mw_vault *vault;
	struct mw_error error;
};

__attribute__((unused)) static bool take_hand(struct hand *h, const struct mw_engine_config *c)
{
	*h = (struct hand){0};
	return mw_state_open(c->spool->dir, 0, &h->state, &h->error) == MW_OK &&
	       mw_vault_open(h->state, c->master_key_file, &h->vault, &h->error) == MW_OK;
}

__attribute__((unused)) static void drop_hand(struct hand *h)
{
	mw_vault_close(h->vault);
	mw_state_close(h->state);
}

__attribute__((unused)) static bool set_app(struct hand *h, const char *name, EVP_PKEY *key,
					    const char *server)
{
	char pem[PEM_ROOM];
	struct mw_app_change c = {.client_id = MW_SPAN("client-1"), .key_id = MW_SPAN("key-1")};
	c.private_key = span(pem_of(key, PKCS8, pem));
	if (server)
		c.token_server = span(server);
	bool done = mw_vault_app_set(h->vault, span(name), &c, &h->error) == MW_OK;
	memset(pem, 0, sizeof pem);
	return done;
}

__attribute__((unused)) static bool set_account(struct hand *h, const char *account, const char *app)
{
	char key[64];
	snprintf(key, sizeof key, "write-key-of-%s", account);
	struct mw_account_change c = {.write_key = span(key), .app = span(app)};
	return mw_vault_set(h->vault, span(account), &c, &h->error) == MW_OK;
}

/* An engine, and `accounts` of them, a0 and so on, with the app "app". */
__attribute__((unused)) static bool open_all(struct rig *r, struct hand *h, struct mw_engine_config *c,
					     int accounts)
{
	char account[16];
	rig_open(r, *c);
	bool ok = take_hand(h, c) && mock_script(&r->mock, "bearer") &&
		  set_app(h, "app", rsa_key(2048, 0), r->mock.url);
	for (int i = 0; ok && i < accounts; i++) {
		snprintf(account, sizeof account, "a%d", i);
		ok = set_account(h, account, "app");
	}
	if (!ok)
		fprintf(stderr, "%s\n", h->error.detail);
	return ok;
}

__attribute__((unused)) static void close_all(struct rig *r, struct hand *h)
{
	drop_hand(h);
	rig_close(r);
}

__attribute__((unused)) static bool push_each(struct rig *r, int accounts, int messages)
{
	char account[16];
	for (int i = 0; i < accounts; i++) {
		snprintf(account, sizeof account, "a%d", i);
		if (rig_push(r, account, messages) != MW_OK)
			return false;
	}
	return true;
}

__attribute__((unused)) static bool flush(struct rig *r)
{
	return mw_engine_flush(r->engine, RIG_PATIENCE_MS) == MW_OK;
}

/* Requests of this kind in the server's log, and the last of them. */
__attribute__((unused)) static size_t requests(struct rig *r, const char *path, struct mock_request *last)
{
	size_t count, found = 0;
	struct mock_request *log = mock_log(&r->mock, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(log[i].path, path) == 0) {
			found++;
			if (last)
				*last = log[i];
		}
	free(log);
	return found;
}

__attribute__((unused)) static bool lane_is(struct rig *r, const char *account, enum mw_lane_state state)
{
	struct mw_engine_lane lane;
	return rig_lane(r, account, &lane) && lane.state == state;
}

__attribute__((unused)) static bool lane_says(struct rig *r, const char *account, const char *words)
{
	struct mw_engine_lane lane;
	bool says = rig_lane(r, account, &lane) && strstr(lane.last_error, words);
	if (!says)
		fprintf(stderr, "%s says: %s\n", account, lane.last_error);
	return says;
}

/* To begin main with. */
__attribute__((unused)) static void oauth_main(int argc, char **argv)
{
	struct mw_error e;
	mock_main(argc, argv);
	folder();
	if (mw_master_key_create(folder_path(master_file), &e) != MW_OK)
		exit(2);
}

#endif
