/* redis_reply.h -- what Redis answered, as a tree in one arena.
 *
 * hiredis parses; its reader builds the tree through functions of ours, so that a reply of ten thousand
 * stream entries is a few allocations and not a hundred thousand. All replies of an arena go with it at once.
 */
#ifndef MW_REDIS_REPLY_H
#define MW_REDIS_REPLY_H

#include "../core/buf.h"

enum mw_redis_type { MW_REDIS_NIL, MW_REDIS_STRING, MW_REDIS_INTEGER, MW_REDIS_LIST, MW_REDIS_ERROR };

struct mw_redis_reply {
	enum mw_redis_type type;
	int64_t integer;
	struct mw_span text; /* of a string; of an error a sentence for people */
	char code[24]; /* of an error: its first word in lower case ("noperm"), or ours: "io", "timeout" */
	struct mw_redis_reply **items; /* of a list */
	size_t count;
};

struct mw_redis_arena;

struct mw_redis_arena *mw_redis_arena_new(void); /* NULL: no memory */
void mw_redis_arena_free(struct mw_redis_arena *a);
void mw_redis_arena_clear(struct mw_redis_arena *a); /* keeps a first block for the next replies */

/* Zeros that live as long as the replies do; NULL: no memory. */
void *mw_redis_arena_take(struct mw_redis_arena *a, size_t size);

/* An error of our own; never NULL: short of memory it is a static one that says so. */
struct mw_redis_reply *mw_redis_reply_error(struct mw_redis_arena *a, const char *code, const char *format,
					    ...) __attribute__((format(printf, 3, 4)));

/* A parser whose replies lie in the arena; it is hiredis's redisReader. */
struct redisReader;
struct redisReader *mw_redis_reader_new(struct mw_redis_arena *a);

#endif
