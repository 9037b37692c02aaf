#include "endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char batch_path[] = "/v1/batch";

/* host[:port] and path of a URL, borrowed from it. */
struct parts {
	bool secure;
	struct mw_span host; /* with brackets if it is an IPv6 address */
	struct mw_span authority;
	struct mw_span path;
};

static bool starts_with(struct mw_span s, const char *prefix)
{
	size_t len = strlen(prefix);
	return s.len >= len && strncasecmp((const char *)s.at, prefix, len) == 0;
}

static bool ends_with(struct mw_span s, const char *suffix)
{
	size_t len = strlen(suffix);
	return s.len >= len && memcmp(s.at + s.len - len, suffix, len) == 0;
}

static struct mw_span skip(struct mw_span s, size_t n)
{
	return (struct mw_span){s.at + n, s.len - n};
}

static bool is_host_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-';
}

/* What a path may hold unescaped (RFC 3986), so that nothing here reaches a request line by surprise. */
static bool is_path_char(uint8_t c)
{
	return is_host_char(c) || (c != 0 && strchr("/_~%!$&'()*+,;=:@", c));
}

/* Only spellings that cannot mean another machine: "127.1" or "127.0.0.1.example.com" are none. */
static bool is_loopback(struct mw_span host)
{
	char text[INET6_ADDRSTRLEN + 2];
	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.at, host.len);
	text[host.len] = '\0';
	if (strcasecmp(text, "localhost") == 0)
		return true;
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(text, "[::1]") == 0;
}

static bool is_ipv6(struct mw_span bracketed)
{
	char text[INET6_ADDRSTRLEN];
	if (bracketed.len < 4 || bracketed.len - 2 >= sizeof text)
		return false;
	memcpy(text, bracketed.at + 1, bracketed.len - 2);
	text[bracketed.len - 2] = '\0';
	struct in6_addr v6;
	return inet_pton(AF_INET6, text, &v6) == 1;
}

static bool is_name_or_ipv4(struct mw_span host)
{
	if (host.len == 0 || host.len > 253 || host.at[0] == '.' || host.at[0] == '-')
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (!is_host_char(host.at[i]) || (host.at[i] == '.' && i > 0 && host.at[i - 1] == '.'))
			return false;
	return true;
}

static bool is_port(struct mw_span text)
{
	unsigned port = 0;
	if (text.len == 0 || text.len > 5)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text.at[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

/* Cuts the authority into host and port; false if either is not one. */
static bool parse_authority(struct parts *p)
{
	const uint8_t *at = p->authority.at;
	size_t len = p->authority.len, host_len = 0;
	bool bracketed = len > 0 && at[0] == '[';
	if (bracketed) {
		const uint8_t *end = memchr(at, ']', len);
		if (!end)
			return false;
		host_len = (size_t)(end - at) + 1;
	} else {
		while (host_len < len && at[host_len] != ':')
			host_len++;
	}
	p->host = (struct mw_span){at, host_len};
	if (!(bracketed ? is_ipv6(p->host) : is_name_or_ipv4(p->host)))
		return false;
	if (host_len == len)
		return true;
	return at[host_len] == ':' && is_port(skip(p->authority, host_len + 1));
}

static enum mw_err parse_url(struct mw_span text, struct parts *p, struct mw_error *e)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] >= 0x7f)
			return mw_error_set(
			    e, MW_BAD_ENDPOINT, i,
			    "the endpoint holds a blank, a control or a non-ASCII character at byte %zu", i);
	if (starts_with(text, "https://")) {
		p->secure = true;
		text = skip(text, strlen("https://"));
	} else if (starts_with(text, "http://")) {
		text = skip(text, strlen("http://"));
	} else {
		return mw_error_set(
		    e, MW_BAD_ENDPOINT, 0,
		    "an endpoint is \"us\", \"eu\" or starts with https:// (http:// on this machine)");
	}
	size_t authority_len = 0;
	while (authority_len < text.len && !strchr("/?#", text.at[authority_len]))
		authority_len++;
	p->authority = (struct mw_span){text.at, authority_len};
	p->path = skip(text, authority_len);
	/* Said without quoting: what stands before the '@' may be a password. */
	if (memchr(p->authority.at, '@', authority_len))
		return mw_error_set(
		    e, MW_BAD_ENDPOINT, 0,
		    "leave user and password out of the endpoint; the write key is set by account");
	if (!parse_authority(p))
		return mw_error_set(e, MW_BAD_ENDPOINT, 0, "\"%.*s\" is no host, or its port is none",
				    authority_len > 80 ? 80 : (int)authority_len,
				    (const char *)p->authority.at);
	for (size_t i = 0; i < p->path.len; i++)
		if (!is_path_char(p->path.at[i]))
			return mw_error_set(e, MW_BAD_ENDPOINT, 0,
					    "an endpoint has no query, no fragment and no '%c' in its path",
					    p->path.at[i]);
	if (!p->secure && !is_loopback(p->host))
		return mw_error_set(
		    e, MW_BAD_ENDPOINT, 0, "http:// would show secrets to the network; write https://%.*s",
		    p->authority.len > 80 ? 80 : (int)p->authority.len, (const char *)p->authority.at);
	return MW_OK;
}

/* scheme://authority, the path without slashes at its end, and `rest`. */
static enum mw_err write_url(const struct parts *p, const char *rest, char url[MW_ENDPOINT_URL_MAX],
			     struct mw_error *e)
{
	const char *scheme = p->secure ? "https" : "http";
	/* Checked by hand: %.*s takes an int. */
	if (strlen(scheme) + 3 + p->authority.len + p->path.len + strlen(rest) >= MW_ENDPOINT_URL_MAX)
		return mw_error_set(e, MW_BAD_ENDPOINT, 0, "an endpoint has at most %d characters",
				    MW_ENDPOINT_URL_MAX - 1);
	snprintf(url, MW_ENDPOINT_URL_MAX, "%s://%.*s%.*s%s", scheme, (int)p->authority.len,
		 (const char *)p->authority.at, (int)p->path.len, (const char *)p->path.at, rest);
	return MW_OK;
}

static enum mw_err parse_base(struct mw_span text, struct parts *p, struct mw_error *e)
{
	enum mw_err err = parse_url(text, p, e);
	while (err == MW_OK && p->path.len > 0 && p->path.at[p->path.len - 1] == '/')
		p->path.len--;
	return err;
}

/* The regions of Segment's workspaces (regional-segment, oauth). */
static const struct {
	const char *name, *api, *token;
} regions[] = {
    {"us", "https://api.segment.io", "https://oauth2.segment.io"},
    {"eu", "https://events.eu1.segmentapis.com", "https://oauth2.eu1.segmentapis.com"},
};

enum { REGIONS = sizeof regions / sizeof *regions };

static struct mw_span span_of(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

enum mw_err mw_endpoint_parse(struct mw_span text, struct mw_endpoint *out, struct mw_error *e)
{
	for (size_t i = 0; i < REGIONS; i++)
		if (mw_span_is(text, regions[i].name))
			text = span_of(regions[i].api);
	struct parts p = {0};
	enum mw_err err = parse_base(text, &p, e);
	if (err != MW_OK)
		return err;
	const char *rest = batch_path;
	if (ends_with(p.path, batch_path))
		rest = "";
	else if (ends_with(p.path, "/v1"))
		rest = "/batch";
	return write_url(&p, rest, out->batch_url, e);
}

enum mw_err mw_token_server_parse(struct mw_span text, struct mw_token_server *out, struct mw_error *e)
{
	static const char path[] = "/token";
	for (size_t i = 0; i < REGIONS; i++)
		if (mw_span_is(text, regions[i].name))
			text = span_of(regions[i].token);
	struct parts p = {0};
	enum mw_err err = parse_base(text, &p, e);
	if (err == MW_OK && ends_with(p.path, path))
		p.path.len -= sizeof path - 1;
	if (err == MW_OK)
		err = write_url(&p, path, out->url, e);
	if (err == MW_OK)
		out->audience_len = strlen(out->url) - (sizeof path - 1);
	return err;
}

bool mw_token_server_of(const struct mw_endpoint *endpoint, struct mw_token_server *out)
{
	for (size_t i = 0; i < REGIONS; i++) {
		size_t len = strlen(regions[i].api);
		if (strncasecmp(endpoint->batch_url, regions[i].api, len) == 0 &&
		    strcmp(endpoint->batch_url + len, batch_path) == 0)
			return mw_token_server_parse(span_of(regions[i].name), out, NULL) == MW_OK;
	}
	return false;
}
