#include "../../csrc/io/redis_link.h"
#include "check.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ours is found before OpenSSL's, and finds no memory. */
int X509_VERIFY_PARAM_set1_host(X509_VERIFY_PARAM *param, const char *name, size_t len)
{
	(void)param, (void)name, (void)len;
	return 0;
}

TEST(a_server_whose_name_cannot_be_checked_is_not_spoken_to)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	struct mw_redis_link *link = NULL;
	struct mw_redis_tls *tls;
	struct mw_error e = {.code = MW_OK};
	char byte;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0 &&
	      getsockname(listener, (struct sockaddr *)&at, &len) == 0);
	CHECK(mw_redis_tls_new(NULL, NULL, NULL, &tls, &e) == MW_OK);
	const struct mw_redis_place place = {.host = "localhost", .port = ntohs(at.sin_port), .tls = tls};
	CHECK(mw_redis_link_open(&place, 100, &link, &e) == MW_NO_MEMORY && !link);
	int peer = accept(listener, NULL, NULL);
	CHECK(peer >= 0 && recv(peer, &byte, 1, 0) == 0);
	close(peer);
	close(listener);
	mw_redis_tls_free(tls);
}

int main(void)
{
	RUN(a_server_whose_name_cannot_be_checked_is_not_spoken_to);
	return CHECK_END();
}
