/* limits.h -- every bound of Moonweir in one place, each with its reason.
 *
 * Nothing in Moonweir grows without one of these. Sizes are bytes, times milliseconds.
 */
#ifndef MW_LIMITS_H
#define MW_LIMITS_H

/* Segment's documented limit is 32 KB a call; its own libraries disagree on 32,000 or
 * 32,768. The lower figure is right under either reading. */
#define MW_MESSAGE_MAX 32000

/* Segment takes 500 KB a batch request; 475,000 leaves room for every reading of "KB". */
#define MW_BATCH_TARGET 475000

/* What our own debugger refuses with 400: "500 KB", read strictly. */
#define MW_REQUEST_MAX 500000

/* Beyond 2,500 events Segment answers 200 and drops the batch. */
#define MW_BATCH_MESSAGES 2500

/* "fewer than 100 characters" (HTTP Tracking API). */
#define MW_MESSAGE_ID_MAX 99

/* One body handed to the mapping: a bulk webhook of some ten thousand events. Also keeps
 * every offset and node number of the JSON reader below 2^24. */
#define MW_EVENT_MAX (16u * 1024 * 1024 - 1)

/* Deeper than any tool nests, shallow enough for whatever goes through a value by calling itself. */
#define MW_JSON_DEPTH_MAX 128

/* An account is named by the partner's own customer id. */
#define MW_ACCOUNT_MAX 255

/* Write keys are 32 characters today. Letters, digits, '_' and '-' only: anything else
 * would be header injection or a paste error. */
#define MW_WRITE_KEY_MAX 128

/* Segment asks a partner to stay at or below this, batches included. */
#define MW_RATE_DEFAULT 50

/* An answer of Segment is a few dozen bytes; more is not read. */
#define MW_RESPONSE_MAX (64 * 1024)

/* Requests on the wire at once. One stalled account holds one of them at most. */
#define MW_IN_FLIGHT_MAX 64

/* Undelivered bytes held in memory before push answers "full". */
#define MW_QUEUE_DEFAULT (256u * 1024 * 1024)

/* While accounts have full batches waiting, one request in so many goes to them, out of turn. Where thousands
 * push a message now and then and a few push most of all, a turn a round is too little for the few, and the
 * many lose next to nothing: each waits at most a seventh longer. `make simulate`, 10,000 accounts at 50
 * requests/s: without this the busiest falls behind at 200 events/s in all; with it none does at 1,000. */
#define MW_LADEN_EVERY 8

/* A lane with a partial batch waits this long for company. */
#define MW_LINGER_MS 200

/* An upstream id is remembered this long: longer than tools go on repeating a webhook in earnest, and twice
 * as long as Segment itself de-duplicates. */
#define MW_REPEATS_MS (48 * 3600 * 1000)

/* Exponential back-off with jitter, as Segment's newest library does. */
#define MW_BACKOFF_BASE_MS 500
#define MW_BACKOFF_MAX_MS  60000

/* A server may ask for a pause; longer than this is not believed, shorter than 1 s neither. */
#define MW_RETRY_AFTER_MIN_MS 1000
#define MW_RETRY_AFTER_MAX_MS 300000

/* How often a parked lane (401, 403, no key) is tried again unasked. */
#define MW_PROBE_MS (15 * 60 * 1000)

/* Records waiting to be collected by poll(); beyond it the oldest go and are counted. */
#define MW_REPORTS_MAX 65536

/* Compiled mapping: expressions a source may hold, and how deep one may nest. */
#define MW_EXPR_MAX       65535
#define MW_EXPR_DEPTH_MAX 32

/* Elements that one field's :map and :filter may visit: every element of the largest event, but not its
 * square, which nested maps over the same array would be. */
#define MW_EXPR_STEPS_MAX (16u * 1024 * 1024)

/* Working memory for mapping one event: the largest event with all its escapes undone, and as much again. */
#define MW_ARENA_MAX (32u * 1024 * 1024)

/* What stands around the events of a body and is kept with each that fails: an envelope of any tool, but a
 * body of thousands of events that fail does not become thousands of its size. */
#define MW_SURROUNDINGS_MAX (64u * 1024)

/* One field group (properties, context) while it is written. Far above MW_MESSAGE_MAX, so that the error can
 * name the size of what was too large. */
#define MW_SCRATCH_MAX (1024 * 1024)

/* The map of the store that processes share: address space, of which only what is used costs anything. A GiB
 * is room for some million accounts; the rest is for whatever else will be remembered. */
#define MW_STATE_MAP_LEN ((size_t)1 << 30)
#define MW_STATE_MAP_MAX ((size_t)1 << (sizeof(size_t) > 4 ? 36 : 30))

/* A text longer than this loses its end in a warehouse (src/connections/storage/warehouses/schema.md). */
#define MW_TEXT_LONG 512

/* Kinds of messages that are remembered as judged: a source of a hundred kinds of events, each with forty
 * combinations of fields that may be missing. A power of two; 64 KiB of memory. */
#define MW_SHAPES_MAX 4096

/* What may be wrong with them, told apart: more than one person reads. The last stands for all further ones.
 */
#define MW_VERDICTS_MAX 256

/* Judging a message takes some 30 us: no more than 8 ms of it at once, nor than 30 ns a message for long. */
#define MW_REVIEW_BURST 256
#define MW_REVIEW_EVERY 1024

/* How an account is called, for people. */
#define MW_LABEL_MAX 200

/* A userId, e-mail address, phone number, anonymousId or tool's id that the identity store takes: twice the
 * longest e-mail address there can be (RFC 5321). */
#define MW_IDENTITY_MAX 512

/* Records that the identity store keeps for one account, three or so a known user: an account that floods the
 * tool with made-up users fills its own share, some 5 GB, and not the store. */
#define MW_IDENTITIES_MAX (24u * 1024 * 1024)

/* Aliases followed from one userId to the next. Somebody renamed more often is known by the sixteenth name.
 */
#define MW_ALIASES_MAX 16

#endif
