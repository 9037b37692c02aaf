#include "../../csrc/io/http_errand.h"
#include "check.h"
#include "memory_flags.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mw_error error;

/* A server for one connection: keeps what it is sent, and answers `reply` (NULL: never). */
struct server {
	int listener;
	char url[64];
	const char *reply;
	atomic_bool has_come; /* a connection */
	char asked[4096];
	pthread_t thread;
};

static void *serve(void *context)
{
	struct server *s = context;
	int client = accept(s->listener, NULL, NULL);
	atomic_store(&s->has_come, true);
	size_t len = 0;
	ssize_t n = 1;
	while (n > 0 && !strstr(s->asked, "\r\n\r\n") && len < sizeof s->asked - 1) {
		n = recv(client, s->asked + len, sizeof s->asked - 1 - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	if (s->reply)
		send(client, s->reply, strlen(s->reply), MSG_NOSIGNAL);
	else
		while (recv(client, s->asked, 1, 0) > 0)
			;
	close(client);
	return NULL;
}

static void start(struct server *s, const char *reply)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	*s = (struct server){.listener = socket(AF_INET, SOCK_STREAM, 0), .reply = reply};
	if (bind(s->listener, (struct sockaddr *)&at, len) < 0 || listen(s->listener, 1) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&at, &len) < 0 ||
	    pthread_create(&s->thread, NULL, serve, s) != 0)
		abort();
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/x", ntohs(at.sin_port));
}

static void stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static struct mw_errand *sent(const struct mw_errand_config *config)
{
	struct mw_errand *x = NULL;
	mw_error_clear(&error);
	if (mw_errand_start(config, &x, &error) != MW_OK)
		abort();
	return x;
}

static void wait_done(struct mw_errand *x)
{
	for (int i = 0; i < 6000 && !mw_errand_is_done(x); i++)
		poll(NULL, 0, 10);
}

static void wait_connected(struct server *s)
{
	for (int i = 0; i < 6000 && !atomic_load(&s->has_come); i++)
		poll(NULL, 0, 10);
}

TEST(a_form_is_posted_and_the_answer_is_there)
{
	struct server s;
	start(&s, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
	struct mw_errand *x = sent(&(struct mw_errand_config){
	    .url = s.url, .form = MW_SPAN("a=b"), .user = "id", .password = "se:cret", .timeout_ms = 60000});
	wait_done(x);
	int status;
	struct mw_span body;
	CHECK(mw_errand_answer(x, &status, &body, &error) == MW_OK);
	CHECK(status == 201 && body.len == 2 && memcmp(body.at, "{}", 2) == 0);
	stop(&s);
	CHECK(strstr(s.asked, "POST /x HTTP/1.1\r\n"));
	CHECK(strstr(s.asked, "Content-Type: application/x-www-form-urlencoded\r\n"));
	CHECK(strstr(s.asked, "Authorization: Basic aWQ6c2U6Y3JldA==\r\n"));
	mw_errand_free(x);
}

TEST(a_redirect_is_an_answer_and_takes_no_token_along)
{
	struct server s;
	start(&s, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n");
	struct mw_errand *x =
	    sent(&(struct mw_errand_config){.url = s.url, .bearer = "t0ken", .timeout_ms = 60000});
	wait_done(x);
	int status;
	struct mw_span body;
	CHECK(mw_errand_answer(x, &status, &body, &error) == MW_OK && status == 302);
	mw_errand_free(x);
	stop(&s);
	CHECK(strstr(s.asked, "GET /x HTTP/1.1\r\n") && strstr(s.asked, "Authorization: Bearer t0ken\r\n"));
}

TEST(an_answer_that_is_too_long_is_none)
{
	static char reply[MW_ERRAND_ANSWER_MAX + 256];
	int head = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
			    MW_ERRAND_ANSWER_MAX + 1);
	memset(reply + head, 'x', MW_ERRAND_ANSWER_MAX + 1);
	struct server s;
	start(&s, reply);
	struct mw_errand *x = sent(&(struct mw_errand_config){.url = s.url, .timeout_ms = 60000});
	wait_done(x);
	int status;
	struct mw_span body;
	CHECK(mw_errand_answer(x, &status, &body, &error) == MW_IO && strstr(error.detail, "65536 bytes"));
	mw_errand_free(x);
	stop(&s);
}

TEST(one_that_is_under_way_is_cut_when_it_is_freed)
{
	struct server s;
	start(&s, NULL);
	struct mw_errand *x = sent(&(struct mw_errand_config){.url = s.url, .timeout_ms = 3600000});
	wait_connected(&s);
	CHECK(!mw_errand_is_done(x));
	mw_errand_free(x);
	stop(&s);
}

TEST(a_program_that_the_host_starts_does_not_get_its_socket)
{
	struct server s;
	struct sockaddr_in to, peer;
	socklen_t len = sizeof to;
	int found = 0;
	start(&s, NULL);
	CHECK(getsockname(s.listener, (struct sockaddr *)&to, &len) == 0);
	struct mw_errand *x = sent(&(struct mw_errand_config){.url = s.url, .timeout_ms = 3600000});
	wait_connected(&s);
	for (int fd = 0; fd < 256; fd++) {
		peer = (struct sockaddr_in){0}; /* that of another kind of socket may be shorter */
		len = sizeof peer;
		if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || peer.sin_port != to.sin_port)
			continue;
		CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		found++;
	}
	CHECK(found == 1);
	mw_errand_free(x);
	stop(&s);
}

TEST(what_came_is_in_no_core_file)
{
	struct server s;
	start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\na-key!!");
	struct mw_errand *x = sent(&(struct mw_errand_config){.url = s.url, .timeout_ms = 60000});
	wait_done(x);
	int status;
	struct mw_span body;
	CHECK(mw_errand_answer(x, &status, &body, &error) == MW_OK && body.len == 7);
	CHECK(memory_has(body.at, " dd") && memory_has(body.at + 6, " dd"));
	mw_errand_free(x);
	stop(&s);
}

TEST(nobody_there_and_no_such_protocol_are_told)
{
	static const char *const urls[] = {"http://127.0.0.1:1/", "file:///etc/passwd",
					   "gopher://127.0.0.1/"};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct mw_errand *x = sent(&(struct mw_errand_config){.url = urls[i], .timeout_ms = 60000});
		wait_done(x);
		int status;
		struct mw_span body;
		CHECK(mw_errand_answer(x, &status, &body, &error) == MW_IO && error.detail[0]);
		mw_errand_free(x);
	}
	mw_errand_free(NULL);
}

TEST(a_child_process_may_free_it)
{
	struct server s;
	start(&s, NULL);
	struct mw_errand *x = sent(&(struct mw_errand_config){.url = s.url, .timeout_ms = 3600000});
	wait_connected(&s);
	pid_t child = fork();
	if (child == 0) {
		mw_errand_free(x);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mw_errand_free(x);
	stop(&s);
}

int main(void)
{
	RUN(a_form_is_posted_and_the_answer_is_there);
	RUN(a_redirect_is_an_answer_and_takes_no_token_along);
	RUN(an_answer_that_is_too_long_is_none);
	RUN(one_that_is_under_way_is_cut_when_it_is_freed);
	RUN(a_program_that_the_host_starts_does_not_get_its_socket);
	RUN(what_came_is_in_no_core_file);
	RUN(nobody_there_and_no_such_protocol_are_told);
	RUN(a_child_process_may_free_it);
	return CHECK_END();
}
