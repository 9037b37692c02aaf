#include "scan_bytes.h"
