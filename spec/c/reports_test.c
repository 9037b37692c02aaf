#include "../../csrc/io/reports.h"
#include "../../csrc/io/trouble.h"
#include "check.h"

struct taken {
	size_t count;
	int64_t first, last;
	struct mw_report report; /* spans are not to be followed */
	char text[2048];
};

static void take(void *context, const struct mw_report *r)
{
	struct taken *t = context;
	if (t->count++ == 0)
		t->first = r->tag;
	t->last = r->tag;
	t->report = *r;
	snprintf(t->text, sizeof t->text, "%.*s|%.*s|%.*s", (int)r->account.len, (const char *)r->account.at,
		 (int)r->message.len, (const char *)r->message.at, (int)r->answer.len,
		 (const char *)r->answer.at);
}

static struct mw_report report(int64_t tag, enum mw_outcome outcome)
{
	return (struct mw_report){.account = MW_SPAN("acc"),
				  .message = MW_SPAN("msg"),
				  .answer = MW_SPAN("why"),
				  .tag = tag,
				  .outcome = outcome,
				  .status = 400};
}

TEST(reports_come_out_in_order_and_only_dead_ones_with_their_message)
{
	struct mw_reports *q = mw_reports_new();
	struct taken t = {0};
	struct mw_report dead = report(1, MW_OUTCOME_DEAD), delivered = report(2, MW_OUTCOME_DELIVERED);
	mw_reports_add(q, &dead);
	mw_reports_add(q, &delivered);
	CHECK(mw_reports_take(q, 1, take, &t) == 1 && t.last == 1 && strcmp(t.text, "acc|msg|why") == 0);
	CHECK(t.report.status == 400 && t.report.outcome == MW_OUTCOME_DEAD);
	CHECK(mw_reports_take(q, 9, take, &t) == 1 && t.last == 2 && strcmp(t.text, "acc||why") == 0);
	CHECK(mw_reports_take(q, 9, take, &t) == 0 && mw_reports_lost(q) == 0);
	mw_reports_add(q, &dead);
	CHECK(mw_reports_take(q, 9, take, &t) == 1);
	mw_reports_free(q);
}

TEST(an_answer_is_kept_in_part)
{
	struct mw_reports *q = mw_reports_new();
	struct taken t = {0};
	static uint8_t page[MW_RESPONSE_MAX];
	memset(page, 'p', sizeof page);
	struct mw_report r = report(1, MW_OUTCOME_DEAD);
	r.answer = (struct mw_span){page, sizeof page};
	mw_reports_add(q, &r);
	CHECK(mw_reports_take(q, 1, take, &t) == 1 && t.report.answer.len == MW_REPORT_ANSWER_MAX);
	mw_reports_free(q);
}

TEST(the_oldest_go_when_nobody_asks)
{
	struct mw_reports *q = mw_reports_new();
	struct taken t = {0};
	for (int64_t i = 0; i < MW_REPORTS_MAX + 10; i++) {
		struct mw_report r = report(i, MW_OUTCOME_DELIVERED);
		mw_reports_add(q, &r);
	}
	CHECK(mw_reports_lost(q) == 10);
	CHECK(mw_reports_take(q, SIZE_MAX, take, &t) == MW_REPORTS_MAX && t.first == 10);
	CHECK(t.last == MW_REPORTS_MAX + 9);
	mw_reports_free(q);
}

TEST(large_ones_are_bounded_by_their_bytes)
{
	struct mw_reports *q = mw_reports_new();
	struct taken t = {0};
	static uint8_t message[MW_MESSAGE_MAX];
	struct mw_report r = report(1, MW_OUTCOME_DEAD);
	r.message = (struct mw_span){message, sizeof message};
	size_t count = 2 * (MW_REPORTS_BYTES_MAX / MW_MESSAGE_MAX);
	for (size_t i = 0; i < count; i++)
		mw_reports_add(q, &r);
	size_t kept = mw_reports_take(q, SIZE_MAX, take, &t);
	CHECK(kept + mw_reports_lost(q) == count);
	CHECK(kept * MW_MESSAGE_MAX <= MW_REPORTS_BYTES_MAX && kept > count / 2 - 100);
	mw_reports_free(q);
}

TEST(the_last_trouble_of_each_lane_is_kept)
{
	struct mw_trouble t;
	static struct mw_lane *lanes[500];
	char text[64];
	mw_trouble_init(&t);
	for (size_t i = 0; i < 500; i++) {
		lanes[i] = calloc(1, sizeof(struct mw_lane) + 1);
		CHECK(lanes[i] && strcmp(mw_trouble_of(&t, lanes[i]), "") == 0);
		mw_trouble_note(&t, lanes[i], "first");
	}
	for (size_t i = 0; i < 500; i += 2) {
		snprintf(text, sizeof text, "trouble %zu", i);
		mw_trouble_note(&t, lanes[i], text);
	}
	for (size_t i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "trouble %zu", i);
		CHECK(strcmp(mw_trouble_of(&t, lanes[i]), i % 2 ? "first" : text) == 0);
	}
	mw_trouble_deinit(&t);
	for (size_t i = 0; i < 500; i++)
		free(lanes[i]);
}

TEST(a_long_trouble_is_cut_between_characters)
{
	struct mw_trouble t;
	struct mw_lane *lane = calloc(1, sizeof *lane + 1);
	char text[400];
	mw_trouble_init(&t);
	for (size_t lead = 0; lead < 5; lead++) {
		memset(text, 'a', lead);
		for (size_t i = lead; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		mw_trouble_note(&t, lane, text);
		size_t len = strlen(mw_trouble_of(&t, lane));
		CHECK(len < MW_TROUBLE_MAX && len >= MW_TROUBLE_MAX - 3 && (len - lead) % 3 == 0);
	}
	mw_trouble_deinit(&t);
	free(lane);
}

int main(void)
{
	RUN(reports_come_out_in_order_and_only_dead_ones_with_their_message);
	RUN(an_answer_is_kept_in_part);
	RUN(the_oldest_go_when_nobody_asks);
	RUN(large_ones_are_bounded_by_their_bytes);
	RUN(the_last_trouble_of_each_lane_is_kept);
	RUN(a_long_trouble_is_cut_between_characters);
	return CHECK_END();
}
