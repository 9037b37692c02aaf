#include "dead.h"

#include "env_files.h"
#include "spool_own.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	SLICE_LETTERS = 256, /* one transaction gives so many, ... */
	SLICE_BYTES = 1024 * 1024,
	SLICE_LOOKS = 4096,                  /* ... or looks at so many that don't match, ... */
	SLICE_LOOK_BYTES = 16 * 1024 * 1024, /* ... and so much of them */
};

size_t mw_dead_id_write(struct mw_dead_id id, char out[MW_DEAD_ID_MAX])
{
	return (size_t)snprintf(out, MW_DEAD_ID_MAX, "%u-%llu", id.partition, (unsigned long long)id.number);
}

/* Digits, without a zero in front: a letter has one name. */
static bool take_number(struct mw_span *text, uint64_t max, uint64_t *out)
{
	size_t i = 0;
	*out = 0;
	for (; i < text->len && text->at[i] >= '0' && text->at[i] <= '9'; i++) {
		unsigned digit = text->at[i] - '0';
		if ((i > 0 && text->at[0] == '0') || *out > (max - digit) / 10)
			return false;
		*out = *out * 10 + digit;
	}
	text->at += i;
	text->len -= i;
	return i > 0;
}

bool mw_dead_id_parse(struct mw_span text, struct mw_dead_id *out)
{
	uint64_t partition;
	if (!take_number(&text, MW_PARTITIONS_MAX - 1, &partition) || text.len == 0 || text.at[0] != '-')
		return false;
	text.at++;
	text.len--;
	out->partition = (unsigned)partition;
	return take_number(&text, UINT64_MAX, &out->number) && text.len == 0;
}

/* ---- one transaction in one partition */

struct visit {
	MDB_env *env;
	MDB_dbi dead;
	MDB_txn *txn; /* NULL: there is nothing to see */
	bool is_own;
};

/* From here to leave no environment of this process is opened or closed elsewhere. */
static void leave(struct visit *v)
{
	if (v->txn)
		mdb_txn_abort(v->txn);
	if (v->env && !v->is_own)
		mdb_env_close(v->env);
	mw_partition_leave();
	*v = (struct visit){0};
}

static int open_other(struct visit *v, const char *path)
{
	int stale;
	int rc = mdb_env_create(&v->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(v->env, MW_SPOOL_DATABASES);
	if (rc == 0)
		rc = mdb_env_open(v->env, path, MW_SPOOL_ENV_FLAGS, 0600);
	if (rc == 0)
		mw_env_files_lengthen(v->env);
	if (rc == 0)
		rc = mdb_reader_check(v->env, &stale);
	return rc;
}

/* A newer Moonweir's letters may look otherwise. */
static enum mw_err check_format(MDB_txn *txn, MDB_dbi meta, struct mw_error *e)
{
	MDB_val key = {6, (void *)(uintptr_t) "format"}, value;
	uint32_t format = 0;
	int rc = mdb_get(txn, meta, &key, &value);
	if (rc != 0)
		return mw_spool_fail(e, rc, "meta");
	if (value.mv_size == sizeof format)
		memcpy(&format, value.mv_data, sizeof format);
	if (format > MW_SPOOL_FORMAT)
		return mw_error_set(e, MW_VERSION, 0, MW_SPOOL_NEWER, format, MW_SPOOL_FORMAT);
	return MW_OK;
}

/* The databases of a partition that is not this process's. Its owner may be about to make them, or may have
 * died before it could: then there is nothing to see. */
static enum mw_err open_databases(struct visit *v, const char *path, struct mw_error *e)
{
	MDB_dbi meta;
	int rc = mdb_dbi_open(v->txn, "meta", 0, &meta);
	if (rc == 0)
		rc = mdb_dbi_open(v->txn, "dead", 0, &v->dead);
	if (rc == MDB_NOTFOUND) {
		mdb_txn_abort(v->txn);
		v->txn = NULL;
		return MW_OK;
	}
	return rc == 0 ? check_format(v->txn, meta, e) : mw_spool_fail(e, rc, path);
}

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_size > 0;
}

/* After MW_OK and after an error, leave. */
static enum mw_err enter(struct visit *v, const char *dir, unsigned partition, unsigned flags,
			 struct mw_error *e)
{
	char path[MW_PARTITION_PATH_ROOM], file[MW_PARTITION_PATH_ROOM + 16];
	*v = (struct visit){0};
	mw_partition_enter();
	if (snprintf(path, sizeof path, "%s/p%u", dir, partition) >= (int)sizeof path)
		return mw_error_set(e, MW_IO, 0, "the spool's path is too long");
	snprintf(file, sizeof file, "%s/data.mdb", path);
	if (!is_there(file))
		return MW_OK;
	const struct mw_spool *own = mw_partition_shared(path);
	v->is_own = own != NULL;
	if (own) {
		v->env = own->env;
		v->dead = own->dead;
	}
	int rc = own ? 0 : open_other(v, path);
	if (rc == 0)
		rc = mdb_txn_begin(v->env, NULL, flags, &v->txn);
	if (rc != 0)
		return mw_spool_fail(e, rc, path);
	return own ? MW_OK : open_databases(v, path, e);
}

static enum mw_err commit(struct visit *v, struct mw_error *e)
{
	int rc = mdb_txn_commit(v->txn);
	v->txn = NULL;
	return rc == 0 ? MW_OK : mw_spool_fail(e, rc, "not dropped");
}

static bool holds(const char *dir, const char *name)
{
	char path[MW_PARTITION_PATH_ROOM];
	return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && is_there(path);
}

static enum mw_err check_dir(const char *dir, struct mw_error *e)
{
	struct stat st;
	if (stat(dir, &st) != 0)
		return mw_error_set(e, MW_IO, 0, "%.150s: %s; is that the spool's directory?", dir,
				    strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return mw_error_set(e, MW_IO, 0, "%.150s: not a directory; a spool is one", dir);
	/* Before anything was sent there are accounts, if anything. */
	if (!holds(dir, "p0") && !holds(dir, "state"))
		return mw_error_set(e, MW_IO, 0, "%.150s: holds no spool; is that the spool's directory?",
				    dir);
	return MW_OK;
}

/* ---- which letters */

static bool is_of_source(struct mw_span source, struct mw_span wanted)
{
	const uint8_t *space = memchr(source.at, ' ', source.len);
	return mw_span_equal(source, wanted) ||
	       (space && mw_span_equal((struct mw_span){source.at, (size_t)(space - source.at)}, wanted));
}

static bool matches(const struct mw_dead_filter *f, const struct mw_dead_letter *l)
{
	return (!f->account.at || mw_span_equal(f->account, l->account)) &&
	       (!f->code.at || mw_span_equal(f->code, l->code)) &&
	       (!f->source.at || (l->source.len > 0 && is_of_source(l->source, f->source))) &&
	       (f->since == 0 || l->at >= f->since) && (f->until == 0 || l->at < f->until);
}

static void read_letter(struct mw_span bytes, struct mw_dead_letter *out)
{
	if (!mw_dead_letter_read(bytes, out))
		*out = (struct mw_dead_letter){
		    .at = mw_dead_letter_at(bytes),
		    .code = MW_SPAN("corrupt"),
		    .reason = MW_SPAN("the disk has changed this letter since it was written"),
		    .event = bytes};
}

/* ---- a walk in slices */

/* What one slice did, and where the next begins. */
struct walk {
	const struct mw_dead_filter *filter;
	uint64_t next;
	bool is_done;
	size_t looks;
	size_t look_bytes;
};

static MDB_val key_of(uint64_t number, struct mw_spool_key *room)
{
	*room = mw_spool_key(0, number);
	return (MDB_val){8, room->bytes + 4};
}

/* The next letter that matches. False: the slice is over, or there is no more (is_done). */
static bool walk_next(struct walk *k, MDB_cursor *cursor, MDB_val *value, uint64_t *number, int *rc)
{
	struct mw_spool_key room;
	struct mw_dead_letter letter;
	MDB_val key = key_of(k->next, &room);
	while (k->looks < SLICE_LOOKS && k->look_bytes < SLICE_LOOK_BYTES) {
		*rc = mdb_cursor_get(cursor, &key, value, k->looks == 0 ? MDB_SET_RANGE : MDB_NEXT);
		if (*rc != 0) {
			k->is_done = true;
			*rc = *rc == MDB_NOTFOUND ? 0 : *rc;
			return false;
		}
		k->looks++;
		k->look_bytes += value->mv_size;
		*number = mw_spool_letter_number(&key);
		k->next = *number + 1;
		read_letter(mw_spool_span(value), &letter);
		if (matches(k->filter, &letter))
			return true;
	}
	return false;
}

struct slice {
	struct mw_buf bytes;
	size_t count;
	struct {
		uint64_t number;
		size_t start, len;
	} letters[SLICE_LETTERS];
};

static enum mw_err read_slice(const char *dir, unsigned partition, struct walk *k, struct slice *s,
			      struct mw_error *e)
{
	struct visit v;
	MDB_cursor *cursor = NULL;
	MDB_val value;
	uint64_t number;
	s->count = 0;
	mw_buf_clear(&s->bytes);
	k->looks = k->look_bytes = 0;
	enum mw_err err = enter(&v, dir, partition, MDB_RDONLY, e);
	k->is_done = !v.txn;
	if (err == MW_OK && v.txn) {
		int rc = mdb_cursor_open(v.txn, v.dead, &cursor);
		while (rc == 0 && err == MW_OK && s->count < SLICE_LETTERS && s->bytes.len < SLICE_BYTES &&
		       walk_next(k, cursor, &value, &number, &rc)) {
			s->letters[s->count].number = number;
			s->letters[s->count].start = s->bytes.len;
			s->letters[s->count++].len = value.mv_size;
			err = mw_buf_append(&s->bytes, value.mv_data, value.mv_size);
		}
		if (rc != 0)
			err = mw_spool_fail(e, rc, "dead letters not read");
		else if (err != MW_OK)
			mw_error_set(e, err, 0, "no memory for the dead letters");
		if (cursor)
			mdb_cursor_close(cursor);
	}
	leave(&v);
	return err;
}

static bool give_slice(unsigned partition, const struct slice *s, mw_dead_call *each, void *context)
{
	struct mw_dead_letter letter;
	bool more = true;
	for (size_t i = 0; more && i < s->count; i++) {
		read_letter((struct mw_span){s->bytes.data + s->letters[i].start, s->letters[i].len},
			    &letter);
		more = each(context, (struct mw_dead_id){partition, s->letters[i].number}, &letter);
	}
	return more;
}

/* Where the walk through a partition begins. False: it has nothing that is wanted. */
static bool begin(struct walk *k, const struct mw_dead_filter *filter, unsigned partition)
{
	*k = (struct walk){.filter = filter};
	if (!filter->is_behind || partition > filter->behind.partition)
		return true;
	k->next = filter->behind.number + 1;
	return partition == filter->behind.partition && k->next != 0;
}

enum mw_err mw_dead_ends(const char *dir, uint64_t ends[MW_PARTITIONS_MAX], struct mw_error *e)
{
	enum mw_err err = check_dir(dir, e);
	for (unsigned i = 0; err == MW_OK && i < MW_PARTITIONS_MAX; i++) {
		struct visit v;
		MDB_cursor *cursor;
		MDB_val key, value;
		ends[i] = 0;
		err = enter(&v, dir, i, MDB_RDONLY, e);
		if (err == MW_OK && v.txn) {
			int rc = mdb_cursor_open(v.txn, v.dead, &cursor);
			if (rc == 0) {
				rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
				ends[i] = rc == 0 ? mw_spool_letter_number(&key) + 1 : 0;
				mdb_cursor_close(cursor);
			}
			if (rc != 0 && rc != MDB_NOTFOUND)
				err = mw_spool_fail(e, rc, "dead letters not read");
		}
		leave(&v);
	}
	return err;
}

enum mw_err mw_dead_each(const char *dir, const struct mw_dead_filter *filter, mw_dead_call *each,
			 void *context, struct mw_error *e)
{
	struct slice slice;
	mw_buf_init(&slice.bytes, SIZE_MAX);
	bool more = true;
	enum mw_err err = check_dir(dir, e);
	for (unsigned i = 0; more && err == MW_OK && i < MW_PARTITIONS_MAX; i++) {
		struct walk k;
		if (!begin(&k, filter, i))
			continue;
		while (more && err == MW_OK && !k.is_done) {
			err = read_slice(dir, i, &k, &slice, e);
			more = err == MW_OK && give_slice(i, &slice, each, context);
		}
	}
	mw_buf_deinit(&slice.bytes);
	return err;
}

enum mw_err mw_dead_get(const char *dir, struct mw_dead_id id, struct mw_buf *room,
			struct mw_dead_letter *out, bool *found, struct mw_error *e)
{
	struct visit v;
	struct mw_spool_key at;
	MDB_val key = key_of(id.number, &at), value;
	*found = false;
	enum mw_err err = check_dir(dir, e);
	if (err != MW_OK)
		return err;
	err = enter(&v, dir, id.partition, MDB_RDONLY, e);
	int rc = err == MW_OK && v.txn ? mdb_get(v.txn, v.dead, &key, &value) : MDB_NOTFOUND;
	if (rc == 0) {
		mw_buf_clear(room);
		err = mw_buf_append(room, value.mv_data, value.mv_size);
		*found = err == MW_OK;
		if (err != MW_OK)
			mw_error_set(e, err, 0, "no memory for the dead letter");
	} else if (rc != MDB_NOTFOUND) {
		err = mw_spool_fail(e, rc, "dead letter not read");
	}
	leave(&v);
	if (*found)
		read_letter(mw_buf_span(room), out);
	return err;
}

/* ---- drop */

/* Those of ids[from .. to) that are there, all of one partition. */
static enum mw_err drop_some(const char *dir, const struct mw_dead_id *ids, size_t count, uint64_t *dropped,
			     struct mw_error *e)
{
	struct visit v;
	struct mw_spool_key at;
	uint64_t gone = 0;
	enum mw_err err = enter(&v, dir, ids->partition, 0, e);
	for (size_t i = 0; err == MW_OK && v.txn && i < count; i++) {
		MDB_val key = key_of(ids[i].number, &at);
		int rc = mdb_del(v.txn, v.dead, &key, NULL);
		gone += rc == 0;
		if (rc != 0 && rc != MDB_NOTFOUND)
			err = mw_spool_fail(e, rc, "not dropped");
	}
	if (err == MW_OK && gone > 0)
		err = commit(&v, e);
	leave(&v);
	*dropped += err == MW_OK ? gone : 0;
	return err;
}

enum mw_err mw_dead_drop(const char *dir, const struct mw_dead_id *ids, size_t count, uint64_t *dropped,
			 struct mw_error *e)
{
	*dropped = 0;
	enum mw_err err = check_dir(dir, e);
	for (size_t from = 0, to; err == MW_OK && from < count; from = to) {
		for (to = from + 1;
		     to < count && to - from < SLICE_LETTERS && ids[to].partition == ids[from].partition;)
			to++;
		err = drop_some(dir, ids + from, to - from, dropped, e);
	}
	return err;
}

static enum mw_err drop_slice(const char *dir, unsigned partition, struct walk *k, uint64_t *dropped,
			      struct mw_error *e)
{
	struct visit v;
	MDB_cursor *cursor;
	MDB_val value;
	uint64_t number, gone = 0;
	k->looks = k->look_bytes = 0;
	enum mw_err err = enter(&v, dir, partition, 0, e);
	k->is_done = !v.txn;
	if (err == MW_OK && v.txn) {
		int rc = mdb_cursor_open(v.txn, v.dead, &cursor);
		while (rc == 0 && gone < SLICE_LETTERS && walk_next(k, cursor, &value, &number, &rc)) {
			rc = mdb_cursor_del(cursor, 0);
			gone += rc == 0;
		}
		err = rc == 0 ? MW_OK : mw_spool_fail(e, rc, "not dropped");
	}
	if (err == MW_OK && gone > 0)
		err = commit(&v, e);
	leave(&v);
	*dropped += err == MW_OK ? gone : 0;
	return err;
}

enum mw_err mw_dead_drop_all(const char *dir, const struct mw_dead_filter *filter, uint64_t *dropped,
			     struct mw_error *e)
{
	*dropped = 0;
	enum mw_err err = check_dir(dir, e);
	for (unsigned i = 0; err == MW_OK && i < MW_PARTITIONS_MAX; i++) {
		struct walk k;
		bool wanted = begin(&k, filter, i);
		while (wanted && err == MW_OK && !k.is_done)
			err = drop_slice(dir, i, &k, dropped, e);
	}
	return err;
}
