#include "http_own.h"

#include "secret_heap.h"

#include <sodium.h>
#include <time.h>

#define BODY_TAIL "]}"

/* What curl takes of a body at a time: its buffer is just a piece of the secret heap. */
enum { UPLOAD_PIECE = 128 * 1024 - 64 };

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

size_t mw_transfer_body_len(const struct mw_transfer *t)
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

/* Options that hold for every transfer of this handle. */
static bool configure(struct mw_transfer *t)
{
	const struct mw_http *h = t->http;
	CURL *c = t->easy;
	CURLcode rc = mw_http_configure(c, h->proxy, h->ca_file);
#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(c, option, value))
	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_ERRORBUFFER, t->curl_error);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PASSWORD, "");
	SET(CURLOPT_USERAGENT, h->user_agent);
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

void mw_transfer_free(struct mw_transfer *t)
{
	curl_easy_cleanup(t->easy);
	mw_secret_free(t->head.data);
	mw_buf_deinit(&t->messages);
	mw_buf_deinit(&t->response);
	mw_secret_free(t->secret.data);
	mw_secret_free(t->token);
	mw_secret_free(t);
}

struct mw_transfer *mw_transfer_new(struct mw_http *h)
{
	struct mw_transfer *t = mw_secret_calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->http = h;
	mw_buf_init(&t->messages, MW_TRANSFER_MESSAGES_MAX);
	mw_buf_init(&t->response, MW_RESPONSE_MAX);
	t->retry_header = (struct curl_slist){.data = t->retry_text, .next = h->headers};
	t->easy = curl_easy_init();
	if (!t->easy || !configure(t)) {
		mw_transfer_free(t);
		return NULL;
	}
	return t;
}

void mw_transfer_wipe(struct mw_transfer *t)
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

void mw_transfer_reset(struct mw_transfer *t)
{
	mw_buf_clear(&t->response);
	mw_buf_clear(&t->secret);
	mw_buf_clear(&t->messages);
	t->ticket = 0;
	t->uploaded = 0;
	t->head_bytes = 0;
	t->head_complete = t->sent = t->refused = t->capped = false;
	t->curl_error[0] = '\0';
}

enum mw_err mw_transfer_head(struct mw_transfer *t, size_t room)
{
	struct mw_buf *b = &t->head;
	mw_buf_clear(b);
	if (b->cap >= room)
		return MW_OK;
	mw_secret_free(b->data);
	b->data = mw_secret_malloc(room);
	b->cap = b->max = b->data ? room : 0;
	return b->data ? MW_OK : MW_NO_MEMORY;
}
