#include "../core/timestamp.h"
#include "http_own.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

enum { HOST_MAX = 128, ERROR_MAX = 512 };

/* Overwrites every occurrence: a server that echoes a request must not get a key into reports and logs. */
static void blot(struct mw_buf *b, const char *secret, size_t len)
{
	uint8_t *at = b->data;
	while (len > 0 && b->len > 0 && (at = memmem(at, (size_t)(b->data + b->len - at), secret, len)))
		memset(at, '*', len);
}

static void blot_key(struct mw_transfer *t)
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
	if (t->token)
		blot(&t->response, t->token, strlen(t->token));
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
static void explain(const struct mw_transfer *t, CURLcode result, const struct mw_answer *a,
		    char out[ERROR_MAX])
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
	} else if (a->status == MW_STATUS_NETWORK && t->refused) {
		/* curl would have sent it once more by itself. */
		snprintf(out, ERROR_MAX,
			 "%s closed the connection; the request is repeated when the rate allows it", host);
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

static int64_t wall_ms(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
}

/* Retry-After, else the older X-RateLimit-Reset, which is seconds as well. */
static int64_t pause_asked(CURL *easy)
{
	static const char *const names[] = {"Retry-After", "X-RateLimit-Reset"};
	int64_t now_wall = wall_ms();
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

/* By how much the server's clock is ahead of ours, to a second; false if it does not say. */
static bool read_skew(CURL *easy, int64_t *skew_ms)
{
	struct curl_header *header;
	int64_t date;
	if (curl_easy_header(easy, "Date", 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
	    !mw_timestamp_parse((struct mw_span){(const uint8_t *)header->value, strlen(header->value)},
				&date))
		return false;
	*skew_ms = date - wall_ms();
	return true;
}

/* Did an answer come that counts? Else why not. */
static int status_of(const struct mw_transfer *t, CURLcode result)
{
	long code = 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
	if (t->refused && !t->sent)
		return MW_STATUS_UNSENT;
	if (!t->refused && code >= 200 && ((result == CURLE_OK && t->head_complete) || t->capped))
		return (int)code;
	return MW_STATUS_NETWORK;
}

static void tell_batch(struct mw_http *h, struct mw_transfer *t, CURLcode result)
{
	char error[ERROR_MAX];
	struct mw_answer a = {.status = status_of(t, result), .retry_after_ms = -1};
	if (a.status > 0) {
		a.retry_after_ms = pause_asked(t->easy);
		blot_key(t);
		a.body = mw_buf_span(&t->response);
	}
	explain(t, result, &a, error);
	h->config.done(h->config.context, &t->request, &a, error);
}

static void tell_token(struct mw_http *h, struct mw_transfer *t, CURLcode result)
{
	char error[ERROR_MAX];
	/* Without its body: nobody knows what that repeats. */
	struct mw_answer a = {.status = status_of(t, result), .retry_after_ms = -1};
	struct mw_token_answer told = {.status = a.status, .retry_after_ms = -1, .error = error};
	if (a.status > 0) {
		told.retry_after_ms = pause_asked(t->easy);
		told.has_date = read_skew(t->easy, &told.skew_ms);
		if (!t->capped)
			told.body = mw_buf_span(&t->secret);
	}
	explain(t, result, &a, error);
	h->config.token_done(h->config.context, t->ticket, &told);
}

void mw_http_tell(struct mw_http *h, struct mw_transfer *t, CURLcode result)
{
	if (t->ticket)
		tell_token(h, t, result);
	else
		tell_batch(h, t, result);
}
