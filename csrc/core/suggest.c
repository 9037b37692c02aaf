#include "suggest.h"

#include <stdio.h>
#include <string.h>

enum { SUGGEST_MAX = 32 };

static int least(int a, int b)
{
	return a < b ? a : b;
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Edit distance, whatever the case. */
static int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int row[SUGGEST_MAX + 1];
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		int diagonal = row[0];
		row[0] = (int)i;
		for (size_t j = 1; j <= b_len; j++) {
			int above = row[j];
			row[j] = least(diagonal + (lower(a[i - 1]) != lower(b[j - 1])),
				       1 + least(above, row[j - 1]));
			diagonal = above;
		}
	}
	return row[b_len];
}

void mw_suggest(char *out, size_t size, const char *name, size_t len, const char *const *names)
{
	const char *best = NULL;
	int best_distance = len < 6 ? 3 : 4; /* what differs by more is another word */
	out[0] = '\0';
	if (len > SUGGEST_MAX)
		return;
	for (; *names; names++) {
		size_t known_len = strlen(*names);
		int d = known_len > SUGGEST_MAX ? best_distance : distance(name, len, *names, known_len);
		if (d < best_distance) {
			best = *names;
			best_distance = d;
		}
	}
	if (best)
		snprintf(out, size, ", did you mean \"%s\"?", best);
}
