#include "../../csrc/io/secret_heap.h"

#include "check.h"
#include "memory_flags.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECES = 300, STEPS = 60000, SIZE_MAX_TRIED = 600000, THREADS = 4 };

struct piece {
	uint8_t *at;
	size_t len;
	uint8_t filled_with;
};

static bool is_whole(const struct piece *p)
{
	for (size_t i = 0; i < p->len; i += 1 + p->len / 100)
		if (p->at[i] != p->filled_with)
			return false;
	return p->len == 0 || p->at[p->len - 1] == p->filled_with;
}

static bool is_zero(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i])
			return false;
	return true;
}

static size_t some_size(uint64_t *random)
{
	return (size_t)(check_random(random) % (check_random(random) % 50 ? 2000 : SIZE_MAX_TRIED));
}

/* Pieces of all sizes come, grow, shrink and go; none overlaps another, none is aligned badly, all come as
 * zeros. */
static bool juggle(uint64_t random)
{
	struct piece pieces[PIECES] = {{NULL, 0, 0}};
	for (int step = 0, steps = check_rounds(STEPS); step < steps; step++) {
		struct piece *p = &pieces[check_random(&random) % PIECES];
		size_t len = some_size(&random);
		if (!is_whole(p))
			return false;
		if (!p->at) {
			p->at = check_random(&random) % 2 ? mw_secret_malloc(len) : mw_secret_calloc(1, len);
			if (!p->at || (uintptr_t)p->at % 16 != 0 || !is_zero(p->at, len))
				return false;
		} else if (check_random(&random) % 2) {
			p->at = mw_secret_realloc(p->at, len);
			p->len = p->len < len ? p->len : len;
			if (!p->at || !is_whole(p))
				return false;
		} else {
			mw_secret_free(p->at);
			*p = (struct piece){NULL, 0, 0};
			continue;
		}
		p->len = len;
		p->filled_with = (uint8_t)(1 + check_random(&random) % 255);
		memset(p->at, p->filled_with, len);
	}
	for (int i = 0; i < PIECES; i++)
		mw_secret_free(pieces[i].at);
	return true;
}

static void *juggle_apart(void *seed)
{
	return juggle(*(uint64_t *)seed) ? seed : NULL;
}

TEST(pieces_do_not_overlap_and_come_as_zeros)
{
	uint64_t seeds[THREADS], seed = check_seed("secret heap");
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = check_random(&seed);
		CHECK(pthread_create(&threads[i], NULL, juggle_apart, &seeds[i]) == 0);
	}
	bool fine = true;
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		fine &= result != NULL;
	}
	CHECK(fine);
}

TEST(core_files_leave_every_piece_out)
{
	static const size_t sizes[] = {1, 100, 5000, 100000, 262144, 700000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		void *p = mw_secret_malloc(sizes[i]);
		CHECK(p && memory_has(p, " dd") && memory_has((uint8_t *)p + sizes[i] - 1, " dd"));
		mw_secret_free(p);
	}
	char on_stack;
	CHECK(!memory_has(&on_stack, " dd"));
}

TEST(what_is_given_back_is_wiped)
{
	char *secret = mw_secret_strdup("a secret of some length, to be forgotten");
	CHECK(secret && strstr(secret, "forgotten"));
	size_t len = strlen(secret);
	mw_secret_free(secret);
	/* Behind the list's own link the piece is zeros; it is still mapped, as part of a chunk. */
	CHECK(is_zero((const uint8_t *)secret, len));
	CHECK(mw_secret_calloc(SIZE_MAX / 2, 3) == NULL && mw_secret_malloc(SIZE_MAX) == NULL);
	mw_secret_free(NULL);
}

TEST(a_child_may_go_on_with_it)
{
	void *p = mw_secret_malloc(100);
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		void *own = mw_secret_malloc(100);
		mw_secret_free(p);
		_exit(own && own != p ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	mw_secret_free(p);
}

int main(void)
{
	alarm(900);
	RUN(pieces_do_not_overlap_and_come_as_zeros);
	RUN(core_files_leave_every_piece_out);
	RUN(what_is_given_back_is_wiped);
	RUN(a_child_may_go_on_with_it);
	return CHECK_END();
}
