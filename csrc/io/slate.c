#include "slate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A write takes microseconds; who looks so often in vain looks at a page that a dead process left half done.
 */
enum { LOOKS_MAX = 10000 };

enum { WORDS = MW_SLATE_PAGE_MAX / sizeof(uint64_t) };

/* A sequence lock: the version is odd while the page is written. Words are atomic, for they are read at the
 * same time, and what is torn is thrown away. */
struct page {
	_Atomic uint64_t version;
	_Atomic uint64_t len;
	_Atomic uint64_t words[WORDS];
};

struct mw_slate {
	unsigned pages;
	struct page *page;
};

struct mw_slate *mw_slate_new(unsigned pages)
{
	struct mw_slate *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	void *at = mmap(NULL, pages * sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (at == MAP_FAILED) {
		free(s);
		return NULL;
	}
	*s = (struct mw_slate){pages, at};
	return s;
}

void mw_slate_free(struct mw_slate *s)
{
	if (!s)
		return;
	munmap(s->page, s->pages * sizeof(struct page));
	free(s);
}

unsigned mw_slate_pages(const struct mw_slate *s)
{
	return s->pages;
}

bool mw_slate_write(struct mw_slate *s, unsigned page, struct mw_span text)
{
	struct page *p = &s->page[page];
	if (text.len > MW_SLATE_PAGE_MAX)
		return false;
	/* Odd already, if its process died while it wrote. */
	uint64_t version = atomic_load_explicit(&p->version, memory_order_relaxed) | 1;
	atomic_store_explicit(&p->version, version, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < text.len; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		size_t left = text.len - i;
		memcpy(&word, text.at + i, left < sizeof word ? left : sizeof word);
		atomic_store_explicit(&p->words[i / sizeof word], word, memory_order_relaxed);
	}
	atomic_store_explicit(&p->len, text.len, memory_order_relaxed);
	atomic_store_explicit(&p->version, version + 1, memory_order_release);
	return true;
}

/* False: it was written meanwhile. */
static bool read_once(struct page *p, struct mw_buf *out, enum mw_err *err)
{
	uint64_t version = atomic_load_explicit(&p->version, memory_order_acquire);
	size_t len = (size_t)atomic_load_explicit(&p->len, memory_order_relaxed);
	if (version & 1 || len > MW_SLATE_PAGE_MAX)
		return false;
	*err = MW_OK;
	for (size_t i = 0; i < len && *err == MW_OK; i += sizeof(uint64_t)) {
		uint64_t word = atomic_load_explicit(&p->words[i / sizeof word], memory_order_relaxed);
		*err = mw_buf_append(out, &word, len - i < sizeof word ? len - i : sizeof word);
	}
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&p->version, memory_order_relaxed) == version;
}

enum mw_err mw_slate_read(struct mw_slate *s, unsigned page, struct mw_buf *out)
{
	size_t mark = out->len;
	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		enum mw_err err;
		if (read_once(&s->page[page], out, &err))
			return err;
		out->len = mark;
	}
	return MW_TIMEOUT;
}
