#include "redis_nodes.h"

#include "redis_advice.h"
#include "redis_slot.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAUSE_FIRST_MS = 50, PAUSE_MAX_MS = 5000, GREETING_MAX = 4 };

void mw_redis_nodes_deinit(struct mw_redis_nodes *n)
{
	for (size_t i = 0; i < n->count; i++)
		mw_redis_link_close(n->node[i].link);
	free(n->node);
	free(n->slots);
	mw_redis_tls_free(n->tls);
	sodium_free(n->url);
}

size_t mw_redis_nodes_of(const struct mw_redis_nodes *n, int slot)
{
	return n->slots && slot >= 0 ? n->slots[slot] : n->home;
}

static enum mw_err find_or_add(struct mw_redis_nodes *n, const char *host, int port, size_t *out)
{
	for (*out = 0; *out < n->count; ++*out)
		if (n->node[*out].port == port && strcmp(n->node[*out].host, host) == 0)
			return MW_OK;
	if (n->count == MW_REDIS_NODES_MAX)
		return MW_INVALID;
	struct mw_redis_node *more = realloc(n->node, (n->count + 1) * sizeof *more);
	if (!more)
		return MW_NO_MEMORY;
	n->node = more;
	memset(&more[n->count], 0, sizeof *more);
	snprintf(more[n->count].host, sizeof more->host, "%s", host);
	more[n->count++].port = port;
	return MW_OK;
}

static enum mw_err remember_slot(struct mw_redis_nodes *n, long slot, size_t node)
{
	if (!n->slots) {
		n->slots = malloc(MW_REDIS_SLOTS);
		if (!n->slots)
			return MW_NO_MEMORY;
		memset(n->slots, (int)n->home, MW_REDIS_SLOTS);
	}
	n->slots[slot] = (uint8_t)node;
	return MW_OK;
}

enum mw_err mw_redis_nodes_moved(struct mw_redis_nodes *n, size_t from, const char *text, bool remember,
				 size_t *out)
{
	char *end, host[MW_REDIS_HOST_MAX + 1];
	long slot = strtol(text, &end, 10);
	const char *colon = strrchr(text, ':'); /* the last: IPv6 has others */
	if (end == text || *end != ' ' || slot < 0 || slot >= MW_REDIS_SLOTS || !colon || colon < end)
		return MW_INVALID;
	int port = atoi(colon + 1);
	size_t len = (size_t)(colon - end) - 1;
	if (port <= 0 || port > 65535 || len > MW_REDIS_HOST_MAX)
		return MW_INVALID;
	memcpy(host, end + 1, len);
	host[len] = '\0';
	enum mw_err err = find_or_add(n, len > 0 ? host : n->node[from].host, port, out);
	return err == MW_OK && remember ? remember_slot(n, slot, *out) : err;
}

static void add_greeting(struct mw_buf *b, size_t *count, int args, const char *const *arg)
{
	char head[32];
	mw_buf_append(b, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", args));
	for (int i = 0; i < args; i++) {
		mw_buf_append(b, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", strlen(arg[i])));
		mw_buf_append(b, arg[i], strlen(arg[i]));
		mw_buf_append_literal(b, "\r\n");
	}
	++*count;
}

/* AUTH, SELECT, CLIENT SETNAME: their replies in that order. The server's own words are not repeated: those
 * about a command it does not know would hold the password. */
static enum mw_err judge_greeting(const struct mw_redis_nodes *n, struct mw_redis_reply *const *replies,
				  char code[24], struct mw_error *e)
{
	const struct mw_redis_reply *auth = n->url->password[0] ? *replies++ : NULL;
	const struct mw_redis_reply *select = n->url->db != 0 ? *replies : NULL;
	if (auth && auth->type == MW_REDIS_ERROR) {
		bool wrong = strcmp(auth->code, "wrongpass") == 0;
		snprintf(code, 24, "%s", auth->code);
		return mw_error_set(e, MW_BAD_KEY, 0, "%s",
				    wrong ? "user or password is wrong, or the user is disabled (WRONGPASS)"
				    : strcmp(code, "loading") == 0
					? "it is still loading its data (LOADING)"
					: "it did not take user and password; has it a password, and knows "
					  "users (Redis 6 on)?");
	}
	if (select && select->type == MW_REDIS_ERROR) {
		snprintf(code, 24, "%s", select->code);
		if (strcmp(code, "noauth") == 0)
			return mw_error_set(e, MW_BAD_KEY, 0, "%s", mw_redis_advice(code));
		return mw_error_set(e, MW_BAD_KEY, 0, "no database %d there: %.100s", n->url->db,
				    (const char *)select->text.at);
	}
	return MW_OK;
}

static enum mw_err greet(struct mw_redis_nodes *n, struct mw_redis_link *link, char code[24],
			 struct mw_error *e)
{
	char room[2048], db[16];
	struct mw_buf b = {.data = (uint8_t *)room, .cap = sizeof room, .max = sizeof room};
	size_t count = 0, sent, got;
	const struct mw_redis_url *url = n->url;
	if (url->password[0] && url->user[0])
		add_greeting(&b, &count, 3, (const char *const[]){"AUTH", url->user, url->password});
	else if (url->password[0])
		add_greeting(&b, &count, 2, (const char *const[]){"AUTH", url->password});
	snprintf(db, sizeof db, "%d", url->db);
	if (url->db != 0)
		add_greeting(&b, &count, 2, (const char *const[]){"SELECT", db});
	if (n->name[0])
		add_greeting(&b, &count, 3, (const char *const[]){"CLIENT", "SETNAME", n->name});
	if (count == 0)
		return MW_OK;
	struct mw_redis_arena *arena = mw_redis_arena_new();
	struct mw_redis_reply *replies[GREETING_MAX] = {0};
	enum mw_err err = arena ? MW_OK : mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a connection");
	if (err == MW_OK)
		err = mw_redis_link_exchange(link, mw_buf_span(&b), arena, replies, count, n->timeout_ms,
					     &sent, &got, e);
	sodium_memzero(room, sizeof room);
	if (err == MW_OK)
		err = judge_greeting(n, replies, code, e);
	mw_redis_arena_free(arena);
	return err;
}

/* Half of the pause is chance, so that many workers do not come back at once. */
static int64_t pause_ms(unsigned failures)
{
	unsigned doublings = failures > 7 ? 7 : failures - 1;
	uint32_t most = (uint32_t)PAUSE_FIRST_MS << doublings;
	if (most > PAUSE_MAX_MS)
		most = PAUSE_MAX_MS;
	return most / 2 + randombytes_uniform(most / 2 + 1);
}

enum mw_err mw_redis_nodes_connect(struct mw_redis_nodes *n, size_t i, int64_t now)
{
	struct mw_redis_node *node = &n->node[i];
	const struct mw_redis_place place = {
	    .host = node->host, .port = node->port, .path = n->url->path, .tls = n->tls};
	n->connects++;
	enum mw_err err = mw_redis_link_open(&place, n->timeout_ms, &node->link, &node->why);
	if (err == MW_OK)
		err = greet(n, node->link, node->code, &node->why);
	if (err != MW_BAD_KEY) /* whose code is the server's */
		snprintf(node->code, sizeof node->code, "%s", mw_err_word(err));
	if (err == MW_OK) {
		node->failures = 0;
		node->not_before = 0;
		return MW_OK;
	}
	mw_redis_link_close(node->link);
	node->link = NULL;
	node->failures++;
	node->not_before = now + pause_ms(node->failures);
	return err;
}

void mw_redis_nodes_drop(struct mw_redis_nodes *n, size_t i, bool away)
{
	mw_redis_link_close(n->node[i].link);
	n->node[i].link = NULL;
	if (!away || n->count < 2)
		return;
	size_t next = (i + 1) % n->count;
	for (size_t slot = 0; n->slots && slot < MW_REDIS_SLOTS; slot++)
		if (n->slots[slot] == i)
			n->slots[slot] = (uint8_t)next;
	if (n->home == i)
		n->home = next;
}
