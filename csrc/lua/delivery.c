/* delivery.c -- what a body is mapped with: the options of m:map and client:push, in the words of core/map.h.
 *
 *     { format = "json", account = "acct-1", headers = { ["X-Topic"] = "order.paid" }, tag = 7 }
 *
 * Headers may also be a request of our server's, which are read where they lie (request_of.h).
 */
#include "../core/suggest.h"
#include "mwl.h"
#include "request_of.h"

#include <strings.h>

struct mw_span mwl_check_field(lua_State *L, const char *name, int type)
{
	if (lua_type(L, -1) != type)
		luaL_error(L, "%s must be a %s", name, lua_typename(L, type));
	return mwl_check_span(L, -1);
}

/* stack: ... name value; `value` is a string, or a list of them of which the first counts (ngx gives repeated
 * headers so) */
static struct mw_header check_header(lua_State *L)
{
	if (lua_type(L, -1) == LUA_TTABLE) {
		lua_rawgeti(L, -1, 1);
		lua_replace(L, -2);
	}
	if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "headers must be strings by name");
	return (struct mw_header){mwl_check_span(L, -2), mwl_check_span(L, -1)};
}

static bool span_is_nocase(struct mw_span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp((const char *)s.at, word, s.len) == 0;
}

/* "text/xml", "application/soap+xml" */
static bool is_xml(struct mw_span type)
{
	return span_is_nocase(type, "text/xml") || span_is_nocase(type, "application/xml") ||
	       (type.len > 4 && strncasecmp((const char *)type.at + type.len - 4, "+xml", 4) == 0);
}

/* "application/json; charset=utf-8": what stands before the semicolon. What is no form, no XML and no lines
 * is read as JSON, for tools send JSON under all sorts of names. */
static enum mw_format format_of(struct mw_span type)
{
	static const char *const lines[] = {"application/x-ndjson", "application/ndjson", "application/jsonl",
					    "application/x-jsonlines"};
	const uint8_t *end = memchr(type.at, ';', type.len);
	if (end)
		type.len = (size_t)(end - type.at);
	while (type.len > 0 && type.at[type.len - 1] == ' ')
		type.len--;
	if (span_is_nocase(type, "application/x-www-form-urlencoded"))
		return MW_FORMAT_FORM;
	if (is_xml(type))
		return MW_FORMAT_XML;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (span_is_nocase(type, lines[i]))
			return MW_FORMAT_NDJSON;
	}
	return MW_FORMAT_JSON;
}

/* Of a request of another module: as they lie there. */
static bool read_headers_of(lua_State *L, struct mw_delivery *d, struct mw_header *room)
{
	const struct mwl_request_of *of = mwl_request_of(L, -1);
	if (!of)
		return false;
	d->header_count = of->headers(L, lua_gettop(L), room, MWL_HEADERS_MAX);
	for (size_t i = 0; i < d->header_count; i++)
		if (span_is_nocase(room[i].name, "content-type"))
			d->format = format_of(room[i].value);
	return true;
}

static void read_headers(lua_State *L, struct mw_delivery *d, struct mw_header *room)
{
	d->headers = room;
	if (read_headers_of(L, d, room))
		return;
	if (!lua_istable(L, -1))
		luaL_error(L, "headers must be strings by name");
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (d->header_count == MWL_HEADERS_MAX)
			luaL_error(L, "more than %d headers", MWL_HEADERS_MAX);
		struct mw_header header = check_header(L);
		if (span_is_nocase(header.name, "content-type"))
			d->format = format_of(header.value);
		room[d->header_count++] = header;
		lua_pop(L, 1);
	}
}

static enum mw_format check_format(struct mw_span word, lua_State *L)
{
	static const char *const words[] = {"json", "ndjson", "form", "xml"};
	for (int i = 0; i < 4; i++) {
		if (mw_span_is(word, words[i]))
			return (enum mw_format)i;
	}
	luaL_error(L, "format must be \"json\", \"ndjson\", \"form\" or \"xml\"");
	return MW_FORMAT_JSON;
}

bool mwl_push_option(lua_State *L, int index, const char *name)
{
	lua_getfield(L, index, name);
	return !lua_isnil(L, -1);
}

int64_t mwl_check_integer(lua_State *L, const char *name)
{
	int64_t i = 0;
	if (lua_type(L, -1) != LUA_TNUMBER || !mwl_exact_integer(L, -1, &i))
		luaL_error(L, "%s must be an integer", name);
	return i;
}

/* Those of the last four are for whoever called. */
enum option { FORMAT, HEADERS, ACCOUNT, TAG, NOW, WAIT, SYNC, SEED, OPTIONS };

int mwl_check_option(lua_State *L, const char *const known[])
{
	size_t len;
	const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
	if (!name)
		luaL_error(L, "options are named, as in { account = \"a1\" }");
	int i = 0;
	while (known[i] && strcmp(name, known[i]) != 0)
		i++;
	if (!known[i]) {
		char hint[64];
		mw_suggest(hint, sizeof hint, name, len, known);
		luaL_error(L, "no option \"%s\"%s", name, hint);
	}
	return i;
}

void mwl_delivery_options(lua_State *L, int index, struct mw_delivery *d,
			  struct mw_header room[MWL_HEADERS_MAX])
{
	static const char *const known[] = {"format", "headers", "account", "tag", "now",
					    "wait",   "sync",    "seed",    NULL};
	if (lua_isnoneornil(L, index))
		return;
	luaL_checktype(L, index, LUA_TTABLE);
	luaL_checkstack(L, 8, NULL);
	index = lua_absindex(L, index);
	bool has_format = false;
	enum mw_format format = d->format;
	/* Once over all of them: this is done for each push. */
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		switch ((enum option)mwl_check_option(L, known)) {
		case FORMAT:
			format = check_format(mwl_check_field(L, "format", LUA_TSTRING), L);
			has_format = true;
			break;
		case HEADERS:
			read_headers(L, d, room);
			break;
		case ACCOUNT:
			d->account = mwl_check_field(L, "account", LUA_TSTRING);
			if (d->account.len == 0 || d->account.len > MW_ACCOUNT_MAX)
				luaL_error(L, "an account is named by 1 to %d bytes", MW_ACCOUNT_MAX);
			break;
		case TAG:
			d->tag = mwl_check_integer(L, "tag");
			break;
		default:
			break;
		}
	}
	if (has_format) /* says more than a header does */
		d->format = format;
}
