#include "server_framing.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TARGET_MAX = 4096, HEADERS_MAX = 100 };

struct look {
	unsigned lengths, codings, hosts, count;
	size_t bytes;
	bool is_bad;
	const char *length, *coding;
	const char *line_end; /* where the next name is to begin */
};

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !memchr("!#$%&'*+-.^_`|~", text[i], 15))
			return false;
	return len > 0;
}

/* Any byte but control characters; a tab is none of those here. */
static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < 32 && text[i] != '\t') || text[i] == 127)
			return false;
	return true;
}

static bool is_named(const char *name, size_t len, const char *known)
{
	return strlen(known) == len && strncasecmp(name, known, len) == 0;
}

/* libmicrohttpd cuts lines where they lie, each CR and LF made a 0, and takes a bare one of them for the end
 * of a line. So lines that ended in CR LF lie two bytes apart; bare ends, folded lines and a 0 in the middle
 * show as other distances. Only of the version that is known to work so. */
static bool lies_in_place(void)
{
	static int known = -1;
	if (known < 0)
		known = strcmp(MHD_get_version(), "0.9.75") == 0;
	return known == 1;
}

static enum MHD_Result look_at(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
			       const char *value, size_t value_len)
{
	(void)kind;
	struct look *l = context;
	l->count++;
	l->bytes += name_len + value_len + 4;
	if (!is_token(name, name_len) || !is_text(value ? value : "", value_len))
		l->is_bad = true;
	if (is_named(name, name_len, "content-length")) {
		l->lengths++;
		l->length = value;
	} else if (is_named(name, name_len, "transfer-encoding")) {
		l->codings++;
		l->coding = value;
	} else if (is_named(name, name_len, "host")) {
		l->hosts++;
	}
	if (lies_in_place() && value) {
		l->is_bad =
		    l->is_bad || name != l->line_end || value < name + name_len + 1 || name[name_len] != '\0';
		for (const char *gap = name + name_len + 1; !l->is_bad && gap < value; gap++)
			l->is_bad = *gap != ' ' && *gap != '\t';
		l->line_end = value + value_len + 2;
	}
	return MHD_YES;
}

/* Digits alone, and no more of them than any length has. */
static bool is_length(const char *text, uint64_t *length)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 18 || text[digits])
		return false;
	*length = strtoull(text, NULL, 10);
	return true;
}

/* So do the request line, with one space between its words, and the empty line behind the last header. */
static bool lies_whole(struct MHD_Connection *connection, const struct mw_framing *f, const struct look *l)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (!lies_in_place())
		return true;
	return info && f->method + strlen(f->method) + 1 == f->url &&
	       f->url + strlen(f->target) + 1 == f->version &&
	       f->method + info->header_size == l->line_end + 2;
}

unsigned mw_framing_check(struct MHD_Connection *connection, const struct mw_framing *f)
{
	struct look l = {.line_end = f->version + strlen(f->version) + 2};
	uint64_t length = 0;
	size_t target = strlen(f->target);
	bool is_1_1 = strcmp(f->version, "HTTP/1.1") == 0;
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at, &l);
	if (target > TARGET_MAX)
		return MHD_HTTP_URI_TOO_LONG;
	if (l.count > HEADERS_MAX || l.bytes + target > f->head_max)
		return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
	if (!lies_whole(connection, f, &l))
		return MHD_HTTP_BAD_REQUEST;
	if (l.is_bad || l.lengths + l.codings > 1 || l.hosts > 1 || (is_1_1 && l.hosts == 0) ||
	    (!is_1_1 && strcmp(f->version, "HTTP/1.0") != 0) || f->target[0] != '/' ||
	    !is_text(f->target, target) || !is_token(f->method, strlen(f->method)))
		return MHD_HTTP_BAD_REQUEST;
	if (l.coding && (!is_1_1 || strcasecmp(l.coding, "chunked") != 0))
		return MHD_HTTP_BAD_REQUEST;
	if (l.lengths > 0 && (!l.length || !is_length(l.length, &length)))
		return MHD_HTTP_BAD_REQUEST;
	return length > f->length_max ? MHD_HTTP_CONTENT_TOO_LARGE : 0;
}
