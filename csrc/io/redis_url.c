#include "redis_url.h"

#include <stdio.h>

static enum mw_err refuse(struct mw_error *e, const char *why)
{
	return mw_error_set(e, MW_BAD_ENDPOINT, 0,
			    "the URL of Redis: %s. It reads redis://user:password@host:port/database, with "
			    "rediss:// for TLS, or unix:///path/to/socket",
			    why);
}

static bool take_prefix(struct mw_span *s, const char *prefix)
{
	size_t len = strlen(prefix);
	if (s->len < len || memcmp(s->at, prefix, len) != 0)
		return false;
	*s = (struct mw_span){s->at + len, s->len - len};
	return true;
}

/* What stands before `byte`, which is taken too; false: there is none. */
static bool take_until(struct mw_span *s, char byte, struct mw_span *before)
{
	const uint8_t *at = s->len > 0 ? memchr(s->at, byte, s->len) : NULL;
	if (!at)
		return false;
	*before = (struct mw_span){s->at, (size_t)(at - s->at)};
	*s = (struct mw_span){at + 1, s->len - before->len - 1};
	return true;
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* False: too long, a bad %XX, or a NUL. */
static bool unescape(struct mw_span s, char *out, size_t size)
{
	size_t len = 0;
	for (size_t i = 0; i < s.len; i++) {
		int c = s.at[i];
		if (c == '%') {
			int high = i + 2 < s.len ? hex(s.at[i + 1]) : -1,
			    low = high < 0 ? -1 : hex(s.at[i + 2]);
			if (low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c == 0 || len + 1 >= size)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

static bool number(struct mw_span s, int max, int *out)
{
	if (s.len == 0 || s.len > 5)
		return false;
	*out = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		*out = *out * 10 + s.at[i] - '0';
	}
	return *out <= max;
}

static enum mw_err parse_login(struct mw_span login, struct mw_redis_url *out, struct mw_error *e)
{
	struct mw_span user;
	if (!take_until(&login, ':', &user))
		return refuse(e, "there is a user without a password; write redis://:password@host if it is "
				 "the default user's password");
	if (!unescape(user, out->user, sizeof out->user) ||
	    !unescape(login, out->password, sizeof out->password))
		return refuse(
		    e, "user or password is too long or badly escaped; write special characters as %XX");
	return MW_OK;
}

/* The % stands before the zone of an IPv6 address. */
static bool is_host(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~' || strchr("@/?#[]", *text))
			return false;
	}
	return true;
}

static enum mw_err parse_host(struct mw_span s, struct mw_redis_url *out, struct mw_error *e)
{
	struct mw_span host, rest = s;
	if (take_prefix(&rest, "[")) {
		if (!take_until(&rest, ']', &host) || (rest.len > 0 && !take_prefix(&rest, ":")))
			return refuse(e, "the address in brackets is not closed");
	} else if (!take_until(&rest, ':', &host)) {
		host = s;
		rest.len = 0;
	}
	if (!unescape(host, out->host, sizeof out->host) || host.len == 0)
		return refuse(e, "there is no host");
	/* It is shown to people. With an @ there is more in it than a host: "redis://user:password%40host".
	 */
	if (!is_host(out->host))
		return refuse(e, "the host holds what no host does");
	if (rest.len > 0 && (!number(rest, 65535, &out->port) || out->port == 0))
		return refuse(e, "the port is none");
	return MW_OK;
}

enum mw_err mw_redis_url_parse(struct mw_span s, struct mw_redis_url *out, struct mw_error *e)
{
	memset(out, 0, sizeof *out);
	out->port = MW_REDIS_PORT;
	bool is_unix = take_prefix(&s, "unix://");
	out->tls = !is_unix && take_prefix(&s, "rediss://");
	if (!is_unix && !out->tls && !take_prefix(&s, "redis://"))
		return refuse(e, "it begins with neither redis://, rediss:// nor unix://");
	struct mw_span before, query = {NULL, 0};
	enum mw_err err = MW_OK;
	/* A password may hold whatever it likes, escaped: the last @ ends it, even if it is not. */
	size_t at = s.len;
	while (at > 0 && s.at[at - 1] != '@')
		at--;
	if (at > 0) {
		err = parse_login((struct mw_span){s.at, at - 1}, out, e);
		s = (struct mw_span){s.at + at, s.len - at};
	}
	if (err == MW_OK && take_until(&s, '?', &before)) {
		query = s;
		s = before;
		if (!take_prefix(&query, "db=") || !number(query, 99999, &out->db))
			err = refuse(e, "behind the ? only db=NUMBER is known");
	}
	if (err != MW_OK)
		return err;
	if (is_unix)
		return s.len > 0 && s.at[0] == '/' && unescape(s, out->path, sizeof out->path)
			   ? MW_OK
			   : refuse(e, "the path of the socket is not absolute, or longer than 107 bytes");
	struct mw_span host = s;
	if (take_until(&s, '/', &host) && s.len > 0 && !number(s, 99999, &out->db))
		return refuse(e, "the database is not a number");
	return parse_host(host, out, e);
}

void mw_redis_url_show(const struct mw_redis_url *url, char out[MW_REDIS_SHOWN_MAX])
{
	bool v6 = strchr(url->host, ':') != NULL;
	char db[16] = "";
	if (url->db != 0)
		snprintf(db, sizeof db, "%s%d", url->host[0] ? "/" : "?db=", url->db);
	if (!url->host[0])
		snprintf(out, MW_REDIS_SHOWN_MAX, "unix://%s%s", url->path, db);
	else
		snprintf(out, MW_REDIS_SHOWN_MAX, "redis%s://%s%s%s:%d%s", url->tls ? "s" : "", v6 ? "[" : "",
			 url->host, v6 ? "]" : "", url->port, db);
}
