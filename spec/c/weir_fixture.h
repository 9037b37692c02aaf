/* weir_fixture.h -- one weir at a time, driven by hand: push, next, answer. */
#ifndef MW_WEIR_FIXTURE_H
#define MW_WEIR_FIXTURE_H

#include "weir_over.h"

#include "check.h"

/* What the weir reported, one letter each: d delivered, x dead, p parked, w withdrawn. */
static char reports[64];
static struct mw_report last_report;

static void note(void *context, const struct mw_report *r)
{
	size_t len = strlen(reports);
	(void)context;
	last_report = *r;
	if (len + 1 < sizeof reports)
		reports[len] = "dxpw"[r->outcome];
}

static struct mw_weir_config config;
static struct mw_queues queues;
static struct mw_weir *w;

/* Unlimited and without linger, so that a test sees one thing at a time. */
static void set_up(void)
{
	memset(reports, 0, sizeof reports);
	config = mw_weir_defaults();
	config.rate = 0;
	config.linger_ms = 0;
	config.seed = 42;
	config.report = (struct mw_report_to){note, NULL};
	w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
}

static void tear_down(void)
{
	mw_weir_free(w);
	mw_queues_deinit(&queues);
}

__attribute__((unused)) static void again_with_config(void)
{
	tear_down();
	w = weir_over(&queues, &config, MW_QUEUE_DEFAULT);
}

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static bool push(const char *account, const char *message, int64_t now)
{
	return mw_queues_push(&queues, w, span(account), span(message), 7, now) == MW_OK;
}

static void push_many(const char *account, int n, int64_t now)
{
	for (int i = 0; i < n; i++)
		push(account, "{}", now);
}

static struct mw_request request;
static int64_t wait_ms;

/* How many messages the next request holds; 0: none may go, see wait_ms. */
static uint32_t next(int64_t now)
{
	return mw_weir_next(w, now, &request, &wait_ms) ? request.count : 0;
}

static void answer(int status, int64_t retry_after_ms, int64_t now)
{
	const struct mw_answer a = {
	    .status = status, .retry_after_ms = retry_after_ms, .body = MW_SPAN("because")};
	mw_weir_done(w, &request, &a, now);
}

static enum mw_lane_state state(const char *account)
{
	return mw_weir_lane(w, span(account))->state;
}

#define RUN_FRESH(name)                                                                                      \
	do {                                                                                                 \
		set_up();                                                                                    \
		RUN(name);                                                                                   \
		tear_down();                                                                                 \
	} while (0)

#endif
