/* redis_pipeline.h -- commands as bytes, in the order in which they were given, and how far each has come.
 *
 *     mw_redis_pipeline_begin(&p, NULL, 2);              *2\r\n
 *     mw_redis_pipeline_arg(&p, MW_SPAN("GET"));          $3\r\nGET\r\n
 *     mw_redis_pipeline_arg(&p, MW_SPAN("x"));            $1\r\nx\r\n
 *     mw_redis_pipeline_gather(&p, &nodes, 0, &out, &n)   what node 0 is to be sent, and the replies it owes
 *
 * Knows no connection: who sends, and what replies mean, is redis.c's matter.
 */
#ifndef MW_REDIS_PIPELINE_H
#define MW_REDIS_PIPELINE_H

#include "redis_nodes.h"
#include "redis_slot.h"

struct mw_redis_script;
struct mw_redis_reply;

struct mw_redis_command {
	size_t at, len; /* in `bytes` */
	size_t rest;    /* of a script: where its arguments begin, behind name and SHA-1 */
	size_t args;
	const struct mw_redis_script *script;
	bool is_whole; /* EVAL, for the server does not know it */
	bool is_done;  /* else it is pending */
	int slot;
	int asked; /* the node that ASK named; -1: none */
	unsigned followed;
	struct mw_redis_reply *reply; /* of one that is pending: why it still is */
	size_t sent_end;              /* where it ends in what went to its node; 0: it did not go */
};

struct mw_redis_pipeline {
	struct mw_buf bytes; /* all commands as they were given */
	struct mw_buf out;   /* what goes to one node, where that is not all of it */
	struct mw_buf list;  /* struct mw_redis_command */
	struct mw_redis_keyed keyed;
	int64_t block_ms; /* the longest that a command asks to wait */
	enum mw_err err;  /* of putting it together: MW_NO_MEMORY, MW_TOO_LARGE */
};

void mw_redis_pipeline_init(struct mw_redis_pipeline *p, size_t max);
void mw_redis_pipeline_deinit(struct mw_redis_pipeline *p);
void mw_redis_pipeline_clear(struct mw_redis_pipeline *p);

/* The next command, of so many arguments, its name among them; of a script those behind name and SHA-1. */
void mw_redis_pipeline_begin(struct mw_redis_pipeline *p, const struct mw_redis_script *script, size_t args);
void mw_redis_pipeline_arg(struct mw_redis_pipeline *p, struct mw_span arg);

size_t mw_redis_pipeline_count(const struct mw_redis_pipeline *p);
struct mw_redis_command *mw_redis_pipeline_at(const struct mw_redis_pipeline *p, size_t i);

/* Where a command goes, as far as is known. */
size_t mw_redis_command_node(const struct mw_redis_command *c, const struct mw_redis_nodes *nodes);

/* The pending commands of a node, borrowed until the next call; sets their `sent_end`. */
enum mw_err mw_redis_pipeline_gather(struct mw_redis_pipeline *p, const struct mw_redis_nodes *nodes,
				     size_t node, struct mw_span *out, size_t *replies);

#endif
