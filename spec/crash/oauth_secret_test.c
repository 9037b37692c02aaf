/* A private key and the tokens that it gets go to Segment and nowhere else: not to the output, the spool, the
 * reports or what /proc tells, and not into a core file that is written while a token is asked for.
 */
#include "../../csrc/io/private.h"
#include "../../csrc/io/vault_app.h"
#include "secret_rig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

enum { TOKEN_LEN = 22 };

/* As the mock server begins its tokens. Made when it is needed, as it must not lie in this program. */
static void make_token(char token[TOKEN_LEN + 1])
{
	static const char shifted[] = "npdl.uplfo.pg.tjyuffo.";
	for (size_t i = 0; i < TOKEN_LEN; i++)
		token[i] = (char)(shifted[i] - 1);
	token[TOKEN_LEN] = '\0';
}

/* A number as DER has it, and as OpenSSL keeps it, at three places each. */
static void add_number(struct secret_forms *f, EVP_PKEY *key, const char *name)
{
	uint8_t big[1024], little[1024];
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
		abort();
	int len = BN_num_bytes(n);
	BN_bn2binpad(n, big, len);
	BN_bn2lebinpad(n, little, len);
	for (int at = 4; at + SECRET_FORM_LEN <= len; at += (len - SECRET_FORM_LEN) / 3) {
		secret_add(f, big + at);
		secret_add(f, little + at);
	}
	BN_free(n);
}

/* Every form of the key in this file, and of the token. Only for the process that looks. */
static void make_forms(struct secret_forms *f, const char *pem)
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
			secret_add(f, line + 8);
	fclose(file);
	make_token(token);
	secret_add(f, token);
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

/* Each answer repeats the token that it was asked with: the one of this number. */
static bool script(const struct mock *m, const char *lines, int number)
{
	char token[TOKEN_LEN + 1];
	make_token(token);
	bool ok = mock_script(m, "reset\nbearer\nbody is %s%d it\n%s", token, number, lines);
	sodium_memzero(token, sizeof token);
	secret_wipe_stack();
	return ok;
}

/* The files of the private key and the master key. */
static char pem[100], master[100];

/* Tokens that are taken, refused, not given; then one that is asked for and does not come. */
static void play(const struct mock *m, int ready)
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
		secret_print_state(g);
	}
	/* Saved anew, it is asked for anew. */
	ok = ok && script(m, "token-status 503\ntoken-stall", 2) && save(vault, pem, m->url);
	struct mw_engine_stats s = {.token_requests = 0};
	struct mw_engine_lane lane = {.account_len = 0};
	if (ok)
		RIG_UNTIL(send_one(g, &box) && mw_engine_lanes(g, &lane, 1) == 1 && lane.awaits_token &&
			  mw_engine_stats(g, &s) == MW_OK && s.token_requests >= 4);
	secret_print_state(g);
	secret_stay(ready, ok && lane.awaits_token);
}

TEST(a_private_key_and_its_tokens_are_nowhere_but_on_their_way)
{
	char dir[256], outside[64], path[300], command[400], answer;
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
	pid_t pid = secret_start(play, &m, dir, &answer);
	struct secret_forms forms;
	make_forms(&forms, pem);
	bool found = secret_found_in_process(pid, &forms);
	int status;
	bool dumped = secret_end(pid, dir, &status);
	/* What is looked for is there to be found. */
	snprintf(path, sizeof path, "%s/heads", m.folder);
	bool sent = secret_found(path, &forms, true) && secret_found(pem, &forms, true);
	mock_stop(&m);
	mock_remove_folder(outside);
	found |= secret_found_in_files(&forms, dumped);
	snprintf(path, sizeof path, "%s/output", dir);
	if (answer != 'y') {
		snprintf(command, sizeof command, "cat %.200s >&2", path);
		(void)!system(command);
	}
	CHECK(answer == 'y' && sent && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(secret_files >= 3);
	CHECK(!found);
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
