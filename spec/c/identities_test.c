#include "identities_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

TEST(what_an_identify_said_is_found)
{
	struct fixture f;
	CHECK(start(&f, "basic"));
	CHECK(is(&f, E, "ann@example.com", ""));
	CHECK(teach(&f, fact(E, " Ann@Example.com", "User 1", 1)) && f.tally.learned == 1);
	CHECK(is(&f, E, "ann@example.COM ", "User 1"));
	CHECK(teach(&f, fact(P, "+1 (555) 010-4477", "User 1", 1)) && is(&f, P, "+15550104477", "User 1"));
	CHECK(teach(&f, fact(T, "c-7", "User 1", 1)) && is(&f, T, "c-7", "User 1") && is(&f, T, "C-7", ""));
	CHECK(is(&f, A, "c-7", ""));
	CHECK(strcmp(who_of(&f, "other", E, "ann@example.com"), "") == 0);
	stop(&f);
	CHECK(start(&f, "basic") && is(&f, E, "ann@example.com", "User 1"));
	stop(&f);
}

TEST(a_user_id_keeps_every_byte)
{
	static const char *const users[] = {
	    "1", "01", " 1", "1 ", "User", "user", "\"\\", "é", "1.0", "12345678901234567890", "a\nb"};
	struct fixture f;
	char longest[MW_IDENTITY_MAX + 2];
	CHECK(start(&f, "bytes"));
	for (size_t i = 0; i < sizeof users / sizeof *users; i++)
		CHECK(teach(&f, fact(E, "a@b.example", users[i], (int64_t)i)) &&
		      is(&f, E, "a@b.example", users[i]));
	memset(longest, 'x', sizeof longest);
	longest[MW_IDENTITY_MAX] = '\0';
	CHECK(teach(&f, fact(T, longest, longest, 100)) && is(&f, T, longest, longest));
	longest[0] = 'y';
	CHECK(is(&f, T, longest, ""));
	longest[MW_IDENTITY_MAX] = 'x';
	longest[MW_IDENTITY_MAX + 1] = '\0';
	CHECK(teach(&f, fact(T, longest, "u", 100)) && f.tally.unusable == 1 && is(&f, T, longest, ""));
	CHECK(teach(&f, fact(T, "t", longest, 100)) && f.tally.unusable == 1);
	CHECK(teach(&f, fact(E, "  ", "u", 100)) && f.tally.unusable == 1);
	stop(&f);
}

TEST(the_later_timestamp_counts_whatever_comes_first)
{
	struct fixture f;
	CHECK(start(&f, "later"));
	CHECK(teach(&f, fact(E, "a@b.example", "new", 10)));
	CHECK(teach(&f, fact(E, "a@b.example", "old", 9)) && f.tally.known == 1 && f.tally.learned == 0);
	CHECK(is(&f, E, "a@b.example", "new"));
	CHECK(teach(&f, fact(E, "a@b.example", "newer", 11)) && f.tally.learned == 1);
	CHECK(teach(&f, fact(E, "a@b.example", "newer", 11)) && f.tally.known == 1);
	CHECK(is(&f, E, "a@b.example", "newer"));
	stop(&f);
}

TEST(an_anonymous_id_is_the_fallback_until_its_user_is_known)
{
	struct fixture f;
	CHECK(start(&f, "fallback"));
	CHECK(teach(&f, fallback(E, "a@b.example", "anon-1", 1)) && is(&f, E, "a@b.example", "?anon-1"));
	CHECK(teach(&f, fact(A, "anon-1", "u1", 2)));
	CHECK(is(&f, E, "a@b.example", "u1") && is(&f, A, "anon-1", "u1"));
	/* A later anonymous visit does not hide what is known. */
	CHECK(teach(&f, fact(E, "a@b.example", "u2", 3)) &&
	      teach(&f, fallback(E, "a@b.example", "anon-9", 4)));
	CHECK(is(&f, E, "a@b.example", "u2"));
	stop(&f);
}

TEST(aliases_lead_to_the_last_name)
{
	struct fixture f;
	char from[16], to[16];
	CHECK(start(&f, "aliases"));
	CHECK(teach(&f, fact(E, "a@b.example", "n0", 1)));
	for (int i = 0; i < MW_ALIASES_MAX; i++) {
		snprintf(from, sizeof from, "n%d", i);
		snprintf(to, sizeof to, "n%d", i + 1);
		CHECK(teach(&f, fact(U, from, to, 100 - i)) && is(&f, E, "a@b.example", to));
		CHECK(is(&f, U, "n0", to));
	}
	CHECK(teach(&f, fact(U, "n16", "n17", 200)));
	CHECK(is(&f, E, "a@b.example", "n16")); /* as far as it goes */
	CHECK(is(&f, U, "n17", ""));
	CHECK(teach(&f, fact(U, "me", "me", 1)) && f.tally.unusable == 1);
	stop(&f);
}

TEST(aliases_in_a_circle_end_at_the_latest)
{
	struct fixture f;
	CHECK(start(&f, "circle"));
	CHECK(teach(&f, fact(E, "a@b.example", "a", 1)) && teach(&f, fact(E, "b@b.example", "b", 1)));
	CHECK(teach(&f, fact(E, "x@b.example", "x", 1)) && teach(&f, fact(U, "x", "b", 1)));
	CHECK(teach(&f, fact(U, "a", "b", 5)) && teach(&f, fact(U, "b", "c", 7)) &&
	      teach(&f, fact(U, "c", "a", 6)));
	CHECK(is(&f, E, "a@b.example", "c") && is(&f, E, "b@b.example", "c") &&
	      is(&f, E, "x@b.example", "c"));
	CHECK(is(&f, U, "a", "c") && is(&f, U, "c", "c"));
	stop(&f);
}

TEST(who_is_forgotten_stays_forgotten)
{
	struct fixture f;
	CHECK(start(&f, "forget"));
	CHECK(teach(&f, fact(E, "a@b.example", "u1", 1)) && teach(&f, fact(A, "anon", "u1", 2)) &&
	      teach(&f, fallback(T, "t1", "anon", 2)) && teach(&f, fact(U, "u0", "u1", 3)) &&
	      teach(&f, fact(P, "+15550100", "u0", 3)) && teach(&f, fact(E, "c@b.example", "u2", 3)));
	CHECK(is(&f, P, "+15550100", "u1") && is(&f, T, "t1", "u1"));
	CHECK(teach(&f, forget("u1", 10)));
	CHECK(f.tally.forgotten == 5);
	CHECK(is(&f, E, "a@b.example", "") && is(&f, A, "anon", "") && is(&f, T, "t1", "") &&
	      is(&f, U, "u0", "") && is(&f, P, "+15550100", "") && is(&f, E, "c@b.example", "u2"));
	/* A replay. */
	CHECK(teach(&f, fact(E, "a@b.example", "u1", 1)) && f.tally.void_ == 1 && f.tally.learned == 0);
	CHECK(teach(&f, fact(E, "late@b.example", "u0", 9)) && is(&f, E, "late@b.example", ""));
	CHECK(is(&f, E, "a@b.example", ""));
	/* Somebody who comes back. */
	CHECK(teach(&f, fact(E, "a@b.example", "u1", 11)) && is(&f, E, "a@b.example", "u1"));
	CHECK(teach(&f, forget("u1", 10)) && f.tally.forgotten == 0 && is(&f, E, "a@b.example", "u1"));
	stop(&f);
}

/* Heap's algorithm: each order once. */
static bool each_order(struct mw_identity_fact *facts, int n,
		       bool (*visit)(const struct mw_identity_fact *, int), int all)
{
	if (n == 1)
		return visit(facts, all);
	for (int i = 0; i < n; i++) {
		if (!each_order(facts, n - 1, visit, all))
			return false;
		int other = n % 2 ? 0 : i;
		struct mw_identity_fact t = facts[other];
		facts[other] = facts[n - 1];
		facts[n - 1] = t;
	}
	return true;
}

static struct mw_buf expected;
static struct fixture orders;
static int visited;

static bool comes_out_the_same(const struct mw_identity_fact *facts, int n)
{
	uint64_t removed;
	if (visited++ % (getenv("MW_VALGRIND") ? 19 : 1) != 0)
		return true;
	if (mw_identities_drop(orders.d, MW_SPAN("acme"), &removed, &error) != MW_OK)
		return false;
	for (int i = 0; i < n; i++) {
		if (!teach(&orders, facts[i]))
			return false;
	}
	if (!teach(&orders, facts[visited % n])) /* one of them twice */
		return false;
	struct mw_buf found = dump(&orders);
	bool same =
	    visited == 1 || (found.len == expected.len && memcmp(found.data, expected.data, found.len) == 0);
	mw_buf_deinit(&expected);
	expected = found;
	return same;
}

static bool all_orders_give_the_same(struct mw_identity_fact *facts, int n, const char *spool)
{
	bool good = start(&orders, spool) && teach(&orders, facts[0]);
	do_not_sync(&orders);
	visited = 0;
	good = good && each_order(facts, n, comes_out_the_same, n);
	mw_buf_deinit(&expected);
	expected = (struct mw_buf){0};
	stop(&orders);
	return good;
}

TEST(every_order_of_messages_comes_out_the_same)
{
	struct mw_identity_fact plain[] = {
	    fact(E, "a@b.example", "u1", 1),       fact(E, "a@b.example", "u2", 2),
	    fact(E, "a@b.example", "u3", 2),       fact(A, "anon", "u2", 3),
	    fallback(E, "a@b.example", "anon", 4), forget("u2", 2),
	};
	struct mw_identity_fact chain[] = {
	    fact(E, "a@b.example", "u0", 1), fact(U, "u0", "u1", 2), fact(U, "u0", "u9", 3),
	    fact(U, "u1", "u2", 4),          forget("u2", 5),        fact(E, "a@b.example", "u0", 6),
	};
	struct mw_identity_fact circle[] = {
	    fact(U, "a", "b", 1), fact(U, "b", "c", 2), fact(U, "c", "a", 2),
	    fact(T, "t", "b", 1), forget("a", 1),       forget("c", 3),
	};
	struct mw_identity_fact shared[] = {
	    fact(A, "anon", "u1", 1), fact(A, "anon", "u2", 2), fallback(P, "+1", "anon", 2),
	    forget("u1", 3),          fact(A, "anon", "u1", 5), forget("u1", 4),
	};
	CHECK(all_orders_give_the_same(plain, 6, "orders1") && visited == 720);
	CHECK(all_orders_give_the_same(chain, 6, "orders2"));
	CHECK(all_orders_give_the_same(circle, 6, "orders3"));
	CHECK(all_orders_give_the_same(shared, 6, "orders4"));
}

TEST(an_account_that_has_its_fill_takes_no_more)
{
	struct fixture f;
	uint64_t removed;
	CHECK(start_with(&f, "full", master(0), 6));
	CHECK(teach(&f, fact(E, "a@b.example", "u1", 1)) && teach(&f, fact(E, "b@b.example", "u2", 1)) &&
	      teach(&f, fact(E, "c@b.example", "u3", 1)) && f.tally.full == 0);
	CHECK(teach(&f, fact(E, "d@b.example", "u4", 1)) && f.tally.full == 1 && f.tally.learned == 0);
	CHECK(is(&f, E, "d@b.example", "") && is(&f, E, "c@b.example", "u3"));
	/* The same facts later, and deletes, are no more records; deletes go through in any case. */
	CHECK(teach(&f, fact(E, "c@b.example", "u3", 2)) && f.tally.learned == 1);
	CHECK(teach(&f, forget("u1", 2)) && f.tally.forgotten == 1 && is(&f, E, "a@b.example", ""));
	struct mw_identity_fact other = fact(E, "d@b.example", "u4", 1);
	other.account = MW_SPAN("other");
	CHECK(teach(&f, other) && f.tally.learned == 1);
	CHECK(mw_identities_drop(f.d, MW_SPAN("acme"), &removed, &error) == MW_OK && removed == 7);
	CHECK(teach(&f, fact(E, "d@b.example", "u4", 1)) && is(&f, E, "d@b.example", "u4"));
	CHECK(strcmp(who_of(&f, "other", E, "d@b.example"), "u4") == 0);
	CHECK(mw_identities_drop(f.d, MW_SPAN("nobody"), &removed, &error) == MW_NO_ACCOUNT);
	stop(&f);
}

TEST(many_records_are_dropped_in_many_steps)
{
	enum { MANY = 25000 };
	struct fixture f;
	uint64_t removed;
	static struct mw_identity_fact facts[MANY];
	static char ids[MANY][24];
	struct mw_identity_fact stays = fact(E, "7@b.example", "stays", 1);
	stays.account = MW_SPAN("other");
	CHECK(start(&f, "drop"));
	for (int i = 0; i < MANY; i++) {
		snprintf(ids[i], sizeof ids[i], "%d@b.example", i);
		facts[i] = fact(E, ids[i], "u", 1);
	}
	CHECK(mw_identities_teach(f.d, facts, MANY, &f.tally, &error) == MW_OK && f.tally.learned == MANY);
	CHECK(teach(&f, stays) && is(&f, E, "24999@b.example", "u"));
	CHECK(mw_identities_drop(f.d, MW_SPAN("acme"), &removed, &error) == MW_OK && removed == 2 * MANY);
	CHECK(is(&f, E, "7@b.example", "") && is(&f, E, "24999@b.example", ""));
	CHECK(strcmp(who_of(&f, "other", E, "7@b.example"), "stays") == 0);
	stop(&f);
}

static bool file_holds(const char *path, const char *text)
{
	size_t len = 0;
	char *bytes = NULL;
	FILE *file = fopen(path, "rb");
	struct stat st;
	if (file && fstat(fileno(file), &st) == 0 && (bytes = malloc((size_t)st.st_size)))
		len = fread(bytes, 1, (size_t)st.st_size, file);
	bool found = len > 0 && memmem(bytes, len, text, strlen(text));
	if (len == 0)
		abort();
	fclose(file);
	free(bytes);
	return found;
}

TEST(nothing_in_the_files_names_anybody)
{
	struct fixture f;
	CHECK(start(&f, "sealed"));
	CHECK(teach(&f, fact(E, "canary-7f3a@example.com", "canary-user-91c2", 1)) &&
	      teach(&f, fact(U, "canary-user-91c2", "canary-user-next", 1)) &&
	      teach(&f, fallback(P, "+15550104477", "canary-anon", 1)) &&
	      teach(&f, forget("canary-gone", 1)));
	stop(&f);
	const char *path = folder_path("sealed/state/data.mdb");
	CHECK(!file_holds(path, "canary") && !file_holds(path, "15550104477"));
	CHECK(file_holds(path, "identities_forgotten") && file_holds(path, "acme"));
	struct stat st;
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
}

TEST(another_master_key_or_none_is_refused)
{
	struct fixture f;
	CHECK(start(&f, "keys") && teach(&f, fact(E, "a@b.example", "u1", 1)));
	stop(&f);
	CHECK(!start_with(&f, "keys", master(1), 0) && error.code == MW_BAD_MASTER_KEY);
	CHECK(strstr(error.detail, "was begun with master key"));
	stop(&f);
	CHECK(!start_with(&f, "keys", NULL, 0) && error.code == MW_BAD_MASTER_KEY);
	stop(&f);
	uint64_t removed;
	CHECK(start(&f, "keys") && is(&f, E, "a@b.example", "u1"));
	CHECK(mw_identities_drop(f.d, MW_SPAN("acme"), &removed, &error) == MW_OK);
	stop(&f);
	/* Of an empty store any master key is the first. */
	CHECK(start_with(&f, "keys", master(1), 0) && teach(&f, fact(E, "a@b.example", "u1", 1)));
	stop(&f);
	CHECK(!start(&f, "keys") && error.code == MW_BAD_MASTER_KEY);
	stop(&f);
}

struct flip {
	struct mw_identities *d;
	size_t byte;
};

/* Flips a bit of the one row there is. */
static enum mw_err flip_bit(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	struct flip *p = context;
	MDB_cursor *cursor;
	MDB_val key, value;
	uint8_t bytes[MW_IDENTITY_ROW_MAX];
	(void)e;
	if (mdb_cursor_open(txn, p->d->rows, &cursor) != 0 ||
	    mdb_cursor_get(cursor, &key, &value, MDB_FIRST) != 0)
		abort();
	memcpy(bytes, value.mv_data, value.mv_size);
	bytes[p->byte % value.mv_size] ^= 4;
	p->byte = value.mv_size;
	value.mv_data = bytes;
	if (mdb_cursor_put(cursor, &key, &value, MDB_CURRENT) != 0)
		abort();
	mdb_cursor_close(cursor);
	return MW_OK;
}

TEST(a_damaged_row_is_found_out)
{
	struct fixture f;
	CHECK(start(&f, "damage") && teach(&f, fact(E, "a@b.example", "u1", 1)));
	do_not_sync(&f);
	size_t len = 1;
	for (size_t i = 0; i < len; i++) {
		struct flip flip = {f.d, i};
		CHECK(mw_state_write(f.s, flip_bit, &flip, &error) == MW_OK);
		len = flip.byte;
		CHECK(!who_of(&f, "acme", E, "a@b.example") && error.code == MW_CORRUPT);
		CHECK(!teach(&f, fact(E, "a@b.example", "u2", 2)) && error.code == MW_CORRUPT);
		flip.byte = i;
		CHECK(mw_state_write(f.s, flip_bit, &flip, &error) == MW_OK);
	}
	CHECK(is(&f, E, "a@b.example", "u1"));
	stop(&f);
}

struct heard {
	int count;
	char text[8][96];
};

static bool hear(void *context, const struct mw_identity_told *told)
{
	struct heard *h = context;
	snprintf(h->text[h->count++], sizeof h->text[0], "%.*s %s %.*s -> %s%.*s @%d", (int)told->account.len,
		 (const char *)told->account.at, mw_identity_word(told->kind), (int)told->id.len,
		 (const char *)told->id.at, told->is_fallback ? "?" : "", (int)told->user.len,
		 (const char *)told->user.at, (int)told->at);
	return h->count < 8;
}

static bool heard(const struct heard *h, const char *text)
{
	for (int i = 0; i < h->count; i++) {
		if (strcmp(h->text[i], text) == 0)
			return true;
	}
	return false;
}

TEST(all_that_is_known_can_be_told)
{
	struct fixture f;
	struct heard h = {0};
	struct mw_identity_skipped skipped;
	struct mw_identity_fact other = fact(E, "x@b.example", "u1", 4);
	int64_t forgotten_at;
	other.account = MW_SPAN("other");
	CHECK(start(&f, "tell"));
	CHECK(teach(&f, fact(E, "A@b.example", "u1", 1)) && teach(&f, fallback(T, "t", "anon", 2)) &&
	      teach(&f, fact(U, "u0", "u1", 3)) && teach(&f, other) &&
	      teach(&f, fact(E, "g@b.example", "g", 1)) && teach(&f, forget("g", 9)));
	CHECK(mw_identities_each(f.d, (struct mw_span){NULL, 0}, NULL, hear, &h, &skipped, &error) == MW_OK);
	CHECK(h.count == 4 && skipped.voids == 1 && skipped.damaged == 0);
	CHECK(heard(&h, "acme email a@b.example -> u1 @1") && heard(&h, "acme tool_id t -> ?anon @2") &&
	      heard(&h, "acme user_id u0 -> u1 @3") && heard(&h, "other email x@b.example -> u1 @4"));
	h.count = 0;
	CHECK(mw_identities_each(f.d, MW_SPAN("other"), NULL, hear, &h, &skipped, &error) == MW_OK);
	CHECK(h.count == 1 && heard(&h, "other email x@b.example -> u1 @4"));
	h.count = 0;
	CHECK(mw_identities_show(f.d, MW_SPAN("acme"), MW_SPAN("u1"), hear, &h, &forgotten_at, &error) ==
	      MW_OK);
	CHECK(h.count == 2 && heard(&h, "acme email a@b.example -> u1 @1") &&
	      heard(&h, "acme user_id u0 -> u1 @3") && forgotten_at == INT64_MIN);
	h.count = 0;
	CHECK(mw_identities_show(f.d, MW_SPAN("acme"), MW_SPAN("g"), hear, &h, &forgotten_at, &error) ==
	      MW_OK);
	CHECK(h.count == 0 && forgotten_at == 9);
	stop(&f);
}

int main(void)
{
	RUN(what_an_identify_said_is_found);
	RUN(a_user_id_keeps_every_byte);
	RUN(the_later_timestamp_counts_whatever_comes_first);
	RUN(an_anonymous_id_is_the_fallback_until_its_user_is_known);
	RUN(aliases_lead_to_the_last_name);
	RUN(aliases_in_a_circle_end_at_the_latest);
	RUN(who_is_forgotten_stays_forgotten);
	RUN(every_order_of_messages_comes_out_the_same);
	RUN(an_account_that_has_its_fill_takes_no_more);
	RUN(many_records_are_dropped_in_many_steps);
	RUN(nothing_in_the_files_names_anybody);
	RUN(another_master_key_or_none_is_refused);
	RUN(a_damaged_row_is_found_out);
	RUN(all_that_is_known_can_be_told);
	return CHECK_END();
}
