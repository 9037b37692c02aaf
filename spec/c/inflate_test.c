#include "../../csrc/io/inflate.h"

#include "../../csrc/core/limits.h"
#include "check.h"

#include <zlib.h>

static struct mw_buf out;

/* Compressed by zlib itself: window bits 31 are gzip, 15 zlib, -15 the bare stream. */
static size_t compress_as(int window, const void *text, size_t len, uint8_t *to, size_t room)
{
	z_stream z = {0};
	if (deflateInit2(&z, 6, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (Bytef *)(uintptr_t)text;
	z.avail_in = (uInt)len;
	z.next_out = to;
	z.avail_out = (uInt)room;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	deflateEnd(&z);
	return room - z.avail_out;
}

static enum mw_err run(enum mw_coding coding, const void *body, size_t len, struct mw_error *e)
{
	uint8_t *exact = malloc(len ? len : 1);
	if (!exact)
		abort();
	memcpy(exact, body, len);
	mw_buf_clear(&out);
	enum mw_err err = mw_inflate(coding, (struct mw_span){exact, len}, &out, e);
	free(exact);
	return err;
}

TEST(each_coding_is_undone)
{
	static const struct {
		int window;
		enum mw_coding coding;
	} forms[] = {{31, MW_GZIP}, {15, MW_DEFLATE}, {-15, MW_DEFLATE}};
	uint8_t body[200];
	for (int i = 0; i < 3; i++) {
		size_t len = compress_as(forms[i].window, "{\"a\":1}", 7, body, sizeof body);
		CHECK(run(forms[i].coding, body, len, NULL) == MW_OK &&
		      mw_span_is(mw_buf_span(&out), "{\"a\":1}"));
		len = compress_as(forms[i].window, "", 0, body, sizeof body);
		CHECK(run(forms[i].coding, body, len, NULL) == MW_OK && out.len == 0);
	}
}

TEST(a_gzip_body_may_have_several_members)
{
	uint8_t body[200];
	size_t len = compress_as(31, "one ", 4, body, sizeof body);
	len += compress_as(31, "two", 3, body + len, sizeof body - len);
	CHECK(run(MW_GZIP, body, len, NULL) == MW_OK && mw_span_is(mw_buf_span(&out), "one two"));
}

TEST(damaged_bodies_are_refused)
{
	uint8_t body[200];
	struct mw_error e = {0};
	size_t len = compress_as(31, "{\"a\":1}", 7, body, sizeof body);
	for (size_t cut = 0; cut < len; cut++)
		CHECK(run(MW_GZIP, body, cut, &e) == MW_INVALID && out.len == 0);
	CHECK(run(MW_GZIP, body, len - 1, &e) == MW_INVALID && strstr(e.detail, "cut short"));
	body[len - 6] ^= 1; /* the checksum */
	CHECK(run(MW_GZIP, body, len, &e) == MW_INVALID && strstr(e.detail, "damaged"));
	body[len - 6] ^= 1;
	body[len] = 'x';
	CHECK(run(MW_GZIP, body, len + 1, &e) == MW_INVALID && out.len == 0);
	CHECK(run(MW_GZIP, "{\"a\":1}", 7, &e) == MW_INVALID &&
	      run(MW_DEFLATE, "{\"a\":1}", 7, &e) == MW_INVALID);
	len = compress_as(15, "{}", 2, body, sizeof body);
	CHECK(run(MW_DEFLATE, body, len + 1, &e) == MW_INVALID && strstr(e.detail, "something behind"));
}

TEST(bombs_are_refused)
{
	const size_t most = getenv("MW_VALGRIND") ? 8 << 20 : 20 << 20;
	enum { ROOM = 1 << 20 };
	uint8_t *zeros = calloc(most, 1), *body = malloc(ROOM);
	struct mw_error e = {0};
	CHECK(zeros && body);
	size_t len = compress_as(31, zeros, most, body, ROOM);
	CHECK(run(MW_GZIP, body, len, &e) == MW_TOO_LARGE && out.len == 0);
	CHECK(out.cap <= 2 * (size_t)MW_INFLATE_RATIO * len); /* no more room than up to the bound */
	/* Small ones may shrink as much as they like; larger ones two hundred times. */
	len = compress_as(31, zeros, MW_INFLATE_FREE, body, ROOM);
	CHECK(run(MW_GZIP, body, len, &e) == MW_OK && out.len == MW_INFLATE_FREE);
	len = compress_as(31, zeros, 2 * MW_INFLATE_FREE, body, ROOM);
	CHECK(run(MW_GZIP, body, len, &e) == MW_TOO_LARGE);
	free(zeros);
	free(body);
}

TEST(a_body_is_as_large_as_can_be_and_no_byte_more)
{
	enum { ROOM = 1 << 20 };
	uint8_t *zeros = calloc(MW_EVENT_MAX + 1, 1), *body = malloc(ROOM);
	struct mw_error e = {0};
	CHECK(zeros && body);
	uint64_t random = 1;
	for (size_t i = 0; i <= MW_EVENT_MAX; i += 64) /* not to be shrunk two hundred times */
		zeros[i] = (uint8_t)check_random(&random);
	size_t len = compress_as(31, zeros, MW_EVENT_MAX, body, ROOM);
	CHECK(run(MW_GZIP, body, len, &e) == MW_OK && out.len == MW_EVENT_MAX);
	len = compress_as(31, zeros, MW_EVENT_MAX + 1, body, ROOM);
	CHECK(run(MW_GZIP, body, len, &e) == MW_TOO_LARGE && out.len == 0);
	free(zeros);
	free(body);
}

TEST(random_bodies_end_in_an_answer)
{
	uint64_t random = check_seed("compressed bodies");
	struct {
		uint8_t bytes[200];
		size_t len;
	} good[2];
	for (int i = 0; i < 2; i++)
		good[i].len = compress_as(i ? -15 : 31, "{\"a\":[1,2,3,1,2,3,1,2,3]}", 25, good[i].bytes,
					  sizeof good[i].bytes);
	for (int round = 0, rounds = check_rounds(50000); round < rounds; round++) {
		uint8_t body[200];
		size_t len = check_random(&random) % 100;
		for (size_t i = 0; i < len; i++)
			body[i] = (uint8_t)check_random(&random);
		if (round % 2) { /* a good one with something wrong in it */
			len = good[round % 4 / 2].len;
			memcpy(body, good[round % 4 / 2].bytes, len);
			body[check_random(&random) % len] ^= (uint8_t)(1 << check_random(&random) % 8);
		}
		struct mw_error e = {0};
		enum mw_err err = run(round % 4 == 1 ? MW_GZIP : MW_DEFLATE, body, len, &e);
		CHECK(err == MW_OK || (out.len == 0 && e.detail[0]));
	}
}

int main(void)
{
	mw_buf_init(&out, MW_EVENT_MAX + 65536);
	RUN(each_coding_is_undone);
	RUN(a_gzip_body_may_have_several_members);
	RUN(damaged_bodies_are_refused);
	RUN(bombs_are_refused);
	if (!getenv("MW_VALGRIND")) /* sixteen megabytes, all alike */
		RUN(a_body_is_as_large_as_can_be_and_no_byte_more);
	RUN(random_bodies_end_in_an_answer);
	mw_buf_deinit(&out);
	return CHECK_END();
}
