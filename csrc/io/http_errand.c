#include "http_errand.h"

#include "http_own.h"
#include "secret_heap.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* In the secret heap: an answer may hold a write key. */
struct mw_errand {
	CURL *easy;
	struct curl_slist *headers;
	pthread_t thread;
	pid_t owner;
	atomic_bool cut, done;
	/* Of the thread, until it is done. */
	CURLcode result;
	long status;
	size_t len;
	char curl_error[CURL_ERROR_SIZE];
	uint8_t body[MW_ERRAND_ANSWER_MAX];
};

static size_t on_body(char *at, size_t size, size_t count, void *context)
{
	struct mw_errand *x = context;
	size_t len = size * count;
	if (len > sizeof x->body - x->len)
		return 0;
	memcpy(x->body + x->len, at, len);
	x->len += len;
	return len;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	struct mw_errand *x = context;
	return atomic_load(&x->cut);
}

static void *run(void *context)
{
	struct mw_errand *x = context;
	x->result = curl_easy_perform(x->easy);
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
	atomic_store(&x->done, true);
	return NULL;
}

#define SET(option, value) (rc = rc ? rc : curl_easy_setopt(c, option, value))

static CURLcode set_options(struct mw_errand *x, const struct mw_errand_config *config)
{
	CURL *c = x->easy;
	CURLcode rc = mw_http_configure(c, config->proxy ? config->proxy : "", config->ca_file);
	SET(CURLOPT_URL, config->url);
	SET(CURLOPT_PROTOCOLS_STR, strncmp(config->url, "http://", 7) == 0 ? "http" : "https");
	SET(CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
	SET(CURLOPT_ERRORBUFFER, x->curl_error);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, x);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_HTTPHEADER, x->headers);
	if (config->form.at) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)config->form.len);
		SET(CURLOPT_COPYPOSTFIELDS, (const char *)config->form.at);
	}
	if (config->bearer) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(CURLOPT_XOAUTH2_BEARER, config->bearer);
	} else if (config->user) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, config->user);
		SET(CURLOPT_PASSWORD, config->password ? config->password : "");
	}
	return rc;
}

/* The thread takes no signal of the host's. */
static int start_thread(struct mw_errand *x)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&x->thread, NULL, run, x);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* All but the thread. */
static void drop(struct mw_errand *x)
{
	curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	mw_secret_free(x); /* wipes */
}

enum mw_err mw_errand_start(const struct mw_errand_config *config, struct mw_errand **out, struct mw_error *e)
{
	enum mw_err err = mw_http_prepare(e);
	if (err != MW_OK)
		return err;
	struct mw_errand *x = mw_secret_calloc(1, sizeof *x);
	if (!x)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a request");
	x->owner = getpid();
	x->easy = curl_easy_init();
	x->headers = curl_slist_append(NULL, "Accept: application/json");
	if (!x->easy || !x->headers || set_options(x, config) != CURLE_OK) {
		drop(x);
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a request");
	}
	if (start_thread(x) != 0) {
		drop(x);
		return mw_error_set(e, MW_IO, 0, "no thread for a request");
	}
	*out = x;
	return MW_OK;
}

bool mw_errand_is_done(struct mw_errand *x)
{
	return atomic_load(&x->done);
}

enum mw_err mw_errand_answer(struct mw_errand *x, int *status, struct mw_span *body, struct mw_error *e)
{
	if (!mw_errand_is_done(x))
		return mw_error_set(e, MW_IO, 0, "not done yet");
	if (x->result == CURLE_WRITE_ERROR)
		return mw_error_set(e, MW_IO, 0, "the answer has more than %d bytes", MW_ERRAND_ANSWER_MAX);
	if (x->result != CURLE_OK)
		return mw_error_set(e, MW_IO, 0, "%.150s",
				    x->curl_error[0] ? x->curl_error : curl_easy_strerror(x->result));
	*status = (int)x->status;
	*body = (struct mw_span){x->body, x->len};
	return MW_OK;
}

void mw_errand_free(struct mw_errand *x)
{
	/* In a child there is no such thread, and curl's handle may be half-way through anything. */
	if (!x || x->owner != getpid())
		return;
	atomic_store(&x->cut, true);
	pthread_join(x->thread, NULL);
	drop(x);
}
