/* intake.c -- core.intake: a Tracking API request as a list of its messages, for the debugger. */
#include "../core/intake.h"
#include "loan.h"
#include "mwl.h"

#define MWL_INTAKE "moonweir.intake"

/* Its tape is used again by every request. */
static void push_intake(lua_State *L)
{
	mw_intake_init(mwl_newuserdata_plain(L, sizeof(struct mw_intake)));
	luaL_getmetatable(L, MWL_INTAKE);
	lua_setmetatable(L, -2);
}

static int intake_gc(lua_State *L)
{
	mw_intake_deinit(luaL_checkudata(L, 1, MWL_INTAKE));
	return 0;
}

static void set_text(lua_State *L, const char *name, struct mw_span text)
{
	if (text.at)
		mwl_set_span(L, name, text);
}

static void set_fault(lua_State *L, enum mw_fault fault)
{
	if (fault == MW_FAULT_NONE)
		return;
	mwl_set_string(L, "fault", mw_fault_word(fault));
	mwl_set_string(L, "reason", mw_fault_sentence(fault));
}

/* core.intake(body, route) -> { key =, context =, integrations =, fault =, reason =, { raw =, type =, name =,
 * user =, id =, anonymous =, fault =, reason = }, ... } | nil, message, code. `route` is "track", ... or
 * "batch". Strings are as they were sent, escapes and all. */
static int intake_read(lua_State *L)
{
	struct mw_span body = mwl_check_span(L, 1);
	struct mw_span route = mwl_check_span(L, 2);
	enum mw_call call = MW_CALLS;
	if (!mw_span_is(route, "batch") && !mw_call_parse(route, &call))
		return luaL_argerror(L, 2, "\"batch\" or one of the six calls");
	lua_settop(L, 2);
	struct mw_intake *in = mwl_loan_take(L, push_intake);
	struct mw_error e = {0};
	enum mw_err err = mw_intake_read(in, call, body, &e);
	if (err != MW_OK) {
		mwl_loan_return(L, 3);
		return e.code == err ? mwl_fail(L, &e) : mwl_fail_code(L, err);
	}
	lua_createtable(L, (int)in->count, 3);
	set_text(L, "key", mw_intake_key(in));
	set_text(L, "context", mw_intake_shared(in, "context"));
	set_text(L, "integrations", mw_intake_shared(in, "integrations"));
	set_fault(L, in->fault);
	struct mw_intake_message m;
	for (int i = 1; mw_intake_next(in, &m); i++) {
		lua_createtable(L, 0, 6);
		set_text(L, "raw", m.raw);
		set_text(L, "type", m.type);
		set_text(L, "name", m.name);
		set_text(L, "user", m.user);
		set_text(L, "id", m.id);
		if (m.anonymous)
			mwl_set_flag(L, "anonymous", true);
		set_fault(L, m.fault);
		lua_rawseti(L, -2, i);
	}
	mwl_loan_return(L, 3);
	return 1;
}

void mwl_open_intake(lua_State *L)
{
	luaL_newmetatable(L, MWL_INTAKE);
	lua_pushcfunction(L, intake_gc);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	push_intake(L);
	lua_pushcclosure(L, intake_read, 1);
	lua_setfield(L, -2, "intake");
}
