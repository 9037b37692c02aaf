#include "redis.h"

#include "redis_advice.h"
#include "redis_pipeline.h"

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

struct mw_redis {
	struct mw_redis_nodes nodes;
	char address[MW_REDIS_SHOWN_MAX];
	int64_t patience_ms;
	pid_t pid;
	struct mw_redis_pipeline pipeline;
	struct mw_redis_arena *arena;
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
	mw_redis_pipeline_init(&r->pipeline, MW_REDIS_PIPELINE_MAX);
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
	mw_redis_pipeline_deinit(&r->pipeline);
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

/* ---- the commands */

static struct mw_redis_command *command(const struct mw_redis *r, size_t i)
{
	return mw_redis_pipeline_at(&r->pipeline, i);
}

size_t mw_redis_count(const struct mw_redis *r)
{
	return mw_redis_pipeline_count(&r->pipeline);
}

const struct mw_redis_reply *mw_redis_reply(const struct mw_redis *r, size_t i)
{
	return command(r, i)->reply;
}

void mw_redis_begin(struct mw_redis *r)
{
	mw_redis_pipeline_clear(&r->pipeline);
	mw_redis_arena_clear(r->arena);
}

void mw_redis_command(struct mw_redis *r, size_t args)
{
	mw_redis_pipeline_begin(&r->pipeline, NULL, args);
}

void mw_redis_command_script(struct mw_redis *r, const struct mw_redis_script *script, size_t args)
{
	mw_redis_pipeline_begin(&r->pipeline, script, args);
}

void mw_redis_arg(struct mw_redis *r, struct mw_span arg)
{
	mw_redis_pipeline_arg(&r->pipeline, arg);
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
static bool judge_error(struct mw_redis *r, size_t node, struct mw_redis_command *c,
			struct mw_redis_reply *reply)
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
	c->is_done = true;
	return false;
}

/* ---- a round: every pending command goes to its node once */

static bool is_for(const struct mw_redis *r, const struct mw_redis_command *c, size_t node)
{
	return !c->is_done && mw_redis_command_node(c, &r->nodes) == node;
}

/* All pending commands of a node: `reply` is why they can't go, and pending they stay unless that is final.
 */
static void hold(struct mw_redis *r, size_t node, struct mw_redis_reply *reply, bool is_final)
{
	for (size_t i = 0; i < mw_redis_count(r); i++) {
		struct mw_redis_command *c = command(r, i);
		if (is_for(r, c, node)) {
			c->reply = reply;
			c->is_done = is_final;
		}
	}
	/* Its slots, and what ASK said, may be elsewhere by now. */
	if (!is_final)
		for (size_t i = 0; i < mw_redis_count(r); i++)
			if (command(r, i)->asked == (int)node)
				command(r, i)->asked = -1;
}

/* Why there is no link to it. */
static struct mw_redis_reply *why_not(struct mw_redis *r, size_t node)
{
	char room[MW_REDIS_SHOWN_MAX];
	const struct mw_redis_node *n = &r->nodes.node[node];
	return mw_redis_reply_error(r->arena, n->code, "Redis at %s: %s", where_is(r, node, room),
				    n->why.detail);
}

static bool connect_node(struct mw_redis *r, size_t node)
{
	struct mw_redis_node *n = &r->nodes.node[node];
	if (n->link && mw_redis_link_is_stale(n->link))
		mw_redis_nodes_drop(&r->nodes, node, false);
	if (n->link)
		return true;
	enum mw_err err = mw_redis_nodes_connect(&r->nodes, node, now_ms());
	if (err == MW_OK)
		return true;
	bool is_final = err == MW_BAD_KEY && strcmp(n->code, "loading") != 0;
	hold(r, node, why_not(r, node), is_final);
	if (!is_final)
		mw_redis_nodes_drop(&r->nodes, node, true);
	return false;
}

/* The link failed behind `sent` bytes. */
static void sort_out(struct mw_redis *r, size_t node, struct mw_redis_command *c, size_t sent,
		     bool may_run_twice, const struct mw_error *e)
{
	char room[MW_REDIS_SHOWN_MAX];
	bool unsent = c->sent_end > sent, again = unsent || may_run_twice;
	c->reply =
	    mw_redis_reply_error(r->arena, mw_err_word(e->code), "Redis at %s: %s%s", where_is(r, node, room),
				 e->detail, again ? "" : "; whether the command ran is not known");
	c->is_done = !again;
	r->stats.repeats += again && !unsent;
}

/* True: something is to be done at once. */
static bool exchange(struct mw_redis *r, size_t node, bool may_run_twice)
{
	struct mw_span out;
	size_t expected, sent = 0, got = 0, next = 0;
	struct mw_error e = {.code = MW_OK};
	bool at_once = false;
	enum mw_err err = mw_redis_pipeline_gather(&r->pipeline, &r->nodes, node, &out, &expected);
	struct mw_redis_reply **replies =
	    err == MW_OK ? mw_redis_arena_take(r->arena, expected * sizeof *replies) : NULL;
	if (!replies) {
		hold(r, node, mw_redis_reply_error(r->arena, "no_memory", "out of memory"), true);
		return false;
	}
	struct mw_redis_node *n = &r->nodes.node[node];
	err = mw_redis_link_exchange(n->link, out, r->arena, replies, expected,
				     r->nodes.timeout_ms + r->pipeline.block_ms, &sent, &got, &e);
	if (err != MW_OK) {
		/* A short pause, lest a server that closes each connection is connected to in a circle. */
		n->not_before = now_ms() + REFUSED_FIRST_MS;
		mw_redis_nodes_drop(&r->nodes, node, false);
	}
	/* Who holds what may change while replies are looked at: the commands that were sent are marked. */
	for (size_t i = 0; i < mw_redis_count(r); i++) {
		struct mw_redis_command *c = command(r, i);
		if (c->is_done || c->sent_end == 0)
			continue;
		next += c->asked >= 0; /* that of ASKING says nothing */
		c->asked = -1;
		if (next >= got)
			sort_out(r, node, c, sent, may_run_twice, &e);
		else if (replies[next]->type == MW_REDIS_ERROR)
			at_once = judge_error(r, node, c, replies[next]) || at_once;
		else {
			c->reply = replies[next];
			c->is_done = true;
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
			has_work = is_for(r, command(r, i), node);
		for (size_t i = 0; i < mw_redis_count(r); i++)
			command(r, i)->sent_end = 0;
		if (!has_work)
			continue;
		struct mw_redis_node *n = &r->nodes.node[node];
		bool is_tried = n->link || now_ms() >= n->not_before || r->patience_ms == 0;
		if (!is_tried && n->failures > 0)
			hold(r, node, why_not(r, node), false);
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
		if (!command(r, i)->is_done)
			return true;
	return false;
}

enum mw_err mw_redis_run(struct mw_redis *r, bool may_run_twice)
{
	if (r->pid != getpid())
		return MW_FORKED;
	if (r->pipeline.err != MW_OK)
		return r->pipeline.err;
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
		if (!command(r, i)->reply)
			command(r, i)->reply = mw_redis_reply_error(
			    r->arena, "io", "Redis at %s: not reached; trying again shortly", r->address);
	return MW_OK;
}
