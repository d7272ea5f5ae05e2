// SPDX-License-Identifier: MIT
#ifndef START_H
#define START_H

#include <brood/time.h>

// How long a child may take from its birth to brood_init. Tests shorten it.
extern brood_duration broodi_start_patience;

#endif
