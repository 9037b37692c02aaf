#include "http_own.h"

#include "../core/timestamp.h"
#include "../core/version.h"
#include "secret_heap.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A full batch whose last message is as long as a message gets. */
enum { MESSAGES_MAX = MW_BATCH_TARGET + MW_MESSAGE_MAX };
#define BODY_TAIL "]}"
enum { ENVELOPE_MAX = MW_WRITE_KEY_MAX + MW_TIMESTAMP_LEN + 48 };

/* What curl takes of a body at a time: its buffer is just a piece of the secret heap. */
enum { UPLOAD_PIECE = 128 * 1024 - 64 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
	/* Copies of write keys are all over curl's memory. A host that uses curl itself, and did so first,
	 * has the say. */
	curl_ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, mw_secret_malloc, mw_secret_free,
					  mw_secret_realloc, mw_secret_strdup, mw_secret_calloc);
}

enum mw_err mw_http_prepare(struct mw_error *e)
{
	pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK || sodium_init() < 0)
		return mw_error_set(e, MW_IO, 0, "libcurl: %s", curl_easy_strerror(curl_ready));
	return MW_OK;
}

static void list_add(struct mw_transfer **list, struct mw_transfer *t)
{
	t->next = *list;
	t->link = list;
	if (t->next)
		t->next->link = &t->next;
	*list = t;
}

static void list_remove(struct mw_transfer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
}

static int on_send(void *context, char *to_ip, char *from_ip, int to_port, int from_port)
{
	(void)to_ip;
	(void)from_ip;
	(void)to_port;
	(void)from_port;
	struct mw_transfer *t = context;
	const struct mw_http_config *config = &t->http->config;
	for (;;) {
		int64_t wait = config->permit(config->context, t->ticket ? NULL : &t->request);
		if (wait <= 0) {
			t->sent = true;
			return CURL_PREREQFUNC_OK;
		}
		if (wait > MW_HTTP_PERMIT_WAIT_MS) {
			t->refused = true;
			return CURL_PREREQFUNC_ABORT;
		}
		nanosleep(&(struct timespec){0, (long)wait * 1000000}, NULL);
	}
}

/* Bytes of the body of a request. */
static size_t body_len(const struct mw_transfer *t)
{
	return t->head.len + t->messages.len + (t->ticket ? 0 : strlen(BODY_TAIL));
}

/* The next bytes of the body go straight into curl's buffer. */
static size_t on_read(char *to, size_t size, size_t count, void *context)
{
	struct mw_transfer *t = context;
	const struct mw_span parts[] = {mw_buf_span(&t->head), mw_buf_span(&t->messages),
					t->ticket ? MW_SPAN("") : MW_SPAN(BODY_TAIL)};
	size_t room = size * count, done = 0, skip = t->uploaded;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t from = skip < parts[i].len ? skip : parts[i].len, left = parts[i].len - from;
		size_t len = left < room - done ? left : room - done;
		if (len > 0)
			memcpy(to + done, parts[i].at + from, len);
		done += len;
		skip -= from;
	}
	t->uploaded += done;
	t->http->has_read = true;
	return done;
}

/* curl sends once more from the start, when a kept connection turned out dead. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct mw_transfer *t = context;
	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	t->uploaded = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *at, size_t size, size_t len, void *context)
{
	struct mw_transfer *t = context;
	size_t bytes = size * len;
	/* Each answer on the way (100 Continue) starts over; curl takes a head that breaks off for a whole
	 * one. */
	if (bytes >= 5 && memcmp(at, "HTTP/", 5) == 0)
		t->head_complete = false;
	else if (bytes > 0 && (at[0] == '\r' || at[0] == '\n'))
		t->head_complete = true;
	t->head_bytes += bytes;
	t->capped = t->head_bytes > MW_RESPONSE_MAX;
	return t->capped ? 0 : bytes;
}

static size_t on_body(char *at, size_t size, size_t len, void *context)
{
	struct mw_transfer *t = context;
	struct mw_buf *to = t->ticket ? &t->secret : &t->response;
	size_t bytes = size * len, room = to->max - to->len;
	if (mw_buf_append(to, at, bytes < room ? bytes : room) == MW_OK && bytes <= room)
		return bytes;
	t->capped = true;
	return 0;
}

/* curl's own sockets would be inherited by programs that the host starts. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)context;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* Options that hold for every request of this handle. */
static bool configure(struct mw_transfer *t)
{
	const struct mw_http *h = t->http;
	CURL *c = t->easy;
	CURLcode rc = CURLE_OK;
#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(c, option, value))
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->curl_error);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PASSWORD, "");
	SET(CURLOPT_USERAGENT, h->user_agent);
	SET(CURLOPT_PROXY, h->proxy);
	SET(CURLOPT_NOPROXY, ""); /* else the environment's no_proxy would overrule a configured proxy */
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->ca_file) {
		SET(CURLOPT_CAINFO, h->ca_file);
		SET(CURLOPT_CAPATH, NULL); /* these authorities, and no others */
		SET(CURLOPT_PROXY_CAINFO, h->ca_file);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)MW_HTTP_CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)h->config.timeout_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1024L);
	SET(CURLOPT_LOW_SPEED_TIME, 15L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 60L);
	SET(CURLOPT_MAXLIFETIME_CONN, 300L); /* follows a DNS change, and spreads over new servers */
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_PIECE);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name server that does not answer must not hold up the thread that waits for its resolver. */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_PREREQFUNCTION, on_send);
	SET(CURLOPT_PREREQDATA, t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, t);
#undef SET
	return rc == CURLE_OK;
}

static void transfer_free(struct mw_transfer *t)
{
	curl_easy_cleanup(t->easy);
	mw_secret_free(t->head.data);
	mw_buf_deinit(&t->messages);
	mw_buf_deinit(&t->response);
	mw_secret_free(t->secret.data);
	mw_secret_free(t->token);
	mw_secret_free(t);
}

static struct mw_transfer *transfer_new(struct mw_http *h)
{
	struct mw_transfer *t = mw_secret_calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->http = h;
	mw_buf_init(&t->messages, MESSAGES_MAX);
	mw_buf_init(&t->response, MW_RESPONSE_MAX);
	t->retry_header = (struct curl_slist){.data = t->retry_text, .next = h->headers};
	t->easy = curl_easy_init();
	if (!t->easy || !configure(t)) {
		transfer_free(t);
		return NULL;
	}
	return t;
}

/* Forget the secrets of a finished request, in our memory and in curl's options. */
static void wipe(struct mw_transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_USERNAME, NULL);
	curl_easy_setopt(t->easy, CURLOPT_XOAUTH2_BEARER, NULL);
	if (t->head.data)
		sodium_memzero(t->head.data, t->head.len);
	if (t->secret.data)
		sodium_memzero(t->secret.data, t->secret.len);
	mw_secret_free(t->token); /* wipes */
	t->token = NULL;
	sodium_memzero(&t->key, sizeof t->key);
}

/* A copy in *to, or MW_NO_MEMORY; nothing to copy is fine. */
static enum mw_err copy_text(char **to, const char *text)
{
	*to = text && *text ? strdup(text) : NULL;
	return *to || !text || !*text ? MW_OK : MW_NO_MEMORY;
}

enum mw_err mw_http_new(const struct mw_http_config *config, struct mw_http **out, struct mw_error *e)
{
	enum mw_err ready = mw_http_prepare(e);
	if (ready != MW_OK)
		return ready;
	/* curl would say so only at the first request, and then keep trying. */
	if (config->ca_file && *config->ca_file && access(config->ca_file, R_OK) != 0)
		return mw_error_set(e, MW_IO, 0, "CA file %.150s: %s", config->ca_file, strerror(errno));
	struct mw_http *h = calloc(1, sizeof *h);
	if (!h)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the HTTP client");
	h->config = *config;
	if (h->config.timeout_ms <= 0)
		h->config.timeout_ms = MW_HTTP_TIMEOUT_MS;
	if (h->config.timeout_ms > INT_MAX)
		h->config.timeout_ms = INT_MAX;
	enum mw_err err = copy_text(&h->ca_file, config->ca_file);
	if (err == MW_OK)
		err = copy_text(&h->user_agent,
				config->user_agent ? config->user_agent : "moonweir/" MW_VERSION_TEXT);
	h->proxy =
	    strdup(config->proxy ? config->proxy : ""); /* "", not NULL: that would mean the environment's */
	struct curl_slist *type = curl_slist_append(NULL, "Content-Type: application/json");
	h->headers = type && curl_slist_append(type, "Expect:") ? type : NULL;
	h->form_headers = curl_slist_append(NULL, "Accept: application/json");
	h->multi = curl_multi_init();
	struct mw_transfer *first =
	    err == MW_OK && h->proxy && h->headers && h->form_headers && h->multi ? transfer_new(h) : NULL;
	if (!first) {
		if (!h->headers)
			curl_slist_free_all(type);
		mw_http_free(h);
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the HTTP client");
	}
	list_add(&h->idle, first);
	/* curl goes on without the sockets that a wake needs, and whoever waits then sleeps on. */
	if (curl_multi_wakeup(h->multi) != CURLM_OK) {
		mw_http_free(h);
		return mw_error_set(
		    e, MW_IO, 0, "the HTTP client found no sockets to be woken with: too many open files?");
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)MW_IN_FLIGHT_MAX);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*out = h;
	return MW_OK;
}

void mw_http_free(struct mw_http *h)
{
	if (!h)
		return;
	struct mw_transfer *t;
	while ((t = h->active)) {
		list_remove(t);
		curl_multi_remove_handle(h->multi, t->easy);
		wipe(t);
		transfer_free(t);
	}
	while ((t = h->idle)) {
		list_remove(t);
		transfer_free(t);
	}
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->form_headers);
	free(h->proxy);
	free(h->ca_file);
	free(h->user_agent);
	free(h);
}

/* An empty head with room for so much: what is secret in a body stands in it. */
static enum mw_err make_head(struct mw_buf *b, size_t room)
{
	mw_buf_clear(b);
	if (b->cap >= room)
		return MW_OK;
	mw_secret_free(b->data);
	b->data = mw_secret_malloc(room);
	b->cap = b->max = b->data ? room : 0;
	return b->data ? MW_OK : MW_NO_MEMORY;
}

static enum mw_err write_head(struct mw_buf *b, struct mw_span key, int64_t now_wall)
{
	char sent_at[MW_TIMESTAMP_LEN];
	mw_timestamp_write(sent_at, now_wall);
	enum mw_err err = make_head(b, ENVELOPE_MAX);
	if (err != MW_OK)
		return err;
	mw_buf_append_literal(b, "{\"writeKey\":\"");
	mw_buf_append_span(b, key);
	mw_buf_append_literal(b, "\",\"sentAt\":\"");
	mw_buf_append(b, sent_at, sizeof sent_at);
	return mw_buf_append_literal(b, "\",\"batch\":[");
}

/* The idle transfer to use next, or NULL. */
static struct mw_transfer *take_idle(struct mw_http *h)
{
	if (!h->idle) {
		struct mw_transfer *t = transfer_new(h);
		if (!t)
			return NULL;
		list_add(&h->idle, t);
	}
	struct mw_transfer *t = h->idle;
	mw_buf_clear(&t->response);
	mw_buf_clear(&t->secret);
	mw_buf_clear(&t->messages);
	t->ticket = 0;
	t->uploaded = 0;
	t->head_bytes = 0;
	t->head_complete = t->sent = t->refused = t->capped = false;
	t->curl_error[0] = '\0';
	return t;
}

/* Head and ticket are there, `more` bytes of messages come with it; `ok`: so are the other options. */
static enum mw_err start(struct mw_http *h, struct mw_transfer *t, const char *url, size_t more, bool ok)
{
	CURL *c = t->easy;
	bool secure = strncmp(url, "https:", 6) == 0;
	ok = ok && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http") == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body_len(t) + more)) == CURLE_OK;
	if (!ok || curl_multi_add_handle(h->multi, c) != CURLM_OK) {
		wipe(t);
		return ok ? MW_IO : MW_NO_MEMORY;
	}
	list_remove(t);
	list_add(&h->active, t);
	return MW_OK;
}

enum mw_err mw_http_post(struct mw_http *h, const struct mw_request *r, const struct mw_endpoint *endpoint,
			 struct mw_span write_key, const char *token, struct mw_buf *messages,
			 int64_t now_wall)
{
	if (write_key.len > MW_WRITE_KEY_MAX || messages->len > MESSAGES_MAX)
		return MW_TOO_LARGE;
	struct mw_transfer *t = take_idle(h);
	if (!t)
		return MW_NO_MEMORY;
	enum mw_err err = write_head(&t->head, write_key, now_wall);
	if (err != MW_OK)
		return err;
	t->request = *r;
	t->key.len = write_key.len;
	memcpy(t->key.text, write_key.at, write_key.len);
	t->key.text[write_key.len] = '\0';
	snprintf(t->retry_text, sizeof t->retry_text, "X-Retry-Count: %" PRIu32, r->attempt);
	CURL *c = t->easy;
	bool ok = true;
	if (token) {
		t->token = mw_secret_strdup(token);
		ok = t->token && curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK &&
		     curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, token) == CURLE_OK;
	} else {
		ok = curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
		     curl_easy_setopt(c, CURLOPT_USERNAME, t->key.text) == CURLE_OK;
	}
	ok = ok && curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->attempt > 0 ? &t->retry_header : h->headers) ==
		       CURLE_OK;
	err = start(h, t, endpoint->batch_url, messages->len, ok);
	if (err != MW_OK)
		return err;
	/* Nothing is read before mw_http_work. */
	const struct mw_buf idle = t->messages;
	t->messages = *messages;
	*messages = idle;
	return MW_OK;
}

enum mw_err mw_http_ask(struct mw_http *h, uint32_t ticket, const char *url, struct mw_span form)
{
	struct mw_transfer *t = take_idle(h);
	if (!t || make_head(&t->head, form.len) != MW_OK)
		return MW_NO_MEMORY;
	if (!t->secret.data) {
		t->secret.data = mw_secret_malloc(MW_TOKEN_RESPONSE_MAX);
		if (!t->secret.data)
			return MW_NO_MEMORY;
		t->secret.cap = t->secret.max = MW_TOKEN_RESPONSE_MAX;
	}
	t->ticket = ticket;
	mw_buf_append_span(&t->head, form);
	/* curl says by itself that it is a form. */
	bool ok = curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
		  curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, h->form_headers) == CURLE_OK;
	return start(h, t, url, 0, ok);
}

static void finish(struct mw_http *h, struct mw_transfer *t, CURLcode result)
{
	/* Told while the handle still knows its headers, and idle only behind that: what is told points into
	 * it, and whoever is told may post. */
	curl_multi_remove_handle(h->multi, t->easy);
	mw_http_tell(h, t, result);
	wipe(t);
	list_remove(t);
	list_add(&h->idle, t);
}

bool mw_http_work(struct mw_http *h)
{
	int running, left;
	bool has_ended = false;
	/* curl sends a piece of each body and returns, though the sockets may take more. */
	do {
		h->has_read = false;
		curl_multi_perform(h->multi, &running);
	} while (h->has_read);
	CURLMsg *m;
	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct mw_transfer *t = NULL;
		CURLcode result = m->data.result; /* `m` dies with the handle's removal */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		finish(h, t, result);
		has_ended = true;
	}
	return has_ended;
}

void mw_http_wait(struct mw_http *h, int64_t timeout_ms)
{
	int ms = timeout_ms < 0 ? 0 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
	curl_multi_poll(h->multi, NULL, 0, ms, NULL);
}

void mw_http_wake(struct mw_http *h)
{
	curl_multi_wakeup(h->multi);
}
