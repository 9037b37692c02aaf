#include "../../csrc/io/endpoint.h"
#include "check.h"

static struct mw_endpoint endpoint;
static struct mw_error error;

static enum mw_err parse(const char *text)
{
	endpoint.batch_url[0] = '\0';
	error.detail[0] = '\0';
	/* On the heap and without a NUL, so that a sanitizer sees every byte read too far. */
	size_t len = strlen(text);
	uint8_t *exact = malloc(len ? len : 1);
	memcpy(exact, text, len);
	enum mw_err err = mw_endpoint_parse((struct mw_span){exact, len}, &endpoint, &error);
	free(exact);
	return err;
}

TEST(regions_and_urls_lead_to_the_batch_call)
{
	static const char *const cases[][2] = {
	    {"us", "https://api.segment.io/v1/batch"},
	    {"eu", "https://events.eu1.segmentapis.com/v1/batch"},
	    {"https://t.example.com", "https://t.example.com/v1/batch"},
	    {"https://t.example.com/", "https://t.example.com/v1/batch"},
	    {"HTTPS://t.example.com:8443", "https://t.example.com:8443/v1/batch"},
	    {"https://t.example.com/x", "https://t.example.com/x/v1/batch"},
	    {"https://t.example.com/x//", "https://t.example.com/x/v1/batch"},
	    {"https://t.example.com/v1", "https://t.example.com/v1/batch"},
	    {"https://t.example.com/v1/", "https://t.example.com/v1/batch"},
	    {"https://t.example.com/v1/batch", "https://t.example.com/v1/batch"},
	    {"https://[2001:db8::1]:9/v1", "https://[2001:db8::1]:9/v1/batch"},
	    {"http://127.0.0.1:4000", "http://127.0.0.1:4000/v1/batch"},
	    {"http://127.9.9.9", "http://127.9.9.9/v1/batch"},
	    {"http://localhost:1", "http://localhost:1/v1/batch"},
	    {"http://[::1]:65535", "http://[::1]:65535/v1/batch"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum mw_err err = parse(cases[i][0]);
		if (err != MW_OK || strcmp(endpoint.batch_url, cases[i][1]) != 0)
			fprintf(stderr, "%s gave %s %s\n", cases[i][0], endpoint.batch_url, error.detail);
		CHECK(err == MW_OK && strcmp(endpoint.batch_url, cases[i][1]) == 0);
	}
}

TEST(what_could_leak_a_key_or_mean_another_host_is_refused)
{
	static const char *const cases[] = {
	    "",
	    "US",
	    "api.segment.io",
	    "ftp://x.example",
	    "file:///etc/passwd",
	    "https://",
	    "https:///x",
	    "http://example.com",
	    "http://127.0.0.1.example.com",
	    "http://127.1",
	    "http://2130706433",
	    "http://0x7f.0.0.1",
	    "http://0.0.0.0",
	    "http://[::ffff:127.0.0.1]",
	    "http://localhost.example.com",
	    "http://[::1",
	    "http://[::1]x",
	    "http://[fe80::1%25eth0]",
	    "https://user@x.example",
	    "https://user:hunter2@x.example",
	    "http://127.0.0.1:80@evil.example",
	    "https://x.example?a=b",
	    "https://x.example/#f",
	    "https://x.example#f",
	    "https://x.example:0",
	    "https://x.example:65536",
	    "https://x.example:",
	    "https://x.example:80x",
	    "https://x.example:8 0",
	    "https://x.exa mple",
	    "https://x.example/a b",
	    "https://x.example\r\nHost: y",
	    "https://x.example/\r\nX: y",
	    "https://x\x01y",
	    "https://x.example/\"",
	    "https://x.example\\@evil",
	    "https://\xc3\xa9.example",
	    "https://.example",
	    "https://a..b",
	    "https://-x",
	    "https://[]",
	    "https://[zz::1]",
	    " https://x.example",
	    "https:x.example",
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum mw_err err = parse(cases[i]);
		if (err != MW_BAD_ENDPOINT)
			fprintf(stderr, "taken: %s\n", cases[i]);
		CHECK(err == MW_BAD_ENDPOINT);
		CHECK(error.detail[0] && !strstr(error.detail, "hunter2"));
	}
}

TEST(a_nul_byte_is_refused)
{
	CHECK(mw_endpoint_parse(MW_SPAN("https://x.example\0.evil"), &endpoint, &error) == MW_BAD_ENDPOINT);
	CHECK(mw_endpoint_parse((struct mw_span){NULL, 0}, &endpoint, &error) == MW_BAD_ENDPOINT);
}

TEST(an_endpoint_fits_or_is_refused)
{
	char text[600];
	for (size_t path = 460; path < 560; path++) {
		int n = snprintf(text, sizeof text, "https://x.example/");
		memset(text + n, 'a', path);
		text[(size_t)n + path] = '\0';
		bool fits = (size_t)n + path + strlen("/v1/batch") < MW_ENDPOINT_URL_MAX;
		CHECK(parse(text) == (fits ? MW_OK : MW_BAD_ENDPOINT));
	}
}

TEST(regions_and_urls_lead_to_token_servers)
{
	static const char *const cases[][3] = {
	    {"us", "https://oauth2.segment.io/token", "https://oauth2.segment.io"},
	    {"eu", "https://oauth2.eu1.segmentapis.com/token", "https://oauth2.eu1.segmentapis.com"},
	    {"https://a.example", "https://a.example/token", "https://a.example"},
	    {"https://a.example/x/", "https://a.example/x/token", "https://a.example/x"},
	    {"https://a.example/x/token/", "https://a.example/x/token", "https://a.example/x"},
	    {"http://127.0.0.1:4400", "http://127.0.0.1:4400/token", "http://127.0.0.1:4400"},
	};
	struct mw_token_server s;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mw_span text = {(const uint8_t *)cases[i][0], strlen(cases[i][0])};
		CHECK(mw_token_server_parse(text, &s, &error) == MW_OK && strcmp(s.url, cases[i][1]) == 0);
		CHECK(s.audience_len == strlen(cases[i][2]));
	}
	CHECK(mw_token_server_parse(MW_SPAN("http://a.example"), &s, &error) == MW_BAD_ENDPOINT);
	CHECK(mw_token_server_parse(MW_SPAN(""), &s, &error) == MW_BAD_ENDPOINT);
	CHECK(parse("us") == MW_OK && mw_token_server_of(&endpoint, &s) && strcmp(s.url, cases[0][1]) == 0);
	CHECK(parse("https://events.eu1.segmentapis.com/v1") == MW_OK && mw_token_server_of(&endpoint, &s) &&
	      strcmp(s.url, cases[1][1]) == 0);
	static const char *const custom[] = {"https://t.example.com", "https://api.segment.io.example.com",
					     "https://api.segment.io:444", "https://api.segment.io/x"};
	for (size_t i = 0; i < sizeof custom / sizeof *custom; i++)
		CHECK(parse(custom[i]) == MW_OK && !mw_token_server_of(&endpoint, &s));
}

int main(void)
{
	RUN(regions_and_urls_lead_to_token_servers);
	RUN(regions_and_urls_lead_to_the_batch_call);
	RUN(what_could_leak_a_key_or_mean_another_host_is_refused);
	RUN(a_nul_byte_is_refused);
	RUN(an_endpoint_fits_or_is_refused);
	return CHECK_END();
}
