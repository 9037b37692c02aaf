#include "redis_lease.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HEAD = 2, ARGUMENTS = 5 + MW_REDIS_LEASE_KEYS, NUMBER_LEN = 24 };

struct mw_redis_lease {
	struct mw_redis *redis;
	struct mw_lessee lessee;
	struct mw_redis_script script;
	char *text, *keys[MW_REDIS_LEASE_KEYS];
	size_t key_lens[MW_REDIS_LEASE_KEYS];
	pthread_t thread;
	pid_t pid;
	int stop_fd;
	atomic_bool stop;
};

static void add_number(struct mw_redis *r, int64_t number)
{
	char text[NUMBER_LEN];
	int len = snprintf(text, sizeof text, "%lld", (long long)number);
	mw_redis_arg(r, (struct mw_span){(const uint8_t *)text, (size_t)len});
}

static void add_account(struct mw_redis *r, const struct mw_turns_ask *ask, uint32_t i)
{
	uint8_t text[2 + MW_ACCOUNT_MAX];
	struct mw_span name = ask->accounts[i].name;
	text[0] = (uint8_t)('0' + ask->accounts[i].is_full + 2 * ask->accounts[i].is_owed);
	text[1] = ask->accounts[i].is_token ? 't' : 'a';
	if (name.len > 0)
		memcpy(text + 2, name.at, name.len);
	mw_redis_arg(r, (struct mw_span){text, 2 + name.len});
}

static bool read_answer(const struct mw_redis_reply *reply, uint32_t count, struct mw_turns_answer *out)
{
	if (reply->type != MW_REDIS_LIST || reply->count != HEAD + 2 * (size_t)count)
		return false;
	for (size_t i = 0; i < reply->count; i++)
		if (reply->items[i]->type != MW_REDIS_INTEGER)
			return false;
	out->clock_us = reply->items[0]->integer;
	out->gate_us = reply->items[1]->integer;
	out->count = count;
	for (uint32_t i = 0; i < count; i++) {
		int64_t say = reply->items[HEAD + 2 * i]->integer;
		if (say < MW_TURNS_SLOT || say > MW_TURNS_TAKEN)
			return false;
		out->accounts[i].say = (enum mw_turns_say)say;
		out->accounts[i].us = reply->items[HEAD + 2 * i + 1]->integer;
	}
	return true;
}

/* A script that runs twice wastes slots, and no more. */
static void fetch(struct mw_redis_lease *l, const struct mw_turns_ask *ask)
{
	struct mw_redis *r = l->redis;
	mw_redis_begin(r);
	mw_redis_command_script(r, &l->script, ARGUMENTS + ask->count);
	add_number(r, MW_REDIS_LEASE_KEYS);
	for (size_t i = 0; i < MW_REDIS_LEASE_KEYS; i++)
		mw_redis_arg(r, (struct mw_span){(const uint8_t *)l->keys[i], l->key_lens[i]});
	add_number(r, ask->interval_us);
	add_number(r, INT64_C(1000) * MW_TURN_AHEAD_MS);
	add_number(r, ask->gate_ms);
	add_number(r, ask->anew);
	for (uint32_t i = 0; i < ask->count; i++)
		add_account(r, ask, i);
	enum mw_err err = mw_redis_run(r, true);
	const struct mw_redis_reply *reply = err == MW_OK ? mw_redis_reply(r, 0) : NULL;
	struct mw_turns_answer answer;
	char why[256];
	if (reply && read_answer(reply, ask->count, &answer)) {
		l->lessee.grant(l->lessee.engine, &answer);
		return;
	}
	if (reply && reply->type == MW_REDIS_ERROR)
		snprintf(why, sizeof why, "%.*s", (int)(reply->text.len < 200 ? reply->text.len : 200),
			 (const char *)reply->text.at);
	else
		snprintf(why, sizeof why, "%s",
			 reply ? "the script of the budget gave no such answer" : mw_err_sentence(err));
	l->lessee.failed(l->lessee.engine, why);
}

static void wait_for(const struct mw_redis_lease *l, int64_t wait_ms)
{
	struct pollfd fds[] = {{.fd = l->lessee.fd, .events = POLLIN}, {.fd = l->stop_fd, .events = POLLIN}};
	uint64_t count;
	poll(fds, 2, wait_ms == MW_TURNS_NONE || wait_ms > INT_MAX ? -1 : (int)wait_ms);
	(void)!read(l->lessee.fd, &count, sizeof count); /* non-blocking */
}

static void *run(void *context)
{
	struct mw_redis_lease *l = context;
	while (!atomic_load(&l->stop)) {
		struct mw_turns_ask ask;
		int64_t wait_ms;
		if (l->lessee.ask(l->lessee.engine, &ask, &wait_ms))
			fetch(l, &ask);
		else
			wait_for(l, wait_ms);
	}
	return NULL;
}

static void release(struct mw_redis_lease *l)
{
	mw_redis_free(l->redis);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	free(l->text);
	for (size_t i = 0; i < MW_REDIS_LEASE_KEYS; i++)
		free(l->keys[i]);
	free(l);
}

static char *copy(struct mw_span s)
{
	char *text = malloc(s.len + 1);
	if (text)
		memcpy(text, s.at, s.len);
	return text;
}

/* Signals are the host's: 0, or why there is no thread. */
static int start_thread(struct mw_redis_lease *l)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

enum mw_err mw_redis_lease_start(struct mw_redis *r, const struct mw_lessee *lessee, struct mw_span script,
				 const struct mw_span keys[MW_REDIS_LEASE_KEYS], struct mw_redis_lease **out,
				 struct mw_error *e)
{
	struct mw_redis_lease *l = calloc(1, sizeof *l);
	if (!l) {
		mw_redis_free(r);
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the lease");
	}
	l->redis = r;
	l->lessee = *lessee;
	l->pid = getpid();
	l->text = copy(script);
	bool has_keys = true;
	for (size_t i = 0; i < MW_REDIS_LEASE_KEYS; i++) {
		l->keys[i] = copy(keys[i]);
		l->key_lens[i] = keys[i].len;
		has_keys = has_keys && l->keys[i];
	}
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int no_thread = l->stop_fd < 0 ? errno : 0;
	if (l->text && has_keys && !no_thread) {
		mw_redis_script_init(&l->script, (struct mw_span){(const uint8_t *)l->text, script.len});
		no_thread = start_thread(l);
		if (!no_thread) {
			*out = l;
			return MW_OK;
		}
	}
	release(l);
	return no_thread ? mw_error_set(e, MW_IO, 0, "no thread for the lease: %s", strerror(no_thread))
			 : mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the lease");
}

void mw_redis_lease_stop(struct mw_redis_lease *l)
{
	if (!l || l->pid != getpid())
		return;
	atomic_store(&l->stop, true);
	(void)!write(l->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
	pthread_join(l->thread, NULL);
	release(l);
}
