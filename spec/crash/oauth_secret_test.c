/* A private key and the tokens that it gets go to Segment and nowhere else: not to the output, the spool, the
 * reports or what /proc tells, and not into a core file that is written while a token is asked for.
 */
#include "../../csrc/io/private.h"
#include "../../csrc/io/vault_app.h"
#include "../c/folder.h"
#include "../c/rig.h"
#include "core_file.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { FORMS_MAX = 256, FORM_LEN = 20, TOKEN_LEN = 22 };

/* As the mock server begins its tokens. Made when it is needed, as it must not lie in this program. */
static void make_token(char token[TOKEN_LEN + 1])
{
	static const char shifted[] = "npdl.uplfo.pg.tjyuffo.";
	for (size_t i = 0; i < TOKEN_LEN; i++)
		token[i] = (char)(shifted[i] - 1);
	token[TOKEN_LEN] = '\0';
}

struct forms {
	uint8_t bytes[FORMS_MAX][FORM_LEN];
	size_t count;
};

static void add_form(struct forms *f, const void *bytes)
{
	if (f->count < FORMS_MAX)
		memcpy(f->bytes[f->count++], bytes, FORM_LEN);
}

/* A number as DER has it, and as OpenSSL keeps it, at three places each. */
static void add_number(struct forms *f, EVP_PKEY *key, const char *name)
{
	uint8_t big[1024], little[1024];
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
		abort();
	int len = BN_num_bytes(n);
	BN_bn2binpad(n, big, len);
	BN_bn2lebinpad(n, little, len);
	for (int at = 4; at + FORM_LEN <= len; at += (len - FORM_LEN) / 3) {
		add_form(f, big + at);
		add_form(f, little + at);
	}
	BN_free(n);
}

/* Every form of the key in this file, and of the token. Only for the process that looks. */
static void make_forms(struct forms *f, const char *pem)
{
	static const char *const names[] = {OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
					    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
					    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
	char line[200], token[TOKEN_LEN + 1];
	FILE *file = fopen(pem, "r");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	if (!key)
		abort();
	f->count = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		add_number(f, key, names[i]);
	EVP_PKEY_free(key);
	rewind(file);
	/* Of PKCS#8 the first seven lines are the head and the public half. */
	for (int i = 0; fgets(line, sizeof line, file); i++)
		if (i > 7 && strlen(line) > 60)
			add_form(f, line + 8);
	fclose(file);
	make_token(token);
	add_form(f, token);
}

/* Tells where it is, if one is there. */
static bool holds_secret(const char *path, const struct forms *f, bool quiet)
{
	bool found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t cap = 1 << 20, len = 0;
	char *all = malloc(cap);
	for (ssize_t n; fd >= 0 && all && (n = read(fd, all + len, cap - len)) > 0;) {
		len += (size_t)n;
		if (len == cap)
			all = realloc(all, cap *= 2);
	}
	for (size_t i = 0; all && i < f->count; i++) {
		const char *at = memmem(all, len, f->bytes[i], FORM_LEN);
		if (!at)
			continue;
		if (!quiet)
			fprintf(stderr, "%s holds form %zu of %zu at %td of %zu\n", path, i, f->count,
				at - all, len);
		found = true;
	}
	free(all);
	if (fd >= 0)
		close(fd);
	return found;
}

static struct forms forms;
static unsigned files_looked_at;
static bool found_in_files;

static int look_at_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind == FTW_F) {
		files_looked_at++;
		found_in_files |= holds_secret(path, &forms, false);
	}
	return 0;
}

static void print_report(void *context, const struct mw_report *r)
{
	(void)context;
	printf("%.*s: %d %d %.*s %.*s\n", (int)r->account.len, r->account.at, r->outcome, r->status,
	       (int)r->answer.len, r->answer.at, (int)r->message.len, r->message.at);
}

static void print_state(struct mw_engine *g)
{
	struct mw_engine_lane lanes[16];
	size_t n = mw_engine_lanes(g, lanes, 16);
	for (size_t i = 0; i < n; i++)
		printf("%s: %d %s\n", lanes[i].account, lanes[i].last_status, lanes[i].last_error);
	while (mw_engine_poll(g, 100, print_report, NULL) > 0)
		continue;
}

/* As whoever takes a key from a file does it: locked memory, wiped behind. */
static bool save(struct mw_vault *v, const char *pem, const char *server)
{
	struct mw_error e = {.code = MW_OK};
	size_t len;
	uint8_t *room = sodium_malloc(MW_RSA_PEM_MAX);
	struct mw_app_change c = {
	    .client_id = MW_SPAN("client"), .key_id = MW_SPAN("kid"), .token_server = span(server)};
	bool ok = room && mw_private_read(pem, 0, room, MW_RSA_PEM_MAX, &len, &e) == MW_OK;
	if (ok) {
		c.private_key = (struct mw_span){room, len};
		ok = mw_vault_app_set(v, MW_SPAN("app"), &c, &e) == MW_OK;
		/* One that is damaged: what is said of it holds nothing of it. */
		room[len / 2] = '!';
		ok = ok && mw_vault_app_set(v, MW_SPAN("app"), &c, &e) == MW_BAD_KEY;
	}
	printf("%s\n", e.detail);
	sodium_free(room);
	struct mw_account_change a = {.write_key = MW_SPAN("not-what-is-looked-for"), .app = MW_SPAN("app")};
	return ok && mw_vault_set(v, MW_SPAN("acme"), &a, &e) == MW_OK;
}

static bool send_one(struct mw_engine *g, struct mw_outbox *box)
{
	mw_outbox_clear(box);
	return box_add(box, "acme", "id", 200, 1) && mw_engine_push(g, box) == MW_OK;
}

/* mock_script leaves what it sent on its stack: that is the test's doing, not the engine's. */
__attribute__((noinline)) static void wipe_stack(void)
{
	volatile char deep[16384];
	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = 0;
}

/* Each answer repeats the token that it was asked with: the one of this number. */
static bool script(const struct mock *m, const char *lines, int number)
{
	char token[TOKEN_LEN + 1];
	make_token(token);
	bool ok = mock_script(m, "reset\nbearer\nbody is %s%d it\n%s", token, number, lines);
	sodium_memzero(token, sizeof token);
	wipe_stack();
	return ok;
}

/* Tokens that are taken, refused, not given; then one that is asked for and does not come. */
static void play(const struct mock *m, const char *pem, const char *master, int ready)
{
	static struct mw_spool_config spool;
	struct mw_engine_config config = rig_config();
	struct mw_engine *g = NULL;
	struct mw_error e = {.code = MW_OK};
	struct mw_state *state = NULL;
	struct mw_vault *vault = NULL;
	struct mw_outbox box;
	mw_outbox_init(&box, 1 << 20);
	spool = (struct mw_spool_config){.dir = folder_path("spool")};
	config.spool = &spool;
	config.master_key_file = master;
	config.report_delivered = true;
	bool ok = mw_endpoint_parse(span(m->url), &config.endpoint, &e) == MW_OK &&
		  mw_engine_open(&config, &g, &e) == MW_OK &&
		  mw_state_open(spool.dir, 0, &state, &e) == MW_OK &&
		  mw_vault_open(state, master, &vault, &e) == MW_OK && save(vault, pem, m->url);
	static const char *const scripts[] = {"status 200", "void-tokens", "status 400", "status 500"};
	for (unsigned i = 0; ok && i < sizeof scripts / sizeof *scripts; i++) {
		ok = script(m, scripts[i], i == 0 ? 1 : 2) && send_one(g, &box) &&
		     mw_engine_flush(g, RIG_PATIENCE_MS) == MW_OK;
		print_state(g);
	}
	/* Saved anew, it is asked for anew. */
	ok = ok && script(m, "token-status 503\ntoken-stall", 2) && save(vault, pem, m->url);
	struct mw_engine_stats s = {.token_requests = 0};
	struct mw_engine_lane lane = {.account_len = 0};
	if (ok)
		RIG_UNTIL(send_one(g, &box) && mw_engine_lanes(g, &lane, 1) == 1 && lane.awaits_token &&
			  mw_engine_stats(g, &s) == MW_OK && s.token_requests >= 4);
	print_state(g);
	fflush(stdout);
	wipe_stack();
	if (write(ready, ok && lane.awaits_token ? "y" : "n", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start(const struct mock *m, const char *dir, const char *pem, const char *master, char *answer)
{
	int ready[2];
	fflush(stdout);
	pid_t pid = pipe2(ready, O_CLOEXEC) == 0 ? fork() : -1;
	if (pid == 0) {
		const struct rlimit whole = {RLIM_INFINITY, RLIM_INFINITY};
		char output[300];
		snprintf(output, sizeof output, "%s/output", dir);
		int fd = open(output, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		setrlimit(RLIMIT_CORE, &whole);
		if (fd < 0 || chdir(dir) != 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
			_exit(1);
		play(m, pem, master, ready[1]);
	}
	close(ready[1]);
	*answer = 'n';
	if (pid < 0 || read(ready[0], answer, 1) != 1)
		*answer = 'n';
	close(ready[0]);
	return pid;
}

TEST(a_private_key_and_its_tokens_are_nowhere_but_on_their_way)
{
	char dir[256], outside[64], pem[100], master[100], path[300], command[400], answer;
	struct mw_error e;
	struct mock m = mock_start(NULL, NULL);
	mock_folder(outside);
	snprintf(pem, sizeof pem, "%s/key.pem", outside);
	snprintf(master, sizeof master, "%s/master", outside);
	snprintf(command, sizeof command,
		 "umask 077; openssl genpkey -quiet -algorithm RSA -out %s 2>/dev/null || "
		 "openssl genpkey -algorithm RSA -out %s 2>/dev/null",
		 pem, pem);
	snprintf(dir, sizeof dir, "%s", folder_path("crash"));
	CHECK(system(command) == 0 && mw_master_key_create(master, &e) == MW_OK && mkdir(dir, 0700) == 0);
	pid_t pid = start(&m, dir, pem, master, &answer);
	make_forms(&forms, pem);
	bool found = false;
	static const char *const files[] = {"cmdline", "environ", "status", "maps", "comm", "stat"};
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
		found |= holds_secret(path, &forms, false);
	}
	kill(pid, SIGABRT);
	int status;
	waitpid(pid, &status, 0);
	/* What is looked for is there to be found. */
	snprintf(path, sizeof path, "%s/heads", m.folder);
	bool sent = holds_secret(path, &forms, true) && holds_secret(pem, &forms, true);
	mock_stop(&m);
	mock_remove_folder(outside);
	find_core(dir, path);
	bool dumped = WIFSIGNALED(status) && WCOREDUMP(status) && path[0];
	if (!dumped)
		printf("SKIPPED: core files are not written into the directory of the process here\n");
	nftw(folder(), look_at_file, 8, FTW_PHYS);
	printf("%u files looked at for %zu forms%s\n", files_looked_at, forms.count,
	       dumped ? ", a core file among them" : "");
	snprintf(path, sizeof path, "%s/output", dir);
	if (answer != 'y') {
		snprintf(command, sizeof command, "cat %.200s >&2", path);
		(void)!system(command);
	}
	CHECK(answer == 'y' && sent && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(files_looked_at >= 3);
	CHECK(!found && !found_in_files);
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	if (sodium_init() < 0)
		return 2;
	folder();
	RUN(a_private_key_and_its_tokens_are_nowhere_but_on_their_way);
	return CHECK_END();
}
