/* redis_url.c: what an operator may write, and that a mistake never shows the password. */
#include "../../csrc/io/redis_url.h"

#include "check.h"

static struct mw_redis_url url;
static struct mw_error e;

static bool parse(const char *text)
{
	mw_error_clear(&e);
	return mw_redis_url_parse((struct mw_span){(const uint8_t *)text, strlen(text)}, &url, &e) == MW_OK;
}

static bool shows(const char *text)
{
	char shown[MW_REDIS_SHOWN_MAX];
	mw_redis_url_show(&url, shown);
	return !strcmp(shown, text);
}

TEST(hosts_ports_and_databases)
{
	CHECK(parse("redis://localhost") && !strcmp(url.host, "localhost") && url.port == 6379 &&
	      url.db == 0);
	CHECK(!url.tls && !url.user[0] && !url.password[0] && shows("redis://localhost:6379"));
	CHECK(parse("rediss://10.0.0.7:7000/2") && url.tls && url.port == 7000 && url.db == 2);
	CHECK(shows("rediss://10.0.0.7:7000/2"));
	CHECK(parse("redis://[::1]:7000") && !strcmp(url.host, "::1") && shows("redis://[::1]:7000"));
	CHECK(parse("redis://[fe80::1]/3") && url.port == 6379 && url.db == 3);
	CHECK(parse("redis://h/?db=4") && url.db == 4);
	CHECK(parse("unix:///run/redis.sock?db=2") && !url.host[0] && !strcmp(url.path, "/run/redis.sock"));
	CHECK(url.db == 2 && shows("unix:///run/redis.sock?db=2"));
}

TEST(users_and_passwords)
{
	CHECK(parse("redis://shop:p%40ss%3aword@h:1") && !strcmp(url.user, "shop"));
	CHECK(!strcmp(url.password, "p@ss:word") && shows("redis://h:1"));
	CHECK(parse("redis://:only@h") && !url.user[0] && !strcmp(url.password, "only"));
	CHECK(parse("redis://a:b@c/d@h") && !strcmp(url.password, "b@c/d")); /* the last @ counts */
	CHECK(parse("unix://u:p@/s") && !strcmp(url.user, "u") && !strcmp(url.path, "/s"));
}

TEST(mistakes_are_told_without_the_text)
{
	static const char *const wrong[] = {"",
					    "http://u:hush@h",
					    "redis://",
					    "redis://u:hush@",
					    "redis://hush@h",
					    "redis://u:hush@h:x",
					    "redis://u:hush@h:0",
					    "redis://u:hush@h:65536",
					    "redis://u:hush@h/x",
					    "redis://u:hus%h@h",
					    "redis://u:hush%00@h",
					    "unix://u:hush@relative",
					    "redis://u:hush@[::1",
					    "redis://h?x=hush",
					    "redis://u:hush%40h", /* a host now, which would be shown */
					    "redis://hush%40h:1",
					    "redis://:p@hush%0Ah",
					    "redis://u:hush@h:1:2"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK(!parse(wrong[i]) && e.code == MW_BAD_ENDPOINT && e.detail[0]);
		CHECK(!strstr(e.detail, "hush"));
	}
}

TEST(too_long_is_too_long)
{
	char text[4096] = "redis://u:";
	memset(text + 10, 'x', 600);
	strcpy(text + 610, "@h");
	CHECK(!parse(text));
	strcpy(text, "unix:///");
	memset(text + 8, 'x', 107);
	text[115] = '\0';
	CHECK(!parse(text));
	text[114] = '\0';
	CHECK(parse(text));
}

int main(void)
{
	RUN(hosts_ports_and_databases);
	RUN(users_and_passwords);
	RUN(mistakes_are_told_without_the_text);
	RUN(too_long_is_too_long);
	return CHECK_END();
}
