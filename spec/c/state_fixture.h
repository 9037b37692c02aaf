/* state_fixture.h -- what tests of the stores in a spool's state/ have in common: texts, the last error,
 * master keys.
 */
#ifndef MW_STATE_FIXTURE_H
#define MW_STATE_FIXTURE_H

#include "../../csrc/io/master_key.h"
#include "check.h"
#include "folder.h"

static struct mw_error error;

static struct mw_span span(const char *text)
{
	return (struct mw_span){(const uint8_t *)text, text ? strlen(text) : 0};
}

/* Two master keys that differ, made once. */
__attribute__((unused)) static const char *master(int number)
{
	static char paths[2][256];
	if (!paths[number][0]) {
		snprintf(paths[number], sizeof paths[number], "%s/master%d", folder(), number);
		if (mw_master_key_create(paths[number], &error) != MW_OK)
			abort();
	}
	return paths[number];
}

#endif
