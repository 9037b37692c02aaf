/* server_stream.c -- libmicrohttpd asks for more of an answer; while there is none its connection is
 * suspended. */
#include "server_stream.h"

#include "server_own.h"

#include <stdlib.h>

/* What libmicrohttpd asks for at a time. */
enum { BLOCK = 32 * 1024 };

struct mw_stream {
	struct MHD_Connection *connection; /* NULL: its answer is over */
	struct mw_buf buf;
	size_t sent; /* of buf */
	bool is_suspended;
	bool is_ending;
	bool is_cut;
	bool is_let_go; /* nobody but libmicrohttpd holds it */
};

static ssize_t on_more(void *context, uint64_t position, char *out, size_t max)
{
	(void)position;
	struct mw_stream *s = context;
	size_t left = s->buf.len - s->sent;
	if (s->is_cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (left > 0) {
		size_t n = left < max ? left : max;
		memcpy(out, s->buf.data + s->sent, n);
		s->sent += n;
		return (ssize_t)n;
	}
	if (s->is_ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	s->is_suspended = true;
	MHD_suspend_connection(s->connection);
	return 0;
}

static void stream_destroy(struct mw_stream *s)
{
	mw_buf_deinit(&s->buf);
	free(s);
}

/* The response is destroyed: the answer is complete, or its client is gone. */
static void on_over(void *context)
{
	struct mw_stream *s = context;
	s->connection = NULL;
	if (s->is_let_go)
		stream_destroy(s);
}

static void wake(struct mw_stream *s)
{
	if (!s->connection || !s->is_suspended)
		return;
	s->is_suspended = false;
	MHD_resume_connection(s->connection);
}

static void end(void *context)
{
	mw_stream_close(context, false);
}

enum mw_err mw_exchange_stream(struct mw_exchange *x, unsigned status, const char *const *names,
			       const char *const *values, size_t headers, size_t waiting_max,
			       struct mw_stream **out)
{
	*out = NULL;
	struct mw_stream *s = calloc(1, sizeof *s);
	struct MHD_Response *r =
	    s ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_more, s, on_over) : NULL;
	if (!r) {
		free(s);
		mw_exchange_respond(x, 0, NULL);
		return MW_NO_MEMORY;
	}
	s->connection = x->connection;
	mw_buf_init(&s->buf, waiting_max);
	for (size_t i = 0; i < headers; i++) {
		if (MHD_add_response_header(r, names[i], values[i]) != MHD_YES) {
			s->is_let_go = true;
			MHD_destroy_response(r); /* takes the stream with it */
			mw_exchange_respond(x, 0, NULL);
			return MW_INVALID;
		}
	}
	mw_exchange_at_close(x, end, s);
	mw_exchange_respond(x, status, r);
	*out = s;
	return MW_OK;
}

enum mw_err mw_stream_write(struct mw_stream *s, struct mw_span bytes)
{
	if (!mw_stream_is_open(s))
		return MW_CLOSED;
	size_t left = s->buf.len - s->sent;
	if (bytes.len > s->buf.max - left)
		return MW_FULL;
	/* What is sent makes room once it is half of all, so that each byte is moved once at most. */
	if (s->sent > 0 && (left == 0 || s->sent >= left || s->buf.max - s->buf.len < bytes.len)) {
		memmove(s->buf.data, s->buf.data + s->sent, left);
		s->buf.len = left;
		s->sent = 0;
	}
	enum mw_err err = mw_buf_append_span(&s->buf, bytes);
	if (err == MW_OK)
		wake(s);
	return err;
}

bool mw_stream_is_open(const struct mw_stream *s)
{
	return s->connection && !s->is_ending;
}

size_t mw_stream_waiting(const struct mw_stream *s)
{
	return s->buf.len - s->sent;
}

void mw_stream_close(struct mw_stream *s, bool cut)
{
	s->is_ending = true;
	s->is_cut = s->is_cut || cut;
	wake(s);
}

void mw_stream_free(struct mw_stream *s)
{
	if (!s)
		return;
	mw_stream_close(s, false);
	s->is_let_go = true;
	if (!s->connection)
		stream_destroy(s);
}
