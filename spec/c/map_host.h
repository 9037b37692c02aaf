/* map_host.h -- a plain C host for the mapping core: what tests, the fuzzer and the benchmark share.
 *
 * Hashes are libcrypto's; random bytes count up, so that a test knows them. `apply` function 0 puts
 * its argument's characters between brackets, 1 fails, 2 answers JSON.
 */
#ifndef MAP_HOST_H
#define MAP_HOST_H

#include "../../csrc/core/map.h"
#include "../../csrc/core/outbox.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct map_host {
	uint64_t randoms;
	int problems;
	int asked;      /* for who somebody is */
	uint64_t index; /* of the last problem */
	char raw[512];
	char account[64];
	char body[1024]; /* the one that holds the event alone */
	size_t body_len;
	enum mw_format format;
	struct mw_error error;
	struct mw_review *review; /* NULL: messages are not judged */
	enum mw_err (*entry)(struct map_host *h, int function, struct mw_mapper *p, const struct mw_json *doc,
			     uint32_t event, struct mw_error *e);
};

static void host_sha256(const void *bytes, size_t len, uint8_t digest[32])
{
	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
}

static void host_random(void *context, uint8_t bytes[16])
{
	struct map_host *h = context;
	h->randoms++;
	for (size_t i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(h->randoms + i);
}

static enum mw_err host_apply(void *context, int function, const struct mw_json *doc,
			      const struct mw_value *argument, struct mw_arena *arena,
			      struct mw_value *result, struct mw_error *e)
{
	struct mw_span chars;
	(void)context;
	if (function == 1)
		return mw_error_set(e, MW_MAPPING, 0, "acme.lua:99: no luck with %s",
				    mw_value_kind_name(doc, argument));
	if (function == 2) {
		*result = (struct mw_value){.kind = MW_VALUE_JSON, .text = MW_SPAN("{\"made\":[1]}")};
		return MW_OK;
	}
	if (!mw_value_chars(argument, arena, &chars))
		return mw_error_set(e, MW_MAPPING, 0, "not text");
	struct mw_buf b = mw_arena_buf(arena, chars.len + 2);
	if (mw_buf_append_byte(&b, '<') || mw_buf_append_span(&b, chars) || mw_buf_append_byte(&b, '>'))
		return mw_error_set(e, MW_NO_MEMORY, 0, "no room");
	*result = (struct mw_value){.kind = MW_VALUE_CHARS, .text = mw_buf_span(&b)};
	return MW_OK;
}

static enum mw_err host_entry(void *context, int function, struct mw_mapper *p, const struct mw_json *doc,
			      uint32_t event, struct mw_error *e)
{
	struct map_host *h = context;
	if (!h->entry)
		return mw_error_set(e, MW_MAPPING, 0, "no function");
	return h->entry(h, function, p, doc, event, e);
}

static void host_problem(void *context, const struct mw_problem *problem)
{
	struct map_host *h = context;
	const struct mw_span raw = problem->raw, account = problem->account;
	h->problems++;
	h->index = problem->index;
	snprintf(h->raw, sizeof h->raw, "%.*s", (int)(raw.len < 500 ? raw.len : 500), (const char *)raw.at);
	snprintf(h->account, sizeof h->account, "%.*s", (int)(account.len < 60 ? account.len : 60),
		 account.at ? (const char *)account.at : "");
	h->error = *problem->error;
	h->format = problem->format;
	h->body_len = 0;
	for (int i = 0; i < 3; i++) {
		const struct mw_span piece = problem->body[i];
		size_t room = sizeof h->body - h->body_len, len = piece.len < room ? piece.len : room;
		if (len > 0)
			memcpy(h->body + h->body_len, piece.at, len);
		h->body_len += len;
	}
}

__attribute__((unused)) static struct mw_mapper_host host_of(struct map_host *h)
{
	return (struct mw_mapper_host){
	    .host = {.context = h, .sha256 = host_sha256, .random = host_random, .apply = host_apply},
	    .entry = host_entry,
	    .problem = host_problem};
}

__attribute__((unused)) static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

/* get "a.b[1].c", elements from 1 as in Lua; the paths of a mapping start from the item. */
__attribute__((unused)) static uint32_t get(struct mw_exprs *x, const char *path)
{
	uint32_t at = mw_expr_scope(x, MW_SCOPE_ITEM);
	while (*path) {
		if (*path == '[') {
			char *end;
			long i = strtol(path + 1, &end, 10);
			at = mw_expr_element(x, at, i > 0 ? i - 1 : i);
			path = end + 1;
		} else {
			size_t len = strcspn(path, ".[");
			at = mw_expr_member(x, at, (struct mw_span){(const uint8_t *)path, len});
			path += len;
		}
		path += *path == '.';
	}
	return at;
}

/* object(x, "id", get(x, "id"), "n", mw_expr_int(x, 1), NULL) */
__attribute__((unused, sentinel)) static uint32_t object(struct mw_exprs *x, ...)
{
	struct mw_span names[32];
	uint32_t values[32];
	size_t n = 0;
	va_list args;
	va_start(args, x);
	for (const char *name; n < 32 && (name = va_arg(args, const char *)) != NULL; n++) {
		names[n] = span(name);
		values[n] = va_arg(args, uint32_t);
	}
	va_end(args);
	return mw_expr_object(x, names, values, n);
}

__attribute__((unused)) static struct mw_map *new_map(const char *slug)
{
	return mw_map_new(span(slug), MW_SPAN("1.0.0"), MW_SPAN("moonweir"), MW_SPAN("0.1.0"));
}

#endif
