/* core.c -- the module moonweir.core: what each file adds to it, and the few helpers that all of them use. */
#include "../core/version.h"
#include "mwl.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

int mwl_fail(lua_State *L, const struct mw_error *e)
{
	lua_pushnil(L);
	lua_pushstring(L, e->detail[0] ? e->detail : mw_err_sentence(e->code));
	lua_pushstring(L, mw_err_word(e->code));
	return 3;
}

int mwl_fail_code(lua_State *L, enum mw_err code)
{
	struct mw_error e = {.code = code};
	return mwl_fail(L, &e);
}

struct mw_span mwl_check_span(lua_State *L, int index)
{
	size_t len;
	const char *text = luaL_checklstring(L, index, &len);
	return (struct mw_span){(const uint8_t *)text, len};
}

struct mw_span mwl_check_account(lua_State *L, int index)
{
	struct mw_span account = mwl_check_span(L, index);
	luaL_argcheck(L, account.len > 0 && account.len <= MW_ACCOUNT_MAX, index,
		      "an account is named by 1 to 255 bytes");
	return account;
}

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t mwl_now_wall(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t mwl_now_monotonic(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t mwl_now_cpu(void)
{
	return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

/* A message without an upstream id needs 16 random bytes, and a system call for each would cost more than the
 * rest of the message. So they are fetched by the page's worth, one page for each thread. What has been
 * handed out is wiped, and a child process starts with none: two processes that draw the same ids would have
 * Segment drop one's messages. */
static _Thread_local struct {
	uint8_t bytes[256]; /* as much as getrandom gives without interruption */
	size_t left;
	unsigned forks;
} pool;
static unsigned forks;

static void on_fork(void)
{
	forks++;
}

static void register_fork(void)
{
	pthread_atfork(NULL, NULL, on_fork);
}

void mwl_random(void *context, uint8_t bytes[16])
{
	(void)context;
	if (pool.left < 16 || pool.forks != forks) {
		/* Fails only where the kernel has no random bytes at all; repeated ids would lose messages
		 * unseen. */
		if (getrandom(pool.bytes, sizeof pool.bytes, 0) != (ssize_t)sizeof pool.bytes)
			abort();
		pool.left = sizeof pool.bytes;
		pool.forks = forks;
	}
	pool.left -= 16;
	memcpy(bytes, pool.bytes + pool.left, 16);
	memset(pool.bytes + pool.left, 0, 16);
}

/* libsodium's, because it allocates nothing and can't fail, as the core expects of it. */
void mwl_sha256(const void *bytes, size_t len, uint8_t digest[32])
{
	static const uint8_t none;
	crypto_hash_sha256(digest, len > 0 ? bytes : &none, len);
}

static void push_errors(lua_State *L)
{
	lua_newtable(L);
#define SET_SENTENCE(code, word, sentence) (lua_pushstring(L, sentence), lua_setfield(L, -2, word));
	MW_ERRORS(SET_SENTENCE)
#undef SET_SENTENCE
}

__attribute__((visibility("default"))) int luaopen_moonweir_core(lua_State *L);

int luaopen_moonweir_core(lua_State *L)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, register_fork);
	lua_newtable(L);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_pushliteral(L, MW_VERSION_TEXT);
	lua_setfield(L, -2, "version");
	push_errors(L);
	lua_setfield(L, -2, "errors");
	mwl_open_digits(L);
	mwl_open_decode(L);
	mwl_open_encode(L);
	mwl_open_array(L);
	mwl_open_call(L);
	mwl_open_view(L);
	mwl_open_guard(L);
	mwl_open_guard_strings(L);
	mwl_open_map(L);
	mwl_open_review(L);
	mwl_open_mapper(L);
	mwl_open_client(L);
	mwl_open_dead(L);
	mwl_open_process(L);
	mwl_open_family(L);
	mwl_open_reader(L);
	mwl_open_intake(L);
	mwl_open_vault(L);
	mwl_open_link(L);
	mwl_open_errand(L);
	mwl_open_identities(L);
	mwl_open_roll(L);
	mwl_open_verify(L);
	mwl_open_board(L);
	mwl_open_screen(L);
	mwl_open_signature(L);
	mwl_open_rs256(L);
	return 1;
}
