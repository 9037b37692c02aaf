/* memory_flags.h -- what the kernel keeps of the memory at an address: is it left out of core files ("dd"),
 * zeros in a child ("wf"), written to ("wr")? */
#ifndef MW_MEMORY_FLAGS_H
#define MW_MEMORY_FLAGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* `flag` as smaps has it, with a blank before it. */
static bool memory_has(const void *at, const char *flag)
{
	char line[512];
	bool here = false, has = false;
	FILE *f = fopen("/proc/self/smaps", "re");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long long first, last;
		if (sscanf(line, "%llx-%llx", &first, &last) == 2)
			here = (uintptr_t)at >= first && (uintptr_t)at < last;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	}
	if (f)
		fclose(f);
	return has;
}

#endif
