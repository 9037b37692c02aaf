/* server_peers.h -- the connections of a server, and which of them take too long.
 *
 * libmicrohttpd's own timeout begins anew with each byte, so a peer that sends one now and then stays for
 * ever (slowloris). Here each phase has a deadline of its own:
 *
 *     waiting   for a first request: head_ms. For a next one: idle_ms
 *     head      from the end of the request line to the end of the headers: head_ms
 *     body      in each MW_PEER_SPELL_MS at least body_rate_min bytes a second
 *     busy      with the caller: none
 *     answer    until the peer has taken it: idle_ms
 *
 * Looked at once a second. A connection that is late is shut down, and libmicrohttpd finds it ended.
 * Clock: monotonic milliseconds, given by the caller. One thread.
 */
#ifndef MW_SERVER_PEERS_H
#define MW_SERVER_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mw_peer_phase {
	MW_PEER_NEW,
	MW_PEER_WAITING,
	MW_PEER_HEAD,
	MW_PEER_BODY,
	MW_PEER_BUSY,
	MW_PEER_ANSWER,
	MW_PEER_CUT,
};

/* So long a body may be slow: the peer's own disk, a lost packet. */
enum { MW_PEER_SPELL_MS = 10000 };

struct mw_peer {
	struct mw_peer *before, *behind;
	int fd;
	enum mw_peer_phase phase;
	int64_t began; /* the phase */
	int64_t since; /* of the phase; of a body: of this spell */
	uint64_t body; /* bytes that came in the spell */
};

struct mw_peers {
	struct mw_peer *first;
	int64_t head_ms, idle_ms;
	uint64_t body_rate_min; /* bytes a second; 0: any */
	int64_t looked_at;
	uint64_t accepted, connections, too_slow;
};

/* NULL: no memory. */
struct mw_peer *mw_peers_add(struct mw_peers *p, int fd, int64_t now);
void mw_peers_remove(struct mw_peers *p, struct mw_peer *peer);

static inline void mw_peer_enter(struct mw_peer *peer, enum mw_peer_phase phase, int64_t now)
{
	peer->phase = phase;
	peer->began = peer->since = now;
	peer->body = 0;
}

/* Has a body been coming for more than one spell? */
static inline bool mw_peer_is_lasting(const struct mw_peer *peer, int64_t now)
{
	return peer->phase == MW_PEER_BODY && now - peer->began >= MW_PEER_SPELL_MS;
}

/* Shut down who is late. With `idle_too` also who has no request under way. */
void mw_peers_look(struct mw_peers *p, int64_t now, bool idle_too);

#endif
