/* identities.h -- whose e-mail address, anonymousId or tool's id is it? What Segment's messages have taught.
 *
 *     identify  u1, traits.email ann@example.com, at 10:00   email ann@example.com -> u1
 *     alias     previousId u1, userId u2, at 11:00           user_id u1 -> u2
 *     find      email "Ann@Example.com"                      "u2"
 *     delete    u2, at 12:00                                 nobody; nor after a replay of the first two
 *
 * It lies in the state that all processes of a host share (state.h), apart for each account: customers use
 * the same ids for different people. Four databases: `identities` (key -> row, identity_row.h),
 * `identities_of` (who points at a node, and since when), `identities_forgotten` (node -> until when), and
 * `identities_accounts`.
 *
 * Messages come late, twice and in any order, so what is in the store depends only on which came:
 *
 *   - of two users of one id the one whose message has the later timestamp counts; at the same instant the
 *     one with the greater node, which is as good a rule as any;
 *   - forgetting a user at 12:00 voids all that said before 12:00 that something is this user, and does the
 *     same to every id that was, at any time before 12:00, said to be this user by another name: previous
 *     ids, anonymousIds.
 *
 * Without a userId what is known of an anonymousId is kept as well, as a fallback: it counts where no userId
 * is known, and leads to the user once a message has both. Aliases are followed up to MW_ALIASES_MAX times;
 * where they go round in a circle the latest of them counts.
 *
 * At rest nothing names anybody without the master key: keys are keyed hashes, texts are encrypted. So a
 * master key is needed, always the same one.
 *
 * Borrows the state, which must outlive it. Thread-safe; after fork() every call is MW_FORKED. A look-up is
 * about a microsecond (spec/bench/identities_bench.c) and waits for nobody; a change is one synced commit
 * however many facts it is of.
 */
#ifndef MW_IDENTITIES_H
#define MW_IDENTITIES_H

#include "identity_row.h"
#include "state.h"

struct mw_identities;

/* `master_key_file` as mw_vault_open's; without any MW_BAD_MASTER_KEY, and likewise if the store was begun
 * with another one. `records_max`: for one account, 0 for MW_IDENTITIES_MAX. */
enum mw_err mw_identities_open(struct mw_state *s, const char *master_key_file, size_t records_max,
			       struct mw_identities **out, struct mw_error *e);
void mw_identities_close(struct mw_identities *d); /* before its state; NULL is fine */

/* One thing that a message said. Texts as they came, none empty. */
struct mw_identity_fact {
	struct mw_span account; /* 1 to MW_ACCOUNT_MAX bytes */
	bool forget;            /* `user` is to be forgotten, and there is no `id` */
	bool is_fallback;       /* `user` is an anonymousId */
	enum mw_identity_kind kind;
	struct mw_span id;
	struct mw_span user;
	int64_t at; /* ms since 1970 */
};

struct mw_identity_tally {
	uint64_t learned;   /* changed what is known */
	uint64_t known;     /* did not: known already, or older than what is */
	uint64_t void_;     /* about somebody who was forgotten since */
	uint64_t forgotten; /* ids that led to somebody and lead nowhere now */
	uint64_t unusable; /* an id or a user of no or too many bytes, or an id that is its user's own name */
	uint64_t full;     /* not taken: the account has its fill. What was there still changes */
};

/* All of them or, on an error, none. Synced when it returns. */
enum mw_err mw_identities_teach(struct mw_identities *d, const struct mw_identity_fact *facts, size_t count,
				struct mw_identity_tally *tally, struct mw_error *e);

/* Who is it? MW_OK also if nobody is known. `room` is what `found` borrows from. Of MW_IDENTITY_USER: who is
 * it today, at == NULL if by no other name. */
enum mw_err mw_identities_find(struct mw_identities *d, struct mw_span account, enum mw_identity_kind kind,
			       struct mw_span id, uint8_t room[MW_IDENTITY_MAX],
			       struct mw_identity_found *found, struct mw_error *e);

/* What is known, row by row: a page from behind `after` on, in the order of keys, which is none. `tell` says
 * whether to go on; texts are its own until it returns, and it must not call the store. Rows of an account
 * that is not `account`, if that is given, are skipped, and so are void and damaged ones, which are counted.
 */
struct mw_identity_told {
	struct mw_span account;
	enum mw_identity_kind kind;
	struct mw_span id;
	struct mw_span user;
	bool is_fallback;
	int64_t at;
	struct mw_node key; /* to go on behind */
};
typedef bool mw_identity_tell(void *context, const struct mw_identity_told *told);

struct mw_identity_skipped {
	uint64_t voids;
	uint64_t damaged;
};

/* `after` NULL: from the first on. */
enum mw_err mw_identities_each(struct mw_identities *d, struct mw_span account, const struct mw_node *after,
			       mw_identity_tell *tell, void *context, struct mw_identity_skipped *skipped,
			       struct mw_error *e);

/* The same of one user: all ids that point at it now. `forgotten_at`: when it was last forgotten, INT64_MIN:
 * never. */
enum mw_err mw_identities_show(struct mw_identities *d, struct mw_span account, struct mw_span user,
			       mw_identity_tell *tell, void *context, int64_t *forgotten_at,
			       struct mw_error *e);

/* Removes all that is kept for an account, what keeps forgotten users forgotten too. `removed` counts
 * records. MW_NO_ACCOUNT. Many commits, one after the other; after an error call it again. */
enum mw_err mw_identities_drop(struct mw_identities *d, struct mw_span account, uint64_t *removed,
			       struct mw_error *e);

#endif
