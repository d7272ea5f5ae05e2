// SPDX-License-Identifier: MIT
#ifndef CONDITION_H
#define CONDITION_H

#include <stdint.h>

// Ends the waits of all who have given up this lock for a condition, with BROOD_STALE: it was
// destroyed.
void broodi_conditions_send_home(uint64_t lock);

#endif
