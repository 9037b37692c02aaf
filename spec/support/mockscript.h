/* mockscript.h -- how a mock server is to behave, as a test says it in lines of text.
 *
 *     reset                  back to answering 200 to everything
 *     status 429 500         the statuses of the next requests, in order; then 200 again
 *     always 503             the status of every request
 *     key KEY 401 200        the statuses of this key's next requests; the last one stays
 *     header Name: value     in every answer ("header" alone: none)
 *     body TEXT              of every answer
 *     huge N                 a body of N bytes in every answer
 *     flood N                N bytes of header lines and no body in every answer
 *     marker TEXT            400 if the body holds TEXT
 *     max-body N             413 if the body is longer
 *     drop-reused            a request that is not its connection's first is logged and cut
 *     cut-request N          close after N bytes of each request
 *     cut-response N         close after N bytes of each answer
 *     stall                  never answer
 *     stall-key KEY          never answer this key
 *     delay N                answer N ms later
 *
 * Its token server, POST /token, has a script of its own:
 *
 *     token-status 400 429   the statuses of the next requests for tokens, in order; then 200 again
 *     token-header Name: v   in each of its answers
 *     token-body TEXT        of each answer that is no token
 *     token-life N           seconds that the next tokens live (3600)
 *     token-stall            never answer
 *     clock N                its clock is N seconds ahead: it says so in Date, and goes by it
 *     bearer                 batches need a token that was given out, and is still good
 *     void-tokens            those given out so far are good no longer
 */
#ifndef MOCKSCRIPT_H
#define MOCKSCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum { SEQUENCE_MAX = 64, KEYS_MAX = 256, SCRIPT_TEXT_MAX = 512 };

struct sequence {
	int statuses[SEQUENCE_MAX];
	size_t count, next;
};

struct script {
	struct sequence sequence;
	int always;
	struct {
		char key[160];
		struct sequence sequence;
		bool stall;
	} keys[KEYS_MAX];
	size_t keys_count;
	char header[SCRIPT_TEXT_MAX], body[SCRIPT_TEXT_MAX], marker[SCRIPT_TEXT_MAX];
	long huge, flood, max_body, cut_request, cut_response, delay_ms; /* -1: off */
	bool drop_reused, stall;
	struct sequence token_sequence;
	char token_header[SCRIPT_TEXT_MAX], token_body[SCRIPT_TEXT_MAX];
	long token_life_s, clock_s;
	bool token_stall, bearer;
	long tokens, voided; /* given out, and how many of them are void */
};

void script_reset(struct script *s);

/* One command; the line is cut to pieces. Says on stderr what it does not know. */
void script_line(struct script *s, char *line);

/* Which status a request gets; 0: no answer. Moves sequences on. */
int script_status(struct script *s, const char *key, const char *body, size_t body_len, bool reused);

/* The same for a request for a token whose assertion is good from `iat` to `exp`; `now_s` since 1970. */
int script_token_status(struct script *s, long iat, long exp, long now_s);

/* Is it one of ours, and still good? */
bool script_token_is_good(const struct script *s, const char *token);

#endif
