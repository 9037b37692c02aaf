#include "redis_pipeline.h"

#include "redis.h"

void mw_redis_pipeline_init(struct mw_redis_pipeline *p, size_t max)
{
	mw_buf_init(&p->bytes, max);
	mw_buf_init(&p->out, max);
	mw_buf_init(&p->list, max);
}

void mw_redis_pipeline_deinit(struct mw_redis_pipeline *p)
{
	mw_buf_deinit(&p->bytes);
	mw_buf_deinit(&p->out);
	mw_buf_deinit(&p->list);
}

void mw_redis_pipeline_clear(struct mw_redis_pipeline *p)
{
	mw_buf_clear(&p->bytes);
	mw_buf_clear(&p->list);
	p->err = MW_OK;
	p->block_ms = 0;
}

size_t mw_redis_pipeline_count(const struct mw_redis_pipeline *p)
{
	return p->list.len / sizeof(struct mw_redis_command);
}

struct mw_redis_command *mw_redis_pipeline_at(const struct mw_redis_pipeline *p, size_t i)
{
	return (struct mw_redis_command *)(void *)p->list.data + i;
}

/* ---- putting it together */

static void append(struct mw_redis_pipeline *p, const void *bytes, size_t len)
{
	if (p->err == MW_OK)
		p->err = mw_buf_append(&p->bytes, bytes, len);
}

/* "*3\r\n" or "$5\r\n" */
static size_t write_head(char out[32], char mark, size_t n)
{
	char digits[24];
	size_t count = 0, len = 0;
	do
		digits[count++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	out[len++] = mark;
	while (count > 0)
		out[len++] = digits[--count];
	out[len++] = '\r';
	out[len++] = '\n';
	return len;
}

/* The command whose arguments are coming in. */
static struct mw_redis_command *last(struct mw_redis_pipeline *p)
{
	return mw_redis_pipeline_at(p, mw_redis_pipeline_count(p) - 1);
}

void mw_redis_pipeline_begin(struct mw_redis_pipeline *p, const struct mw_redis_script *script, size_t args)
{
	args += script ? 2 : 0;
	struct mw_redis_command c = {
	    .at = p->bytes.len, .args = args, .script = script, .slot = MW_REDIS_NO_SLOT, .asked = -1};
	char head[32];
	if (p->err == MW_OK)
		p->err = mw_buf_append(&p->list, &c, sizeof c);
	append(p, head, write_head(head, '*', args));
	mw_redis_keyed_init(&p->keyed);
	if (!script)
		return;
	mw_redis_pipeline_arg(p, MW_SPAN("EVALSHA"));
	mw_redis_pipeline_arg(p, (struct mw_span){(const uint8_t *)script->sha1, 40});
	if (p->err == MW_OK)
		last(p)->rest = p->bytes.len - last(p)->at;
}

void mw_redis_pipeline_arg(struct mw_redis_pipeline *p, struct mw_span arg)
{
	char head[32];
	append(p, head, write_head(head, '$', arg.len));
	append(p, arg.at, arg.len);
	append(p, "\r\n", 2);
	if (p->err != MW_OK)
		return;
	mw_redis_keyed_arg(&p->keyed, arg);
	struct mw_redis_command *c = last(p);
	c->slot = p->keyed.slot;
	c->len = p->bytes.len - c->at;
	if (p->keyed.block_ms > p->block_ms)
		p->block_ms = p->keyed.block_ms;
}

/* ---- taking out what one node gets */

size_t mw_redis_command_node(const struct mw_redis_command *c, const struct mw_redis_nodes *nodes)
{
	return c->asked >= 0 ? (size_t)c->asked : mw_redis_nodes_of(nodes, c->slot);
}

static bool is_for(const struct mw_redis_command *c, const struct mw_redis_nodes *nodes, size_t node)
{
	return !c->is_done && mw_redis_command_node(c, nodes) == node;
}

/* EVAL and the script's text, in place of EVALSHA and its name. */
static enum mw_err append_whole(struct mw_buf *out, const struct mw_redis_command *c)
{
	char head[32];
	enum mw_err err = mw_buf_append(out, head, write_head(head, '*', c->args));
	if (err == MW_OK)
		err = mw_buf_append_literal(out, "$4\r\nEVAL\r\n");
	if (err == MW_OK)
		err = mw_buf_append(out, head, write_head(head, '$', c->script->text.len));
	if (err == MW_OK)
		err = mw_buf_append_span(out, c->script->text);
	if (err == MW_OK)
		err = mw_buf_append_literal(out, "\r\n");
	return err;
}

enum mw_err mw_redis_pipeline_gather(struct mw_redis_pipeline *p, const struct mw_redis_nodes *nodes,
				     size_t node, struct mw_span *out, size_t *replies)
{
	static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
	size_t count = mw_redis_pipeline_count(p);
	bool all = true;
	*replies = 0;
	for (size_t i = 0; i < count && all; i++) {
		struct mw_redis_command *c = mw_redis_pipeline_at(p, i);
		all = is_for(c, nodes, node) && c->asked < 0 && !c->is_whole;
	}
	if (all) {
		for (size_t i = 0; i < count; i++) {
			struct mw_redis_command *c = mw_redis_pipeline_at(p, i);
			c->sent_end = c->at + c->len;
		}
		*replies = count;
		*out = mw_buf_span(&p->bytes);
		return MW_OK;
	}
	enum mw_err err = MW_OK;
	mw_buf_clear(&p->out);
	for (size_t i = 0; i < count && err == MW_OK; i++) {
		struct mw_redis_command *c = mw_redis_pipeline_at(p, i);
		if (!is_for(c, nodes, node))
			continue;
		size_t skip = c->is_whole ? c->rest : 0;
		if (c->asked >= 0)
			err = mw_buf_append(&p->out, asking, sizeof asking - 1);
		if (c->is_whole && err == MW_OK)
			err = append_whole(&p->out, c);
		if (err == MW_OK)
			err = mw_buf_append(&p->out, p->bytes.data + c->at + skip, c->len - skip);
		c->sent_end = p->out.len;
		*replies += c->asked >= 0 ? 2 : 1;
	}
	*out = mw_buf_span(&p->out);
	return err;
}
