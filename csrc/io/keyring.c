#include "keyring.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A slab is locked, guarded memory for many keys: a page of its own per key would cost 16 KB each. The size
 * and libsodium's 16 byte canary fill whole pages, which keeps slots aligned. */
enum { SLAB_BYTES = 8 * 4096 - 16, SLAB_SLOTS = (SLAB_BYTES - 16) / sizeof(struct mw_key) };

struct slab {
	struct slab *next;
	size_t used;
	struct mw_key slots[SLAB_SLOTS];
};
_Static_assert(sizeof(struct slab) <= SLAB_BYTES, "a slab fits its pages");

struct entry {
	char *account; /* NULL: a free place */
	size_t account_len;
	uint64_t hash;
	struct mw_key *key; /* in a slab */
	struct mw_endpoint *endpoint;
};

struct mw_keyring {
	pthread_mutex_t lock;
	struct slab *slabs;
	struct entry *entries; /* open addressing, linear probing, at most half full */
	size_t mask;
	size_t count;
	/* Accounts are named by strangers: a secret hash key keeps them from choosing collisions. */
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

enum { FIRST_ENTRIES = 16 };

struct mw_keyring *mw_keyring_new(void)
{
	if (sodium_init() < 0)
		return NULL;
	struct mw_keyring *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->entries = calloc(FIRST_ENTRIES, sizeof *k->entries);
	if (!k->entries || pthread_mutex_init(&k->lock, NULL) != 0) {
		free(k->entries);
		free(k);
		return NULL;
	}
	k->mask = FIRST_ENTRIES - 1;
	randombytes_buf(k->hash_key, sizeof k->hash_key);
	return k;
}

void mw_keyring_free(struct mw_keyring *k)
{
	if (!k)
		return;
	for (size_t i = 0; i <= k->mask; i++) {
		free(k->entries[i].account);
		free(k->entries[i].endpoint);
	}
	free(k->entries);
	while (k->slabs) {
		struct slab *next = k->slabs->next;
		sodium_free(k->slabs); /* wipes */
		k->slabs = next;
	}
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* A child process gets zeros in place of the keys, where the kernel can do that. */
static void keep_from_children(struct slab *s)
{
#ifdef MADV_WIPEONFORK
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)s & ~(page - 1);
	uintptr_t end = ((uintptr_t)s + SLAB_BYTES + page - 1) & ~(page - 1);
	(void)madvise((void *)start, end - start, MADV_WIPEONFORK);
#else
	(void)s;
#endif
}

static struct mw_key *new_slot(struct mw_keyring *k)
{
	if (!k->slabs || k->slabs->used == SLAB_SLOTS) {
		struct slab *s = sodium_malloc(SLAB_BYTES);
		if (!s)
			return NULL;
		sodium_memzero(s, SLAB_BYTES);
		keep_from_children(s);
		s->next = k->slabs;
		k->slabs = s;
	}
	return &k->slabs->slots[k->slabs->used++];
}

static uint64_t hash_of(const struct mw_keyring *k, struct mw_span account)
{
	uint64_t hash;
	_Static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash gives 64 bits");
	crypto_shorthash((uint8_t *)&hash, account.at, account.len, k->hash_key);
	return hash;
}

/* The account's entry, or the free place where it belongs. */
static struct entry *find(const struct mw_keyring *k, struct mw_span account, uint64_t hash)
{
	for (size_t i = (size_t)hash & k->mask;; i = (i + 1) & k->mask) {
		struct entry *n = &k->entries[i];
		if (!n->account)
			return n;
		if (n->hash == hash && n->account_len == account.len &&
		    (account.len == 0 || memcmp(n->account, account.at, account.len) == 0))
			return n;
	}
}

static bool make_room(struct mw_keyring *k)
{
	if ((k->count + 1) * 2 <= k->mask + 1)
		return true;
	size_t old_size = k->mask + 1;
	struct entry *old = k->entries;
	struct entry *bigger = calloc(old_size * 2, sizeof *bigger);
	if (!bigger)
		return false;
	k->entries = bigger;
	k->mask = old_size * 2 - 1;
	for (size_t i = 0; i < old_size; i++)
		if (old[i].account)
			*find(k, (struct mw_span){(uint8_t *)old[i].account, old[i].account_len},
			      old[i].hash) = old[i];
	free(old);
	return true;
}

enum mw_err mw_key_check(struct mw_span key, struct mw_error *e)
{
	if (key.len == 0)
		return mw_error_set(e, MW_BAD_KEY, 0, "the write key is empty");
	if (key.len > MW_WRITE_KEY_MAX)
		return mw_error_set(e, MW_BAD_KEY, 0,
				    "the write key has %zu characters; at most %d are allowed", key.len,
				    MW_WRITE_KEY_MAX);
	for (size_t i = 0; i < key.len; i++) {
		uint8_t c = key.at[i];
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '-';
		if (!fits)
			return mw_error_set(
			    e, MW_BAD_KEY, i,
			    "character %zu of the write key is not a letter, a digit, '_' or '-'", i + 1);
	}
	return MW_OK;
}

/* Under the lock: a new entry for an account that has none. NULL if memory is short. */
static struct entry *add(struct mw_keyring *k, struct mw_span account, uint64_t hash)
{
	if (!make_room(k))
		return NULL;
	char *name = malloc(account.len + 1);
	struct mw_key *slot = name ? new_slot(k) : NULL;
	if (!slot) {
		free(name);
		return NULL;
	}
	if (account.len > 0)
		memcpy(name, account.at, account.len);
	name[account.len] = '\0';
	struct entry *n = find(k, account, hash);
	*n = (struct entry){.account = name, .account_len = account.len, .hash = hash, .key = slot};
	k->count++;
	return n;
}

enum mw_err mw_keyring_set(struct mw_keyring *k, struct mw_span account, struct mw_span write_key,
			   const struct mw_endpoint *endpoint, struct mw_error *e)
{
	enum mw_err err = mw_key_check(write_key, e);
	if (err != MW_OK)
		return err;
	if (account.len > MW_ACCOUNT_MAX)
		return mw_error_set(e, MW_TOO_LARGE, 0, "an account's name has at most %d bytes",
				    MW_ACCOUNT_MAX);
	struct mw_endpoint *own = NULL;
	if (endpoint) {
		own = malloc(sizeof *own);
		if (!own)
			return mw_error_set(e, MW_NO_MEMORY, 0, "no memory for the account's endpoint");
		*own = *endpoint;
	}
	uint64_t hash = hash_of(k, account);
	pthread_mutex_lock(&k->lock);
	struct entry *n = find(k, account, hash);
	if (!n->account)
		n = add(k, account, hash);
	if (n) {
		sodium_memzero(n->key, sizeof *n->key);
		memcpy(n->key->text, write_key.at, write_key.len);
		n->key->len = write_key.len;
		free(n->endpoint);
		n->endpoint = own;
		own = NULL;
	}
	pthread_mutex_unlock(&k->lock);
	free(own);
	return n ? MW_OK : mw_error_set(e, MW_NO_MEMORY, 0, "no locked memory for another write key");
}

bool mw_keyring_has(struct mw_keyring *k, struct mw_span account)
{
	uint64_t hash = hash_of(k, account);
	pthread_mutex_lock(&k->lock);
	bool has = find(k, account, hash)->account != NULL;
	pthread_mutex_unlock(&k->lock);
	return has;
}

bool mw_keyring_get(struct mw_keyring *k, struct mw_span account, struct mw_key *key,
		    struct mw_endpoint *endpoint)
{
	uint64_t hash = hash_of(k, account);
	pthread_mutex_lock(&k->lock);
	const struct entry *n = find(k, account, hash);
	if (!n->account)
		n = find(k, MW_SPAN(""), hash_of(k, MW_SPAN("")));
	bool found = n->account != NULL;
	if (found) {
		*key = *n->key;
		if (n->endpoint)
			*endpoint = *n->endpoint;
	}
	pthread_mutex_unlock(&k->lock);
	return found;
}
