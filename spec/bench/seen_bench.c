/* seen_bench.c -- what it costs to look up and remember an id, in nanoseconds of CPU, by how many are
 * remembered.
 *
 * Ids come in transactions of 320, as in group commits of 128 KB, written to a real file but not synced: the
 * time that LMDB takes to write is in it. "longest" is the longest transaction, in milliseconds.
 */
#include "../../csrc/io/seen.h"
#include "../c/folder.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { GROUP = 320, MEASURED = 1 << 20 };

static MDB_env *env;
static struct mw_seen *seen;
static double longest_ms;

static double ns_of(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "%s\n", mdb_strerror(rc));
	exit(1);
}

static struct mw_seen_id id_of(uint64_t number)
{
	char text[32];
	struct mw_seen_id id;
	int len = snprintf(text, sizeof text, "s:acct_17:evt_%08llx:0", (unsigned long long)number);
	if (!mw_seen_id(seen, MW_SPAN("acct_17"), (struct mw_span){(const uint8_t *)text, (size_t)len}, &id))
		exit(1);
	return id;
}

static void reopen(void)
{
	MDB_txn *txn;
	const struct mw_seen_config config = {
	    .window_s = 48 * 3600, .max = 32 << 20, .key = "0123456789abcde"};
	mw_seen_close(seen);
	must(mdb_txn_begin(env, NULL, 0, &txn));
	must(mw_seen_open(&config, txn, 1000000, &seen));
	must(mdb_txn_commit(txn));
}

/* CPU of ids `first` to `first + count` - 1, each of which must be known or not, without that of making them.
 */
static double measure(uint64_t first, uint64_t count, bool known)
{
	static struct mw_seen_id ids[GROUP];
	double total = 0;
	longest_ms = 0;
	for (uint64_t done = 0; done < count; done += GROUP) {
		MDB_txn *txn;
		bool is_known[MW_SEEN_LOOK];
		for (unsigned i = 0; i < GROUP; i++)
			ids[i] = id_of(first + done + i);
		double start = ns_of(CLOCK_PROCESS_CPUTIME_ID), wall = ns_of(CLOCK_MONOTONIC);
		must(mdb_txn_begin(env, NULL, 0, &txn));
		must(mw_seen_begin(seen, txn, 1000000, GROUP));
		for (unsigned i = 0; i < GROUP; i += MW_SEEN_LOOK) {
			must(mw_seen_look(seen, ids + i, MW_SEEN_LOOK, is_known));
			for (unsigned k = 0; k < MW_SEEN_LOOK; k++)
				must(is_known[k] == known ? 0 : EINVAL);
		}
		must(mw_seen_end(seen));
		must(mdb_txn_commit(txn));
		mw_seen_done(seen, true);
		total += ns_of(CLOCK_PROCESS_CPUTIME_ID) - start;
		wall = (ns_of(CLOCK_MONOTONIC) - wall) / 1e6;
		if (wall > longest_ms)
			longest_ms = wall;
	}
	return total / (double)count;
}

/* What a transaction costs that has nothing to do with ids. */
static double measure_empty(void)
{
	double start = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	MDB_dbi other;
	for (int i = 0; i < 2000; i++) {
		MDB_txn *txn;
		MDB_val key = {1, "k"}, value = {sizeof i, &i};
		must(mdb_txn_begin(env, NULL, 0, &txn));
		must(mdb_dbi_open(txn, "other", MDB_CREATE, &other));
		must(mdb_put(txn, other, &key, &value, 0));
		must(mdb_txn_commit(txn));
	}
	return (ns_of(CLOCK_PROCESS_CPUTIME_ID) - start) / 2000 / GROUP;
}

int main(int argc, char **argv)
{
	const uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
	uint64_t have = 0;
	const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	must(mdb_env_create(&env));
	must(mdb_env_set_maxdbs(env, 8));
	must(mdb_env_set_mapsize(env, (size_t)8 << 30));
	must(mdb_env_open(env, folder(), MDB_NOSYNC | MDB_NORDAHEAD, 0600));
	reopen();
	double start = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	for (uint64_t i = 0; i < MEASURED; i++)
		id_of(i);
	printf("%-44s %7.1f ns\n", "hashing an id", (ns_of(CLOCK_PROCESS_CPUTIME_ID) - start) / MEASURED);
	printf("%-44s %7.1f ns\n", "a transaction of 320 without any, each", measure_empty());
	for (uint64_t at = 0; at <= most; at = at ? 10 * at : 1000000) {
		for (; have < at; have += GROUP)
			measure(have, GROUP, false);
		const unsigned long long remembered = have;
		double fresh = measure(have, MEASURED, false), longest = longest_ms;
		have += (MEASURED + GROUP - 1) / GROUP * GROUP;
		double known = measure(0, MEASURED / 4, true);
		const struct mw_seen_stats stats = mw_seen_stats(seen);
		const struct mallinfo2 heap = mallinfo2();
		printf("%9llu remembered: new %6.1f ns (longest %4.1f ms), known %6.1f ns, %.2f bytes of "
		       "memory each\n",
		       remembered, fresh, longest, known,
		       (double)(heap.uordblks + heap.hblkhd - before) / (double)stats.count);
	}
	start = ns_of(CLOCK_MONOTONIC);
	reopen();
	printf("%-44s %7.1f ms\n", "opening again", (ns_of(CLOCK_MONOTONIC) - start) / 1e6);
	mw_seen_close(seen);
	mdb_env_close(env);
	return 0;
}
