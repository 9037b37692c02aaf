#include "http.h"

#include "../core/timestamp.h"
#include "../core/version.h"
#include "secret_heap.h"

#include <curl/curl.h>
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
enum { HEAD_ROOM = MW_WRITE_KEY_MAX + MW_TIMESTAMP_LEN + 48 };
enum { HOST_MAX = 128, ERROR_MAX = 512 };

/* What curl takes of a body at a time: its buffer is just a piece of the secret heap. */
enum { UPLOAD_PIECE = 128 * 1024 - 64 };

/* An easy handle with its buffers, used again and again. */
struct transfer {
	CURL *easy;
	struct mw_http *http;
	struct mw_request request;
	struct {
		size_t len;
		char text[MW_WRITE_KEY_MAX + 1];
	} key; /* to blot it out of the answer */
	/* The body: head, messages, tail. The write key stands in its head, which lies in the secret heap as
	 * the transfer does. */
	char head[HEAD_ROOM];
	size_t head_len;
	struct mw_buf messages;
	size_t uploaded; /* of the body */
	struct mw_buf response;
	size_t head_bytes; /* of the answer's header lines */
	bool head_complete;
	bool sent;                      /* a permit was given: bytes may have left */
	bool refused;                   /* the last permit asked for was not given */
	bool capped;                    /* the answer was longer than we read */
	struct curl_slist retry_header; /* in front of the shared ones */
	char retry_text[32];
	char curl_error[CURL_ERROR_SIZE];
	struct transfer *next; /* in the idle or the active list */
	struct transfer **link;
};

struct mw_http {
	CURLM *multi;
	struct mw_http_config config;
	char *proxy, *ca_file, *user_agent;
	struct curl_slist *headers;
	struct transfer *idle;
	struct transfer *active;
	bool has_read; /* some of a body, since this was last set to false */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
	/* Copies of write keys are all over curl's memory. A host that uses curl itself, and did so first,
	 * has the say. */
	curl_ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, mw_secret_malloc, mw_secret_free,
					  mw_secret_realloc, mw_secret_strdup, mw_secret_calloc);
}

static void list_add(struct transfer **list, struct transfer *t)
{
	t->next = *list;
	t->link = list;
	if (t->next)
		t->next->link = &t->next;
	*list = t;
}

static void list_remove(struct transfer *t)
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
	struct transfer *t = context;
	const struct mw_http_config *config = &t->http->config;
	for (;;) {
		int64_t wait = config->permit(config->context);
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

/* The next bytes of the body go straight into curl's buffer. */
static size_t on_read(char *to, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	const struct mw_span parts[] = {
	    {(const uint8_t *)t->head, t->head_len}, mw_buf_span(&t->messages), MW_SPAN(BODY_TAIL)};
	size_t room = size * count, done = 0, skip = t->uploaded;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t from = skip < parts[i].len ? skip : parts[i].len, left = parts[i].len - from;
		size_t len = left < room - done ? left : room - done;
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
	struct transfer *t = context;
	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	t->uploaded = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *at, size_t size, size_t len, void *context)
{
	struct transfer *t = context;
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
	struct transfer *t = context;
	size_t bytes = size * len, room = MW_RESPONSE_MAX - t->response.len;
	if (mw_buf_append(&t->response, at, bytes < room ? bytes : room) == MW_OK && bytes <= room)
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
static bool configure(struct transfer *t)
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
	SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
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

static void transfer_free(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	mw_buf_deinit(&t->messages);
	mw_buf_deinit(&t->response);
	mw_secret_free(t);
}

static struct transfer *transfer_new(struct mw_http *h)
{
	struct transfer *t = mw_secret_calloc(1, sizeof *t);
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

/* Forget the key of a finished request, in our memory and in curl's options. */
static void wipe(struct transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_USERNAME, NULL);
	sodium_memzero(t->head, sizeof t->head);
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
	pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK || sodium_init() < 0)
		return mw_error_set(e, MW_IO, 0, "libcurl: %s", curl_easy_strerror(curl_ready));
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
	h->multi = curl_multi_init();
	struct transfer *first = err == MW_OK && h->proxy && h->headers && h->multi ? transfer_new(h) : NULL;
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
	struct transfer *t;
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
	free(h->proxy);
	free(h->ca_file);
	free(h->user_agent);
	free(h);
}

static size_t append(char *at, size_t len, struct mw_span s)
{
	memcpy(at + len, s.at, s.len);
	return len + s.len;
}

static void write_head(struct transfer *t, struct mw_span key, int64_t now_wall)
{
	char sent_at[MW_TIMESTAMP_LEN];
	mw_timestamp_write(sent_at, now_wall);
	size_t len = append(t->head, 0, MW_SPAN("{\"writeKey\":\""));
	len = append(t->head, len, key);
	len = append(t->head, len, MW_SPAN("\",\"sentAt\":\""));
	len = append(t->head, len, (struct mw_span){(const uint8_t *)sent_at, sizeof sent_at});
	t->head_len = append(t->head, len, MW_SPAN("\",\"batch\":["));
}

enum mw_err mw_http_post(struct mw_http *h, const struct mw_request *r, const struct mw_endpoint *endpoint,
			 struct mw_span write_key, struct mw_buf *messages, int64_t now_wall)
{
	if (write_key.len > MW_WRITE_KEY_MAX || messages->len > MESSAGES_MAX)
		return MW_TOO_LARGE;
	struct transfer *t = h->idle;
	if (!t) {
		t = transfer_new(h);
		if (!t)
			return MW_NO_MEMORY;
		list_add(&h->idle, t);
	}
	write_head(t, write_key, now_wall);
	t->uploaded = 0;
	t->request = *r;
	t->key.len = write_key.len;
	memcpy(t->key.text, write_key.at, write_key.len);
	t->key.text[write_key.len] = '\0';
	mw_buf_clear(&t->response);
	t->head_bytes = 0;
	t->head_complete = t->sent = t->refused = t->capped = false;
	t->curl_error[0] = '\0';
	snprintf(t->retry_text, sizeof t->retry_text, "X-Retry-Count: %" PRIu32, r->attempt);

	CURL *c = t->easy;
	size_t body_len = t->head_len + messages->len + strlen(BODY_TAIL);
	bool secure = strncmp(endpoint->batch_url, "https:", 6) == 0;
	bool ok = curl_easy_setopt(c, CURLOPT_URL, endpoint->batch_url) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http") == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_USERNAME, t->key.text) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->attempt > 0 ? &t->retry_header : h->headers) ==
		      CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len) == CURLE_OK;
	if (!ok || curl_multi_add_handle(h->multi, c) != CURLM_OK) {
		wipe(t);
		return ok ? MW_IO : MW_NO_MEMORY;
	}
	/* Nothing is read before mw_http_work. */
	const struct mw_buf idle = t->messages;
	t->messages = *messages;
	*messages = idle;
	list_remove(t);
	list_add(&h->active, t);
	return MW_OK;
}

/* Overwrites every occurrence: a server that echoes a request must not get a key into reports and logs. */
static void blot(struct mw_buf *b, const char *secret, size_t len)
{
	uint8_t *at = b->data;
	while (len > 0 && b->len > 0 && (at = memmem(at, (size_t)(b->data + b->len - at), secret, len)))
		memset(at, '*', len);
}

static void blot_key(struct transfer *t)
{
	char text[MW_WRITE_KEY_MAX + 2],
	    base64[sodium_base64_ENCODED_LEN(sizeof text, sodium_base64_VARIANT_ORIGINAL)];
	size_t len = t->key.len;
	blot(&t->response, t->key.text, len);
	memcpy(text, t->key.text, len);
	text[len++] = ':';
	sodium_bin2base64(base64, sizeof base64, (const uint8_t *)text, len,
			  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	blot(&t->response, base64, strlen(base64));
	sodium_memzero(text, sizeof text);
	sodium_memzero(base64, sizeof base64);
}

/* "127.0.0.1:9" of a URL that mw_endpoint_parse wrote. */
static void write_host(char out[HOST_MAX], CURL *easy)
{
	const char *url = NULL;
	curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
	const char *host = url ? strstr(url, "://") : NULL;
	host = host ? host + 3 : "the server";
	snprintf(out, HOST_MAX, "%.*s", (int)strcspn(host, "/"), host);
}

/* One line for people about what came of a request. */
static void explain(const struct transfer *t, CURLcode result, const struct mw_answer *a, char out[ERROR_MAX])
{
	char host[HOST_MAX];
	long os_error = 0;
	write_host(host, t->easy);
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error);
	if (a->status == MW_STATUS_UNSENT) {
		out[0] = '\0'; /* the rate at work, and no trouble */
	} else if (a->status == MW_STATUS_NETWORK && result == CURLE_COULDNT_CONNECT &&
		   os_error == ECONNREFUSED) {
		snprintf(out, ERROR_MAX, "connection refused by %s", host);
	} else if (a->status == MW_STATUS_NETWORK && result == CURLE_OK) {
		snprintf(out, ERROR_MAX, "%s: the answer broke off", host);
	} else if (a->status == MW_STATUS_NETWORK) {
		snprintf(out, ERROR_MAX, "%s: %s", host,
			 t->curl_error[0] ? t->curl_error : curl_easy_strerror(result));
	} else if (a->status / 100 != 2) {
		int n =
		    snprintf(out, ERROR_MAX, "%s answered %d%s", host, a->status, a->body.len ? ": " : "");
		for (size_t i = 0; i < a->body.len && n < ERROR_MAX - 1; i++)
			out[n++] = (char)(a->body.at[i] < ' ' || a->body.at[i] == 0x7f ? ' ' : a->body.at[i]);
		out[n] = '\0';
	} else {
		out[0] = '\0';
	}
}

/* Retry-After, else the older X-RateLimit-Reset, which is seconds as well. */
static int64_t pause_asked(CURL *easy)
{
	static const char *const names[] = {"Retry-After", "X-RateLimit-Reset"};
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	int64_t now_wall = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct curl_header *header;
		if (curl_easy_header(easy, names[i], 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
			continue;
		int64_t ms = mw_verdict_retry_after(header->value, now_wall);
		if (ms >= 0)
			return ms;
	}
	return -1;
}

static void finish(struct mw_http *h, struct transfer *t, CURLcode result)
{
	long code = 0;
	char error[ERROR_MAX];
	struct mw_answer a = {.status = MW_STATUS_NETWORK, .retry_after_ms = -1};
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
	if (t->refused && !t->sent) {
		a.status = MW_STATUS_UNSENT;
	} else if (!t->refused && code >= 200 && ((result == CURLE_OK && t->head_complete) || t->capped)) {
		a.status = (int)code;
		a.retry_after_ms = pause_asked(t->easy);
		blot_key(t);
		a.body = mw_buf_span(&t->response);
	}
	explain(t, result, &a, error);
	curl_multi_remove_handle(h->multi, t->easy);
	wipe(t);
	h->config.done(h->config.context, &t->request, &a, error);
	/* Idle only now: `a` points into it, and done may post. */
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
		struct transfer *t = NULL;
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
