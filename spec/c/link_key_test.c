#include "../../csrc/io/link_key.h"
#include "check.h"
#include "folder.h"

#include <fcntl.h>
#include <sys/wait.h>

static struct mw_error error;

static bool opens(const char *name, const char *text, mode_t mode, struct mw_link_key **k)
{
	const char *path = folder_path(name);
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		abort();
	close(fd);
	mw_error_clear(&error);
	return mw_link_key_open(path, k, &error) == MW_OK;
}

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
/* By Python's hmac. */
static const char mac_of_text[] = "hqnAH1x-vmArE3tBQkCkzRLsHKebQptTmZsctK0qhQo";

TEST(the_mac_is_the_one_that_others_make)
{
	struct mw_link_key *k;
	char mac[MW_MAC_TEXT_LEN + 1];
	CHECK(opens("key", KEY "\n", 0400, &k));
	CHECK(mw_link_key_sign(k, MW_SPAN("v1.text"), mac) == MW_OK);
	CHECK(strcmp(mac, mac_of_text) == 0);
	mw_link_key_close(k);
}

TEST(one_spelling_of_one_mac_is_genuine)
{
	struct mw_link_key *k;
	char mac[MW_MAC_TEXT_LEN + 1];
	CHECK(opens("one", KEY, 0600, &k));
	CHECK(mw_link_key_sign(k, MW_SPAN("text"), mac) == MW_OK);
	struct mw_span whole = {(const uint8_t *)mac, MW_MAC_TEXT_LEN};
	CHECK(mw_link_key_is_genuine(k, MW_SPAN("text"), whole));
	CHECK(!mw_link_key_is_genuine(k, MW_SPAN("texu"), whole));
	CHECK(!mw_link_key_is_genuine(k, MW_SPAN(""), whole));
	for (size_t i = 0; i < MW_MAC_TEXT_LEN; i++) {
		for (int c = 0; c < 256; c++) {
			char before = mac[i];
			if (c == (uint8_t)before)
				continue;
			mac[i] = (char)c;
			CHECK(!mw_link_key_is_genuine(k, MW_SPAN("text"), whole));
			mac[i] = before;
		}
		CHECK(!mw_link_key_is_genuine(k, MW_SPAN("text"), (struct mw_span){whole.at, i}));
	}
	mw_link_key_close(k);
}

TEST(what_is_no_key_is_refused_and_not_quoted)
{
	struct mw_link_key *k = NULL;
	CHECK(!opens("short", "canary1234", 0600, &k) && error.code == MW_BAD_MASTER_KEY);
	CHECK(strstr(error.detail, "link key") && !strstr(error.detail, "canary"));
	CHECK(!opens("zeros", "0000000000000000000000000000000000000000000000000000000000000000", 0600, &k));
	CHECK(!opens("open", KEY, 0644, &k) && error.code == MW_IO);
	unsetenv("CREDENTIALS_DIRECTORY");
	CHECK(mw_link_key_open(NULL, &k, &error) == MW_BAD_MASTER_KEY);
	CHECK(k == NULL);
	mw_link_key_close(NULL);
}

TEST(the_credential_is_found)
{
	struct mw_link_key *k;
	CHECK(opens("moonweir-link-key", KEY, 0400, &k));
	mw_link_key_close(k);
	setenv("CREDENTIALS_DIRECTORY", folder(), 1);
	CHECK(mw_link_key_open(NULL, &k, &error) == MW_OK);
	mw_link_key_close(k);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* There the key is zeros, which anybody can sign with. */
TEST(a_child_process_signs_nothing_and_believes_nothing)
{
	struct mw_link_key *k;
	char mac[MW_MAC_TEXT_LEN + 1];
	CHECK(opens("parent", KEY, 0600, &k));
	CHECK(mw_link_key_sign(k, MW_SPAN("text"), mac) == MW_OK);
	pid_t child = fork();
	if (child == 0) {
		char own[MW_MAC_TEXT_LEN + 1];
		struct mw_span whole = {(const uint8_t *)mac, MW_MAC_TEXT_LEN};
		bool refused = mw_link_key_sign(k, MW_SPAN("text"), own) == MW_FORKED &&
			       !mw_link_key_is_genuine(k, MW_SPAN("text"), whole);
		mw_link_key_close(k);
		_exit(refused ? 0 : 1);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mw_link_key_close(k);
}

int main(void)
{
	RUN(the_mac_is_the_one_that_others_make);
	RUN(one_spelling_of_one_mac_is_genuine);
	RUN(what_is_no_key_is_refused_and_not_quoted);
	RUN(the_credential_is_found);
	RUN(a_child_process_signs_nothing_and_believes_nothing);
	return CHECK_END();
}
