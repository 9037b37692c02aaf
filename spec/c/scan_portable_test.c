#define MW_PORTABLE
#include "scan_bytes.h"
