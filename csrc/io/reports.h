/* reports.h -- what came of messages, kept until somebody asks.
 *
 * A queue between the engine thread, which adds, and whoever polls. Bounded by MW_REPORTS_MAX records and
 * MW_REPORTS_BYTES_MAX bytes; beyond either the oldest go and are counted as lost.
 *
 * Kept of a report: account, tag, outcome, status, the first MW_REPORT_ANSWER_MAX bytes of the answer, and
 * the message itself only if it is dead: of the others the tag says which one it was. Thread-safe.
 */
#ifndef MW_REPORTS_H
#define MW_REPORTS_H

#include "../core/weir.h"

/* Dead messages can be MW_MESSAGE_MAX each: a count alone would allow 2 GB. */
#define MW_REPORTS_BYTES_MAX (64u * 1024 * 1024)

/* What a server said about a message: a sentence, not a page. */
#define MW_REPORT_ANSWER_MAX 512

struct mw_reports;

struct mw_reports *mw_reports_new(void);
void mw_reports_free(struct mw_reports *q);

/* Copies. Short of memory, the report is counted as lost. */
void mw_reports_add(struct mw_reports *q, const struct mw_report *r);

/* Hand over at most `max`, oldest first, each gone afterwards. `each` runs without a lock; its spans are
 * borrowed for the call. Returns how many. */
size_t mw_reports_take(struct mw_reports *q, size_t max,
		       void (*each)(void *context, const struct mw_report *r), void *context);

uint64_t mw_reports_lost(struct mw_reports *q);

#endif
