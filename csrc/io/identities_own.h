/* identities_own.h -- what identities.c (opening, finding), identities_teach.c (changing) and
 * identities_read.c (telling) share. */
#ifndef MW_IDENTITIES_OWN_H
#define MW_IDENTITIES_OWN_H

#include "identities.h"

#include <lmdb.h>

struct mw_identities {
	struct mw_state *state;
	struct mw_identity_secret *secret; /* locked memory */
	uint8_t kid[MW_KID_LEN];
	size_t records_max;
	MDB_dbi rows; /* key -> row */
	MDB_dbi of;   /* node, key -> struct mw_evidence: whoever was said to be this node, by which id */
	MDB_dbi forgotten; /* node -> struct mw_tombstone */
	MDB_dbi aliased;   /* key of a user -> number of the account: users who may have a row of their own,
			    * being somebody else today. Few are, so a look here costs next to nothing, and most
			    * look-ups are spared a second one among all the rows. */
	MDB_dbi accounts;  /* name -> struct mw_identity_account; behind a NUL byte: "key" -> kid */
};

/* As they lie in the store, but for byte order: packed by hand. */
enum { MW_EVIDENCE_LEN = 13, MW_TOMBSTONE_LEN = 12, MW_IDENTITY_ACCOUNT_LEN = 12, MW_ALIASED_LEN = 4 };

struct mw_evidence {
	int64_t since; /* the earliest message that said so */
	enum mw_identity_kind kind;
	uint32_t account;
};

struct mw_tombstone {
	int64_t until; /* what was said up to then is void */
	uint32_t account;
};

struct mw_identity_account {
	uint32_t number; /* from 1 */
	uint64_t records;
};

enum mw_err mw_identities_damaged(struct mw_error *e);

/* LMDB's answers; MDB_NOTFOUND: there is none, and the record is zeros. A record of another length is
 * MDB_CORRUPTED. */
int mw_identities_row(const struct mw_identities *d, MDB_txn *txn, const struct mw_node *key,
		      struct mw_identity_row *r);
int mw_identities_tombstone(const struct mw_identities *d, MDB_txn *txn, const struct mw_node *node,
			    struct mw_tombstone *t);
int mw_identities_account(const struct mw_identities *d, MDB_txn *txn, struct mw_span name,
			  struct mw_identity_account *a);
bool mw_evidence_read(MDB_val v, struct mw_evidence *evidence);

void mw_le_put(uint8_t *at, uint64_t value, int len);
uint64_t mw_le_get(const uint8_t *at, int len);

static inline MDB_val mw_node_value(const struct mw_node *n)
{
	return (MDB_val){sizeof n->bytes, (void *)(uintptr_t)n->bytes};
}

static inline struct mw_node mw_node_at(const uint8_t *bytes)
{
	struct mw_node n;
	__builtin_memcpy(n.bytes, bytes, sizeof n.bytes);
	return n;
}

#endif
