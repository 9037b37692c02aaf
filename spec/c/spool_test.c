#include "../../csrc/io/spool.h"

#include "check.h"
#include "folder.h"
