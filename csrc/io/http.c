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
#include <unistd.h>

enum { ENVELOPE_MAX = MW_WRITE_KEY_MAX + MW_TIMESTAMP_LEN + 48 };

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

/* curl's own sockets would be inherited by programs that the host starts. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)context;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

CURLcode mw_http_configure(CURL *c, const char *proxy, const char *ca_file)
{
	CURLcode rc = CURLE_OK;
#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(c, option, value))
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_PROXY, proxy);
	SET(CURLOPT_NOPROXY, ""); /* else the environment's no_proxy would overrule a configured proxy */
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (ca_file) {
		SET(CURLOPT_CAINFO, ca_file);
		SET(CURLOPT_CAPATH, NULL); /* these authorities, and no others */
		SET(CURLOPT_PROXY_CAINFO, ca_file);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
#undef SET
	return rc;
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
	    err == MW_OK && h->proxy && h->headers && h->form_headers && h->multi ? mw_transfer_new(h) : NULL;
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
		mw_transfer_wipe(t);
		mw_transfer_free(t);
	}
	while ((t = h->idle)) {
		list_remove(t);
		mw_transfer_free(t);
	}
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->form_headers);
	free(h->proxy);
	free(h->ca_file);
	free(h->user_agent);
	free(h);
}

static enum mw_err write_head(struct mw_transfer *t, struct mw_span key, int64_t now_wall)
{
	struct mw_buf *b = &t->head;
	char sent_at[MW_TIMESTAMP_LEN];
	mw_timestamp_write(sent_at, now_wall);
	enum mw_err err = mw_transfer_head(t, ENVELOPE_MAX);
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
		struct mw_transfer *t = mw_transfer_new(h);
		if (!t)
			return NULL;
		list_add(&h->idle, t);
	}
	mw_transfer_reset(h->idle);
	return h->idle;
}

/* Head and ticket are there, `more` bytes of messages come with it; `ok`: so are the other options. */
static enum mw_err start(struct mw_http *h, struct mw_transfer *t, const char *url, size_t more, bool ok)
{
	CURL *c = t->easy;
	bool secure = strncmp(url, "https:", 6) == 0;
	ok = ok && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http") == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(mw_transfer_body_len(t) + more)) ==
		 CURLE_OK;
	if (!ok || curl_multi_add_handle(h->multi, c) != CURLM_OK) {
		mw_transfer_wipe(t);
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
	if (write_key.len > MW_WRITE_KEY_MAX || messages->len > MW_TRANSFER_MESSAGES_MAX)
		return MW_TOO_LARGE;
	struct mw_transfer *t = take_idle(h);
	if (!t)
		return MW_NO_MEMORY;
	enum mw_err err = write_head(t, write_key, now_wall);
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
	if (!t || mw_transfer_head(t, form.len) != MW_OK)
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
	mw_transfer_wipe(t);
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
