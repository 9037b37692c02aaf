/* power_disk.h -- a disk that forgets: what a power cut may leave of the files below one directory.
 *
 *     cache      what programs see: every write, at once
 *     platter    what is there for good
 *     pending    written and not synced: sectors, sizes and names, oldest first
 *
 * A sync moves what is pending for its file (fsync of a directory: its names) to the platter, a write through
 * O_DSYNC goes there by itself. When the power goes, each pending change has or has not reached the platter,
 * in any combination, so also in another order than written; and of one sector only the first bytes may have:
 *
 *     platter + some of the pending = the image
 *
 * That is POSIX's worst case: names and sizes are not kept in order with the data, a file's sync does not
 * keep its name, a rename's two halves come apart. Not here: a disk that lies about syncs, or loses what was
 * synced.
 *
 * A sync that fails leaves some of the data on the platter and none pending: the kernel takes the pages for
 * clean. The cache shows them until it has to read them again. From then on no sector is torn: LMDB puts an
 * old transaction number over a newer one, and of that a part would be neither (forwards, the number comes
 * last).
 *
 * Changes come as a log (power_calls.h makes one from system calls), so that one history gives any number of
 * images. Files only grow, which is checked.
 */
#ifndef MW_POWER_DISK_H
#define MW_POWER_DISK_H

#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	POWER_SECTOR = 512,
	POWER_PAGE = 4096, /* what the cache drops and reads again */
	POWER_NODES = 40,
	POWER_NAMES = 24,
	POWER_NAME_MAX = 23,
	POWER_NOTHING = -1,
};

struct power_node {
	bool is_dir;
	size_t size; /* as told; what is behind `len` is zeros */
	size_t len;
	size_t room;
	uint8_t *bytes;
};

/* Node 0 is the directory that everything is in. */
struct power_tree {
	struct power_node nodes[POWER_NODES];
	struct power_name {
		int dir, node;
		char name[POWER_NAME_MAX + 1];
	} names[POWER_NAMES];
	int name_count;
};

enum power_kind {
	POWER_WRITE, /* `len` bytes at `at` */
	POWER_WRITE_SYNCED,
	POWER_SIZE, /* at least `at` bytes */
	POWER_NAME, /* `name` in directory `node` means node `at` from now on, or POWER_NOTHING */
	POWER_SYNC,
	POWER_SYNC_FAILED, /* `at` is the seed of what it left behind */
};

struct power_change {
	enum power_kind kind;
	int node;
	int64_t at;
	size_t len;
	bool is_dir;
	char name[POWER_NAME_MAX + 1];
	const uint8_t *bytes; /* the log's own */
};

struct power_list {
	struct power_change *changes;
	size_t count, room;
};

struct power_disk {
	struct power_tree cache, platter;
	struct power_list pending; /* writes are single sectors or parts of one */
	int node_count;            /* node numbers in use, from 0 */
	bool tears;                /* no sync has failed since the power came back */
};

static void *power_alloc(void *old, size_t size)
{
	void *p = realloc(old, size);
	if (!p)
		abort();
	return p;
}

static void power_list_add(struct power_list *l, const struct power_change *c)
{
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 256;
		l->changes = power_alloc(l->changes, l->room * sizeof *l->changes);
	}
	l->changes[l->count++] = *c;
}

/* ---- trees */

static void power_tree_free(struct power_tree *t)
{
	for (int i = 0; i < POWER_NODES; i++)
		free(t->nodes[i].bytes);
	*t = (struct power_tree){.nodes = {{.is_dir = true}}};
}

/* `to` keeps its memory, so that images can be made one after the other. */
static void power_tree_copy(struct power_tree *to, const struct power_tree *from)
{
	for (int i = 0; i < POWER_NODES; i++) {
		struct power_node *n = &to->nodes[i];
		const struct power_node *f = &from->nodes[i];
		if (n->room < f->len) {
			n->room = f->room;
			n->bytes = power_alloc(n->bytes, n->room);
		}
		n->is_dir = f->is_dir;
		n->size = f->size;
		n->len = f->len;
		if (f->len > 0)
			memcpy(n->bytes, f->bytes, f->len);
	}
	memcpy(to->names, from->names, sizeof to->names);
	to->name_count = from->name_count;
}

static void power_grow(struct power_node *n, size_t size)
{
	n->size = size > n->size ? size : n->size;
}

static void power_put(struct power_node *n, size_t at, const uint8_t *bytes, size_t len)
{
	if (at + len > n->room) {
		n->room = 2 * (at + len);
		n->bytes = power_alloc(n->bytes, n->room);
	}
	if (at + len > n->len) {
		memset(n->bytes + n->len, 0, at + len - n->len);
		n->len = at + len;
	}
	memcpy(n->bytes + at, bytes, len);
}

static struct power_name *power_find(struct power_tree *t, int dir, const char *name)
{
	for (int i = 0; i < t->name_count; i++)
		if (t->names[i].dir == dir && strcmp(t->names[i].name, name) == 0)
			return &t->names[i];
	return NULL;
}

static void power_set_name(struct power_tree *t, const struct power_change *c)
{
	struct power_name *found = power_find(t, c->node, c->name);
	if (c->at == POWER_NOTHING) {
		if (found)
			*found = t->names[--t->name_count];
		return;
	}
	if (!found) {
		if (t->name_count == POWER_NAMES)
			abort();
		found = &t->names[t->name_count++];
	}
	*found = (struct power_name){.dir = c->node, .node = (int)c->at};
	memcpy(found->name, c->name, sizeof found->name);
	t->nodes[c->at].is_dir = c->is_dir;
}

/* One change, or the first `len` bytes of a write, takes its place. Bytes do not make a file longer: sizes
 * do. */
static void power_tree_change(struct power_tree *t, const struct power_change *c, size_t len)
{
	if (c->kind == POWER_NAME)
		power_set_name(t, c);
	else if (c->kind == POWER_SIZE)
		power_grow(&t->nodes[c->node], (size_t)c->at);
	else
		power_put(&t->nodes[c->node], (size_t)c->at, c->bytes, len);
}

/* ---- the disk */

static void power_disk_free(struct power_disk *d)
{
	power_tree_free(&d->cache);
	power_tree_free(&d->platter);
	free(d->pending.changes);
	d->pending = (struct power_list){0};
	d->node_count = 1;
	d->tears = true;
}

static void power_disk_copy(struct power_disk *to, const struct power_disk *from)
{
	power_tree_copy(&to->cache, &from->cache);
	power_tree_copy(&to->platter, &from->platter);
	to->node_count = from->node_count;
	to->tears = from->tears;
	to->pending.count = 0;
	for (size_t i = 0; i < from->pending.count; i++)
		power_list_add(&to->pending, &from->pending.changes[i]);
}

/* After a power cut: `image` is all there is. */
static void power_disk_start(struct power_disk *d, const struct power_tree *image)
{
	power_tree_copy(&d->cache, image);
	power_tree_copy(&d->platter, image);
	d->pending.count = 0;
	d->tears = true;
}

/* Is pending change p among what a sync of `c` is about? */
static bool power_is_synced_by(const struct power_change *p, const struct power_change *c)
{
	if (p->node != c->node || (c->kind == POWER_SYNC_FAILED && p->kind != POWER_WRITE))
		return false;
	if (c->kind != POWER_WRITE_SYNCED)
		return true;
	/* The sectors it covers; and as much of the size as is needed to find them, which it brings itself.
	 */
	int64_t from = c->at / POWER_SECTOR * POWER_SECTOR;
	return p->kind == POWER_WRITE && p->at >= from && p->at < c->at + (int64_t)c->len;
}

static void power_settle(struct power_disk *d, const struct power_change *c)
{
	size_t kept = 0;
	uint64_t random = (uint64_t)c->at;
	for (size_t i = 0; i < d->pending.count; i++) {
		struct power_change *p = &d->pending.changes[i];
		if (!power_is_synced_by(p, c))
			d->pending.changes[kept++] = *p;
		else if (c->kind != POWER_SYNC_FAILED || check_random(&random) % 2 == 0)
			power_tree_change(&d->platter, p, p->len);
	}
	d->pending.count = kept;
}

/* A write's first `len` bytes are pending. */
static void power_disk_pend(struct power_disk *d, const struct power_change *c, size_t len)
{
	struct power_change size = {.kind = POWER_SIZE, .node = c->node, .at = c->at + (int64_t)len};
	if ((size_t)size.at > d->cache.nodes[c->node].size)
		power_list_add(&d->pending, &size);
	for (size_t done = 0, more; done < len; done += more) {
		struct power_change p = *c;
		p.kind = POWER_WRITE;
		p.at += (int64_t)done;
		p.bytes += done;
		more = (size_t)(POWER_SECTOR - p.at % POWER_SECTOR);
		p.len = more = more < len - done ? more : len - done;
		power_list_add(&d->pending, &p);
	}
}

static void power_disk_write(struct power_disk *d, const struct power_change *c, size_t len)
{
	power_disk_pend(d, c, len);
	power_grow(&d->cache.nodes[c->node], (size_t)c->at + len);
	power_tree_change(&d->cache, c, len);
}

static void power_disk_change(struct power_disk *d, const struct power_change *c)
{
	switch (c->kind) {
	case POWER_WRITE:
	case POWER_WRITE_SYNCED:
		power_disk_write(d, c, c->len);
		if (c->kind == POWER_WRITE_SYNCED) {
			power_settle(d, c);
			power_grow(&d->platter.nodes[c->node], (size_t)c->at + c->len);
		}
		break;
	case POWER_NAME:
		if (c->at >= d->node_count)
			d->node_count = (int)c->at + 1;
		/* fall through */
	case POWER_SIZE:
		power_tree_change(&d->cache, c, 0);
		power_list_add(&d->pending, c);
		break;
	case POWER_SYNC:
	case POWER_SYNC_FAILED:
		d->tears &= c->kind == POWER_SYNC;
		power_settle(d, c);
		break;
	}
}

/* Has this change arrived? Sectors of a page have gone together if `pages` says so. */
static bool power_has_arrived(const struct power_change *p, uint64_t pages, uint64_t share, uint64_t *random)
{
	uint64_t page = pages ^ (uint64_t)(p->at / POWER_PAGE * POWER_NODES + p->node);
	return check_random(pages && p->kind == POWER_WRITE ? &page : random) % 100 < share;
}

/* The power goes: an image of what is left. Drawn first is how much of the pending has arrived, from nothing
 * to all, or whether it was what came before some moment; then the sector that is torn, if any. */
static void power_cut_now(const struct power_disk *d, uint64_t *random, struct power_tree *image)
{
	size_t count = d->pending.count, torn = count, whole = 0;
	uint64_t share = (uint64_t[]){0, 2, 30, 70, 98, 100}[check_random(random) % 6];
	uint64_t pages = check_random(random) % 2 ? check_random(random) : 0;
	if (count > 0 && share == 0)
		whole = check_random(random) % count;
	if (count > 0 && d->tears && check_random(random) % 2)
		torn = whole > 0 ? whole : check_random(random) % count;
	power_tree_copy(image, &d->platter);
	for (size_t i = 0; i < count; i++) {
		const struct power_change *p = &d->pending.changes[i];
		if (i == torn && p->kind == POWER_WRITE)
			power_tree_change(image, p, check_random(random) % (p->len + 1));
		else if (i < whole || power_has_arrived(p, pages, share, random))
			power_tree_change(image, p, p->len);
	}
}

static bool power_is_write(const struct power_change *c)
{
	return c && (c->kind == POWER_WRITE || c->kind == POWER_WRITE_SYNCED);
}

/* ... while `next` is under way; NULL: nothing is. The disk is as before then: the log goes on. */
static void power_cut(struct power_disk *d, const struct power_change *next, uint64_t *random,
		      struct power_tree *image)
{
	size_t count = d->pending.count;
	if (power_is_write(next))
		power_disk_pend(d, next, next->len);
	power_cut_now(d, random, image);
	d->pending.count = count;
}

/* A process that starts now reads pages from the platter that are neither pending nor, by chance, still
 * there. */
static void power_disk_evict(struct power_disk *d, uint64_t *random)
{
	for (int n = 0; n < POWER_NODES; n++) {
		struct power_node *cache = &d->cache.nodes[n], *platter = &d->platter.nodes[n];
		for (size_t at = 0; at < cache->len && at < platter->len; at += POWER_PAGE) {
			bool is_dirty = check_random(random) % 2;
			for (size_t i = 0; i < d->pending.count; i++) {
				const struct power_change *p = &d->pending.changes[i];
				is_dirty |= p->kind == POWER_WRITE && p->node == n &&
					    p->at / POWER_PAGE == (int64_t)at / POWER_PAGE;
			}
			size_t len = platter->len - at < POWER_PAGE ? platter->len - at : POWER_PAGE;
			if (!is_dirty && at + len <= cache->len)
				memcpy(cache->bytes + at, platter->bytes + at, len);
		}
	}
}

/* The process is killed while `next` is under way, some pages of which it has written. The disk goes on. */
static void power_kill(struct power_disk *d, const struct power_change *next, uint64_t *random)
{
	if (power_is_write(next)) {
		size_t before = (size_t)next->at % POWER_PAGE;
		size_t pages = (before + next->len + POWER_PAGE - 1) / POWER_PAGE;
		size_t len = check_random(random) % (pages + 1) * POWER_PAGE;
		len = len > before ? len - before : 0;
		power_disk_write(d, next, len < next->len ? len : next->len);
	}
	power_disk_evict(d, random);
}

/* ---- real files */

static int power_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	return at->level > 0 ? remove(path) : 0;
}

static void power_write_dir(const struct power_tree *t, int dir, const char *path, uint64_t *random)
{
	for (int i = 0; i < t->name_count; i++) {
		const struct power_name *name = &t->names[i];
		const struct power_node *n = &t->nodes[name->node];
		char own[512];
		if (name->dir != dir)
			continue;
		snprintf(own, sizeof own, "%s/%s", path, name->name);
		if (n->is_dir) {
			if (mkdir(own, 0700) != 0)
				abort();
			power_write_dir(t, name->node, own, random);
			continue;
		}
		int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		size_t len = n->len < n->size ? n->len : n->size;
		uint8_t garbage[POWER_SECTOR];
		const uint8_t *bytes = n->bytes;
		/* Shared memory of processes that are gone, written as the kernel pleased. */
		if (strcmp(name->name, "lock.mdb") == 0) {
			for (size_t g = 0; g < sizeof garbage; g++)
				garbage[g] = (uint8_t)check_random(random);
			bytes = garbage;
			len = check_random(random) % 2   ? 0
			      : n->size < sizeof garbage ? n->size
							 : sizeof garbage;
		}
		if (fd < 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len || ftruncate(fd, (off_t)n->size) != 0)
			abort();
		close(fd);
	}
}

/* Makes `path`, an existing directory, look like the tree. */
static void power_write_tree(const struct power_tree *t, const char *path, uint64_t *random)
{
	nftw(path, power_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	power_write_dir(t, 0, path, random);
}

#endif
