/* lessee.h -- an engine, as whoever fetches turns for it sees it (core/turns.h).
 *
 * The library must not need hiredis, and a module that is loaded beside it can't call into it: so an engine
 * hands out these functions. Whoever has them asks in a thread of its own, so that no round trip to Redis
 * ever holds up the engine:
 *
 *     for (;;) {
 *             if (!lessee.ask(lessee.engine, &ask, &wait_ms))
 *                     poll(lessee.fd, wait_ms), and read it empty
 *             else if (run the script)
 *                     lessee.grant(lessee.engine, &answer);
 *             else
 *                     lessee.failed(lessee.engine, why);
 *     }
 *
 * All of them may be called from any one thread, until the engine is freed, as may be read what a question
 * names; one that is closed wants nothing.
 */
#ifndef MW_LESSEE_H
#define MW_LESSEE_H

#include "../core/turns.h"

#include <stddef.h>

struct mw_lessee {
	void *engine;
	int fd; /* an eventfd that becomes readable when there may be something to ask; the engine's own */
	/* As mw_turns_ask. */
	bool (*ask)(void *engine, struct mw_turns_ask *out, int64_t *wait_ms);
	enum mw_turns_verdict (*grant)(void *engine, const struct mw_turns_answer *a);
	/* `why` is for people, and copied. */
	void (*failed)(void *engine, const char *why);
};

#endif
