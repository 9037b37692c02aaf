#include "spool_own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum {
	RESERVE_MAX = 4 * 1024 * 1024, /* space allocated ahead of the file's last page */
	SETTLING_PAGES = 64,           /* free ones that a plan leaves alone where no others can be had */
};

/* Takes the longer the more there was in the file once. */
static uint64_t pages_free(struct mw_spool *s)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t pages = 0;
	if (mdb_txn_renew(s->reader) != 0)
		return 0;
	/* LMDB's own list of free pages: database 0, each value begins with its length. */
	if (mdb_cursor_open(s->reader, 0, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			size_t count = 0;
			memcpy(&count, value.mv_data, sizeof count);
			pages += count;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_reset(s->reader);
	return pages;
}

void mw_spool_spend(struct mw_spool *s, uint64_t bytes)
{
	s->free_bytes -= bytes < s->free_bytes ? bytes : s->free_bytes;
}

uint64_t mw_spool_file_used(const struct mw_spool *s)
{
	MDB_envinfo info;
	mdb_env_info(s->env, &info);
	return ((uint64_t)info.me_last_pgno + 1) * s->page;
}

void mw_spool_reserve(struct mw_spool *s)
{
	struct stat st;
	int fd;
	uint64_t reserve = s->disk_max / 8 < RESERVE_MAX ? s->disk_max / 8 : RESERVE_MAX;
	uint64_t used = mw_spool_file_used(s);
	if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0)
		return;
	s->has_no_space = false;
	if ((uint64_t)st.st_size >= used + reserve / 2)
		return;
	int rc = fallocate(fd, 0, 0, (off_t)(used + reserve));
	/* A file system that can't do this leaves things to luck, as without it. */
	s->has_no_space = rc != 0 && (errno == ENOSPC || errno == EDQUOT);
}

bool mw_spool_has_room(struct mw_spool *s)
{
	if (s->has_no_space)
		mw_spool_reserve(s);
	/* Each lane's packs end in the middle of a page, and its path through the tree is written anew. */
	uint64_t used = mw_spool_file_used(s),
		 need = 2 * s->box->bytes.len + (8 + 3 * (uint64_t)s->touched_count) * s->page;
	if (s->seen)
		need += mw_seen_pages(s->seen, s->box->count) * s->page;
	/* A file that can't grow has what was settled in it, less what the next to settle need. */
	if (s->has_no_space)
		return need + SETTLING_PAGES * s->page <= pages_free(s) * s->page;
	/* A file that was full once is never smaller again: its free pages are counted only when those of the
	 * last count may be spent. */
	if (used + need > s->disk_max + s->free_bytes)
		s->free_bytes = pages_free(s) * s->page;
	if (used + need > s->disk_max + s->free_bytes)
		return false;
	mw_spool_spend(s, need);
	return true;
}
