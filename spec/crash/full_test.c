/* A disk that is really full: a small tmpfs, in a mount namespace of the test's own. Needs to be root, and
 * says so. */
#include "ledger.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

enum { DISK_MB = 12, BALLAST_MB = 5, CHUNK = 200 };

static struct ledger *books;
static struct mock server;

struct scene {
	struct ledger *b;
	struct mw_engine *g;
	struct mw_outbox box;
	struct mw_error e;
	uint64_t random;
	uint32_t first[LEDGER_ACCOUNTS];
};

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, s->e.detail);    \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)

static void write_ballast(const struct scene *s, char path[300])
{
	static char zeros[1 << 20];
	snprintf(path, 300, "%s/ballast", s->b->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < BALLAST_MB; i++)
		MUST(write(fd, zeros, sizeof zeros) == sizeof zeros);
	close(fd);
}

static void open_scene(struct scene *s)
{
	s->g = ledger_open(s->b, ledger_config(s->b), &s->e);
	MUST(s->g);
	for (unsigned i = 0; i < LEDGER_ACCOUNTS; i++)
		s->first[i] = atomic_load(&s->b->lanes[i].next);
}

/* Without a key nothing leaves. Until the disk is full and nothing more fits in front of it either. */
static void fill(struct scene *s)
{
	enum mw_err pushed = MW_OK, synced = MW_OK;
	for (int64_t deadline = monotonic_ms() + RIG_PATIENCE_MS; monotonic_ms() < deadline;) {
		pushed = ledger_push(s->b, s->g, &s->box, &s->random, CHUNK);
		MUST(pushed == MW_OK || pushed == MW_FULL);
		if (synced == MW_OK)
			synced = mw_engine_sync(s->g, pushed == MW_OK ? 50 : 1000, &s->e);
		if (synced == MW_OK)
			synced = ledger_sync(s->b, s->g, s->first, &s->e);
		MUST(synced == MW_OK || synced == MW_FULL || synced == MW_TIMEOUT);
		if (pushed == MW_FULL && synced == MW_FULL)
			break;
		if (synced == MW_TIMEOUT || pushed == MW_FULL)
			synced = MW_OK;
	}
	MUST(pushed == MW_FULL && synced == MW_FULL && strstr(s->e.detail, "disk"));
	struct mw_engine_stats st;
	MUST(mw_engine_stats(s->g, &st) == MW_OK && stats_add_up(&st.weir.counts));
	MUST(mw_engine_wait_room(s->g, CHUNK * 1000, 10) == MW_TIMEOUT);
}

static void give_key(struct scene *s)
{
	MUST(mw_engine_set_key(s->g, MW_SPAN(""), MW_SPAN("key"), NULL, &s->e) == MW_OK);
}

static void takes_more(struct scene *s)
{
	MUST(ledger_sync(s->b, s->g, s->first, &s->e) == MW_OK);
	MUST(mw_engine_wait_room(s->g, CHUNK * 1000, RIG_PATIENCE_MS) == MW_OK);
	MUST(ledger_push(s->b, s->g, &s->box, &s->random, CHUNK) == MW_OK);
	MUST(ledger_sync(s->b, s->g, s->first, &s->e) == MW_OK);
}

static void drains_though_it_is_full(struct scene *s)
{
	open_scene(s);
	fill(s);
	give_key(s);
	takes_more(s);
	MUST(mw_engine_flush(s->g, RIG_PATIENCE_MS) == MW_OK);
	MUST(mw_engine_close(s->g, RIG_PATIENCE_MS, &s->e) == MW_OK);
	mw_engine_free(s->g);
}

static void goes_on_when_there_is_room(struct scene *s)
{
	char ballast[300];
	write_ballast(s, ballast);
	open_scene(s);
	fill(s);
	MUST(unlink(ballast) == 0);
	takes_more(s);
	mw_engine_close(s->g, 0, NULL);
	mw_engine_free(s->g);
}

/* Dies when it is full; the next process finds a full disk as well. */
static void is_opened_full(struct scene *s)
{
	pid_t pid = fork();
	int status;
	if (pid == 0) {
		open_scene(s);
		fill(s);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
}

static void one_refusal_and_then_none(struct scene *s)
{
	/* As long as nothing was promised nothing is lost: a spool without room to begin is refused. */
	char path[300];
	snprintf(path, sizeof path, "%s/all", s->b->dir);
	static char zeros[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, zeros, sizeof zeros) > 0)
		continue;
	close(fd);
	s->g = ledger_open(s->b, ledger_config(s->b), &s->e);
	MUST(!s->g && (s->e.code == MW_FULL || s->e.code == MW_IO) && strlen(s->e.detail) > 10);
	MUST(unlink(path) == 0);
	open_scene(s);
	give_key(s);
	takes_more(s);
	MUST(mw_engine_close(s->g, RIG_PATIENCE_MS, &s->e) == MW_OK);
	mw_engine_free(s->g);
}

/* In a process with a small disk of its own; 77: there can be none. */
static int on_a_small_disk(void (*play)(struct scene *s))
{
	char options[64];
	struct ledger *b = books;
	ledger_begin(b, &server);
	snprintf(options, sizeof options, "size=%dm,mode=0700", DISK_MB);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mkdir(b->dir, 0700) != 0 || mount("tmpfs", b->dir, "tmpfs", 0, options) != 0)
		return 77;
	struct scene s = {.b = b, .random = b->history};
	mw_outbox_init(&s.box, 64u << 20);
	if (!mock_script(&server, "reset\nmarker POISON") || !ledger_before(b))
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(600);
		play(&s);
		_exit(0);
	}
	int status;
	bool fine = waitpid(pid, &status, 0) == pid && status == 0 && ledger_after(b);
	return ledger_finish(b, &server) && fine ? 0 : 1;
}

static bool passes(void (*play)(struct scene *s))
{
	int status;
	ledger_histories++;
	pid_t pid = fork();
	if (pid == 0)
		_exit(on_a_small_disk(play));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return false;
	rmdir(folder_path("h1"));
	if (WEXITSTATUS(status) == 77)
		printf("SKIPPED: a small disk is made in a mount namespace, which only root may have\n");
	return WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77;
}

TEST(a_full_disk_still_drains)
{
	CHECK(passes(drains_though_it_is_full));
}

TEST(a_disk_that_was_full_goes_on_when_there_is_room)
{
	CHECK(passes(goes_on_when_there_is_room));
}

TEST(a_spool_on_a_full_disk_opens_and_drains)
{
	CHECK(passes(is_opened_full));
}

TEST(a_spool_that_cannot_begin_is_refused)
{
	CHECK(passes(one_refusal_and_then_none));
}

int main(int argc, char **argv)
{
	mock_main(argc, argv);
	books = ledger_new();
	server = mock_start(NULL, NULL);
	folder();
	RUN(a_full_disk_still_drains);
	RUN(a_disk_that_was_full_goes_on_when_there_is_room);
	RUN(a_spool_on_a_full_disk_opens_and_drains);
	RUN(a_spool_that_cannot_begin_is_refused);
	mock_stop(&server);
	return CHECK_END();
}
