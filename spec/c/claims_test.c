#include "../../csrc/io/claims.h"
#include "check.h"
#include "folder.h"

#include <lmdb.h>
#include <sys/wait.h>

static struct mw_error error;

static bool opens(const char *name, struct mw_state **s, struct mw_claims **c)
{
	mw_error_clear(&error);
	return mw_state_open(folder_path(name), 0, s, &error) == MW_OK &&
	       mw_claims_open(*s, c, &error) == MW_OK;
}

static void closes(struct mw_state *s, struct mw_claims *c)
{
	mw_claims_close(c);
	mw_state_close(s);
}

static bool takes(struct mw_claims *c, const char *name, int64_t until, int64_t now)
{
	bool taken = false;
	struct mw_span span = {(const uint8_t *)name, strlen(name)};
	return mw_claims_take(c, span, until, now, &taken, &error) == MW_OK && taken;
}

static bool holds(struct mw_claims *c, const char *name, int64_t now)
{
	bool yes = false;
	struct mw_span span = {(const uint8_t *)name, strlen(name)};
	return mw_claims_holds(c, span, now, &yes, &error) == MW_OK && yes;
}

TEST(a_claim_is_taken_once_until_it_ends)
{
	struct mw_state *s;
	struct mw_claims *c;
	CHECK(opens("once", &s, &c));
	CHECK(takes(c, "a", 100, 0) && !takes(c, "a", 200, 0) && !takes(c, "a", 200, 99));
	CHECK(takes(c, "b", 100, 0) && takes(c, "", 100, 0));
	CHECK(takes(c, "a", 200, 100) && !takes(c, "a", 300, 199) && takes(c, "a", 300, 200));
	closes(s, c);
}

TEST(it_holds_for_those_who_open_the_store_later)
{
	struct mw_state *s;
	struct mw_claims *c;
	CHECK(opens("later", &s, &c) && takes(c, "a", 100, 0));
	closes(s, c);
	CHECK(opens("later", &s, &c) && !takes(c, "a", 200, 50));
	closes(s, c);
}

TEST(it_is_seen_to_hold_until_it_ends)
{
	struct mw_state *s;
	struct mw_claims *c;
	CHECK(opens("seen", &s, &c) && !holds(c, "a", 0));
	CHECK(takes(c, "a", 100, 0) && holds(c, "a", 99) && !holds(c, "a", 100) && !holds(c, "b", 0));
	closes(s, c);
}

enum { RACERS = 4, RACES = 50 };

/* Exit code: how many of the claims it got. */
static int race(void)
{
	struct mw_state *s;
	struct mw_claims *c;
	int won = 0;
	if (!opens("race", &s, &c))
		return 255;
	for (int i = 0; i < RACES; i++) {
		char name[24];
		snprintf(name, sizeof name, "race %d", i);
		won += takes(c, name, 1000, 0);
	}
	closes(s, c);
	return won;
}

TEST(of_many_processes_one_gets_it)
{
	pid_t children[RACERS];
	int sum = 0;
	for (int i = 0; i < RACERS; i++)
		if ((children[i] = fork()) == 0)
			_exit(race());
	for (int i = 0; i < RACERS; i++) {
		int status;
		CHECK(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	CHECK(sum == RACES);
}

static size_t rows(struct mw_state *s)
{
	struct MDB_txn *txn;
	unsigned dbi;
	MDB_stat stat = {0};
	if (mw_state_database(s, "claims", &dbi, &error) != MW_OK || mw_state_read(s, &txn, &error) != MW_OK)
		abort();
	mdb_stat(txn, dbi, &stat);
	mw_state_read_end(s, txn);
	return stat.ms_entries;
}

/* Ten live at any time, of three hundred that are made. */
TEST(ended_claims_go)
{
	struct mw_state *s;
	struct mw_claims *c;
	CHECK(opens("sweep", &s, &c));
	for (int i = 0; i < 300; i++) {
		char name[24];
		snprintf(name, sizeof name, "claim %d", i);
		CHECK(takes(c, name, i + 10, i));
		CHECK(rows(s) <= 40);
	}
	closes(s, c);
}

TEST(a_child_process_gets_none_of_its_parents)
{
	struct mw_state *s;
	struct mw_claims *c;
	CHECK(opens("fork", &s, &c));
	pid_t child = fork();
	if (child == 0) {
		bool taken = true;
		enum mw_err err = mw_claims_take(c, MW_SPAN("a"), 100, 0, &taken, &error);
		_exit(err == MW_FORKED && !taken ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	closes(s, c);
}

int main(void)
{
	RUN(a_claim_is_taken_once_until_it_ends);
	RUN(it_holds_for_those_who_open_the_store_later);
	RUN(it_is_seen_to_hold_until_it_ends);
	RUN(of_many_processes_one_gets_it);
	RUN(ended_claims_go);
	RUN(a_child_process_gets_none_of_its_parents);
	return CHECK_END();
}
