/* seen_rig.h -- known ids over an environment of their own, driven by hand: look, commit or abort, reopen. */
#ifndef MW_SEEN_RIG_H
#define MW_SEEN_RIG_H

#include "../../csrc/io/seen.h"

#include "check.h"
#include "folder.h"

#include <sys/stat.h>

struct seen_rig {
	struct mw_seen_config config;
	MDB_env *env;
	struct mw_seen *seen;
	uint32_t now_s;
};

static inline void seen_must(int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", mdb_strerror(rc));
	abort();
}

/* As after a crash: what is not committed is gone. */
static inline int seen_reopen(struct seen_rig *r)
{
	MDB_txn *txn;
	mw_seen_close(r->seen);
	r->seen = NULL;
	seen_must(mdb_txn_begin(r->env, NULL, 0, &txn));
	int rc = mw_seen_open(&r->config, txn, r->now_s, &r->seen);
	if (rc == 0)
		seen_must(mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
	return rc;
}

static inline void seen_init(struct seen_rig *r, uint32_t window_s, uint64_t max)
{
	static unsigned count;
	char name[32];
	snprintf(name, sizeof name, "seen-%u", count++);
	const char *dir = folder_path(name);
	*r = (struct seen_rig){.config = {.window_s = window_s, .max = max, .key = "0123456789abcde"},
			       .now_s = 1000000};
	seen_must(mkdir(dir, 0700));
	seen_must(mdb_env_create(&r->env));
	seen_must(mdb_env_set_maxdbs(r->env, 8));
	seen_must(mdb_env_set_mapsize(r->env, (size_t)2 << 30));
	seen_must(mdb_env_open(r->env, dir, MDB_NOSYNC, 0600));
	seen_must(seen_reopen(r));
}

static inline void seen_deinit(struct seen_rig *r)
{
	mw_seen_close(r->seen);
	mdb_env_close(r->env);
}

/* One transaction with these ids; which were known. */
static inline void seen_look(struct seen_rig *r, const struct mw_seen_id *ids, uint32_t count, bool *is_known,
			     bool commits)
{
	MDB_txn *txn;
	seen_must(mdb_txn_begin(r->env, NULL, 0, &txn));
	seen_must(mw_seen_begin(r->seen, txn, r->now_s, count));
	for (uint32_t i = 0, n; i < count; i += n) {
		n = count - i < MW_SEEN_LOOK ? count - i : MW_SEEN_LOOK;
		seen_must(mw_seen_look(r->seen, ids + i, n, is_known + i));
	}
	seen_must(mw_seen_end(r->seen));
	if (commits)
		seen_must(mdb_txn_commit(txn));
	else
		mdb_txn_abort(txn);
	mw_seen_done(r->seen, commits);
}

/* The id of a number, as evenly spread as a hash. */
static inline struct mw_seen_id seen_id_of(uint64_t number)
{
	uint64_t state = number * 0x9e3779b97f4a7c15u, high = check_random(&state),
		 low = check_random(&state);
	return (struct mw_seen_id){{(uint32_t)(high >> 32), (uint32_t)high, (uint32_t)low}};
}

/* Commits `count` ids from number `first` on, `group` at a time; how many were known. */
static inline uint64_t seen_push(struct seen_rig *r, uint64_t first, uint64_t count, uint32_t group)
{
	static struct mw_seen_id ids[4096];
	static bool is_known[4096];
	uint64_t known = 0;
	for (uint64_t done = 0; done < count;) {
		uint32_t n = 0;
		for (; n < group && done < count; n++, done++)
			ids[n] = seen_id_of(first + done);
		seen_look(r, ids, n, is_known, true);
		for (uint32_t i = 0; i < n; i++)
			known += is_known[i];
	}
	return known;
}

/* Is it known? Leaves no trace. */
static inline bool seen_knows(struct seen_rig *r, struct mw_seen_id id)
{
	bool is_known;
	seen_look(r, &id, 1, &is_known, false);
	return is_known;
}

static inline size_t seen_rows(struct seen_rig *r)
{
	static const char *const names[MW_SEEN_TABLES] = {"seen_log", "seen_words", "seen_ids"};
	MDB_txn *txn;
	MDB_stat stat;
	MDB_dbi table;
	size_t rows = 0;
	seen_must(mdb_txn_begin(r->env, NULL, MDB_RDONLY, &txn));
	for (int i = 0; i < MW_SEEN_TABLES; i++) {
		seen_must(mdb_dbi_open(txn, names[i], 0, &table));
		seen_must(mdb_stat(txn, table, &stat));
		rows += stat.ms_entries;
	}
	mdb_txn_abort(txn);
	return rows;
}

#endif
