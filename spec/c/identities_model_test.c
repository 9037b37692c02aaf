/* Random histories against a model that keeps every message and works out who is who from all of them, in no
 * order at all. And what several processes do to one store. */
#include "identities_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMES = 5, FACTS_MAX = 60, NODES = 2 * NAMES };

static const char *const users[NAMES] = {"u0", "u1", "u2", "u3", "u4"};
static const char *const anons[NAMES] = {"a0", "a1", "a2", "a3", "a4"};
static const char *const mails[NAMES] = {"m0@b.example", "m1@b.example", "m2@b.example", "m3@b.example",
					 "m4@b.example"};

/* A user is node n, an anonymousId node NAMES + n. */
struct said {
	enum mw_identity_kind kind;
	bool forget, fallback;
	int id, node;
	int64_t at;
};

struct model {
	struct said said[FACTS_MAX];
	int count;
	int64_t until[NODES]; /* forgotten */
};

static const char *node_name(int node)
{
	return node < NAMES ? users[node] : anons[node - NAMES];
}

static struct mw_node hash(const struct fixture *f, int node)
{
	return mw_identity_key(f->d->secret, MW_SPAN("acme"),
			       node < NAMES ? MW_IDENTITY_USER : MW_IDENTITY_ANONYMOUS, false,
			       span(node_name(node)));
}

/* The node that an id is itself; -1: none. */
static int own_node(const struct said *s)
{
	if (s->forget || s->fallback || s->kind == MW_IDENTITY_EMAIL)
		return -1;
	return s->kind == MW_IDENTITY_USER ? s->id : NAMES + s->id;
}

static void work_out_forgotten(struct model *m)
{
	for (int i = 0; i < NODES; i++)
		m->until[i] = INT64_MIN;
	for (int i = 0; i < m->count; i++) {
		const struct said *s = &m->said[i];
		if (s->forget && s->at > m->until[s->node])
			m->until[s->node] = s->at;
	}
	for (bool changed = true; changed;) {
		changed = false;
		for (int i = 0; i < m->count; i++) {
			int own = own_node(&m->said[i]);
			int64_t until = m->said[i].forget ? INT64_MIN : m->until[m->said[i].node];
			if (own >= 0 && m->said[i].at <= until && m->until[own] < until) {
				m->until[own] = until;
				changed = true;
			}
		}
	}
}

/* Of all that was said of an id what counts, NULL if that is void. */
static const struct said *latest(const struct fixture *f, const struct model *m, enum mw_identity_kind kind,
				 bool is_fallback, int id)
{
	const struct said *best = NULL;
	for (int i = 0; i < m->count; i++) {
		const struct said *s = &m->said[i];
		if (s->forget || s->kind != kind || s->fallback != is_fallback || s->id != id)
			continue;
		struct mw_node a = hash(f, s->node), b = hash(f, best ? best->node : s->node);
		if (!best || s->at > best->at ||
		    (s->at == best->at && memcmp(a.bytes, b.bytes, sizeof a.bytes) > 0))
			best = s;
	}
	return best && best->at > m->until[best->node] ? best : NULL;
}

/* With at most NAMES users no chain without a circle is too long to be followed. */
static int follow(const struct fixture *f, const struct model *m, int node)
{
	const struct said *way[NAMES + 1];
	int nodes[NAMES + 2], steps = 0;
	nodes[0] = node;
	for (;;) {
		const struct said *next = latest(f, m, MW_IDENTITY_USER, false, nodes[steps]);
		if (!next)
			return nodes[steps];
		way[steps++] = next;
		nodes[steps] = next->node;
		for (int i = 0; i < steps; i++) {
			if (nodes[i] != next->node)
				continue;
			const struct said *last = way[i];
			for (int k = i; k < steps; k++) {
				struct mw_node a = hash(f, way[k]->node), b = hash(f, last->node);
				if (way[k]->at > last->at ||
				    (way[k]->at == last->at && memcmp(a.bytes, b.bytes, sizeof a.bytes) > 0))
					last = way[k];
			}
			return last->node;
		}
	}
}

static const char *expect(const struct fixture *f, const struct model *m, enum mw_identity_kind kind, int id)
{
	static char text[16];
	const struct said *s = latest(f, m, kind, false, id);
	if (s)
		return users[follow(f, m, s->node)];
	s = kind == MW_IDENTITY_EMAIL ? latest(f, m, kind, true, id) : NULL;
	if (!s)
		return "";
	const struct said *known = latest(f, m, MW_IDENTITY_ANONYMOUS, false, s->node - NAMES);
	if (known)
		return users[follow(f, m, known->node)];
	snprintf(text, sizeof text, "?%s", node_name(s->node));
	return text;
}

static struct said random_message(uint64_t *seed)
{
	static const enum mw_identity_kind kinds[] = {MW_IDENTITY_EMAIL, MW_IDENTITY_EMAIL,
						      MW_IDENTITY_ANONYMOUS, MW_IDENTITY_USER};
	struct said s = {.at = (int64_t)(check_random(seed) % 20)};
	s.forget = check_random(seed) % 6 == 0;
	s.kind = s.forget ? MW_IDENTITY_USER : kinds[check_random(seed) % 4];
	s.fallback = s.kind == MW_IDENTITY_EMAIL && check_random(seed) % 3 == 0;
	s.id = (int)(check_random(seed) % NAMES);
	s.node = (int)(check_random(seed) % NAMES) + (s.fallback ? NAMES : 0);
	if (s.kind == MW_IDENTITY_USER && s.id == s.node)
		s.node = (s.node + 1) % NAMES;
	return s;
}

static struct mw_identity_fact as_fact(const struct said *s)
{
	static const char *const *const ids[] = {
	    [MW_IDENTITY_USER] = users, [MW_IDENTITY_ANONYMOUS] = anons, [MW_IDENTITY_EMAIL] = mails};
	struct mw_identity_fact f = s->forget
					? forget(node_name(s->node), s->at)
					: fact((int)s->kind, ids[s->kind][s->id], node_name(s->node), s->at);
	f.is_fallback = s->fallback;
	return f;
}

static bool agrees(struct fixture *f, struct model *m)
{
	work_out_forgotten(m);
	for (int id = 0; id < NAMES; id++) {
		char mail[16], user[16], anon[16];
		snprintf(mail, sizeof mail, "%s", expect(f, m, MW_IDENTITY_EMAIL, id));
		snprintf(user, sizeof user, "%s", expect(f, m, MW_IDENTITY_USER, id));
		snprintf(anon, sizeof anon, "%s", expect(f, m, MW_IDENTITY_ANONYMOUS, id));
		if (!is(f, E, mails[id], mail) || !is(f, U, users[id], user) || !is(f, A, anons[id], anon))
			return false;
	}
	return true;
}

static bool run_history(struct fixture *f, uint64_t *seed)
{
	struct model m = {.count = 0};
	uint64_t removed;
	int wanted = 1 + (int)(check_random(seed) % FACTS_MAX);
	mw_identities_drop(f->d, MW_SPAN("acme"), &removed, &error);
	while (m.count < wanted) {
		/* A commit of one message or of several. */
		struct mw_identity_fact facts[8];
		int some = 1 + (int)(check_random(seed) % 8), n = 0;
		for (; n < some && m.count < wanted; n++) {
			m.said[m.count] = random_message(seed);
			facts[n] = as_fact(&m.said[m.count++]);
		}
		if (mw_identities_teach(f->d, facts, (size_t)n, &f->tally, &error) != MW_OK || !agrees(f, &m))
			return false;
	}
	/* All of it once more changes nothing. */
	struct mw_buf before = dump(f);
	for (int i = m.count - 1; i >= 0; i--)
		teach(f, as_fact(&m.said[i]));
	struct mw_buf after = dump(f);
	bool same = before.len == after.len && memcmp(before.data, after.data, before.len) == 0;
	mw_buf_deinit(&before);
	mw_buf_deinit(&after);
	return same;
}

TEST(any_history_comes_out_as_the_model_has_it)
{
	struct fixture f;
	const char *given = getenv("MW_HISTORIES");
	int histories = given ? atoi(given) : 2000;
	uint64_t seed = check_seed("identities");
	CHECK(start(&f, "model"));
	do_not_sync(&f);
	for (int i = 0; i < histories; i++) {
		uint64_t this_one = seed;
		bool agrees = run_history(&f, &seed);
		if (!agrees)
			fprintf(stderr, "history %d: MW_SEED=%" PRIu64 "\n", i, this_one);
		CHECK(agrees);
	}
	stop(&f);
}

/* Teaches "<who>-1", "<who>-2" … for ever, and says so to `out` after each. */
static void teach_for_ever(const char *spool, const char *who, int out, int most)
{
	struct fixture f;
	char id[32];
	if (!start(&f, spool))
		_exit(2);
	for (int32_t i = 1; i <= most; i++) {
		snprintf(id, sizeof id, "%s-%d", who, (int)i);
		if (!teach(&f, fact(T, id, id, i)) || f.tally.learned != 1)
			_exit(3);
		if (write(out, &i, sizeof i) != sizeof i)
			_exit(4);
	}
	stop(&f);
	_exit(0);
}

static pid_t spawn(const char *spool, const char *who, int *in, int most)
{
	int ends[2];
	if (pipe(ends) != 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		teach_for_ever(spool, who, ends[1], most);
	}
	close(ends[1]);
	*in = ends[0];
	return pid;
}

TEST(two_processes_write_and_a_third_reads_all_of_it)
{
	enum { MOST = 60 };
	struct fixture f;
	int a, b, status;
	int32_t told;
	master(0); /* one key for all of them */
	folder_path("shared");
	pid_t one = spawn("shared", "one", &a, MOST), two = spawn("shared", "two", &b, MOST);
	CHECK(start(&f, "shared"));
	char id[32];
	while (read(a, &told, sizeof told) == sizeof told) { /* seen at once */
		snprintf(id, sizeof id, "one-%d", (int)told);
		CHECK(is(&f, T, id, id));
	}
	while (read(b, &told, sizeof told) == sizeof told) {
		snprintf(id, sizeof id, "two-%d", (int)told);
		CHECK(is(&f, T, id, id));
	}
	CHECK(waitpid(one, &status, 0) == one && status == 0 && waitpid(two, &status, 0) == two &&
	      status == 0);
	struct mw_identity_account counts;
	struct MDB_txn *txn;
	CHECK(mw_state_read(f.s, &txn, &error) == MW_OK);
	CHECK(mw_identities_account(f.d, txn, MW_SPAN("acme"), &counts) == 0);
	mw_state_read_end(f.s, txn);
	CHECK(counts.records == (uint64_t)2 * 2 * MOST);
	close(a);
	close(b);
	stop(&f);
}

TEST(a_killed_process_leaves_all_it_said_yes_to)
{
	const char *given = getenv("MW_TRIALS");
	int trials = given ? atoi(given) : 30;
	uint64_t seed = check_seed("kill");
	if (trials > 200)
		trials = 200;
	master(0);
	for (int trial = 0; trial < trials; trial++) {
		struct fixture f;
		char spool[32], id[64];
		int in, status;
		int32_t told = 0, next;
		snprintf(spool, sizeof spool, "kill%d", trial % 8);
		char who[32];
		snprintf(who, sizeof who, "t%d", trial);
		pid_t pid = spawn(spool, who, &in, 1 << 30);
		int32_t wanted = (int32_t)(check_random(&seed) % 30);
		while (told < wanted && read(in, &next, sizeof next) == sizeof next)
			told = next;
		for (volatile uint64_t spin = check_random(&seed) % 20000; spin > 0;)
			spin = spin - 1;
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		while (read(in, &next, sizeof next) == sizeof next)
			told = next;
		close(in);
		CHECK(start(&f, spool));
		for (int32_t i = 1; i <= told; i++) {
			snprintf(id, sizeof id, "%s-%d", who, (int)i);
			CHECK(is(&f, T, id, id));
		}
		CHECK(teach(&f, fact(T, "after", who, trial)) && is(&f, T, "after", who));
		stop(&f);
	}
}

TEST(a_child_process_opens_its_own)
{
	struct fixture f;
	int status;
	CHECK(start(&f, "fork") && teach(&f, fact(T, "t", "u", 1)));
	pid_t pid = fork();
	if (pid == 0) {
		bool refused = !who_of(&f, "acme", T, "t") && error.code == MW_FORKED;
		stop(&f);
		_exit(refused && start(&f, "fork") && is(&f, T, "t", "u") ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(is(&f, T, "t", "u"));
	stop(&f);
}

int main(void)
{
	RUN(any_history_comes_out_as_the_model_has_it);
	RUN(two_processes_write_and_a_third_reads_all_of_it);
	RUN(a_killed_process_leaves_all_it_said_yes_to);
	RUN(a_child_process_opens_its_own);
	return CHECK_END();
}
