/* lessee.h -- an engine's side of a lease (io/lessee.h), as a userdata: two modules that can't call each
 * other have its name in common. Its uservalue keeps the client. */
#ifndef MWL_LESSEE_H
#define MWL_LESSEE_H

#include "../io/lessee.h"

/* Changes with struct mw_lessee: modules of different versions must not meet. */
#define MWL_LESSEE "moonweir.lessee.2"

#endif
