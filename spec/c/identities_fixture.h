/* identities_fixture.h -- an identity store in a temporary folder, and what its tests say to it in few words.
 */
#ifndef MW_IDENTITIES_FIXTURE_H
#define MW_IDENTITIES_FIXTURE_H

#include "../../csrc/io/identities_own.h"
#include "state_fixture.h"

#include <lmdb.h>

struct fixture {
	struct mw_state *s;
	struct mw_identities *d;
	struct mw_identity_tally tally; /* of the last lesson */
};

static bool start_with(struct fixture *f, const char *spool, const char *master_key, size_t records_max)
{
	*f = (struct fixture){0};
	mw_error_clear(&error);
	return mw_state_open(folder_path(spool), 0, &f->s, &error) == MW_OK &&
	       mw_identities_open(f->s, master_key, records_max, &f->d, &error) == MW_OK;
}

static bool start(struct fixture *f, const char *spool)
{
	return start_with(f, spool, master(0), 0);
}

/* Thousands of commits that no power cut threatens. */
__attribute__((unused)) static void do_not_sync(struct fixture *f)
{
	MDB_txn *txn;
	if (mw_state_read(f->s, &txn, &error) != MW_OK)
		abort();
	mdb_env_set_flags(mdb_txn_env(txn), MDB_NOSYNC, 1);
	mw_state_read_end(f->s, txn);
}

static void stop(struct fixture *f)
{
	mw_identities_close(f->d);
	mw_state_close(f->s);
}

enum {
	E = MW_IDENTITY_EMAIL,
	A = MW_IDENTITY_ANONYMOUS,
	U = MW_IDENTITY_USER,
	T = MW_IDENTITY_TOOL,
	P = MW_IDENTITY_PHONE
};

/* "acme": `id` is `user`, since `at`. */
static struct mw_identity_fact fact(int kind, const char *id, const char *user, int64_t at)
{
	return (struct mw_identity_fact){.account = MW_SPAN("acme"),
					 .kind = (enum mw_identity_kind)kind,
					 .id = span(id),
					 .user = span(user),
					 .at = at};
}

__attribute__((unused)) static struct mw_identity_fact fallback(int kind, const char *id,
								const char *anonymous, int64_t at)
{
	struct mw_identity_fact f = fact(kind, id, anonymous, at);
	f.is_fallback = true;
	return f;
}

__attribute__((unused)) static struct mw_identity_fact forget(const char *user, int64_t at)
{
	return (struct mw_identity_fact){
	    .account = MW_SPAN("acme"), .forget = true, .user = span(user), .at = at};
}

__attribute__((unused)) static bool teach(struct fixture *f, struct mw_identity_fact one)
{
	mw_error_clear(&error);
	return mw_identities_teach(f->d, &one, 1, &f->tally, &error) == MW_OK;
}

/* Who it is: a text good until the next call; "" nobody, "?x" the anonymousId x, NULL an error. */
__attribute__((unused)) static const char *who_of(struct fixture *f, const char *account, int kind,
						  const char *id)
{
	static char text[MW_IDENTITY_MAX + 2];
	uint8_t room[MW_IDENTITY_MAX];
	struct mw_identity_found found;
	mw_error_clear(&error);
	if (mw_identities_find(f->d, span(account), (enum mw_identity_kind)kind, span(id), room, &found,
			       &error) != MW_OK)
		return NULL;
	snprintf(text, sizeof text, "%s%.*s", found.is_anonymous ? "?" : "", (int)found.text.len,
		 found.text.at ? (const char *)found.text.at : "");
	return text;
}

__attribute__((unused)) static bool is(struct fixture *f, int kind, const char *id, const char *user)
{
	const char *found = who_of(f, "acme", kind, id);
	if (found && strcmp(found, user) == 0)
		return true;
	fprintf(stderr, "%s %s: %s, not %s\n", mw_identity_word((enum mw_identity_kind)kind), id,
		found ? found : error.detail, user);
	return false;
}

/* All that is in the store, in clear, but for nonces: two stores that say the same have the same text. */
__attribute__((unused)) static struct mw_buf dump(struct fixture *f)
{
	struct mw_buf out;
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	const MDB_dbi all[] = {f->d->rows, f->d->of, f->d->forgotten, f->d->accounts};
	mw_buf_init(&out, SIZE_MAX);
	if (mw_state_read(f->s, &txn, &error) != MW_OK)
		abort();
	for (int i = 0; i < 4; i++) {
		if (mdb_cursor_open(txn, all[i], &cursor) != 0)
			abort();
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			struct mw_span text = {value.mv_data, value.mv_size}, user, id;
			uint8_t room[2 + 2 * MW_IDENTITY_MAX];
			mw_buf_append(&out, key.mv_data, key.mv_size);
			if (i > 0) {
				mw_buf_append_span(&out, text);
				continue;
			}
			struct mw_node node = mw_node_at(key.mv_data);
			struct mw_identity_row r;
			if (!mw_identity_row_unpack(text, &node, &r))
				abort();
			mw_buf_append(&out, text.at, MW_IDENTITY_HEAD);
			if (r.is_void)
				continue;
			if (!mw_identity_row_read(f->d->secret, &r, room, &user, &id))
				abort();
			mw_buf_append_span(&out, user);
			mw_buf_append_span(&out, id);
		}
		mdb_cursor_close(cursor);
	}
	mw_state_read_end(f->s, txn);
	return out;
}

#endif
