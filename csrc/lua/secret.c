#include "secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* A line from the terminal, which does not show it. Whoever wants to be interrupted catches signals first:
 * then the terminal is put right again. */
static ssize_t read_typed(uint8_t *room, size_t max, const char *prompt)
{
	struct termios before, silent;
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -1;
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Before the prompt: who types as soon as that is there is not seen, and not flushed either. */
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
		return -1;
	fprintf(stderr, "%s", prompt);
	fflush(stderr);
	ssize_t n = read(STDIN_FILENO, room, max);
	int why = errno;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	errno = why;
	return n;
}

static ssize_t read_stdin(uint8_t *room, size_t max, const char *prompt)
{
	if (isatty(STDIN_FILENO))
		return read_typed(room, max, prompt);
	size_t len = 0;
	ssize_t n = 1;
	while (n > 0 && len < max) {
		n = read(STDIN_FILENO, room + len, max - len);
		len += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : (ssize_t)len;
}

static struct mw_span trim(struct mw_span s)
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
	if (s.len >= sizeof mark && memcmp(s.at, mark, sizeof mark) == 0)
		s = (struct mw_span){s.at + sizeof mark, s.len - sizeof mark};
	while (s.len > 0 && memchr(" \t\r\n", s.at[0], 4))
		s = (struct mw_span){s.at + 1, s.len - 1};
	while (s.len > 0 && memchr(" \t\r\n", s.at[s.len - 1], 4))
		s.len--;
	return s;
}

enum mw_err mwl_secret_read(const char *path, const char *prompt, const char *what, size_t max,
			    uint8_t **room, struct mw_span *out, struct mw_error *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	*room = sodium_malloc(max);
	if (!*room)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no locked memory for the %s", what);
	size_t len = 0;
	enum mw_err err = MW_OK;
	if (is_stdin) {
		ssize_t n = read_stdin(*room, max, prompt);
		if (n < 0)
			return mw_error_set(e, MW_IO, 0, "standard input: %s",
					    errno == EINTR ? "interrupted" : strerror(errno));
		len = (size_t)n;
	} else {
		err = mw_private_read(path, 0, *room, max, &len, e);
	}
	*out = trim((struct mw_span){*room, len});
	if (err == MW_OK && out->len == 0)
		err = mw_error_set(e, MW_BAD_KEY, 0, "%.140s: empty; it should hold the %s",
				   is_stdin ? "standard input" : path, what);
	return err;
}
