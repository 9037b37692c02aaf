/* guard.c -- a script's functions under limits: instructions, time, memory.
 *
 *     enter     hook, allocator and the string methods of scripts take their places
 *     call      any number of times, each with a budget of its own; errors come back as text
 *     leave     everything is as the host had it
 *
 * A count hook looks every 1000 instructions. Once a limit is passed it looks at every single one and raises
 * each time, so that a script's own pcall can't hold the error up. Memory is what the heap grows by; past the
 * limit an allocation fails, which Lua makes an error. Garbage that is there when a call begins makes room in
 * it: freed, or found again, as LuaJIT finds a text that it made before and has not freed yet. So a call
 * doesn't begin with more than it may.
 *
 * What a hook can't see: the inside of a C function (the sandbox offers only short ones) and, on LuaJIT,
 * compiled code (the sandbox turns the compiler off for scripts).
 */
#include "mwl.h"

#include <stdio.h>

enum { STEP = 1000 };

/* A bulk event of 100,000 recipients takes some 6 million. */
const struct mwl_limits mwl_limits_event = {
    .instructions = 20000000,
    .memory = (size_t)64 * 1024 * 1024,
    .time_ms = 1000,
};

/* A large source compiles in a million or two. */
const struct mwl_limits mwl_limits_load = {
    .instructions = 100000000,
    .memory = (size_t)256 * 1024 * 1024,
    .time_ms = 5000,
};

/* Guards nest; a hook is given the Lua state only, and the innermost guard of this thread is the one whose
 * script runs. */
static _Thread_local struct mwl_guard *innermost;

/* As the allocator of Lua's that it asks, but for small blocks: those come from the spares and become some.
 */
static void *reallocate(struct mwl_guard *g, void *block, size_t before, size_t after)
{
	void *spare = g->spares && !block ? mwl_spares_take(g->spares, after) : NULL;
	if (spare)
		return spare;
	if (g->spares && block && after == 0 && mwl_spares_keep(g->spares, block, before))
		return NULL;
	return g->alloc(g->alloc_context, block, before, after);
}

static void *reallocate_counted(struct mwl_guard *g, void *block, size_t before, size_t after, int64_t more)
{
	void *moved = reallocate(g, block, before, after);
	if (moved || after == 0)
		g->grown += more;
	return moved;
}

static void look(lua_State *L, lua_Debug *where);

/* With so much more it is time to collect garbage, at the next instruction, if not to refuse it. Setting a
 * hook is safe anywhere in either VM: it is made for signals. */
__attribute__((noinline)) static void *reallocate_much(struct mwl_guard *g, void *block, size_t before,
						       size_t after, int64_t more)
{
	if (g->grown + more > (int64_t)g->limits.memory) {
		g->refused = true;
		return NULL;
	}
	if (g == innermost && !g->over[0])
		lua_sethook(g->L, look, LUA_MASKCOUNT, 1);
	return reallocate_counted(g, block, before, after, more);
}

static void *count_memory(void *context, void *block, size_t before, size_t after)
{
	struct mwl_guard *g = context;
	int64_t more = (int64_t)after - (block ? (int64_t)before : 0);
	if (more > 0 && g->grown + more > g->collect_at)
		return reallocate_much(g, block, before, after, more);
	return reallocate_counted(g, block, before, after, more);
}

/* The allocator behind all guards. */
static lua_Alloc host_alloc(lua_State *L, void **context)
{
	lua_Alloc alloc = lua_getallocf(L, context);
	while (alloc == count_memory) {
		const struct mwl_guard *g = *context;
		alloc = g->alloc;
		*context = g->alloc_context;
	}
	return alloc;
}

void mwl_guard_spares_free(lua_State *L, struct mwl_spares *spares)
{
	void *context;
	lua_Alloc alloc = host_alloc(L, &context);
	mwl_spares_free(spares, alloc, context);
}

static const char *limit_passed(struct mwl_guard *g, char *room, size_t size)
{
	if (g->instructions > g->limits.instructions) {
		snprintf(room, size, "more than %llu instructions; does a loop never end?",
			 (unsigned long long)g->limits.instructions);
		return room;
	}
	int64_t now = mwl_now_cpu();
	if (g->deadline == 0)
		g->deadline = now + g->limits.time_ms;
	if (now <= g->deadline)
		return NULL;
	snprintf(room, size, "longer than %lld ms of CPU time", (long long)g->limits.time_ms);
	return room;
}

/* What may be garbage when a call begins. The collector itself lets a heap become two to three times what is
 * alive, and to be ahead of it would cost a large host a collection every few events. */
static bool is_littered(const struct mwl_guard *g)
{
	int64_t half = (int64_t)(g->limits.memory / 2);
	return g->heap - g->alive > (half > 2 * g->alive ? half : 2 * g->alive);
}

/* At a call's first instruction: what a finalizer of the host's raises does no harm there, and the call holds
 * nothing yet. */
static void clear(struct mwl_guard *g, lua_State *L)
{
	g->clears = false;
	lua_gc(L, LUA_GCCOLLECT, 0);
	g->heap += g->grown;
	g->alive = g->heap;
	g->grown = 0;
}

/* LuaJIT collects no garbage when an allocation fails, and with a large heap of the host's neither VM does so
 * for long: the script's own garbage would count as growth. Half-way to the limit is soon enough, and then
 * half-way of what is left; near to it that would be a collection for nearly every allocation. */
static void collect(struct mwl_guard *g, lua_State *L)
{
	if (g->clears)
		clear(g, L);
	if (g->grown <= g->collect_at)
		return;
	lua_gc(L, LUA_GCCOLLECT, 0);
	int64_t limit = (int64_t)g->limits.memory, left = limit - g->grown;
	if (left > limit / 2)
		g->collect_at = limit / 2;
	else
		g->collect_at = left > limit / 16 ? limit - left / 2 : limit;
}

/* The innermost line of a script: the limit may be met inside one of the sandbox's own functions, which are
 * Lua too. Scripts are named by their file alone, the others by the path they were found at. */
static void find_script(lua_State *L, lua_Debug *where)
{
	for (int level = 0; lua_getstack(L, level, where); level++) {
		lua_getinfo(L, "Sl", where);
		if (where->currentline > 0 && !strchr(where->source, '/'))
			return;
	}
	lua_getstack(L, 0, where);
	lua_getinfo(L, "Sl", where);
}

static void look(lua_State *L, lua_Debug *where)
{
	struct mwl_guard *g = innermost;
	if (!g) { /* a coroutine that outlived the guard it was made under */
		lua_sethook(L, NULL, 0, 0);
		return;
	}
	if (!g->over[0]) {
		char room[80];
		if (lua_gethookcount(L) == 1) /* this look was asked for */
			lua_sethook(L, look, LUA_MASKCOUNT, STEP);
		g->instructions += STEP;
		collect(g, L);
		const char *why = limit_passed(g, room, sizeof room);
		if (!why)
			return;
		find_script(L, where);
		snprintf(g->over, sizeof g->over, "%.40s:%d: %s", where->short_src, where->currentline, why);
		lua_sethook(L, look, LUA_MASKCOUNT, 1);
	}
	lua_pushstring(L, g->over);
	lua_error(L);
}

void mwl_guard_enter(lua_State *L, struct mwl_guard *g, const struct mwl_limits *limits,
		     struct mwl_spares *spares)
{
	int64_t heap = (int64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024;
	*g = (struct mwl_guard){.outer = innermost,
				.L = L,
				.limits = *limits,
				.spares = spares,
				.heap = heap,
				.alive = g->alive < heap ? g->alive : heap,
				.collect_at = (int64_t)(limits->memory / 2)};
	g->hook = lua_gethook(L);
	g->hook_mask = lua_gethookmask(L);
	g->hook_count = lua_gethookcount(L);
	g->swapped_strings = mwl_guard_strings_enter(L);
	innermost = g;
	lua_sethook(L, look, LUA_MASKCOUNT, STEP);
	g->alloc = lua_getallocf(L, &g->alloc_context);
	lua_setallocf(L, count_memory, g);
}

void mwl_guard_leave(struct mwl_guard *g)
{
	lua_State *L = g->L;
	char room[80];
	lua_setallocf(L, g->alloc, g->alloc_context);
	/* The outer guard's hook starts to count anew, and between two inner calls it may never get to look.
	 */
	bool is_over = g->outer && limit_passed(g->outer, room, sizeof room);
	lua_sethook(L, g->hook, g->hook_mask, is_over ? 1 : g->hook_count);
	innermost = g->outer;
	if (g->swapped_strings)
		mwl_guard_strings_leave(L);
}

void mwl_guard_pause(lua_State *L, struct mwl_pause *p)
{
	*p = (struct mwl_pause){.innermost = innermost};
	if (!innermost)
		return;
	p->hook = lua_gethook(L);
	p->hook_mask = lua_gethookmask(L);
	p->hook_count = lua_gethookcount(L);
	lua_sethook(L, NULL, 0, 0);
	p->alloc = lua_getallocf(L, &p->alloc_context);
	void *context;
	lua_Alloc alloc = host_alloc(L, &context);
	lua_setallocf(L, alloc, context);
	for (const struct mwl_guard *g = innermost; g; g = g->outer)
		p->swapped_strings = p->swapped_strings || g->swapped_strings;
	if (p->swapped_strings)
		mwl_guard_strings_leave(L);
	innermost = NULL;
}

void mwl_guard_resume(lua_State *L, const struct mwl_pause *p)
{
	if (!p->innermost)
		return;
	innermost = p->innermost;
	if (p->swapped_strings)
		mwl_guard_strings_enter(L);
	lua_setallocf(L, p->alloc, p->alloc_context);
	lua_sethook(L, p->hook, p->hook_mask, p->hook_count);
}

static void refill(struct mwl_guard *g)
{
	if (g->over[0]) {
		g->over[0] = '\0';
		lua_sethook(g->L, look, LUA_MASKCOUNT, STEP);
	}
	g->instructions = 0;
	g->deadline = 0;
	g->heap += g->grown;
	g->grown = 0;
	g->clears = is_littered(g);
	if (g->clears)
		lua_sethook(g->L, look, LUA_MASKCOUNT, 1);
	g->collect_at = (int64_t)(g->limits.memory / 2);
	g->refused = false;
}

/* Leaves the results, or one value that `failure` reads. */
static int run(struct mwl_guard *g, int args, int results)
{
	lua_State *L = g->L;
	if (g->calls == 0)
		refill(g);
	int base = lua_gettop(L) - args - 1;
	g->calls++;
	int status = lua_pcall(L, args, results, 0);
	g->calls--;
	if (g->calls == 0 && g->outer)
		g->outer->instructions += g->instructions;
	if (status == LUA_OK && g->over[0]) { /* caught by the script in its last instructions */
		lua_settop(L, base);
		lua_pushnil(L);
		return LUA_ERRRUN;
	}
	return status;
}

/* Lua's string buffers ask the allocator themselves and raise an ordinary error with this text; the sandbox's
 * functions put the script's line in front. How long what is in front is; -1: it is another error. */
static int place_of_no_memory(lua_State *L)
{
	static const char words[] = "not enough memory";
	size_t len, end = sizeof words - 1;
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
	return text && len >= end && strcmp(text + len - end, words) == 0 ? (int)(len - end) : -1;
}

/* The text of the error at the top of the stack, which may point there; allocates nothing and calls nobody's
 * __tostring. */
static struct mw_span failure(struct mwl_guard *g, int status, char *room, size_t size)
{
	lua_State *L = g->L;
	size_t len;
	int place = place_of_no_memory(L);
	if (g->over[0]) {
		return (struct mw_span){(const uint8_t *)g->over, strlen(g->over)};
	} else if (g->refused && (place >= 0 || status == LUA_ERRMEM)) {
		const char *text = place > 0 ? lua_tostring(L, -1) : "";
		snprintf(room, size, "%.*smore than %zu MB of memory", place < 50 ? place : 50, text,
			 g->limits.memory / (1024 * 1024));
	} else if (status == LUA_ERRMEM) {
		snprintf(room, size, "%s", mw_err_sentence(MW_NO_MEMORY));
	} else if (lua_type(L, -1) == LUA_TSTRING) {
		const char *text = lua_tolstring(L, -1, &len);
		return (struct mw_span){(const uint8_t *)text, len};
	} else if (lua_type(L, -1) == LUA_TNUMBER) {
		snprintf(room, size, "%.14g", (double)lua_tonumber(L, -1));
	} else {
		const char *name = luaL_typename(L, -1);
		snprintf(room, size, "raised %s%s where a text was expected", lua_isnil(L, -1) ? "" : "a ",
			 name);
	}
	return (struct mw_span){(const uint8_t *)room, strlen(room)};
}

enum mw_err mwl_guard_call(struct mwl_guard *g, int args, int results, struct mw_error *e)
{
	int status = run(g, args, results);
	if (status == LUA_OK)
		return MW_OK;
	char room[96];
	struct mw_span text = failure(g, status, room, sizeof room);
	enum mw_err err = status == LUA_ERRMEM && !g->refused ? MW_NO_MEMORY : MW_MAPPING;
	mw_error_set(e, err, 0, "%.*s", (int)(text.len < sizeof e->detail ? text.len : sizeof e->detail),
		     text.at);
	lua_pop(g->L, 1);
	return err;
}

static size_t check_limit(lua_State *L, const char *name, size_t otherwise)
{
	lua_getfield(L, 2, name);
	lua_Number n = luaL_optnumber(L, -1, (lua_Number)otherwise);
	lua_pop(L, 1);
	luaL_argcheck(L, n >= 1 && n <= 1e15, 2, "limits are numbers from 1");
	return (size_t)n;
}

/* "event", "load", or a table that says differently: { instructions =, memory = in bytes, time_ms = } */
static struct mwl_limits check_limits(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TTABLE) {
		static const char *const words[] = {"event", "load", NULL};
		return luaL_checkoption(L, 2, NULL, words) == 0 ? mwl_limits_event : mwl_limits_load;
	}
	struct mwl_limits limits = mwl_limits_event;
	limits.instructions = check_limit(L, "instructions", limits.instructions);
	limits.memory = check_limit(L, "memory", limits.memory);
	limits.time_ms = (int64_t)check_limit(L, "time_ms", (size_t)limits.time_ms);
	return limits;
}

/* core.guard_call(f, limits, ...) -> true, results ... | false, message */
static int guard_call(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	struct mwl_limits limits = check_limits(L);
	lua_remove(L, 2);
	luaL_checkstack(L, 8, NULL);
	struct mwl_guard g = {0};
	mwl_guard_enter(L, &g, &limits, NULL);
	int status = run(&g, lua_gettop(L) - 1, LUA_MULTRET);
	mwl_guard_leave(&g);
	if (status == LUA_OK) {
		luaL_checkstack(L, 1, NULL);
		lua_pushboolean(L, 1);
		lua_insert(L, 1);
		return lua_gettop(L);
	}
	char room[96];
	struct mw_span text = failure(&g, status, room, sizeof room);
	lua_pushboolean(L, 0);
	lua_pushlstring(L, (const char *)text.at, text.len);
	return 2;
}

/* core.guard_look(): a script is about to have something done that takes its time in C; the limits look at
 * its next instruction, as if it had done a thousand. */
static int guard_look(lua_State *L)
{
	if (innermost && !innermost->over[0])
		lua_sethook(L, look, LUA_MASKCOUNT, 1);
	return 0;
}

void mwl_open_guard(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"guard_call", guard_call},
	    {"guard_look", guard_look},
	    {NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}
