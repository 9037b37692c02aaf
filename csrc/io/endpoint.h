/* endpoint.h -- where batches go: the base URL of a Tracking API.
 *
 *     "us"                       https://api.segment.io/v1/batch
 *     "eu"                       https://events.eu1.segmentapis.com/v1/batch
 *     "https://t.example.com"    https://t.example.com/v1/batch       (a path is kept: /x -> /x/v1/batch)
 *     "https://t.example.com/v1" https://t.example.com/v1/batch
 *     "http://127.0.0.1:4000"    http only for loopback: a write key never crosses a wire in clear
 *
 * Refused: other schemes, user:password@, query, fragment, control characters, no host.
 */
#ifndef MW_ENDPOINT_H
#define MW_ENDPOINT_H

#include "../core/buf.h"

enum { MW_ENDPOINT_URL_MAX = 512 };

struct mw_endpoint {
	char batch_url[MW_ENDPOINT_URL_MAX];
};

/* MW_BAD_ENDPOINT with what is wrong and what to write instead. */
enum mw_err mw_endpoint_parse(struct mw_span text, struct mw_endpoint *out, struct mw_error *e);

/* Where OAuth apps get their tokens.
 *
 *     "us"    https://oauth2.segment.io/token
 *     "eu"    https://oauth2.eu1.segmentapis.com/token
 *     "https://auth.example.com/x"    https://auth.example.com/x/token
 *
 * Without "/token" it is the audience that an app addresses its assertions to. */
struct mw_token_server {
	char url[MW_ENDPOINT_URL_MAX];
	size_t audience_len;
};

/* As mw_endpoint_parse. */
enum mw_err mw_token_server_parse(struct mw_span text, struct mw_token_server *out, struct mw_error *e);

/* The one of an endpoint's region. False: it is in none of Segment's. */
bool mw_token_server_of(const struct mw_endpoint *endpoint, struct mw_token_server *out);

#endif
