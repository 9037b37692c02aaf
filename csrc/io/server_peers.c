#include "server_peers.h"

#include <stdlib.h>
#include <sys/socket.h>

struct mw_peer *mw_peers_add(struct mw_peers *p, int fd, int64_t now)
{
	struct mw_peer *peer = malloc(sizeof *peer);
	if (!peer)
		return NULL;
	*peer = (struct mw_peer){.behind = p->first, .fd = fd, .since = now};
	if (p->first)
		p->first->before = peer;
	p->first = peer;
	p->accepted++;
	p->connections++;
	return peer;
}

void mw_peers_remove(struct mw_peers *p, struct mw_peer *peer)
{
	if (peer->before)
		peer->before->behind = peer->behind;
	else
		p->first = peer->behind;
	if (peer->behind)
		peer->behind->before = peer->before;
	p->connections--;
	free(peer);
}

static bool is_late(const struct mw_peers *p, const struct mw_peer *peer, int64_t age)
{
	switch (peer->phase) {
	case MW_PEER_NEW:
	case MW_PEER_HEAD:
		return age >= p->head_ms;
	case MW_PEER_WAITING:
	case MW_PEER_ANSWER:
		return age >= p->idle_ms;
	case MW_PEER_BODY:
		return age >= MW_PEER_SPELL_MS && peer->body * 1000 < p->body_rate_min * (uint64_t)age;
	case MW_PEER_BUSY:
	case MW_PEER_CUT:
		break;
	}
	return false;
}

/* What came in one spell is no credit for the next: else a body that came fast could stop for hours, and keep
 * its memory. */
static void next_spell(struct mw_peer *peer, int64_t now)
{
	if (peer->phase != MW_PEER_BODY || now - peer->since < MW_PEER_SPELL_MS)
		return;
	peer->since = now;
	peer->body = 0;
}

void mw_peers_look(struct mw_peers *p, int64_t now, bool idle_too)
{
	p->looked_at = now;
	for (struct mw_peer *peer = p->first; peer; peer = peer->behind) {
		bool late = is_late(p, peer, now - peer->since);
		bool idle = peer->phase == MW_PEER_NEW || peer->phase == MW_PEER_WAITING;
		if (!late && !(idle_too && idle)) {
			next_spell(peer, now);
			continue;
		}
		p->too_slow += late && peer->phase != MW_PEER_WAITING; /* that one is done, not slow */
		mw_peer_enter(peer, MW_PEER_CUT, now);
		shutdown(peer->fd, SHUT_RDWR);
	}
}
