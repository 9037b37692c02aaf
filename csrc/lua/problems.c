/* problems.c -- the events of one body that failed, noted while it is mapped, when Lua must not be called,
 * and told afterwards.
 */
#include "mwl.h"

/* So much of each event, so many bytes in all. */
enum { RAW_MAX = 64 * 1024, BYTES_MAX = 16 * 1024 * 1024 };

/* Followed by the account and the event. */
struct problem {
	uint64_t index;
	size_t account_len;
	size_t raw_len;
	bool has_account;
	struct mw_error error;
};

void mwl_problems_init(struct mwl_problems *p, size_t max)
{
	*p = (struct mwl_problems){.max = max};
	mw_buf_init(&p->kept, BYTES_MAX);
}

void mwl_problems_deinit(struct mwl_problems *p)
{
	mw_buf_deinit(&p->kept);
}

void mwl_problems_clear(struct mwl_problems *p)
{
	mw_buf_clear(&p->kept);
	p->count = p->lost = 0;
}

void mwl_problems_add(struct mwl_problems *p, const struct mw_problem *found)
{
	struct mw_buf *b = &p->kept;
	size_t mark = b->len;
	struct mw_span raw = found->raw, account = found->account;
	if (raw.len > RAW_MAX)
		raw.len = RAW_MAX;
	struct problem problem = {.index = found->index,
				  .account_len = account.len,
				  .raw_len = raw.len,
				  .has_account = account.at,
				  .error = *found->error};
	if (p->count < p->max && mw_buf_append(b, &problem, sizeof problem) == MW_OK &&
	    mw_buf_append_span(b, account) == MW_OK && mw_buf_append_span(b, raw) == MW_OK) {
		p->count++;
	} else {
		b->len = mark;
		p->lost++;
	}
}

void mwl_problems_push(lua_State *L, const struct mwl_problems *p)
{
	if (p->count == 0 && p->lost == 0) {
		lua_pushnil(L);
		return;
	}
	luaL_checkstack(L, 4, NULL);
	lua_createtable(L, (int)p->count, p->lost > 0);
	const uint8_t *at = p->kept.data;
	for (size_t i = 1; i <= p->count; i++) {
		struct problem problem;
		memcpy(&problem, at, sizeof problem);
		const struct mw_error *e = &problem.error;
		struct mw_span account = {at + sizeof problem, problem.account_len};
		struct mw_span raw = {account.at + account.len, problem.raw_len};
		at = raw.at + raw.len;
		lua_createtable(L, 0, 5);
		mwl_set_count(L, "index", problem.index);
		mwl_set_string(L, "code", mw_err_word(e->code));
		mwl_set_string(L, "message", e->detail[0] ? e->detail : mw_err_sentence(e->code));
		if (problem.has_account)
			mwl_set_span(L, "account", account);
		mwl_set_span(L, "raw", raw);
		lua_rawseti(L, -2, (int)i);
	}
	if (p->lost > 0)
		mwl_set_count(L, "more", p->lost);
}
