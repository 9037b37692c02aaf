/* version.h -- the version of Moonweir, in the one place that says it. */
#ifndef MW_VERSION_H
#define MW_VERSION_H

#define MW_VERSION_TEXT "0.1.0"

#endif
