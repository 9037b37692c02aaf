/* mock.h -- a test's own mock server (spec/support/mockserver.c): start, script, read what it saw, stop.
 *
 * The program is argv[1] of the test, else MW_MOCKSERVER in the environment. Each server has a temporary
 * folder, which goes with it. It ends with the test, however that ends: its stdin is a pipe from here.
 */
#ifndef MW_MOCK_H
#define MW_MOCK_H

#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct mock {
	pid_t pid;
	int stdin_fd;
	int port;
	char folder[64];
	char url[64];
};

/* One line of the server's log. */
struct mock_request {
	long long ns;
	long connection, nth;
	size_t bytes;
	long messages;
	char key[160];
	long retry;
	int status;
	char body_key[160];
	char path[64];
};

static const char *mock_program;

__attribute__((unused)) static void mock_main(int argc, char **argv)
{
	mock_program = argc > 1 ? argv[1] : getenv("MW_MOCKSERVER");
	if (!mock_program || access(mock_program, X_OK) != 0) {
		fprintf(stderr, "usage: %s MOCKSERVER (or MW_MOCKSERVER in the environment)\n", argv[0]);
		exit(2);
	}
}

__attribute__((unused)) static void mock_folder(char folder[64])
{
	snprintf(folder, 64, "/tmp/moonweir-test-XXXXXX");
	if (!mkdtemp(folder)) {
		perror("mkdtemp");
		exit(2);
	}
}

__attribute__((unused)) static void mock_remove_folder(const char *folder)
{
	char path[400];
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(folder);
}

/* With `cert` and `key` (PEM files) the server speaks TLS, else they are NULL. */
__attribute__((unused)) static struct mock mock_start(const char *cert, const char *key)
{
	struct mock m = {0};
	int in[2], out[2];
	mock_folder(m.folder);
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || (m.pid = fork()) < 0) {
		perror("mock");
		exit(2);
	}
	if (m.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		if (chdir(m.folder) != 0)
			_exit(127);
		execl(mock_program, "mockserver", "--log", "log", "--heads", "heads", "--bodies", "bodies",
		      "--messages", "messages", cert ? "--cert" : NULL, cert, "--key", key, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	m.stdin_fd = in[1];
	char line[16] = "";
	for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
		if (read(out[0], line + n, 1) != 1)
			break;
	close(out[0]);
	m.port = atoi(line);
	snprintf(m.url, sizeof m.url, "%s://127.0.0.1:%d", cert ? "https" : "http", m.port);
	if (m.port == 0) {
		fprintf(stderr, "the mock server did not start\n");
		exit(2);
	}
	return m;
}

__attribute__((unused)) static void mock_stop(struct mock *m)
{
	close(m->stdin_fd);
	kill(m->pid, SIGTERM);
	waitpid(m->pid, NULL, 0);
	mock_remove_folder(m->folder);
}

/* Sends script lines and waits until they hold. Plain HTTP only. */
__attribute__((unused, format(printf, 2, 3))) static bool mock_script(const struct mock *m,
								      const char *format, ...)
{
	char lines[2048], request[2304], answer[64] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(lines, sizeof lines, format, args);
	va_end(args);
	int n = snprintf(request, sizeof request,
			 "POST /control HTTP/1.1\r\nHost: mock\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(lines), lines);
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)m->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
		  send(fd, request, (size_t)n, MSG_NOSIGNAL) == n &&
		  recv(fd, answer, sizeof answer - 1, 0) > 0 && strstr(answer, " 200 ");
	close(fd);
	if (!ok)
		fprintf(stderr, "the mock server did not take its script\n");
	return ok;
}

/* A file of the server's folder, whole and with a NUL behind it; to be freed. */
__attribute__((unused)) static char *mock_read(const struct mock *m, const char *name, size_t *len)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", m->folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		exit(2);
	char *text = malloc((size_t)st.st_size + 1);
	ssize_t n = text ? read(fd, text, (size_t)st.st_size) : -1;
	close(fd);
	if (n < 0)
		exit(2);
	text[n] = '\0';
	if (len)
		*len = (size_t)n;
	return text;
}

__attribute__((unused)) static void mock_forget(const struct mock *m)
{
	static const char *const names[] = {"log", "heads", "bodies", "messages"};
	for (size_t i = 0; i < 4; i++) {
		char path[160];
		snprintf(path, sizeof path, "%s/%s", m->folder, names[i]);
		if (truncate(path, 0) != 0)
			exit(2);
	}
}

/* What the server logged; to be freed. */
__attribute__((unused)) static struct mock_request *mock_log(const struct mock *m, size_t *count)
{
	char *text = mock_read(m, "log", NULL);
	size_t lines = 0;
	for (char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	struct mock_request *all = calloc(lines + 1, sizeof *all);
	*count = 0;
	for (char *at = text; all && *at; at = strchr(at, '\n') + 1) {
		struct mock_request *r = &all[(*count)++];
		if (sscanf(at, "%lld %ld %ld %zu %ld %159s %ld %d %159s %63s", &r->ns, &r->connection,
			   &r->nth, &r->bytes, &r->messages, r->key, &r->retry, &r->status, r->body_key,
			   r->path) != 10)
			exit(2);
	}
	free(text);
	return all;
}

static int mock_by_time(const void *a, const void *b)
{
	const struct mock_request *one = a, *other = b;
	return (one->ns > other->ns) - (one->ns < other->ns);
}

/* The most requests in any second. */
__attribute__((unused)) static size_t mock_busiest_second(const struct mock *m)
{
	size_t count, most = 0, first = 0;
	struct mock_request *all = mock_log(m, &count);
	qsort(all, count, sizeof *all, mock_by_time);
	for (size_t i = 0; i < count; i++) {
		while (all[i].ns - all[first].ns >= 1000000000)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	free(all);
	return most;
}

#endif
