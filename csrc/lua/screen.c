/* screen.c -- core.screen: a terminal as one page that is drawn again and again, and its keys.
 *
 *     size = screen.size()        of the terminal behind stdout
 *     screen.listen()             keys come as they are pressed, unseen
 *     key = screen.key(1)         one of them, or nil after a second or at a signal
 *     screen.leave()              the terminal as it was
 *
 * For the command only, as process.c is.
 */
#include "mwl.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool is_listening;

/* screen.size() -> columns, rows; 80, 24 if nobody knows */
static int screen_size(lua_State *L)
{
	struct winsize size = {0};
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
	lua_pushinteger(L, known ? size.ws_col : 80);
	lua_pushinteger(L, known ? size.ws_row : 24);
	return 2;
}

/* screen.listen() -> are there keys to hear? Ctrl-C stays a signal; Ctrl-Z and Ctrl-\ would leave the page
 * behind. */
static int screen_listen(lua_State *L)
{
	struct termios keys;
	if (!is_listening && tcgetattr(STDIN_FILENO, &before) == 0) {
		keys = before;
		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		keys.c_cc[VMIN] = 1;
		keys.c_cc[VTIME] = 0;
		keys.c_cc[VSUSP] = _POSIX_VDISABLE;
		keys.c_cc[VQUIT] = _POSIX_VDISABLE;
		is_listening = tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0;
	}
	lua_pushboolean(L, is_listening);
	return 1;
}

/* screen.key(seconds) -> a byte that was typed; "" if the terminal is gone; nil: none came, or a signal did
 */
static int screen_key(lua_State *L)
{
	lua_Number seconds = luaL_checknumber(L, 1);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 1, "seconds, from 0 to a day");
	struct pollfd keys = {.fd = is_listening ? STDIN_FILENO : -1, .events = POLLIN};
	if (poll(&keys, 1, (int)(seconds * 1000)) <= 0)
		return 0;
	char key;
	ssize_t n = read(STDIN_FILENO, &key, 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	lua_pushlstring(L, &key, n > 0 ? 1 : 0);
	return 1;
}

/* screen.leave(): what was typed and not read is not left to the shell */
static int screen_leave(lua_State *L)
{
	(void)L;
	if (is_listening)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	is_listening = false;
	return 0;
}

void mwl_open_screen(lua_State *L)
{
	static const luaL_Reg functions[] = {{"size", screen_size},
					     {"listen", screen_listen},
					     {"key", screen_key},
					     {"leave", screen_leave},
					     {NULL, NULL}};
	lua_newtable(L);
	luaL_setfuncs(L, functions, 0);
	lua_setfield(L, -2, "screen");
}
