/* reader.c -- a file or pipe as blocks of whole lines, for `moonweir run`.
 *
 *     local r = core.reader("events.ndjson")     -- "-" is standard input
 *     local block, lines = r:next(0.1)           -- some 256 KB, ending in a newline
 *
 * A pipe's lines are handed over as they come: a block is what is there, not what will be. Memory stays
 * at one block, or one line of at most MW_EVENT_MAX.
 */
#include "mwl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define MWL_READER "moonweir.reader"

enum { BLOCK_LEN = 256 * 1024 };

struct mwl_reader {
	struct mw_buf buf;
	size_t given;   /* bytes of buf handed out by the last next() */
	size_t newline; /* bytes of buf up to and including its last newline; 0: none */
	int fd;         /* -1: closed */
	bool ended;
	bool skipping; /* inside a line that is too long */
};

static struct mwl_reader *check_reader(lua_State *L)
{
	struct mwl_reader *r = luaL_checkudata(L, 1, MWL_READER);
	if (r->fd < 0)
		luaL_error(L, "this reader is closed");
	return r;
}

static int reader_close(lua_State *L)
{
	struct mwl_reader *r = luaL_checkudata(L, 1, MWL_READER);
	if (r->fd > STDIN_FILENO)
		close(r->fd);
	r->fd = -1;
	mw_buf_deinit(&r->buf);
	return 0;
}

/* core.reader(path) -> reader | nil, message, code */
static int reader_new(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct mwl_reader *r = mwl_newuserdata(L, sizeof *r);
	*r = (struct mwl_reader){.fd = -1};
	mw_buf_init(&r->buf, (size_t)MW_EVENT_MAX + 2 * BLOCK_LEN);
	luaL_getmetatable(L, MWL_READER);
	lua_setmetatable(L, -2);
	struct stat st;
	bool is_stdin = strcmp(path, "-") == 0;
	r->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	bool known = r->fd >= 0 && fstat(r->fd, &st) == 0;
	if (!known || S_ISDIR(st.st_mode)) {
		lua_pushnil(L);
		lua_pushfstring(L, "%s: %s", is_stdin ? "standard input" : path,
				known ? "a directory, not a file" : strerror(errno));
		lua_pushstring(L, mw_err_word(MW_IO));
		return 3;
	}
	return 1;
}

/* reader:size() -> bytes, or nil if nobody knows (a pipe) */
static int reader_size(lua_State *L)
{
	struct stat st;
	if (fstat(check_reader(L)->fd, &st) == 0 && S_ISREG(st.st_mode))
		lua_pushnumber(L, (lua_Number)st.st_size);
	else
		lua_pushnil(L);
	return 1;
}

static lua_Integer count_lines(const uint8_t *at, size_t len)
{
	lua_Integer lines = 0;
	const uint8_t *end = at + len;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		lines++;
		at++;
	}
	return lines;
}

static int give(lua_State *L, struct mwl_reader *r, size_t len)
{
	lua_pushlstring(L, (const char *)r->buf.data, len);
	lua_pushinteger(L, count_lines(r->buf.data, len));
	r->given = len;
	return 2;
}

static void forget_given(struct mwl_reader *r)
{
	if (r->given == 0)
		return;
	r->buf.len -= r->given;
	memmove(r->buf.data, r->buf.data + r->given, r->buf.len);
	r->given = 0;
	r->newline = 0; /* a block ends at the last one there was */
}

/* Look at what was read last for its newlines. True if that ended a line too long to be taken. */
static bool note_newlines(struct mwl_reader *r, size_t fresh)
{
	uint8_t *from = r->buf.data + r->buf.len - fresh;
	if (r->skipping) {
		uint8_t *end = memchr(from, '\n', fresh);
		if (!end) {
			r->buf.len = 0;
			return false;
		}
		r->skipping = false;
		r->given = (size_t)(end + 1 - r->buf.data);
		forget_given(r);
		from = r->buf.data;
		fresh = r->buf.len;
		const uint8_t *last = fresh ? memrchr(from, '\n', fresh) : NULL;
		r->newline = last ? (size_t)(last + 1 - r->buf.data) : 0;
		return true;
	}
	const uint8_t *last = memrchr(from, '\n', fresh);
	if (last)
		r->newline = (size_t)(last + 1 - r->buf.data);
	else if (r->newline == 0 && r->buf.len > MW_EVENT_MAX) {
		r->skipping = true;
		r->buf.len = 0;
	}
	return false;
}

static int fail_word(lua_State *L, const char *message, const char *word)
{
	lua_pushnil(L);
	lua_pushstring(L, message);
	lua_pushstring(L, word);
	return 3;
}

/* reader:next([seconds]) -> block, lines | nil, message, "eof" | "timeout" | "too_large" (one line
 * was skipped) | "io". A signal ends the wait as if the time were over. */
static int reader_next(lua_State *L)
{
	struct mwl_reader *r = check_reader(L);
	lua_Number seconds = luaL_optnumber(L, 2, 0);
	luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 2, "seconds, from 0 to a day");
	int64_t until = mwl_now_monotonic() + (int64_t)(seconds * 1000);
	forget_given(r);
	for (;;) {
		if (r->newline >= BLOCK_LEN)
			return give(L, r, r->newline);
		if (r->ended && r->buf.len > 0)
			return give(L, r, r->buf.len);
		if (r->ended)
			return fail_word(L, "end of file", "eof");
		int64_t left = until - mwl_now_monotonic();
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		int ready = poll(&p, 1, r->newline > 0 || left < 0 ? 0 : (int)left);
		if (ready <= 0 && r->newline > 0)
			return give(L, r, r->newline);
		if (ready <= 0)
			return fail_word(L, "nothing to read yet", "timeout");
		if (mw_buf_reserve(&r->buf, BLOCK_LEN) != MW_OK)
			return mwl_fail_code(L, MW_NO_MEMORY);
		ssize_t n = read(r->fd, r->buf.data + r->buf.len, BLOCK_LEN);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return fail_word(L, strerror(errno), mw_err_word(MW_IO));
		bool was_skipping = r->skipping;
		if (n == 0)
			r->ended = true;
		else
			r->buf.len += (size_t)n;
		bool skipped = n > 0 ? note_newlines(r, (size_t)n) : was_skipping;
		if (n == 0)
			r->skipping = false;
		if (skipped)
			return fail_word(L, "the line is longer than 16 MiB", mw_err_word(MW_TOO_LARGE));
	}
}

void mwl_open_reader(lua_State *L)
{
	static const luaL_Reg methods[] = {
	    {"next", reader_next},
	    {"size", reader_size},
	    {"close", reader_close},
	    {NULL, NULL},
	};
	luaL_newmetatable(L, MWL_READER);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, reader_close);
	lua_setfield(L, -2, "__gc");
	lua_pushcfunction(L, reader_close);
	lua_setfield(L, -2, "__close");
	lua_pop(L, 1);
	lua_pushcfunction(L, reader_new);
	lua_setfield(L, -2, "reader");
}
