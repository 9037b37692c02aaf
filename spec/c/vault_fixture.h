/* vault_fixture.h -- a vault in a temporary folder, and what its tests ask of it in few words. */
#ifndef MW_VAULT_FIXTURE_H
#define MW_VAULT_FIXTURE_H

#include "../../csrc/io/vault.h"
#include "state_fixture.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

__attribute__((unused)) static const char *write_file(const char *name, const void *bytes, size_t len,
						      mode_t mode)
{
	const char *path = folder_path(name);
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
	if (write(fd, bytes, len) != (ssize_t)len || fchmod(fd, mode) < 0)
		abort();
	close(fd);
	return path;
}

struct fixture {
	struct mw_state *s;
	struct mw_vault *v;
};

__attribute__((unused)) static bool start(struct fixture *f, const char *spool, const char *master_key)
{
	*f = (struct fixture){0};
	bool good = mw_state_open(folder_path(spool), 0, &f->s, &error) == MW_OK &&
		    mw_vault_open(f->s, master_key, &f->v, &error) == MW_OK;
	if (!good)
		fprintf(stderr, "%s\n", error.detail);
	return good;
}

__attribute__((unused)) static void stop(struct fixture *f)
{
	mw_vault_close(f->v);
	mw_state_close(f->s);
}

__attribute__((unused)) static enum mw_err set(struct fixture *f, const char *account, const char *key,
					       const char *endpoint, const char *label)
{
	struct mw_account_change c = {
	    .write_key = span(key), .endpoint = span(endpoint), .label = span(label)};
	mw_error_clear(&error);
	return mw_vault_set(f->v, span(account), &c, &error);
}

static struct mw_endpoint got_endpoint;
__attribute__((unused)) static bool got_paused;
static char got_app[MW_APP_NAME_MAX + 1];

__attribute__((unused)) static enum mw_err get(struct fixture *f, const char *account, struct mw_key *key)
{
	strcpy(got_endpoint.batch_url, "untouched");
	mw_error_clear(&error);
	return mw_vault_get(f->v, span(account), key, &got_endpoint, got_app, &got_paused, &error);
}

__attribute__((unused)) static bool holds(struct fixture *f, const char *account, const char *expected,
					  const char *url)
{
	struct mw_key key;
	return get(f, account, &key) == MW_OK && key.len == strlen(expected) &&
	       memcmp(key.text, expected, key.len) == 0 && strcmp(got_endpoint.batch_url, url) == 0;
}

/* What show told, with texts of its own. */
struct shown {
	struct mw_account_info info;
	char account[MW_ACCOUNT_MAX + 1], endpoint[MW_ENDPOINT_URL_MAX], label[MW_LABEL_MAX + 1];
	int count;
};

__attribute__((unused)) static void copy(char *to, struct mw_span s)
{
	if (s.len > 0)
		memcpy(to, s.at, s.len);
	to[s.len] = '\0';
}

__attribute__((unused)) static void keep(void *context, const struct mw_account_info *info)
{
	struct shown *k = context;
	k->info = *info;
	copy(k->account, info->account);
	copy(k->endpoint, info->endpoint);
	copy(k->label, info->label);
	k->count++;
}

__attribute__((unused)) static bool show(struct fixture *f, const char *account, struct shown *k)
{
	*k = (struct shown){0};
	return mw_vault_show(f->v, span(account), keep, k, &error) == MW_OK && k->count == 1;
}

__attribute__((unused)) static const char us[] = "untouched",
					  eu[] = "https://events.eu1.segmentapis.com/v1/batch";

#endif
