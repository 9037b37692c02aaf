#include "vault_fixture.h"

#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

TEST(what_was_set_is_got)
{
	struct fixture f;
	struct mw_key key;
	CHECK(start(&f, "set", master(0)));
	CHECK(get(&f, "acme", &key) == MW_NO_ACCOUNT && key.len == 0);
	CHECK(set(&f, "acme", "key-0123456789-a1b2", NULL, NULL) == MW_OK);
	CHECK(holds(&f, "acme", "key-0123456789-a1b2", us) && !got_paused);
	CHECK(set(&f, "b\xc3\xa9ta", "short", "eu", "Beta & Co") == MW_OK);
	CHECK(holds(&f, "b\xc3\xa9ta", "short", eu));
	stop(&f);
	CHECK(start(&f, "set", master(0)));
	CHECK(holds(&f, "acme", "key-0123456789-a1b2", us) && holds(&f, "b\xc3\xa9ta", "short", eu));
	stop(&f);
}

TEST(absent_members_stay_as_they_were_and_empty_ones_are_cleared)
{
	struct fixture f;
	struct shown k;
	CHECK(start(&f, "absent", master(0)));
	CHECK(set(&f, "a", "key-0123456789-a1b2", "eu", "Acme") == MW_OK);
	CHECK(set(&f, "a", "key-0123456789-c3d4", NULL, NULL) == MW_OK);
	CHECK(holds(&f, "a", "key-0123456789-c3d4", eu));
	CHECK(set(&f, "a", NULL, "https://t.example.com", NULL) == MW_OK);
	CHECK(holds(&f, "a", "key-0123456789-c3d4", "https://t.example.com/v1/batch"));
	CHECK(set(&f, "a", NULL, NULL, "Acme Inc") == MW_OK && show(&f, "a", &k));
	CHECK(strcmp(k.label, "Acme Inc") == 0 && strcmp(k.endpoint, "https://t.example.com") == 0);
	CHECK(set(&f, "a", NULL, "", "") == MW_OK && show(&f, "a", &k));
	CHECK(k.label[0] == '\0' && k.endpoint[0] == '\0' && holds(&f, "a", "key-0123456789-c3d4", us));
	stop(&f);
}

TEST(an_account_may_wait_for_its_key)
{
	struct fixture f;
	struct mw_key key;
	struct shown k;
	CHECK(start(&f, "keyless", master(0)));
	CHECK(set(&f, "a", NULL, "eu", NULL) == MW_OK && get(&f, "a", &key) == MW_BAD_KEY && key.len == 0);
	CHECK(show(&f, "a", &k) && !k.info.has_key && k.info.last[0] == '\0');
	CHECK(set(&f, "a", "key", NULL, NULL) == MW_OK && holds(&f, "a", "key", eu));
	stop(&f);
}

TEST(pause_resume_and_remove)
{
	struct fixture f;
	struct mw_key key;
	CHECK(start(&f, "pause", master(0)));
	CHECK(mw_vault_pause(f.v, MW_SPAN("a"), &error) == MW_NO_ACCOUNT);
	CHECK(mw_vault_resume(f.v, MW_SPAN("a"), &error) == MW_NO_ACCOUNT);
	CHECK(mw_vault_remove(f.v, MW_SPAN("a"), &error) == MW_NO_ACCOUNT && strstr(error.detail, "\"a\""));
	CHECK(set(&f, "a", "key", NULL, NULL) == MW_OK);
	CHECK(mw_vault_pause(f.v, MW_SPAN("a"), &error) == MW_OK && get(&f, "a", &key) == MW_OK &&
	      got_paused);
	CHECK(set(&f, "a", "other", NULL, NULL) == MW_OK && get(&f, "a", &key) == MW_OK && got_paused);
	CHECK(mw_vault_resume(f.v, MW_SPAN("a"), &error) == MW_OK && get(&f, "a", &key) == MW_OK &&
	      !got_paused);
	CHECK(mw_vault_remove(f.v, MW_SPAN("a"), &error) == MW_OK && get(&f, "a", &key) == MW_NO_ACCOUNT);
	stop(&f);
}

TEST(what_is_wrong_is_refused_and_changes_nothing)
{
	struct fixture f;
	char longest[MW_ACCOUNT_MAX + 2], label[MW_LABEL_MAX + 2];
	memset(longest, 'a', sizeof longest);
	longest[MW_ACCOUNT_MAX + 1] = '\0';
	memset(label, 'l', sizeof label);
	label[MW_LABEL_MAX + 1] = '\0';
	CHECK(start(&f, "wrong", master(0)) && set(&f, "a", "before", "eu", NULL) == MW_OK);
	CHECK(set(&f, "a", "secret key", NULL, NULL) == MW_BAD_KEY && !strstr(error.detail, "secret"));
	CHECK(set(&f, "a", "", NULL, NULL) == MW_BAD_KEY);
	CHECK(set(&f, "a", "after", "http://example.com", NULL) == MW_BAD_ENDPOINT);
	CHECK(set(&f, "a", "after", NULL, label) == MW_INVALID);
	CHECK(set(&f, "a", "after", NULL, "\xff") == MW_INVALID);
	CHECK(set(&f, "", "after", NULL, NULL) == MW_INVALID);
	CHECK(set(&f, "\xc3", "after", NULL, NULL) == MW_INVALID);
	CHECK(set(&f, longest, "after", NULL, NULL) == MW_INVALID);
	CHECK(holds(&f, "a", "before", eu));
	longest[MW_ACCOUNT_MAX] = '\0';
	label[MW_LABEL_MAX] = '\0';
	CHECK(set(&f, longest, "after", NULL, label) == MW_OK && holds(&f, longest, "after", us));
	stop(&f);
}

TEST(only_the_last_four_are_shown_and_none_of_a_short_key)
{
	struct fixture f;
	struct shown k;
	CHECK(start(&f, "last", master(0)));
	CHECK(set(&f, "a", "0123456789a1b2", NULL, NULL) == MW_OK && show(&f, "a", &k));
	CHECK(strcmp(k.info.last, "a1b2") == 0 && k.info.has_key && strlen(k.info.kid) == 8);
	CHECK(set(&f, "a", "0123456789ab", NULL, NULL) == MW_OK && show(&f, "a", &k));
	CHECK(strcmp(k.info.last, "89ab") == 0);
	CHECK(set(&f, "a", "0123456789a", NULL, NULL) == MW_OK && show(&f, "a", &k));
	CHECK(k.info.last[0] == '\0' && k.info.has_key);
	stop(&f);
}

TEST(another_master_key_opens_nothing_and_is_named)
{
	struct fixture f;
	struct mw_key key;
	struct shown k;
	CHECK(start(&f, "other", master(0)) && set(&f, "a", "key-of-0", "eu", "A") == MW_OK);
	CHECK(show(&f, "a", &k) && !k.info.foreign);
	char kid[MW_KID_TEXT];
	strcpy(kid, k.info.kid);
	stop(&f);
	CHECK(start(&f, "other", master(1)));
	CHECK(get(&f, "a", &key) == MW_BAD_MASTER_KEY && key.len == 0 && strstr(error.detail, kid));
	CHECK(show(&f, "a", &k) && k.info.foreign);
	CHECK(set(&f, "a", "key-of-1", NULL, NULL) == MW_BAD_MASTER_KEY);
	CHECK(set(&f, "a", NULL, "us", NULL) == MW_BAD_MASTER_KEY);
	CHECK(set(&f, "a", NULL, NULL, "B") == MW_OK && mw_vault_pause(f.v, MW_SPAN("a"), &error) == MW_OK);
	CHECK(set(&f, "a", "key-of-1", "", NULL) == MW_OK && holds(&f, "a", "key-of-1", us) && got_paused);
	CHECK(show(&f, "a", &k) && !k.info.foreign && strcmp(k.label, "B") == 0);
	stop(&f);
}

TEST(without_a_master_key_accounts_are_listed_and_no_key_is_kept)
{
	struct fixture f;
	struct mw_key key;
	struct shown k = {0};
	unsetenv("CREDENTIALS_DIRECTORY");
	CHECK(start(&f, "none", NULL) && !mw_vault_has_master_key(f.v));
	CHECK(set(&f, "a", "key", NULL, NULL) == MW_BAD_MASTER_KEY);
	CHECK(set(&f, "a", NULL, "eu", NULL) == MW_BAD_MASTER_KEY);
	CHECK(set(&f, "a", NULL, NULL, "A") == MW_BAD_MASTER_KEY && get(&f, "a", &key) == MW_NO_ACCOUNT);
	stop(&f);
	CHECK(start(&f, "none", master(0)) && set(&f, "a", "key", "eu", "A") == MW_OK);
	stop(&f);
	CHECK(start(&f, "none", NULL));
	CHECK(get(&f, "a", &key) == MW_BAD_MASTER_KEY && key.len == 0);
	CHECK(set(&f, "a", NULL, NULL, "B") == MW_OK && mw_vault_pause(f.v, MW_SPAN("a"), &error) == MW_OK);
	CHECK(mw_vault_each(f.v, keep, &k, &error) == MW_OK && k.count == 1);
	CHECK(strcmp(k.label, "B") == 0 && k.info.paused && !k.info.foreign);
	stop(&f);
	CHECK(start(&f, "none", master(0)) && holds(&f, "a", "key", eu));
	stop(&f);
}

struct changed {
	char names[256];
};

static void note(void *context, struct mw_span account)
{
	struct changed *c = context;
	size_t len = strlen(c->names);
	snprintf(c->names + len, sizeof c->names - len, "%.*s ", (int)account.len, (const char *)account.at);
}

static bool changes(struct fixture *f, uint64_t *revision, const char *expected)
{
	struct changed c = {""};
	if (mw_vault_changes(f->v, revision, note, &c, &error) != MW_OK)
		return false;
	if (strcmp(c.names, expected) != 0)
		fprintf(stderr, "changed: \"%s\"\n", c.names);
	return strcmp(c.names, expected) == 0;
}

TEST(changes_name_each_account_once_and_only_what_is_new)
{
	struct fixture f;
	uint64_t all = 0, late = 0;
	struct shown k;
	CHECK(start(&f, "changes", master(0)));
	CHECK(changes(&f, &all, "") && all == 0);
	CHECK(set(&f, "a", "k", NULL, NULL) == MW_OK && set(&f, "b", "k", NULL, NULL) == MW_OK);
	CHECK(set(&f, "a", "k", NULL, NULL) == MW_OK);
	CHECK(mw_vault_revision(f.v, &late, &error) == MW_OK && late == 3);
	CHECK(changes(&f, &all, "b a ") && all == 3 && changes(&f, &all, "") && changes(&f, &late, ""));
	CHECK(mw_vault_pause(f.v, MW_SPAN("b"), &error) == MW_OK && changes(&f, &all, "b "));
	CHECK(show(&f, "b", &k) && k.info.revision == 4 && k.info.updated_at > 1700000000000);
	CHECK(mw_vault_remove(f.v, MW_SPAN("a"), &error) == MW_OK && changes(&f, &all, "a "));
	CHECK(set(&f, "a", "k", NULL, NULL) == MW_OK && changes(&f, &all, "a "));
	CHECK(changes(&f, &late, "b a a ") && late == all);
	CHECK(set(&f, "a", "bad key", NULL, NULL) == MW_BAD_KEY && changes(&f, &all, ""));
	stop(&f);
}

static enum mw_err put_old_removals(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	struct fixture *f = context;
	MDB_dbi dbi;
	int answer = mdb_dbi_open(txn, "accounts_removed", 0, &dbi);
	/* Revisions 1 to 3, removed in 1970, now and in 1970. */
	for (uint8_t i = 1; answer == 0 && i <= 3; i++) {
		uint8_t revision[8] = {0, 0, 0, 0, 0, 0, 0, i},
			value[9] = {1, 0, 0, 0, 0, i == 2 ? 0x7f : 0, 0, 0, (uint8_t)('w' + i)};
		MDB_val k = {sizeof revision, revision}, v = {sizeof value, value};
		answer = mdb_put(txn, dbi, &k, &v, 0);
	}
	return answer == 0 ? MW_OK : mw_state_fail(f->s, answer, e);
}

TEST(removals_are_forgotten_after_a_day_oldest_first)
{
	struct fixture f;
	uint64_t revision = 0;
	CHECK(start(&f, "forget", master(0)));
	for (int i = 0; i < 3; i++)
		CHECK(set(&f, "a", "k", NULL, NULL) == MW_OK);
	CHECK(mw_state_write(f.s, put_old_removals, &f, &error) == MW_OK);
	CHECK(changes(&f, &revision, "a x y z "));
	CHECK(mw_vault_remove(f.v, MW_SPAN("a"), &error) == MW_OK);
	revision = 0;
	CHECK(changes(&f, &revision, "y z a "));
	stop(&f);
}

TEST(what_another_process_changes_is_seen_at_once)
{
	struct fixture f, own;
	uint64_t revision = 0;
	int status;
	CHECK(start(&f, "process", master(0)) && set(&f, "a", "before", NULL, NULL) == MW_OK);
	CHECK(changes(&f, &revision, "a "));
	pid_t child = fork();
	if (child == 0) {
		struct mw_key key;
		bool good = get(&f, "a", &key) == MW_FORKED && set(&f, "a", "x", NULL, NULL) == MW_FORKED;
		stop(&f);
		good = good && start(&own, "process", master(0)) && holds(&own, "a", "before", us) &&
		       set(&own, "a", "after", "eu", NULL) == MW_OK &&
		       set(&own, "b", "key", NULL, NULL) == MW_OK;
		stop(&own);
		_exit(good ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(changes(&f, &revision, "a b ") && holds(&f, "a", "after", eu) && holds(&f, "b", "key", us));
	stop(&f);
}

enum { WRITERS = 3, ROUNDS = 100 };

TEST(processes_that_write_at_once_lose_nothing)
{
	struct fixture f;
	char account[32], text[32];
	pid_t children[WRITERS];
	int status;
	(void)master(0); /* made before there are children, who share it */
	for (int c = 0; c < WRITERS; c++)
		if ((children[c] = fork()) == 0) {
			bool good = start(&f, "crowd", master(0));
			for (int i = 0; good && i < ROUNDS; i++) {
				snprintf(account, sizeof account, "%d-%d", c, i % 10);
				snprintf(text, sizeof text, "key-%d", i);
				good = set(&f, account, text, NULL, NULL) == MW_OK &&
				       set(&f, "shared", text, NULL, NULL) == MW_OK;
			}
			stop(&f);
			_exit(good ? 0 : 1);
		}
	for (int c = 0; c < WRITERS; c++)
		CHECK(waitpid(children[c], &status, 0) == children[c] && status == 0);
	CHECK(start(&f, "crowd", master(0)));
	uint64_t revision;
	CHECK(mw_vault_revision(f.v, &revision, &error) == MW_OK && revision == 2 * WRITERS * ROUNDS);
	for (int c = 0; c < WRITERS; c++) {
		snprintf(account, sizeof account, "%d-9", c);
		CHECK(holds(&f, account, "key-99", us));
	}
	CHECK(holds(&f, "shared", "key-99", us));
	stop(&f);
}

/* The disk full and not full again, in a small file system of the child's own. 0 good, 1 bad, 2 not tried. */
static int live_on_a_full_disk(const char *mount_point)
{
	struct fixture f;
	struct mw_key key;
	char account[32];
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", mount_point, "tmpfs", 0, "mode=0700,size=300k") < 0)
		return 2;
	int filler = open(folder_path("disk/filler"), O_CREAT | O_WRONLY, 0600);
	if (filler < 0 || fallocate(filler, 0, 0, 64 * 1024) < 0)
		return 2;
	close(filler);
	if (!start(&f, "disk/spool", master(0)) || set(&f, "first", "key", NULL, NULL) != MW_OK)
		return 1;
	enum mw_err err = MW_OK;
	for (int i = 0; i < 10000 && err == MW_OK; i++) {
		snprintf(account, sizeof account, "account%d", i);
		err = set(&f, account, "key", NULL, NULL);
	}
	if (err != MW_IO || !strstr(error.detail, "No space left") || !holds(&f, "first", "key", us) ||
	    get(&f, account, &key) != MW_NO_ACCOUNT)
		return 1;
	unlink(folder_path("disk/filler"));
	bool good = set(&f, account, "late", NULL, NULL) == MW_OK && holds(&f, account, "late", us);
	stop(&f);
	return good ? 0 : 1;
}

TEST(a_full_disk_refuses_what_is_new_and_keeps_what_is_there)
{
	int status;
	(void)master(0);
	mkdir(folder_path("disk"), 0700);
	pid_t child = fork();
	if (child == 0)
		_exit(live_on_a_full_disk(folder_path("disk")));
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 1);
	if (WEXITSTATUS(status) == 2)
		printf("not tried: a small file system can't be mounted here\n");
}

static void *set_and_get(void *argument)
{
	struct fixture *f = argument;
	struct mw_key key;
	struct mw_endpoint endpoint;
	struct mw_error e;
	bool paused;
	char app[MW_APP_NAME_MAX + 1];
	uint64_t revision = 0;
	struct mw_account_change c = {.write_key = MW_SPAN("key-0123456789")};
	for (int i = 0; i < ROUNDS; i++)
		if (mw_vault_get(f->v, MW_SPAN("a"), &key, &endpoint, app, &paused, &e) != MW_OK ||
		    key.len != 14 || mw_vault_set(f->v, MW_SPAN("a"), &c, &e) != MW_OK ||
		    mw_vault_revision(f->v, &revision, &e) != MW_OK || revision < (uint64_t)i)
			return argument;
	return NULL;
}

TEST(threads_may_share_a_vault)
{
	struct fixture f;
	pthread_t threads[3];
	uint64_t revision;
	CHECK(start(&f, "threads", master(0)) && set(&f, "a", "key-0123456789", NULL, NULL) == MW_OK);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, set_and_get, &f);
	for (int i = 0; i < 3; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		CHECK(!failed);
	}
	CHECK(mw_vault_revision(f.v, &revision, &error) == MW_OK && revision == 3 * ROUNDS + 1);
	stop(&f);
}

int main(void)
{
	RUN(what_was_set_is_got);
	RUN(absent_members_stay_as_they_were_and_empty_ones_are_cleared);
	RUN(an_account_may_wait_for_its_key);
	RUN(pause_resume_and_remove);
	RUN(what_is_wrong_is_refused_and_changes_nothing);
	RUN(only_the_last_four_are_shown_and_none_of_a_short_key);
	RUN(another_master_key_opens_nothing_and_is_named);
	RUN(without_a_master_key_accounts_are_listed_and_no_key_is_kept);
	RUN(changes_name_each_account_once_and_only_what_is_new);
	RUN(removals_are_forgotten_after_a_day_oldest_first);
	RUN(what_another_process_changes_is_seen_at_once);
	RUN(processes_that_write_at_once_lose_nothing);
	RUN(a_full_disk_refuses_what_is_new_and_keeps_what_is_there);
	RUN(threads_may_share_a_vault);
	return CHECK_END();
}
