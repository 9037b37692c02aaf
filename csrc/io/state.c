#include "state.h"

#include "../core/limits.h"
#include "directory.h"
#include "env_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read transactions kept for the next reader: taking one anew costs a lock that all processes share. */
enum { KEPT_READERS = 8, DATABASES_MAX = 32, READERS_MAX = 1024, OPENINGS_MAX = 5 };

struct mw_state {
	struct mw_state *next;
	dev_t device;
	ino_t inode;
	unsigned references;
	unsigned generation;
	int directory; /* held open, so that no other directory gets its inode meanwhile */
	MDB_env *env;
	/* Whoever has a transaction open holds this for reading; the map moves under it held for writing. */
	pthread_rwlock_t map_lock;
	pthread_mutex_t readers_lock;
	MDB_txn *readers[KEPT_READERS]; /* reset */
	size_t reader_count;
	char path[PATH_MAX];
};

/* Every state of this process, and of those it was forked from. */
static pthread_mutex_t states_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mw_state *states;
static unsigned generation; /* grows in each child */

static void before_fork(void)
{
	pthread_mutex_lock(&states_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&states_lock);
}

static void in_child(void)
{
	generation++;
	pthread_mutex_unlock(&states_lock);
}

static void register_fork(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}

bool mw_state_is_forked(const struct mw_state *s)
{
	return s->generation != generation;
}

static enum mw_err refuse_forked(const struct mw_state *s, struct mw_error *e)
{
	return mw_error_set(e, MW_FORKED, 0, "%.120s: opened before fork; open it in this process", s->path);
}

enum mw_err mw_state_fail(const struct mw_state *s, int answer, struct mw_error *e)
{
	switch (answer) {
	case ENOMEM:
		return mw_error_set(e, MW_NO_MEMORY, 0, "%.120s: no memory or address space", s->path);
	case MDB_MAP_FULL:
		return mw_error_set(e, MW_FULL, 0, "%.120s: has reached its largest size", s->path);
	case MDB_VERSION_MISMATCH:
		return mw_error_set(e, MW_VERSION, 0,
				    "%.120s: written by another version of LMDB than %d.%d; use that one",
				    s->path, MDB_VERSION_MAJOR, MDB_VERSION_MINOR);
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
		return mw_error_set(e, MW_CORRUPT, 0, "%.120s: damaged, or no store of Moonweir's (%s)",
				    s->path, mdb_strerror(answer));
	default:
		return mw_error_set(e, MW_IO, 0, "%.120s: %s", s->path, mdb_strerror(answer));
	}
}

/* Follow a map that another process made grow. */
static int follow_map(struct mw_state *s)
{
	pthread_rwlock_wrlock(&s->map_lock);
	int answer = mdb_env_set_mapsize(s->env, 0);
	pthread_rwlock_unlock(&s->map_lock);
	return answer;
}

/* Begins with the map's lock held for reading; on failure it is not held. */
static int begin(struct mw_state *s, unsigned flags, MDB_txn **txn)
{
	int answer;
	bool freed = false;
	for (;;) {
		pthread_rwlock_rdlock(&s->map_lock);
		answer = mdb_txn_begin(s->env, NULL, flags, txn);
		if (answer == 0)
			return 0;
		pthread_rwlock_unlock(&s->map_lock);
		int dead;
		if (answer == MDB_MAP_RESIZED)
			answer = follow_map(s);
		else if (answer == MDB_READERS_FULL && !freed) {
			freed = true;
			answer = mdb_reader_check(s->env, &dead);
		}
		if (answer != 0)
			return answer;
	}
}

static MDB_txn *take_reader(struct mw_state *s)
{
	pthread_mutex_lock(&s->readers_lock);
	MDB_txn *txn = s->reader_count > 0 ? s->readers[--s->reader_count] : NULL;
	pthread_mutex_unlock(&s->readers_lock);
	return txn;
}

enum mw_err mw_state_read(struct mw_state *s, struct MDB_txn **txn, struct mw_error *e)
{
	if (mw_state_is_forked(s))
		return refuse_forked(s, e);
	*txn = take_reader(s);
	if (*txn) {
		pthread_rwlock_rdlock(&s->map_lock);
		if (mdb_txn_renew(*txn) == 0)
			return MW_OK;
		pthread_rwlock_unlock(&s->map_lock);
		mdb_txn_abort(*txn);
	}
	int answer = begin(s, MDB_RDONLY, txn);
	return answer == 0 ? MW_OK : mw_state_fail(s, answer, e);
}

void mw_state_read_end(struct mw_state *s, struct MDB_txn *txn)
{
	mdb_txn_reset(txn);
	pthread_mutex_lock(&s->readers_lock);
	if (s->reader_count < KEPT_READERS) {
		s->readers[s->reader_count++] = txn;
		txn = NULL;
	}
	pthread_mutex_unlock(&s->readers_lock);
	if (txn)
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&s->map_lock);
}

static size_t map_len(struct mw_state *s)
{
	MDB_envinfo info;
	mdb_env_info(s->env, &info);
	return info.me_mapsize;
}

/* Doubles the map, unless another thread did so since it was `tried`. */
static enum mw_err grow_map(struct mw_state *s, size_t tried, struct mw_error *e)
{
	if (tried > MW_STATE_MAP_MAX / 2)
		return mw_state_fail(s, MDB_MAP_FULL, e);
	pthread_rwlock_wrlock(&s->map_lock);
	int answer = map_len(s) > tried ? 0 : mdb_env_set_mapsize(s->env, tried * 2);
	pthread_rwlock_unlock(&s->map_lock);
	return answer == 0 ? MW_OK : mw_state_fail(s, answer, e);
}

/* One attempt; `tried` is the size of the map that it was made in. */
static enum mw_err write_once(struct mw_state *s, mw_state_step *step, void *context, size_t *tried,
			      struct mw_error *e)
{
	MDB_txn *txn;
	*tried = 0;
	int answer = begin(s, 0, &txn);
	if (answer != 0)
		return mw_state_fail(s, answer, e);
	*tried = map_len(s);
	enum mw_err err = step(txn, context, e);
	if (err == MW_OK) {
		answer = mdb_txn_commit(txn);
		if (answer != 0)
			err = mw_state_fail(s, answer, e);
	} else {
		mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&s->map_lock);
	return err;
}

enum mw_err mw_state_write(struct mw_state *s, mw_state_step *step, void *context, struct mw_error *e)
{
	if (mw_state_is_forked(s))
		return refuse_forked(s, e);
	enum mw_err err;
	size_t tried;
	do
		err = write_once(s, step, context, &tried, e);
	while (err == MW_FULL && (err = grow_map(s, tried, e)) == MW_OK);
	return err;
}

struct opening {
	const struct mw_state *state;
	const char *name;
	MDB_dbi dbi;
};

static enum mw_err open_database(MDB_txn *txn, void *context, struct mw_error *e)
{
	struct opening *o = context;
	int answer = mdb_dbi_open(txn, o->name, MDB_CREATE, &o->dbi);
	return answer == 0 ? MW_OK : mw_state_fail(o->state, answer, e);
}

enum mw_err mw_state_database(struct mw_state *s, const char *name, unsigned *dbi, struct mw_error *e)
{
	/* The writer is alone, as mdb_dbi_open wants it, and a commit that made nothing costs nothing. */
	struct opening o = {.state = s, .name = name};
	enum mw_err err = mw_state_write(s, open_database, &o, e);
	*dbi = o.dbi;
	return err;
}

static const char meta_name[] = "meta";
static const char format_key[] = "format";

static MDB_val text_value(const char *text)
{
	return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

/* The format written in the store into `found`; 0 if it is a new, empty one. */
static enum mw_err read_format(const struct mw_state *s, MDB_txn *txn, uint32_t *found, struct mw_error *e)
{
	MDB_dbi meta;
	MDB_val key = text_value(format_key), value;
	*found = 0;
	int answer = mdb_dbi_open(txn, meta_name, 0, &meta);
	if (answer == MDB_NOTFOUND) {
		MDB_stat stat;
		MDB_dbi root;
		answer = mdb_dbi_open(txn, NULL, 0, &root);
		if (answer == 0)
			answer = mdb_stat(txn, root, &stat);
		if (answer != 0)
			return mw_state_fail(s, answer, e);
		return stat.ms_entries == 0 ? MW_OK : mw_state_fail(s, MDB_INVALID, e);
	}
	if (answer == 0)
		answer = mdb_get(txn, meta, &key, &value);
	if (answer == MDB_NOTFOUND || (answer == 0 && value.mv_size != 4))
		answer = MDB_INVALID;
	if (answer != 0)
		return mw_state_fail(s, answer, e);
	const uint8_t *at = value.mv_data;
	*found = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
	if (*found == 0)
		return mw_state_fail(s, MDB_INVALID, e);
	if (*found > MW_STATE_FORMAT)
		return mw_error_set(e, MW_VERSION, 0,
				    "%.120s: has format %u and this Moonweir knows formats up to %d; "
				    "run the newer one",
				    s->path, *found, MW_STATE_FORMAT);
	return MW_OK;
}

/* Brings the store to MW_STATE_FORMAT in one transaction, whatever it finds there by then. The change from
 * each older format to the next belongs before the new number is written. */
static enum mw_err write_format(MDB_txn *txn, void *context, struct mw_error *e)
{
	const struct mw_state *s = context;
	uint32_t found;
	enum mw_err err = read_format(s, txn, &found, e);
	if (err != MW_OK || found == MW_STATE_FORMAT)
		return err;
	uint8_t bytes[4] = {MW_STATE_FORMAT};
	MDB_dbi meta;
	MDB_val key = text_value(format_key), value = {sizeof bytes, bytes};
	int answer = mdb_dbi_open(txn, meta_name, MDB_CREATE, &meta);
	if (answer == 0)
		answer = mdb_put(txn, meta, &key, &value, 0);
	return answer == 0 ? MW_OK : mw_state_fail(s, answer, e);
}

/* Only a store that is not yet right is written to: opening waits for no writer and no disk. */
static enum mw_err check_format(struct mw_state *s, struct mw_error *e)
{
	MDB_txn *txn;
	uint32_t found;
	enum mw_err err = mw_state_read(s, &txn, e);
	if (err != MW_OK)
		return err;
	err = read_format(s, txn, &found, e);
	mw_state_read_end(s, txn);
	if (err != MW_OK || found == MW_STATE_FORMAT)
		return err;
	return mw_state_write(s, write_format, s, e);
}

/* What others may read or have put there is not opened. Absent is fine: LMDB makes it, with mode 0600. */
static enum mw_err check_file(const struct mw_state *s, const char *name, struct mw_error *e)
{
	char path[PATH_MAX];
	struct stat st;
	if (snprintf(path, sizeof path, "%s/%s", s->path, name) >= (int)sizeof path)
		return mw_error_set(e, MW_IO, 0, "%.120s: %s", s->path, strerror(ENAMETOOLONG));
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? MW_OK
				       : mw_error_set(e, MW_IO, 0, "%.120s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return mw_error_set(e, MW_IO, 0, "%.120s: is not a file; move it away", path);
	if (st.st_uid != geteuid())
		return mw_error_set(e, MW_IO, 0,
				    "%.120s: belongs to user %u, and this process runs as %u; chown it", path,
				    (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 077)
		return mw_error_set(e, MW_IO, 0, "%.120s: has mode %04o, open to others; chmod 600 it", path,
				    (unsigned)st.st_mode & 07777);
	return MW_OK;
}

static int open_files(struct mw_state *s, size_t map)
{
	int dead, answer = mdb_env_create(&s->env);
	if (answer == 0)
		answer = mdb_env_set_maxdbs(s->env, DATABASES_MAX);
	if (answer == 0)
		answer = mdb_env_set_maxreaders(s->env, READERS_MAX);
	if (answer == 0)
		answer = mdb_env_set_mapsize(s->env, map > 0 ? map : MW_STATE_MAP_LEN);
	if (answer == 0)
		answer = mdb_env_open(s->env, s->path, MDB_NOTLS, 0600);
	if (answer == 0)
		mw_env_files_lengthen(s->env);
	if (answer == 0)
		answer = mdb_reader_check(s->env, &dead);
	return answer;
}

static enum mw_err open_env(struct mw_state *s, size_t map, struct mw_error *e)
{
	enum mw_err err = check_file(s, "data.mdb", e);
	if (err == MW_OK)
		err = check_file(s, "lock.mdb", e);
	if (err != MW_OK)
		return err;
	int answer = mw_env_files_make(s->path, true);
	if (answer == 0)
		answer = open_files(s, map);
	/* Who waits for a process that is making the lock file, and is killed at it, finds one that nobody
	 * has begun; the next to ask makes it. So only a store that goes on being unreadable is. */
	for (int i = 1; i < OPENINGS_MAX && answer == MDB_INVALID && s->env; i++) {
		mdb_env_close(s->env);
		s->env = NULL;
		answer = open_files(s, map);
	}
	if (answer == 0)
		answer = mw_env_files_settle(s->env);
	return answer == 0 ? check_format(s, e) : mw_state_fail(s, answer, e);
}

static void discard(struct mw_state *s)
{
	while (s->reader_count > 0)
		mdb_txn_abort(s->readers[--s->reader_count]);
	if (s->env)
		mdb_env_close(s->env);
	close(s->directory);
	pthread_mutex_destroy(&s->readers_lock);
	pthread_rwlock_destroy(&s->map_lock);
	free(s);
}

/* Takes the open directory over, even if it fails. */
static enum mw_err new_state(const char *path, int directory, const struct stat *st, size_t map,
			     struct mw_state **out, struct mw_error *e)
{
	struct mw_state *s = calloc(1, sizeof *s);
	if (!s) {
		close(directory);
		return mw_error_set(e, MW_NO_MEMORY, 0, "%.120s: no memory to open it", path);
	}
	strcpy(s->path, path);
	s->directory = directory;
	s->device = st->st_dev;
	s->inode = st->st_ino;
	s->references = 1;
	s->generation = generation;
	pthread_rwlock_init(&s->map_lock, NULL);
	pthread_mutex_init(&s->readers_lock, NULL);
	enum mw_err err = open_env(s, map, e);
	if (err != MW_OK) {
		discard(s);
		return err;
	}
	s->next = states;
	states = s;
	*out = s;
	return MW_OK;
}

static struct mw_state *find_state(const struct stat *st)
{
	for (struct mw_state *s = states; s; s = s->next)
		if (s->device == st->st_dev && s->inode == st->st_ino && !mw_state_is_forked(s))
			return s;
	return NULL;
}

/* Under the lock of all states. */
static enum mw_err find_or_open(const char *path, size_t map, struct mw_state **out, struct mw_error *e)
{
	struct stat st;
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return mw_error_set(e, MW_IO, 0, "%.120s: %s", path, strerror(errno));
	if (fstat(directory, &st) == 0 && (*out = find_state(&st))) {
		(*out)->references++;
		close(directory);
		return MW_OK;
	}
	return new_state(path, directory, &st, map, out, e);
}

enum mw_err mw_state_open(const char *spool, size_t map, struct mw_state **out, struct mw_error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, register_fork);
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/state", spool) >= (int)sizeof path)
		return mw_error_set(e, MW_IO, 0, "%.120s: %s", spool, strerror(ENAMETOOLONG));
	enum mw_err err = mw_directory_open(spool, e);
	if (err == MW_OK)
		err = mw_directory_open(path, e);
	if (err != MW_OK)
		return err;
	pthread_mutex_lock(&states_lock);
	err = find_or_open(path, map, out, e);
	pthread_mutex_unlock(&states_lock);
	return err;
}

void mw_state_close(struct mw_state *s)
{
	/* The parent's is left as it is: all that could be undone here are the parent's own locks. */
	if (!s || mw_state_is_forked(s))
		return;
	pthread_mutex_lock(&states_lock);
	if (--s->references == 0) {
		struct mw_state **at = &states;
		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
		discard(s);
	}
	pthread_mutex_unlock(&states_lock);
}
