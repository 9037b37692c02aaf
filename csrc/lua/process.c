/* process.c -- what the command needs of its process: terminal, signals, argv, clocks, private files.
 *
 * For the command only: the library itself installs no signal handler and touches no argv.
 */
#include "../core/timestamp.h"
#include "../io/private.h"
#include "mwl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A key file holds one key, an accounts file one line for each of some ten thousand accounts. */
enum { PRIVATE_MAX = 4 * 1024 * 1024 };

static volatile sig_atomic_t caught, reloads;

static void on_signal(int number)
{
	(void)number;
	caught = 1;
}

/* process.prepare(): what a command does first of all.
 *
 * A standard stream that the caller closed stays closed to us, but its number must not go to the next socket:
 * what is printed would be sent to Segment. /dev/null opened the wrong way round holds the place, and fails
 * as before. And an interrupt ends the process, where the interpreter would print a traceback. */
static int process_prepare(lua_State *L)
{
	(void)L;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null",
				    fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest: fd */
	signal(SIGINT, SIG_DFL);
	return 0;
}

/* process.prepare_daemon(): files that are made are the owner's alone, and no core file or debugger gets at
 * secrets. */
static int process_prepare_daemon(lua_State *L)
{
	(void)L;
	umask(077);
	prctl(PR_SET_DUMPABLE, 0);
	return 0;
}

/* process.is_terminal(fd) */
static int process_is_terminal(lua_State *L)
{
	lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
	return 1;
}

/* process.width() -> columns of the terminal behind stderr, 80 if there is none */
static int process_width(lua_State *L)
{
	struct winsize size = {0};
	bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
	lua_pushinteger(L, known ? size.ws_col : 80);
	return 1;
}

/* process.catch_signals([patient]): the first SIGINT or SIGTERM only sets a flag, the second ends the
 * process; not if it is patient, as one is that its parent and a service manager both tell to stop. No
 * SA_RESTART: a read that waits must come back, to see the flag. */
static int process_catch_signals(lua_State *L)
{
	struct sigaction action = {.sa_handler = on_signal,
				   .sa_flags = lua_toboolean(L, 1) ? 0 : (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

static void on_reload(int number)
{
	(void)number;
	reloads = 1;
}

/* process.catch_reload(): SIGHUP sets a flag from now on, and no longer ends the process. */
static int process_catch_reload(lua_State *L)
{
	(void)L;
	struct sigaction action = {.sa_handler = on_reload};
	sigemptyset(&action.sa_mask);
	sigaction(SIGHUP, &action, NULL);
	return 0;
}

/* process.reload_wanted() -> has SIGHUP come since this was last asked? */
static int process_reload_wanted(lua_State *L)
{
	bool wanted = reloads != 0;
	reloads = 0;
	lua_pushboolean(L, wanted);
	return 1;
}

/* process.interrupted() -> has a signal come? */
static int process_interrupted(lua_State *L)
{
	lua_pushboolean(L, caught != 0);
	return 1;
}

static int process_monotonic(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)mwl_now_monotonic() / 1000);
	return 1;
}

static int process_wall(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)mwl_now_wall() / 1000);
	return 1;
}

/* process.wait(seconds) -> true, or false if a signal came first */
static int process_wait(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 1, "seconds, from 0 to a day");
	int64_t until = mwl_now_monotonic() + (int64_t)(seconds * 1000);
	int64_t left;
	while (!caught && (left = until - mwl_now_monotonic()) > 0)
		poll(NULL, 0, (int)left);
	lua_pushboolean(L, !caught);
	return 1;
}

/* Where this process's arguments lie: fields 48 and 49 of /proc/self/stat. The second field is the
 * command's name in brackets and may hold anything, so counting starts behind the last bracket. */
static bool find_arguments(char **start, char **end)
{
	char text[2048];
	FILE *f = fopen("/proc/self/stat", "re");
	if (!f)
		return false;
	size_t len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = '\0';
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 48; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	if (!at)
		return false;
	unsigned long long first = strtoull(at, &at, 10);
	unsigned long long last = strtoull(at, NULL, 10);
	if (first == 0 || last <= first)
		return false;
	*start = (char *)(uintptr_t)first;
	*end = (char *)(uintptr_t)last;
	return true;
}

/* process.scrub(secret) -> how often it stood in the arguments that `ps` shows; now it is asterisks. 0 where
 * there is no /proc: elsewhere a key belongs in a file or the environment. */
static int process_scrub(lua_State *L)
{
	size_t len;
	const char *secret = luaL_checklstring(L, 1, &len);
	lua_Integer found = 0;
	char *at, *end;
	if (len > 0 && find_arguments(&at, &end)) {
		while ((size_t)(end - at) >= len && (at = memmem(at, (size_t)(end - at), secret, len))) {
			memset(at, '*', len);
			at += len;
			found++;
		}
	}
	lua_pushinteger(L, found);
	return 1;
}

/* process.read_private(path) -> contents | nil, message, code. Refuses what group or others may read. */
static int process_read_private(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	char *room = mwl_newuserdata(L, PRIVATE_MAX); /* Lua's, so that no error leaks it */
	size_t len;
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_private_read(path, 0, room, PRIVATE_MAX, &len, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushlstring(L, room, len);
	return 1;
}

/* process.make_private(path) -> true | nil, message, code: an empty file that nobody else can read, ready to
 * be written. What it held before is gone. */
static int process_make_private(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct mw_error e;
	mw_error_clear(&e);
	if (mw_private_make(path, &e) != MW_OK)
		return mwl_fail(L, &e);
	lua_pushboolean(L, 1);
	return 1;
}

/* process.time("2026-11-23T21:58Z") -> seconds since 1970, or nil. Without a zone it is UTC. */
static int process_time(lua_State *L)
{
	int64_t ms;
	if (!mw_timestamp_parse(mwl_check_span(L, 1), &ms))
		return 0;
	lua_pushnumber(L, (lua_Number)ms / 1000);
	return 1;
}

static int dir_gc(lua_State *L)
{
	DIR **dir = lua_touserdata(L, 1);
	if (*dir)
		closedir(*dir);
	*dir = NULL;
	return 0;
}

static int fail_io(lua_State *L, const char *path)
{
	struct mw_error e;
	mw_error_clear(&e);
	mw_error_set(&e, MW_IO, 0, "%.150s: %s", path, strerror(errno));
	return mwl_fail(L, &e);
}

/* process.files(directory) -> the names of the files in it, in no order | nil, message, code. What is no file
 * (a directory, a pipe that would never end) is left out. */
static int process_files(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	const struct dirent *entry;
	struct stat st;
	DIR **dir = mwl_newuserdata(L, sizeof *dir);
	*dir = NULL;
	if (luaL_newmetatable(L, "moonweir.directory")) {
		lua_pushcfunction(L, dir_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	*dir = opendir(path);
	if (!*dir)
		return fail_io(L, path);
	lua_newtable(L);
	for (int i = 1; errno = 0, entry = readdir(*dir);) {
		if (fstatat(dirfd(*dir), entry->d_name, &st, 0) != 0 || !S_ISREG(st.st_mode))
			continue;
		lua_pushstring(L, entry->d_name);
		lua_rawseti(L, -2, i++);
	}
	return errno != 0 ? fail_io(L, path) : 1;
}

/* process.file_kind(path) -> "file" | "directory" | "other" (a link, a device, a pipe) | nil: there is none,
 * or nobody can tell. */
static int process_file_kind(lua_State *L)
{
	struct stat st;
	if (lstat(luaL_checkstring(L, 1), &st) != 0)
		return 0;
	lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "directory" : "other");
	return 1;
}

/* process.make_directory(path) -> true | nil, message, code. One that is there already will do. */
static int process_make_directory(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct stat st;
	if (mkdir(path, 0777) != 0) {
		int why = errno;
		bool is_there = why == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
		errno = why == EEXIST ? ENOTDIR : why; /* what is there is something else */
		if (!is_there)
			return fail_io(L, path);
	}
	lua_pushboolean(L, 1);
	return 1;
}

/* process.temporary_folder() -> path | nil, message, code. New, and only its owner's; in TMPDIR or /tmp. */
static int process_temporary_folder(lua_State *L)
{
	const char *base = getenv("TMPDIR");
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/moonweir-XXXXXX", base && *base ? base : "/tmp");
	errno = ENAMETOOLONG;
	if (len >= (int)sizeof path || !mkdtemp(path))
		return fail_io(L, path);
	lua_pushstring(L, path);
	return 1;
}

void mwl_open_process(lua_State *L)
{
	static const luaL_Reg functions[] = {
	    {"prepare", process_prepare},
	    {"prepare_daemon", process_prepare_daemon},
	    {"is_terminal", process_is_terminal},
	    {"width", process_width},
	    {"catch_signals", process_catch_signals},
	    {"catch_reload", process_catch_reload},
	    {"reload_wanted", process_reload_wanted},
	    {"interrupted", process_interrupted},
	    {"monotonic", process_monotonic},
	    {"wall", process_wall},
	    {"wait", process_wait},
	    {"scrub", process_scrub},
	    {"read_private", process_read_private},
	    {"make_private", process_make_private},
	    {"time", process_time},
	    {"files", process_files},
	    {"file_kind", process_file_kind},
	    {"make_directory", process_make_directory},
	    {"temporary_folder", process_temporary_folder},
	    {NULL, NULL},
	};
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "process");
}
