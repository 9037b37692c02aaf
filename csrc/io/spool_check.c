#include "spool_check_own.h"

#include <fcntl.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, PROGRESS_MS = 100 };

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void mw_check_find(struct mw_check *c, enum mw_finding finding, struct mw_span account, const char *format,
		   ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (c->sums.findings++ >= MW_FINDINGS_MAX)
		return;
	const struct mw_verify_record r = {.kind = MW_VERIFY_FINDING,
					   .finding = finding,
					   .partition = c->sums.partition,
					   .account = account,
					   .text = mw_spool_text(text)};
	mw_verify_write(c->out, &r);
	fflush(c->out); /* the next page may be one that crashes */
}

void mw_check_find_messages(struct mw_check *c, enum mw_finding finding, struct mw_span account,
			    uint32_t lane, uint64_t first, uint64_t end, const char *what)
{
	mw_check_find(c, finding, account, "lane %u: messages %llu to %llu: %s", lane,
		      (unsigned long long)first, (unsigned long long)(end > first ? end - 1 : first), what);
}

void mw_check_progress(struct mw_check *c)
{
	int64_t now = now_ms();
	if (now - c->told < PROGRESS_MS)
		return;
	c->told = now;
	const struct mw_verify_record r = {.kind = MW_VERIFY_PROGRESS,
					   .partition = c->sums.partition,
					   .done = c->done < c->total ? c->done : c->total,
					   .total = c->total};
	mw_verify_write(c->out, &r);
	fflush(c->out);
}

int mw_check_meta(struct mw_check *c, const char *name, void *value, size_t len)
{
	MDB_val k = {strlen(name), (void *)(uintptr_t)name}, v;
	int rc = mdb_get(c->txn, c->meta, &k, &v);
	if (rc == 0 && v.mv_size != len)
		rc = MDB_NOTFOUND;
	if (rc == 0)
		memcpy(value, v.mv_data, len);
	return rc;
}

static int open_snapshot(struct mw_check *c, const char *path)
{
	int rc = mdb_env_create(&c->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(c->env, 8);
	if (rc == 0)
		rc = mdb_env_open(c->env, path, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc != 0)
		return rc;
	rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn);
	if (rc == MDB_MAP_RESIZED) { /* the owner, in the moment between */
		rc = mdb_env_set_mapsize(c->env, 0);
		if (rc == 0)
			rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn);
	}
	return rc;
}

/* True if all databases are there; a partition that nothing was ever written to has none and no findings. */
static bool open_databases(struct mw_check *c)
{
	const struct {
		const char *name;
		MDB_dbi *db;
	} databases[] = {
	    {"meta", &c->meta}, {"lanes", &c->lanes}, {"messages", &c->messages}, {"dead", &c->dead}};
	size_t missing = 0, count = sizeof databases / sizeof *databases;
	MDB_stat stat;
	MDB_dbi root;
	const char *name = "";
	for (size_t i = 0; i < count; i++)
		if (mdb_dbi_open(c->txn, databases[i].name, 0, databases[i].db) != 0) {
			name = databases[i].name;
			missing++;
		}
	if (missing == 0)
		return true;
	bool is_new = missing == count && mdb_dbi_open(c->txn, NULL, 0, &root) == 0 &&
		      mdb_stat(c->txn, root, &stat) == 0 && stat.ms_entries == 0;
	if (!is_new)
		mw_check_find(c, MW_FINDING_CRASH, mw_check_no_account(),
			      "its database '%s' is missing or can't be opened", name);
	return false;
}

/* False if what follows can't be understood. */
static bool check_meta(struct mw_check *c)
{
	uint32_t format;
	uint8_t seen_key[16];
	if (mw_check_meta(c, "format", &format, sizeof format) != 0) {
		mw_check_find(c, MW_FINDING_META, mw_check_no_account(), "its format is not told any more");
	} else if (format > MW_SPOOL_FORMAT) {
		mw_check_find(c, MW_FINDING_FORMAT, mw_check_no_account(),
			      "has format %u, this Moonweir knows formats up to %d", format, MW_SPOOL_FORMAT);
		return false;
	}
	if (mw_check_meta(c, "seen_key", seen_key, sizeof seen_key) != 0)
		mw_check_find(c, MW_FINDING_META, mw_check_no_account(),
			      "the key of its list of known ids is lost");
	return true;
}

static pid_t owner_of(const char *path)
{
	char file[PATH_ROOM];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	snprintf(file, sizeof file, "%.4080s/owner", path);
	int fd = open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool is_owned = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (fd >= 0)
		close(fd);
	return is_owned ? lock.l_pid : 0;
}

void mw_spool_check(const char *path, uint32_t partition, FILE *out)
{
	struct mw_check c = {.out = out, .told = now_ms()};
	c.sums = (struct mw_verify_record){
	    .kind = MW_VERIFY_PARTITION, .partition = partition, .owner = owner_of(path)};
	int rc = open_snapshot(&c, path);
	if (rc == 0 && open_databases(&c)) {
		/* Handles outlive their transaction only if it is committed. */
		rc = mdb_txn_commit(c.txn);
		c.txn = NULL;
		if (rc == 0)
			rc = mdb_txn_begin(c.env, NULL, MDB_RDONLY, &c.txn);
		if (rc == 0 && check_meta(&c)) {
			rc = mw_check_lanes(&c);
			if (rc == 0)
				rc = mw_check_bytes(&c);
		}
	}
	if (rc != 0)
		mw_check_find(&c, MW_FINDING_CRASH, mw_check_no_account(), "can't be read: %s",
			      mdb_strerror(rc));
	const struct mw_verify_counts *n = &c.sums.counts;
	c.sums.is_balanced = n->accepted == n->delivered + n->dead + n->queued;
	mw_verify_write(out, &c.sums);
	if (c.txn)
		mdb_txn_abort(c.txn);
	if (c.env)
		mdb_env_close(c.env);
}
