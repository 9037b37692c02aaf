/* spool_verify.h -- is everything that a spool accepted accounted for, and whole?
 *
 *     struct mw_verify *v;                       a spool at rest, or one that a process sends from
 *     mw_verify_open(dir, &v, &e)
 *     while (mw_verify_next(v, &record, &e) == MW_OK && record.kind != MW_VERIFY_END) ...
 *     mw_verify_close(v)
 *
 * For each partition come its lanes, what is wrong with it, how far the look is, and its sums in the end:
 *
 *     accepted = delivered + dead + queued        in flight is queued, on disk
 *
 * accepted is what the partition counted as it took messages in, a lane's last number what its packs say;
 * queued is counted pack by pack. Two looks: the rows and the heads of all packs, in one snapshot, so that
 * the sums are those of one instant; then every byte of packs and dead letters, with a new
 * snapshot now and then, since a snapshot keeps pages from being used again and packs never change.
 *
 * Each partition is read in a child process: LMDB trusts its pages, so that a damaged one may crash who reads
 * it, and the process that asks may be the one that sends from this spool, which must not open it twice.
 * Nothing is written but LMDB's table of readers. Not thread-safe; the child dies with the thread that asked.
 */
#ifndef MW_SPOOL_VERIFY_H
#define MW_SPOOL_VERIFY_H

#include "../core/buf.h"

#include <sys/types.h>

/* Code, word, what to do. */
#define MW_FINDINGS(X)                                                                                       \
	X(MW_FINDING_CRASH, "structure",                                                                     \
	  "the database itself is damaged: stop the sender, keep a copy of the partition for rescue, move "  \
	  "it away and check the disk")                                                                      \
	X(MW_FINDING_FORMAT, "format", "use the Moonweir that wrote it, or a newer one")                     \
	X(MW_FINDING_META, "meta", "keep a copy of the partition and check the disk")                        \
	X(MW_FINDING_TOTAL, "total",                                                                         \
	  "messages are missing or counted twice: keep a copy of the partition "                             \
	  "and check the disk")                                                                              \
	X(MW_FINDING_LANE, "lane",                                                                           \
	  "a sender will refuse to open this partition: keep a copy of it, move it away and check the disk") \
	X(MW_FINDING_STRAY, "stray", "nothing will send these: keep a copy of the partition")                \
	X(MW_FINDING_SETTLED, "settled", "delivered or dead already; they take up room and do no harm")      \
	X(MW_FINDING_GAP, "gap", "a sender skips what is missing and keeps a dead letter; check the disk")   \
	X(MW_FINDING_OVERLAP, "overlap", "messages are there twice: keep a copy of the partition")           \
	X(MW_FINDING_BYTES, "bytes", "a count of bytes is wrong, no message is: stats may be off")           \
	X(MW_FINDING_PACK, "pack", "a sender skips these messages and keeps a dead letter; check the disk")  \
	X(MW_FINDING_LETTER, "letter", "it can't be shown or replayed; drop it")

enum mw_finding {
#define MW_FINDING_CODE(code, word, advice) code,
	MW_FINDINGS(MW_FINDING_CODE)
#undef MW_FINDING_CODE
};

const char *mw_finding_word(enum mw_finding f);
const char *mw_finding_advice(enum mw_finding f);

/* Findings of one partition that are told; more are counted. */
#define MW_FINDINGS_MAX 1000

struct mw_verify_counts {
	uint64_t accepted; /* those that moved to another partition are counted there */
	uint64_t moved;
	uint64_t delivered;
	uint64_t dead;
	uint64_t queued;
	uint64_t queued_bytes;
	uint64_t packs;
};

enum mw_verify_kind {
	MW_VERIFY_END,
	MW_VERIFY_LANE,      /* partition, lane, account, counts */
	MW_VERIFY_FINDING,   /* partition, account or empty, finding, text */
	MW_VERIFY_PROGRESS,  /* partition, done of total bytes; a few times a second */
	MW_VERIFY_PARTITION, /* partition, owner, sums, letters, findings */
};

struct mw_verify_record {
	enum mw_verify_kind kind;
	enum mw_finding finding;
	uint32_t partition;
	uint32_t lane;
	pid_t owner;          /* the process that sends from it; 0: none */
	uint32_t is_balanced; /* accepted = delivered + dead + queued */
	struct mw_verify_counts counts;
	uint64_t lanes;
	uint64_t letters;  /* dead letters kept */
	uint64_t findings; /* all of them */
	uint64_t done, total;
	struct mw_span account; /* borrowed until the next call */
	struct mw_span text;
};

struct mw_verify;

/* MW_IO: there is no spool, or it is not ours to read (directory.h). MW_NO_MEMORY. */
enum mw_err mw_verify_open(const char *dir, struct mw_verify **out, struct mw_error *e);

/* MW_IO: no process could be started. MW_NO_MEMORY. */
enum mw_err mw_verify_next(struct mw_verify *v, struct mw_verify_record *out, struct mw_error *e);

/* At any time; NULL is fine. */
void mw_verify_close(struct mw_verify *v);

#endif
