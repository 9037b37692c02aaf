/* family.c -- a process and those it forks: who started whom, who died, and what each has to tell.
 *
 *     local family = core.family
 *     local slate = family.slate(2)
 *     local pid = family.fork()                 0 in the child, which does not outlive its parent
 *     slate:write(1, "…")                       slate:read(1)
 *
 * For the command only, and before anything has a thread or a store open.
 */
#include "../io/slate.h"
#include "mwl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MWL_SLATE "moonweir.slate"

struct mwl_slate {
	struct mw_slate *slate;
	struct mw_buf text;
};

static int fail_errno(lua_State *L, const char *what)
{
	struct mw_error e;
	mw_error_clear(&e);
	mw_error_set(&e, MW_IO, 0, "%s: %s", what, strerror(errno));
	return mwl_fail(L, &e);
}

static void on_child(int number)
{
	(void)number;
}

/* family.fork() -> pid, or 0 in the child | nil, message, code. Whatever ends the parent, the child gets
 * SIGTERM then. Of a terminal's Ctrl-C the parent alone hears. */
static int family_fork(lua_State *L)
{
	struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	sigemptyset(&action.sa_mask);
	sigaction(SIGCHLD, &action, NULL); /* so that family.pause ends */
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(L, "fork");
	if (pid == 0) {
		signal(SIGCHLD, SIG_DFL);
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(0); /* it died in between */
	}
	lua_pushinteger(L, (lua_Integer)pid);
	return 1;
}

/* family.reap() -> pid, what became of it ("exit 1", "signal 9") of a child that ended | nil: none did */
static int family_reap(lua_State *L)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);
	if (pid <= 0)
		return 0;
	lua_pushinteger(L, (lua_Integer)pid);
	if (WIFSIGNALED(status))
		lua_pushfstring(L, "signal %d", WTERMSIG(status));
	else
		lua_pushfstring(L, "exit %d", WEXITSTATUS(status));
	return 2;
}

/* family.signal(pid, "TERM"|"HUP"|"KILL") */
static int family_signal(lua_State *L)
{
	static const char *const names[] = {"TERM", "HUP", "KILL", NULL};
	static const int numbers[] = {SIGTERM, SIGHUP, SIGKILL};
	lua_Integer pid = luaL_checkinteger(L, 1);
	luaL_argcheck(L, pid > 1, 1, "a child");
	lua_pushboolean(L, kill((pid_t)pid, numbers[luaL_checkoption(L, 2, NULL, names)]) == 0);
	return 1;
}

/* family.pause(seconds): until then, or until a signal comes */
static int family_pause(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	luaL_argcheck(L, seconds >= 0 && seconds <= 3600, 1, "seconds, at most an hour");
	poll(NULL, 0, (int)(seconds * 1000));
	return 0;
}

/* family.close(fd) */
static int family_close(lua_State *L)
{
	close((int)luaL_checkinteger(L, 1));
	return 0;
}

static struct mwl_slate *check_slate(lua_State *L)
{
	return luaL_checkudata(L, 1, MWL_SLATE);
}

static unsigned check_page(lua_State *L, const struct mwl_slate *s)
{
	lua_Integer page = luaL_checkinteger(L, 2);
	luaL_argcheck(L, page >= 1 && page <= (lua_Integer)mw_slate_pages(s->slate), 2, "a page, from 1 on");
	return (unsigned)page - 1;
}

/* family.slate(pages) -> slate | nil, message, code */
static int family_slate(lua_State *L)
{
	lua_Integer pages = luaL_checkinteger(L, 1);
	luaL_argcheck(L, pages >= 1 && pages <= MW_SLATE_PAGES_MAX, 1, "1 to 64 pages");
	struct mwl_slate *s = mwl_newuserdata(L, sizeof *s);
	memset(s, 0, sizeof *s);
	mw_buf_init(&s->text, MW_SLATE_PAGE_MAX);
	luaL_getmetatable(L, MWL_SLATE);
	lua_setmetatable(L, -2);
	s->slate = mw_slate_new((unsigned)pages);
	return s->slate ? 1 : mwl_fail_code(L, MW_NO_MEMORY);
}

/* slate:write(page, text) -> is it there? Not if it is too long. */
static int slate_write(lua_State *L)
{
	struct mwl_slate *s = check_slate(L);
	unsigned page = check_page(L, s);
	lua_pushboolean(L, mw_slate_write(s->slate, page, mwl_check_span(L, 3)));
	return 1;
}

/* slate:read(page) -> text, "" if there is none yet | nil, message, code */
static int slate_read(lua_State *L)
{
	struct mwl_slate *s = check_slate(L);
	unsigned page = check_page(L, s);
	mw_buf_clear(&s->text);
	enum mw_err err = mw_slate_read(s->slate, page, &s->text);
	if (err != MW_OK)
		return mwl_fail_code(L, err);
	lua_pushlstring(L, s->text.data ? (const char *)s->text.data : "", s->text.len);
	return 1;
}

/* slate:pages() */
static int slate_pages(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)mw_slate_pages(check_slate(L)->slate));
	return 1;
}

static int slate_gc(lua_State *L)
{
	struct mwl_slate *s = check_slate(L);
	mw_slate_free(s->slate);
	s->slate = NULL;
	mw_buf_deinit(&s->text);
	return 0;
}

void mwl_open_family(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"fork", family_fork},
	    {"reap", family_reap},
	    {"signal", family_signal},
	    {"pause", family_pause},
	    {"close", family_close},
	    {"slate", family_slate},
	    {NULL, NULL},
	};
	static const luaL_Reg methods[] = {
	    {"write", slate_write},
	    {"read", slate_read},
	    {"pages", slate_pages},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_SLATE);
	lua_pushcfunction(L, slate_gc);
	lua_setfield(L, -2, "__gc");
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "family");
}
