#include "board.h"

#include "mapfile.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MARK    (UINT64_C(0x4d57426f61726400) | VERSION) /* "MWBoard", then the version */
#define VERSION 2u

enum { WORDS = sizeof(struct mw_board_copy) / sizeof(uint64_t) };
_Static_assert(sizeof(struct mw_board_head) % 8 == 0 && sizeof(struct mw_board_totals) % 8 == 0 &&
		   sizeof(struct mw_board_lane) % 8 == 0,
	       "snapshots are copied by words");
_Static_assert(ATOMIC_LONG_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "atomics that work between processes");

/* Snapshot n is in places[n % 2], and stays whole until n + 1 is published and n + 2 begun. */
struct file {
	_Atomic uint64_t mark;
	_Atomic uint64_t published; /* 0: none yet */
	_Atomic uint64_t places[2][WORDS];
};

struct mw_board {
	struct file *file;
	uint64_t number;
	int64_t pid;
	int64_t started_wall_ms;
};

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum mw_err mw_board_open(const char *path, struct mw_board **out, struct mw_error *e)
{
	void *at;
	enum mw_err err = mw_mapfile_renew(path, "board", sizeof(struct file), &at, e);
	if (err)
		return err;
	struct mw_board *b = malloc(sizeof *b);
	if (!b) {
		mw_mapfile_close(at, sizeof(struct file));
		return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for a board");
	}
	*b = (struct mw_board){
	    .file = at, .pid = (int64_t)getpid(), .started_wall_ms = clock_ms(CLOCK_REALTIME)};
	atomic_store(&b->file->mark, MARK);
	*out = b;
	return MW_OK;
}

void mw_board_free(struct mw_board *b)
{
	if (!b)
		return;
	mw_mapfile_close(b->file, sizeof(struct file));
	free(b);
}

/* Each word is released, so that who sees one of them also sees what was published before it was written. */
static _Atomic uint64_t *put(_Atomic uint64_t *to, const void *from, size_t size)
{
	const char *bytes = from;
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, bytes + i, sizeof word);
		atomic_store_explicit(to++, word, memory_order_release);
	}
	return to;
}

static const _Atomic uint64_t *get(void *to, const _Atomic uint64_t *from, size_t size)
{
	char *bytes = to;
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t word = atomic_load_explicit(from++, memory_order_acquire);
		memcpy(bytes + i, &word, sizeof word);
	}
	return from;
}

void mw_board_write(struct mw_board *b, const struct mw_board_totals *totals,
		    const struct mw_board_lane *lanes, size_t n)
{
	if (n > MW_BOARD_LANES)
		n = MW_BOARD_LANES;
	struct mw_board_head head = {
	    .number = ++b->number,
	    .pid = b->pid,
	    .started_wall_ms = b->started_wall_ms,
	    .written_wall_ms = clock_ms(CLOCK_REALTIME),
	    .written_ms = clock_ms(CLOCK_MONOTONIC),
	    .lane_count = n,
	};
	_Atomic uint64_t *to = b->file->places[b->number % 2];
	to = put(to, &head, sizeof head);
	to = put(to, totals, sizeof *totals);
	put(to, lanes, n * sizeof *lanes);
	atomic_store_explicit(&b->file->published, b->number, memory_order_release);
}

static void read_place(const struct file *f, uint64_t number, struct mw_board_copy *out)
{
	const _Atomic uint64_t *from = f->places[number % 2];
	from = get(&out->head, from, sizeof out->head);
	from = get(&out->totals, from, sizeof out->totals);
	if (out->head.lane_count <= MW_BOARD_LANES)
		get(out->lanes, from, (size_t)out->head.lane_count * sizeof *out->lanes);
}

static bool is_sound(uint64_t number, struct mw_board_copy *copy)
{
	if (copy->head.number != number || copy->head.lane_count > MW_BOARD_LANES)
		return false;
	for (size_t i = 0; i < copy->head.lane_count; i++) {
		struct mw_board_lane *lane = &copy->lanes[i];
		if (lane->account_len > MW_ACCOUNT_MAX)
			return false;
		lane->account[lane->account_len] = '\0';
		lane->last_error[MW_BOARD_ERROR_MAX - 1] = '\0';
	}
	return true;
}

static enum mw_err read_last(const char *path, const struct file *f, struct mw_board_copy *out,
			     struct mw_error *e)
{
	/* An engine writes a few times a second, and a copy takes some microseconds. */
	enum { TRIES = 1000 };
	uint64_t mark = atomic_load(&f->mark);
	if (mark != MARK && mark != 0)
		return mw_error_set(e, MW_IO, 0, "the board file %.100s is not this version's, or damaged",
				    path);
	for (int i = 0; i < TRIES; i++) {
		uint64_t number = atomic_load_explicit(&f->published, memory_order_acquire);
		if (number == 0)
			return mw_error_set(
			    e, MW_IO, 0, "the board file %.100s: its engine has written nothing yet", path);
		read_place(f, number, out);
		if (atomic_load_explicit(&f->published, memory_order_relaxed) != number)
			continue;
		if (!is_sound(number, out))
			return mw_error_set(e, MW_IO, 0, "the board file %.100s is damaged", path);
		return MW_OK;
	}
	return mw_error_set(e, MW_IO, 0, "the board file %.100s changes too fast to be read; try again",
			    path);
}

enum mw_err mw_board_read(const char *path, struct mw_board_copy *out, struct mw_error *e)
{
	const void *at;
	enum mw_err err = mw_mapfile_view(path, "board", sizeof(struct file), &at, e);
	if (err)
		return err;
	err = read_last(path, at, out, e);
	mw_mapfile_close(at, sizeof(struct file));
	return err;
}
