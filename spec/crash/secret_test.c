/* A write key goes to Segment and nowhere else: not to the output, the spool, the reports or what /proc
 * tells, and not into a core file that is written in the middle of a request.
 */
#include "../c/folder.h"
#include "../c/rig.h"
#include "core_file.h"

#include <ctype.h>
#include <limits.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { KEY_LEN = 32, FORMS_MAX = 16, FORM_LEN = 16 };

/* Made when it is needed and wiped after, as it must not lie in this program either. */
static void make_key(char key[KEY_LEN + 1])
{
	for (unsigned i = 0; i < KEY_LEN; i++)
		key[i] = (char)('A' + (i * i * 7 + 5 * i + 3) % 26);
	key[KEY_LEN] = '\0';
}

struct forms {
	char text[FORMS_MAX][FORM_LEN + 1];
	unsigned count;
};

static void add_form(struct forms *f, const char *text)
{
	memcpy(f->text[f->count++], text, FORM_LEN);
}

/* The key as it may appear: plain, hex in both cases, base64 at each of its three positions. */
static void make_forms(struct forms *f)
{
	char key[KEY_LEN + 1], hex[2 * KEY_LEN + 1], base64[64];
	f->count = 0;
	make_key(key);
	add_form(f, key);
	add_form(f, key + KEY_LEN - FORM_LEN);
	sodium_bin2hex(hex, sizeof hex, (const unsigned char *)key, KEY_LEN);
	add_form(f, hex);
	for (char *at = hex; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	add_form(f, hex);
	for (unsigned skip = 0; skip < 3; skip++) {
		sodium_bin2base64(base64, sizeof base64, (const unsigned char *)key + skip, KEY_LEN - skip,
				  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
		add_form(f, base64);
	}
}

/* Tells where it is, if it is there. */
static bool holds_key(const char *path)
{
	struct forms f;
	bool found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t cap = 1 << 20, len = 0;
	char *all = malloc(cap);
	for (ssize_t n; fd >= 0 && all && (n = read(fd, all + len, cap - len)) > 0;) {
		len += (size_t)n;
		if (len == cap)
			all = realloc(all, cap *= 2);
	}
	make_forms(&f);
	for (unsigned i = 0; all && i < f.count; i++) {
		const char *at = memmem(all, len, f.text[i], FORM_LEN);
		if (!at)
			continue;
		fprintf(stderr, "%s holds the key in form %u at %td of %zu\n", path, i, at - all, len);
		found = true;
	}
	free(all);
	close(fd);
	return found;
}

static unsigned files_looked_at;
static bool found_in_files;

static int look_at_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind == FTW_F) {
		files_looked_at++;
		found_in_files |= holds_key(path);
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

/* mock_script leaves what it sent on its stack: that is the test's doing, not the engine's. */
__attribute__((noinline)) static void wipe_stack(void)
{
	volatile char deep[16384];
	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = 0;
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
		print_state(g);
	}
	ok = ok && mock_script(m, "reset\nalways 401") && send_one(g, &box, "parked") &&
	     mw_engine_flush(g, RIG_PATIENCE_MS) == MW_PARKED;
	print_state(g);
	ok = ok && mock_script(m, "reset\nstall") && send_one(g, &box, "stalled");
	struct mw_engine_stats s = {.reports_lost = 0};
	if (ok)
		RIG_UNTIL(mw_engine_stats(g, &s) == MW_OK && s.weir.requests >= 8 &&
			  s.weir.counts.in_flight > 0);
	print_state(g);
	fflush(stdout);
	wipe_stack();
	if (write(ready, ok && s.weir.counts.in_flight > 0 ? "y" : "n", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start(const struct mock *m, const char *dir, char *answer)
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
		play(m, ready[1]);
	}
	close(ready[1]);
	*answer = 'n';
	if (pid < 0 || read(ready[0], answer, 1) != 1)
		*answer = 'n';
	close(ready[0]);
	return pid;
}

TEST(a_write_key_is_nowhere_but_on_its_way)
{
	char dir[256], path[300], answer;
	struct mock m = mock_start(NULL, NULL);
	snprintf(dir, sizeof dir, "%s", folder_path("crash"));
	CHECK(mkdir(dir, 0700) == 0);
	pid_t pid = start(&m, dir, &answer);
	bool found = false;
	static const char *const files[] = {"cmdline", "environ", "status", "maps", "comm", "stat"};
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, files[i]);
		found |= holds_key(path);
	}
	kill(pid, SIGABRT);
	int status;
	waitpid(pid, &status, 0);
	/* What was sent is what was meant. */
	snprintf(path, sizeof path, "%s/bodies", m.folder);
	fprintf(stderr, "(as it should be: ");
	bool sent = holds_key(path);
	fprintf(stderr, ")\n");
	mock_stop(&m);
	find_core(dir, path);
	bool dumped = WIFSIGNALED(status) && WCOREDUMP(status) && path[0];
	if (!dumped)
		printf("SKIPPED: core files are not written into the directory of the process here\n");
	nftw(folder(), look_at_file, 8, FTW_PHYS);
	printf("%u files looked at%s\n", files_looked_at, dumped ? ", a core file among them" : "");
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
	RUN(a_write_key_is_nowhere_but_on_its_way);
	return CHECK_END();
}
