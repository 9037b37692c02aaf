#include "master_key.h"

#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_LEN = 2 * MW_MASTER_KEY_LEN, FILE_LEN = HEX_LEN + 2 /* CR LF */ };

static const struct mw_key_kind master = {"moonweir-master-key", "master key"};

static enum mw_err no_memory(struct mw_error *e)
{
	return mw_error_set(e, MW_NO_MEMORY, 0, "no locked memory for a key");
}

void mw_master_key_keep_from_children(void *at, size_t len)
{
#ifdef MADV_WIPEONFORK
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)at & ~(page - 1);
	(void)madvise((void *)start, (uintptr_t)at + len - start, MADV_WIPEONFORK);
#else
	(void)at;
	(void)len;
#endif
}

/* The file's text as 32 bytes; false if it is none of the forms. */
static bool decode(const uint8_t *text, size_t len, uint8_t bytes[MW_MASTER_KEY_LEN])
{
	if (len == MW_MASTER_KEY_LEN) {
		memcpy(bytes, text, MW_MASTER_KEY_LEN);
	} else {
		size_t hex = len;
		if (hex > HEX_LEN && text[hex - 1] == '\n')
			hex--;
		if (hex > HEX_LEN && text[hex - 1] == '\r')
			hex--;
		size_t got;
		if (hex != HEX_LEN ||
		    sodium_hex2bin(bytes, MW_MASTER_KEY_LEN, (const char *)text, hex, NULL, &got, NULL) != 0)
			return false;
		if (got != MW_MASTER_KEY_LEN)
			return false;
	}
	return !sodium_is_zero(bytes, MW_MASTER_KEY_LEN);
}

static enum mw_err take(struct mw_master_key *k, const struct mw_key_kind *kind, const char *path,
			const uint8_t *text, size_t len, struct mw_error *e)
{
	static const uint8_t purpose[] = "moonweir kid v1";
	k->bytes = sodium_malloc(MW_MASTER_KEY_LEN);
	if (!k->bytes)
		return no_memory(e);
	if (!decode(text, len, k->bytes)) {
		mw_master_key_wipe(k);
		return mw_error_set(e, MW_BAD_MASTER_KEY, 0,
				    "%.120s: a %s is 32 bytes or 64 hex digits, and not all zeros", path,
				    kind->noun);
	}
	uint8_t id[crypto_generichash_BYTES];
	crypto_generichash(id, sizeof id, purpose, sizeof purpose - 1, k->bytes, MW_MASTER_KEY_LEN);
	memcpy(k->kid, id, MW_KID_LEN);
	mw_master_key_keep_from_children(k->bytes, MW_MASTER_KEY_LEN);
	sodium_mprotect_readonly(k->bytes);
	return MW_OK;
}

/* The credential's path, or false if the service manager gave none. */
static bool find_credential(const char *credential, char path[PATH_MAX])
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	return directory && directory[0] &&
	       snprintf(path, PATH_MAX, "%s/%s", directory, credential) < PATH_MAX && access(path, F_OK) == 0;
}

enum mw_err mw_master_key_load(struct mw_master_key *k, const char *path, struct mw_error *e)
{
	return mw_key_load(k, &master, path, e);
}

enum mw_err mw_key_load(struct mw_master_key *k, const struct mw_key_kind *kind, const char *path,
			struct mw_error *e)
{
	char found[PATH_MAX];
	unsigned spared = 0;
	*k = (struct mw_master_key){0};
	if (!path) {
		if (!find_credential(kind->credential, found))
			return MW_OK;
		path = found;
		/* The service manager may own the file and let us in by an access list, whose mask shows
		 * where the group's bits are. */
		spared = S_IRGRP;
	}
	if (sodium_init() < 0)
		return no_memory(e);
	uint8_t *text = sodium_malloc(FILE_LEN);
	if (!text)
		return no_memory(e);
	size_t len;
	enum mw_err err = mw_private_read(path, spared, text, FILE_LEN, &len, e);
	if (err == MW_OK)
		err = take(k, kind, path, text, len, e);
	sodium_free(text); /* wipes */
	return err;
}

void mw_master_key_wipe(struct mw_master_key *k)
{
	sodium_free(k->bytes); /* wipes; NULL is fine */
	*k = (struct mw_master_key){0};
}

void mw_kid_text(const uint8_t kid[MW_KID_LEN], char text[MW_KID_TEXT])
{
	sodium_bin2hex(text, MW_KID_TEXT, kid, MW_KID_LEN);
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool sync_parent(const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 1;
	if (len >= sizeof parent)
		return false;
	memcpy(parent, slash ? path : ".", len);
	parent[len] = '\0';
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool synced = fsync(fd) == 0 || errno == EINVAL;
	close(fd);
	return synced;
}

enum mw_err mw_master_key_create(const char *path, struct mw_error *e)
{
	if (sodium_init() < 0)
		return no_memory(e);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (fd < 0 && errno == EEXIST)
		return mw_error_set(e, MW_IO, 0, "%.140s: is there already, and stays as it is", path);
	if (fd < 0)
		return mw_error_set(e, MW_IO, 0, "%.140s: can't be made: %s", path, strerror(errno));
	uint8_t *bytes = sodium_malloc(MW_MASTER_KEY_LEN);
	char *text = sodium_malloc(HEX_LEN + 1);
	bool done = bytes && text;
	if (done) {
		randombytes_buf(bytes, MW_MASTER_KEY_LEN);
		sodium_bin2hex(text, HEX_LEN + 1, bytes, MW_MASTER_KEY_LEN);
		text[HEX_LEN] = '\n';
		done = write_all(fd, text, HEX_LEN + 1) && fsync(fd) == 0;
	}
	int why = errno;
	sodium_free(bytes);
	sodium_free(text);
	close(fd);
	if (done && !(done = sync_parent(path)))
		why = errno;
	if (done)
		return MW_OK;
	unlink(path);
	return mw_error_set(e, MW_IO, 0, "%.140s: can't be written: %s", path, strerror(why));
}
