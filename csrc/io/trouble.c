#include "trouble.h"

#include <stdlib.h>

struct mw_trouble_entry {
	const struct mw_lane *lane; /* NULL: free */
	char *text;                 /* as long as it is */
};

enum { FIRST_ENTRIES = 16 };

void mw_trouble_init(struct mw_trouble *t)
{
	*t = (struct mw_trouble){0};
}

void mw_trouble_deinit(struct mw_trouble *t)
{
	for (size_t i = 0; t->entries && i <= t->mask; i++)
		free(t->entries[i].text);
	free(t->entries);
	mw_trouble_init(t);
}

/* The lane's entry, or the free one where it belongs. */
static struct mw_trouble_entry *find(const struct mw_trouble *t, const struct mw_lane *lane)
{
	/* Low bits of an address are all alike: spread them. */
	uint64_t hash = (uint64_t)(uintptr_t)lane * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(hash >> 32) & t->mask;
	while (t->entries[i].lane && t->entries[i].lane != lane)
		i = (i + 1) & t->mask;
	return &t->entries[i];
}

static bool make_room(struct mw_trouble *t)
{
	size_t size = t->entries ? t->mask + 1 : 0;
	if (size > 0 && (t->count + 1) * 2 <= size)
		return true;
	struct mw_trouble bigger = {.count = t->count};
	size_t bigger_size = size > 0 ? size * 2 : FIRST_ENTRIES;
	bigger.entries = calloc(bigger_size, sizeof *bigger.entries);
	if (!bigger.entries)
		return false;
	bigger.mask = bigger_size - 1;
	for (size_t i = 0; i < size; i++)
		if (t->entries[i].lane)
			*find(&bigger, t->entries[i].lane) = t->entries[i];
	free(t->entries);
	*t = bigger;
	return true;
}

/* How much of `text` fits without cutting a UTF-8 character in two. */
static size_t fitting(const char *text)
{
	size_t len = strnlen(text, MW_TROUBLE_MAX);
	if (len < MW_TROUBLE_MAX)
		return len;
	len = MW_TROUBLE_MAX - 1;
	while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

void mw_trouble_note(struct mw_trouble *t, const struct mw_lane *lane, const char *text)
{
	bool is_full = t->count >= MW_TROUBLE_LANES_MAX;
	if (is_full ? !find(t, lane)->lane : !make_room(t))
		return;
	struct mw_trouble_entry *n = find(t, lane);
	size_t len = fitting(text);
	char *room = realloc(n->text, len + 1);
	if (!room)
		return;
	t->count += !n->lane;
	*n = (struct mw_trouble_entry){.lane = lane, .text = room};
	memcpy(n->text, text, len);
	n->text[len] = '\0';
}

const char *mw_trouble_of(const struct mw_trouble *t, const struct mw_lane *lane)
{
	return t->entries && find(t, lane)->lane ? find(t, lane)->text : "";
}
