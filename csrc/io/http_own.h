/* http_own.h -- what http.c (the requests under way), http_transfer.c (one of them: its body on the way out,
 * its answer on the way in) and http_answer.c (what came of it) share. */
#ifndef MW_HTTP_OWN_H
#define MW_HTTP_OWN_H

#include "http.h"

#include <curl/curl.h>

/* Before anything else of libcurl is used, each time: it is done once. MW_IO: it can't be used here. */
enum mw_err mw_http_prepare(struct mw_error *e);

/* What holds for every request, a batch, one for a token or an errand: TLS 1.2 or newer and verified, no
 * redirect, no netrc, no proxy but this one ("": none) whatever the environment says. Texts are copied;
 * `ca_file` NULL: the system's authorities. */
CURLcode mw_http_configure(CURL *c, const char *proxy, const char *ca_file);

/* A full batch whose last message is as long as a message gets. */
enum { MW_TRANSFER_MESSAGES_MAX = MW_BATCH_TARGET + MW_MESSAGE_MAX };

/* An easy handle with its buffers, used again and again. */
struct mw_transfer {
	CURL *easy;
	struct mw_http *http;
	struct mw_request request; /* of a batch */
	uint32_t ticket;           /* of a request for a token; 0: it is a batch */
	struct {
		size_t len;
		char text[MW_WRITE_KEY_MAX + 1];
	} key; /* to blot it out of the answer */
	/* The body: head, messages, tail. All that is secret in it stands in the head: in the secret heap, so
	 * nothing but mw_transfer_head may make it grow. */
	struct mw_buf head;
	struct mw_buf messages;
	size_t uploaded; /* of the body */
	char *token;     /* as the key, for the same reason; in the secret heap. NULL: Basic authentication */
	struct mw_buf response;
	struct mw_buf
	    secret;        /* the response, if it may hold a token; in the secret heap, and does not grow */
	size_t head_bytes; /* of the answer's header lines */
	bool head_complete;
	bool sent;                      /* a permit was given: bytes may have left */
	bool refused;                   /* the last permit asked for was not given */
	bool capped;                    /* the answer was longer than we read */
	struct curl_slist retry_header; /* in front of the shared ones */
	char retry_text[32];
	char curl_error[CURL_ERROR_SIZE];
	struct mw_transfer *next; /* in the idle or the active list */
	struct mw_transfer **link;
};

struct mw_http {
	CURLM *multi;
	struct mw_http_config config;
	char *proxy, *ca_file, *user_agent;
	struct curl_slist *headers;      /* of batches */
	struct curl_slist *form_headers; /* of requests for tokens */
	struct mw_transfer *idle;
	struct mw_transfer *active;
	bool has_read; /* some of a body, since this was last set to false */
};

struct mw_transfer *mw_transfer_new(struct mw_http *h); /* NULL: memory is short */
void mw_transfer_free(struct mw_transfer *t);

/* Ready for another request. */
void mw_transfer_reset(struct mw_transfer *t);

/* An empty head with room for so much: what is secret in a body stands in it. */
enum mw_err mw_transfer_head(struct mw_transfer *t, size_t room);

/* Bytes of the body of its request. */
size_t mw_transfer_body_len(const struct mw_transfer *t);

/* Forget the secrets of a finished request, in our memory and in curl's options. */
void mw_transfer_wipe(struct mw_transfer *t);

/* Tell what came of a transfer that has ended. Spans are good until it is used again. */
void mw_http_tell(struct mw_http *h, struct mw_transfer *t, CURLcode result);

#endif
