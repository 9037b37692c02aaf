#include "queue.h"

#include <stdlib.h>

/* With the chunk's own head, as malloc sees them. */
enum { CHUNK_MIN = 1024, CHUNK_MAX = 64 * 1024 };

struct mw_chunk {
	struct mw_chunk *next;
	uint32_t start; /* the oldest record */
	uint32_t end;   /* behind the newest */
	uint32_t room;
	uint32_t pad;
	uint8_t bytes[];
};

struct record {
	int64_t tag;
	int64_t since;
	uint32_t len;
	uint8_t message[];
};

/* The next record begins where it is aligned. */
static size_t record_size(size_t message_len)
{
	return (offsetof(struct record, message) + message_len + 7) & ~(size_t)7;
}

static struct record *record_at(struct mw_chunk *chunk, size_t at)
{
	return (struct record *)(void *)(chunk->bytes + at);
}

void mw_queue_init(struct mw_queue *q)
{
	*q = (struct mw_queue){0};
}

void mw_queue_deinit(struct mw_queue *q)
{
	while (q->head) {
		struct mw_chunk *next = q->head->next;
		free(q->head);
		q->head = next;
	}
	mw_queue_init(q);
}

/* Twice the chunk before it, and room for at least one record of `need` bytes. */
static struct mw_chunk *chunk_new(const struct mw_chunk *before, size_t need)
{
	size_t size = CHUNK_MIN;
	if (before)
		size = 2 * (sizeof *before + before->room);
	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	while (size < sizeof *before + need)
		size *= 2;
	struct mw_chunk *chunk = malloc(size);
	if (chunk)
		*chunk = (struct mw_chunk){.room = (uint32_t)(size - sizeof *chunk)};
	return chunk;
}

enum mw_err mw_queue_push(struct mw_queue *q, struct mw_span message, int64_t tag, int64_t now)
{
	if (message.len > UINT32_MAX / 4)
		return MW_TOO_LARGE;
	size_t need = record_size(message.len);
	if (!q->tail || q->tail->room - q->tail->end < need) {
		struct mw_chunk *chunk = chunk_new(q->tail, need);
		if (!chunk)
			return MW_NO_MEMORY;
		if (q->tail)
			q->tail->next = chunk;
		else
			q->head = chunk;
		q->tail = chunk;
	}
	struct record *record = record_at(q->tail, q->tail->end);
	record->tag = tag;
	record->since = now;
	record->len = (uint32_t)message.len;
	if (message.len > 0)
		memcpy(record->message, message.at, message.len);
	q->tail->end += (uint32_t)need;
	q->count++;
	q->bytes += message.len;
	return MW_OK;
}

bool mw_queue_next(const struct mw_queue *q, struct mw_queue_cursor *c, struct mw_queued *out)
{
	if (!c->chunk) {
		if (!q->head)
			return false;
		c->chunk = q->head;
		c->at = q->head->start;
	} else if (c->at == c->chunk->end) {
		if (!c->chunk->next)
			return false;
		c->chunk = c->chunk->next;
		c->at = c->chunk->start;
	}
	const struct record *record = record_at(c->chunk, c->at);
	*out = (struct mw_queued){{record->message, record->len}, record->tag, record->since};
	c->at += record_size(record->len);
	return true;
}

void mw_queue_drop(struct mw_queue *q)
{
	struct mw_chunk *chunk = q->head;
	if (!chunk)
		return;
	const struct record *record = record_at(chunk, chunk->start);
	q->count--;
	q->bytes -= record->len;
	chunk->start += (uint32_t)record_size(record->len);
	if (chunk->start == chunk->end) {
		q->head = chunk->next;
		if (!q->head)
			q->tail = NULL;
		free(chunk);
	}
}
