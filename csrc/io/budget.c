#include "budget.h"

#include "../core/limits.h"
#include "../core/rate.h"
#include "mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the file holds, in the byte order of the machine: it does not outlive the boot. */
struct page {
	_Atomic uint64_t mark;
	_Atomic uint64_t boot[2];
	_Atomic int64_t arrival_us;
	_Atomic int64_t gate_until; /* ms */
	_Atomic int64_t latest;     /* ms: the latest clock anybody came with */
	uint64_t unused[506];
};
_Static_assert(sizeof(struct page) == 4096, "one page");
/* Others than lock-free ones keep a lock in the process and would not be seen by the others. */
_Static_assert(ATOMIC_LONG_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "atomics that work between processes");

#define VERSION      1u
#define VERSION_MASK 0xffu
#define MAGIC        (UINT64_C(0x4d57427564676500)) /* "MWBudge", then the version */

/* Further ahead than any caller can be: the next one pulls it back to an interval from now. */
#define EMPTY INT64_MAX

struct mw_budget {
	struct page *page;
	double per_second;
};

static enum mw_err read_boot_id(uint64_t id[2], struct mw_error *e)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	int number = errno;
	if (fd >= 0)
		close(fd);
	if (len < 0)
		return mw_error_set(e, MW_IO, 0, "%s: %s; without it a budget can't tell this boot's clock",
				    path, strerror(number));
	id[0] = id[1] = 0;
	size_t digits = 0;
	for (ssize_t i = 0; i < len && digits < 32; i++) {
		char c = text[i];
		int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (value >= 0) {
			id[digits / 16] = id[digits / 16] << 4 | (uint64_t)value;
			digits++;
		}
	}
	if (digits < 32)
		return mw_error_set(e, MW_IO, 0, "%s holds no boot id", path);
	return MW_OK;
}

/* Several processes may do this at once, or be killed in the middle of it. All write the same, the mark last;
 * a late one delays the permit that is due by an interval at most, and undoes nothing that those before it
 * already noted. */
static void start_empty(struct page *p, const uint64_t boot[2])
{
	int64_t gate = atomic_load(&p->gate_until), latest = atomic_load(&p->latest);
	atomic_store(&p->arrival_us, EMPTY);
	atomic_compare_exchange_strong(&p->gate_until, &gate, 0);
	atomic_compare_exchange_strong(&p->latest, &latest, 0);
	atomic_store(&p->boot[0], boot[0]);
	atomic_store(&p->boot[1], boot[1]);
	atomic_store(&p->mark, MAGIC | VERSION);
}

static enum mw_err adopt(struct page *p, const char *path, struct mw_error *e)
{
	uint64_t boot[2];
	enum mw_err err = read_boot_id(boot, e);
	if (err)
		return err;
	uint64_t mark = atomic_load(&p->mark);
	if ((mark & ~(uint64_t)VERSION_MASK) == MAGIC && (mark & VERSION_MASK) > VERSION)
		return mw_error_set(
		    e, MW_IO, 0,
		    "the budget file %.100s is a newer Moonweir's (version %u, this one knows %u)", path,
		    (unsigned)(mark & VERSION_MASK), VERSION);
	if (mark != (MAGIC | VERSION) || atomic_load(&p->boot[0]) != boot[0] ||
	    atomic_load(&p->boot[1]) != boot[1])
		start_empty(p, boot);
	return MW_OK;
}

enum mw_err mw_budget_open(const char *path, double per_second, struct mw_budget **out, struct mw_error *e)
{
	if (!(per_second >= 0))
		return mw_error_set(e, MW_INVALID, 0, "%g is not a rate: requests a second, 0 for unlimited",
				    per_second);
	void *at;
	enum mw_err err = mw_mapfile_open(path, "budget", sizeof(struct page), &at, e);
	if (err)
		return err;
	err = adopt(at, path, e);
	struct mw_budget *b = err ? NULL : malloc(sizeof *b);
	if (!b) {
		mw_mapfile_close(at, sizeof(struct page));
		return err ? err : mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a budget");
	}
	*b = (struct mw_budget){.page = at, .per_second = per_second};
	*out = b;
	return MW_OK;
}

void mw_budget_free(struct mw_budget *b)
{
	if (!b)
		return;
	mw_mapfile_close(b->page, sizeof(struct page));
	free(b);
}

/* The later of `now` and what is noted, and note it. With a clock of its own that is out of date, a process
 * would believe the others' arrival to be too far ahead and pull it back: a permit given twice. */
static int64_t note_time(struct page *p, int64_t now)
{
	int64_t latest = atomic_load(&p->latest);
	/* Nobody can honestly be that far ahead: the number is damaged. */
	while (latest < now || latest - now > MW_RETRY_AFTER_MAX_MS)
		if (atomic_compare_exchange_weak(&p->latest, &latest, now))
			return now;
	return latest;
}

/* The page as rate.c knows it, taken apart from damage that would overflow there. The time is noted
 * after the rest is read: an arrival that is seen here was reckoned with a time that is seen here too. */
struct reading {
	int64_t arrival_us;
	int64_t gate_until;
	int64_t now;
	struct mw_rate rate;
};

static struct reading look(const struct mw_budget *b, int64_t now)
{
	struct page *p = b->page;
	struct reading s = {.arrival_us = atomic_load(&p->arrival_us),
			    .gate_until = atomic_load(&p->gate_until)};
	s.now = note_time(p, now);
	mw_rate_init(&s.rate, b->per_second, s.now);
	if (s.rate.interval_us)
		s.rate.arrival_us = s.arrival_us < 0 ? EMPTY : s.arrival_us;
	s.rate.gate_until = s.gate_until < 0 ? 0 : s.gate_until;
	return s;
}

/* Keep what rate.c made of it. False if another process was faster: look again. */
static bool keep(const struct mw_budget *b, struct reading *s)
{
	struct page *p = b->page;
	/* Only ever pulled back here from where damage put it; who closes it anew meanwhile wins. */
	if (s->rate.gate_until != s->gate_until)
		atomic_compare_exchange_strong(&p->gate_until, &s->gate_until, s->rate.gate_until);
	if (!s->rate.interval_us || s->rate.arrival_us == s->arrival_us)
		return true;
	return atomic_compare_exchange_strong(&p->arrival_us, &s->arrival_us, s->rate.arrival_us);
}

int64_t mw_budget_take(struct mw_budget *b, int64_t now)
{
	for (;;) {
		struct reading s = look(b, now);
		int64_t wait = mw_rate_wait(&s.rate, s.now);
		if (wait == 0)
			mw_rate_take(&s.rate, s.now);
		if (keep(b, &s))
			return wait;
	}
}

int64_t mw_budget_wait(struct mw_budget *b, int64_t now)
{
	for (;;) {
		struct reading s = look(b, now);
		int64_t wait = mw_rate_wait(&s.rate, s.now);
		if (keep(b, &s))
			return wait;
	}
}

void mw_budget_close_gate(struct mw_budget *b, int64_t now, int64_t for_ms)
{
	struct page *p = b->page;
	for (;;) {
		struct reading s = look(b, now);
		/* Further ahead than it can honestly be, it is damaged, and no reason to leave it. */
		mw_rate_wait(&s.rate, s.now);
		mw_rate_close(&s.rate, s.now, for_ms);
		if (s.rate.gate_until == s.gate_until ||
		    atomic_compare_exchange_strong(&p->gate_until, &s.gate_until, s.rate.gate_until))
			return;
	}
}

int64_t mw_budget_gate_ms(struct mw_budget *b, int64_t now)
{
	struct reading s = look(b, now);
	mw_rate_wait(&s.rate, s.now);
	keep(b, &s);
	return s.rate.gate_until > s.now ? s.rate.gate_until - s.now : 0;
}
