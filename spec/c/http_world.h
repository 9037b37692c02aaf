/* http_world.h -- an mw_http with the callbacks that tests need: a permit that can be told what to say, and
 * the last answer kept. */
#ifndef MW_HTTP_WORLD_H
#define MW_HTTP_WORLD_H

#include "../../csrc/io/http.h"
#include "mock.h"

enum { WORLD_DEADLINE_MS = 120000 };

struct world {
	struct mw_http *http;
	int64_t permits[8]; /* what to answer, in order; then 0 */
	size_t asked;
	size_t granted;
	size_t done;
	int status;
	int64_t retry_after_ms;
	size_t body_len;
	char body[MW_RESPONSE_MAX + 1];
	char error[600];
};

static int64_t world_permit(void *context, const struct mw_request *r)
{
	struct world *w = context;
	(void)r;
	size_t n = w->asked++;
	int64_t wait = n < sizeof w->permits / sizeof *w->permits ? w->permits[n] : 0;
	w->granted += wait == 0;
	return wait;
}

static void world_done(void *context, const struct mw_request *r, const struct mw_answer *a,
		       const char *error)
{
	struct world *w = context;
	(void)r;
	w->done++;
	w->status = a->status;
	w->retry_after_ms = a->retry_after_ms;
	w->body_len = a->body.len;
	if (a->body.len > 0)
		memcpy(w->body, a->body.at, a->body.len);
	w->body[a->body.len] = '\0';
	snprintf(w->error, sizeof w->error, "%s", error);
}

/* Fields of `config` that stay zero get the world's own. */
__attribute__((unused)) static struct world *world_open(struct mw_http_config config)
{
	struct world *w = calloc(1, sizeof *w);
	config.permit = world_permit;
	config.done = world_done;
	config.context = w;
	struct mw_error e = {0};
	if (!w || mw_http_new(&config, &w->http, &e) != MW_OK) {
		fprintf(stderr, "mw_http_new: %s\n", e.detail);
		exit(2);
	}
	return w;
}

__attribute__((unused)) static void world_close(struct world *w)
{
	mw_http_free(w->http);
	free(w);
}

__attribute__((unused)) static bool world_post(struct world *w, const char *url, struct mw_span messages,
					       uint32_t attempt)
{
	struct mw_endpoint endpoint;
	struct mw_request r = {.count = 1, .bytes = messages.len, .attempt = attempt};
	struct mw_buf batch;
	mw_buf_init(&batch, SIZE_MAX);
	w->asked = w->granted = w->done = 0;
	bool ok =
	    mw_endpoint_parse((struct mw_span){(const uint8_t *)url, strlen(url)}, &endpoint, NULL) ==
		MW_OK &&
	    mw_buf_append_span(&batch, messages) == MW_OK &&
	    mw_http_post(w->http, &r, &endpoint, MW_SPAN("Key_1-z"), NULL, &batch, 1700000000123) == MW_OK;
	mw_buf_deinit(&batch);
	return ok;
}

/* False if no answer came in time. */
__attribute__((unused)) static bool world_finish(struct world *w)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	time_t deadline = now.tv_sec + WORLD_DEADLINE_MS / 1000;
	while (w->done == 0 && now.tv_sec < deadline) {
		mw_http_work(w->http);
		if (w->done == 0)
			mw_http_wait(w->http, 1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	return w->done == 1;
}

/* Posts one small message and returns the status; -1000 if there was none in time. */
__attribute__((unused)) static int world_status(struct world *w, const char *url)
{
	return world_post(w, url, MW_SPAN("{\"messageId\":\"1\"}"), 0) && world_finish(w) ? w->status : -1000;
}

#endif
