#include "memory_flags.h"
#include "vault_fixture.h"

#include <ctype.h>
#include <dirent.h>
#include <lmdb.h>
#include <sys/wait.h>

static enum mw_err load(const char *path, struct mw_master_key *k)
{
	mw_error_clear(&error);
	return mw_master_key_load(k, path, &error);
}

TEST(a_master_key_is_raw_bytes_or_hex_digits_in_a_private_file)
{
	struct mw_master_key raw, hex, k;
	uint8_t bytes[MW_MASTER_KEY_LEN];
	char text[2 * MW_MASTER_KEY_LEN + 3];
	CHECK(sodium_init() >= 0);
	randombytes_buf(bytes, sizeof bytes);
	bytes[sizeof bytes - 1] = '\n';
	CHECK(load(write_file("raw", bytes, sizeof bytes, 0400), &raw) == MW_OK);
	sodium_bin2hex(text, sizeof text, bytes, sizeof bytes);
	static const char *const ends[] = {"", "\n", "\r\n"};
	for (int i = 0; i < 3; i++) {
		strcpy(text + 64, ends[i]);
		CHECK(load(write_file("hex", text, strlen(text), 0600), &hex) == MW_OK);
		CHECK(memcmp(hex.bytes, bytes, sizeof bytes) == 0 &&
		      memcmp(hex.kid, raw.kid, MW_KID_LEN) == 0);
		mw_master_key_wipe(&hex);
	}
	CHECK(memcmp(raw.bytes, bytes, sizeof bytes) == 0);
	mw_master_key_wipe(&raw);
	CHECK(load(write_file("hex", text, 63, 0600), &k) == MW_BAD_MASTER_KEY && !k.bytes);
	text[6] = 'g';
	CHECK(load(write_file("hex", text, 64, 0600), &k) == MW_BAD_MASTER_KEY && !k.bytes);
	CHECK(load(write_file("raw", bytes, 31, 0600), &k) == MW_BAD_MASTER_KEY);
	CHECK(load(write_file("raw", "", 0, 0600), &k) == MW_BAD_MASTER_KEY);
	CHECK(load(write_file("raw", text, 64, 0640), &k) == MW_IO && strstr(error.detail, "chmod 600"));
	CHECK(load(write_file("raw", bytes, sizeof bytes, 0604), &k) == MW_IO);
	CHECK(load(folder_path("nowhere"), &k) == MW_IO && load(folder(), &k) == MW_IO);
	memset(bytes, 0, sizeof bytes);
	CHECK(load(write_file("raw", bytes, sizeof bytes, 0600), &k) == MW_BAD_MASTER_KEY);
}

TEST(a_master_key_is_in_no_core_file_and_no_child)
{
	struct mw_master_key k;
	int status;
	CHECK(load(master(0), &k) == MW_OK);
	CHECK(memory_has(k.bytes, " dd") && memory_has(k.bytes, " wf") && !memory_has(k.bytes, " wr"));
	pid_t child = fork();
	if (child == 0)
		_exit(sodium_is_zero(k.bytes, MW_MASTER_KEY_LEN) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	mw_master_key_wipe(&k);
}

TEST(a_new_master_key_is_private_random_and_never_written_over)
{
	struct mw_master_key a, b;
	struct stat st;
	CHECK(mw_master_key_create(folder_path("new-a"), &error) == MW_OK);
	CHECK(mw_master_key_create(folder_path("new-b"), &error) == MW_OK);
	CHECK(stat(folder_path("new-a"), &st) == 0 && (st.st_mode & 07777) == 0400 && st.st_size == 65);
	CHECK(load(folder_path("new-a"), &a) == MW_OK && load(folder_path("new-b"), &b) == MW_OK);
	CHECK(memcmp(a.bytes, b.bytes, MW_MASTER_KEY_LEN) != 0 && memcmp(a.kid, b.kid, MW_KID_LEN) != 0);
	mw_master_key_wipe(&b);
	CHECK(mw_master_key_create(folder_path("new-a"), &error) == MW_IO && strstr(error.detail, "already"));
	CHECK(load(folder_path("new-a"), &b) == MW_OK && memcmp(a.bytes, b.bytes, MW_MASTER_KEY_LEN) == 0);
	mw_master_key_wipe(&a);
	mw_master_key_wipe(&b);
	CHECK(symlink("nowhere", folder_path("dangling")) == 0);
	CHECK(mw_master_key_create(folder_path("dangling"), &error) == MW_IO);
	CHECK(mw_master_key_create(folder_path("not-there/key"), &error) == MW_IO);
}

TEST(the_service_managers_credential_is_found_when_no_file_is_named)
{
	struct mw_master_key named, k;
	mkdir(folder_path("credentials"), 0700);
	CHECK(mw_master_key_create(folder_path("credentials/moonweir-master-key"), &error) == MW_OK);
	setenv("CREDENTIALS_DIRECTORY", folder_path("credentials"), 1);
	CHECK(load(folder_path("credentials/moonweir-master-key"), &named) == MW_OK);
	CHECK(load(NULL, &k) == MW_OK && k.bytes && memcmp(k.kid, named.kid, MW_KID_LEN) == 0);
	mw_master_key_wipe(&k);
	CHECK(load(master(0), &k) == MW_OK && memcmp(k.kid, named.kid, MW_KID_LEN) != 0);
	mw_master_key_wipe(&k);
	mw_master_key_wipe(&named);
	/* An access list shows as the group's bits; others have no business there. */
	chmod(folder_path("credentials/moonweir-master-key"), 0440);
	CHECK(load(NULL, &k) == MW_OK && k.bytes);
	mw_master_key_wipe(&k);
	chmod(folder_path("credentials/moonweir-master-key"), 0444);
	CHECK(load(NULL, &k) == MW_IO && !k.bytes);
	setenv("CREDENTIALS_DIRECTORY", folder(), 1);
	CHECK(load(NULL, &k) == MW_OK && !k.bytes);
	unsetenv("CREDENTIALS_DIRECTORY");
}

struct touch {
	struct fixture *f;
	unsigned dbi;
	const char *account;
	const uint8_t *bytes;
	size_t len;
};

static enum mw_err touch_row(struct MDB_txn *txn, void *context, struct mw_error *e)
{
	struct touch *t = context;
	MDB_val key = {strlen(t->account), (void *)(uintptr_t)t->account},
		value = {t->len, (void *)(uintptr_t)t->bytes};
	int answer = mdb_put(txn, t->dbi, &key, &value, 0);
	return answer == 0 ? MW_OK : mw_state_fail(t->f->s, answer, e);
}

static bool put_row(struct fixture *f, const char *account, const uint8_t *bytes, size_t len)
{
	struct touch t = {f, 0, account, bytes, len};
	return mw_state_database(f->s, "accounts", &t.dbi, &error) == MW_OK &&
	       mw_state_write(f->s, touch_row, &t, &error) == MW_OK;
}

static size_t row_of(struct fixture *f, const char *account, uint8_t bytes[MW_ACCOUNT_ROW_MAX])
{
	struct MDB_txn *txn;
	unsigned dbi;
	MDB_val key = {strlen(account), (void *)(uintptr_t)account}, value = {0, NULL};
	if (mw_state_database(f->s, "accounts", &dbi, &error) != MW_OK ||
	    mw_state_read(f->s, &txn, &error) != MW_OK)
		return 0;
	if (mdb_get(txn, dbi, &key, &value) == 0)
		memcpy(bytes, value.mv_data, value.mv_size);
	mw_state_read_end(f->s, txn);
	return value.mv_size;
}

/* Opens a row the way the vault does; false if any part of it is refused. */
static bool row_opens(const uint8_t *bytes, size_t len, const char *account, const struct mw_master_key *k)
{
	struct mw_account_row r;
	struct mw_key key;
	bool opens = mw_account_row_unpack((struct mw_span){bytes, len}, span(account), &r) &&
		     mw_account_row_open(&r, span(account), k, &key);
	sodium_memzero(&key, sizeof key);
	return opens;
}

TEST(no_row_with_a_bit_turned_or_bytes_missing_opens)
{
	struct fixture f;
	struct mw_master_key k;
	uint8_t row[MW_ACCOUNT_ROW_MAX + 1];
	CHECK(start(&f, "bits", master(0)));
	CHECK(set(&f, "acme", "key-0123456789-a1b2", "https://t.example.com", "Acme") == MW_OK);
	size_t len = row_of(&f, "acme", row);
	stop(&f);
	CHECK(load(master(0), &k) == MW_OK && row_opens(row, len, "acme", &k));
	for (size_t bit = 0; bit < len * 8; bit++) {
		row[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!row_opens(row, len, "acme", &k));
		row[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t shorter = 0; shorter < len; shorter++)
		CHECK(!row_opens(row, shorter, "acme", &k));
	row[len] = 0;
	CHECK(!row_opens(row, len + 1, "acme", &k) && row_opens(row, len, "acme", &k));
	mw_master_key_wipe(&k);
}

TEST(no_part_of_the_seal_can_be_turned_even_with_a_right_check)
{
	struct mw_master_key k;
	struct mw_key key = {3, "key"};
	uint8_t sealed[MW_SEALED_MAX], row[MW_ACCOUNT_ROW_MAX];
	struct mw_account_row r = {.endpoint = MW_SPAN("https://a.example"), .revision = 7}, got;
	CHECK(load(master(0), &k) == MW_OK);
	mw_account_row_seal(&r, MW_SPAN("acme"), &key, &k, sealed);
	size_t sealed_len = r.sealed.len;
	for (size_t bit = 0; bit < sealed_len * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		size_t len = mw_account_row_pack(&r, MW_SPAN("acme"), row);
		CHECK(mw_account_row_unpack((struct mw_span){row, len}, MW_SPAN("acme"), &got));
		CHECK(!mw_account_row_open(&got, MW_SPAN("acme"), &k, &key) && key.len == 0);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK(mw_account_row_open(&r, MW_SPAN("acme"), &k, &key) && key.len == 3);
	/* Another account, another endpoint, another kid, and a border moved between two fields. */
	CHECK(!mw_account_row_open(&r, MW_SPAN("acmf"), &k, &key));
	struct mw_account_row moved = r;
	moved.endpoint = MW_SPAN("https://b.example");
	CHECK(!mw_account_row_open(&moved, MW_SPAN("acme"), &k, &key));
	moved = r;
	moved.endpoint = MW_SPAN("");
	CHECK(!mw_account_row_open(&moved, MW_SPAN("acme|write_key|https://a.example"), &k, &key));
	moved = r;
	moved.kid[0] ^= 1;
	CHECK(!mw_account_row_open(&moved, MW_SPAN("acme"), &k, &key));
	struct mw_master_key pretender = k;
	pretender.kid[0] ^= 1;
	CHECK(!mw_account_row_open(&moved, MW_SPAN("acme"), &pretender, &key));
	mw_master_key_wipe(&k);
}

TEST(two_seals_of_one_key_have_nothing_in_common)
{
	struct mw_master_key k;
	struct mw_key key = {3, "key"};
	uint8_t one[MW_SEALED_MAX], two[MW_SEALED_MAX];
	struct mw_account_row r = {0};
	CHECK(load(master(0), &k) == MW_OK);
	mw_account_row_seal(&r, MW_SPAN("a"), &key, &k, one);
	mw_account_row_seal(&r, MW_SPAN("a"), &key, &k, two);
	CHECK(memcmp(one, two, MW_SEAL_NONCE) != 0 &&
	      memcmp(one + MW_SEAL_NONCE, two + MW_SEAL_NONCE, 3) != 0);
	mw_master_key_wipe(&k);
}

TEST(rows_swapped_between_accounts_are_refused)
{
	struct fixture f;
	struct mw_key key;
	struct shown k = {0};
	uint8_t a[MW_ACCOUNT_ROW_MAX], b[MW_ACCOUNT_ROW_MAX];
	CHECK(start(&f, "swap", master(0)));
	CHECK(set(&f, "a", "key-of-a", NULL, NULL) == MW_OK && set(&f, "b", "key-of-b", NULL, NULL) == MW_OK);
	size_t a_len = row_of(&f, "a", a), b_len = row_of(&f, "b", b);
	CHECK(put_row(&f, "a", b, b_len) && put_row(&f, "b", a, a_len));
	CHECK(get(&f, "a", &key) == MW_CORRUPT && key.len == 0 && get(&f, "b", &key) == MW_CORRUPT);
	CHECK(strstr(error.detail, "\"b\"") && !strstr(error.detail, "key-of"));
	CHECK(mw_vault_show(f.v, MW_SPAN("a"), keep, &k, &error) == MW_CORRUPT && k.count == 0);
	CHECK(mw_vault_each(f.v, keep, &k, &error) == MW_OK && k.count == 2 && k.info.damaged);
	/* A damaged account is mended by saying it whole, or removed. */
	CHECK(set(&f, "a", "new", NULL, NULL) == MW_CORRUPT && set(&f, "a", NULL, NULL, "A") == MW_CORRUPT);
	CHECK(mw_vault_pause(f.v, MW_SPAN("a"), &error) == MW_CORRUPT);
	CHECK(set(&f, "a", "new", "", NULL) == MW_OK && holds(&f, "a", "new", us));
	CHECK(mw_vault_remove(f.v, MW_SPAN("b"), &error) == MW_OK && get(&f, "b", &key) == MW_NO_ACCOUNT);
	stop(&f);
}

TEST(a_forged_endpoint_is_neither_used_nor_adopted)
{
	struct fixture f;
	struct mw_key key;
	struct mw_account_row r;
	uint8_t row[MW_ACCOUNT_ROW_MAX], forged[MW_ACCOUNT_ROW_MAX];
	static const char *const keys[] = {"key-of-a", NULL};
	for (int i = 0; i < 2; i++) {
		CHECK(start(&f, "forged", master(0)) && set(&f, "a", keys[i], "eu", NULL) == MW_OK);
		size_t len = row_of(&f, "a", row);
		CHECK(mw_account_row_unpack((struct mw_span){row, len}, MW_SPAN("a"), &r));
		r.endpoint = MW_SPAN("https://evil.example");
		len = mw_account_row_pack(&r, MW_SPAN("a"), forged);
		CHECK(put_row(&f, "a", forged, len));
		CHECK(get(&f, "a", &key) == MW_CORRUPT && strcmp(got_endpoint.batch_url, us) == 0);
		CHECK(set(&f, "a", "new-key", NULL, NULL) == MW_CORRUPT);
		CHECK(mw_vault_remove(f.v, MW_SPAN("a"), &error) == MW_OK);
		stop(&f);
	}
}

static bool occurs(const uint8_t *bytes, size_t len, const char *text)
{
	return memmem(bytes, len, text, strlen(text)) != NULL;
}

/* Is the key, or a third of it in base64 in any alignment, or its hex, in a file of this folder? */
static bool folder_holds(const char *path, const char *key)
{
	char hex[2 * MW_WRITE_KEY_MAX + 1], upper[sizeof hex], base64[3][2 * MW_WRITE_KEY_MAX];
	size_t key_len = strlen(key);
	sodium_bin2hex(hex, sizeof hex, (const uint8_t *)key, key_len);
	for (size_t i = 0; i <= strlen(hex); i++)
		upper[i] = (char)toupper((unsigned char)hex[i]);
	for (size_t i = 0; i < 3; i++) {
		/* Without the last group, which depends on what follows. */
		size_t whole = (key_len - i) / 3 * 3;
		sodium_bin2base64(base64[i], sizeof base64[i], (const uint8_t *)key + i, whole,
				  sodium_base64_VARIANT_ORIGINAL);
	}
	bool found = false, any = false;
	DIR *d = opendir(path);
	for (struct dirent *n; d && (n = readdir(d));) {
		char file[512];
		struct stat st;
		snprintf(file, sizeof file, "%s/%.200s", path, n->d_name);
		int fd = open(file, O_RDONLY);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
			uint8_t *bytes = malloc((size_t)st.st_size + 1);
			ssize_t len = read(fd, bytes, (size_t)st.st_size);
			any = any || len > 0;
			found = found || len < 0 || occurs(bytes, (size_t)len, key) ||
				occurs(bytes, (size_t)len, hex) || occurs(bytes, (size_t)len, upper);
			for (int i = 0; i < 3; i++)
				found = found || (len > 0 && occurs(bytes, (size_t)len, base64[i]));
			free(bytes);
		}
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return found || !any;
}

TEST(no_file_of_the_store_holds_a_key_in_any_form)
{
	static const char canary[] = "canary0123456789abcdefghijklk3y4";
	struct fixture f;
	char account[32];
	CHECK(start(&f, "canary", master(0)));
	for (int i = 0; i < 300; i++) {
		snprintf(account, sizeof account, "account%d", i % 100);
		CHECK(set(&f, account, canary, i % 2 ? "eu" : "us", "label") == MW_OK);
	}
	CHECK(mw_vault_remove(f.v, MW_SPAN("account7"), &error) == MW_OK);
	CHECK(holds(&f, "account8", canary, "https://api.segment.io/v1/batch"));
	stop(&f);
	CHECK(!folder_holds(folder_path("canary/state"), canary));
	/* The search finds what is there. */
	write_file("canary/state/planted", canary, strlen(canary), 0600);
	CHECK(folder_holds(folder_path("canary/state"), canary));
	write_file("canary/state/planted", "xY2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZmdoaWprbGszeT", 43, 0600);
	CHECK(folder_holds(folder_path("canary/state"), canary));
}

int main(void)
{
	RUN(a_master_key_is_raw_bytes_or_hex_digits_in_a_private_file);
	RUN(a_master_key_is_in_no_core_file_and_no_child);
	RUN(a_new_master_key_is_private_random_and_never_written_over);
	RUN(the_service_managers_credential_is_found_when_no_file_is_named);
	RUN(no_row_with_a_bit_turned_or_bytes_missing_opens);
	RUN(no_part_of_the_seal_can_be_turned_even_with_a_right_check);
	RUN(two_seals_of_one_key_have_nothing_in_common);
	RUN(rows_swapped_between_accounts_are_refused);
	RUN(a_forged_endpoint_is_neither_used_nor_adopted);
	RUN(no_file_of_the_store_holds_a_key_in_any_form);
	return CHECK_END();
}
