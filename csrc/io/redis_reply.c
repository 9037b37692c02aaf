#include "redis_reply.h"

#include <ctype.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdlib.h>

enum { BLOCK = 256 * 1024, KEEP = 8 };

struct block {
	struct block *next;
	size_t len, cap;
	_Alignas(16) uint8_t bytes[];
};

struct mw_redis_arena {
	struct block *blocks; /* the one in use first */
};

struct mw_redis_arena *mw_redis_arena_new(void)
{
	return calloc(1, sizeof(struct mw_redis_arena));
}

static void free_blocks(struct block *b)
{
	while (b) {
		struct block *next = b->next;
		free(b);
		b = next;
	}
}

void mw_redis_arena_free(struct mw_redis_arena *a)
{
	if (!a)
		return;
	free_blocks(a->blocks);
	free(a);
}

void mw_redis_arena_clear(struct mw_redis_arena *a)
{
	/* A worker reads batches of about the same size: give back what a large one made necessary, not all.
	 */
	struct block *kept = a->blocks;
	while (kept && kept->cap != BLOCK)
		kept = kept->next;
	for (struct block **at = &a->blocks; *at;) {
		struct block *b = *at;
		*at = b->next;
		if (b != kept)
			free(b);
	}
	a->blocks = kept;
	if (kept) {
		kept->next = NULL;
		kept->len = 0;
	}
}

/* Not cleared. */
static void *take(struct mw_redis_arena *a, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	struct block *b = a->blocks;
	if (!b || b->cap - b->len < size) {
		size_t cap = size > BLOCK ? size : BLOCK;
		b = malloc(sizeof *b + cap);
		if (!b)
			return NULL;
		*b = (struct block){.next = a->blocks, .cap = cap};
		a->blocks = b;
	}
	void *at = b->bytes + b->len;
	b->len += size;
	return at;
}

void *mw_redis_arena_take(struct mw_redis_arena *a, size_t size)
{
	void *at = take(a, size);
	return at ? memset(at, 0, size) : NULL;
}

struct mw_redis_reply *mw_redis_reply_error(struct mw_redis_arena *a, const char *code, const char *format,
					    ...)
{
	static struct mw_redis_reply no_memory = {
	    .type = MW_REDIS_ERROR, .text = {(const uint8_t *)"out of memory", 13}, .code = "no_memory"};
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	struct mw_redis_reply *r = mw_redis_arena_take(a, sizeof *r);
	uint8_t *copy = take(a, len + 1);
	if (!r || !copy)
		return &no_memory;
	memcpy(copy, text, len + 1);
	r->type = MW_REDIS_ERROR;
	r->text = (struct mw_span){copy, len};
	snprintf(r->code, sizeof r->code, "%s", code);
	return r;
}

/* ---- hiredis's reader asks for these; NULL tells it that memory is short */

static struct mw_redis_reply *new_reply(const redisReadTask *task, enum mw_redis_type type)
{
	struct mw_redis_reply *r = take(task->privdata, sizeof *r);
	if (!r)
		return NULL;
	r->type = type;
	r->integer = 0;
	r->text = (struct mw_span){NULL, 0};
	r->code[0] = '\0';
	r->items = NULL;
	r->count = 0;
	if (task->parent) {
		struct mw_redis_reply *parent = task->parent->obj;
		parent->items[task->idx] = r;
	}
	return r;
}

/* "NOPERM this user …": the first word is the code, if it looks like one. */
static void read_code(struct mw_redis_reply *r)
{
	size_t len = 0;
	while (len < r->text.len && len + 1 < sizeof r->code && isupper(r->text.at[len])) {
		r->code[len] = (char)tolower(r->text.at[len]);
		len++;
	}
	r->code[len] = '\0';
	if (len == 0 || (len < r->text.len && r->text.at[len] != ' '))
		snprintf(r->code, sizeof r->code, "err");
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
	struct mw_redis_reply *r =
	    new_reply(task, task->type == REDIS_REPLY_ERROR ? MW_REDIS_ERROR : MW_REDIS_STRING);
	uint8_t *copy = r ? take(task->privdata, len + 1) : NULL;
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	r->text = (struct mw_span){copy, len};
	if (r->type == MW_REDIS_ERROR)
		read_code(r);
	return r;
}

#if HIREDIS_MAJOR >= 1
static void *create_list(const redisReadTask *task, size_t count)
#else
static void *create_list(const redisReadTask *task, int count)
#endif
{
	struct mw_redis_reply *r = new_reply(task, MW_REDIS_LIST);
	if (!r)
		return NULL;
	r->count = (size_t)count;
	/* A reply that breaks off in the middle is never looked at: no need to clear it. */
	r->items = r->count > 0 ? take(task->privdata, r->count * sizeof *r->items) : NULL;
	return r->count > 0 && !r->items ? NULL : r;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct mw_redis_reply *r = new_reply(task, MW_REDIS_INTEGER);
	if (r)
		r->integer = value;
	return r;
}

static void *create_nil(const redisReadTask *task)
{
	return new_reply(task, MW_REDIS_NIL);
}

static void free_object(void *object)
{
	(void)object; /* the arena's */
}

redisReader *mw_redis_reader_new(struct mw_redis_arena *a)
{
	static redisReplyObjectFunctions functions = {.createString = create_string,
						      .createArray = create_list,
						      .createInteger = create_integer,
						      .createNil = create_nil,
						      .freeObject = free_object};
	redisReader *reader = redisReaderCreateWithFunctions(&functions);
	if (reader)
		reader->privdata = a;
	return reader;
}
