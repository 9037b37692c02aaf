#include "json_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void mw_json_path_prepend(struct mw_json_path *p, const char *name, size_t len)
{
	size_t room = sizeof p->text - 1;
	if (len > room)
		len = room;
	bool joined = p->len > 0 && p->text[0] != '[' && len < room;
	size_t before = len + joined;
	if (p->len > room - before)
		p->len = room - before;
	memmove(p->text + before, p->text, p->len);
	memcpy(p->text, name, len);
	if (joined)
		p->text[len] = '.';
	p->len += before;
	p->text[p->len] = '\0';
}

void mw_json_path_prepend_index(struct mw_json_path *p, size_t i)
{
	char step[32];
	int len = snprintf(step, sizeof step, "[%zu]", i);
	mw_json_path_prepend(p, step, (size_t)len);
}
