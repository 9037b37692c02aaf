#include "reports.h"

#include <pthread.h>
#include <stdlib.h>

/* One report and the bytes its spans point to. */
struct record {
	struct record *next;
	size_t bytes;
	struct mw_report report;
	uint8_t text[];
};

struct mw_reports {
	pthread_mutex_t lock;
	struct record *head;
	struct record **tail;
	size_t count;
	size_t bytes;
	uint64_t lost;
};

struct mw_reports *mw_reports_new(void)
{
	struct mw_reports *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	if (pthread_mutex_init(&q->lock, NULL) != 0) {
		free(q);
		return NULL;
	}
	q->tail = &q->head;
	return q;
}

void mw_reports_free(struct mw_reports *q)
{
	if (!q)
		return;
	while (q->head) {
		struct record *next = q->head->next;
		free(q->head);
		q->head = next;
	}
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* Under the lock; NULL if there is none. */
static struct record *pop(struct mw_reports *q)
{
	struct record *n = q->head;
	if (!n)
		return NULL;
	q->head = n->next;
	if (!q->head)
		q->tail = &q->head;
	q->count--;
	q->bytes -= n->bytes;
	return n;
}

/* Copies `s` to *at and moves *at behind it. */
static struct mw_span keep(uint8_t **at, struct mw_span s)
{
	struct mw_span kept = {*at, s.len};
	if (s.len > 0)
		memcpy(*at, s.at, s.len);
	*at += s.len;
	return kept;
}

void mw_reports_add(struct mw_reports *q, const struct mw_report *r)
{
	struct mw_span message = r->outcome == MW_OUTCOME_DEAD ? r->message : (struct mw_span){0};
	struct mw_span answer = r->answer;
	if (answer.len > MW_REPORT_ANSWER_MAX)
		answer.len = MW_REPORT_ANSWER_MAX;
	size_t bytes = sizeof(struct record) + r->account.len + message.len + answer.len;
	struct record *n = malloc(bytes);
	if (n) {
		uint8_t *at = n->text;
		n->next = NULL;
		n->bytes = bytes;
		n->report = *r;
		n->report.account = keep(&at, r->account);
		n->report.message = keep(&at, message);
		n->report.answer = keep(&at, answer);
	}
	struct record *dropped = NULL;
	pthread_mutex_lock(&q->lock);
	while (n && q->head && (q->count >= MW_REPORTS_MAX || q->bytes + bytes > MW_REPORTS_BYTES_MAX)) {
		struct record *old = pop(q);
		old->next = dropped;
		dropped = old;
		q->lost++;
	}
	if (n) {
		*q->tail = n;
		q->tail = &n->next;
		q->count++;
		q->bytes += bytes;
	} else {
		q->lost++;
	}
	pthread_mutex_unlock(&q->lock);
	while (dropped) {
		struct record *next = dropped->next;
		free(dropped);
		dropped = next;
	}
}

size_t mw_reports_take(struct mw_reports *q, size_t max,
		       void (*each)(void *context, const struct mw_report *r), void *context)
{
	size_t taken = 0;
	while (taken < max) {
		pthread_mutex_lock(&q->lock);
		struct record *n = pop(q);
		pthread_mutex_unlock(&q->lock);
		if (!n)
			break;
		each(context, &n->report);
		free(n);
		taken++;
	}
	return taken;
}

uint64_t mw_reports_lost(struct mw_reports *q)
{
	pthread_mutex_lock(&q->lock);
	uint64_t lost = q->lost;
	pthread_mutex_unlock(&q->lock);
	return lost;
}
