/* Every allocation of reading XML, but expat's own, made to fail, one after the other. */
#include "../../csrc/io/xml.h"
#include "check.h"
#include "short_memory.h"

/* Not negative: the allocation after so many fails, and with `goes_on` all behind it. */
static int64_t until_failure = -1;
static bool goes_on, has_failed;

static bool fails(void)
{
	bool is_it = until_failure == 0 && (goes_on || !has_failed);
	until_failure -= until_failure > 0;
	has_failed = has_failed || is_it;
	return is_it;
}

/* Elements enough for the tree to grow a few times, and texts long enough for the buffers to. */
static size_t write_body(char *to)
{
	size_t len = (size_t)sprintf(to, "<a xmlns:p='u' x='1'>");
	for (int i = 0; i < 300; i++)
		len +=
		    (size_t)sprintf(to + len, "<p:b n='%d'><c%d>some text &amp; more</c%d></p:b>", i, i, i);
	return len + (size_t)sprintf(to + len, "</a>");
}

TEST(without_memory_nothing_is_written_and_nothing_leaks)
{
	static char body[40000];
	struct mw_span span = {(const uint8_t *)body, write_body(body)};
	struct mw_buf whole, out;
	mw_buf_init(&whole, 1 << 20);
	CHECK(mw_xml_to_json(span, &whole, NULL) == MW_OK);
	for (int all = 0; all < 2; all++) {
		int64_t k = 0;
		for (bool is_done = false; !is_done; k++) {
			struct mw_error e = {0};
			mw_buf_init(&out, 1 << 20);
			until_failure = k;
			goes_on = all;
			has_failed = false;
			enum mw_err err = mw_xml_to_json(span, &out, &e);
			is_done = !has_failed;
			until_failure = -1;
			/* Strings ask for room ahead and then once more, so one failure alone may do no harm.
			 */
			bool ok = err == MW_OK && (is_done || !all);
			CHECK(ok || (err == MW_NO_MEMORY && !is_done && e.detail[0]));
			CHECK(out.len == (ok ? whole.len : 0));
			mw_buf_deinit(&out);
		}
		CHECK(k > 15);
	}
	mw_buf_deinit(&whole);
}

int main(void)
{
	if (!memory_is_ours())
		return CHECK_END();
	RUN(without_memory_nothing_is_written_and_nothing_leaks);
	return CHECK_END();
}
