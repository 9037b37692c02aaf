/* json_path.h -- where in JSON a value stands, for people: properties.items[3].x
 *
 * Put together from its end, on the way out of whatever met the value. Where it is too long its beginning
 * counts, and what does not fit any more is cut off behind.
 */
#ifndef MW_JSON_PATH_H
#define MW_JSON_PATH_H

#include <stddef.h>

struct mw_json_path {
	char text[160]; /* ends with NUL */
	size_t len;
};

/* Not `= {0}`: a path is only made when something goes wrong, and clearing its room is not free. */
static inline void mw_json_path_clear(struct mw_json_path *p)
{
	p->text[0] = '\0';
	p->len = 0;
}

/* One step in front of the others: a member's name, or an element's place as people count it. */
void mw_json_path_prepend(struct mw_json_path *p, const char *name, size_t len);
void mw_json_path_prepend_index(struct mw_json_path *p, size_t i);

#endif
