#include "redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, TLS_CHUNK = 16 * 1024 };

struct mw_redis_tls {
	SSL_CTX *context;
	atomic_uint owners;
};

struct mw_redis_link {
	int fd;
	SSL *ssl;       /* NULL: in clear */
	BIO *in, *out;  /* what TLS reads and writes: OpenSSL's own sockets would raise SIGPIPE */
	uint8_t *spill; /* of `out`, on its way to the socket */
	size_t spill_at, spill_len;
	redisReader *reader;
	uint8_t chunk[CHUNK];
};

/* The reason that OpenSSL gives, or the one given here. */
static const char *tls_reason(const char *otherwise)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return reason ? reason : otherwise;
}

enum mw_err mw_redis_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
			     struct mw_redis_tls **out, struct mw_error *e)
{
	struct mw_redis_tls *t = calloc(1, sizeof *t);
	SSL_CTX *c = t ? SSL_CTX_new(TLS_client_method()) : NULL;
	if (!c) {
		free(t);
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for TLS");
	}
	t->context = c;
	atomic_init(&t->owners, 1);
	enum mw_err err = MW_OK;
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	if (ca_file ? SSL_CTX_load_verify_locations(c, ca_file, NULL) != 1
		    : SSL_CTX_set_default_verify_paths(c) != 1)
		err = mw_error_set(e, MW_IO, 0, "%.140s: no usable file of authorities: %s",
				   ca_file ? ca_file : "the system's", tls_reason("unreadable"));
	else if (cert_file && SSL_CTX_use_certificate_chain_file(c, cert_file) != 1)
		err = mw_error_set(e, MW_IO, 0, "%.140s: no usable certificate: %s", cert_file,
				   tls_reason("unreadable"));
	else if (key_file && SSL_CTX_use_PrivateKey_file(c, key_file, SSL_FILETYPE_PEM) != 1)
		err = mw_error_set(e, MW_IO, 0, "%.140s: no usable private key: %s", key_file,
				   tls_reason("unreadable"));
	if (err != MW_OK)
		mw_redis_tls_free(t);
	else
		*out = t;
	return err;
}

struct mw_redis_tls *mw_redis_tls_share(struct mw_redis_tls *t)
{
	atomic_fetch_add(&t->owners, 1);
	return t;
}

void mw_redis_tls_free(struct mw_redis_tls *t)
{
	if (!t || atomic_fetch_sub(&t->owners, 1) > 1)
		return;
	SSL_CTX_free(t->context);
	free(t);
}

/* ---- connecting */

/* True: ready, or an error that the next call will meet. */
static bool wait_for(int fd, short events, int64_t timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;
	do
		n = poll(&p, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static enum mw_err connect_to(const struct sockaddr *address, socklen_t len, int64_t timeout_ms, int *out)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return MW_IO;
	int why = connect(fd, address, len) == 0 ? 0 : errno;
	if (why == EINPROGRESS) {
		socklen_t size = sizeof why;
		if (!wait_for(fd, POLLOUT, timeout_ms))
			why = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0)
			why = errno;
	}
	if (why != 0) {
		close(fd);
		errno = why;
		return why == ETIMEDOUT ? MW_TIMEOUT : MW_IO;
	}
	*out = fd;
	return MW_OK;
}

static enum mw_err connect_unix(const char *path, int64_t timeout_ms, int *fd, struct mw_error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	enum mw_err err =
	    connect_to((const struct sockaddr *)&address, (socklen_t)sizeof address, timeout_ms, fd);
	return err == MW_OK ? MW_OK : mw_error_set(e, err, 0, "%s", strerror(errno));
}

static enum mw_err connect_tcp(const char *host, int port, int64_t timeout_ms, int *fd, struct mw_error *e)
{
	char service[8];
	snprintf(service, sizeof service, "%d", port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int unknown = getaddrinfo(host, service, &hints, &list);
	if (unknown)
		return mw_error_set(e, MW_IO, 0, "%s", gai_strerror(unknown));
	enum mw_err err = MW_IO;
	for (const struct addrinfo *a = list; a && err != MW_OK; a = a->ai_next)
		err = connect_to(a->ai_addr, a->ai_addrlen, timeout_ms, fd);
	int why = errno;
	freeaddrinfo(list);
	if (err != MW_OK)
		return mw_error_set(e, err, 0, "%s", strerror(why));
	/* A dead peer is found out even while nothing is under way; small commands go at once. */
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	return MW_OK;
}

/* ---- bytes in and out. More than 0: so many; 0: none just now; -1: the end, errno 0 if it is an orderly
 * one.
 */

static ssize_t socket_send(struct mw_redis_link *k, const uint8_t *at, size_t len)
{
	ssize_t n = send(k->fd, at, len, MSG_NOSIGNAL);
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static ssize_t socket_receive(struct mw_redis_link *k)
{
	ssize_t n = recv(k->fd, k->chunk, sizeof k->chunk, 0);
	if (n == 0) {
		errno = 0;
		return -1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* What TLS wrote goes to the socket; 1: all of it is there. */
static ssize_t tls_drain(struct mw_redis_link *k)
{
	for (;;) {
		if (k->spill_at == k->spill_len) {
			int n = BIO_read(k->out, k->spill, TLS_CHUNK + 512);
			if (n <= 0)
				return 1;
			k->spill_at = 0;
			k->spill_len = (size_t)n;
		}
		ssize_t n = socket_send(k, k->spill + k->spill_at, k->spill_len - k->spill_at);
		if (n <= 0)
			return n;
		k->spill_at += (size_t)n;
	}
}

static ssize_t link_send(struct mw_redis_link *k, const uint8_t *at, size_t len)
{
	if (!k->ssl)
		return socket_send(k, at, len);
	ssize_t drained = tls_drain(k);
	if (drained <= 0)
		return drained;
	size_t written = 0;
	ERR_clear_error();
	if (SSL_write_ex(k->ssl, at, len < TLS_CHUNK ? len : TLS_CHUNK, &written) != 1)
		return SSL_get_error(k->ssl, 0) == SSL_ERROR_WANT_READ ? 0 : (errno = EPROTO, -1);
	return tls_drain(k) < 0 ? -1 : (ssize_t)written;
}

/* Into the chunk. */
static ssize_t link_receive(struct mw_redis_link *k)
{
	if (!k->ssl)
		return socket_receive(k);
	size_t n = 0;
	for (;;) {
		ERR_clear_error();
		if (SSL_read_ex(k->ssl, k->chunk, sizeof k->chunk, &n) == 1)
			return (ssize_t)n;
		int why = SSL_get_error(k->ssl, 0);
		if (why == SSL_ERROR_ZERO_RETURN) {
			errno = 0;
			return -1;
		}
		if (why != SSL_ERROR_WANT_READ) {
			errno = EPROTO;
			return -1;
		}
		ssize_t came = socket_receive(k);
		if (came <= 0)
			return came;
		BIO_write(k->in, k->chunk, (int)came);
	}
}

/* Is there something of TLS's own still to be sent? */
static bool has_spill(const struct mw_redis_link *k)
{
	return k->ssl && (k->spill_at < k->spill_len || BIO_pending(k->out) > 0);
}

static enum mw_err handshake(struct mw_redis_link *k, int64_t timeout_ms, struct mw_error *e)
{
	for (;;) {
		ERR_clear_error();
		int done = SSL_do_handshake(k->ssl);
		int why = SSL_get_error(k->ssl, done);
		ssize_t drained = tls_drain(k);
		if (done == 1)
			return MW_OK;
		long verdict = SSL_get_verify_result(k->ssl);
		if (why != SSL_ERROR_WANT_READ)
			return mw_error_set(e, MW_IO, 0, "TLS: %s",
					    verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
								 : tls_reason("the handshake failed"));
		if (drained < 0)
			return mw_error_set(e, MW_IO, 0, "TLS: %s", strerror(errno));
		if (!wait_for(k->fd, drained == 0 ? POLLIN | POLLOUT : POLLIN, timeout_ms))
			return mw_error_set(e, MW_TIMEOUT, 0, "TLS: no answer; does this port speak TLS?");
		ssize_t came = socket_receive(k);
		if (came < 0)
			return mw_error_set(e, MW_IO, 0, "TLS: %s",
					    errno ? strerror(errno) : "closed; does this port speak TLS?");
		if (came > 0)
			BIO_write(k->in, k->chunk, (int)came);
	}
}

static enum mw_err begin_tls(struct mw_redis_link *k, const struct mw_redis_place *place, int64_t timeout_ms,
			     struct mw_error *e)
{
	k->spill = malloc(TLS_CHUNK + 512);
	k->in = BIO_new(BIO_s_mem());
	k->out = BIO_new(BIO_s_mem());
	k->ssl = SSL_new(place->tls->context);
	if (!k->spill || !k->in || !k->out || !k->ssl) {
		BIO_free(k->in);
		BIO_free(k->out);
		SSL_free(k->ssl);
		k->ssl = NULL;
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for TLS");
	}
	SSL_set_bio(k->ssl, k->in, k->out);
	SSL_set_connect_state(k->ssl);
	SSL_set_mode(k->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	X509_VERIFY_PARAM *check = SSL_get0_param(k->ssl);
	/* An address is no server name (RFC 6066), and is looked for among the certificate's addresses. */
	if (X509_VERIFY_PARAM_set1_ip_asc(check, place->host) != 1) {
		char name[256]; /* OpenSSL's macro casts its const away */
		snprintf(name, sizeof name, "%s", place->host);
		/* Without it any certificate would do, whoever it names. */
		if (X509_VERIFY_PARAM_set1_host(check, name, 0) != 1 ||
		    SSL_set_tlsext_host_name(k->ssl, name) != 1)
			return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for TLS");
	}
	return handshake(k, timeout_ms, e);
}

enum mw_err mw_redis_link_open(const struct mw_redis_place *place, int64_t timeout_ms,
			       struct mw_redis_link **out, struct mw_error *e)
{
	struct mw_redis_link *k = calloc(1, sizeof *k);
	if (!k)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a connection");
	k->fd = -1;
	k->reader = mw_redis_reader_new(NULL);
	enum mw_err err = k->reader ? MW_OK : mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a connection");
	if (err == MW_OK)
		err = place->host[0] ? connect_tcp(place->host, place->port, timeout_ms, &k->fd, e)
				     : connect_unix(place->path, timeout_ms, &k->fd, e);
	if (err == MW_OK && place->tls && place->host[0])
		err = begin_tls(k, place, timeout_ms, e);
	if (err != MW_OK) {
		mw_redis_link_close(k);
		return err;
	}
	k->reader->maxbuf = CHUNK * 4; /* batches come one after the other: keep the room for the next */
	*out = k;
	return MW_OK;
}

void mw_redis_link_close(struct mw_redis_link *k)
{
	if (!k)
		return;
	SSL_free(k->ssl); /* with its BIOs */
	free(k->spill);
	if (k->reader)
		redisReaderFree(k->reader);
	if (k->fd >= 0)
		close(k->fd);
	explicit_bzero(k->chunk, sizeof k->chunk);
	free(k);
}

bool mw_redis_link_is_stale(const struct mw_redis_link *k)
{
	/* Idle means that nothing is to come: whatever does is the end, or out of step. */
	return wait_for(k->fd, POLLIN, 0) && !k->ssl;
}

/* ---- an exchange */

static enum mw_err lost(struct mw_error *e)
{
	return mw_error_set(e, MW_IO, 0, "%s", errno ? strerror(errno) : "it closed the connection");
}

/* Replies that are complete. */
static enum mw_err parse(struct mw_redis_link *k, struct mw_redis_reply **replies, size_t count, size_t *got,
			 struct mw_error *e)
{
	while (*got < count) {
		void *reply = NULL;
		if (redisReaderGetReply(k->reader, &reply) != REDIS_OK) {
			if (k->reader->err == REDIS_ERR_OOM)
				return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a reply");
			return mw_error_set(e, MW_IO, 0, "what answers there does not speak as Redis does");
		}
		if (!reply)
			return MW_OK;
		replies[(*got)++] = reply;
	}
	return MW_OK;
}

enum mw_err mw_redis_link_exchange(struct mw_redis_link *k, struct mw_span bytes,
				   struct mw_redis_arena *arena, struct mw_redis_reply **replies,
				   size_t count, int64_t timeout_ms, size_t *sent, size_t *got,
				   struct mw_error *e)
{
	*sent = *got = 0;
	k->reader->privdata = arena;
	for (;;) {
		ssize_t out = 0, in;
		if (*sent < bytes.len && (out = link_send(k, bytes.at + *sent, bytes.len - *sent)) > 0)
			*sent += (size_t)out;
		else if (out == 0 && k->ssl)
			out = tls_drain(k) < 0 ? -1 : 0;
		/* Whoever closes may have said why before: "max number of clients reached". */
		int why = errno;
		in = link_receive(k);
		if (out < 0 && in <= 0) {
			errno = why;
			return lost(e);
		}
		if (in < 0)
			return lost(e);
		if (in > 0) {
			if (redisReaderFeed(k->reader, (const char *)k->chunk, (size_t)in) != REDIS_OK)
				return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a reply");
			enum mw_err err = parse(k, replies, count, got, e);
			if (err != MW_OK || *got == count)
				return err;
		}
		bool more = *sent < bytes.len || has_spill(k);
		if (in == 0 && out == 0 && !wait_for(k->fd, more ? POLLIN | POLLOUT : POLLIN, timeout_ms))
			return mw_error_set(e, MW_TIMEOUT, 0, "no answer within %.1f s",
					    (double)timeout_ms / 1000);
	}
}
