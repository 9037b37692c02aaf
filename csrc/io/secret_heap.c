#include "secret_heap.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum {
	CHUNK = 1024 * 1024,
	SMALLEST = 5, /* the power of two of the smallest piece, head included */
	LARGEST = 18,
};

/* In front of every piece; as long as malloc's alignment. */
union head {
	size_t room; /* of the whole piece */
	max_align_t aligned;
};

struct piece {
	struct piece *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct piece *idle[LARGEST + 1]; /* by power of two */
static uint8_t *chunk;
static size_t chunk_left;

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void release(void)
{
	pthread_mutex_unlock(&lock);
}

static void prepare(void)
{
	pthread_atfork(hold, release, release);
}

static void *map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	madvise(at, len, MADV_DONTDUMP); /* a kernel that can't do this is none that we build for */
	return at;
}

/* Under the lock. */
static void *take(unsigned power)
{
	size_t room = (size_t)1 << power;
	struct piece *p = idle[power];
	if (p) {
		idle[power] = p->next;
		p->next = NULL;
		return p;
	}
	if (chunk_left < room) {
		/* What is left of the old chunk is idle from now on, in pieces. */
		for (unsigned k = LARGEST; k >= SMALLEST; k--)
			while (chunk_left >= (size_t)1 << k) {
				p = (struct piece *)(void *)chunk;
				p->next = idle[k];
				idle[k] = p;
				chunk += (size_t)1 << k;
				chunk_left -= (size_t)1 << k;
			}
		chunk = map(CHUNK);
		chunk_left = chunk ? CHUNK : 0;
		if (!chunk)
			return NULL;
	}
	uint8_t *at = chunk;
	chunk += room;
	chunk_left -= room;
	return at;
}

void *mw_secret_malloc(size_t size)
{
	union head *h;
	if (size > SIZE_MAX / 2)
		return NULL;
	pthread_once(&once, prepare);
	size_t room = size + sizeof *h;
	if (room > (size_t)1 << LARGEST) {
		h = map(room);
	} else {
		unsigned power = SMALLEST;
		while ((size_t)1 << power < room)
			power++;
		room = (size_t)1 << power;
		pthread_mutex_lock(&lock);
		h = take(power);
		pthread_mutex_unlock(&lock);
	}
	if (!h)
		return NULL;
	h->room = room;
	return h + 1;
}

void mw_secret_free(void *p)
{
	if (!p)
		return;
	union head *h = (union head *)p - 1;
	size_t room = h->room;
	if (room > (size_t)1 << LARGEST) {
		munmap(h, room);
		return;
	}
	unsigned power = SMALLEST;
	while ((size_t)1 << power < room)
		power++;
	sodium_memzero(h, room);
	struct piece *piece = (struct piece *)(void *)h;
	pthread_mutex_lock(&lock);
	piece->next = idle[power];
	idle[power] = piece;
	pthread_mutex_unlock(&lock);
}

/* All that is handed out is zeros but for the caller's own: new pages are, and what is given back is wiped.
 */
void *mw_secret_calloc(size_t count, size_t size)
{
	return size > 0 && count > SIZE_MAX / size ? NULL : mw_secret_malloc(count * size);
}

void *mw_secret_realloc(void *old, size_t size)
{
	size_t room = old ? ((union head *)old - 1)->room - sizeof(union head) : 0;
	if (old && size <= room && size > room / 4)
		return old;
	void *p = mw_secret_malloc(size);
	if (p && old) {
		memcpy(p, old, size < room ? size : room);
		mw_secret_free(old);
	}
	return p;
}

char *mw_secret_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = mw_secret_malloc(len);
	return copy ? memcpy(copy, text, len) : NULL;
}
