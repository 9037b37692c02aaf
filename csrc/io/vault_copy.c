#include "vault_copy.h"

#include "vault_own.h"

/* Where both kinds of rows have it. */
enum { REVISION_AT = 8, REVISION_LEN = 8 };

struct copying {
	const struct mw_vault *v;
	const struct mw_vault_copy *rows;
	size_t count;
	size_t changed;
	int64_t now;
};

static bool fits(const struct mw_vault_copy *c)
{
	size_t name_max = c->is_app ? MW_APP_NAME_MAX : MW_ACCOUNT_MAX;
	size_t row_max = c->is_app ? (size_t)MW_APP_ROW_MAX : (size_t)MW_ACCOUNT_ROW_MAX;
	return c->name.len > 0 && c->name.len <= name_max && (!c->row.at || c->row.len <= row_max);
}

/* The row under another revision; what is damaged stays as it is. */
static struct mw_span renumber(const struct mw_vault_copy *c, uint64_t revision,
			       uint8_t room[MW_VAULT_ROW_MAX])
{
	struct mw_account_row account;
	struct mw_app_row app;
	if (!c->is_app && mw_account_row_unpack(c->row, c->name, &account)) {
		account.revision = revision;
		return (struct mw_span){room, mw_account_row_pack(&account, c->name, room)};
	}
	if (c->is_app && mw_app_row_unpack(c->row, c->name, &app)) {
		app.revision = revision;
		return (struct mw_span){room, mw_app_row_pack(&app, c->name, room)};
	}
	return c->row;
}

/* Is it the row that is here already, but for its number? */
static bool is_alike(MDB_val old, const struct mw_vault_copy *c)
{
	uint8_t room[MW_VAULT_ROW_MAX];
	uint64_t revision = 0;
	if (old.mv_size < REVISION_AT + REVISION_LEN)
		return false;
	for (int i = REVISION_LEN - 1; i >= 0; i--)
		revision = revision << 8 | ((const uint8_t *)old.mv_data)[REVISION_AT + i];
	return mw_span_equal(mw_span_of(old), renumber(c, revision, room));
}

/* The old row's entry among the revisions; LMDB's answer. */
static int forget_old(const struct mw_vault *v, MDB_txn *txn, const struct mw_vault_copy *c,
		      struct mw_span old)
{
	struct mw_account_row r;
	if (c->is_app || !mw_account_row_unpack(old, c->name, &r))
		return 0;
	return mw_vault_forget_revision(v, txn, r.revision);
}

static int copy_one(struct copying *d, MDB_txn *txn, const struct mw_vault_copy *c)
{
	const struct mw_vault *v = d->v;
	MDB_dbi dbi = c->is_app ? v->apps : v->accounts;
	MDB_val name = mw_value_of(c->name), old;
	uint64_t revision;
	uint8_t room[MW_VAULT_ROW_MAX];
	int answer = mdb_get(txn, dbi, &name, &old);
	bool found = answer == 0;
	if (!found && answer != MDB_NOTFOUND)
		return answer;
	if (!found && !c->row.at)
		return 0;
	if (found && c->row.at && is_alike(old, c))
		return 0;
	answer = found ? forget_old(v, txn, c, mw_span_of(old)) : 0;
	if (answer == 0)
		answer = mw_vault_next_revision(v, txn, &revision);
	if (answer != 0)
		return answer;
	d->changed++;
	if (!c->row.at)
		return c->is_app ? mdb_del(txn, dbi, &name, NULL)
				 : mw_vault_note_removal(v, txn, c->name, revision, d->now);
	struct mw_span row = renumber(c, revision, room);
	MDB_val value = mw_value_of(row);
	return c->is_app ? mdb_put(txn, dbi, &name, &value, 0)
			 : mw_vault_put_row(v, txn, c->name, row, revision);
}

static enum mw_err step(MDB_txn *txn, void *context, struct mw_error *e)
{
	struct copying *d = context;
	d->changed = 0;
	for (size_t i = 0; i < d->count; i++) {
		int answer = fits(&d->rows[i]) ? copy_one(d, txn, &d->rows[i]) : 0;
		if (answer != 0)
			return mw_state_fail(d->v->state, answer, e);
	}
	return MW_OK;
}

enum mw_err mw_vault_copy_in(struct mw_vault *v, const struct mw_vault_copy *rows, size_t count,
			     size_t *changed, struct mw_error *e)
{
	struct copying d = {.v = v, .rows = rows, .count = count, .now = mw_vault_now_ms()};
	enum mw_err err = mw_state_write(v->state, step, &d, e);
	*changed = err == MW_OK ? d.changed : 0;
	return err;
}

enum mw_err mw_vault_copy_out(struct mw_vault *v, bool is_app, struct mw_span name,
			      uint8_t row[MW_VAULT_ROW_MAX], size_t *len, struct mw_error *e)
{
	MDB_txn *txn;
	MDB_val key = mw_value_of(name), value;
	*len = 0;
	if (name.len == 0)
		return MW_OK;
	enum mw_err err = mw_state_read(v->state, &txn, e);
	if (err != MW_OK)
		return err;
	int answer = mdb_get(txn, is_app ? v->apps : v->accounts, &key, &value);
	if (answer == 0 && value.mv_size <= MW_VAULT_ROW_MAX) {
		memcpy(row, value.mv_data, value.mv_size);
		*len = value.mv_size;
	}
	mw_state_read_end(v->state, txn);
	return answer == 0 || answer == MDB_NOTFOUND ? MW_OK : mw_state_fail(v->state, answer, e);
}
