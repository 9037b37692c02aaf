/* redis_url.h -- where a Redis is, and who we are there.
 *
 *     redis://shop:s3cret@redis.example.com:6379/2     user and password (ACL), database 2
 *     redis://:s3cret@10.0.0.7                          the default user's password
 *     rediss://redis.example.com                        over TLS
 *     unix:///run/redis/redis.sock?db=2                 unix://user:password@/run/… with a user
 *
 * User, password and path may hold %XX. Whoever keeps one of these keeps a password: in locked memory, wiped
 * afterwards. No error repeats any of the URL.
 */
#ifndef MW_REDIS_URL_H
#define MW_REDIS_URL_H

#include "../core/buf.h"

enum { MW_REDIS_HOST_MAX = 255, MW_REDIS_PATH_MAX = 107, MW_REDIS_PORT = 6379, MW_REDIS_URL_MAX = 2048 };

struct mw_redis_url {
	char host[MW_REDIS_HOST_MAX + 1]; /* "": a Unix socket */
	char path[MW_REDIS_PATH_MAX + 1];
	int port;
	int db;
	bool tls;
	char user[256];     /* "": the default user */
	char password[512]; /* "": none */
};

/* MW_BAD_ENDPOINT. */
enum mw_err mw_redis_url_parse(struct mw_span text, struct mw_redis_url *out, struct mw_error *e);

/* The same for people, without user and password: "redis://10.0.0.7:6379/2". */
enum { MW_REDIS_SHOWN_MAX = 300 };
void mw_redis_url_show(const struct mw_redis_url *url, char out[MW_REDIS_SHOWN_MAX]);

#endif
