#include "http_world.h"

static const struct mw_http_config plain;

TEST(a_refused_connection_says_by_whom)
{
	struct mock m = mock_start(NULL, NULL);
	char expected[80];
	snprintf(expected, sizeof expected, "connection refused by 127.0.0.1:%d", m.port);
	mock_stop(&m);
	struct world *w = world_open(plain);
	CHECK(world_status(w, m.url) == MW_STATUS_NETWORK);
	CHECK(strcmp(w->error, expected) == 0);
	CHECK(w->granted == 0); /* nothing was sent, so nothing is counted */
	world_close(w);
}

TEST(a_request_cut_anywhere_has_no_answer)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	uint8_t message[2000];
	memset(message, 'm', sizeof message);
	struct mw_span messages = {message, sizeof message};
	CHECK(world_post(w, m.url, messages, 0) && world_finish(w) && w->status == 200);
	size_t head_len, body_len;
	free(mock_read(&m, "heads", &head_len));
	free(mock_read(&m, "bodies", &body_len));
	size_t whole = head_len - 1 + 2 + body_len - 1;
	for (size_t cut = 0; cut < whole; cut += 97) {
		CHECK(mock_script(&m, "cut-request %zu", cut));
		CHECK(world_post(w, m.url, messages, 0) && world_finish(w));
		if (w->status != MW_STATUS_NETWORK)
			fprintf(stderr, "cut at %zu of %zu: %d\n", cut, whole, w->status);
		CHECK(w->status == MW_STATUS_NETWORK && w->error[0]);
	}
	CHECK(mock_script(&m, "cut-request %zu", whole));
	CHECK(world_post(w, m.url, messages, 0) && world_finish(w) && w->status == 200);
	world_close(w);
	mock_stop(&m);
}

TEST(an_answer_cut_anywhere_is_none)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	static const char head[] = "HTTP/1.1 200 Mock\r\nContent-Length: 1000\r\n\r\n";
	for (size_t cut = 0; cut < sizeof head - 1 + 1000; cut += cut < sizeof head ? 1 : 97) {
		CHECK(mock_script(&m, "reset\nhuge 1000\ncut-response %zu", cut));
		int status = world_status(w, m.url);
		if (status != MW_STATUS_NETWORK)
			fprintf(stderr, "cut at %zu: %d\n", cut, status);
		CHECK(status == MW_STATUS_NETWORK);
	}
	CHECK(mock_script(&m, "reset\nhuge 1000\ncut-response %zu", sizeof head - 1 + 1000));
	CHECK(world_status(w, m.url) == 200 && w->body_len == 1000);
	world_close(w);
	mock_stop(&m);
}

TEST(a_stalled_server_is_given_up_in_time)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open((struct mw_http_config){.timeout_ms = 200});
	CHECK(mock_script(&m, "stall"));
	CHECK(world_status(w, m.url) == MW_STATUS_NETWORK && strstr(w->error, "127.0.0.1"));
	world_close(w);
	mock_stop(&m);
}

TEST(free_cuts_what_is_under_way)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(mock_script(&m, "stall"));
	for (int i = 0; i < 5; i++) {
		CHECK(world_post(w, m.url, MW_SPAN("{}"), 0));
		mw_http_work(w->http);
	}
	CHECK(w->done == 0);
	world_close(w);
	mock_stop(&m);
}

TEST(a_hidden_resend_asks_for_its_own_permit)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	CHECK(mock_script(&m, "drop-reused"));
	CHECK(world_status(w, m.url) == 200 && w->granted == 1);
	CHECK(world_status(w, m.url) == 200 && w->granted == 2);
	size_t count;
	struct mock_request *log = mock_log(&m, &count);
	CHECK(count == 3 && log[1].status == 0 && log[2].status == 200);
	free(log);
	/* A re-send without permit: bytes have left, so it is not unsent. */
	w->permits[1] = MW_HTTP_PERMIT_WAIT_MS + 1;
	CHECK(world_status(w, m.url) == MW_STATUS_NETWORK && w->granted == 1 && w->asked == 2);
	CHECK(strstr(w->error, "closed the connection") && !strstr(w->error, "callback"));
	world_close(w);
	mock_stop(&m);
}

TEST(without_a_permit_nothing_is_sent)
{
	struct mock m = mock_start(NULL, NULL);
	struct world *w = world_open(plain);
	w->permits[0] = MW_HTTP_PERMIT_WAIT_MS + 1;
	CHECK(world_status(w, m.url) == MW_STATUS_UNSENT && w->asked == 1 && w->error[0] == '\0');
	size_t count;
	free(mock_log(&m, &count));
	CHECK(count == 0);
	/* A near one is waited for. */
	w->permits[0] = MW_HTTP_PERMIT_WAIT_MS;
	w->permits[1] = 1;
	CHECK(world_status(w, m.url) == 200 && w->asked == 3);
	world_close(w);
	mock_stop(&m);
}

TEST(a_ca_file_that_cannot_be_read_is_said_at_once)
{
	struct mw_http *h = NULL;
	struct mw_error e = {0};
	struct mw_http_config config = {.ca_file = "/nonexistent/ca.pem"};
	CHECK(mw_http_new(&config, &h, &e) == MW_IO && !h && strstr(e.detail, "/nonexistent/ca.pem"));
}

static char certs[64];

static const char *cert_path(const char *name)
{
	static char paths[4][160];
	static size_t next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", certs, name);
	return path;
}

/* Two authorities, and certificates of the first: good, for another host, expired. */
static bool make_certificates(void)
{
	char command[4096];
	mock_folder(certs);
	snprintf(command, sizeof command,
		 "cd %s && exec 2>openssl.log && n='-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256'\n"
		 "for ca in ca other; do openssl req -x509 $n -keyout $ca.key -out $ca.pem -subj /CN=$ca "
		 "-days 2 || "
		 "exit 1; done\n"
		 "one() { openssl req $n -keyout $1.key -out $1.csr -subj /CN=$1 && echo "
		 "\"subjectAltName=$2\" >ext && "
		 "openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $3 -extfile "
		 "ext -out "
		 "$1.pem; }\n"
		 "one good IP:127.0.0.1 2 && one host DNS:other.example 2 && one expired IP:127.0.0.1 -1",
		 certs);
	return system(command) == 0;
}

static int status_over_tls(const char *cert, const char *key, const char *ca, char error[600])
{
	struct mock m = mock_start(cert_path(cert), cert_path(key));
	struct world *w = world_open((struct mw_http_config){.ca_file = ca ? cert_path(ca) : NULL});
	int status = world_status(w, m.url);
	size_t count;
	free(mock_log(&m, &count));
	snprintf(error, 600, "%s", w->error);
	world_close(w);
	mock_stop(&m);
	return (count > 0) == (status > 0) ? status : -2000;
}

TEST(tls_is_verified)
{
	char error[600];
	bool made = make_certificates();
	int good = made ? status_over_tls("good.pem", "good.key", "ca.pem", error) : 0;
	int system_ca = status_over_tls("good.pem", "good.key", NULL, error);
	int other_ca = status_over_tls("good.pem", "good.key", "other.pem", error);
	int host = status_over_tls("host.pem", "host.key", "ca.pem", error);
	bool host_said = strstr(error, "127.0.0.1") != NULL;
	int expired = status_over_tls("expired.pem", "expired.key", "ca.pem", error);
	bool expired_said = strstr(error, "expired") != NULL;
	mock_remove_folder(certs);
	CHECK(made && good == 200);
	CHECK(system_ca == MW_STATUS_NETWORK && other_ca == MW_STATUS_NETWORK);
	CHECK(host == MW_STATUS_NETWORK && host_said);
	CHECK(expired == MW_STATUS_NETWORK && expired_said);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	RUN(a_refused_connection_says_by_whom);
	RUN(a_request_cut_anywhere_has_no_answer);
	RUN(an_answer_cut_anywhere_is_none);
	RUN(a_stalled_server_is_given_up_in_time);
	RUN(free_cuts_what_is_under_way);
	RUN(a_hidden_resend_asks_for_its_own_permit);
	RUN(without_a_permit_nothing_is_sent);
	RUN(a_ca_file_that_cannot_be_read_is_said_at_once);
	RUN(tls_is_verified);
	return CHECK_END();
}
