/* short_memory.h -- every allocation asks the test whether it fails.
 *
 * For programs that are linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc, so that the functions
 * here stand before the real ones; without it there is nothing to test. The test says what `fails` is.
 */
#ifndef MW_SHORT_MEMORY_H
#define MW_SHORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

static bool fails(void);

__attribute__((weak)) void *__real_malloc(size_t size);
__attribute__((weak)) void *__real_calloc(size_t n, size_t size);
__attribute__((weak)) void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

/* Is the program linked so? Says it if not. */
static bool memory_is_ours(void)
{
	bool is_it = __real_malloc && __real_calloc && __real_realloc;
	if (!is_it)
		printf("skipped: not linked with --wrap\n");
	return is_it;
}

#endif
