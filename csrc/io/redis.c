#include "redis.h"

#include "redis_advice.h"
#include "redis_nodes.h"
#include "redis_slot.h"

#include <openssl/evp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	TIMEOUT_DEFAULT_MS = 5000,
	REFUSED_FIRST_MS = 20, /* pauses while it says "not now" */
	REFUSED_MAX_MS = 1000,
	FOLLOWED_MAX = 16, /* redirections of one command, one behind the other */
};

enum state { PENDING, DONE };

struct command {
	size_t at, len; /* in `bytes` */
	size_t rest;    /* of a script: where its arguments begin, behind name and SHA-1 */
	size_t args;
	const struct mw_redis_script *script;
	bool is_whole; /* EVAL, for the server does not know it */
	int slot;
	int asked; /* the node that ASK named; -1: none */
	unsigned followed;
	enum state state;
	struct mw_redis_reply *reply; /* of one that is pending: why it still is */
	size_t sent_end;              /* where it ends in what went to its node; 0: it did not go */
};

struct mw_redis {
	struct mw_redis_nodes nodes;
	char address[MW_REDIS_SHOWN_MAX];
	int64_t patience_ms;
	pid_t pid;
	struct mw_buf bytes; /* the pipeline as it was given */
	struct mw_buf out;   /* what goes to one node, where that is not all of it */
	struct mw_buf list;  /* struct command */
	struct mw_redis_keyed keyed;
	enum mw_err err; /* of putting it together */
	struct mw_redis_arena *arena;
	int64_t block_ms;
	struct mw_redis_stats stats;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum mw_err mw_redis_new(const struct mw_redis_config *config, struct mw_redis **out, struct mw_error *e)
{
	if (sodium_init() < 0)
		return mw_error_set(e, MW_IO, 0, "libsodium found no source of randomness");
	struct mw_redis *r = calloc(1, sizeof *r);
	if (!r)
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a connection to Redis");
	struct mw_redis_nodes *n = &r->nodes;
	mw_buf_init(&r->bytes, MW_REDIS_PIPELINE_MAX);
	mw_buf_init(&r->out, MW_REDIS_PIPELINE_MAX);
	mw_buf_init(&r->list, MW_REDIS_PIPELINE_MAX);
	r->pid = getpid();
	r->patience_ms = config->patience_ms;
	r->arena = mw_redis_arena_new();
	n->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
	snprintf(n->name, sizeof n->name, "%s", config->name ? config->name : "");
	n->url = sodium_malloc(sizeof *n->url);
	n->node = calloc(1, sizeof *n->node);
	enum mw_err err = MW_OK;
	if (!r->arena || !n->url || !n->node)
		err = mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a connection to Redis");
	if (err == MW_OK) {
		*n->url = *config->url;
		snprintf(n->node->host, sizeof n->node->host, "%s", n->url->host);
		n->node->port = n->url->port;
		n->count = 1;
		mw_redis_url_show(n->url, r->address);
		if (n->url->tls && config->tls)
			n->tls = mw_redis_tls_share(config->tls);
		else if (n->url->tls)
			err = mw_redis_tls_new(config->ca_file, config->cert_file, config->key_file, &n->tls,
					       e);
	}
	if (err != MW_OK)
		mw_redis_free(r);
	else
		*out = r;
	return err;
}

enum mw_err mw_redis_twin(const struct mw_redis *r, struct mw_redis **out, struct mw_error *e)
{
	const struct mw_redis_config config = {.url = r->nodes.url,
					       .tls = r->nodes.tls,
					       .name = r->nodes.name,
					       .timeout_ms = r->nodes.timeout_ms,
					       .patience_ms = r->patience_ms};
	return mw_redis_new(&config, out, e);
}

void mw_redis_free(struct mw_redis *r)
{
	if (!r)
		return;
	mw_redis_nodes_deinit(&r->nodes);
	mw_redis_arena_free(r->arena);
	mw_buf_deinit(&r->bytes);
	mw_buf_deinit(&r->out);
	mw_buf_deinit(&r->list);
	free(r);
}

const char *mw_redis_address(const struct mw_redis *r)
{
	return r->address;
}

struct mw_redis_stats mw_redis_stats(const struct mw_redis *r)
{
	struct mw_redis_stats s = r->stats;
	s.connects = r->nodes.connects;
	return s;
}

void mw_redis_script_init(struct mw_redis_script *s, struct mw_span text)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	s->text = text;
	EVP_Digest(text.at, text.len, digest, &len, EVP_sha1(), NULL);
	for (unsigned i = 0; i < 20; i++)
		snprintf(s->sha1 + 2 * i, 3, "%02x", digest[i]);
}

/* ---- putting a pipeline together */

static struct command *commands(const struct mw_redis *r)
{
	return (struct command *)(void *)r->list.data;
}

size_t mw_redis_count(const struct mw_redis *r)
{
	return r->list.len / sizeof(struct command);
}

const struct mw_redis_reply *mw_redis_reply(const struct mw_redis *r, size_t i)
{
	return commands(r)[i].reply;
}

void mw_redis_begin(struct mw_redis *r)
{
	mw_buf_clear(&r->bytes);
	mw_buf_clear(&r->list);
	mw_redis_arena_clear(r->arena);
	r->err = MW_OK;
	r->block_ms = 0;
}

static void append(struct mw_redis *r, const void *bytes, size_t len)
{
	if (r->err == MW_OK)
		r->err = mw_buf_append(&r->bytes, bytes, len);
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
static struct command *last(struct mw_redis *r)
{
	return &commands(r)[mw_redis_count(r) - 1];
}

static void begin_command(struct mw_redis *r, const struct mw_redis_script *script, size_t args)
{
	struct command c = {
	    .at = r->bytes.len, .args = args, .script = script, .slot = MW_REDIS_NO_SLOT, .asked = -1};
	char head[32];
	if (r->err == MW_OK)
		r->err = mw_buf_append(&r->list, &c, sizeof c);
	append(r, head, write_head(head, '*', args));
	mw_redis_keyed_init(&r->keyed);
}

void mw_redis_command(struct mw_redis *r, size_t args)
{
	begin_command(r, NULL, args);
}

void mw_redis_command_script(struct mw_redis *r, const struct mw_redis_script *script, size_t args)
{
	begin_command(r, script, args + 2);
	mw_redis_arg(r, MW_SPAN("EVALSHA"));
	mw_redis_arg(r, (struct mw_span){(const uint8_t *)script->sha1, 40});
	if (r->err == MW_OK)
		last(r)->rest = r->bytes.len - last(r)->at;
}

void mw_redis_arg(struct mw_redis *r, struct mw_span arg)
{
	char head[32];
	append(r, head, write_head(head, '$', arg.len));
	append(r, arg.at, arg.len);
	append(r, "\r\n", 2);
	if (r->err != MW_OK)
		return;
	mw_redis_keyed_arg(&r->keyed, arg);
	struct command *c = last(r);
	c->slot = r->keyed.slot;
	c->len = r->bytes.len - c->at;
	if (r->keyed.block_ms > r->block_ms)
		r->block_ms = r->keyed.block_ms;
}

/* ---- what a reply says */

/* Where a node is, for people. */
static const char *where_is(const struct mw_redis *r, size_t node, char room[MW_REDIS_SHOWN_MAX])
{
	if (node == 0)
		return r->address;
	snprintf(room, MW_REDIS_SHOWN_MAX, "%.250s:%d", r->nodes.node[node].host, r->nodes.node[node].port);
	return room;
}

/* An error reply, and what follows from it. True: there is something to be done at once. */
static bool judge_error(struct mw_redis *r, size_t node, struct command *c, struct mw_redis_reply *reply)
{
	const char *code = reply->code;
	bool moved = strcmp(code, "moved") == 0, ask = strcmp(code, "ask") == 0;
	c->reply = reply;
	if (c->followed < FOLLOWED_MAX && (moved || ask) && reply->text.len > strlen(code)) {
		size_t to = 0;
		const char *text = (const char *)reply->text.at + strlen(code) + 1;
		if (mw_redis_nodes_moved(&r->nodes, node, text, moved, &to) == MW_OK) {
			c->asked = ask ? (int)to : -1;
			c->followed++;
			r->stats.redirects++;
			return true;
		}
	}
	if (c->followed < FOLLOWED_MAX && c->script && !c->is_whole && strcmp(code, "noscript") == 0) {
		c->is_whole = true;
		return true;
	}
	char room[MW_REDIS_SHOWN_MAX];
	c->reply = mw_redis_explain(r->arena, where_is(r, node, room), reply);
	if (mw_redis_says_not_now(code))
		return false;
	if (strcmp(code, "readonly") == 0 || (strcmp(code, "noauth") == 0 && r->nodes.url->password[0])) {
		mw_redis_nodes_drop(&r->nodes, node, false);
		return false;
	}
	c->state = DONE;
	return false;
}

/* ---- a round: every pending command goes to its node once */

static size_t node_of(const struct mw_redis *r, const struct command *c)
{
	return c->asked >= 0 ? (size_t)c->asked : mw_redis_nodes_of(&r->nodes, c->slot);
}

/* What goes to this node, and how many replies it will have. */
static enum mw_err gather(struct mw_redis *r, size_t node, struct mw_span *out, size_t *replies)
{
	static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
	size_t count = mw_redis_count(r);
	bool all = true;
	*replies = 0;
	for (size_t i = 0; i < count && all; i++) {
		struct command *c = &commands(r)[i];
		all = c->state == PENDING && node_of(r, c) == node && c->asked < 0 && !c->is_whole;
	}
	if (all) {
		for (size_t i = 0; i < count; i++)
			commands(r)[i].sent_end = commands(r)[i].at + commands(r)[i].len;
		*replies = count;
		*out = mw_buf_span(&r->bytes);
		return MW_OK;
	}
	enum mw_err err = MW_OK;
	mw_buf_clear(&r->out);
	for (size_t i = 0; i < count && err == MW_OK; i++) {
		struct command *c = &commands(r)[i];
		if (c->state != PENDING || node_of(r, c) != node)
			continue;
		size_t skip = 0;
		char head[32];
		if (c->asked >= 0)
			err = mw_buf_append(&r->out, asking, sizeof asking - 1);
		if (c->is_whole && err == MW_OK) {
			skip = c->rest;
			err = mw_buf_append(&r->out, head, write_head(head, '*', c->args));
			if (err == MW_OK)
				err = mw_buf_append_literal(&r->out, "$4\r\nEVAL\r\n");
			if (err == MW_OK)
				err =
				    mw_buf_append(&r->out, head, write_head(head, '$', c->script->text.len));
			if (err == MW_OK)
				err = mw_buf_append_span(&r->out, c->script->text);
			if (err == MW_OK)
				err = mw_buf_append_literal(&r->out, "\r\n");
		}
		if (err == MW_OK)
			err = mw_buf_append(&r->out, r->bytes.data + c->at + skip, c->len - skip);
		c->sent_end = r->out.len;
		*replies += c->asked >= 0 ? 2 : 1;
	}
	*out = mw_buf_span(&r->out);
	return err;
}

/* All pending commands of a node: `reply` is why they can't go, and pending they stay unless that is final.
 */
static void hold(struct mw_redis *r, size_t node, struct mw_redis_reply *reply, bool is_final)
{
	for (size_t i = 0; i < mw_redis_count(r); i++) {
		struct command *c = &commands(r)[i];
		if (c->state == PENDING && node_of(r, c) == node) {
			c->reply = reply;
			c->state = is_final ? DONE : PENDING;
		}
	}
	/* Its slots, and what ASK said, may be elsewhere by now. */
	if (!is_final)
		for (size_t i = 0; i < mw_redis_count(r); i++)
			if (commands(r)[i].asked == (int)node)
				commands(r)[i].asked = -1;
}

static bool connect_node(struct mw_redis *r, size_t node)
{
	struct mw_redis_node *n = &r->nodes.node[node];
	if (n->link && mw_redis_link_is_stale(n->link))
		mw_redis_nodes_drop(&r->nodes, node, false);
	if (n->link)
		return true;
	char code[24], room[MW_REDIS_SHOWN_MAX];
	struct mw_error e = {.code = MW_OK};
	enum mw_err err = mw_redis_nodes_connect(&r->nodes, node, now_ms(), code, &e);
	if (err == MW_OK)
		return true;
	bool is_final = err == MW_BAD_KEY && strcmp(code, "loading") != 0;
	hold(r, node,
	     mw_redis_reply_error(r->arena, code, "Redis at %s: %s", where_is(r, node, room), e.detail),
	     is_final);
	if (!is_final)
		mw_redis_nodes_drop(&r->nodes, node, true);
	return false;
}

/* The link failed behind `got` replies and `sent` bytes. */
static void sort_out(struct mw_redis *r, struct command *c, size_t sent, bool may_run_twice,
		     const struct mw_error *e)
{
	bool unsent = c->sent_end > sent, again = unsent || may_run_twice;
	c->reply = mw_redis_reply_error(r->arena, mw_err_word(e->code), "Redis at %s: %s%s", r->address,
					e->detail, again ? "" : "; whether the command ran is not known");
	c->state = again ? PENDING : DONE;
	r->stats.repeats += again && !unsent;
}

/* True: something is to be done at once. */
static bool exchange(struct mw_redis *r, size_t node, bool may_run_twice)
{
	struct mw_span out;
	size_t expected, sent = 0, got = 0, next = 0;
	struct mw_error e = {.code = MW_OK};
	bool at_once = false;
	enum mw_err err = gather(r, node, &out, &expected);
	struct mw_redis_reply **replies =
	    err == MW_OK ? mw_redis_arena_take(r->arena, expected * sizeof *replies) : NULL;
	if (!replies) {
		hold(r, node, mw_redis_reply_error(r->arena, "no_memory", "out of memory"), true);
		return false;
	}
	struct mw_redis_node *n = &r->nodes.node[node];
	err = mw_redis_link_exchange(n->link, out, r->arena, replies, expected,
				     r->nodes.timeout_ms + r->block_ms, &sent, &got, &e);
	if (err != MW_OK) {
		/* A short pause, lest a server that closes each connection is connected to in a circle. */
		n->not_before = now_ms() + REFUSED_FIRST_MS;
		mw_redis_nodes_drop(&r->nodes, node, false);
	}
	/* Who holds what may change while replies are looked at: the commands that were sent are marked. */
	for (size_t i = 0; i < mw_redis_count(r); i++) {
		struct command *c = &commands(r)[i];
		if (c->state != PENDING || c->sent_end == 0)
			continue;
		next += c->asked >= 0; /* that of ASKING says nothing */
		c->asked = -1;
		if (next >= got)
			sort_out(r, c, sent, may_run_twice, &e);
		else if (replies[next]->type == MW_REDIS_ERROR)
			at_once = judge_error(r, node, c, replies[next]) || at_once;
		else {
			c->reply = replies[next];
			c->state = DONE;
		}
		c->sent_end = 0;
		next++;
	}
	return at_once;
}

/* True: once more, without a pause. `resume` becomes when the next attempt makes sense. */
static bool round_trip(struct mw_redis *r, bool may_run_twice, int64_t *resume)
{
	bool at_once = false;
	*resume = INT64_MAX;
	for (size_t node = 0; node < r->nodes.count; node++) {
		bool has_work = false;
		for (size_t i = 0; i < mw_redis_count(r) && !has_work; i++)
			has_work = commands(r)[i].state == PENDING && node_of(r, &commands(r)[i]) == node;
		for (size_t i = 0; i < mw_redis_count(r); i++)
			commands(r)[i].sent_end = 0;
		if (!has_work)
			continue;
		struct mw_redis_node *n = &r->nodes.node[node];
		bool is_tried = n->link || now_ms() >= n->not_before || r->patience_ms == 0;
		if (is_tried && connect_node(r, node))
			at_once = exchange(r, node, may_run_twice) || at_once;
		n = &r->nodes.node[node]; /* there may be more of them now, elsewhere */
		if (n->not_before < *resume)
			*resume = n->not_before;
	}
	return at_once;
}

static bool has_pending(const struct mw_redis *r)
{
	for (size_t i = 0; i < mw_redis_count(r); i++)
		if (commands(r)[i].state == PENDING)
			return true;
	return false;
}

enum mw_err mw_redis_run(struct mw_redis *r, bool may_run_twice)
{
	if (r->pid != getpid())
		return MW_FORKED;
	if (r->err != MW_OK)
		return r->err;
	r->stats.commands += mw_redis_count(r);
	int64_t until = now_ms() + r->patience_ms, resume;
	uint32_t pause = REFUSED_FIRST_MS;
	for (;;) {
		bool at_once = round_trip(r, may_run_twice, &resume);
		if (!has_pending(r))
			break;
		int64_t now = now_ms();
		if (!at_once && now >= until)
			break;
		if (at_once)
			continue;
		int64_t wait = pause / 2 + randombytes_uniform(pause / 2 + 1);
		if (resume != INT64_MAX && resume - now > wait)
			wait = resume - now;
		if (wait > until - now)
			wait = until - now;
		poll(NULL, 0, (int)wait);
		pause = pause * 2 < REFUSED_MAX_MS ? pause * 2 : REFUSED_MAX_MS;
	}
	for (size_t i = 0; i < mw_redis_count(r); i++)
		if (!commands(r)[i].reply)
			commands(r)[i].reply = mw_redis_reply_error(
			    r->arena, "io", "Redis at %s: not reached; trying again shortly", r->address);
	return MW_OK;
}
