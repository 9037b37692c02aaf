/* The power goes at any moment, and the disk keeps any part of what was not synced (power_disk.h): what a
 * commit said MW_OK of is there.
 *
 *     MW_TRIALS=1000000 build/test/power_loss_test      more power cuts than the usual 10,000
 *
 * A history is a spool's life of some twenty commits, its system calls logged. Each gives many images of a
 * disk after a power cut; on each the spool is opened and must be as after one of the commits: the last that
 * returned or the one under way, whole. Then it has to work. The next history may go on from such an image,
 * or from what a process finds after the one before it was killed, with writes still pending.
 *
 * LMDB without its syncs must lose something, or all this would prove nothing.
 */
#include "power_calls.h"
#include "spool_rig.h"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

enum {
	ACCOUNTS = 3,
	NUMBERS = 400, /* messages of an account, at most */
	STATES = 64,
	IMAGES = 150,      /* of one history */
	OPENING_SYNCS = 9, /* as many as there are, or more */
	LINKS = 6,         /* histories that go on from each other */
	STEPS = 70,
	LIFE_AFTER = 255,
	CPU_S = 5, /* of a check: more means that it does not end */
};

struct lane_state {
	uint32_t head, tail, dead;
	uint8_t life[NUMBERS]; /* which life of the spool pushed it: one that was lost is pushed again,
				  different */
};

struct state {
	struct lane_state lanes[ACCOUNTS];
};

/* States are what commits make; moments are counts of logged changes. */
struct history {
	struct power_disk base;
	struct power_list log;
	struct state states[STATES];
	int64_t begun[STATES], ended[STATES]; /* INT64_MAX: it never did */
	int state_count;
	int lives;
	bool has_failed; /* a sync, which ended it */
};

static struct history history;
static char live_dir[256], image_dir[256];
static struct spool_rig rig;
static uint64_t syncs_failed, kills;

/* One seed, one run: the spool's secrets are none here. */
POWER_CALL void randombytes_buf(void *const bytes, const size_t len)
{
	memset(bytes, 7, len);
}

/* ---- messages */

static uint32_t mixed(uint32_t account, uint32_t number)
{
	uint32_t x = (account * 7919 + number + 1) * 2654435761u;
	return x ^ x >> 15;
}

static bool is_repeatable(uint32_t account, uint32_t number)
{
	return mixed(account, number) % 3 == 0;
}

static struct mw_span text_of(uint32_t account, uint32_t number, uint32_t life)
{
	static char text[32768];
	uint32_t x = mixed(account, number + 1000 * life);
	size_t len = x % 53 == 0   ? 16000 + x / 53 % 16000
		     : x % 17 == 0 ? 2000 + x / 17 % 6000
				   : 100 + x % 400;
	memset(text, 'a' + (int)(x / 64 % 26), len);
	int head = snprintf(text, sizeof text,
			    "{\"type\":\"track\",\"userId\":\"u\",\"messageId\":\"%u-%u-%u\",\"name\":\"",
			    account, number, life);
	text[head] = 'x';
	memcpy(text + len - 2, "\"}", 2);
	return (struct mw_span){(const uint8_t *)text, len};
}

static void push_text(struct spool_rig *r, uint32_t account, uint32_t number, uint32_t life)
{
	char name[8];
	snprintf(name, sizeof name, "a%u", account);
	rig_add(r, name, text_of(account, number, life), number,
		is_repeatable(account, number) ? MW_PARCEL_REPEATABLE : MW_PARCEL_MESSAGE);
}

static void push(struct spool_rig *r, struct state *s, uint32_t account, int life)
{
	struct lane_state *l = &s->lanes[account];
	if (l->tail == NUMBERS)
		return;
	l->life[l->tail] = (uint8_t)life;
	push_text(r, account, l->tail++, (uint32_t)life);
}

/* Once more what is known already: nothing may come of it. */
static void push_again(struct spool_rig *r, const struct state *s, uint32_t account, uint64_t *random)
{
	const struct lane_state *l = &s->lanes[account];
	uint32_t number = l->tail > 0 ? (uint32_t)(check_random(random) % l->tail) : 0;
	if (number < l->tail && is_repeatable(account, number))
		push_text(r, account, number, l->life[number]);
}

/* The batch under way has the lane's oldest messages, byte for byte. */
static bool batch_is_right(const struct spool_rig *r, const struct state *s, uint32_t account)
{
	const struct lane_state *l = &s->lanes[account];
	const uint8_t *at = r->batch.data, *end = at + r->batch.len;
	for (uint32_t i = 0; i < r->request.count; i++) {
		if (l->head + i >= l->tail)
			return false;
		struct mw_span text = text_of(account, l->head + i, l->life[l->head + i]);
		if ((size_t)(end - at) < text.len || memcmp(at, text.at, text.len) != 0)
			return false;
		at += text.len;
		if (i + 1 < r->request.count && *at++ != ',')
			return false;
	}
	return at == end;
}

static bool has_letters(uint64_t count)
{
	MDB_txn *txn;
	MDB_dbi dead;
	MDB_stat stat = {0};
	if (mdb_txn_begin(power_env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	bool ok = mdb_dbi_open(txn, "dead", 0, &dead) == 0 && mdb_stat(txn, dead, &stat) == 0;
	mdb_txn_abort(txn);
	return ok && stat.ms_entries == count;
}

/* The spool, just opened, is in this state. */
static bool is_in(const struct spool_rig *r, const struct state *s)
{
	uint64_t dead = 0;
	for (uint32_t a = 0; a < ACCOUNTS; a++) {
		const struct lane_state *l = &s->lanes[a];
		const char name[] = {'a', (char)('0' + a), '\0'};
		const struct mw_lane *lane = mw_weir_lane(r->weir, rig_span(name));
		const struct mw_counts none = {0}, *c = lane ? &lane->counts : &none;
		if (c->accepted != l->tail || c->queued != l->tail - l->head || c->dead != l->dead ||
		    c->delivered != l->head - l->dead)
			return false;
		dead += l->dead;
	}
	return has_letters(dead);
}

static uint32_t account_of(const struct spool_rig *r)
{
	return (uint32_t)r->request.lane->name[1] - '0';
}

/* ---- a history */

static void set_up_rig(struct spool_rig *r, const char *dir)
{
	static char spool_dir[300];
	snprintf(spool_dir, sizeof spool_dir, "%s/spool", dir);
	rig_init(r, "");
	r->config.dir = spool_dir;
	r->config.disk_max = MW_DISK_MIN;
	r->config.repeats_ms = 48 * 3600 * 1000;
	r->config.repeats_max = 256;
	r->weir_config.batch_messages = 3;
}

static struct state *add_state(struct history *h, const struct state *s, int64_t begun, int64_t ended)
{
	if (h->state_count == STATES)
		abort();
	h->begun[h->state_count] = begun;
	h->ended[h->state_count] = ended;
	h->states[h->state_count] = *s;
	return &h->states[h->state_count++];
}

static int64_t moment(const struct history *h)
{
	return (int64_t)h->log.count;
}

/* Of the next call's syncs, the n-th will fail; n 0: none. */
static void let_fail(int n, uint64_t *random)
{
	power_sync_to_fail = n;
	power_failure_seed = check_random(random);
}

static bool has_one_failed(struct history *h, int n)
{
	h->has_failed = n > 0 && power_sync_to_fail == 0;
	power_sync_to_fail = 0;
	syncs_failed += h->has_failed;
	return h->has_failed;
}

/* Which sync of an opening fails; mostly none. */
static int draw_opening(uint64_t *random)
{
	return check_random(random) % 32 == 0 ? 1 + (int)(check_random(random) % OPENING_SYNCS) : 0;
}

/* From here on nothing else than what was found may be there. */
static const char *open_live(struct spool_rig *r, struct history *h, int from, int failing, uint64_t *random)
{
	int64_t begun = moment(h);
	let_fail(failing, random);
	enum mw_err err = rig_open(r);
	if (has_one_failed(h, failing))
		return err == MW_IO ? NULL : "a sync failed and opening did not";
	if (err != MW_OK)
		return r->error.detail;
	h->lives++;
	for (int i = from; i < h->state_count; i++)
		if (is_in(r, &h->states[i])) {
			add_state(h, &h->states[i], begun, moment(h));
			return NULL;
		}
	return "opened in a state that it never was in";
}

static const char *send_one(struct spool_rig *r, struct state *s, uint64_t *random)
{
	if (rig_next(r) == 0)
		return NULL;
	uint32_t a = account_of(r);
	int status = (int[]){200, 200, 200, 404, 500}[check_random(random) % 5];
	if (!batch_is_right(r, s, a))
		return "sends other messages than were pushed";
	if (status != 500)
		s->lanes[a].head += r->request.count;
	if (status == 404)
		s->lanes[a].dead += r->request.count;
	rig_answer(r, status);
	r->now += status == 500 ? 100000 : 1;
	return NULL;
}

/* One sync of it may fail: then it is said, now and later. */
static const char *commit(struct spool_rig *r, struct history *h, const struct state *s, bool fails,
			  uint64_t *random)
{
	int failing = fails ? (int[]){1, 2, 2}[check_random(random) % 3] : 0;
	add_state(h, s, moment(h), INT64_MAX);
	let_fail(failing, random);
	enum mw_err err = rig_commit(r);
	if (has_one_failed(h, failing))
		return err == MW_IO && rig_commit(r) == MW_IO && rig_commit(r) == MW_IO
			   ? NULL
			   : "a sync failed and the commit did not";
	h->ended[h->state_count - 1] = moment(h);
	return err == MW_OK ? NULL : r->error.detail;
}

/* Which syncs fail. The first that does ends the history. */
struct faults {
	int opening;      /* of the first opening, counted from 1; 0: none */
	uint64_t commits; /* some of each commit's from this step on; STEPS: none */
};

static const char *live(struct spool_rig *r, struct history *h, struct faults f, uint64_t *random)
{
	const char *wrong = open_live(r, h, 0, f.opening, random);
	struct state now = h->states[h->state_count - 1];
	for (uint64_t step = 0; step < STEPS && !wrong && !h->has_failed; step++) {
		const struct state *committed = &h->states[h->state_count - 1];
		uint64_t what = check_random(random) % 100;
		uint32_t account = (uint32_t)(check_random(random) % ACCOUNTS);
		if (what < 40) {
			for (uint64_t n = check_random(random) % 4; n > 0; n--)
				push(r, &now, account, h->lives);
			if (what < 10)
				push_again(r, committed, account, random);
		} else if (what < 68) {
			/* A batch is of committed messages: the weir knows no others. */
			wrong = send_one(r, &now, random);
		} else if (what < 97) {
			wrong = commit(r, h, &now, step >= f.commits, random);
		} else {
			rig_close(r);
			wrong = open_live(r, h, h->state_count - 1, draw_opening(random), random);
			now = h->states[h->state_count - 1];
		}
	}
	return wrong;
}

static const char *record(struct history *h, struct faults f, uint64_t *random)
{
	set_up_rig(&rig, live_dir);
	h->log.count = 0;
	h->has_failed = false;
	power_write_tree(&h->base.cache, live_dir, random);
	power_record(&h->log, &h->base, live_dir);
	const char *wrong = live(&rig, h, f, random);
	rig_deinit(&rig);
	power_stop();
	return wrong;
}

/* ---- what the power left */

struct cut {
	int64_t moment; /* so many changes were done ... */
	bool is_inside; /* ... and the next had begun */
	uint64_t seed;
};

/* States that may be there after the cut. */
static int states_at(const struct history *h, const struct cut *c, const struct state *out[STATES])
{
	int count = 0, last = 0;
	for (int i = 0; i < h->state_count; i++)
		if (h->ended[i] <= c->moment)
			last = i;
	for (int i = last; i < h->state_count; i++)
		if (i == last || h->begun[i] < c->moment + c->is_inside)
			out[count++] = &h->states[i];
	return count;
}

/* Everything that is queued, in order. */
static const char *drain(struct spool_rig *r, struct state *s)
{
	for (int i = 0; rig_next(r) > 0; i++) {
		uint32_t a = account_of(r);
		if (!batch_is_right(r, s, a))
			return "other messages than were pushed";
		s->lanes[a].head += r->request.count;
		rig_answer(r, 200);
		if (i % 4 == 3 && rig_commit(r) != MW_OK)
			return r->error.detail;
	}
	if (rig_commit(r) != MW_OK)
		return r->error.detail;
	for (uint32_t a = 0; a < ACCOUNTS; a++)
		if (s->lanes[a].head != s->lanes[a].tail)
			return "messages that stay";
	return NULL;
}

static const char *use(struct spool_rig *r, const struct state *const states[], int count, uint64_t *random)
{
	const struct state *found = NULL;
	if (rig_open(r) != MW_OK)
		return r->error.detail;
	for (int i = 0; i < count && !found; i++)
		found = is_in(r, states[i]) ? states[i] : NULL;
	if (!found)
		return "not what was committed";
	static struct state now;
	now = *found;
	for (uint32_t a = 0; a < ACCOUNTS; a++) {
		push_again(r, found, a, random);
		for (uint64_t n = check_random(random) % 3; n > 0; n--)
			push(r, &now, a, LIFE_AFTER);
	}
	if (rig_commit(r) != MW_OK)
		return r->error.detail;
	const char *wrong = drain(r, &now);
	if (wrong || check_random(random) % 4)
		return wrong;
	rig_close(r);
	if (rig_open(r) != MW_OK)
		return r->error.detail;
	return is_in(r, &now) ? NULL : "not what was committed after the cut";
}

/* The disk as it was at the cut, and the change that was under way, if any. */
static const struct power_change *go_to(const struct history *h, struct power_disk *d, int64_t *at,
					const struct cut *c)
{
	while (*at < c->moment)
		power_disk_change(d, &h->log.changes[(*at)++]);
	return c->is_inside ? &h->log.changes[*at] : NULL;
}

/* What a checking process tells: shared, for it may crash. */
struct progress {
	int done, lost;
	char wrong[256]; /* of the first that was lost */
};

static void check_cuts(const struct history *h, const struct cut *cuts, int count, struct progress *p)
{
	static struct power_disk d;
	static struct power_tree image;
	const struct itimerval limit = {.it_value = {.tv_sec = CPU_S}};
	int64_t at = 0;
	power_disk_copy(&d, &h->base);
	for (; p->done < count; p->done++) {
		const struct cut *c = &cuts[p->done];
		const struct state *states[STATES];
		uint64_t random = c->seed;
		setitimer(ITIMER_PROF, &limit, NULL);
		set_up_rig(&rig, image_dir);
		power_cut(&d, go_to(h, &d, &at, c), &random, &image);
		power_write_tree(&image, image_dir, &random);
		const char *wrong = use(&rig, states, states_at(h, c, states), &random);
		if (wrong && p->lost++ == 0)
			snprintf(p->wrong, sizeof p->wrong, "cut at %d of %d: %s", (int)c->moment,
				 (int)h->log.count, wrong);
		rig_deinit(&rig);
	}
}

/* In a process of its own: an image that should not be can crash LMDB, which is counted as a loss. */
static void check_apart(const struct history *h, const struct cut *cuts, int count, bool is_control,
			struct progress *p)
{
	p->done = p->lost = 0;
	while (p->done < count) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			const struct rlimit none = {0, 0};
			setrlimit(RLIMIT_CORE, &none);
			power_env_flags = 0;
			if (is_control && !freopen("/dev/null", "w", stderr))
				_exit(1);
			check_cuts(h, cuts, count, p);
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			abort();
		if (status == 0)
			break;
		if (p->lost++ == 0)
			snprintf(p->wrong, sizeof p->wrong, "cut at %d of %d: crashed, status %x",
				 (int)cuts[p->done].moment, (int)h->log.count, (unsigned)status);
		p->done++;
	}
}

static int by_moment(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;
	return (x->moment > y->moment) - (x->moment < y->moment);
}

/* Half of them around a change that is not a plain write: those are few, and it's them that matter. */
static struct cut draw_cut(const struct history *h, uint64_t *random)
{
	struct cut c = {.moment = (int64_t)(check_random(random) % (h->log.count + 1)),
			.seed = check_random(random)};
	if (check_random(random) % 2)
		while (c.moment < moment(h) && h->log.changes[c.moment].kind == POWER_WRITE)
			c.moment++;
	c.is_inside = c.moment < moment(h) && check_random(random) % 2;
	return c;
}

/* ---- from one history to the next */

static void start_fresh(struct history *h)
{
	static const struct state none;
	power_disk_free(&h->base);
	power_forget();
	h->base.cache.nodes[0].is_dir = h->base.platter.nodes[0].is_dir = true;
	h->state_count = h->lives = 0;
	add_state(h, &none, -1, 0);
}

/* The kill or the power cut that ends a history. */
struct end {
	struct cut cut;
	bool is_kill;
};

static struct end draw_end(const struct history *h, uint64_t *random)
{
	struct end e = {.cut = draw_cut(h, random)};
	/* A sync that failed is among the last things; LMDB may then still write. */
	int64_t last = moment(h) - (int64_t)(check_random(random) % 2);
	if (h->has_failed && check_random(random) % 4 && last > 0)
		e.cut = (struct cut){.moment = last};
	e.is_kill = h->has_failed || check_random(random) % 2;
	return e;
}

/* What may be there behind the end is where the next history starts. */
static void go_on(struct history *h, const struct end *end, uint64_t *random)
{
	static struct power_tree image;
	static struct state states[STATES];
	const struct state *left[STATES];
	int64_t at = 0;
	int count = states_at(h, &end->cut, left);
	for (int i = 0; i < count; i++)
		states[i] = *left[i];
	const struct power_change *next = go_to(h, &h->base, &at, &end->cut);
	if (end->is_kill) {
		power_kill(&h->base, next, random);
		kills++;
	} else {
		power_cut(&h->base, next, random, &image);
		power_disk_start(&h->base, &image);
	}
	h->state_count = 0;
	for (int i = 0; i < count; i++)
		add_state(h, &states[i], -1, i == 0 ? 0 : INT64_MAX);
}

static struct progress *share_progress(void)
{
	struct progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

/* So many images of the history. How many of them lost something. */
static int cut_often(const struct history *h, int count, bool is_control, uint64_t *random,
		     struct progress *p)
{
	static struct cut cuts[IMAGES];
	for (int i = 0; i < count; i++)
		cuts[i] = draw_cut(h, random);
	qsort(cuts, (size_t)count, sizeof *cuts, by_moment);
	check_apart(h, cuts, count, is_control, p);
	return p->lost;
}

/* `flags` are LMDB's; with any, every history is a new spool. Counts the images that lost something. */
static uint64_t run(uint64_t seed, uint64_t trials, unsigned flags)
{
	uint64_t random = seed, lost = 0;
	struct progress *p = share_progress();
	for (uint64_t done = 0, link = 0; done < trials; link++) {
		if (flags || link % LINKS == 0) {
			start_fresh(&history);
		} else {
			struct end end = draw_end(&history, &random);
			go_on(&history, &end, &random);
		}
		power_env_flags = flags;
		bool fails = !flags && check_random(&random) % 2;
		struct faults f = {draw_opening(&random), fails ? check_random(&random) % STEPS : STEPS};
		const char *wrong = record(&history, f, &random);
		power_env_flags = 0;
		if (wrong) {
			fprintf(stderr, "history %" PRIu64 ": %s\n", link, wrong);
			return lost + 1;
		}
		int count = trials - done < IMAGES ? (int)(trials - done) : IMAGES;
		lost += (uint64_t)cut_often(&history, count, flags != 0, &random, p);
		if (p->lost > 0 && !flags)
			fprintf(stderr, "history %" PRIu64 ": %d of %d images lost something; %s\n", link,
				p->lost, count, p->wrong);
		done += (uint64_t)count;
	}
	munmap(p, sizeof *p);
	return lost;
}

/* A process ends right behind a sync that failed: what it wrote is seen, may not be on the disk, and no sync
 * will bring it there. The next one fails at its opening. */
static uint64_t fail_twice(uint64_t seed, int times)
{
	uint64_t random = seed, lost = 0;
	struct progress *p = share_progress();
	for (int done = 0; done < times;) {
		start_fresh(&history);
		struct faults f = {.commits = check_random(&random) % STEPS};
		const char *wrong = record(&history, f, &random);
		if (!wrong && !history.has_failed)
			continue;
		if (!wrong) {
			struct end end = {.cut.moment = moment(&history) - 1, .is_kill = true};
			go_on(&history, &end, &random);
			f = (struct faults){1 + done % OPENING_SYNCS, STEPS};
			wrong = record(&history, f, &random);
		}
		if (wrong) {
			fprintf(stderr, "failing twice: %s\n", wrong);
			return lost + 1;
		}
		lost += (uint64_t)cut_often(&history, IMAGES, false, &random, p);
		done++;
	}
	if (lost > 0)
		fprintf(stderr, "failing twice: %s\n", p->wrong);
	munmap(p, sizeof *p);
	return lost;
}

/* ---- */

static uint64_t seed, trials = 10000;

TEST(a_power_cut_costs_nothing_that_was_committed)
{
	uint64_t lost = run(seed, trials, 0);
	printf("%" PRIu64 " power cuts, %" PRIu64 " lost something; %" PRIu64 " syncs failed, %" PRIu64
	       " processes killed\n",
	       trials, lost, syncs_failed, kills);
	CHECK(lost == 0 && (trials < 5000 || (syncs_failed > 0 && kills > 0)));
}

TEST(what_a_failed_sync_left_unwritten_is_written_by_the_next_process)
{
	CHECK(fail_twice(seed, (int)(trials < 40000 ? trials : 40000) / 100) == 0);
}

static uint64_t control(const char *name, unsigned flags)
{
	uint64_t some = trials / 20 < 500 ? 500 : trials / 20, lost = run(seed, some, flags);
	printf("with %s: %" PRIu64 " power cuts, %" PRIu64 " lost something\n", name, some, lost);
	return lost;
}

TEST(lmdb_without_its_syncs_loses_some)
{
	CHECK(control("MDB_NOSYNC", MDB_NOSYNC) > 0);
	CHECK(control("MDB_NOMETASYNC", MDB_NOMETASYNC) > 0);
}

int main(void)
{
	const char *given = getenv("MW_TRIALS");
	if (given)
		trials = strtoull(given, NULL, 0);
	seed = check_seed("power loss");
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	snprintf(live_dir, sizeof live_dir, "%s", folder_path("live"));
	snprintf(image_dir, sizeof image_dir, "%s", folder_path("image"));
	if (mkdir(live_dir, 0700) != 0 || mkdir(image_dir, 0700) != 0 || sodium_init() < 0)
		abort();
	RUN(a_power_cut_costs_nothing_that_was_committed);
	RUN(what_a_failed_sync_left_unwritten_is_written_by_the_next_process);
	if (!getenv("MW_VALGRIND")) /* which has much to say about images that are broken */
		RUN(lmdb_without_its_syncs_loses_some);
	power_disk_free(&history.base);
	power_forget();
	free(history.log.changes);
	return CHECK_END();
}
