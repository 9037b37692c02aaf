#include "../../csrc/io/keyring.h"
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, strlen(text)};
}

static bool holds(struct mw_keyring *k, const char *account, const char *expected)
{
	struct mw_key key;
	struct mw_endpoint endpoint;
	return mw_keyring_get(k, span(account), &key, &endpoint) && key.len == strlen(expected) &&
	       memcmp(key.text, expected, key.len) == 0;
}

TEST(a_key_is_found_by_account_and_replaced)
{
	struct mw_keyring *k = mw_keyring_new();
	struct mw_key key;
	struct mw_endpoint endpoint;
	CHECK(k && !mw_keyring_get(k, MW_SPAN("a"), &key, &endpoint));
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("key-A"), NULL, NULL) == MW_OK);
	CHECK(mw_keyring_set(k, MW_SPAN("b"), MW_SPAN("a_much_longer_key_B"), NULL, NULL) == MW_OK);
	CHECK(holds(k, "a", "key-A") && holds(k, "b", "a_much_longer_key_B"));
	CHECK(mw_keyring_set(k, MW_SPAN("b"), MW_SPAN("short"), NULL, NULL) == MW_OK);
	CHECK(holds(k, "b", "short") && !mw_keyring_get(k, MW_SPAN("c"), &key, &endpoint));
	mw_keyring_free(k);
}

TEST(the_empty_account_stands_in_for_all_without_a_key)
{
	struct mw_keyring *k = mw_keyring_new();
	CHECK(mw_keyring_set(k, (struct mw_span){NULL, 0}, MW_SPAN("default"), NULL, NULL) == MW_OK);
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("own"), NULL, NULL) == MW_OK);
	CHECK(holds(k, "a", "own") && holds(k, "anybody", "default") && holds(k, "", "default"));
	mw_keyring_free(k);
}

TEST(an_endpoint_is_kept_with_its_key)
{
	struct mw_keyring *k = mw_keyring_new();
	struct mw_endpoint eu = {"https://eu/v1/batch"}, got = {"untouched"};
	struct mw_key key;
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("k"), &eu, NULL) == MW_OK);
	CHECK(mw_keyring_set(k, MW_SPAN("b"), MW_SPAN("k"), NULL, NULL) == MW_OK);
	CHECK(mw_keyring_get(k, MW_SPAN("b"), &key, &got) && strcmp(got.batch_url, "untouched") == 0);
	CHECK(mw_keyring_get(k, MW_SPAN("a"), &key, &got) && strcmp(got.batch_url, eu.batch_url) == 0);
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("k"), NULL, NULL) == MW_OK);
	strcpy(got.batch_url, "untouched");
	CHECK(mw_keyring_get(k, MW_SPAN("a"), &key, &got) && strcmp(got.batch_url, "untouched") == 0);
	mw_keyring_free(k);
}

TEST(a_bad_key_is_refused_and_never_quoted)
{
	static const char *const bad[] = {"",          "secret ", " secret",    "secret\r\nX: y",
					  "secret:pw", "secret=", "s\001ecret", "secr\xc3\xa9t",
					  "secret/",   "\"secret"};
	struct mw_keyring *k = mw_keyring_new();
	struct mw_error e;
	char text[MW_WRITE_KEY_MAX + 2];
	memset(text, 'k', sizeof text);
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("before"), NULL, &e) == MW_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK(mw_keyring_set(k, MW_SPAN("a"), span(bad[i]), NULL, &e) == MW_BAD_KEY);
		CHECK(e.detail[0] && !strstr(e.detail, "secr"));
	}
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("a\0b"), NULL, &e) == MW_BAD_KEY);
	struct mw_span longest = {(uint8_t *)text, MW_WRITE_KEY_MAX},
		       longer = {(uint8_t *)text, MW_WRITE_KEY_MAX + 1};
	CHECK(mw_keyring_set(k, MW_SPAN("a"), longer, NULL, &e) == MW_BAD_KEY && holds(k, "a", "before"));
	CHECK(mw_keyring_set(k, MW_SPAN("a"), longest, NULL, &e) == MW_OK);
	text[MW_WRITE_KEY_MAX] = '\0';
	CHECK(holds(k, "a", text));
	mw_keyring_free(k);
}

enum { MANY = 5000 };

TEST(thousands_of_accounts_keep_their_own_keys)
{
	struct mw_keyring *k = mw_keyring_new();
	char account[32], key[32];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < MANY; i++) {
			snprintf(account, sizeof account, "account%d", i);
			snprintf(key, sizeof key, "key-%d-%d", round, i);
			CHECK(mw_keyring_set(k, span(account), span(key), NULL, NULL) == MW_OK);
		}
	for (int i = 0; i < MANY; i++) {
		snprintf(account, sizeof account, "account%d", i);
		snprintf(key, sizeof key, "key-1-%d", i);
		CHECK(holds(k, account, key));
	}
	mw_keyring_free(k);
}

static void *set_and_get(void *argument)
{
	struct mw_keyring *k = argument;
	char account[32];
	struct mw_key key;
	struct mw_endpoint endpoint;
	for (int i = 0; i < MANY; i++) {
		snprintf(account, sizeof account, "%d", i);
		if (mw_keyring_set(k, span(account), MW_SPAN("key"), NULL, NULL) != MW_OK ||
		    !mw_keyring_get(k, MW_SPAN("1"), &key, &endpoint))
			return argument;
	}
	return NULL;
}

TEST(threads_may_share_a_keyring)
{
	struct mw_keyring *k = mw_keyring_new();
	pthread_t threads[3];
	CHECK(mw_keyring_set(k, MW_SPAN("1"), MW_SPAN("key"), NULL, NULL) == MW_OK);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, set_and_get, k);
	for (int i = 0; i < 3; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		CHECK(!failed);
	}
	CHECK(holds(k, "1", "key") && holds(k, "4999", "key"));
	mw_keyring_free(k);
}

#ifdef __linux__
TEST(a_child_process_finds_no_key)
{
	struct mw_keyring *k = mw_keyring_new();
	struct mw_key key;
	struct mw_endpoint endpoint;
	CHECK(mw_keyring_set(k, MW_SPAN("a"), MW_SPAN("canary"), NULL, NULL) == MW_OK);
	pid_t child = fork();
	if (child == 0)
		_exit(mw_keyring_get(k, MW_SPAN("a"), &key, &endpoint) && key.len > 0 ? 1 : 0);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(holds(k, "a", "canary"));
	mw_keyring_free(k);
}
#endif

int main(void)
{
	RUN(a_key_is_found_by_account_and_replaced);
	RUN(the_empty_account_stands_in_for_all_without_a_key);
	RUN(an_endpoint_is_kept_with_its_key);
	RUN(a_bad_key_is_refused_and_never_quoted);
	RUN(thousands_of_accounts_keep_their_own_keys);
	RUN(threads_may_share_a_keyring);
#ifdef __linux__
	RUN(a_child_process_finds_no_key);
#endif
	return CHECK_END();
}
