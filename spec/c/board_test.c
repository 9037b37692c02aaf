#include "../../csrc/io/board.h"

#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], file[80];
static struct mw_board_copy copy, expected;

/* Where things are in the file: mark, number of the last snapshot, two places. */
enum { PUBLISHED = 8, PLACES = 16 };

static bool poke(size_t offset, const void *at, size_t len)
{
	int fd = open(file, O_WRONLY);
	bool done = fd >= 0 && pwrite(fd, at, len, (off_t)offset) == (ssize_t)len;
	if (fd >= 0)
		close(fd);
	return done;
}

static struct mw_board *open_board(void)
{
	struct mw_board *b = NULL;
	struct mw_error e = {.code = MW_OK};
	if (mw_board_open(file, &b, &e) != MW_OK)
		fprintf(stderr, "%s\n", e.detail);
	return b;
}

static bool reads(void)
{
	struct mw_error e = {.code = MW_OK};
	memset(&copy, 0x55, sizeof copy);
	if (mw_board_read(file, &copy, &e) == MW_OK)
		return true;
	fprintf(stderr, "%s\n", e.detail);
	return false;
}

static bool read_fails_with(const char *part)
{
	struct mw_error e = {.code = MW_OK};
	bool right = mw_board_read(file, &copy, &e) == MW_IO && strstr(e.detail, part);
	if (!right)
		fprintf(stderr, "\"%s\", not \"%s\"\n", e.detail, part);
	return right;
}

/* A snapshot in which every byte follows from its number. Returns how many lanes it has. */
static size_t make(uint64_t number, struct mw_board_copy *c)
{
	uint64_t random = number, words[sizeof c->totals / 8];
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		words[i] = check_random(&random);
	memcpy(&c->totals, words, sizeof words);
	size_t n = check_random(&random) % (MW_BOARD_LANES + 1);
	for (size_t i = 0; i < n; i++) {
		struct mw_board_lane *lane = &c->lanes[i];
		memset(lane, (int)(number + i) & 0xff, sizeof *lane);
		lane->queued = number;
		lane->account_len = (uint32_t)(i % (MW_ACCOUNT_MAX + 1));
		lane->account[lane->account_len] = '\0';
		lane->last_error[i % MW_BOARD_ERROR_MAX] = '\0';
		lane->last_error[MW_BOARD_ERROR_MAX - 1] = '\0';
	}
	return n;
}

static void write_made(struct mw_board *b, uint64_t number)
{
	size_t n = make(number, &expected);
	mw_board_write(b, &expected.totals, expected.lanes, n);
}

static bool is_as_made(void)
{
	size_t n = make(copy.head.number, &expected);
	return copy.head.lane_count == n && memcmp(&copy.totals, &expected.totals, sizeof copy.totals) == 0 &&
	       memcmp(copy.lanes, expected.lanes, n * sizeof *copy.lanes) == 0;
}

TEST(a_snapshot_is_read_as_it_was_written)
{
	struct mw_board *b = open_board();
	struct mw_board_totals totals = {
	    .accepted = 9, .delivered = 4, .dead = 1, .queued = 3, .in_flight = 1};
	struct mw_board_lane lanes[2] = {{.queued = 3, .account_len = 4, .account = "acme", .due_in_ms = -1},
					 {.last_status = 429, .last_error = "too many requests"}};
	int64_t before = (int64_t)time(NULL) * 1000;
	CHECK(b);
	mw_board_write(b, &totals, lanes, 2);
	CHECK(reads() && copy.head.number == 1 && copy.head.pid == getpid() && copy.head.lane_count == 2);
	CHECK(memcmp(&copy.totals, &totals, sizeof totals) == 0);
	CHECK(memcmp(copy.lanes, lanes, sizeof lanes) == 0);
	CHECK(copy.head.started_wall_ms >= before - 1000 && copy.head.written_wall_ms >= before - 1000);
	CHECK(copy.head.written_ms > 0);
	totals.accepted = 10;
	mw_board_write(b, &totals, NULL, 0);
	CHECK(reads() && copy.head.number == 2 && copy.totals.accepted == 10 && copy.head.lane_count == 0);
	struct stat s;
	CHECK(stat(file, &s) == 0 && (s.st_mode & 07777) == 0600);
	mw_board_free(b);
}

TEST(of_too_many_lanes_the_first_are_shown)
{
	static struct mw_board_lane lanes[MW_BOARD_LANES + 10];
	struct mw_board_totals totals = {.lanes = MW_BOARD_LANES + 10};
	struct mw_board *b = open_board();
	CHECK(b);
	for (size_t i = 0; i < MW_BOARD_LANES + 10; i++)
		lanes[i].queued = 1000 - i;
	mw_board_write(b, &totals, lanes, MW_BOARD_LANES + 10);
	CHECK(reads() && copy.head.lane_count == MW_BOARD_LANES);
	CHECK(memcmp(copy.lanes, lanes, sizeof copy.lanes) == 0);
	mw_board_free(b);
}

TEST(what_was_written_last_stays_until_the_next_engine_comes)
{
	struct mw_board *b = open_board();
	CHECK(b);
	write_made(b, 1);
	write_made(b, 2);
	mw_board_free(b);
	CHECK(reads() && copy.head.number == 2 && is_as_made());
	b = open_board();
	CHECK(b && read_fails_with("has written nothing yet"));
	write_made(b, 1);
	CHECK(reads() && copy.head.number == 1 && is_as_made());
	mw_board_free(b);
}

TEST(a_new_board_takes_the_place_of_whatever_was_there)
{
	char other[96];
	snprintf(other, sizeof other, "%s/other", folder);
	int fd = open(other, O_WRONLY | O_CREAT, 0644);
	CHECK(fd >= 0 && write(fd, "precious", 8) == 8 && close(fd) == 0);
	unlink(file);
	CHECK(symlink(other, file) == 0 && read_fails_with("symbolic link"));
	struct mw_board *b = open_board();
	CHECK(b);
	write_made(b, 1);
	mw_board_free(b);
	struct stat s;
	CHECK(reads() && is_as_made() && stat(other, &s) == 0 && s.st_size == 8 && unlink(other) == 0);
}

TEST(what_can_not_be_read_is_said)
{
	unlink(file);
	CHECK(read_fails_with("No such file or directory"));
	struct mw_board *b = open_board(), *none = NULL;
	struct mw_error e;
	CHECK(b);
	write_made(b, 1);
	CHECK(chmod(file, 0640) == 0 && read_fails_with("has mode 0640") && chmod(file, 0600) == 0);
	CHECK(poke(0, "\x07", 1) && read_fails_with("not this version's"));
	CHECK(mw_board_open("/proc/none/board", &none, &e) == MW_IO && !none && e.detail[0]);
	mw_board_free(b);
	CHECK(truncate(file, 100) == 0 && read_fails_with("has 100 bytes, not"));
}

TEST(an_engine_that_dies_while_it_writes_leaves_the_snapshot_before)
{
	static const char half_written[sizeof(struct mw_board_copy) / 2] = {1, 2, 3};
	struct mw_board *b = open_board();
	CHECK(b);
	for (uint64_t number = 1; number < 6; number++) {
		write_made(b, number);
		size_t next = PLACES + (number + 1) % 2 * sizeof(struct mw_board_copy);
		CHECK(poke(next, half_written, sizeof half_written));
		CHECK(reads() && copy.head.number == number && is_as_made());
	}
	mw_board_free(b);
}

TEST(damage_never_gets_past_the_reader_as_a_wild_length)
{
	uint64_t seed = check_seed("damage");
	size_t lane_count =
	    PLACES + sizeof(struct mw_board_copy) + offsetof(struct mw_board_head, lane_count);
	size_t first_len = PLACES + sizeof(struct mw_board_copy) + offsetof(struct mw_board_copy, lanes) +
			   offsetof(struct mw_board_lane, account_len);
	struct mw_board_lane lane = {.account_len = 3, .account = "abc"};
	struct mw_board_totals totals = {.lanes = 1};
	for (int round = 0; round < 500; round++) {
		struct mw_board *b = open_board();
		CHECK(b);
		mw_board_write(b, &totals, &lane, 1);
		uint64_t value = check_random(&seed) >> check_random(&seed) % 64;
		CHECK(poke(round % 2 ? lane_count : first_len, &value, round % 2 ? 8 : 4));
		struct mw_error e;
		if (mw_board_read(file, &copy, &e) == MW_OK) {
			CHECK(copy.head.lane_count <= MW_BOARD_LANES);
			for (size_t i = 0; i < copy.head.lane_count; i++) {
				CHECK(copy.lanes[i].account_len <= MW_ACCOUNT_MAX);
				CHECK(strlen(copy.lanes[i].account) <= MW_ACCOUNT_MAX);
				CHECK(strlen(copy.lanes[i].last_error) < MW_BOARD_ERROR_MAX);
			}
		} else {
			CHECK(strstr(e.detail, "is damaged"));
		}
		mw_board_free(b);
	}
	uint64_t number = 7;
	CHECK(poke(PUBLISHED, &number, sizeof number) && read_fails_with("is damaged"));
}

/* Writes without a pause until it is killed. */
static pid_t start_writer(void)
{
	pid_t child = fork();
	if (child)
		return child;
	struct mw_board *b = open_board();
	if (!b)
		_exit(1);
	for (uint64_t number = 1;; number++)
		write_made(b, number);
}

/* One read against a writer that never pauses; it may lose the race, but not see half of a snapshot. */
static bool read_whole(uint64_t *last, bool *got)
{
	struct mw_error e = {.code = MW_OK};
	*got = mw_board_read(file, &copy, &e) == MW_OK;
	if (!*got)
		return strstr(e.detail, "changes too fast") || strstr(e.detail, "nothing yet") ||
		       strstr(e.detail, "just being made") || strstr(e.detail, "No such file");
	bool right = is_as_made() && copy.head.number >= *last;
	*last = copy.head.number;
	return right;
}

TEST(readers_in_other_processes_see_whole_snapshots_only)
{
	int writers = getenv("MW_VALGRIND") ? 2 : 20, each = getenv("MW_VALGRIND") ? 20 : 500;
	uint64_t distinct = 0;
	unlink(file);
	for (int round = 0; round < writers; round++) {
		unlink(file);
		pid_t writer = start_writer();
		uint64_t last = 0, seen = 0;
		bool right = true, got;
		for (int n = 0; n < each && right; n += got) {
			right = read_whole(&last, &got) && (!got || copy.head.pid == writer);
			distinct += got && copy.head.number != seen;
			seen = got ? copy.head.number : seen;
			CHECK(waitpid(writer, NULL, WNOHANG) == 0);
		}
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
		CHECK(right && reads() && is_as_made() && copy.head.number >= last);
	}
	printf("%d reads of %" PRIu64 " different snapshots\n", writers * each, distinct);
	fflush(stdout);
	CHECK(distinct > 1);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%.40s/mw-board-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder)) {
		perror("mkdtemp");
		return 1;
	}
	snprintf(file, sizeof file, "%s/board", folder);
	RUN(a_snapshot_is_read_as_it_was_written);
	RUN(of_too_many_lanes_the_first_are_shown);
	RUN(what_was_written_last_stays_until_the_next_engine_comes);
	RUN(a_new_board_takes_the_place_of_whatever_was_there);
	RUN(what_can_not_be_read_is_said);
	RUN(an_engine_that_dies_while_it_writes_leaves_the_snapshot_before);
	RUN(damage_never_gets_past_the_reader_as_a_wild_length);
	RUN(readers_in_other_processes_see_whole_snapshots_only);
	unlink(file);
	rmdir(folder);
	return CHECK_END();
}
