/* A write key goes to Segment and nowhere else: not to the output, the spool, the reports or what /proc
 * tells, and not into a core file that is written in the middle of a request.
 */
#include "secret_rig.h"

#include <ctype.h>
#include <limits.h>
#include <sodium.h>

enum { KEY_LEN = 32 };

/* Made when it is needed and wiped after, as it must not lie in this program either. */
static void make_key(char key[KEY_LEN + 1])
{
	for (unsigned i = 0; i < KEY_LEN; i++)
		key[i] = (char)('A' + (i * i * 7 + 5 * i + 3) % 26);
	key[KEY_LEN] = '\0';
}

/* The key as it may appear: plain, hex in both cases, base64 at each of its three positions. */
static void make_forms(struct secret_forms *f)
{
	char key[KEY_LEN + 1], hex[2 * KEY_LEN + 1], base64[64];
	f->count = 0;
	make_key(key);
	secret_add(f, key);
	secret_add(f, key + KEY_LEN - SECRET_FORM_LEN);
	sodium_bin2hex(hex, sizeof hex, (const unsigned char *)key, KEY_LEN);
	secret_add(f, hex);
	for (char *at = hex; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	secret_add(f, hex);
	for (unsigned skip = 0; skip < 3; skip++) {
		sodium_bin2base64(base64, sizeof base64, (const unsigned char *)key + skip, KEY_LEN - skip,
				  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
		secret_add(f, base64);
	}
}

static bool set_key(struct mw_engine *g)
{
	struct mw_error e = {.code = MW_OK};
	char key[KEY_LEN + 1], bad[KEY_LEN + 2];
	make_key(key);
	snprintf(bad, sizeof bad, "%s!", key);
	bool ok = mw_engine_set_key(g, MW_SPAN(""), span(key), NULL, &e) == MW_OK;
	ok = ok && mw_engine_set_key(g, MW_SPAN("other"), span(bad), NULL, &e) == MW_BAD_KEY;
	printf("%s\n", e.detail);
	sodium_memzero(key, sizeof key);
	sodium_memzero(bad, sizeof bad);
	return ok;
}

static bool send_one(struct mw_engine *g, struct mw_outbox *box, const char *account)
{
	mw_outbox_clear(box);
	return box_add(box, account, account, 200, 1) && mw_engine_push(g, box) == MW_OK;
}

/* Every kind of answer, the key among the words of some; then a request without one. Stays until it is ended.
 */
static void play(const struct mock *m, int ready)
{
	static struct mw_spool_config spool;
	struct mw_engine_config config = rig_config();
	struct mw_engine *g = NULL;
	struct mw_error e = {.code = MW_OK};
	struct mw_outbox box;
	char key[KEY_LEN + 1];
	mw_outbox_init(&box, 1 << 20);
	spool = (struct mw_spool_config){.dir = folder_path("spool")};
	config.spool = &spool;
	config.report_delivered = true;
	bool ok = mw_endpoint_parse(span(m->url), &config.endpoint, &e) == MW_OK &&
		  mw_engine_open(&config, &g, &e) == MW_OK && set_key(g);
	static const char *const statuses[] = {"200", "400", "404", "500", "429"};
	for (unsigned i = 0; ok && i < sizeof statuses / sizeof *statuses; i++) {
		make_key(key);
		ok = mock_script(m, "reset\nbody no such key %s here\nstatus %s", key, statuses[i]);
		sodium_memzero(key, sizeof key);
		ok = ok && send_one(g, &box, statuses[i]) && mw_engine_flush(g, RIG_PATIENCE_MS) == MW_OK;
		secret_print_state(g);
	}
	ok = ok && mock_script(m, "reset\nalways 401") && send_one(g, &box, "parked") &&
	     mw_engine_flush(g, RIG_PATIENCE_MS) == MW_PARKED;
	secret_print_state(g);
	ok = ok && mock_script(m, "reset\nstall") && send_one(g, &box, "stalled");
	struct mw_engine_stats s = {.reports_lost = 0};
	if (ok)
		RIG_UNTIL(mw_engine_stats(g, &s) == MW_OK && s.weir.requests >= 8 &&
			  s.weir.counts.in_flight > 0);
	secret_print_state(g);
	secret_stay(ready, ok && s.weir.counts.in_flight > 0);
}

TEST(a_write_key_is_nowhere_but_on_its_way)
{
	char dir[256], path[300], answer;
	struct mock m = mock_start(NULL, NULL);
	snprintf(dir, sizeof dir, "%s", folder_path("crash"));
	CHECK(mkdir(dir, 0700) == 0);
	pid_t pid = secret_start(play, &m, dir, &answer);
	struct secret_forms forms; /* only now, when the other is apart from this process */
	make_forms(&forms);
	bool found = secret_found_in_process(pid, &forms);
	int status;
	bool dumped = secret_end(pid, dir, &status);
	/* What was sent is what was meant. */
	snprintf(path, sizeof path, "%s/bodies", m.folder);
	bool sent = secret_found(path, &forms, true);
	mock_stop(&m);
	found |= secret_found_in_files(&forms, dumped);
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
	RUN(a_write_key_is_nowhere_but_on_its_way);
	return CHECK_END();
}
