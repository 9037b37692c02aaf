/* rig.h -- an engine and the mock server it sends to. */
#ifndef MW_RIG_H
#define MW_RIG_H

#include "../../csrc/io/engine.h"
#include "mock.h"

#include <pthread.h>

/* Generous: machines under test are busy, and only a failure takes it all. */
enum { RIG_PATIENCE_MS = 120000 };

struct rig {
	struct mock mock;
	struct mw_engine *engine;
	struct mw_outbox box;
	struct mw_error error;
};

__attribute__((unused)) static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

__attribute__((unused)) static int64_t monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* No rate limit and hardly any linger: what most tests want to see is soon there. */
__attribute__((unused)) static struct mw_engine_config rig_config(void)
{
	struct mw_engine_config c = {.weir = mw_weir_defaults()};
	c.weir.rate = 0;
	c.weir.linger_ms = 1;
	return c;
}

__attribute__((unused)) static void rig_open(struct rig *r, struct mw_engine_config config)
{
	*r = (struct rig){.mock = mock_start(NULL, NULL)};
	mw_outbox_init(&r->box, 64u << 20);
	if (mw_endpoint_parse(span(r->mock.url), &config.endpoint, &r->error) != MW_OK ||
	    mw_engine_open(&config, &r->engine, &r->error) != MW_OK) {
		fprintf(stderr, "rig: %s\n", r->error.detail);
		exit(2);
	}
}

__attribute__((unused)) static void rig_close(struct rig *r)
{
	mw_engine_free(r->engine);
	mw_outbox_deinit(&r->box);
	mock_stop(&r->mock);
}

/* Adds {"messageId":"<id>"...} of about `bytes` bytes to the box. */
__attribute__((unused)) static bool box_add(struct mw_outbox *box, const char *account, const char *id,
					    size_t bytes, int64_t tag)
{
	static _Thread_local char at[MW_MESSAGE_MAX + 256];
	int n = snprintf(at, 100, "{\"messageId\":\"%s\",\"p\":\"", id);
	size_t len = (size_t)n;
	while (len + 2 < bytes && len < MW_MESSAGE_MAX + 100)
		at[len++] = 'x';
	at[len++] = '"';
	at[len++] = '}';
	struct mw_parcel p = {.account = span(account), .message = {(uint8_t *)at, len}, .tag = tag};
	return mw_outbox_add(box, &p) == MW_OK;
}

/* Pushes `count` small messages of one account, tags from 1 on. */
__attribute__((unused)) static enum mw_err rig_push(struct rig *r, const char *account, int count)
{
	char id[64];
	mw_outbox_clear(&r->box);
	for (int i = 1; i <= count; i++) {
		snprintf(id, sizeof id, "%s-%d", account, i);
		if (!box_add(&r->box, account, id, 60, i))
			return MW_NO_MEMORY;
	}
	return mw_engine_push(r->engine, &r->box);
}

__attribute__((unused)) static bool rig_key(struct rig *r, const char *account, const char *key)
{
	return mw_engine_set_key(r->engine, span(account), span(key), NULL, &r->error) == MW_OK;
}

__attribute__((unused)) static bool stats_add_up(const struct mw_counts *c)
{
	return c->accepted == c->delivered + c->dead + c->queued + c->in_flight;
}

__attribute__((unused)) static struct mw_counts rig_counts(struct rig *r)
{
	struct mw_engine_stats s;
	return mw_engine_stats(r->engine, &s) == MW_OK ? s.weir.counts : (struct mw_counts){0};
}

/* A lane by name; false if it is not there yet. */
__attribute__((unused)) static bool rig_lane(struct rig *r, const char *account, struct mw_engine_lane *out)
{
	struct mw_engine_lane lanes[64];
	size_t n = mw_engine_lanes(r->engine, lanes, 64);
	for (size_t i = 0; i < n && i < 64; i++)
		if (strcmp(lanes[i].account, account) == 0) {
			*out = lanes[i];
			return true;
		}
	return false;
}

/* Until `condition` holds, or patience ends; yields in between. */
#define RIG_UNTIL(condition)                                                                                 \
	for (int64_t rig_deadline = monotonic_ms() + RIG_PATIENCE_MS;                                        \
	     !(condition) && monotonic_ms() < rig_deadline;)                                                 \
	nanosleep(&(struct timespec){0, 1000000}, NULL)

#endif
